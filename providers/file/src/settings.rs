//! Properties of the types that set single values: `file.ini`, `file.json`, `file.toml`, `file.yaml`.

use crate::{
    desired::{Desired, Path, Want, WantedAccess, command, one_line},
    edit::{
        Assignment, Continuation, Edit, Format, Goal, IniEdit, Literal, Others, Presence, Setting, Step,
        TreeEdit,
    },
    errors::schema,
};
use rectify_sdk::protocol::ItemError;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Deepest place, and deepest value.
const DEPTH_MAX: usize = 64;

/// Tells `null` from nothing.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// One value of `edits`; without it, the same properties stand in the step itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TreeOne {
    key: Vec<Step>,
    #[serde(default, deserialize_with = "given")]
    value: Option<Value>,
    literal: Option<String>,
    #[serde(default)]
    state: Presence,
}

/// The properties of `file.json`, `file.toml` and `file.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tree {
    path: String,
    key: Option<Vec<Step>>,
    #[serde(default, deserialize_with = "given")]
    value: Option<Value>,
    literal: Option<String>,
    state: Option<Presence>,
    edits: Option<Vec<TreeOne>>,
    #[serde(default)]
    create: bool,
    mode: Option<String>,
    owner: Option<String>,
    group: Option<String>,
    validate: Option<Vec<String>>,
}

impl TreeOne {
    fn setting(self, format: Format, at: &str) -> Result<Setting, ItemError> {
        if self.key.is_empty() || self.key.len() > DEPTH_MAX {
            return Err(schema("a key has between 1 and 64 steps", &format!("{at}/key")));
        }
        let goal = match (self.state, self.value, self.literal) {
            (Presence::Present, Some(value), None) => {
                writable(&value, format, DEPTH_MAX, &format!("{at}/value"))?;
                Goal::Value(value)
            }
            (Presence::Present, None, Some(literal)) => {
                Goal::Literal(Literal::new(format, literal).ok_or_else(|| {
                    schema(
                        "this is not one value on one line, as the file would write it",
                        &format!("{at}/literal"),
                    )
                })?)
            }
            (Presence::Present, None, None) => {
                return Err(schema("state `present` needs `value` or `literal`", &format!("{at}/value")));
            }
            (Presence::Present, Some(_), Some(_)) => {
                return Err(schema("`value` and `literal` exclude each other", &format!("{at}/literal")));
            }
            (Presence::Absent, None, None) => {
                if let Some(Step::Index(_)) = self.key.last() {
                    let message =
                        "an item of a list has no name by which it could be gone for good; set the list";
                    return Err(schema(message, &format!("{at}/key")));
                }
                Goal::Absent
            }
            (Presence::Absent, ..) => {
                return Err(schema(
                    "state `absent` takes whatever is there: no value",
                    &format!("{at}/state"),
                ));
            }
        };
        Ok(Setting { place: self.key, goal, at: format!("{at}/key") })
    }
}

/// Whether a value can be written so that it is read back as it is.
fn writable(value: &Value, format: Format, depth: usize, at: &str) -> Result<(), ItemError> {
    let Some(depth) = depth.checked_sub(1) else { return Err(schema("this is nested too deeply", at)) };
    match value {
        Value::Number(number) if !number.is_i64() => {
            Err(schema("only integers are exact here; write another number as `literal`, in quotes", at))
        }
        Value::Null if !format.has_null() => Err(schema("this format has no null", at)),
        Value::Array(items) => items.iter().try_for_each(|item| writable(item, format, depth, at)),
        Value::Object(members) => members.values().try_for_each(|item| writable(item, format, depth, at)),
        _ => Ok(()),
    }
}

