//! Canonical JSON: keys sorted by their UTF-8 bytes, no floats, integers within ±(2^53−1), no
//! duplicate keys, at most 64 lists and objects in each other. Files are indented by two spaces and
//! end in one newline; values in memory are compact. So each value has exactly one byte form of each
//! kind.
//!
//! Escapes are those of RFC 8785 section 3.2.2.2, which are also those of `serde_json`.

use crate::{
    Pointer,
    limits::{JSON_DEPTH_MAX, JSON_INTEGER_MAX},
    writer,
};
use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;
use serde::{
    Serialize, Serializer,
    de::{DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor},
    ser::SerializeMap,
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

/// Checks the number and depth profile of a value. Allocates only to say what is wrong.
///
/// # Errors
/// [`CanonicalError::Float`], [`CanonicalError::IntegerRange`] or [`CanonicalError::Depth`].
pub fn check(value: &Value) -> Result<(), CanonicalError> {
    walk(value, &Place { depth: 0, above: None })
}

/// Where a walk is: a chain of frames on the stack, so that a path is written only for an error.
struct Place<'a> {
    depth: usize,
    above: Option<(&'a Place<'a>, Token<'a>)>,
}

#[derive(Clone, Copy)]
enum Token<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> Place<'a> {
    const fn below(&'a self, token: Token<'a>) -> Self {
        Self { depth: self.depth + 1, above: Some((self, token)) }
    }

    fn pointer(&self) -> String {
        let mut tokens = Vec::new();
        let mut here = self;
        while let Some((above, token)) = here.above {
            tokens.push(match token {
                Token::Key(key) => key.to_string(),
                Token::Index(index) => index.to_string(),
            });
            here = above;
        }
        Pointer::from_tokens(tokens.iter().rev().map(String::as_str)).to_string()
    }
}

fn walk(value: &Value, place: &Place<'_>) -> Result<(), CanonicalError> {
    // Lists and objects count, also empty ones, as they do when bytes are read.
    if place.depth >= JSON_DEPTH_MAX && (value.is_array() || value.is_object()) {
        return Err(CanonicalError::Depth);
    }
    match value {
        Value::Number(number) => {
            let integer =
                number.as_i64().or_else(|| number.as_u64().map(|n| i64::try_from(n).unwrap_or(i64::MAX)));
            match integer {
                None => Err(CanonicalError::Float { pointer: place.pointer() }),
                Some(n) if n.unsigned_abs() > JSON_INTEGER_MAX => {
                    Err(CanonicalError::IntegerRange { pointer: place.pointer() })
                }
                Some(_) => Ok(()),
            }
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .filter(|(_, item)| !item.is_string())
            .try_for_each(|(index, item)| walk(item, &place.below(Token::Index(index)))),
        Value::Object(map) => map
            .iter()
            .filter(|(_, item)| !item.is_string())
            .try_for_each(|(key, item)| walk(item, &place.below(Token::Key(key)))),
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

fn to_checked_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, CanonicalError> {
    let value = serde_json::to_value(value).map_err(|e| CanonicalError::Serialize(e.to_string()))?;
    check(&value)?;
    Ok(value)
}

/// The compact canonical bytes of a value in memory, to be hashed with [`crate::Digest::derive`].
/// For what is a [`Value`] already, [`compact_value`] copies nothing.
///
/// # Errors
/// When the value breaks the profile.
pub fn compact<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    if let Some(bytes) = writer::bytes(value, false) {
        return Ok(bytes);
    }
    let value = to_checked_value(value)?;
    serde_json::to_vec(&value).map_err(|e| CanonicalError::Serialize(e.to_string()))
}

/// [`compact`] of a JSON value, by reference: objects keep their members sorted.
///
/// # Errors
/// When the value breaks the profile.
pub fn compact_value(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    compact_without(value, &[])
}

/// [`compact_value`] as if some members of nested objects were not there.
pub(crate) fn compact_without(value: &Value, volatile: &[Pointer]) -> Result<Vec<u8>, CanonicalError> {
    let rest = volatile.iter().filter_map(|pointer| pointer.as_str().strip_prefix('/')).collect();
    if let Some(bytes) = writer::bytes(&Without { value, rest }, false) {
        return Ok(bytes);
    }
    let mut reduced = value.clone();
    for pointer in volatile {
        pointer.remove(&mut reduced);
    }
    check(&reduced)?;
    serde_json::to_vec(&reduced).map_err(|e| CanonicalError::Serialize(e.to_string()))
}

/// A value without the members that are named by pointers, of which the beginnings are cut off.
struct Without<'a> {
    value: &'a Value,
    rest: Vec<&'a str>,
}

impl Serialize for Without<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Value::Object(map) = self.value else { return self.value.serialize(serializer) };
        if self.rest.is_empty() {
            return self.value.serialize(serializer);
        }
        let mut out = serializer.serialize_map(None)?;
        for (key, value) in map {
            match below(&self.rest, key) {
                Below::Gone => {}
                Below::Whole => out.serialize_entry(key, value)?,
                Below::Part(rest) => out.serialize_entry(key, &Without { value, rest })?,
            }
        }
        out.end()
    }
}

