//! JSON Schemas of the YAML documents, for editors. They are built from the tables that the readers
//! in [`crate::document`] use; a test of the workspace holds both together over all cases.
//!
//! An editor reads YAML with its own idea of what a plain scalar is, and knows nothing of
//! expressions. So where the compiler takes a text as written, any scalar is allowed, and a property
//! may always be a text with an expression in it. What needs more than one document, or a value, is
//! the compiler's to say.

use crate::{
    SourceFile,
    document::{Kind, inventory, module, project, remediation},
    report::{Cx, Report},
    scalar::Types,
    schema::Shape,
};
use rectify_base::schema::{Form, Named, assemble};
use rectify_protocol::{Manifest, TypeDescriptor};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What the compiler reads as an expression.
const TEMPLATE: &str = "\\$\\{\\{";
/// The name under which a schema defines what names a file beside the YAML.
const BESIDE: &str = "TextFile";
/// A text without an expression.
pub(crate) const LITERAL: &str = "^(?![\\s\\S]*\\$\\{\\{)";
/// A key that names a type.
pub(crate) const TYPE_NAME: &str = "^[a-z][a-z0-9_]*\\.[a-z][a-z0-9_]*$";

/// The schemas of all kinds of documents, and of the source map. The types of these manifests are described; others are
/// allowed, and their properties not looked at.
#[must_use]
pub fn schemas(manifests: &[Manifest]) -> Vec<Named> {
    let types: Vec<&TypeDescriptor> = manifests.iter().flat_map(|m| &m.types).collect();
    vec![
        named("project", "Rectify project", project::schema()),
        named("inventory", "Rectify inventory", inventory::schema()),
        named("remediation", "Rectify remediation", remediation::schema(&types)),
        named("module", "Rectify module", module::schema(&types)),
        crate::source_map::schema(),
        crate::render::schema(),
    ]
}

/// Where the schemas of a remediation and of a module say what a call of a module holds.
const CALL: &str = "/properties/steps/additionalProperties/properties/use";

/// The schemas for one project: as [`schemas`], and calls name its modules and give their parameters.
/// A module that cannot be read is known by no name; `validate` says why.
#[must_use]
pub fn of_project(files: &[SourceFile], manifests: &[Manifest]) -> Vec<Named> {
    let modules = modules(files);
    let mut all = schemas(manifests);
    for (_, schema) in &mut all {
        if let Some(call) = schema.pointer_mut(CALL) {
            with_modules(call, &modules);
        }
    }
    all
}

/// The modules of a project by name, with a schema of what a call gives them.
fn modules(files: &[SourceFile]) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let mut report = Report::default();
    for file in files {
        if !matches!(Kind::of_path(&file.path), Some(Ok(Kind::Module))) {
            continue;
        }
        let cx = &mut Cx::new(&file.path, &mut report);
        let Some(root) = crate::text::decode(&file.bytes, cx).and_then(|text| crate::yaml::parse(text, cx))
        else {
            continue;
        };
        let Some(module) = module::read(&root, &file.path, cx) else { continue };
        let known = module.parameters.known.iter();
        let known = known.filter_map(|(name, definition)| Some((name, definition.as_ref()?)));
        let required: Vec<&String> =
            known.clone().filter(|(_, d)| d.default.is_none()).map(|(name, _)| name).collect();
        let members: Map<String, Value> = known.map(|(name, d)| (name.clone(), d.schema())).collect();
        let schema = json!({
            "type": "object",
            "properties": members,
            "required": required,
            "additionalProperties": module.parameters.unknown,
        });
        found.insert(module.name.to_string(), loosened(&schema, Of { name: "module", root: &schema }));
    }
    found
}

/// Says in the schema of a call which modules there are, and what each of them takes.
fn with_modules(call: &mut Value, modules: &BTreeMap<String, Value>) {
    let names: Vec<&String> = modules.keys().collect();
    if let Some(name) = call.pointer_mut("/properties/module") {
        *name = described(json!({"enum": names}), "Name of the module.");
    }
    let taken = modules.iter().map(|(name, parameters)| {
        let needed = parameters.get("required").and_then(Value::as_array).is_some_and(|r| !r.is_empty());
        let required = if needed { json!(["with"]) } else { json!([]) };
        json!({
            "if": {"properties": {"module": {"const": name}}, "required": ["module"]},
            "then": {"properties": {"with": parameters}, "required": required},
        })
    });
    let taken: Vec<Value> = taken.collect();
    if let (Some(call), false) = (call.as_object_mut(), taken.is_empty()) {
        call.insert("allOf".into(), taken.into());
    }
}

fn named(name: &'static str, title: &str, root: Value) -> Named {
    (name, assemble(title, Form::Written, |_| Schema::try_from(root).unwrap_or_default()))
}

/// Adds what a value means.
pub(crate) fn described(schema: Value, description: &str) -> Value {
    with(schema, "description", description.into())
}

/// Adds a keyword.
pub(crate) fn with(mut schema: Value, keyword: &str, value: Value) -> Value {
    if let Value::Object(members) = &mut schema {
        members.insert(keyword.into(), value);
    }
    schema
}

/// A text that is taken as written.
pub(crate) fn text() -> Value {
    json!({"type": SCALARS, "pattern": LITERAL})
}

