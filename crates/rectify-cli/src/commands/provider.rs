//! `provider`: which there are, whose they are, and what of others is locked.

use super::{ask, project::out, signing};
use crate::{
    arguments::{Key, ProviderCommand},
    exit,
    failure::Failure,
    say::{say, tell},
    words::count,
};
use rectify_attest::{LockEntry, PrincipalName, Release, Signer};
use rectify_conform::{Fixtures, Kit};
use rectify_engine::{
    Engine, EngineError, Provider, Providers,
    project::{PROJECT_FILE, Project},
    providers::{self, Change, LockRequest, Offered, PackRequest, SelfTest},
};
use rectify_protocol::{Manifest, TypeDescriptor};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// `provider`.
pub async fn provider(engine: &Engine, at: &Path, command: ProviderCommand) -> Result<u8, Failure> {
    match command {
        ProviderCommand::List => list(&at_hand(engine, at)?),
        ProviderCommand::Info { name } => info(engine, at, &name)?,
        ProviderCommand::Manifest { name } => {
            let providers = at_hand(engine, at)?;
            let bytes = named(&providers, &name)?.manifest.to_bytes();
            out(&bytes.map_err(|e| Failure::plain(e.to_string()))?)?;
        }
        ProviderCommand::Lock { sources, remove, unsigned, signer, yes } => {
            let request = LockRequest { sources, remove, unsigned, signer };
            return lock(engine, at, &request, yes);
        }
        ProviderCommand::Fetch => fetch(engine, at)?,
        ProviderCommand::Check {
            name: Some(name),
            fixtures: Some(fixtures),
            key,
            passphrase_file,
            details,
        } => {
            let key = key.map(|key| Key { key, principal: None, passphrase_file });
            return conform(engine, at, &name, &fixtures, key.as_ref(), details);
        }
        ProviderCommand::Check { name, .. } => return check(engine, at, name.as_deref()).await,
        ProviderCommand::New { name, lang, directory } => {
            let directory = directory.unwrap_or_else(|| name.clone().into());
            new(&name, &lang, &directory)?;
        }
        ProviderCommand::Pack { programs, out, manifest, key, principal, passphrase_file, unsigned: _ } => {
            let key = key.map(|key| Key { key, principal, passphrase_file });
            let signer = key.as_ref().map(signing::load).transpose()?;
            let name =
                key.as_ref().zip(signer.as_deref()).map(|(key, signer)| publisher(engine, key, signer));
            let publisher = signer.as_deref().zip(name.transpose()?);
            let manifest = manifest.as_deref();
            let request = PackRequest { programs: &programs, manifest, out: &out, publisher };
            pack(engine, &request).await?;
        }
        // Known names never get here: main() serves them before the command line is read.
        ProviderCommand::Serve { name } => {
            return Err(Failure::usage(format!("there is no built-in provider `{name}`")));
        }
    }
    Ok(exit::DONE)
}

/// Those of the project, or the built-in ones where there is none.
fn at_hand(engine: &Engine, at: &Path) -> Result<Providers, Failure> {
    if !at.join(PROJECT_FILE).is_file() {
        return Ok(engine.providers.clone());
    }
    Ok(Providers::of_project(engine, &Project::read(at)?)?)
}

fn named<'p>(providers: &'p Providers, name: &str) -> Result<&'p Provider, Failure> {
    providers.named(name).ok_or_else(|| Failure::usage(format!("there is no provider `{name}`")))
}

fn list(providers: &Providers) {
    for provider in providers.all() {
        match &provider.locked {
            None => say!("{}", provider.identity),
            Some(locked) => {
                let signer = match &locked.publisher {
                    Some(publisher) => format!("signed by {} ({})", publisher.name, publisher.key),
                    None => "NOT SIGNED".to_owned(),
                };
                let script = if locked.interpreter.is_some() { ", interpreter NOT PINNED" } else { "" };
                say!("{}@{}  {signer}{script}", provider.manifest.name, locked.version);
            }
        }
        for kind in &provider.manifest.types {
            say!("  {:<20}  {}", kind.name, kind.summary);
        }
    }
}