/// What pointers leave of a member.
pub(crate) enum Below<'a> {
    /// They name the member itself.
    Gone,
    /// They do not lead into it.
    Whole,
    /// They lead into it, and these are their ends.
    Part(Vec<&'a str>),
}

/// Follows pointers (without their first slash) into a member.
pub(crate) fn below<'a>(pointers: &[&'a str], key: &str) -> Below<'a> {
    let mut part = Vec::new();
    for pointer in pointers {
        let (token, end) =
            pointer.split_once('/').map_or((*pointer, None), |(token, end)| (token, Some(end)));
        if key == token || (token.contains('~') && key == token.replace("~1", "/").replace("~0", "~")) {
            match end {
                None => return Below::Gone,
                Some(end) => part.push(end),
            }
        }
    }
    if part.is_empty() { Below::Whole } else { Below::Part(part) }
}

/// The canonical bytes of a file: indented by two spaces, with a final newline.
///
/// # Errors
/// When the value breaks the profile.
pub fn file_bytes<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    if let Some(mut bytes) = writer::bytes(value, true) {
        bytes.push(b'\n');
        return Ok(bytes);
    }
    pretty(&to_checked_value(value)?)
}

fn pretty(checked: &Value) -> Result<Vec<u8>, CanonicalError> {
    let mut bytes =
        serde_json::to_vec_pretty(checked).map_err(|e| CanonicalError::Serialize(e.to_string()))?;
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
    let again = pretty(&value)?;
    typed_if_equal(value, &again, bytes)
}

/// Reads a canonical file of a format whose members all have a type: besides what [`read_file`] refuses,
/// the value must not have another spelling in that type, so a member that could have been left out
/// makes it another file.
///
/// # Errors
/// See [`CanonicalError`].
pub fn read_document<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Result<T, CanonicalError> {
    // Bytes that are what we would write have all the properties of what we write. Only when they
    // are not is it worth the time to find out why.
    if let Ok(value) = serde_json::from_slice::<T>(bytes)
        && file_bytes(&value).is_ok_and(|again| again == bytes)
    {
        return Ok(value);
    }
    let value: T = read_file(bytes)?;
    let again = file_bytes(&value)?;
    let same = again.iter().zip(bytes).take_while(|(a, b)| a == b).count();
    if again == bytes { Ok(value) } else { Err(CanonicalError::NotCanonical { offset: same }) }
}

/// Reads compact canonical bytes, see [`read_file`].
///
/// # Errors
/// See [`CanonicalError`].
pub fn read_compact<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CanonicalError> {
    let value = parse_strict(bytes)?;
    let again = compact_value(&value)?;
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
        while let Some(key) = access.next_key::<String>()? {
            if map.contains_key(&key) {
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