/// A text with a spelling; the pattern is anchored.
pub(crate) fn spelt(pattern: &str) -> Value {
    json!({"type": SCALARS, "pattern": pattern})
}

/// The spelling of a name.
pub(crate) fn name<T: JsonSchema>() -> Value {
    let schema = T::json_schema(&mut SchemaGenerator::default());
    spelt(schema.get("pattern").and_then(Value::as_str).unwrap_or(LITERAL))
}

/// A mapping from names of a spelling to values.
pub(crate) fn mapping(key: &Value, value: Value) -> Value {
    json!({"type": "object", "propertyNames": {"pattern": key.get("pattern")}, "additionalProperties": value})
}

/// A mapping of names to texts.
pub(crate) fn labels() -> Value {
    described(json!({"type": "object", "additionalProperties": text()}), "For selection and policy.")
}

/// What YAML readers make of a plain scalar that we take as text.
const SCALARS: [&str; 3] = ["string", "number", "boolean"];

/// A step or gate: its own fields, and one type with its properties. `fits` says which of the known
/// types can stand here.
pub(crate) fn call(fields: Value, types: &[&TypeDescriptor], fits: impl Fn(&str) -> bool) -> Value {
    let mut schema = fields;
    let mut own: Vec<String> = Vec::new();
    if let Some(members) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        // A call of a module stands in place of a type.
        own.extend(members.keys().filter(|k| *k != "use").cloned());
        for ty in types {
            let properties = if fits(&ty.kind) {
                described(json!({"$ref": format!("#/$defs/{}", ty.name)}), &ty.summary)
            } else {
                Value::Bool(false)
            };
            members.insert(ty.name.to_string(), properties);
        }
    }
    let schema = with(schema, "patternProperties", json!({TYPE_NAME: {"type": ["object", "string"]}}));
    // There is a key beside its own fields: the type.
    with(schema, "not", json!({"propertyNames": {"enum": own}}))
}

/// The properties of each type, by name, as an editor sees them.
pub(crate) fn properties(types: &[&TypeDescriptor]) -> Map<String, Value> {
    let described_types = types.iter().map(|ty| {
        let mut schema = loosened(&ty.schema, Of { name: ty.name.as_str(), root: &ty.schema });
        if let Value::Object(members) = &mut schema {
            members.remove("$schema");
        }
        (ty.name.to_string(), described(schema, &ty.summary))
    });
    described_types.chain([(BESIDE.to_owned(), crate::beside::schema())]).collect()
}

/// The type that a schema is part of.
#[derive(Clone, Copy)]
struct Of<'a> {
    name: &'a str,
    root: &'a Value,
}

/// The schema of a property: what its type says, an expression, or where a text is expected a file.
fn or_expression(schema: &Value, ty: Of<'_>) -> Value {
    let expected = Shape::within(ty.root, schema).types();
    let takes_text = expected.has(Types::STRING) && !expected.has(Types::MAP);
    let mut schema = loosened(schema, ty);
    let mut outer = Map::new();
    if let Value::Object(members) = &mut schema {
        for annotation in ["description", "default", "title"] {
            outer.extend(members.remove_entry(annotation));
        }
    }
    let mut choices = vec![schema, json!({"type": "string", "pattern": TEMPLATE})];
    if takes_text {
        choices.push(json!({"$ref": format!("#/$defs/{BESIDE}")}));
    }
    outer.insert("anyOf".into(), choices.into());
    Value::Object(outer)
}

/// A provider's schema over what an editor's YAML reader makes of the source.
fn loosened(schema: &Value, ty: Of<'_>) -> Value {
    let Value::Object(members) = schema else { return schema.clone() };
    let each = |value: &Value, f: &dyn Fn(&Value) -> Value| match value {
        Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), f(v))).collect(),
        Value::Array(list) => list.iter().map(f).collect(),
        other => other.clone(),
    };
    let mut out = Map::new();
    for (keyword, value) in members {
        let value = match keyword.as_str() {
            "type" => types(value),
            "properties" | "patternProperties" | "prefixItems" => each(value, &|v| or_expression(v, ty)),
            "items" | "additionalProperties" => match value {
                Value::Object(_) => or_expression(value, ty),
                other => other.clone(),
            },
            "$defs" | "allOf" | "anyOf" | "oneOf" => each(value, &|v| loosened(v, ty)),
            "not" | "if" | "then" | "else" => loosened(value, ty),
            "$ref" => match value.as_str().and_then(|r| r.strip_prefix('#')) {
                Some(place) => format!("#/$defs/{}{place}", ty.name).into(),
                None => value.clone(),
            },
            _ => value.clone(),
        };
        out.insert(keyword.clone(), value);
    }
    Value::Object(out)
}

/// Where a text may stand, any scalar may.
fn types(value: &Value) -> Value {
    let mut names: Vec<&str> = match value {
        Value::String(one) => vec![one],
        other => other.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
    };
    if names.contains(&"string") {
        names.retain(|name| *name != "integer");
        names.extend(SCALARS);
        names.sort_unstable();
        names.dedup();
    }
    match names.as_slice() {
        [one] => (*one).into(),
        several => several.into(),
    }
}
