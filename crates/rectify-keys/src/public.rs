//! Public key files.

use crate::{
    disk,
    error::{FileKind, KeyError},
};
use rectify_attest::PublicKey;
use std::path::Path;

/// Reads an OpenSSH public key file: one line, `ssh-ed25519 <base64> [comment]`. Others must not be
/// able to write it.
///
/// # Errors
/// See [`KeyError`].
pub fn read_public_key(path: &Path) -> Result<PublicKey, KeyError> {
    let bytes = disk::read(FileKind::Key, path, 0o022)?;
    let key = |source| KeyError::Unusable { path: path.into(), source };
    let text = core::str::from_utf8(&bytes).map_err(|_| key(rectify_attest::KeyError::Text("not text")))?;
    PublicKey::from_openssh(text).map_err(key)
}
