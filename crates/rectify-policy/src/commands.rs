//! What a step or a gate executes, as policies see it.
//!
//! Commands are found by the names of properties, whatever the type is: a provider that calls its
//! command `argv`, `script`, `unless`, `only_if`, `undo` or `validate` is seen. Nothing that stands under one
//! of these names is left out, even if it has not the expected form.

use serde::Serialize;
use serde_json::{Map, Value};
use std::{borrow::Cow, collections::BTreeMap};

/// Properties that hold a command, and when it is executed.
const NAMES: [(&str, When); 6] = [
    ("argv", When::Run),
    ("script", When::Run),
    ("unless", When::Guard),
    ("only_if", When::Guard),
    ("undo", When::Undo),
    ("validate", When::Validate),
];

/// When a command is executed.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum When {
    /// It is what the step does.
    Run,
    /// It says whether the step has something to do.
    Guard,
    /// It takes the step back.
    Undo,
    /// It judges a new content before that replaces the old one.
    Validate,
    /// It says afterwards whether all is well.
    Gate,
}

/// Something that is executed on a target.
#[derive(Serialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Command<'a> {
    /// `run`, `guard`, `undo`, `validate` or `gate`.
    when: When,
    /// Argument vector; absent if it is a script.
    #[serde(skip_serializing_if = "Option::is_none")]
    argv: Option<Vec<Cow<'a, str>>>,
    /// Text for a shell; absent if it is an argument vector.
    #[serde(skip_serializing_if = "Option::is_none")]
    script: Option<Cow<'a, str>>,
    /// Who runs it; absent if that is the user that Rectify runs as, which mostly is root.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Cow<'a, str>>,
    /// Working directory; absent if the step names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    directory: Option<Cow<'a, str>>,
    /// Environment variables that the step sets.
    environment: BTreeMap<&'a str, Cow<'a, str>>,
    /// Whether it is given a text to read.
    stdin: bool,
}

/// A text as it is, anything else as JSON: it may be wrong, but it is not hidden.
pub(crate) fn text(value: &Value) -> Cow<'_, str> {
    value.as_str().map_or_else(|| Cow::Owned(value.to_string()), Cow::Borrowed)
}

/// The commands among the properties of a step.
pub(crate) fn of_step(desired: &Map<String, Value>) -> Vec<Command<'_>> {
    let found = NAMES.into_iter().filter_map(|(name, when)| Some((name, when, desired.get(name)?)));
    found.map(|(name, when, value)| command(desired, name, when, value)).collect()
}

/// The commands among the properties of a gate.
pub(crate) fn of_gate(desired: &Map<String, Value>) -> Vec<Command<'_>> {
    of_step(desired).into_iter().map(|command| Command { when: When::Gate, ..command }).collect()
}

fn command<'a>(desired: &'a Map<String, Value>, name: &str, when: When, value: &'a Value) -> Command<'a> {
    let argv = match value {
        Value::Array(words) => words.iter().map(text).collect(),
        other => vec![text(other)],
    };
    let is_script = name == "script";
    // A checker of contents runs in surroundings of its own.
    let given = |name: &str| desired.get(name).filter(|_| !matches!(when, When::Validate));
    let environment = match given("environment") {
        Some(Value::Object(variables)) => {
            variables.iter().map(|(name, value)| (name.as_str(), text(value))).collect()
        }
        Some(other) => BTreeMap::from([("", text(other))]),
        None => BTreeMap::new(),
    };
    Command {
        when,
        argv: (!is_script).then_some(argv),
        script: is_script.then(|| text(value)),
        user: given("user").map(text),
        directory: given("directory").map(text),
        environment,
        stdin: matches!(when, When::Run) && desired.contains_key("stdin"),
    }
}
