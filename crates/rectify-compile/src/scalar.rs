//! What a plain scalar means where no schema says what is expected, and where one does.
//!
//! Where a text is expected, the text as written is taken: `0640`, `yes` and `1.10` stay what they
//! are. Where nothing is expected, only spellings that all YAML readers understand alike are read.

use crate::tree::Scalar;
use rectify_base::limits::JSON_INTEGER_MAX;
use serde_json::Value;

/// A set of JSON types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Types(u8);

impl Types {
    pub const NULL: Self = Self(1);
    pub const BOOLEAN: Self = Self(2);
    pub const INTEGER: Self = Self(4);
    pub const STRING: Self = Self(8);
    pub const LIST: Self = Self(16);
    pub const MAP: Self = Self(32);

    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// No type is named: anything goes.
    pub fn is_any(self) -> bool {
        self.0 == 0
    }

    /// The type with this name in JSON Schema; `number` too means integers here.
    pub fn named(name: &str) -> Self {
        match name {
            "null" => Self::NULL,
            "boolean" => Self::BOOLEAN,
            "integer" | "number" => Self::INTEGER,
            "string" => Self::STRING,
            "array" => Self::LIST,
            "object" => Self::MAP,
            _ => Self(0),
        }
    }
}

/// A plain scalar that YAML readers disagree about, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ambiguous(pub &'static str);

/// Reads a scalar where `expected` may stand. A scalar that is none of that is returned as text, so
/// that the schema's own check reports it.
pub(crate) fn read(scalar: &Scalar<'_>, expected: Types) -> Result<Value, Ambiguous> {
    let text = scalar.text.as_ref();
    let as_text = || Ok(Value::String(text.to_owned()));
    if !scalar.plain {
        return as_text();
    }
    if expected.is_any() {
        return resolve(text);
    }
    if text.is_empty() {
        return Ok(Value::Null);
    }
    if expected.has(Types::NULL) && matches!(text, "null" | "~") {
        return Ok(Value::Null);
    }
    if expected.has(Types::BOOLEAN) && matches!(text, "true" | "false") {
        return Ok(Value::Bool(text == "true"));
    }
    if expected.has(Types::INTEGER)
        && let Some(number) = integer(text)
    {
        return Ok(number.into());
    }
    as_text()
}

/// Reads a plain scalar of which nothing is known.
pub(crate) fn resolve(text: &str) -> Result<Value, Ambiguous> {
    match text {
        "" | "~" | "null" => return Ok(Value::Null),
        "true" => return Ok(Value::Bool(true)),
        "false" => return Ok(Value::Bool(false)),
        _ => {}
    }
    if let Some(number) = integer(text) {
        return Ok(number.into());
    }
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "yes" | "no" | "on" | "off" | "y" | "n" | "true" | "false" => {
            return Err(Ambiguous("some YAML readers take it for true or false"));
        }
        "null" => return Err(Ambiguous("some YAML readers take it for null")),
        ".inf" | "-.inf" | "+.inf" | ".nan" => return Err(Ambiguous("it is a floating-point number")),
        _ => {}
    }
    let digits = lower.strip_prefix(['-', '+']).unwrap_or(&lower);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Ok(Value::String(text.to_owned()));
    }
    let only = |set: &str| digits.bytes().all(|b| b.is_ascii_digit() || set.as_bytes().contains(&b));
    if only("") {
        return Err(Ambiguous(if digits.starts_with('0') {
            "some YAML readers take a leading zero for base eight"
        } else if digits.len() < lower.len() && lower.starts_with('+') {
            "a number is written without `+`"
        } else {
            "the number is beyond ±(2^53−1)"
        }));
    }
    if only("_") {
        return Err(Ambiguous("some YAML readers take it for a number"));
    }
    let based = ["0x", "0o", "0b"].iter().any(|p| digits.starts_with(p));
    if based && digits.bytes().skip(2).all(|b| b.is_ascii_hexdigit() || b == b'_') {
        return Err(Ambiguous("some YAML readers take it for a number"));
    }
    if only(".e+-_") && digits.bytes().any(|b| b.is_ascii_digit()) && digits.parse::<f64>().is_ok() {
        return Err(Ambiguous("it is a floating-point number"));
    }
    Ok(Value::String(text.to_owned()))
}

/// A decimal integer in its one spelling, within ±(2^53−1).
pub(crate) fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let sound = !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
        && text != "-0";
    if !sound {
        return None;
    }
    text.parse().ok().filter(|n: &i64| n.unsigned_abs() <= JSON_INTEGER_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Scalar<'_> {
        Scalar { text: text.into(), plain: true }
    }

    #[test]
    fn where_text_is_expected_the_source_is_the_value() {
        for text in ["0640", "yes", "1.10", "null", "~", "0x1f", "true"] {
            assert_eq!(read(&plain(text), Types::STRING), Ok(Value::String(text.into())));
        }
        assert_eq!(read(&plain(""), Types::STRING), Ok(Value::Null));
    }

    #[test]
    fn where_nothing_is_expected_only_clear_spellings_pass() {
        assert_eq!(resolve("12"), Ok(12.into()));
        assert_eq!(resolve("-3"), Ok((-3).into()));
        assert_eq!(resolve("v1.2"), Ok("v1.2".into()));
        assert_eq!(resolve("1.2.3"), Ok("1.2.3".into()));
        assert_eq!(resolve("10.0.0.1"), Ok("10.0.0.1".into()));
        assert_eq!(resolve("~"), Ok(Value::Null));
        for text in [
            "yes",
            "No",
            "ON",
            "TRUE",
            "Null",
            "0640",
            "1_000",
            "0x1F",
            "0o17",
            "1.5",
            "1e3",
            ".5",
            ".nan",
            "9007199254740992",
            "+1",
            "-0",
        ] {
            assert!(resolve(text).is_err(), "{text}");
        }
    }

    #[test]
    fn integers_have_one_spelling() {
        assert_eq!(integer("9007199254740991"), Some(9_007_199_254_740_991));
        for text in ["", "-", "01", "-0", "9007199254740992", "1 ", "٣"] {
            assert_eq!(integer(text), None, "{text}");
        }
    }
}
