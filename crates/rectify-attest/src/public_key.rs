//! Public keys: Ed25519 only, in OpenSSH's text form.

use crate::{base64_text, codes};
use core::{cmp::Ordering, fmt};
use ed25519_dalek::{Signature, VerifyingKey};
use rectify_base::{Code, Sha256Digest};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// OpenSSH's name of the algorithm.
pub const ALGORITHM: &str = "ssh-ed25519";
/// Length of a public key.
pub const PUBLIC_KEY_BYTES: usize = 32;
/// Length of a signature.
pub const SIGNATURE_BYTES: usize = 64;

/// Why something is not a public key that we accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text has another shape.
    #[error("expected `ssh-ed25519 <base64> [comment]`: {0}")]
    Text(&'static str),
    /// Another algorithm.
    #[error("algorithm `{0}` is not supported; only `ssh-ed25519` keys can sign")]
    Algorithm(String),
    /// The bytes are not the one encoding of a point on the curve.
    #[error("not the canonical encoding of a point on the curve")]
    Invalid,
    /// Of small or mixed order.
    #[error("weak key: of small or mixed order, so that others could sign in its name")]
    Weak,
}

impl KeyError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Text(_) => codes::KEY_PUBLIC_TEXT,
            Self::Algorithm(_) => codes::KEY_ALGORITHM,
            Self::Invalid => codes::KEY_INVALID,
            Self::Weak => codes::KEY_WEAK,
        }
    }
}

/// A public key that can be relied on: canonically encoded and in the prime-order group.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Checks the bytes of a key.
    ///
    /// # Errors
    /// [`KeyError::Invalid`] or [`KeyError::Weak`].
    pub fn from_bytes(bytes: &[u8; PUBLIC_KEY_BYTES]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Invalid)?;
        let point = key.to_edwards();
        // Decoding reduces y modulo the field's prime, so a few keys have two spellings.
        if point.compress().as_bytes() != bytes {
            return Err(KeyError::Invalid);
        }
        if key.is_weak() || !point.is_torsion_free() {
            return Err(KeyError::Weak);
        }
        Ok(Self(key))
    }

    /// Reads one line of an OpenSSH public key file; a comment is ignored.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn from_openssh(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.contains(['\n', '\r']) {
            return Err(KeyError::Text("more than one line"));
        }
        let mut words = text.split_ascii_whitespace();
        let algorithm = words.next().ok_or(KeyError::Text("empty"))?;
        if algorithm != ALGORITHM {
            return Err(KeyError::Algorithm(algorithm.chars().take(40).collect()));
        }
        let blob = words.next().and_then(base64_text::decode).ok_or(KeyError::Text("no base64 text"))?;
        Self::from_blob(&blob)
    }

    /// Reads OpenSSH's binary form, as an agent lists it.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn from_blob(blob: &[u8]) -> Result<Self, KeyError> {
        let rest = blob
            .strip_prefix(blob_prefix().as_slice())
            .ok_or(KeyError::Text("the base64 text is of another kind of key"))?;
        let bytes: &[u8; PUBLIC_KEY_BYTES] =
            rest.try_into().map_err(|_| KeyError::Text("the key is not 32 bytes long"))?;
        Self::from_bytes(bytes)
    }

    /// The text form without a comment.
    #[must_use]
    pub fn to_openssh(&self) -> String {
        format!("{ALGORITHM} {}", base64_text::encode(&self.blob()))
    }

    /// OpenSSH's fingerprint, as `ssh-keygen -l` prints it: `SHA256:` and unpadded base64.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = Sha256Digest::of_bytes(&self.blob());
        format!("SHA256:{}", base64_text::encode_unpadded(digest.as_bytes()))
    }

    /// The raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; PUBLIC_KEY_BYTES] {
        self.0.as_bytes()
    }

    /// Whether this key made the signature over the message. Only the strict rules: no small-order
    /// or non-canonical `R`, no `S` beyond the group's order.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        self.0.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }

    /// OpenSSH's binary form.
    #[must_use]
    pub fn blob(&self) -> Vec<u8> {
        let mut blob = blob_prefix();
        blob.extend_from_slice(self.as_bytes());
        blob
    }
}

/// What stands before the key's bytes in OpenSSH's binary form: two length-prefixed strings.
fn blob_prefix() -> Vec<u8> {
    let mut prefix = vec![0, 0, 0, 11];
    prefix.extend_from_slice(ALGORITHM.as_bytes());
    prefix.extend_from_slice(&[0, 0, 0, 32]);
    prefix
}

impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PublicKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_openssh())
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_openssh(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
