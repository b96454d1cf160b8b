//! Files beneath the directory that stands for `/`, read within bounds.

use rectify_sdk::{
    open_beneath,
    protocol::{ErrorCode, ItemError},
};
use rustix::{
    fd::OwnedFd,
    fs::{Dir, FileType, OFlags, readlinkat},
};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::Path,
};

/// The files of a target.
pub(crate) struct Files<'a> {
    root: Option<&'a Path>,
}

/// What an entry of a directory is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    File,
    Directory,
    /// A link, and where it leads.
    Link(String),
}

impl<'a> Files<'a> {
    pub fn new(root: Option<&'a Path>) -> Self {
        Self { root }
    }

    /// Whether this is a whole machine that is running: a directory has no kernel and no network.
    pub fn is_machine(&self) -> bool {
        self.root.is_none()
    }

    /// A regular file; nothing if there is none.
    pub fn read(&self, path: &str, most_bytes: usize) -> Result<Option<Vec<u8>>, ItemError> {
        let Some(file) = self.open(path, OFlags::RDONLY | OFlags::NONBLOCK)? else { return Ok(None) };
        let file = File::from(file);
        if !file.metadata().map_err(|e| failed(path, &e))?.is_file() {
            return Err(ItemError::new(ErrorCode::Unsupported, format!("{path} is not a regular file")));
        }
        let mut bytes = Vec::new();
        let most = u64::try_from(most_bytes).unwrap_or(u64::MAX);
        file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| failed(path, &e))?;
        if bytes.len() > most_bytes {
            let message = format!("{path} is longer than {most_bytes} bytes");
            return Err(ItemError::new(ErrorCode::Unsupported, message));
        }
        Ok(Some(bytes))
    }

    /// Whether something is at a path.
    pub fn exists(&self, path: &str) -> Result<bool, ItemError> {
        Ok(self.open(path, OFlags::PATH)?.is_some())
    }

    /// The entries of a directory, by name; nothing if there is none. Names that are not UTF-8 are left
    /// out: no expression could name them.
    pub fn list(&self, path: &str, most: usize) -> Result<Option<BTreeMap<String, Entry>>, ItemError> {
        let Some(directory) = self.open(path, OFlags::RDONLY | OFlags::DIRECTORY)? else { return Ok(None) };
        let error = |e: rustix::io::Errno| failed(path, &e.into());
        let mut found = BTreeMap::new();
        for entry in Dir::read_from(&directory).map_err(error)? {
            let entry = entry.map_err(error)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if matches!(name, "." | "..") {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Directory => Entry::Directory,
                FileType::Symlink => {
                    let target = readlinkat(&directory, entry.file_name(), Vec::new()).map_err(error)?;
                    Entry::Link(target.to_string_lossy().into_owned())
                }
                _ => Entry::File,
            };
            found.insert(name.to_owned(), kind);
            if found.len() > most {
                return Err(crate::too_many(&format!("entries in {path}"), most));
            }
        }
        Ok(Some(found))
    }

    fn open(&self, path: &str, flags: OFlags) -> Result<Option<OwnedFd>, ItemError> {
        match open_beneath(self.root, Path::new(path), flags) {
            Ok(file) => Ok(Some(file)),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(e) => Err(failed(path, &e)),
        }
    }
}

fn failed(path: &str, error: &io::Error) -> ItemError {
    let code = match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorCode::Permission,
        _ => ErrorCode::Failed,
    };
    ItemError::new(code, format!("{path} cannot be read: {error}"))
}
