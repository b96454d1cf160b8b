//! Space on the disk: how much must be there to begin, and a reserve for what must still be stored
//! when there is none.

use crate::StoreError;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Least free space to begin a run, in bytes.
pub const FREE_MIN_BYTES: u64 = 64 * 1024 * 1024;
/// Size of the reserve, in bytes.
pub const RESERVE_BYTES: u64 = 16 * 1024 * 1024;
/// Name of the reserve, beside the journal.
pub const RESERVE_NAME: &str = "reserve";

/// Free space of the file system of a directory, in bytes, for whoever asks.
///
/// # Errors
/// [`StoreError::Io`].
pub fn free(directory: &Path) -> Result<u64, StoreError> {
    let found = rustix::fs::statvfs(directory).map_err(|error| StoreError::io(directory, &error.into()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Refuses to begin a run where [`FREE_MIN_BYTES`] or four times the plan's size are not free.
///
/// # Errors
/// [`StoreError::Space`], [`StoreError::Io`].
pub fn require(directory: &Path, plan_bytes: u64) -> Result<(), StoreError> {
    let needed = FREE_MIN_BYTES.max(plan_bytes.saturating_mul(4));
    let free = free(directory)?;
    if free >= needed { Ok(()) } else { Err(StoreError::Space { path: directory.to_owned(), free, needed }) }
}

/// A file that takes up space until that is needed.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    there: bool,
}

impl Reserve {
    /// Makes the reserve beside the journal if it is not there. Without space for it there is
    /// none, nor with a size of 0.
    pub fn make(journal: &Path, bytes: u64) -> Result<Self, StoreError> {
        let path = journal.with_file_name(RESERVE_NAME);
        let io = |error: io::Error| StoreError::io(&path, &error);
        if bytes == 0 {
            return Ok(Self { path, there: false });
        }
        match path.symlink_metadata() {
            Ok(found) if found.is_file() && found.len() >= bytes => return Ok(Self { path, there: true }),
            Ok(_) => fs::remove_file(&path).map_err(io)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io(error)),
        }
        match fill(&path, bytes) {
            Ok(()) => Ok(Self { path, there: true }),
            // Another process makes it at the same time.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Self { path, there: true }),
            Err(error) if no_space(&error) => {
                // A part of a reserve would only be in the way.
                let _ = fs::remove_file(&path);
                Ok(Self { path, there: false })
            }
            Err(error) => Err(io(error)),
        }
    }

    /// Whether it is there.
    pub const fn there(&self) -> bool {
        self.there
    }

    /// Gives the space back. Answers whether there was any.
    pub fn release(&mut self) -> bool {
        if !std::mem::take(&mut self.there) {
            return false;
        }
        let released = fs::remove_file(&self.path).is_ok();
        // File systems with a journal of their own give the blocks back with its next commit.
        if let Some(directory) = self.path.parent() {
            let _ = File::open(directory).and_then(|directory| directory.sync_all());
        }
        released
    }
}

fn no_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

fn fill(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
            let block = [0_u8; 64 * 1024];
            let mut left = bytes;
            while left > 0 {
                let now = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
                file.write_all(block.get(..now).unwrap_or_default())?;
                left -= now as u64;
            }
            file.sync_all()
        }
        Err(error) => Err(error.into()),
    }
}
