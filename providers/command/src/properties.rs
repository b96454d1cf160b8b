//! The properties of `command.run`.

use rectify_sdk::{
    base::Pointer,
    protocol::{ErrorCode, ItemError, message::UNDO},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Longest time for a command, in seconds.
pub(crate) const TIMEOUT_MAX_S: u64 = 3_600;
/// Longest text for standard input.
pub(crate) const STDIN_MAX_CHARS: usize = 65_536;

/// What a step says. Defaults are those of the schema.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Properties {
    argv: Option<Vec<String>>,
    script: Option<String>,
    pub(crate) creates: Option<String>,
    pub(crate) unless: Option<Vec<String>>,
    pub(crate) only_if: Option<Vec<String>>,
    /// What takes the command back.
    pub(crate) undo: Option<Vec<String>>,
    pub(crate) user: Option<String>,
    pub(crate) directory: Option<String>,
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    #[serde(default = "zero")]
    pub(crate) exit_codes: Vec<i32>,
    #[serde(default = "five_minutes")]
    pub(crate) timeout_s: u64,
    pub(crate) stdin: Option<String>,
}

fn zero() -> Vec<i32> {
    vec![0]
}

fn five_minutes() -> u64 {
    300
}

fn wrong(path: &str, message: impl Into<String>) -> ItemError {
    ItemError::new(ErrorCode::Schema, message).at(path)
}

/// Which way an operation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The step's command.
    Forward,
    /// What its author declared as the way back.
    Back,
}

/// Takes the member out that asks for the way back, and reads the rest.
pub(crate) fn directed(mut desired: Map<String, Value>) -> Result<(Way, Properties), ItemError> {
    let way = match desired.remove(UNDO) {
        None => Way::Forward,
        Some(Value::Bool(true)) => Way::Back,
        Some(_) => return Err(wrong("", format!("`{UNDO}` is true, or is not there"))),
    };
    let properties = Properties::read(&desired)?;
    if way == Way::Back && properties.undo.is_none() {
        let message = "the step declares no command that takes it back";
        return Err(ItemError::new(ErrorCode::Unsupported, message).at("/undo"));
    }
    Ok((way, properties))
}

impl Properties {
    /// Reads them, and checks the rules that the schema cannot say well.
    pub(crate) fn read(desired: &Map<String, Value>) -> Result<Self, ItemError> {
        let this: Self = serde_json::from_value(Value::Object(desired.clone()))
            .map_err(|e| wrong("", format!("the properties cannot be read: {e}")))?;
        match (&this.argv, &this.script) {
            (Some(argv), None) => check_argv("/argv", argv)?,
            (None, Some(script)) => check_text("/script", script)?,
            (None, None) => return Err(wrong("", "one of `argv` and `script` is needed")),
            (Some(_), Some(_)) => {
                return Err(wrong("/script", "`argv` and `script` exclude each other"));
            }
        }
        for (path, argv) in [("/unless", &this.unless), ("/only_if", &this.only_if), ("/undo", &this.undo)] {
            argv.as_deref().map_or(Ok(()), |argv| check_argv(path, argv))?;
        }
        for (path, text) in [("/creates", &this.creates), ("/directory", &this.directory)] {
            if let Some(text) = text {
                check_text(path, text)?;
                if !text.starts_with('/') {
                    return Err(wrong(path, "the path is not absolute"));
                }
            }
        }
        for (name, value) in &this.environment {
            if name.is_empty() || name.contains('=') || name.contains('\0') || value.contains('\0') {
                let message = format!("`{}` cannot be a variable with this value", name.escape_debug());
                return Err(wrong(Pointer::root().child("environment").child(name).as_str(), message));
            }
        }
        if this.exit_codes.is_empty() {
            return Err(wrong("/exit_codes", "without an exit code the command could never succeed"));
        }
        if let Some(at) = this.exit_codes.iter().position(|code| !(0..=255).contains(code)) {
            return Err(wrong(&format!("/exit_codes/{at}"), "an exit code is between 0 and 255"));
        }
        if !(1..=TIMEOUT_MAX_S).contains(&this.timeout_s) {
            return Err(wrong("/timeout_s", format!("the time is between 1 and {TIMEOUT_MAX_S} seconds")));
        }
        if this.stdin.as_ref().is_some_and(|text| text.chars().count() > STDIN_MAX_CHARS) {
            return Err(wrong("/stdin", format!("this is more than {STDIN_MAX_CHARS} characters")));
        }
        if this.user.as_ref().is_some_and(|name| name.is_empty() || name.contains([':', '\n', '\0'])) {
            return Err(wrong("/user", "this cannot be the name of a user"));
        }
        Ok(this)
    }

    /// What is executed.
    pub(crate) fn command(&self) -> Vec<String> {
        match (&self.argv, &self.script) {
            (Some(argv), _) => argv.clone(),
            (None, script) => {
                let script = script.clone().unwrap_or_default();
                ["/bin/sh", "-eu", "-c"].map(String::from).into_iter().chain([script]).collect()
            }
        }
    }

    /// What the command interrupts, where its argv says so plainly.
    pub(crate) fn disruption(&self) -> Option<&'static str> {
        disruption(self.argv.as_deref()?)
    }

    /// The same of the way back.
    pub(crate) fn disruption_of_undo(&self) -> Option<&'static str> {
        disruption(self.undo.as_deref()?)
    }
}

fn disruption(argv: &[String]) -> Option<&'static str> {
    let program = argv.first()?.rsplit('/').next()?;
    let verb = argv.iter().skip(1).find(|word| !word.starts_with('-')).map(String::as_str);
    match (program, verb) {
        ("systemctl", Some("reload" | "daemon-reload" | "try-reload-or-restart")) => Some("reload"),
        ("systemctl", Some("restart" | "try-restart" | "reload-or-restart" | "stop")) => Some("restart"),
        ("systemctl", Some("reboot" | "kexec" | "soft-reboot")) | ("reboot" | "shutdown", _) => {
            Some("reboot")
        }
        _ => None,
    }
}

fn check_argv(path: &str, argv: &[String]) -> Result<(), ItemError> {
    let program = argv.first().ok_or_else(|| wrong(path, "an argv has at least the program"))?;
    if program.is_empty() || (program.contains('/') && !program.starts_with('/')) {
        let message = format!("the program `{program}` is neither absolute nor a bare name");
        return Err(wrong(&format!("{path}/0"), message));
    }
    argv.iter().try_for_each(|word| check_text(path, word))
}

/// The system's texts end at a NUL, so what a person reviewed would not be what runs.
fn check_text(path: &str, text: &str) -> Result<(), ItemError> {
    if text.contains('\0') { Err(wrong(path, "a NUL character cannot be passed on")) } else { Ok(()) }
}
