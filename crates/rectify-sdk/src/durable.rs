//! Files that are whole or absent, and still there after a power cut.

use crate::shared_sync;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::SystemTime,
};
use tempfile::{Builder, NamedTempFile};

/// Prefix of files that were not finished. Nothing reads them.
pub(crate) const UNFINISHED: &str = ".tmp-";

/// Name of the file whose lock keeps placing and deleting apart.
const LOCK: &str = ".lock";

/// Writes a file beside its final place (mode 0600) and brings it to the disk.
pub(crate) fn unfinished(dir: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let file = beside(dir, bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Puts a whole file in its place, over what is there. Durable on return.
pub(crate) fn replace(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    unfinished(dir, bytes)?.persist(dir.join(name)).map_err(|e| e.error)?;
    sync_directory(dir)
}

/// Puts a file in its place whose name says what is in it, and returns it: the content is durable once that
/// is synced, its name once the directory is. One wait for the disk in the common case: where nothing has
/// that name, nobody can rely on it yet, so the name may be there before the content is. What is there already
/// is never replaced by something that is not on the disk.
pub(crate) fn place(
    dir: &Path,
    name: &str,
    file: NamedTempFile,
    is_whole: impl Fn(&mut File) -> io::Result<bool>,
) -> io::Result<File> {
    let path = dir.join(name);
    let fresh = match file.persist_noclobber(&path) {
        Ok(placed) => return Ok(placed),
        Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => failed.file,
        Err(failed) => return Err(failed.error),
    };
    // What is old may be deleted, unless it is made younger first.
    let lock =
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(dir.join(LOCK))?;
    lock.lock_shared()?;
    let there = match File::open(&path) {
        Ok(mut there) => is_whole(&mut there)?.then_some(there),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(e),
    };
    if let Some(there) = there {
        there.set_modified(SystemTime::now())?;
        // Somebody may have put it there a moment ago, and still be waiting for the disk.
        Ok(there)
    } else {
        fresh.as_file().sync_all()?;
        fresh.persist(&path).map_err(|e| e.error)
    }
}

/// The same for a content that one write takes. Where nothing has the name it is written under it at once,
/// which spares the disk another name. What a full disk leaves of it is not whole, and counts as nothing.
pub(crate) fn place_short(
    dir: &Path,
    name: &str,
    bytes: &[u8],
    is_whole: impl Fn(&mut File) -> io::Result<bool>,
) -> io::Result<File> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(dir.join(name)) {
        Ok(mut file) => file.write_all(bytes).map(|()| file),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => place(dir, name, beside(dir, bytes)?, is_whole),
        Err(e) => Err(e),
    }
}

/// Writes a file beside its final place (mode 0600).
pub(crate) fn beside(dir: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let mut file = Builder::new().prefix(UNFINISHED).tempfile_in(dir)?;
    file.write_all(bytes)?;
    Ok(file)
}

/// Brings a directory's entries to the disk.
pub(crate) fn sync_directory(dir: &Path) -> io::Result<()> {
    Ok(shared_sync::sync_directory(File::open(dir)?)?)
}

/// Reads a file; `None` where there is none.
pub(crate) fn read_if_exists(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}
