//! `rectify.lock`: which releases a project uses. A change is proposed, shown, and accepted; nothing else
//! writes the file.

use super::{Offered, Store, accepted};
use crate::{Engine, EngineError, error::FileVerb, files, gate, project::Project};
use rectify_attest::{
    Lock, LockEntry, PublicKey,
    lock::{FILE_SOURCE, LOCK_FILE, LOCK_MAX_BYTES},
};
use rectify_protocol::Manifest;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Component, Path, PathBuf},
};

/// What is to be locked, or not any more.
#[derive(Clone, Debug, Default)]
pub struct LockRequest {
    /// Directories of releases; a relative one is relative to the working directory.
    pub sources: Vec<PathBuf>,
    /// Providers that are not to be locked any more.
    pub remove: Vec<String>,
    /// Whether a release may be locked that nobody signed.
    pub unsigned: bool,
    /// Fingerprint of the key that must have signed. Without it another key than the locked one of a
    /// provider is refused.
    pub signer: Option<String>,
}

/// A provider that would be locked otherwise than it is.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// The entry so far.
    pub before: Option<LockEntry>,
    /// The manifest so far, if it is in the store.
    pub manifest_before: Option<Manifest>,
    /// The release; absent if the provider is removed.
    pub after: Option<Offered>,
    /// What the entry would be.
    pub entry: Option<LockEntry>,
    /// Who holds the key that signed, by the trust file.
    pub known_as: Option<String>,
}

impl Change {
    /// Whether something in the lock file would change.
    #[must_use]
    pub fn changes(&self) -> bool {
        self.before != self.entry
    }
}

/// A lock file as it would be.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// What it would hold.
    pub lock: Lock,
    /// What changes, by provider.
    pub changes: Vec<Change>,
    /// The bytes that it was made from.
    from: Option<Vec<u8>>,
}

impl Proposal {
    /// Whether the lock file would change.
    #[must_use]
    pub fn changes(&self) -> bool {
        self.changes.iter().any(Change::changes)
    }
}

/// The lock of a project that was read.
pub(super) fn of_project(project: &Project) -> Result<Option<Lock>, EngineError> {
    let file = project.files.iter().find(|file| file.path == LOCK_FILE);
    file.map(|file| parse(&project.directory, &file.bytes)).transpose()
}

/// The lock of a project directory, if there is one.
///
/// # Errors
/// When it cannot be read or is not sound.
pub fn read(directory: &Path) -> Result<Option<Lock>, EngineError> {
    let bytes = bytes(directory)?;
    bytes.map(|bytes| parse(directory, &bytes)).transpose()
}

