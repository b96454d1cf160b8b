//! JSON Schemas (draft 2020-12) of our documents, derived from their types. Only with the feature
//! `schema`, which the task that writes `schemas/` turns on; nothing that runs needs it.
//!
//! A derived schema says what serde would read. Ours says what we write, which is narrower: integers
//! stay within ±(2^53−1), and what is absent is left out, never `null`.

use crate::limits::JSON_INTEGER_MAX;
use alloc::{format, string::String, vec::Vec};
use schemars::{
    JsonSchema, Schema,
    generate::{SchemaGenerator, SchemaSettings},
    transform::{Transform, transform_subschemas},
};
use serde_json::{Map, Value, json};

/// Whether an absent member may also be written as `null`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Null {
    /// Never: there is one way to write a value.
    Refused,
    /// As serde reads it: on the wire, where other languages write.
    Allowed,
}

/// A schema and the file below `schemas/` that holds it, without its ending `.schema.json`.
pub type Named = (&'static str, Value);

/// The schema of a document that is one value of a type.
#[must_use]
pub fn document<T: JsonSchema>(title: &str, null: Null) -> Value {
    assemble(title, null, |generator| {
        let mut schema = T::json_schema(generator);
        schema.remove("title");
        schema
    })
}

/// The schema of a document that `root` puts together from the schemas of several types.
#[must_use]
pub fn assemble(title: &str, null: Null, root: impl FnOnce(&mut SchemaGenerator) -> Schema) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = root(&mut generator);
    let definitions = generator.take_definitions(true);
    schema.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.insert("title".into(), title.into());
    if !definitions.is_empty() {
        schema.insert("$defs".into(), Value::Object(definitions));
    }
    Ours { null }.transform(&mut schema);
    schema.to_value()
}

/// Turns what serde would read into what we write.
struct Ours {
    null: Null,
}

impl Transform for Ours {
    fn transform(&mut self, schema: &mut Schema) {
        if self.null == Null::Refused {
            let required: Vec<String> = texts(schema.get("required"));
            if let Some(Value::Object(properties)) = schema.get_mut("properties") {
                for (name, property) in properties.iter_mut() {
                    if !required.contains(name) {
                        without_null(property);
                    }
                }
            }
        }
        if let Some(object) = schema.as_object_mut() {
            bound_integer(object);
            if let Some(Value::String(text)) = object.get_mut("description") {
                *text = plain(text);
            }
        }
        transform_subschemas(self, schema);
    }
}

fn texts(list: Option<&Value>) -> Vec<String> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(Into::into).collect()
}

fn without_null(property: &mut Value) {
    let Value::Object(property) = property else { return };
    if let Some(Value::Array(types)) = property.get_mut("type") {
        types.retain(|t| t != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            property.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(choices)) = property.get_mut("anyOf") {
        choices.retain(|choice| choice != &json!({"type": "null"}));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            property.remove("anyOf");
            for (key, value) in only {
                property.entry(key).or_insert(value);
            }
        }
    }
}

/// The width of a Rust integer as bounds that every validator knows.
fn bound_integer(schema: &mut Map<String, Value>) {
    let is_integer = match schema.get("type") {
        Some(Value::String(name)) => name == "integer",
        Some(Value::Array(names)) => names.iter().any(|name| name == "integer"),
        _ => false,
    };
    if !is_integer {
        return;
    }
    let width = schema.remove("format");
    let (minimum, maximum) = match width.as_ref().and_then(Value::as_str) {
        Some("uint8") => (json!(0), json!(u8::MAX)),
        Some("uint16") => (json!(0), json!(u16::MAX)),
        Some("uint32") => (json!(0), json!(u32::MAX)),
        Some("int32") => (json!(i32::MIN), json!(i32::MAX)),
        Some("uint64" | "uint") => (json!(0), json!(JSON_INTEGER_MAX)),
        _ => (json!(-JSON_INTEGER_MAX.cast_signed()), json!(JSON_INTEGER_MAX)),
    };
    schema.entry("minimum").or_insert(minimum);
    schema.entry("maximum").or_insert(maximum);
}

/// A comment without line breaks and without the links that only rustdoc understands: ``[`a`](b)``
/// and ``[`a`]`` become `` `a` ``.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("[`") {
        out.push_str(before);
        let Some((name, after)) = after.split_once("`]") else {
            out.push_str("[`");
            rest = after;
            continue;
        };
        out.push_str(&format!("`{}`", name.trim_start_matches("super::").trim_start_matches("crate::")));
        rest = match after.strip_prefix('(').and_then(|link| link.split_once(')')) {
            Some((_, after)) => after,
            None => after,
        };
    }
    out.push_str(rest);
    let paragraphs: Vec<String> = out.split("\n\n").map(|p| p.replace('\n', " ")).collect();
    paragraphs.join("\n\n")
}