fn info(engine: &Engine, at: &Path, name: &str) -> Result<(), Failure> {
    let providers = at_hand(engine, at)?;
    let provider = named(&providers, name)?;
    let manifest = &provider.manifest;
    say!("{} {}", manifest.name, manifest.version);
    let entry = match &provider.locked {
        None => None,
        Some(_) => providers::read_lock(at)?.and_then(|mut lock| lock.providers.remove(name)),
    };
    match &entry {
        None => {
            say!("  part of Rectify: {}", provider.identity);
            let digest = manifest.digest().map_err(|e| Failure::plain(e.to_string()))?;
            say!("  manifest {digest}");
        }
        Some(entry) => released(entry),
    }
    say!("  protocol {} to {}", manifest.protocol.min, manifest.protocol.max);
    for known in &manifest.types {
        say!("  type {}", described(known));
    }
    Ok(())
}

/// What the lock file says of a release.
fn released(entry: &LockEntry) {
    say!("  from {}", entry.source);
    say!("  {}", signed(&entry.release));
    if let Ok(digest) = entry.release.digest() {
        say!("  release {digest}");
    }
    say!("  manifest {}", entry.release.manifest.blake3);
    for (platform, file) in &entry.release.files {
        say!("  {platform}  {}, {}", file.file, count(file.size, "byte"));
        say!("    {}", file.blake3);
        say!("    {}", file.sha256);
    }
    interpreter(&entry.release);
}

fn signed(release: &Release) -> String {
    match &release.publisher {
        Some(publisher) => format!("signed by {}, {}", publisher.name, publisher.key.fingerprint()),
        None => "NOT SIGNED by anybody".to_owned(),
    }
}

fn interpreter(release: &Release) {
    if let Some(line) = &release.interpreter {
        say!("  run by `{line}`: NOT PINNED, no digest covers that program");
    }
}

fn described(known: &TypeDescriptor) -> String {
    format!(
        "{} version {}: {}, prediction {}, retry {}, undo {}",
        known.name, known.version, known.kind, known.prediction, known.retry, known.undo
    )
}

fn lock(engine: &Engine, at: &Path, request: &LockRequest, yes: bool) -> Result<u8, Failure> {
    let proposal = providers::propose(engine, at, request)?;
    for change in &proposal.changes {
        show(change);
    }
    if proposal.changes() && !yes {
        let question = "write this to rectify.lock?";
        if !ask::agreed(question, "say --yes to lock without asking")? {
            tell!("nothing was done");
            return Ok(exit::ERROR);
        }
    }
    providers::accept(engine, at, &proposal)?;
    if proposal.changes() {
        say!("wrote {}", at.join(rectify_attest::lock::LOCK_FILE).display());
    } else {
        say!("rectify.lock stays as it is");
    }
    Ok(exit::DONE)
}

/// Says what a change is.
fn show(change: &Change) {
    let name = &change.name;
    match (&change.before, &change.after) {
        (Some(before), None) => {
            say!("- {name} {}", before.release.version);
            for known in change.manifest_before.iter().flat_map(|manifest| &manifest.types) {
                say!("  - type {}", known.name);
            }
        }
        (None, Some(after)) => added(change, after),
        (Some(before), Some(after)) if change.changes() => updated(change, before, after),
        (Some(before), Some(_)) => say!("= {name} {}: as it is locked", before.release.version),
        (None, None) => {}
    }
}

fn added(change: &Change, after: &Offered) {
    say!("+ {} {}", change.name, after.release.version);
    if let Some(entry) = &change.entry {
        released(entry);
    }
    known(change, after);
    for known in &after.manifest.types {
        say!("  + type {}", described(known));
    }
}

/// What the trust file says of the signer.
fn known(change: &Change, after: &Offered) {
    match (&change.known_as, &after.release.publisher) {
        (Some(name), _) => say!("  the trust file knows the key as `{name}`"),
        (None, Some(publisher)) => say!(
            "  the trust file does not know the key: only its holder says that it is `{}`'s",
            publisher.name
        ),
        (None, None) => {}
    }
}