fn bytes(directory: &Path) -> Result<Option<Vec<u8>>, EngineError> {
    let path = directory.join(LOCK_FILE);
    match path.symlink_metadata() {
        Ok(_) => Ok(Some(files::read_bounded(&path, LOCK_MAX_BYTES)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(EngineError::file(FileVerb::Read, &path, error)),
    }
}

fn parse(directory: &Path, bytes: &[u8]) -> Result<Lock, EngineError> {
    Lock::read(bytes).map_err(|problem| EngineError::Lock { path: directory.join(LOCK_FILE), problem })
}

/// Verifies releases and says what locking them would change. Nothing is written or started.
///
/// # Errors
/// When a release is not sound, is not signed by whom it must be, its publisher is not accepted, or one of
/// its types belongs to another provider.
pub fn propose(engine: &Engine, directory: &Path, request: &LockRequest) -> Result<Proposal, EngineError> {
    Project::read(directory)?;
    let from = bytes(directory)?;
    let mut lock = from.as_deref().map(|bytes| parse(directory, bytes)).transpose()?.unwrap_or_default();
    let store = Store::of(engine);
    let mut changes = BTreeMap::new();
    for name in &request.remove {
        let before =
            lock.providers.remove(name).ok_or_else(|| EngineError::NotLocked { name: name.clone() })?;
        let manifest_before = store.manifest(name, before.release.manifest).ok();
        let change = Change {
            name: name.clone(),
            before: Some(before),
            manifest_before,
            after: None,
            entry: None,
            known_as: None,
        };
        changes.insert(name.clone(), change);
    }
    for source in &request.sources {
        let offered = Offered::read(source)?;
        let name = offered.release.name.clone();
        let change = offer(engine, directory, &store, &lock, offered, request)?;
        let removed = changes.get(&name).and_then(|change| change.before.clone());
        if changes.get(&name).is_some_and(|change| change.entry.is_some()) {
            let message = format!("the provider `{name}` is offered twice");
            return Err(EngineError::Release { path: source.clone(), message });
        }
        if let Some(entry) = &change.entry {
            lock.providers.insert(name.clone(), entry.clone());
        }
        let before = change.before.clone().or(removed);
        changes.insert(name, Change { before, ..change });
    }
    let changes: Vec<Change> = changes.into_values().collect();
    types(engine, &store, &lock, &changes)?;
    Ok(Proposal { lock, changes, from })
}

fn offer(
    engine: &Engine,
    directory: &Path,
    store: &Store,
    lock: &Lock,
    offered: Offered,
    request: &LockRequest,
) -> Result<Change, EngineError> {
    let name = offered.release.name.clone();
    if engine.providers.named(&name).is_some() {
        return Err(EngineError::ProviderName { name });
    }
    let publisher = offered.release.publisher.as_ref();
    let key = publisher.map(|publisher| publisher.key);
    if key.is_none() && !request.unsigned {
        return Err(EngineError::Unsigned { name });
    }
    let before = lock.providers.get(&name).cloned();
    let known = before.as_ref().and_then(|entry| entry.release.publisher.as_ref()).map(|p| p.key);
    signer(&name, request, key, known)?;
    let trust = gate::trust(engine)?;
    accepted(engine, trust.as_ref(), &offered.release)?;
    let known_as = key.and_then(|key| trust.as_ref().and_then(|t| t.holder(&key).map(ToString::to_string)));
    let manifest_before =
        before.as_ref().and_then(|entry| store.manifest(&name, entry.release.manifest).ok());
    let source = source_of(directory, &offered.directory)?;
    let entry = LockEntry::new(offered.release.clone(), offered.signature, source);
    Ok(Change { name, before, manifest_before, entry: Some(entry), after: Some(offered), known_as })
}

/// Whether this key may sign: the one that is asked for, or else the locked one.
fn signer(
    name: &str,
    request: &LockRequest,
    key: Option<PublicKey>,
    known: Option<PublicKey>,
) -> Result<(), EngineError> {
    let shown = |key: Option<PublicKey>| key.map_or_else(|| "nobody".to_owned(), |key| key.fingerprint());
    let expected = match &request.signer {
        Some(signer) if key.is_some_and(|key| key.fingerprint() == *signer) => return Ok(()),
        Some(signer) => signer.clone(),
        None if known.is_none() || known == key => return Ok(()),
        // Said on purpose, for each call.
        None if key.is_none() && request.unsigned => return Ok(()),
        None => shown(known),
    };
    Err(EngineError::Signer { name: name.to_owned(), expected, found: shown(key) })
}

/// Refuses a type that two providers have.
fn types(engine: &Engine, store: &Store, lock: &Lock, changes: &[Change]) -> Result<(), EngineError> {
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    let mut claim = |manifest: &Manifest| {
        for known in &manifest.types {
            if let Some(first) = owners.insert(known.name.to_string(), manifest.name.clone()) {
                let (second, type_name) = (manifest.name.clone(), known.name.to_string());
                return Err(EngineError::TypeTwice { type_name, first, second });
            }
        }
        Ok(())
    };
    for provider in engine.providers.all() {
        claim(&provider.manifest)?;
    }
    let offered: BTreeSet<&str> =
        changes.iter().filter(|c| c.after.is_some()).map(|c| c.name.as_str()).collect();
    for (name, entry) in &lock.providers {
        // One that is not in the store is looked at when it is fetched.
        if !offered.contains(name.as_str())
            && let Ok(manifest) = store.manifest(name, entry.release.manifest)
        {
            claim(&manifest)?;
        }
    }
    for change in changes {
        if let Some(offered) = &change.after {
            claim(&offered.manifest)?;
        }
    }
    Ok(())
}

/// Keeps what was offered in the store, and writes the lock file.
///
/// # Errors
/// When something cannot be written, or the lock file was changed since the proposal was made.
pub fn accept(engine: &Engine, directory: &Path, proposal: &Proposal) -> Result<(), EngineError> {
    let store = Store::of(engine);
    for offered in proposal.changes.iter().filter_map(|change| change.after.as_ref()) {
        keep(&store, offered)?;
    }
    if !proposal.changes() {
        return Ok(());
    }
    let path = directory.join(LOCK_FILE);
    if bytes(directory)? != proposal.from {
        return Err(EngineError::LockMoved { path });
    }
    let bytes =
        proposal.lock.to_bytes().map_err(|source| EngineError::Document { path: path.clone(), source })?;
    files::replace(&path, &bytes)
}

fn keep(store: &Store, offered: &Offered) -> Result<(), EngineError> {
    store.keep_manifest(&offered.manifest_bytes)?;
    store.keep_program(&offered.program)?;
    Ok(())
}

/// Brings to the store what the lock file names, from where it came; answers with the names of what was
/// brought. The lock file stays as it is.
///
/// # Errors
/// When the lock file is not sound, a publisher is not accepted, or what is at a source is not what is
/// locked.
pub fn fetch(engine: &Engine, directory: &Path) -> Result<Vec<String>, EngineError> {
    Project::read(directory)?;
    let lock = read(directory)?.unwrap_or_default();
    let (store, trust) = (Store::of(engine), gate::trust(engine)?);
    let mut fetched = Vec::new();
    for (name, entry) in &lock.providers {
        accepted(engine, trust.as_ref(), &entry.release)?;
        let platform = rectify_host::executable::platform();
        let Some(file) = entry.release.file(&platform) else {
            return Err(EngineError::NoPlatform { name: name.clone(), platform });
        };
        let there = store.manifest(name, entry.release.manifest).is_ok()
            && store.read_program(name, file.digests()).is_ok();
        if there {
            continue;
        }
        let source = directory.join(entry.path().unwrap_or_default());
        let offered = Offered::read(&source)?;
        if offered.release != entry.release {
            return Err(EngineError::OtherRelease { name: name.clone(), directory: source });
        }
        keep(&store, &offered)?;
        fetched.push(name.clone());
    }
    Ok(fetched)
}

/// How the lock file names a source: as it was given, if that is absolute; else relative to the project.
fn source_of(project: &Path, source: &Path) -> Result<String, EngineError> {
    let path = if source.is_absolute() {
        source.to_owned()
    } else {
        let canonical =
            |path: &Path| std::fs::canonicalize(path).map_err(|e| EngineError::file(FileVerb::Read, path, e));
        relative(&canonical(project)?, &canonical(source)?)
    };
    let text = path.to_str().map(|path| format!("{FILE_SOURCE}{path}"));
    text.ok_or_else(|| {
        let message = "its path is not UTF-8, so the lock file cannot name it".to_owned();
        EngineError::Release { path, message }
    })
}

/// The way from one absolute path to another.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let (from, to): (Vec<_>, Vec<_>) = (from.components().collect(), to.components().collect());
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from.iter().skip(common).map(|_| Component::ParentDir);
    let path: PathBuf = up.chain(to.iter().skip(common).copied()).collect();
    if path.as_os_str().is_empty() { PathBuf::from(".") } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_named_from_the_project() {
        for (from, to, way) in [
            ("/a/project", "/a/project/providers/acme", "providers/acme"),
            ("/a/project", "/a/acme/dist", "../acme/dist"),
            ("/a/project", "/a/project", "."),
            ("/a/project", "/b", "../../b"),
        ] {
            assert_eq!(relative(Path::new(from), Path::new(to)), Path::new(way));
        }
    }
}