impl Tree {
    pub(crate) fn desired(self, format: Format) -> Result<Desired, ItemError> {
        let settings = match (self.key, self.edits) {
            (Some(key), None) => {
                let state = self.state.unwrap_or_default();
                let one = TreeOne { key, value: self.value, literal: self.literal, state };
                vec![one.setting(format, "")?]
            }
            (None, Some(edits)) => {
                if edits.is_empty() {
                    return Err(schema("nothing is to be edited", "/edits"));
                }
                if self.value.is_some() || self.literal.is_some() || self.state.is_some() {
                    return Err(schema(
                        "with `edits`, each has its own `value`, `literal` and `state`",
                        "/edits",
                    ));
                }
                let all = edits.into_iter().enumerate();
                all.map(|(index, one)| one.setting(format, &format!("/edits/{index}")))
                    .collect::<Result<_, _>>()?
            }
            _ => return Err(schema("one of `key` and `edits` is needed", "/key")),
        };
        refuse_nested(&settings)?;
        let access = WantedAccess::parse(self.mode.as_deref(), self.owner, self.group)?;
        Ok(Desired {
            path: Path::parse(&self.path)?,
            want: Want::Edit { edit: Edit::Tree(TreeEdit { format, settings }), create: self.create, access },
            validate: command(self.validate)?,
        })
    }
}

/// Two edits of one place would undo each other in turn.
fn refuse_nested(settings: &[Setting]) -> Result<(), ItemError> {
    for (index, setting) in settings.iter().enumerate() {
        let nested = |other: &Setting| {
            other.place.starts_with(&setting.place) || setting.place.starts_with(&other.place)
        };
        if settings.iter().take(index).any(nested) {
            return Err(schema(
                "an edit before this one is about the same place, or one within it",
                &setting.at,
            ));
        }
    }
    Ok(())
}

/// What is written as it is written in the step.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Boolean(bool),
    Integer(i64),
    Text(String),
}

impl From<Scalar> for String {
    fn from(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Boolean(boolean) => boolean.to_string(),
            Scalar::Integer(integer) => integer.to_string(),
            Scalar::Text(text) => text,
        }
    }
}

/// A value, or several of them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    One(Scalar),
    All(Vec<Scalar>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IniOne {
    key: Vec<String>,
    value: Option<Texts>,
    #[serde(default)]
    state: Presence,
    #[serde(default)]
    keep_others: bool,
}

fn equals() -> String {
    "=".into()
}

fn yes() -> bool {
    true
}

/// The properties of `file.ini`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ini {
    path: String,
    key: Option<Vec<String>>,
    value: Option<Texts>,
    state: Option<Presence>,
    keep_others: Option<bool>,
    edits: Option<Vec<IniOne>>,
    #[serde(default = "equals")]
    delimiter: String,
    #[serde(default)]
    continuation: Continuation,
    #[serde(default)]
    inline_comments: bool,
    #[serde(default = "yes")]
    uncomment: bool,
    #[serde(default)]
    ignore_case: bool,
    #[serde(default)]
    create: bool,
    mode: Option<String>,
    owner: Option<String>,
    group: Option<String>,
    validate: Option<Vec<String>>,
}

/// What all options of a step have in common.
struct Dialect {
    separator: u8,
    continuation: Continuation,
    inline_comments: bool,
}

