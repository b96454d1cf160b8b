//! Small files of the target, by path: read whole, and written whole or not at all.

use crate::{Context, Folder, Owned, SmallFile, open_beneath, real_path_beneath};
use rectify_protocol::{ErrorCode, ItemError};
use rustix::fs::OFlags;
use std::{
    collections::BTreeMap,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Permission bits of others: to read a file, to pass a directory.
const OTHERS_READ: u32 = 0o004;
const OTHERS_PASS: u32 = 0o001;

/// A regular file as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFile {
    /// All of its content.
    pub bytes: Vec<u8>,
    /// Owner and permission bits.
    pub owned: Owned,
    /// Whether others may not read it, by its own permission bits or by those of a directory above it. What
    /// it holds must not be in a state then.
    pub is_private: bool,
}

impl FoundFile {
    /// Its content as a text, for a state, which everybody sees.
    ///
    /// # Errors
    /// `UNSUPPORTED` if others may not read it, `CONFLICT` if it is no text; neither says what is in it.
    pub fn public_text(self) -> Result<String, ItemError> {
        if self.is_private {
            let message = "others may not read this file, so its content must not be in a plan";
            return Err(ItemError::new(ErrorCode::Unsupported, message));
        }
        String::from_utf8(self.bytes)
            .map_err(|_| ItemError::new(ErrorCode::Conflict, "this file is no text in UTF-8"))
    }
}

/// What an operation has read, so that it is noticed if it is something else when it is written.
#[derive(Default)]
pub(crate) struct Seen(Mutex<BTreeMap<PathBuf, Option<SmallFile>>>);

impl Seen {
    fn keep(&self, path: &Path, file: Option<SmallFile>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), file);
    }

    fn take(&self, path: &Path) -> Option<Option<SmallFile>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(path)
    }
}

impl Context {
    /// Reads a regular file of at most `max_bytes` by its absolute path beneath the root. `None`: there is
    /// none. Links are followed in the directories above it, never in its own place.
    ///
    /// # Errors
    /// `CONFLICT` for what is no regular file, `UNSUPPORTED` for a longer one, and whatever keeps it from being
    /// read.
    pub fn read_file(&self, path: impl AsRef<Path>, max_bytes: u64) -> Result<Option<FoundFile>, ItemError> {
        let path = path.as_ref();
        let (above, name) = parts(path)?;
        let found = match self.folder(above)? {
            Some(folder) => folder.read(name, max_bytes)?,
            None => None,
        };
        if self.operation().is_some() {
            let known = found.as_ref().map(SmallFile::without_content);
            self.seen.keep(path, known);
        }
        let Some(SmallFile { bytes, owned, .. }) = found else { return Ok(None) };
        let is_private = owned.mode & OTHERS_READ == 0 || self.is_closed(above);
        Ok(Some(FoundFile { bytes, owned, is_private }))
    }

    /// Puts a file in its place beneath the root, whole, durably and at once. A file that is there keeps its
    /// owner and permission bits, a new one gets the bits that are given. The directory must exist.
    ///
    /// # Errors
    /// `STALE` if the operation has read it before and something else is there by now. Nothing is changed by an
    /// error that does not say so.
    pub fn write_file(&self, path: impl AsRef<Path>, bytes: &[u8], new_mode: u32) -> Result<(), ItemError> {
        self.put(path.as_ref(), bytes, |found| found.map_or(new_mode, |found| found.mode))
    }

    /// As [`Context::write_file`]; a file that is there gets the permission bits, too.
    ///
    /// # Errors
    /// As [`Context::write_file`].
    pub fn write_file_with_mode(
        &self,
        path: impl AsRef<Path>,
        bytes: &[u8],
        mode: u32,
    ) -> Result<(), ItemError> {
        self.put(path.as_ref(), bytes, |_| mode)
    }

    fn put(
        &self,
        path: &Path,
        bytes: &[u8],
        mode: impl FnOnce(Option<Owned>) -> u32,
    ) -> Result<(), ItemError> {
        let (above, name) = parts(path)?;
        let folder = self.folder(above)?.ok_or_else(|| {
            let message = format!("the directory `{}` does not exist", above.display());
            ItemError::new(ErrorCode::Failed, message).hint("make it in a step before")
        })?;
        let found = self.what_was_there(&folder, path, name)?;
        let owner = found.as_ref().map(|file| file.owned);
        let mode = mode(owner);
        let ours = || Owned {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            mode,
        };
        let owned = owner.map_or_else(ours, |owner| Owned { mode, ..owner });
        folder.replace(self, name, found.as_ref(), bytes, owned)?;
        self.touched();
        Ok(())
    }

    /// Removes a regular file beneath the root, durably. If there is none, all is well.
    ///
    /// # Errors
    /// As [`Context::write_file`].
    pub fn remove_file(&self, path: impl AsRef<Path>) -> Result<(), ItemError> {
        let path = path.as_ref();
        let (above, name) = parts(path)?;
        let Some(folder) = self.folder(above)? else { return Ok(()) };
        if let Some(file) = self.what_was_there(&folder, path, name)? {
            folder.remove(name, &file)?;
            self.touched();
        }
        Ok(())
    }

    /// What the operation read at this place, or what is there now if it did not look.
    fn what_was_there(
        &self,
        folder: &Folder,
        path: &Path,
        name: &str,
    ) -> Result<Option<SmallFile>, ItemError> {
        match self.seen.take(path) {
            Some(known) => Ok(known),
            None => folder.look(name),
        }
    }

    /// A directory; `None` where there is none.
    fn folder(&self, path: &Path) -> Result<Option<Folder>, ItemError> {
        match open_beneath(self.root(), path, OFlags::PATH | OFlags::DIRECTORY) {
            // What is no directory holds no file.
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => Ok(None),
            _ => Folder::open(self.root(), path),
        }
    }

    /// Whether a directory, or one above it up to the root, keeps others out.
    fn is_closed(&self, path: &Path) -> bool {
        let Ok(real) = real_path_beneath(self.root(), path) else { return true };
        let root = self.root().and_then(|root| root.canonicalize().ok());
        let below = |path: &&Path| root.as_ref().is_none_or(|root| path.starts_with(root) && *path != root);
        real.ancestors().take_while(below).any(|path| {
            let mode = path.metadata().map(|metadata| metadata.permissions().mode());
            mode.map_or(true, |mode| mode & OTHERS_PASS == 0)
        })
    }
}

/// The directory and the name of a file.
fn parts(path: &Path) -> Result<(&Path, &str), ItemError> {
    let name = path.file_name().and_then(|name| name.to_str());
    path.parent().zip(name).filter(|_| path.is_absolute()).ok_or_else(|| {
        let message = format!("`{}` is not the absolute path of a file", path.display());
        ItemError::new(ErrorCode::Schema, message)
    })
}
