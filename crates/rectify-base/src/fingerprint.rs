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
    let null = Value::Null;
    let state = state.unwrap_or(&null);
    let bytes = if !volatile.iter().any(|pointer| pointer.is_member_of(state)) {
        canonical::compact_value(state)?
    } else if canonical::check(state).is_ok() {
        canonical::compact_without(state, volatile)?
    } else {
        // What is wrong may be in what takes no part.
        let mut reduced = state.clone();
        for pointer in volatile {
            pointer.remove(&mut reduced);
        }
        canonical::compact_value(&reduced)?
    };
    Ok(Digest::derive(
        context::FINGERPRINT,
        &[type_name.as_str().as_bytes(), version.to_string().as_bytes(), &bytes],
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use alloc::vec::Vec;
    use serde_json::json;

    /// The definition, word by word.
    fn slowly(name: &TypeName, state: Option<&Value>, volatile: &[Pointer]) -> Digest {
        let mut reduced = state.cloned().unwrap_or(Value::Null);
        for pointer in volatile {
            pointer.remove(&mut reduced);
        }
        let bytes = serde_json::to_vec(&reduced).unwrap();
        Digest::derive(context::FINGERPRINT, &[name.as_str().as_bytes(), b"3", &bytes])
    }

    #[test]
    fn what_is_volatile_takes_no_part_wherever_it_is() {
        let name: TypeName = "file.content".parse().unwrap();
        let lists: [&[&str]; 5] = [
            &[],
            &["/content/text"],
            &["/detail", "/a~1b"],
            &["", "/list/0"],
            &["/content", "/content/text"],
        ];
        let states = [
            None,
            Some(json!({})),
            Some(json!({"content": {"text": "x", "size": 1}, "detail": null})),
            Some(json!({"detail": 1.5, "content": {"text": "y"}})),
            Some(json!({"content": "no object", "a/b": [1], "list": [1, 2]})),
        ];
        for list in lists {
            let volatile: Vec<Pointer> = list.iter().map(|text| Pointer::from(*text)).collect();
            for state in &states {
                match fingerprint(&name, 3, state.as_ref(), &volatile) {
                    Ok(quick) => {
                        assert_eq!(quick, slowly(&name, state.as_ref(), &volatile), "{list:?} {state:?}");
                    }
                    Err(_) => {
                        assert!(!list.contains(&"/detail") && state.as_ref().unwrap()["detail"] == 1.5);
                    }
                }
            }
        }
    }
}
