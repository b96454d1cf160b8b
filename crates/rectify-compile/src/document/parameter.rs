//! `parameters` of a remediation: a type, bounds, and a value.

use crate::{
    codes,
    expression::Parameters,
    fields::{self, Fields, Known, short},
    limits::REGEX_MAX_BYTES,
    report::Cx,
    scalar::{self, Types},
    tree::{Content, Entry, Node, Span},
};
use rectify_base::SecretText;
use serde_json::Value;
use std::collections::BTreeMap;

const PARAMETER: Known = Known {
    what: "a parameter",
    fields: &["type", "default", "minimum", "maximum", "enum", "pattern", "description"],
    reserved: &["required"],
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    String,
    Integer,
    Boolean,
    List,
    Secret,
}

const TYPES: [(&str, Type); 5] = [
    ("string", Type::String),
    ("integer", Type::Integer),
    ("boolean", Type::Boolean),
    ("list", Type::List),
    ("secret", Type::Secret),
];

/// What parameters there are. A parameter that is wrong is there without a definition, so that its
/// uses are not reported as well.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    pub known: BTreeMap<String, Option<Definition>>,
    /// Whether it is not even known which there are.
    pub unknown: bool,
}

/// The type and bounds of a parameter, and its value if nothing else is said.
#[derive(Debug)]
pub(crate) struct Definition {
    pub span: Span,
    kind: Type,
    bounds: Bounds,
    /// What its author says of it.
    pub description: Option<String>,
    pub default: Option<Value>,
}

impl Definition {
    /// Why a value cannot be the parameter's.
    pub fn refuses(&self, value: &Value) -> Option<String> {
        if self.kind != Type::Secret && crate::secrets::holds(value) {
            return Some("holds a secret; only a parameter of type `secret` can".into());
        }
        let is_text = |v: &Value| v.is_string();
        let (fits, expected) = match self.kind {
            Type::String => (value.is_string(), "a text"),
            Type::Integer => (value.is_i64(), "an integer"),
            Type::Boolean => (value.is_boolean(), "`true` or `false`"),
            Type::Secret => {
                (SecretText::read(value).is_some(), "a text with a secret, as `${{ secrets.NAME }}`")
            }
            Type::List => (value.as_array().is_some_and(|all| all.iter().all(is_text)), "a list of texts"),
        };
        if !fits {
            return Some(format!("is not {expected}"));
        }
        self.bounds.breaks(value)
    }

    /// What a call may give, for editors; without expressions.
    #[cfg(feature = "schema")]
    pub fn schema(&self) -> Value {
        let mut schema = self.shape();
        if let Some(members) = schema.as_object_mut() {
            if self.kind == Type::Secret {
                // Only an expression gives one.
                members.insert("enum".into(), serde_json::json!([]));
            }
            let Bounds { minimum, maximum, allowed, pattern } = &self.bounds;
            members.extend(minimum.map(|n| ("minimum".to_owned(), n.into())));
            members.extend(maximum.map(|n| ("maximum".to_owned(), n.into())));
            members.extend(allowed.as_ref().map(|all| ("enum".to_owned(), all.clone().into())));
            members.extend(pattern.as_ref().map(|p| ("pattern".to_owned(), p.as_str().into())));
            members.extend(self.description.as_ref().map(|d| ("description".to_owned(), d.as_str().into())));
            members.extend(self.default.as_ref().map(|d| ("default".to_owned(), d.clone())));
        }
        schema
    }

    /// Whether its value is a secret.
    pub fn is_secret(&self) -> bool {
        self.kind == Type::Secret
    }

    /// How a value is read where it is given.
    pub fn shape(&self) -> Value {
        match self.kind {
            Type::String | Type::Secret => serde_json::json!({"type": "string"}),
            Type::Integer => serde_json::json!({"type": "integer"}),
            Type::Boolean => serde_json::json!({"type": "boolean"}),
            Type::List => serde_json::json!({"type": "array", "items": {"type": "string"}}),
        }
    }
}

/// The parameters of a remediation with their values, which must be there.
pub(crate) fn read(node: &Node<'_>, cx: &mut Cx<'_, '_>) -> Parameters {
    let definitions = define(node, cx);
    let mut parameters = Parameters { unknown: definitions.unknown, ..Parameters::default() };
    for (name, definition) in definitions.known {
        let value = definition.and_then(|definition| {
            if definition.default.is_none() {
                let message = format!("the parameter `{name}` has no value");
                cx.error(codes::REMEDIATION_PARAMETER_VALUE, definition.span, message).help =
                    Some("give it a `default`".into());
            }
            definition.default
        });
        if value.is_none() {
            parameters.broken.insert(name.clone());
        }
        parameters.values.insert(name, value.unwrap_or_default());
    }
    parameters
}

