//! Digests under a key, for contents that others may not read: who has the digest but not the key
//! cannot try out what a short content might be.
//!
//! The key belongs to one project and one target, so equal contents elsewhere have other digests.

use crate::Digest;
use alloc::string::String;
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use zeroize::Zeroizing;

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// The key of a target's keyed digests; on the wire 64 lower-case hexadecimal digits. Its `Debug`
/// hides it, and its memory is cleared when it is dropped.
#[derive(Clone)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", extend("pattern" = "^[0-9a-f]{64}$"))
)]
pub struct DigestKey(Zeroizing<[u8; KEY_BYTES]>);

impl DigestKey {
    /// Takes a key into custody.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The digest of a content: BLAKE3 in its keyed mode, over the bytes alone.
    #[must_use]
    pub fn digest(&self, bytes: &[u8]) -> Digest {
        Digest::from_bytes(*blake3::keyed_hash(&self.0, bytes).as_bytes())
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey(…)")
    }
}

impl Serialize for DigestKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let hex = Zeroizing::new(Digest::from_bytes(*self.0).hex());
        serializer.serialize_str(&hex)
    }
}

impl<'de> Deserialize<'de> for DigestKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let hex = Zeroizing::new(String::deserialize(deserializer)?);
        let text = Zeroizing::new(alloc::format!("blake3:{}", *hex));
        // The error of a digest repeats the text; a key must not be repeated.
        let digest: Digest =
            text.parse().map_err(|_| D::Error::custom("a digest key is 64 lower-case hexadecimal digits"))?;
        Ok(Self::from_bytes(*digest.as_bytes()))
    }
}

/// Digests of a content that comes piece by piece: the plain one and, with a key, the keyed one.
pub struct ContentHasher {
    plain: blake3::Hasher,
    keyed: Option<blake3::Hasher>,
}

impl ContentHasher {
    /// Begins with nothing.
    #[must_use]
    pub fn new(key: Option<&DigestKey>) -> Self {
        Self { plain: blake3::Hasher::new(), keyed: key.map(|key| blake3::Hasher::new_keyed(&key.0)) }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.plain.update(bytes);
        if let Some(keyed) = &mut self.keyed {
            keyed.update(bytes);
        }
    }

    /// The digests of all bytes so far: as [`Digest::of_bytes`], and as [`DigestKey::digest`].
    #[must_use]
    pub fn digests(&self) -> (Digest, Option<Digest>) {
        let digest = |hasher: &blake3::Hasher| Digest::from_bytes(*hasher.finalize().as_bytes());
        (digest(&self.plain), self.keyed.as_ref().map(digest))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn key(byte: u8) -> DigestKey {
        DigestKey::from_bytes([byte; KEY_BYTES])
    }

    #[test]
    fn a_key_decides_the_digest_and_is_never_shown() {
        assert_eq!(key(1).digest(b"x"), key(1).digest(b"x"));
        assert_ne!(key(1).digest(b"x"), key(2).digest(b"x"));
        assert_ne!(key(0).digest(b"x"), Digest::of_bytes(b"x"));
        assert_eq!(alloc::format!("{:?}", key(0xab)), "DigestKey(…)");
        let text = serde_json::to_string(&key(0xab)).unwrap();
        assert_eq!(text, alloc::format!("\"{}\"", "ab".repeat(KEY_BYTES)));
        let back: DigestKey = serde_json::from_str(&text).unwrap();
        assert_eq!(back.digest(b"x"), key(0xab).digest(b"x"));
        let error = serde_json::from_str::<DigestKey>("\"canary\"").unwrap_err();
        assert!(!alloc::format!("{error}").contains("canary"));
    }

    #[test]
    fn pieces_have_the_digests_of_the_whole() {
        let mut hasher = ContentHasher::new(Some(&key(1)));
        hasher.update(b"one ");
        hasher.update(b"");
        hasher.update(b"two");
        let expected = (Digest::of_bytes(b"one two"), Some(key(1).digest(b"one two")));
        assert_eq!(hasher.digests(), expected);
        assert_eq!(ContentHasher::new(None).digests(), (Digest::of_bytes(b""), None));
    }
}
