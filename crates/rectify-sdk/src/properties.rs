//! What people write about a thing, as a type: its schema, how it is read, and what it names.

use crate::{Context, stand_in};
use jsonschema::{PatternOptions, Validator, error::ValidationErrorKind as Kind};
use rectify_base::{Pointer, schema::Form};
use rectify_protocol::{
    ErrorCode, ItemError,
    manifest::{TouchRule, TypeDescriptor},
};
use schemars::{
    JsonSchema, Schema,
    transform::{Transform, transform_subschemas},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use serde_path_to_error::Segment;
use std::{marker::PhantomData, time::Duration};

/// An object of JSON, as properties arrive.
pub type Object = Map<String, Value>;

/// Longest message about a value that does not fit, in bytes.
const MESSAGE_MAX_BYTES: usize = 300;

/// What people write about one kind of thing: a struct with named fields, and
/// `#[derive(Deserialize, JsonSchema, Properties)]`.
///
/// Names, defaults and forms of the fields are what serde is told (`#[serde(default)]`, `Option`); their rules
/// what schemars is told (`#[schemars(length(max = 100))]`, `regex(pattern = "…")`, `range(…)`). Documentation
/// comments become descriptions, the first sentence of the struct's own is the summary of the type. The schema is
/// closed, and knows no floating-point numbers, which have no exact form.
///
/// `derive(Properties)` adds what a field names, with `#[rectify(…)]`:
///
/// - `identity`: it names the thing. These fields together become the struct `…Id`, which is all that is known
///   where the thing is only looked at. Their names say what a step writes, and by which things are told apart.
/// - `touch = "kind"`: what it names is of this kind. `path` is a path on the target; a step that makes a
///   directory comes before what lies in it. Left out, an identity is of the type's own kind.
/// - `read`, `write`: how it is touched. An identity is written, anything else is read.
pub trait Properties: DeserializeOwned + JsonSchema + 'static {
    /// What names the thing.
    type Id;
    /// What the properties say of things that a step touches.
    const TOUCHES: &'static [Touch];
    /// The properties that name the thing.
    const NAMES: &'static [&'static str];

    /// What names the thing.
    fn id(&self) -> Self::Id;

    /// What names the thing, from properties of which nothing else matters.
    ///
    /// # Errors
    /// `SCHEMA` at the property.
    fn read_id(desired: &Object) -> Result<Self::Id, ItemError>;
}

/// A property whose value names something that a step touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// Its name.
    pub property: &'static str,
    /// Kind of the thing; `None`: that of the type.
    pub kind: Option<&'static str>,
    /// Whether the step writes it.
    pub writes: bool,
}

/// Whether a thing should be there: for a property `state`, with `#[serde(default)]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// It should.
    #[default]
    Present,
    /// It should not.
    Absent,
}

impl JsonSchema for Presence {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Presence".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> Schema {
        schemars::json_schema!({"enum": ["present", "absent"]})
    }
}

/// One property, read. For `derive(Properties)`.
///
/// # Errors
/// `SCHEMA` at the property.
#[doc(hidden)]
pub fn property<T: DeserializeOwned>(desired: &Object, name: &str) -> Result<T, ItemError> {
    let place = Pointer::root().child(name);
    let value = desired.get(name).ok_or_else(|| missing(&Pointer::root(), name))?;
    from_value(value.clone(), &place)
}

/// Reads a value; an error is at its place beneath `at`.
pub(crate) fn from_value<T: DeserializeOwned>(value: Value, at: &Pointer) -> Result<T, ItemError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let place = error.path().iter().fold(at.clone(), |at, segment| match segment {
            Segment::Seq { index } => at.child(&index.to_string()),
            Segment::Map { key } => at.child(key),
            Segment::Enum { variant } => at.child(variant),
            Segment::Unknown => at,
        });
        wrong(error.into_inner().to_string(), &place)
    })
}

fn wrong(message: impl Into<String>, at: &Pointer) -> ItemError {
    let mut message = message.into();
    let end = message.char_indices().map(|(at, _)| at).take_while(|at| *at <= MESSAGE_MAX_BYTES).last();
    if message.len() > MESSAGE_MAX_BYTES {
        message.truncate(end.unwrap_or(0));
        message.push('…');
    }
    ItemError::new(ErrorCode::Schema, message).at(at.as_str())
}

fn missing(at: &Pointer, name: &str) -> ItemError {
    wrong(format!("`{name}` is missing"), at)
}

/// How the properties of one type are described, checked and read.
pub(crate) struct Codec<P> {
    summary: String,
    schema: Value,
    validator: Validator,
    properties: PhantomData<fn() -> P>,
}

impl<P: Properties> Codec<P> {
    /// # Panics
    /// When the struct gives no usable schema. That shows where the provider starts, whatever it is asked.
    pub(crate) fn new(type_name: &str) -> Self {
        Self::try_new().unwrap_or_else(|problem| panic!("the properties of `{type_name}`: {problem}"))
    }

