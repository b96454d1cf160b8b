//! Values, types and formats in words.

use crate::{fields::short, scalar};
use serde_json::Value;

/// A value as it would be written.
pub(super) fn example(value: &Value) -> String {
    match value {
        Value::String(text) if scalar::resolve(text).is_ok_and(|v| v.is_string()) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

/// The first sentence of a description, without its period.
pub(super) fn first_sentence(text: &str) -> String {
    let end = text.find(". ").unwrap_or(text.len());
    text.get(..end).unwrap_or(text).trim_end_matches('.').to_owned()
}

pub(super) fn format_words(format: &str) -> &'static str {
    match format {
        "date" => "a date such as `2026-01-31`",
        "time" => "a time such as `10:00:00Z`",
        "date-time" => "a date and time such as `2026-01-31T10:00:00Z`",
        "duration" => "a duration such as `PT5M`",
        "email" | "idn-email" => "an e-mail address",
        "hostname" | "idn-hostname" => "a host name such as `www.example.org`",
        "ipv4" => "an address such as `192.0.2.1`",
        "ipv6" => "an address such as `2001:db8::1`",
        "uri" | "iri" => "an address such as `https://example.org/`",
        "uri-reference" | "iri-reference" => "an address, which may be relative",
        "uuid" => "an identifier such as `f81d4fae-7dec-11d0-a765-00a0c91e6bf6`",
        "regex" => "a regular expression",
        "json-pointer" | "relative-json-pointer" => "a path in a document, such as `/a/b`",
        _ => "a text in another form",
    }
}

pub(super) fn article(json_type: &str) -> &'static str {
    match json_type {
        "null" => "nothing",
        "boolean" => "`true` or `false`",
        "integer" | "number" => "an integer",
        "string" => "a text",
        "array" => "a list",
        _ => "a mapping",
    }
}

/// What kind of value it is.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "an empty text".to_owned(),
        Value::String(text) => format!("the text `{}`", short(text)),
        Value::Number(number) => format!("the number {number}"),
        Value::Bool(bool) => format!("`{bool}`"),
        other => kind(other).to_owned(),
    }
}
