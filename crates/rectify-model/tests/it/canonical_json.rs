//! `canonical-json`: what a value looks like, and what is no value of ours.

use crate::{bytes_of, vectors};
use rectify_base::canonical::{self, CanonicalError};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Accepted {
    name: String,
    input: String,
    compact: String,
    file: String,
}

#[test]
fn accepted() {
    for v in vectors::<Accepted>("canonical-json/accepted.json", 28) {
        let value = canonical::parse_strict(v.input.as_bytes()).unwrap_or_else(|e| panic!("{}: {e}", v.name));
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        assert_eq!(text(canonical::compact(&value).unwrap()), v.compact, "{}", v.name);
        assert_eq!(text(canonical::file_bytes(&value).unwrap()), v.file, "{}", v.name);
        assert_eq!(canonical::read_compact::<Value>(v.compact.as_bytes()).unwrap(), value, "{}", v.name);
        assert_eq!(canonical::read_file::<Value>(v.file.as_bytes()).unwrap(), value, "{}", v.name);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rejected {
    name: String,
    input: Option<String>,
    input_hex: Option<String>,
    reason: String,
}

/// The words of the vectors for our errors.
fn reason(error: &CanonicalError) -> &'static str {
    match error {
        CanonicalError::Float { .. } | CanonicalError::IntegerRange { .. } => "number",
        CanonicalError::Depth => "depth",
        CanonicalError::Syntax { message, .. } if message.contains("floating-point") => "number",
        CanonicalError::Syntax { message, .. } if message.contains("duplicate key") => "duplicate-key",
        CanonicalError::Syntax { message, .. } if message.contains("nested too deeply") => "depth",
        CanonicalError::Syntax { .. } => "syntax",
        CanonicalError::NotCanonical { .. } | CanonicalError::Serialize(_) => "another",
    }
}

#[test]
fn rejected() {
    for v in vectors::<Rejected>("canonical-json/rejected.json", 38) {
        let bytes = match (v.input, v.input_hex) {
            (Some(text), None) => text.into_bytes(),
            (None, Some(hex)) => bytes_of(&hex),
            _ => panic!("{}: one input", v.name),
        };
        let error = canonical::parse_strict(&bytes).expect_err(&v.name);
        assert_eq!(reason(&error), v.reason, "{}: {error}", v.name);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OtherForm {
    name: String,
    file: String,
    offset: usize,
}

#[test]
fn other_form() {
    for v in vectors::<OtherForm>("canonical-json/other-form.json", 12) {
        assert!(canonical::parse_strict(v.file.as_bytes()).is_ok(), "{}", v.name);
        let error = canonical::read_file::<Value>(v.file.as_bytes()).expect_err(&v.name);
        assert_eq!(error, CanonicalError::NotCanonical { offset: v.offset }, "{}", v.name);
    }
}

#[test]
fn what_can_be_written_can_be_read() {
    let nested = |depth: usize, inner: Value| (0..depth).fold(inner, |value, _| Value::Array(vec![value]));
    for inner in [Value::Null, "x".into(), 1.into(), Value::Array(Vec::new())] {
        for depth in 62..=66 {
            let value = nested(depth, inner.clone());
            let Ok(bytes) = canonical::compact(&value) else { continue };
            assert_eq!(canonical::read_compact::<Value>(&bytes).unwrap(), value, "{depth} around {inner}");
        }
    }
    assert!(canonical::compact(&nested(64, 1.into())).is_ok());
}