fn updated(change: &Change, before: &LockEntry, after: &Offered) {
    let (old, new) = (&before.release, &after.release);
    say!("~ {} {}", change.name, between(&old.version, &new.version));
    if let Some(entry) = &change.entry
        && entry.source != before.source
    {
        say!("  from {}", between(&before.source, &entry.source));
    }
    let key = |release: &Release| release.publisher.as_ref().map(|publisher| publisher.key);
    if key(old) == key(new) {
        say!("  {}, as before", signed(new));
    } else {
        say!("  SIGNER CHANGED: was {}", signed(old));
        say!("                  is  {}", signed(new));
    }
    known(change, after);
    if old.manifest != new.manifest {
        say!("  manifest {}", between(&old.manifest.blake3.to_string(), &new.manifest.blake3.to_string()));
    }
    match &change.manifest_before {
        Some(manifest) => types(manifest, &after.manifest),
        None => {
            say!("  the manifest before is not in the store; the types are now:");
            for known in &after.manifest.types {
                say!("  type {}", described(known));
            }
        }
    }
    let platforms: BTreeSet<&String> = old.files.keys().chain(new.files.keys()).collect();
    for platform in platforms {
        match (old.files.get(platform), new.files.get(platform)) {
            (Some(old), Some(new)) if old.digests() == new.digests() => say!("  = {platform}"),
            (Some(old), Some(new)) => {
                say!("  ~ {platform} {}", between(&old.blake3.to_string(), &new.blake3.to_string()));
            }
            (None, Some(new)) => say!("  + {platform} {}", new.blake3),
            (Some(old), None) => say!("  - {platform} {}", old.blake3),
            (None, None) => {}
        }
    }
    if old.interpreter == new.interpreter {
        interpreter(new);
    } else {
        let line = |release: &Release| release.interpreter.clone().unwrap_or_else(|| "nothing".to_owned());
        say!("  run by {}: NOT PINNED, no digest covers that program", between(&line(old), &line(new)));
    }
}

/// What is other among the types.
fn types(before: &Manifest, after: &Manifest) {
    let by_name = |manifest: &Manifest| -> BTreeMap<String, TypeDescriptor> {
        manifest.types.iter().map(|known| (known.name.to_string(), known.clone())).collect()
    };
    let (old, new) = (by_name(before), by_name(after));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) if old == new => {}
            (Some(old), Some(new)) => say!("  ~ type {name}: {}", differences(old, new).join(", ")),
            (None, Some(new)) => say!("  + type {}", described(new)),
            (Some(_), None) => say!("  - type {name}"),
            (None, None) => {}
        }
    }
}

fn differences(old: &TypeDescriptor, new: &TypeDescriptor) -> Vec<String> {
    let words = [
        ("version", old.version.to_string(), new.version.to_string()),
        ("kind", old.kind.clone(), new.kind.clone()),
        ("prediction", old.prediction.clone(), new.prediction.clone()),
        ("retry", old.retry.clone(), new.retry.clone()),
        ("undo", old.undo.clone(), new.undo.clone()),
        ("compare and swap", old.compare_and_swap.to_string(), new.compare_and_swap.to_string()),
        ("read within", format!("{} ms", old.read_timeout_ms), format!("{} ms", new.read_timeout_ms)),
        ("apply within", format!("{} ms", old.apply_timeout_ms), format!("{} ms", new.apply_timeout_ms)),
    ];
    let words = words.into_iter().filter(|(_, old, new)| old != new);
    let mut all: Vec<String> =
        words.map(|(what, old, new)| format!("{what} {}", between(&old, &new))).collect();
    let parts = [
        ("its properties", old.schema != new.schema),
        ("what it touches", old.touches != new.touches),
        ("what is volatile", old.volatile != new.volatile),
        ("its description", old.summary != new.summary),
    ];
    all.extend(parts.into_iter().filter(|(_, other)| *other).map(|(what, _)| format!("{what} changed")));
    all
}

fn between(old: &str, new: &str) -> String {
    if old == new { new.to_owned() } else { format!("{old} -> {new}") }
}

fn fetch(engine: &Engine, at: &Path) -> Result<(), Failure> {
    let fetched = providers::fetch(engine, at)?;
    for name in &fetched {
        say!("fetched {name}");
    }
    if fetched.is_empty() {
        say!("the store has everything that rectify.lock names");
    }
    Ok(())
}

