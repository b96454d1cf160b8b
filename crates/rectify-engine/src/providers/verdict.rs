//! What testers found of locked providers: signed verdicts of the conformance kit, in the project beside the
//! lock file. Policy sees those that are signed by keys that count, about executables that are locked.

use super::{Program, Providers, Store, lock, stored};
use crate::{Engine, EngineError, error::FileVerb, files, gate, project::Project};
use rectify_attest::conformance::Verdict;
use rectify_base::limits::ENVELOPE_MAX_BYTES;
use rectify_policy::ProviderVerdict;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

/// The directory of a project with signed verdicts.
pub const VERDICTS: &str = "conformance";

/// The verdicts of a project that count, by the provider's name. What is signed by nobody whom the trust file
/// knows now, or is about something else than what is locked, says nothing, as if it were not there.
///
/// # Errors
/// When the lock file or the trust file is not sound, or a verdict cannot be read.
pub fn verdicts(
    engine: &Engine,
    directory: &Path,
) -> Result<BTreeMap<String, Vec<ProviderVerdict>>, EngineError> {
    let mut found: BTreeMap<String, BTreeSet<ProviderVerdict>> = BTreeMap::new();
    let (Some(lock), Some(trust)) = (lock::read(directory)?, gate::trust(engine)?) else {
        return Ok(BTreeMap::new());
    };
    let now = (engine.now_ms)() / 1000;
    for path in envelopes(directory)? {
        let bytes = files::read_bounded(&path, ENVELOPE_MAX_BYTES)?;
        let counts = |keyid: &str| {
            let (key, _, record) = trust.key_with_id(keyid)?;
            record.refused_at(now).is_none().then_some(key)
        };
        let Ok((verdict, key)) = Verdict::signed(&bytes, counts) else { continue };
        let Some(tester) = trust.holder(&key) else { continue };
        let seen = &verdict.provider;
        let Some(release) = lock.providers.get(&seen.name).map(|entry| &entry.release) else { continue };
        let tested = release.files.iter().find(|(_, file)| Some(file.digests()) == seen.executable);
        let Some((platform, _)) = tested.filter(|_| seen.manifest == release.manifest.blake3) else {
            continue;
        };
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        found.entry(seen.name.clone()).or_default().insert(ProviderVerdict {
            tester: tester.to_string(),
            platform: platform.clone(),
            protocol: verdict.protocol.clone(),
            kit: verdict.kit.clone(),
            fixtures: verdict.fixtures.to_string(),
            passed: count(verdict.counts.pass),
            failed: count(verdict.counts.fail),
            skipped: count(verdict.counts.skip),
        });
    }
    Ok(found.into_iter().map(|(name, all)| (name, all.into_iter().collect())).collect())
}

/// Files with verdicts, sorted.
fn envelopes(directory: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let directory = directory.join(VERDICTS);
    let error = |e| EngineError::file(FileVerb::Read, &directory, e);
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(error(e)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(error)?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The file of the store with the locked program of a provider for this machine, compared just now: for the
/// kit, which starts it by its path and says which bytes it tested.
///
/// # Errors
/// When the provider is not locked, not stored as it was locked, or has no program for this machine.
pub fn tested(engine: &Engine, directory: &Path, name: &str) -> Result<PathBuf, EngineError> {
    let project = Project::read(directory)?;
    let lock = lock::of_project(&project)?.unwrap_or_default();
    let Some(entry) = lock.providers.get(name) else {
        return Err(EngineError::NotLocked { name: name.to_owned() });
    };
    // What only shows beside the others.
    Providers::of_project(engine, &project)?;
    let provider = stored(&Store::of(engine), entry)?;
    provider.open()?;
    match provider.program {
        Program::Stored { path, .. } => Ok(path),
        Program::Opened(_) | Program::Elsewhere { .. } => Err(EngineError::NoPlatform {
            name: name.to_owned(),
            platform: rectify_host::executable::platform(),
        }),
    }
}

/// Keeps a signed verdict in the project; its file is named by provider and executable.
///
/// # Errors
/// When it cannot be written.
pub fn keep_verdict(directory: &Path, verdict: &Verdict, envelope: &[u8]) -> Result<PathBuf, EngineError> {
    let directory = directory.join(VERDICTS);
    fs::create_dir_all(&directory).map_err(|e| EngineError::file(FileVerb::Write, &directory, e))?;
    let digits = verdict.provider.executable.map(|digests| digests.blake3.hex()).unwrap_or_default();
    let digits = digits.get(..16).unwrap_or_default();
    let path = directory.join(format!("{}-{digits}.json", verdict.provider.name));
    files::replace(&path, envelope)?;
    Ok(path)
}
