//! The store: executables and manifests of locked providers in the state directory, each file named by
//! the digest of its bytes. What is read from it is compared each time; a name alone proves nothing.

use crate::{Engine, EngineError, error::FileVerb, files};
use rectify_attest::release::FILE_MAX_BYTES;
use rectify_base::{Digest, FileDigests, canonical};
use rectify_protocol::Manifest;
use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Its directory in the state directory.
pub const STORE: &str = "store";
/// Largest manifest.
pub(super) const MANIFEST_MAX_BYTES: usize = 16 * 1024 * 1024;
/// Nobody writes to what is named by its content.
const PROGRAM_MODE: u32 = 0o500;
const MANIFEST_MODE: u32 = 0o400;

/// Executables and manifests by digest.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

impl Store {
    /// That of an engine; it need not be there.
    #[must_use]
    pub fn of(engine: &Engine) -> Self {
        Self { directory: engine.places.state.join(STORE) }
    }

    /// Where an executable lies.
    #[must_use]
    pub fn program(&self, digest: &Digest) -> PathBuf {
        self.directory.join(digest.hex())
    }

    /// Where a manifest lies.
    #[must_use]
    pub fn manifest_path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(format!("{}.manifest.json", digest.hex()))
    }

    /// The manifest of a provider, if it is the locked one.
    ///
    /// # Errors
    /// When it is not there, is another one, or cannot be read.
    pub fn manifest(&self, name: &str, digests: FileDigests) -> Result<Manifest, EngineError> {
        let path = self.manifest_path(&digests.blake3);
        if path.symlink_metadata().is_err() {
            return Err(EngineError::NotStored { name: name.to_owned(), path });
        }
        let bytes = files::read_bounded(&path, MANIFEST_MAX_BYTES)?;
        let found = FileDigests::of_bytes(&bytes);
        if found != digests {
            let (expected, found) = (digests.blake3, found.blake3);
            return Err(EngineError::StoredOtherwise { path, expected, found });
        }
        canonical::read_file(&bytes).map_err(|source| EngineError::Document { path, source })
    }

    /// The bytes of an executable, if they are the locked ones.
    ///
    /// # Errors
    /// As for [`Store::manifest`].
    pub fn read_program(&self, name: &str, digests: FileDigests) -> Result<Vec<u8>, EngineError> {
        let path = self.program(&digests.blake3);
        if path.symlink_metadata().is_err() {
            return Err(EngineError::NotStored { name: name.to_owned(), path });
        }
        let limit = usize::try_from(FILE_MAX_BYTES).unwrap_or(usize::MAX);
        let bytes = files::read_bounded(&path, limit)?;
        let found = FileDigests::of_bytes(&bytes);
        if found != digests {
            let (expected, found) = (digests.blake3, found.blake3);
            return Err(EngineError::StoredOtherwise { path, expected, found });
        }
        Ok(bytes)
    }

    /// Keeps an executable, durably.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_program(&self, bytes: &[u8]) -> Result<PathBuf, EngineError> {
        self.keep(self.program(&Digest::of_bytes(bytes)), bytes, PROGRAM_MODE)
    }

    /// Keeps a manifest, durably.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_manifest(&self, bytes: &[u8]) -> Result<PathBuf, EngineError> {
        self.keep(self.manifest_path(&Digest::of_bytes(bytes)), bytes, MANIFEST_MODE)
    }

    /// What is there with other bytes is replaced: only these belong under this name.
    fn keep(&self, path: PathBuf, bytes: &[u8], mode: u32) -> Result<PathBuf, EngineError> {
        let error = |e: io::Error| EngineError::file(FileVerb::Write, &self.directory, e);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory).map_err(error)?;
        if !is_there(&path, bytes, mode) {
            files::replace_with_mode(&path, bytes, mode)?;
        }
        Ok(path)
    }
}

fn is_there(path: &Path, bytes: &[u8], mode: u32) -> bool {
    let regular =
        path.symlink_metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o777 == mode);
    regular && files::read_regular(path, bytes.len()).is_ok_and(|found| found.as_deref() == Some(bytes))
}
