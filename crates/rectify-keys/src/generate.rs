//! Making keys and writing them. A key file is never overwritten.

use crate::{
    disk::{self, Existing},
    error::{FileKind, KeyError},
    load::{load_signer, no_passphrase},
    signer::LocalSigner,
};
use ed25519_dalek::pkcs8::{EncodePrivateKey, KeypairBytes, spki::der::pem::LineEnding};
use rectify_attest::Signer;
use rectify_base::secret::Secret;
use ssh_key::{
    Cipher, Kdf, PrivateKey,
    private::{Ed25519Keypair, Ed25519PrivateKey, KeypairData},
    public::Ed25519PublicKey,
};
use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Rounds of key derivation for passphrases, as `ssh-keygen` takes them.
const KDF_ROUNDS: u32 = 24;
const KDF_SALT_BYTES: usize = 16;

/// Makes a key from the system's randomness and writes it, see [`write_openssh`]. Returns the key.
///
/// # Errors
/// [`KeyError::Exists`] or [`KeyError::Write`].
pub fn generate(path: &Path, comment: &str, passphrase: Option<&Secret>) -> Result<LocalSigner, KeyError> {
    let signer = random(path)?;
    write_openssh(&signer, path, comment, passphrase)?;
    Ok(signer)
}

/// Makes a machine's key and writes it, see [`write_pkcs8`]. Returns the key.
///
/// # Errors
/// [`KeyError::Exists`] or [`KeyError::Write`].
pub fn generate_pkcs8(path: &Path) -> Result<LocalSigner, KeyError> {
    let signer = random(path)?;
    write_pkcs8(&signer, path)?;
    Ok(signer)
}

/// The key of the pair at `path`, or a new one, see [`write_openssh`], without a passphrase. Of processes that
/// find none at the same time, one makes it, and all have the same. A public file without its private one, as
/// a crash may leave it, is nobody's and gives way.
///
/// # Errors
/// As for [`load_signer`] and [`generate`].
pub fn load_or_generate(path: &Path, comment: &str) -> Result<LocalSigner, KeyError> {
    if path.exists() {
        return load_signer(path, &mut no_passphrase);
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let lock = File::open(directory.unwrap_or(Path::new("."))).map_err(|e| unwritten(path, e))?;
    lock.lock().map_err(|e| unwritten(path, e))?;
    if path.exists() {
        return load_signer(path, &mut no_passphrase);
    }
    match fs::remove_file(public_path(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unwritten(path, error)),
        _ => {}
    }
    generate(path, comment, None)
}

fn public_path(path: &Path) -> PathBuf {
    let mut public: OsString = path.into();
    public.push(".pub");
    PathBuf::from(public)
}

fn random(path: &Path) -> Result<LocalSigner, KeyError> {
    let mut seed = Zeroizing::new([0; 32]);
    fill(path, seed.as_mut())?;
    LocalSigner::from_seed(&seed).map_err(|source| KeyError::Unusable { path: path.into(), source })
}

/// Writes a pair in OpenSSH's formats: the private key (0600) at `path`, encrypted if there is a
/// passphrase, the public key (0644) at `path` with `.pub` added. Returns the latter's path.
///
/// # Errors
/// [`KeyError::Exists`] if either is there already; [`KeyError::Write`].
pub fn write_openssh(
    signer: &LocalSigner,
    path: &Path,
    comment: &str,
    passphrase: Option<&Secret>,
) -> Result<PathBuf, KeyError> {
    let failed = |e: ssh_key::Error| unwritten(path, e);
    if comment.contains(|c: char| c.is_control()) {
        return Err(unwritten(path, "the comment holds control characters"));
    }
    let pair = Ed25519Keypair {
        public: Ed25519PublicKey(*signer.public_key().as_bytes()),
        private: Ed25519PrivateKey::from_bytes(&signer.seed()),
    };
    let mut key = PrivateKey::new(KeypairData::Ed25519(pair), comment).map_err(failed)?;
    if let Some(secret) = passphrase {
        let mut salt = vec![0; KDF_SALT_BYTES];
        fill(path, &mut salt)?;
        let mut check = [0; 4];
        fill(path, &mut check)?;
        let kdf = Kdf::Bcrypt { salt, rounds: KDF_ROUNDS };
        let check = u32::from_le_bytes(check);
        key = key.encrypt_with(Cipher::Aes256Ctr, kdf, check, secret.expose()).map_err(failed)?;
    }
    let private = key.to_openssh(ssh_key::LineEnding::LF).map_err(failed)?;
    let public_path = public_path(path);
    let mut public = signer.public_key().to_openssh();
    if !comment.is_empty() {
        public.push(' ');
        public.push_str(comment);
    }
    public.push('\n');
    // The public file first: should the private one then fail, nothing secret is left over.
    write_new(&public_path, public.as_bytes(), 0o644)?;
    if let Err(error) = write_new(path, private.as_bytes(), 0o600) {
        // Best effort: the pair is incomplete, and the first error is the one to report.
        let _ = fs::remove_file(&public_path);
        return Err(error);
    }
    Ok(public_path)
}

/// Writes a machine's key as PKCS#8 PEM (0600), version 1 without the public half: OpenSSL 3.0 does
/// not read version 2.
///
/// # Errors
/// [`KeyError::Exists`] or [`KeyError::Write`].
pub fn write_pkcs8(signer: &LocalSigner, path: &Path) -> Result<(), KeyError> {
    let pair = KeypairBytes { secret_key: *signer.seed(), public_key: None };
    let pem = pair.to_pkcs8_pem(LineEnding::LF).map_err(|e| unwritten(path, e))?;
    write_new(path, pem.as_bytes(), 0o600)
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), KeyError> {
    disk::write(FileKind::Key, path, bytes, mode, Existing::Refuse)
}

fn unwritten(path: &Path, why: impl ToString) -> KeyError {
    KeyError::Write { kind: FileKind::Key, path: path.into(), why: why.to_string() }
}

fn fill(path: &Path, bytes: &mut [u8]) -> Result<(), KeyError> {
    getrandom::fill(bytes).map_err(|e| unwritten(path, format!("the system gave no randomness: {e}")))
}
