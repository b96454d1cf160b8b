//! What `file.json`, `file.yaml` and `file.toml` have in common: a place in a tree, what should be
//! there, and the pieces of text that are replaced. Everything else keeps its bytes.

use super::{EditError, json, toml, yaml};
use serde_json::Value;
use std::{fmt, ops::Range};

const BOM: &str = "\u{feff}";

/// One step down a tree.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(untagged)]
pub(crate) enum Step {
    /// Item of a list, from 0.
    Index(usize),
    /// Member of a mapping.
    Key(String),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "{index}"),
            Self::Key(key) => write!(f, "{}", key.escape_debug()),
        }
    }
}

/// A value in the spelling of the file's own format, which is what JSON values lack: `0.5`, a date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Literal(String);

impl Literal {
    /// `None` unless it is one value on one line, with nothing around it.
    pub(crate) fn new(format: Format, text: String) -> Option<Self> {
        let alone = text.trim() == text && !text.contains(['\n', '\r']);
        let sound = alone
            && match format {
                Format::Json => json::is_value(&text),
                Format::Toml => toml::is_value(&text),
                Format::Yaml => yaml::is_value(&text),
            };
        sound.then_some(Self(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What should be at a place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Goal {
    Value(Value),
    Literal(Literal),
    Absent,
}

/// One place, and what should be there.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// Not empty.
    pub(crate) place: Vec<Step>,
    pub(crate) goal: Goal,
    /// The property that names the place, for messages.
    pub(crate) at: String,
}

/// The languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Toml,
    Yaml,
}

impl Format {
    /// Longest text that is parsed: the parsed form takes many times its size, of TOML most.
    fn max_bytes(self) -> usize {
        match self {
            Self::Json | Self::Yaml => 16 * 1024 * 1024,
            Self::Toml => 2 * 1024 * 1024,
        }
    }

    pub(crate) fn has_null(self) -> bool {
        match self {
            Self::Json | Self::Yaml => true,
            Self::Toml => false,
        }
    }
}

/// The edit: settings, in order, none of which is within another.
#[derive(Clone, Debug)]
pub(crate) struct TreeEdit {
    pub(crate) format: Format,
    pub(crate) settings: Vec<Setting>,
}

impl TreeEdit {
    pub(crate) fn is_absent(&self) -> bool {
        self.settings.iter().all(|setting| setting.goal == Goal::Absent)
    }

    /// The content after the edit.
    pub(crate) fn apply(&self, bytes: &[u8]) -> Result<Vec<u8>, EditError> {
        let most = self.format.max_bytes();
        if bytes.len() > most {
            return Err(EditError::Unreadable(format!(
                "the file is longer than {most} bytes and is not parsed"
            )));
        }
        let text = std::str::from_utf8(bytes).map_err(|e| {
            EditError::Unreadable(format!(
                "the file is not UTF-8: see the byte at offset {}",
                e.valid_up_to()
            ))
        })?;
        let (mark, text) = text.strip_prefix(BOM).map_or(("", text), |rest| (BOM, rest));
        let mut text = text.to_owned();
        for setting in &self.settings {
            let splices = match self.format {
                Format::Json => json::edit(&text, setting)?,
                Format::Toml => toml::edit(&text, setting)?,
                Format::Yaml => yaml::edit(&text, setting)?,
            };
            text = spliced(&text, splices);
        }
        Ok([mark, &text].concat().into_bytes())
    }
}

/// A piece of a text, and what takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Splice {
    pub(crate) range: Range<usize>,
    pub(crate) text: String,
}

/// The text after replacing pieces that do not overlap.
pub(crate) fn spliced(text: &str, mut splices: Vec<Splice>) -> String {
    splices.sort_by_key(|splice| (splice.range.start, splice.range.end));
    let mut out = String::with_capacity(text.len() + 64);
    let mut done = 0;
    for Splice { range, text: new } in splices {
        out.push_str(text.get(done..range.start).unwrap_or_default());
        out.push_str(&new);
        done = range.end;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

/// What is to be written: a value, or mappings around one that lead to it.
#[derive(Clone, Debug)]
pub(crate) enum New<'a> {
    Scalar(&'a Value),
    Literal(&'a str),
    List(Vec<Self>),
    /// Sorted by key.
    Map(Vec<(&'a str, Self)>),
}

impl<'a> New<'a> {
    fn of(value: &'a Value) -> Self {
        match value {
            Value::Array(items) => Self::List(items.iter().map(Self::of).collect()),
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().map(|(k, v)| (k.as_str(), Self::of(v))).collect();
                members.sort_by_key(|(key, _)| *key);
                Self::Map(members)
            }
            scalar => Self::Scalar(scalar),
        }
    }

    /// What to write below the last step that exists. `None` if nothing is to be written, or if a
    /// list would have to be made whose first item is missing.
    pub(crate) fn below(steps: &'a [Step], goal: &'a Goal) -> Option<Self> {
        let inner = match goal {
            Goal::Value(value) => Self::of(value),
            Goal::Literal(literal) => Self::Literal(literal.as_str()),
            Goal::Absent => return None,
        };
        steps.iter().rev().try_fold(inner, |inner, step| match step {
            Step::Key(key) => Some(Self::Map(vec![(key, inner)])),
            Step::Index(0) => Some(Self::List(vec![inner])),
            Step::Index(_) => None,
        })
    }
}

impl Setting {
    /// The steps down to one of them, for messages.
    pub(crate) fn shown(&self, steps: usize) -> String {
        self.place.iter().take(steps).map(ToString::to_string).collect::<Vec<_>>().join(" › ")
    }

    /// What stands at the end of these steps is something else than the next step needs.
    pub(crate) fn other_kind(&self, steps: usize, found: &str) -> EditError {
        let wanted = match self.place.get(steps) {
            Some(Step::Index(_)) => "a list",
            _ => "a mapping",
        };
        let what = if steps == 0 { "the file".into() } else { format!("`{}`", self.shown(steps)) };
        EditError::InTheWay {
            at: self.at.clone(),
            message: format!("{what} holds {found}, not {wanted}"),
            hint: match self.place.get(steps) {
                Some(Step::Index(_)) => "a text names a member of a mapping, a number an item of a list",
                _ => "set it as a whole instead, or name another place; the key of a mapping is a text",
            },
        }
    }

    /// A list is too short for the next step.
    pub(crate) fn no_item(&self, steps: usize, length: usize) -> EditError {
        let what = if steps == 0 { "the list".into() } else { format!("the list `{}`", self.shown(steps)) };
        EditError::InTheWay {
            at: self.at.clone(),
            message: format!("{what} has {length} items, so `{}` cannot be one", self.shown(steps + 1)),
            hint: "items are counted from 0; the next free number appends one",
        }
    }

    /// A key stands twice where one is needed.
    pub(crate) fn twice(&self, steps: usize) -> EditError {
        EditError::Unsafe {
            at: self.at.clone(),
            message: format!("the key `{}` stands there twice", self.shown(steps)),
            hint: "readers disagree which one counts: remove one by hand",
        }
    }
}

impl Setting {
    /// Something about what is there makes it unsafe to edit.
    pub(crate) fn refuse(&self, steps: usize, why: &str, hint: &'static str) -> EditError {
        let what = if steps == 0 { "the file".into() } else { format!("`{}`", self.shown(steps)) };
        EditError::Unsafe { at: self.at.clone(), message: format!("{what} {why}"), hint }
    }
}

/// How the lines of a text end: as the first does.
pub(crate) fn newline(text: &str) -> &'static str {
    match text.split_once('\n') {
        Some((first, _)) if first.ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// The blanks at the beginning of the line in which an offset lies.
pub(crate) fn indent_of(text: &str, offset: usize) -> &str {
    let before = text.get(..offset).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = text.get(start..).unwrap_or_default();
    let blanks = line.len() - line.trim_start_matches([' ', '\t']).len();
    line.get(..blanks).unwrap_or_default()
}
