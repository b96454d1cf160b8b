//! Loading private keys: OpenSSH's own format, with or without a passphrase, and PKCS#8 in PEM.

use crate::{
    disk,
    error::{FileKind, KeyError},
    signer::LocalSigner,
};
use ed25519_dalek::pkcs8::{DecodePrivateKey, KeypairBytes};
use rectify_attest::Signer;
use rectify_base::secret::Secret;
use ssh_key::{Kdf, PrivateKey, private::KeypairData};
use std::path::Path;
use zeroize::Zeroizing;

/// Most rounds of key derivation that we wait for; `ssh-keygen` takes 24 unless told otherwise.
pub const KDF_ROUNDS_MAX: u32 = 4096;

const OPENSSH: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const PKCS8: &str = "-----BEGIN PRIVATE KEY-----";
const PKCS8_ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";

/// Loads a private key. The file must belong to us or to root, and nobody else may have any right to
/// it. `passphrase` is asked at most once, and only if the key is encrypted.
///
/// # Errors
/// See [`KeyError`].
pub fn load_signer(
    path: &Path,
    passphrase: &mut dyn FnMut(&Path) -> Option<Secret>,
) -> Result<LocalSigner, KeyError> {
    let bytes = disk::read(FileKind::Key, path, 0o077)?;
    parse_signer(path, &bytes, passphrase)
}

/// The callback for keys without a passphrase, such as a machine's.
#[must_use]
pub const fn no_passphrase(_: &Path) -> Option<Secret> {
    None
}

/// Like [`load_signer`], for bytes from elsewhere; `path` is only shown.
///
/// # Errors
/// See [`KeyError`].
pub fn parse_signer(
    path: &Path,
    bytes: &[u8],
    passphrase: &mut dyn FnMut(&Path) -> Option<Secret>,
) -> Result<LocalSigner, KeyError> {
    let format = |why: &str| KeyError::Format { path: path.into(), why: why.to_owned() };
    let text = core::str::from_utf8(bytes).map_err(|_| format("not a private key: not text"))?;
    let text = text.trim_start();
    if text.starts_with(OPENSSH) {
        openssh(path, text, passphrase)
    } else if text.starts_with(PKCS8) {
        pkcs8(path, text)
    } else if text.starts_with(PKCS8_ENCRYPTED) {
        Err(format("encrypted PKCS#8 is not read; keys with a passphrase are kept in OpenSSH's format"))
    } else {
        Err(format("not a private key in OpenSSH's format or PKCS#8 PEM"))
    }
}

fn openssh(
    path: &Path,
    text: &str,
    passphrase: &mut dyn FnMut(&Path) -> Option<Secret>,
) -> Result<LocalSigner, KeyError> {
    let format = |e: ssh_key::Error| match e {
        // Algorithms that were left out of the build are not told apart from invented ones.
        ssh_key::Error::AlgorithmUnknown => {
            let source = rectify_attest::KeyError::Algorithm("of this file".to_owned());
            KeyError::Unusable { path: path.into(), source }
        }
        e => {
            KeyError::Format { path: path.into(), why: format!("not a private key in OpenSSH's format: {e}") }
        }
    };
    let mut key = PrivateKey::from_openssh(text).map_err(format)?;
    let public = match key.public_key().key_data().ed25519() {
        Some(public) => public.0,
        None => {
            let source = rectify_attest::KeyError::Algorithm(key.algorithm().as_str().to_owned());
            return Err(KeyError::Unusable { path: path.into(), source });
        }
    };
    if key.is_encrypted() {
        if let Kdf::Bcrypt { rounds, .. } = key.kdf()
            && *rounds > KDF_ROUNDS_MAX
        {
            let why = format!("{rounds} rounds of key derivation, more than {KDF_ROUNDS_MAX}");
            return Err(KeyError::Format { path: path.into(), why });
        }
        let secret = passphrase(path).ok_or_else(|| KeyError::PassphraseNeeded { path: path.into() })?;
        // What a wrong passphrase yields is noise: either the check fails or it does not parse.
        key = key.decrypt(secret.expose()).map_err(|_| KeyError::PassphraseWrong { path: path.into() })?;
    }
    let KeypairData::Ed25519(pair) = key.key_data() else {
        let source = rectify_attest::KeyError::Algorithm(key.algorithm().as_str().to_owned());
        return Err(KeyError::Unusable { path: path.into(), source });
    };
    let signer = from_seed(path, &Zeroizing::new(pair.private.to_bytes()))?;
    // Signing under a wrong public key gives the private key away.
    if signer.public_key().as_bytes() != &public || signer.public_key().as_bytes() != &pair.public.0 {
        return Err(KeyError::Mismatch { path: path.into() });
    }
    Ok(signer)
}

fn pkcs8(path: &Path, text: &str) -> Result<LocalSigner, KeyError> {
    let pair = KeypairBytes::from_pkcs8_pem(text).map_err(|e| KeyError::Format {
        path: path.into(),
        why: format!("not an Ed25519 key in PKCS#8 PEM: {e}"),
    })?;
    let signer = from_seed(path, &Zeroizing::new(pair.secret_key))?;
    match &pair.public_key {
        Some(public) if &public.0 != signer.public_key().as_bytes() => {
            Err(KeyError::Mismatch { path: path.into() })
        }
        _ => Ok(signer),
    }
}

fn from_seed(path: &Path, seed: &Zeroizing<[u8; 32]>) -> Result<LocalSigner, KeyError> {
    LocalSigner::from_seed(seed).map_err(|source| KeyError::Unusable { path: path.into(), source })
}
