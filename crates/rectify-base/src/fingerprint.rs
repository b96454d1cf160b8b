//! The fingerprint of a state: what a changing step expects to find, and what it leaves behind.
//!
//! It is `derive(context::FINGERPRINT, [type, version as decimal, compact(state)])`, where `state`
//! is the state of the resource without its volatile members, or `null` where it does not exist.
//! Provider and engine compute it alike, so a provider can compare it right where it writes.

use crate::{
    Digest, Pointer, TypeName,
    canonical::{self, CanonicalError},
    digest::context,
};
use alloc::string::ToString;
use serde_json::Value;

/// Computes the fingerprint of a state (see the module). `volatile` members (and display-only
/// ones, such as the text of a content that is also given by digest) do not take part.
///
/// # Errors
/// When the state breaks the number or depth profile of canonical JSON.
pub fn fingerprint(
    type_name: &TypeName,
    version: u32,
    state: Option<&Value>,
    volatile: &[Pointer],
) -> Result<Digest, CanonicalError> {
    let mut reduced = state.cloned().unwrap_or(Value::Null);
    for pointer in volatile {
        pointer.remove(&mut reduced);
    }
    let bytes = canonical::compact(&reduced)?;
    Ok(Digest::derive(
        context::FINGERPRINT,
        &[type_name.as_str().as_bytes(), version.to_string().as_bytes(), &bytes],
    ))
}
