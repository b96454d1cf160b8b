//! One run at a time on a target: a lock of the operating system on a file named after the target's
//! identity. It ends with the process, so a crash leaves none behind.

use crate::{EngineError, error::FileVerb, files::read_regular};
use rectify_base::TargetName;
use rectify_model::{Plan, journal::RunId, observation::Identity};
use std::{
    fs::{self, File, TryLockError},
    io::Write,
    path::Path,
};

const DIRECTORY: &str = "locks";
const HOLDER_MAX_BYTES: usize = 1024;

/// The locks of a run. They are given up when this is dropped.
#[derive(Debug)]
pub struct Locks {
    _files: Vec<File>,
}

/// Takes the locks of all targets of a plan, in the order of their identities, so that two runs
/// with several targets cannot wait for each other.
///
/// # Errors
/// [`EngineError::Locked`] with the holder if one is taken; or when the directory cannot be used.
pub fn take(state: &Path, plan: &Plan, run: &RunId) -> Result<Locks, EngineError> {
    let directory = state.join(DIRECTORY);
    fs::create_dir_all(&directory).map_err(|e| EngineError::file(FileVerb::Write, &directory, e))?;
    let mut targets: Vec<(String, &TargetName)> =
        plan.targets.iter().map(|(name, target)| (scope(&target.identity), name)).collect();
    targets.sort();
    // Two names of one target are one lock.
    targets.dedup_by(|a, b| a.0 == b.0);
    let files = targets.into_iter().map(|(scope, name)| lock(&directory, &scope, name, run));
    Ok(Locks { _files: files.collect::<Result<_, _>>()? })
}

/// What is locked for a target: its identity, whatever it is called.
#[must_use]
pub fn scope(identity: &Identity) -> String {
    let (Identity::Machine(digest) | Identity::Root(digest)) = identity;
    digest.hex()
}

/// What is locked for a plan, sorted.
#[must_use]
pub fn scopes(plan: &Plan) -> Vec<String> {
    let mut scopes: Vec<String> = plan.targets.values().map(|target| scope(&target.identity)).collect();
    scopes.sort();
    scopes.dedup();
    scopes
}

/// Whether somebody on this machine has the lock of a scope now.
#[must_use]
pub fn is_taken(state: &Path, scope: &str) -> bool {
    let file = File::open(state.join(DIRECTORY).join(scope));
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn lock(directory: &Path, scope: &str, target: &TargetName, run: &RunId) -> Result<File, EngineError> {
    let path = directory.join(scope);
    let error = |e| EngineError::file(FileVerb::Write, &path, e);
    let mut file =
        File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(error)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = read_regular(&path, HOLDER_MAX_BYTES).ok().flatten().unwrap_or_default();
            let holder = String::from_utf8_lossy(&holder).trim_end().to_owned();
            let holder = if holder.is_empty() { "another run".to_owned() } else { holder };
            return Err(EngineError::Locked { target: target.clone(), holder, age_s: None });
        }
        Err(TryLockError::Error(source)) => return Err(error(source)),
    }
    // Only for the message to whoever finds it taken.
    let short: String = run.as_str().chars().take(16).collect();
    file.set_len(0).map_err(error)?;
    writeln!(file, "run {short} (process {})", std::process::id()).map_err(error)?;
    Ok(file)
}