async fn check(engine: &Engine, at: &Path, only: Option<&str>) -> Result<u8, Failure> {
    let all = providers::check(engine, at, only).await?;
    if all.is_empty() {
        say!("rectify.lock names no provider");
    }
    let mut well = true;
    for checked in &all {
        well &= checked.is_well();
        say!("{} {}: {}", checked.name, checked.entry.release.version, signed(&checked.entry.release));
        match &checked.stored {
            Ok(()) => say!("  stored as it was locked"),
            Err(error) => {
                say!("  NOT as it was locked: {error} [{}]", error.code());
                if let Some(help) = error.help() {
                    say!("  help: {help}");
                }
            }
        }
        match &checked.self_test {
            None => {}
            Some(Ok(SelfTest::Passed)) => say!("  its self-test passed"),
            Some(Ok(SelfTest::Unknown)) => say!("  it has no self-test"),
            Some(Ok(SelfTest::Failed { code, said })) => {
                let code = code.map_or("a signal".to_owned(), |code| format!("exit code {code}"));
                say!("  its self-test FAILED, with {code}:");
                for line in said.lines() {
                    say!("    {line}");
                }
            }
            Some(Err(error)) => say!("  its self-test could NOT be run: {error} [{}]", error.code()),
        }
    }
    Ok(if well { exit::DONE } else { exit::ERROR })
}

/// Tries a locked provider with the conformance kit.
fn conform(
    engine: &Engine,
    at: &Path,
    name: &str,
    fixtures: &Path,
    key: Option<&Key>,
    details: bool,
) -> Result<u8, Failure> {
    let program = providers::tested(engine, at, name)?;
    let program = program.to_str().ok_or_else(|| Failure::plain("the state directory's path is no UTF-8"))?;
    let usage = |e: String| Failure::usage(format!("{}: {e}", fixtures.display()));
    let bytes = std::fs::read(fixtures).map_err(|e| usage(e.to_string()))?;
    let read = Fixtures::read(&bytes).map_err(|e| usage(e.to_string()))?;
    // Before the work, not after it.
    let signer = key.map(signing::load).transpose()?;
    let mut kit = Kit::new(vec![program.to_owned()], read, Fixtures::digest(&bytes));
    // Checks mostly wait.
    kit.jobs = 4;
    let verdict = kit.run().map_err(|e| usage(e.to_string()))?;
    out(verdict.table(details).as_bytes())?;
    if let Some(signer) = &signer {
        let envelope = verdict.sign(signer.as_ref()).map_err(|e| Failure::plain(e.to_string()))?;
        say!("wrote {}", providers::keep_verdict(at, &verdict, &envelope)?.display());
    }
    Ok(if verdict.conforms() { exit::DONE } else { exit::ERROR })
}

/// Writes the files that a new provider begins with.
fn new(name: &str, language: &str, directory: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    let language = language.parse().map_err(|e: rectify_scaffold::Problem| Failure::usage(e.to_string()))?;
    let files = rectify_scaffold::project(language, name).map_err(|e| Failure::usage(e.to_string()))?;
    if std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Failure::usage(format!("{} is not empty; name another directory", directory.display())));
    }
    for file in &files {
        let path = directory.join(&file.path);
        let failed = |e: std::io::Error| Failure::plain(format!("cannot write {}: {e}", path.display()));
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        std::fs::write(&path, &file.text).map_err(failed)?;
        if file.executable {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).map_err(failed)?;
        }
    }
    say!("wrote {} to {}", count(files.len() as u64, "file"), directory.display());
    say!("next: {}", directory.join("README.md").display());
    Ok(())
}

/// Under which name a key publishes.
fn publisher(engine: &Engine, key: &Key, signer: &dyn Signer) -> Result<PrincipalName, Failure> {
    if let Some(name) = &key.principal {
        return PrincipalName::new(name.as_str()).map_err(|e| Failure::usage(e.to_string()));
    }
    let trust = rectify_engine::gate::trust(engine)?;
    let holder = trust.as_ref().and_then(|trust| trust.holder(&signer.public_key()).cloned());
    holder.ok_or_else(|| Failure::usage("say with --as under which name you publish, such as `acme`"))
}

async fn pack(engine: &Engine, request: &PackRequest<'_>) -> Result<(), Failure> {
    let packed = providers::pack(engine, request).await?;
    let release = &packed.release;
    say!("{} {}", release.name, release.version);
    say!("  {}", signed(release));
    let digest = release
        .digest()
        .map_err(|e| Failure::from(EngineError::Document { path: request.out.to_owned(), source: e }))?;
    say!("  release {digest}");
    for (platform, file) in &release.files {
        say!("  {platform}  {}, {}", file.file, count(file.size, "byte"));
    }
    interpreter(release);
    for known in &packed.manifest.types {
        say!("  type {}", described(known));
    }
    say!("wrote {}", request.out.display());
    Ok(())
}
