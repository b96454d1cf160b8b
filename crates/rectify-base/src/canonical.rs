//! Canonical JSON: keys sorted by their UTF-8 bytes, no floats, integers within ±(2^53−1), no
//! duplicate keys, at most 64 lists and objects in each other. Files are indented by two spaces and
//! end in one newline; values in memory are compact. So each value has exactly one byte form of each
//! kind.
//!
//! Escapes are those of RFC 8785 section 3.2.2.2, which are also those of `serde_json`.

use crate::limits::{JSON_DEPTH_MAX, JSON_INTEGER_MAX};
use alloc::{
    collections::BTreeSet,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;
use serde::{
    Serialize,
    de::{DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

/// Why bytes or a value have no canonical form, or are not in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// A number that is not an integer.
    #[error("{pointer}: floating-point numbers are not allowed")]
    Float {
        /// JSON Pointer of the value.
        pointer: String,
    },
    /// An integer that other JSON readers would round.
    #[error("{pointer}: integer beyond ±(2^53−1); write it as a string")]
    IntegerRange {
        /// JSON Pointer of the value.
        pointer: String,
    },
    /// Nested deeper than [`JSON_DEPTH_MAX`].
    #[error("nested deeper than {JSON_DEPTH_MAX} levels")]
    Depth,
    /// Not JSON, or not JSON of the expected shape.
    #[error("{message} (line {line}, column {column})")]
    Syntax {
        /// What the parser said.
        message: String,
        /// One-based line.
        line: usize,
        /// One-based column.
        column: usize,
    },
    /// The same value is written in another way than the canonical one.
    #[error(
        "not in canonical form: first difference at byte {offset}; the file was edited or written by another tool"
    )]
    NotCanonical {
        /// First byte that differs from the canonical form.
        offset: usize,
    },
    /// A Rust value that cannot be written as JSON.
    #[error("cannot be written as JSON: {0}")]
    Serialize(String),
}

/// Checks the number and depth profile of a value.
///
/// # Errors
/// [`CanonicalError::Float`], [`CanonicalError::IntegerRange`] or [`CanonicalError::Depth`].
pub fn check(value: &Value) -> Result<(), CanonicalError> {
    fn walk(value: &Value, path: &mut Vec<String>) -> Result<(), CanonicalError> {
        let pointer =
            |path: &[String]| crate::Pointer::from_tokens(path.iter().map(String::as_str)).to_string();
        // Lists and objects count, also empty ones, as they do when bytes are read.
        if path.len() >= JSON_DEPTH_MAX && (value.is_array() || value.is_object()) {
            return Err(CanonicalError::Depth);
        }
        match value {
            Value::Number(number) => {
                let integer =
                    number.as_i64().or_else(|| number.as_u64().map(|n| i64::try_from(n).unwrap_or(i64::MAX)));
                match integer {
                    None => Err(CanonicalError::Float { pointer: pointer(path) }),
                    Some(n) if n.unsigned_abs() > JSON_INTEGER_MAX => {
                        Err(CanonicalError::IntegerRange { pointer: pointer(path) })
                    }
                    Some(_) => Ok(()),
                }
            }
            Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
                if item.is_string() {
                    return Ok(());
                }
                path.push(index.to_string());
                walk(item, path)?;
                path.pop();
                Ok(())
            }),
            Value::Object(map) => map.iter().try_for_each(|(key, item)| {
                if item.is_string() {
                    return Ok(());
                }
                path.push(key.clone());
                walk(item, path)?;
                path.pop();
                Ok(())
            }),
            Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
        }
    }
    walk(value, &mut Vec::new())
}

fn to_checked_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, CanonicalError> {
    let value = serde_json::to_value(value).map_err(|e| CanonicalError::Serialize(e.to_string()))?;
    check(&value)?;
    Ok(value)
}

/// The compact canonical bytes of a value in memory, to be hashed with [`crate::Digest::derive`].
///
/// # Errors
/// When the value breaks the profile.
pub fn compact<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    let value = to_checked_value(value)?;
    serde_json::to_vec(&value).map_err(|e| CanonicalError::Serialize(e.to_string()))
}

/// The canonical bytes of a file: indented by two spaces, with a final newline.
///
/// # Errors
/// When the value breaks the profile.
pub fn file_bytes<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    let value = to_checked_value(value)?;
    let mut bytes =
        serde_json::to_vec_pretty(&value).map_err(|e| CanonicalError::Serialize(e.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads a canonical file: parses the bytes once, refuses duplicate keys, floats, big integers,
/// unknown spellings, and any difference between the bytes and the canonical form of the value.
///
/// # Errors
/// See [`CanonicalError`].
pub fn read_file<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CanonicalError> {
    let value = parse_strict(bytes)?;
    let again = file_bytes(&value)?;
    typed_if_equal(value, &again, bytes)
}

/// Reads compact canonical bytes, see [`read_file`].
///
/// # Errors
/// See [`CanonicalError`].
pub fn read_compact<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CanonicalError> {
    let value = parse_strict(bytes)?;
    let again = compact(&value)?;
    typed_if_equal(value, &again, bytes)
}

fn typed_if_equal<T: DeserializeOwned>(
    value: Value,
    canonical: &[u8],
    bytes: &[u8],
) -> Result<T, CanonicalError> {
    if canonical != bytes {
        let same = canonical.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        return Err(CanonicalError::NotCanonical { offset: same });
    }
    serde_json::from_value(value).map_err(|e| CanonicalError::Syntax {
        message: e.to_string(),
        line: 1,
        column: 1,
    })
}

/// Parses JSON from bytes that we did not write: duplicate keys, floats, integers that others would
/// round, and depth beyond the limit are errors.
///
/// # Errors
/// See [`CanonicalError`].
pub fn parse_strict(bytes: &[u8]) -> Result<Value, CanonicalError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let syntax = |e: serde_json::Error| CanonicalError::Syntax {
        message: e.to_string(),
        line: e.line(),
        column: e.column(),
    };
    let value = Strict { depth: 0 }.deserialize(&mut deserializer).map_err(syntax)?;
    deserializer.end().map_err(syntax)?;
    check(&value)?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Err(E::custom(alloc::format!("floating-point number {value} is not allowed")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut map = Map::new();
        let mut seen = BTreeSet::new();
        while let Some(key) = access.next_key::<String>()? {
            if !seen.insert(key.clone()) {
                return Err(serde::de::Error::custom(alloc::format!("duplicate key `{key}`")));
            }
            let value = access.next_value_seed(inner)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= JSON_DEPTH_MAX {
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}
