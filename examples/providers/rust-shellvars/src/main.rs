//! A provider for Rectify: variables in files of shell assignments, such as `/etc/default/grub` and
//! `/etc/environment`.

mod shell;

use rectify_sdk::{
    Context, Properties, Resource, Result, Step, Types, invalid,
    protocol::{ErrorCode, ItemError},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, process::ExitCode};

/// Longest file that is read, in bytes: it stands in plans.
const FILE_MAX_BYTES: u64 = 64 * 1024;

/// Variables in a file of shell assignments have these values, or are not set there.
///
/// Its other lines stay as they are, to the byte.
#[derive(Deserialize, JsonSchema, Properties)]
struct Variables {
    /// Absolute path of the file. It is made where there is something to set and no such file.
    #[rectify(identity, touch = "path")]
    #[schemars(regex(pattern = "^/"))]
    path: String,
    /// Names and values. Where a variable is set already, its last line is changed; else a line is added at the end.
    #[serde(default)]
    set: BTreeMap<String, String>,
    /// Names whose lines are removed.
    #[serde(default)]
    unset: Vec<String>,
}

/// What is there. The whole text: it shows what else there is, and is all that an undo needs.
#[derive(Serialize, Deserialize)]
struct State {
    text: String,
}

struct File;

impl Resource for File {
    type Properties = Variables;
    type State = State;
    const TYPE: &'static str = "shellvars.file";

    fn validate(&self, wanted: &Variables) -> Result<()> {
        if wanted.set.is_empty() && wanted.unset.is_empty() {
            return Err(invalid("there is nothing to set or unset", "/set"));
        }
        for (name, value) in &wanted.set {
            let place = format!("/set/{}", name.replace('~', "~0").replace('/', "~1"));
            if !shell::is_name(name) {
                return Err(invalid("this is not the name of a variable", &place));
            }
            if value.chars().any(char::is_control) {
                return Err(invalid("a value is one line of text", &place));
            }
            if wanted.unset.contains(name) {
                return Err(invalid("this is to be set and not to be set", &place));
            }
        }
        match wanted.unset.iter().position(|name| !shell::is_name(name)) {
            Some(at) => Err(invalid("this is not the name of a variable", &format!("/unset/{at}"))),
            None => Ok(()),
        }
    }

    fn read(&self, cx: &Context, id: &VariablesId) -> Result<Option<State>> {
        let Some(file) = cx.read_file(&id.path, FILE_MAX_BYTES)? else { return Ok(None) };
        Ok(Some(State { text: file.public_text()? }))
    }

    fn goal(&self, _cx: &Context, wanted: &Variables, found: Option<&State>) -> Result<Option<State>> {
        let before = found.map_or("", |state| state.text.as_str());
        let text = shell::edit(before, &wanted.set, &wanted.unset).map_err(|unclear| {
            let shell::Unclear { line, name } = unclear;
            let place = if wanted.set.contains_key(&name) { format!("/set/{name}") } else { "/unset".into() };
            ItemError::new(ErrorCode::Conflict, format!("line {line} sets `{name}`, and does more than that"))
                .at(place)
                .hint("put the assignment on a line of its own, without blanks before it")
        })?;
        // What need not be there is not made.
        Ok((found.is_some() || !text.is_empty()).then_some(State { text }))
    }

    fn apply(&self, cx: &Context, step: &Step<Self>) -> Result<()> {
        match &step.want {
            Some(state) => cx.write_file(&step.id.path, state.text.as_bytes(), 0o644),
            None => cx.remove_file(&step.id.path),
        }
    }
}

fn main() -> ExitCode {
    rectify_sdk::serve(Types::new("shellvars", env!("CARGO_PKG_VERSION")).resource(File))
}