/// Reads `parameters`.
pub(crate) fn define(node: &Node<'_>, cx: &mut Cx<'_, '_>) -> Definitions {
    let entries = fields::entries(node, "`parameters`", cx);
    let mut definitions = Definitions { unknown: entries.is_none(), ..Definitions::default() };
    for entry in entries.unwrap_or_default() {
        if !is_identifier(&entry.key) {
            cx.error(
                codes::PROJECT_NAME,
                entry.key_span,
                format!("`{}` is not a parameter name", short(&entry.key)),
            )
            .help = Some("expected a letter, then letters, digits and `_`".into());
            definitions.known.insert(entry.key.to_string(), None);
            continue;
        }
        definitions.known.insert(entry.key.to_string(), parameter(entry, cx));
    }
    definitions
}

fn is_identifier(text: &str) -> bool {
    let rest = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= 63 && text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(rest)
}

fn parameter(entry: &Entry<'_>, cx: &mut Cx<'_, '_>) -> Option<Definition> {
    let fields = Fields::read(&entry.value, entry.key_span, &PARAMETER, cx)?;
    let kind = fields.require("type", cx)?;
    let names = TYPES.map(|(name, _)| name);
    let word = fields::word(&kind.value, "the type of a parameter", &names, cx)?;
    let kind = TYPES.iter().find(|(name, _)| *name == word)?.1;
    let description = fields.get("description").and_then(|e| fields::text(&e.value, "a description", cx));
    let description = description.map(str::to_owned);
    let bounds = bounds(&fields, kind, cx)?;
    let span = entry.key_span;
    let Some(default) = fields.get("default") else {
        return Some(Definition { span, kind, bounds, description, default: None });
    };
    let value = typed(&default.value, kind, cx)?;
    match bounds.breaks(&value) {
        None => Some(Definition { span, kind, bounds, description, default: Some(value) }),
        Some(rule) => {
            cx.error(
                codes::REMEDIATION_PARAMETER_VALUE,
                default.value.span,
                format!("the value of `{}` {rule}", entry.key),
            )
            .help = description;
            None
        }
    }
}

#[derive(Debug, Default)]
struct Bounds {
    minimum: Option<i64>,
    maximum: Option<i64>,
    allowed: Option<Vec<Value>>,
    pattern: Option<regex::Regex>,
}

impl Bounds {
    fn breaks(&self, value: &Value) -> Option<String> {
        if let Some(number) = value.as_i64() {
            if let Some(minimum) = self.minimum.filter(|m| number < *m) {
                return Some(format!("is below its minimum {minimum}"));
            }
            if let Some(maximum) = self.maximum.filter(|m| number > *m) {
                return Some(format!("is above its maximum {maximum}"));
            }
        }
        if let Some(pattern) = &self.pattern
            && value.as_str().is_some_and(|text| !pattern.is_match(text))
        {
            return Some(format!("does not match the pattern `{pattern}`"));
        }
        let allowed = self.allowed.as_ref()?;
        (!allowed.contains(value)).then(|| "is not one of those in `enum`".into())
    }
}

fn bounds(fields: &Fields<'_, '_>, kind: Type, cx: &mut Cx<'_, '_>) -> Option<Bounds> {
    let applies = [
        ("minimum", kind == Type::Integer),
        ("maximum", kind == Type::Integer),
        ("pattern", kind == Type::String),
        ("enum", matches!(kind, Type::String | Type::Integer)),
    ];
    let mut sound = true;
    for (name, applies) in applies {
        if let Some(entry) = fields.get(name).filter(|_| !applies) {
            sound = false;
            cx.error(
                codes::REMEDIATION_PARAMETER,
                entry.key_span,
                format!("`{name}` says nothing about a parameter of this type"),
            );
        }
    }
    let limit = |name: &'static str, cx: &mut Cx<'_, '_>| match fields.get(name) {
        None => Some(None),
        Some(e) => fields::integer(&e.value, name, i64::MIN, i64::MAX, cx).map(Some),
    };
    let (minimum, maximum) = (limit("minimum", cx), limit("maximum", cx));
    if !sound {
        return None;
    }
    let (minimum, maximum) = (minimum?, maximum?);
    if let (Some(low), Some(high), Some(entry)) = (minimum, maximum, fields.get("maximum"))
        && low > high
    {
        cx.error(codes::REMEDIATION_PARAMETER, entry.value.span, "`maximum` is below `minimum`");
        return None;
    }
    let pattern = match fields.get("pattern") {
        None => None,
        Some(entry) => Some(pattern(&entry.value, cx)?),
    };
    let allowed = match fields.get("enum") {
        None => None,
        Some(entry) => {
            let items = fields::items(&entry.value, "`enum`", cx)?;
            Some(items.iter().map(|node| typed(node, kind, cx)).collect::<Option<Vec<_>>>()?)
        }
    };
    Some(Bounds { minimum, maximum, allowed, pattern })
}