    fn try_new() -> Result<Self, String> {
        let mut schema = rectify_base::schema::document::<P>("", Form::Written);
        let members = schema.as_object_mut().ok_or("they are no struct with named fields")?;
        members.remove("title");
        members.remove("$schema");
        let told = members.remove("description");
        let told = told.as_ref().and_then(Value::as_str).unwrap_or_default();
        let summary = told.split("\n\n").next().unwrap_or_default().trim().to_owned();
        if summary.is_empty() {
            return Err("the struct has no documentation, whose first paragraph is the summary".into());
        }
        members.entry("properties").or_insert_with(|| json!({}));
        if members.get("type") != Some(&json!("object")) || branches(members) {
            return Err("they are no struct of plain fields; an enum is the value of one".into());
        }
        members.insert("additionalProperties".into(), false.into());
        for keyword in ["properties", "$defs"] {
            for (name, member) in schema.get_mut(keyword).and_then(Value::as_object_mut).into_iter().flatten()
            {
                let mut tidy = Tidy::default();
                let member = <&mut Schema>::try_from(member).map_err(|e| e.to_string())?;
                tidy.transform(member);
                if tidy.has_floats {
                    return Err(format!("`{name}`: floating-point numbers have no exact form; take a text"));
                }
            }
        }
        for name in P::TOUCHES.iter().map(|touch| touch.property).chain(P::NAMES.iter().copied()) {
            if schema.pointer(Pointer::root().child("properties").child(name).as_str()).is_none() {
                return Err(format!(
                    "there is no property `{name}`; `#[rectify]` knows a name from `#[serde(rename = \"…\")]` only"
                ));
            }
        }
        let options = jsonschema::draft202012::options().with_pattern_options(PatternOptions::regex());
        let validator = options.build(&schema).map_err(|e| e.to_string())?;
        Ok(Self { summary, schema, validator, properties: PhantomData })
    }

    /// What the manifest says of a type with these properties.
    pub(crate) fn descriptor(&self, name: &'static str, version: u32, kind: &str) -> TypeDescriptor {
        let touches = P::TOUCHES.iter().map(|touch| TouchRule {
            property: Pointer::root().child(touch.property),
            kind: touch.kind.unwrap_or(name).into(),
            access: if touch.writes { "write" } else { "read" }.into(),
        });
        TypeDescriptor {
            name: name.parse().unwrap_or_else(|e| panic!("`{name}` is not the name of a type: {e}")),
            version,
            kind: kind.into(),
            summary: self.summary.clone(),
            schema: self.schema.clone(),
            volatile: Vec::new(),
            touches: touches.collect(),
            prediction: "exact".into(),
            retry: "converge".into(),
            undo: "exact".into(),
            compare_and_swap: false,
            read_timeout_ms: 30_000,
            apply_timeout_ms: 120_000,
        }
    }

    /// Checks properties by their schema, as if secrets were ordinary texts; so no message holds one.
    fn check(&self, desired: &Object) -> Result<(), ItemError> {
        let value = Value::Object(stand_in(desired));
        let mut found: Option<ItemError> = None;
        for error in self.validator.iter_errors(&value) {
            let at = Pointer::from(error.instance_path().as_str());
            match error.kind() {
                // What is misspelt is missing, too; it is what has to be told.
                Kind::AdditionalProperties { unexpected } => {
                    let name = unexpected.first().map(String::as_str).unwrap_or_default();
                    return Err(wrong(format!("there is no property `{name}`"), &at.child(name)));
                }
                Kind::Required { property } => {
                    found.get_or_insert_with(|| missing(&at, property.as_str().unwrap_or_default()));
                }
                Kind::Pattern { pattern } => {
                    found.get_or_insert_with(|| wrong(format!("it does not match `{pattern}`"), &at));
                }
                _ => {
                    found.get_or_insert_with(|| wrong(error.to_string(), &at));
                }
            }
        }
        found.map_or(Ok(()), Err)
    }

    /// The properties, with something harmless in place of secrets.
    pub(crate) fn read_shape(&self, desired: &Object) -> Result<P, ItemError> {
        self.check(desired)?;
        from_value(Value::Object(stand_in(desired)), &Pointer::root())
    }

    /// The properties as they are meant.
    pub(crate) fn read(&self, cx: &Context, desired: &Object) -> Result<P, ItemError> {
        self.check(desired)?;
        let revealed = cx.reveal(desired)?;
        let read = from_value(Value::Object(revealed.properties.into_owned()), &Pointer::root());
        read.map_err(|error| match revealed.is_secret {
            // The message may quote the value.
            true => ItemError { message: "the value, which is a secret, cannot be read".into(), ..error },
            false => error,
        })
    }
}

fn branches(schema: &Object) -> bool {
    ["oneOf", "anyOf", "allOf"].iter().any(|keyword| schema.contains_key(*keyword))
}

/// Closes the objects in a schema, and finds what has no exact form. A default of null is no default.
#[derive(Default)]
struct Tidy {
    has_floats: bool,
}

impl Transform for Tidy {
    fn transform(&mut self, schema: &mut Schema) {
        self.has_floats |= match schema.get("type") {
            Some(Value::Array(types)) => types.iter().any(|kind| kind == "number"),
            kind => kind.is_some_and(|kind| kind == "number"),
        };
        if schema.get("default").is_some_and(Value::is_null) {
            schema.remove("default");
        }
        let Some(members) = schema.as_object_mut() else { return };
        if members.contains_key("properties") {
            if branches(members) || members.contains_key("unevaluatedProperties") {
                // Only its author knows which of its parts has which members.
                return;
            }
            members.entry("additionalProperties").or_insert(false.into());
        }
        transform_subschemas(self, schema);
    }
}

/// A time as the manifest has it.
pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
