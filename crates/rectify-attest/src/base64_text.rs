//! Base64 in exactly one spelling: the standard alphabet, padded, without stray bits.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};

/// That spelling as a regular expression; it cannot tell stray bits.
#[cfg(feature = "schema")]
pub(crate) const PATTERN: &str = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$";

pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Without padding, as OpenSSH prints fingerprints.
pub(crate) fn encode_unpadded(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}

/// `None` for any text that [`encode`] would not have written.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok().filter(|bytes| encode(bytes) == text)
}