impl IniOne {
    fn option(self, dialect: &Dialect, at: &str) -> Result<Assignment, ItemError> {
        let in_key = format!("{at}/key");
        let (section, key) = match <[String; 2]>::try_from(self.key) {
            Ok([section, key]) => (Some(section), key),
            Err(mut one) => match (one.pop(), one.is_empty()) {
                (Some(key), true) => (None, key),
                _ => return Err(schema("a key is a section and an option, or an option alone", &in_key)),
            },
        };
        if let Some(section) = &section {
            one_line(section, &in_key)?;
            if section.is_empty() || section.contains(']') {
                return Err(schema("the name of a section is not empty and holds no `]`", &in_key));
            }
        }
        one_line(&key, &in_key)?;
        let blank = |c: char| c == ' ' || c == '\t';
        if key.is_empty() || key.trim_matches(blank) != key {
            return Err(schema("an option has a name, without blanks around it", &in_key));
        }
        if key.starts_with(['[', '#', ';', '\u{feff}'])
            || key.contains(char::from(dialect.separator))
            || key.ends_with('\\')
        {
            return Err(schema("an option of this name would be read as something else", &in_key));
        }
        let in_value = format!("{at}/value");
        let (values, exactly): (Vec<String>, _) = match self.value {
            None => (Vec::new(), Others::Remove),
            Some(Texts::One(value)) => (vec![value.into()], Others::Refuse),
            Some(Texts::All(values)) if values.is_empty() => {
                return Err(schema("there is no value in the list; take state `absent`", &in_value));
            }
            Some(Texts::All(values)) => (values.into_iter().map(String::from).collect(), Others::Remove),
        };
        let others = if self.keep_others { Others::Keep } else { exactly };
        let absent = self.state == Presence::Absent;
        if !absent && values.is_empty() {
            return Err(schema("state `present` needs a value", &in_value));
        }
        for value in &values {
            one_line(value, &in_value)?;
            if value.trim_matches(blank) != value {
                return Err(schema(
                    "blanks around a value would be lost; put it in quotes that the reader knows",
                    &in_value,
                ));
            }
            if dialect.continuation == Continuation::Backslash && value.ends_with('\\') {
                return Err(schema(
                    "a value that ends in a backslash would go on in the next line",
                    &in_value,
                ));
            }
            if dialect.inline_comments && IniEdit::has_comment(value) {
                return Err(schema(
                    "part of this value would be read as a comment; put it in quotes",
                    &in_value,
                ));
            }
        }
        Ok(Assignment { section, key, values, others, absent, at: in_key })
    }
}

impl Ini {
    pub(crate) fn desired(self) -> Result<Desired, ItemError> {
        let separator = match self.delimiter.trim_matches([' ', '\t']) {
            "=" => b'=',
            ":" => b':',
            _ => {
                return Err(schema(
                    "a delimiter is `=` or `:`, with or without blanks around it",
                    "/delimiter",
                ));
            }
        };
        let dialect =
            Dialect { separator, continuation: self.continuation, inline_comments: self.inline_comments };
        let options: Vec<Assignment> = match (self.key, self.edits) {
            (Some(key), None) => {
                let (state, keep_others) =
                    (self.state.unwrap_or_default(), self.keep_others.unwrap_or_default());
                vec![IniOne { key, value: self.value, state, keep_others }.option(&dialect, "")?]
            }
            (None, Some(edits)) => {
                if edits.is_empty() {
                    return Err(schema("nothing is to be edited", "/edits"));
                }
                if self.value.is_some() || self.state.is_some() || self.keep_others.is_some() {
                    return Err(schema(
                        "with `edits`, each has its own `value`, `state` and `keep_others`",
                        "/edits",
                    ));
                }
                let all = edits.into_iter().enumerate();
                all.map(|(index, one)| one.option(&dialect, &format!("/edits/{index}")))
                    .collect::<Result<_, _>>()?
            }
            _ => return Err(schema("one of `key` and `edits` is needed", "/key")),
        };
        let ignore_case = self.ignore_case;
        let name = |option: &Assignment| {
            let both = (option.section.clone(), option.key.clone());
            if ignore_case {
                (both.0.map(|s| s.to_ascii_lowercase()), both.1.to_ascii_lowercase())
            } else {
                both
            }
        };
        for (index, option) in options.iter().enumerate() {
            if options.iter().take(index).any(|other| name(other) == name(option)) {
                return Err(schema("an edit before this one is about the same option", &option.at));
            }
        }
        let edit = IniEdit {
            options,
            separator,
            delimiter: self.delimiter,
            continuation: self.continuation,
            inline_comments: self.inline_comments,
            uncomment: self.uncomment,
            ignore_case,
        };
        let access = WantedAccess::parse(self.mode.as_deref(), self.owner, self.group)?;
        Ok(Desired {
            path: Path::parse(&self.path)?,
            want: Want::Edit { edit: Edit::Ini(edit), create: self.create, access },
            validate: command(self.validate)?,
        })
    }
}
