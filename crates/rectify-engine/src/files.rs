//! Reading files that others may have made, and writing files that must survive a crash.

use crate::{EngineError, error::FileVerb};
use rustix::{
    fs::{Mode, OFlags, ResolveFlags, open, openat2},
    io::Errno,
};
use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
};

/// A FIFO is opened without waiting for its writer, and refused then.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// Reads a regular file. Never waits for whoever might write to a FIFO, and never reads more than
/// one byte beyond the limit, whatever size the file is said to have.
///
/// # Errors
/// When it cannot be read, is no regular file, or is too large.
pub fn read_bounded(path: &Path, limit_bytes: usize) -> Result<Vec<u8>, EngineError> {
    let error = |e| EngineError::file(FileVerb::Read, path, e);
    match read_regular(path, limit_bytes).map_err(error)? {
        Some(bytes) => Ok(bytes),
        None => Err(EngineError::TooLarge { path: path.to_owned(), limit_bytes }),
    }
}

/// Reads a regular file of text, see [`read_bounded`].
///
/// # Errors
/// Likewise; or it is not UTF-8.
pub fn read_text(path: &Path, limit_bytes: usize) -> Result<String, EngineError> {
    String::from_utf8(read_bounded(path, limit_bytes)?)
        .map_err(|e| EngineError::file(FileVerb::Read, path, io::Error::new(io::ErrorKind::InvalidData, e)))
}

/// Reads a regular file at a path relative to a directory. No part of the path may be a link.
///
/// # Errors
/// When it cannot be read, is no regular file, is reached through a link, or is too large.
pub fn read_beneath(directory: &Path, path: &str, limit_bytes: usize) -> Result<Vec<u8>, EngineError> {
    let full = directory.join(path);
    let error = |e| EngineError::file(FileVerb::Read, &full, e);
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let opened = open(directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .and_then(|directory| openat2(directory, path, READ, Mode::empty(), beneath));
    let file = opened.map_err(|e| match e {
        Errno::LOOP => error(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a link: templates and files lie in the project itself",
        )),
        other => error(other.into()),
    })?;
    match read_open(file.into(), limit_bytes).map_err(error)? {
        Some(bytes) => Ok(bytes),
        None => Err(EngineError::TooLarge { path: full, limit_bytes }),
    }
}

/// Reads a regular file; `None` if it is larger than the limit.
pub(crate) fn read_regular(path: &Path, limit_bytes: usize) -> io::Result<Option<Vec<u8>>> {
    read_open(fs::File::from(open(path, READ, Mode::empty())?), limit_bytes)
}

fn read_open(file: fs::File, limit_bytes: usize) -> io::Result<Option<Vec<u8>>> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(limit_bytes as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= limit_bytes).then_some(bytes))
}

/// Replaces a file: temporary file beside it, sync, rename, sync of the directory.
///
/// # Errors
/// When it cannot be written.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    replace_with_mode(path, bytes, 0o644)
}

/// Replaces a file that nobody else may read.
///
/// # Errors
/// When it cannot be written.
pub fn replace_private(path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    replace_with_mode(path, bytes, 0o600)
}

pub(crate) fn replace_with_mode(path: &Path, bytes: &[u8], mode: u32) -> Result<(), EngineError> {
    let error = |e| EngineError::file(FileVerb::Write, path, e);
    let mut file = tempfile::NamedTempFile::new_in(parent(path)).map_err(error)?;
    file.write_all(bytes).map_err(error)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
    file.as_file().set_permissions(mode).map_err(error)?;
    file.as_file().sync_all().map_err(error)?;
    file.persist(path).map_err(|e| error(e.error))?;
    sync_directory_of(path)
}

/// Writes a file that must not be there yet.
///
/// # Errors
/// When it cannot be written, or is there.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    let error = |e| EngineError::file(FileVerb::Write, path, e);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path).map_err(error)?;
    file.write_all(bytes).map_err(error)?;
    file.sync_all().map_err(error)?;
    sync_directory_of(path)
}

/// Writes a file that nobody else may read, unless one is there. Whoever looks finds none or a whole one.
///
/// # Errors
/// When it cannot be written.
pub fn place_private(path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    let error = |e| EngineError::file(FileVerb::Write, path, e);
    // Its mode is 0600 from the beginning.
    let mut file = tempfile::NamedTempFile::new_in(parent(path)).map_err(error)?;
    file.write_all(bytes).map_err(error)?;
    file.as_file().sync_all().map_err(error)?;
    match file.persist_noclobber(path) {
        Err(failed) if failed.error.kind() != io::ErrorKind::AlreadyExists => Err(error(failed.error)),
        _ => sync_directory_of(path),
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync_directory_of(path: &Path) -> Result<(), EngineError> {
    let synced = fs::File::open(parent(path)).and_then(|directory| directory.sync_all());
    synced.map_err(|e| EngineError::file(FileVerb::Write, path, e))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn who_comes_second_finds_what_is_there_whole() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("key");
        let all: Vec<Vec<u8>> = (0..8_u8).map(|number| vec![b'0' + number; 4096]).collect();
        std::thread::scope(|scope| {
            for bytes in &all {
                scope.spawn(|| {
                    place_private(&path, bytes).unwrap();
                    assert!(all.contains(&fs::read(&path).unwrap()));
                });
            }
        });
        let kept = fs::read(&path).unwrap();
        place_private(&path, b"later").unwrap();
        assert_eq!(fs::read(&path).unwrap(), kept);
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "nothing unfinished is left");
    }
}
