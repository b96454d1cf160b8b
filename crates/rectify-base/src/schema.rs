//! JSON Schemas (draft 2020-12) of our documents, derived from their types. Only with the feature
//! `schema`: of what runs, only the SDK for providers needs it, for the schemas of their properties.
//!
//! A derived schema says what serde would read. Ours says what we write, which is narrower: integers
//! stay within ±(2^53−1), and what is absent or empty is left out, see [`Form`].

use crate::limits::JSON_INTEGER_MAX;
use alloc::{format, string::String, vec::Vec};
use schemars::{
    JsonSchema, Schema,
    generate::{SchemaGenerator, SchemaSettings},
    transform::{Transform, transform_subschemas},
};
use serde_json::{Map, Value, json};

/// How strictly a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In one way only, see [`crate::canonical`]: what is absent or empty is left out.
    Canonical,
    /// By people: what is absent is left out, what is empty may be there.
    Written,
    /// As serde reads it: on the wire, where other languages write `null` for what is absent.
    Wire,
}

/// The name under which a canonical document defines any JSON value.
const JSON: &str = "Json";

/// A schema and the file below `schemas/` that holds it, without its ending `.schema.json`.
pub type Named = (&'static str, Value);

/// The schema of a document that is one value of a type.
#[must_use]
pub fn document<T: JsonSchema>(title: &str, form: Form) -> Value {
    assemble(title, form, |generator| {
        let mut schema = T::json_schema(generator);
        schema.remove("title");
        schema
    })
}

/// The schema of a document that `root` puts together from the schemas of several types.
#[must_use]
pub fn assemble(title: &str, form: Form, root: impl FnOnce(&mut SchemaGenerator) -> Schema) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = root(&mut generator);
    let definitions = generator.take_definitions(true);
    schema.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.insert("title".into(), title.into());
    if !definitions.is_empty() {
        schema.insert("$defs".into(), Value::Object(definitions));
    }
    Ours { form }.transform(&mut schema);
    let mut value = schema.to_value();
    // Only now: the definition is not to be bounded once more.
    let reference = format!("\"#/$defs/{JSON}\"");
    if serde_json::to_string(&value).is_ok_and(|text| text.contains(&reference))
        && let Some(definitions) = value.get_mut("$defs").and_then(Value::as_object_mut)
    {
        definitions.insert(JSON.into(), any_json());
    }
    value
}

/// Any value that has a canonical form.
fn any_json() -> Value {
    json!({
        "description": "Any JSON value without floating-point numbers and without integers beyond ±(2^53−1).",
        "type": ["null", "boolean", "integer", "string", "array", "object"],
        "minimum": -JSON_INTEGER_MAX.cast_signed(),
        "maximum": JSON_INTEGER_MAX,
        "items": {"$ref": format!("#/$defs/{JSON}")},
        "additionalProperties": {"$ref": format!("#/$defs/{JSON}")},
    })
}

/// Turns what serde would read into what we write.
struct Ours {
    form: Form,
}

impl Transform for Ours {
    fn transform(&mut self, schema: &mut Schema) {
        if self.form != Form::Wire {
            let required: Vec<String> = texts(schema.get("required"));
            if let Some(Value::Object(properties)) = schema.get_mut("properties") {
                for (name, property) in properties.iter_mut() {
                    if !required.contains(name) {
                        without_null(property);
                        if self.form == Form::Canonical {
                            never_empty(property);
                        }
                    }
                }
            }
        }
        if self.form == Form::Canonical {
            any_is_json(schema);
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

/// A list or mapping that is left out where it is empty; a value of any kind, where it is absent.
fn never_empty(property: &mut Value) {
    if *property == Value::Bool(true) {
        *property = json!({});
    }
    let Value::Object(property) = property else { return };
    match property.get("type").and_then(Value::as_str) {
        Some("array") => {
            property.entry("minItems").or_insert(json!(1));
        }
        Some("object") => {
            property.entry("minProperties").or_insert(json!(1));
        }
        _ if is_any(property) => {
            property.insert("not".into(), json!({"type": "null"}));
            property.insert("$ref".into(), format!("#/$defs/{JSON}").into());
        }
        _ => {}
    }
}

/// Members and elements of which nothing is said are canonical JSON all the same.
fn any_is_json(schema: &mut Schema) {
    let say = |value: &mut Value| {
        let any = match value {
            Value::Bool(any) => *any,
            Value::Object(members) => is_any(members),
            _ => false,
        };
        if any {
            let mut members = value.as_object().cloned().unwrap_or_default();
            members.insert("$ref".into(), format!("#/$defs/{JSON}").into());
            *value = Value::Object(members);
        }
    };
    for keyword in ["items", "additionalProperties"] {
        if let Some(value) = schema.get_mut(keyword) {
            say(value);
        }
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.values_mut().for_each(say);
    }
}

/// Whether a schema says nothing but what the value means.
fn is_any(schema: &Map<String, Value>) -> bool {
    schema.keys().all(|keyword| keyword == "description")
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
