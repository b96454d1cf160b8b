//! The properties of `command.run`.

use rectify_sdk::protocol::{ErrorCode, ItemError};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What a step says. Defaults are those of the schema.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Properties {
    argv: Option<Vec<String>>,
    script: Option<String>,
    pub(crate) creates: Option<String>,
    pub(crate) unless: Option<Vec<String>>,
    pub(crate) only_if: Option<Vec<String>>,
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
        for (path, argv) in [("/unless", &this.unless), ("/only_if", &this.only_if)] {
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
                return Err(wrong("/environment", format!("`{name}` cannot be a variable with this value")));
            }
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
        let argv = self.argv.as_deref()?;
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
