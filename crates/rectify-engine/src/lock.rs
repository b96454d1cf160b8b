//! One run at a time on a target: a lock of the operating system on a file named after the target's
//! identity. It ends with the process, so a crash leaves none behind.

use crate::{EngineError, error::FileVerb, files::read_regular};
use rectify_base::{Digest, TargetName};
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
    let mut targets: Vec<(&Digest, &TargetName)> = plan
        .targets
        .iter()
        .map(|(name, target)| {
            let (Identity::Machine(digest) | Identity::Root(digest)) = &target.identity;
            (digest, name)
        })
        .collect();
    targets.sort();
    // Two names of one target are one lock.
    targets.dedup_by_key(|(digest, _)| *digest);
    let files = targets.into_iter().map(|(digest, name)| lock(&directory, digest, name, run));
    Ok(Locks { _files: files.collect::<Result<_, _>>()? })
}

fn lock(directory: &Path, identity: &Digest, target: &TargetName, run: &RunId) -> Result<File, EngineError> {
    let path = directory.join(identity.hex());
    let error = |e| EngineError::file(FileVerb::Write, &path, e);
    let mut file =
        File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(error)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = read_regular(&path, HOLDER_MAX_BYTES).ok().flatten().unwrap_or_default();
            let holder = String::from_utf8_lossy(&holder).trim_end().to_owned();
            let holder = if holder.is_empty() { "another run".to_owned() } else { holder };
            return Err(EngineError::Locked { target: target.clone(), holder });
        }
        Err(TryLockError::Error(source)) => return Err(error(source)),
    }
    // Only for the message to whoever finds it taken.
    let short: String = run.as_str().chars().take(16).collect();
    file.set_len(0).map_err(error)?;
    writeln!(file, "run {short} (process {})", std::process::id()).map_err(error)?;
    Ok(file)
}
