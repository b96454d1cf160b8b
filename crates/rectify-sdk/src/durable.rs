//! Files that are whole or absent, and still there after a power cut.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};
use tempfile::{Builder, NamedTempFile};

/// Prefix of files that were not finished. Nothing reads them.
pub(crate) const UNFINISHED: &str = ".tmp-";

/// Writes a file beside its final place (mode 0600) and brings it to the disk.
pub(crate) fn unfinished(dir: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let mut file = Builder::new().prefix(UNFINISHED).tempfile_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Puts a whole file in its place, over what is there. Durable on return.
pub(crate) fn replace(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    unfinished(dir, bytes)?.persist(dir.join(name)).map_err(|e| e.error)?;
    sync_directory(dir)
}

/// Brings a directory's entries to the disk.
pub(crate) fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Reads a file; `None` where there is none.
pub(crate) fn read_if_exists(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}