fn pattern(node: &Node<'_>, cx: &mut Cx<'_, '_>) -> Option<regex::Regex> {
    let text = fields::text(node, "a pattern", cx)?;
    match regex::RegexBuilder::new(text).size_limit(REGEX_MAX_BYTES).build() {
        Ok(regex) => Some(regex),
        Err(error) => {
            let why = error.to_string();
            let why = why.lines().last().unwrap_or("").trim().trim_start_matches("error: ");
            cx.error(codes::REMEDIATION_PARAMETER, node.span, format!("this pattern is not usable: {why}"));
            None
        }
    }
}

fn typed(node: &Node<'_>, kind: Type, cx: &mut Cx<'_, '_>) -> Option<Value> {
    match kind {
        Type::String => fields::text(node, "a parameter of type string", cx).map(Into::into),
        Type::Integer => {
            fields::integer(node, "a parameter of type integer", i64::MIN, i64::MAX, cx).map(Into::into)
        }
        Type::Boolean => {
            let value = match &node.content {
                Content::Scalar(scalar) => {
                    scalar::read(scalar, Types::BOOLEAN).ok().filter(Value::is_boolean)
                }
                _ => None,
            };
            if value.is_none() {
                fields::wrong(node, "`true` or `false`", cx);
            }
            value
        }
        Type::Secret => {
            let message = "a secret is not written down: a parameter of this type has no value of its own";
            cx.error(codes::REMEDIATION_PARAMETER, node.span, message).help = Some(
                "a module is given one in its call, as `${{ secrets.NAME }}`; a remediation uses it directly"
                    .into(),
            );
            None
        }
        Type::List => {
            let items = fields::items(node, "a parameter of type list", cx)?;
            items.iter().map(|item| typed(item, Type::String, cx)).collect()
        }
    }
}

/// What [`read`] takes, for editors.
#[cfg(feature = "schema")]
pub(crate) fn schema(required: &[&str]) -> Value {
    use crate::editor::{described, mapping, text};
    use serde_json::json;

    let integer = json!({"type": "integer"});
    let parameter = |kind: Type, word: &str, value: Value| {
        let known = |field: &str| match field {
            "minimum" | "maximum" => kind == Type::Integer,
            "pattern" => kind == Type::String,
            "enum" => matches!(kind, Type::String | Type::Integer),
            "default" => kind != Type::Secret,
            _ => true,
        };
        let mut schema = PARAMETER.schema(required, |field| match field {
            "type" => described(json!({"const": word}), "Type of the value."),
            "default" => described(value.clone(), "The value."),
            "minimum" => described(integer.clone(), "Least value."),
            "maximum" => described(integer.clone(), "Greatest value."),
            "enum" => described(json!({"type": "array", "items": value}), "The only values."),
            "pattern" => described(text(), "Regular expression that the value matches."),
            _ => described(text(), "For readers."),
        });
        if let Some(members) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            members.retain(|field, _| known(field));
        }
        schema
    };
    let choices: Vec<Value> = TYPES
        .iter()
        .map(|(word, kind)| {
            let value = match kind {
                Type::String | Type::Secret => text(),
                Type::Integer => integer.clone(),
                Type::Boolean => json!({"type": "boolean"}),
                Type::List => json!({"type": "array", "items": text()}),
            };
            parameter(*kind, word, value)
        })
        .collect();
    let key = json!({"pattern": "^[A-Za-z][A-Za-z0-9_]{0,62}$"});
    described(mapping(&key, json!({"oneOf": choices})), "Values that expressions see as `params`, by name.")
}
