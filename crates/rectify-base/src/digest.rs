//! Digests. A file's digest is that of its bytes, so that `b3sum` and `sha256sum` print what
//! Rectify prints. Values in memory are hashed under BLAKE3's key derivation with a context per
//! type, so that a digest of one kind can never be taken for one of another.

use alloc::string::{String, ToString};
use core::{fmt, str::FromStr};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::Digest as _;

/// Contexts of [`Digest::derive`]. Never reuse or change one.
pub mod context {
    /// The state of a resource, see [`crate::fingerprint`].
    pub const FINGERPRINT: &str = "rectify 2026 v1 state fingerprint";
    /// The identity of one operation on one target.
    pub const OPERATION: &str = "rectify 2026 v1 operation id";
    /// The identity of a run: one permission on a set of targets.
    pub const RUN: &str = "rectify 2026 v1 run id";
    /// The identity of a target (machine id, host key, root marker).
    pub const TARGET_IDENTITY: &str = "rectify 2026 v1 target identity";
    /// The content of a secret, keyed by project and target.
    pub const SECRET: &str = "rectify 2026 v1 secret digest";
    /// The key of a target's digests of what others may not read, from the project's key.
    pub const DIGEST_KEY: &str = "rectify 2026 v1 digest key";
    /// A fact about a target that is too long to be shown.
    pub const FACT: &str = "rectify 2026 v1 fact";
    /// A policy bundle: its files by path.
    pub const POLICY_BUNDLE: &str = "rectify 2026 v1 policy bundle";
    /// A set of source files by path.
    pub const SOURCES: &str = "rectify 2026 v1 sources";
    /// A record of the audit log, as the next one names it; the first names the id of its log.
    pub const AUDIT_RECORD: &str = "rectify 2026 v1 audit record";
    /// What a record of the audit log says in detail.
    pub const AUDIT_DETAIL: &str = "rectify 2026 v1 audit detail";
}

/// Why a text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected `{prefix}:` and 64 lower-case hexadecimal digits, got `{got}`")]
pub struct DigestError {
    prefix: &'static str,
    got: String,
}

/// Writes a prefix and the digits of a digest into a buffer of their length.
fn write_hex<'t>(prefix: &str, bytes: &[u8; 32], text: &'t mut [u8]) -> &'t str {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    let digits = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    for (place, byte) in text.iter_mut().zip(prefix.bytes().chain(digits)) {
        *place = byte;
    }
    core::str::from_utf8(text).unwrap_or_default()
}

fn from_hex(prefix: &'static str, text: &str) -> Result<[u8; 32], DigestError> {
    let error = || DigestError { prefix, got: text.chars().take(80).collect() };
    let hex = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix(':')).ok_or_else(error)?;
    let digits = hex.as_bytes();
    if digits.len() != 64 {
        return Err(error());
    }
    let mut out = [0_u8; 32];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let mut value = 0;
        for digit in pair {
            let nibble = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return Err(error()),
            };
            value = value << 4 | nibble;
        }
        *byte = value;
    }
    Ok(out)
}

macro_rules! digest_type {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(
            feature = "schema",
            derive(schemars::JsonSchema),
            schemars(with = "String", extend("pattern" = concat!("^", $prefix, ":[0-9a-f]{64}$")))
        )]
        pub struct $name([u8; 32]);

        impl $name {
            /// Wraps 32 bytes that are such a digest already.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// 64 hexadecimal digits without the prefix, as outside tools write it.
            #[must_use]
            pub fn hex(&self) -> String {
                let text = self.to_string();
                text.split_once(':').map_or(String::new(), |(_, hex)| hex.to_string())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; $prefix.len() + 65];
                f.write_str(write_hex(concat!($prefix, ":"), &self.0, &mut text))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = DigestError;
            fn from_str(text: &str) -> Result<Self, DigestError> {
                from_hex($prefix, text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut text = [0; $prefix.len() + 65];
                serializer.serialize_str(write_hex(concat!($prefix, ":"), &self.0, &mut text))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    };
}

digest_type!(
    /// A BLAKE3 digest, written `blake3:<64 hex>`.
    Digest,
    "blake3"
);
digest_type!(
    /// A SHA-256 digest, written `sha256:<64 hex>`; used where tools outside must agree.
    Sha256Digest,
    "sha256"
);

impl Digest {
    /// Digest of a file's bytes; equal to what `b3sum` prints.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Digest of a value in memory under a [`context`]. Each part is preceded by its length as
    /// eight little-endian bytes, so that no two lists of parts collide.
    #[must_use]
    pub fn derive(context: &str, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }
}

impl Sha256Digest {
    /// Digest of a file's bytes; equal to what `sha256sum` prints.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }
}

/// Both digests of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FileDigests {
    /// BLAKE3 of the bytes.
    pub blake3: Digest,
    /// SHA-256 of the bytes.
    pub sha256: Sha256Digest,
}

impl FileDigests {
    /// Hashes the bytes with both functions.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self { blake3: Digest::of_bytes(bytes), sha256: Sha256Digest::of_bytes(bytes) }
    }
}
