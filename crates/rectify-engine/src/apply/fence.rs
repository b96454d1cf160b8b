//! Before a run that another engine had looks at a target: from here on nothing lands there under a lower
//! fence, and what was being written is waited for. The files are those of the providers' ledgers, as
//! `rectify-sdk` describes them: `fence` holds the highest fence, who acts under fence N holds a shared
//! lock on `acting-N`.

use crate::{EngineError, error::FileVerb, files::replace_private};
use rectify_model::observation::Identity;
use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// Longest wait for what is still being written.
const WAIT_MAX: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

/// Shuts everybody with a lower fence out of a target.
///
/// # Errors
/// When a higher fence was seen there, or something is still being written.
pub fn raise(state: &Path, identity: &Identity, fence: u64) -> Result<(), EngineError> {
    let directory = state.join("ledger").join(crate::lock::scope(identity));
    shut_out(&directory, fence).map_err(|e| EngineError::file(FileVerb::Write, &directory, e))?;
    Ok(())
}

fn shut_out(directory: &Path, fence: u64) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let deadline = Instant::now() + WAIT_MAX;
    let raising = open(&directory.join("fence.lock"))?;
    wait(&raising, deadline, "another run is taking over")?;
    let known = directory.join("fence");
    let highest: u64 = match fs::read_to_string(&known) {
        Ok(text) => text.trim().parse().map_err(|e| io::Error::other(format!("the fence: {e}")))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    if highest > fence {
        let message = format!("a run with fence {highest} came after this one, which has fence {fence}");
        return Err(io::Error::other(message));
    }
    if highest < fence {
        replace_private(&known, format!("{fence}\n").as_bytes()).map_err(io::Error::other)?;
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let lower: Option<u64> =
            name.to_str().and_then(|name| name.strip_prefix("acting-")).and_then(|text| text.parse().ok());
        if lower.is_some_and(|lower| lower < fence) {
            match OpenOptions::new().write(true).open(entry.path()) {
                Ok(file) => {
                    wait(&file, deadline, "an operation of an earlier run is still being carried out")?
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            }
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
    }
    Ok(())
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}

fn wait(file: &File, deadline: Instant, what: &str) -> io::Result<()> {
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(io::Error::new(io::ErrorKind::WouldBlock, what));
            }
            Err(TryLockError::WouldBlock) => thread::sleep(POLL),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_fence_only_grows_and_waits_for_what_is_being_written() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("ledger");
        shut_out(&directory, 7).unwrap();
        assert_eq!(fs::read_to_string(directory.join("fence")).unwrap(), "7\n");
        shut_out(&directory, 7).unwrap();
        assert!(shut_out(&directory, 6).unwrap_err().to_string().contains("fence 7 came after"));
        let acting = directory.join("acting-7");
        let writing = open(&acting).unwrap();
        writing.lock_shared().unwrap();
        let waiting = thread::spawn({
            let directory = directory.clone();
            move || shut_out(&directory, 8)
        });
        while fs::read_to_string(directory.join("fence")).unwrap() != "8\n" {
            thread::sleep(POLL);
        }
        assert!(!waiting.is_finished(), "it waits for what is being written");
        drop(writing);
        waiting.join().unwrap().unwrap();
        assert!(!acting.exists());
    }
}
