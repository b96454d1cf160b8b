//! A bundle: the files of a policy, named by one digest.

use crate::{PolicyError, codes, limits};
use rectify_base::{Digest, digest::context};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The files of a policy by their path in the bundle, with `/` between components.
///
/// `*.rego` holds rules in package `rectify` (helpers may have packages of their own),
/// `*_test.rego` holds tests and never takes part in a decision, `data.json` holds what stands under
/// `data`, and `*.ics` holds calendars of [freeze windows](crate::freeze). Where several bundles were put together, below a name each, all their `data.json` make one
/// `data`; none may change what another says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bundle {
    /// Content by path.
    pub files: BTreeMap<String, String>,
}

/// Name of a data file.
pub const DATA_FILE: &str = "data.json";

impl Bundle {
    /// Digest over the paths and contents, in the order of the paths.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let parts: Vec<&[u8]> =
            self.files.iter().flat_map(|(path, text)| [path.as_bytes(), text.as_bytes()]).collect();
        Digest::derive(context::POLICY_BUNDLE, &parts)
    }

    /// The zones named in `data.json` under `zones`, which the caller puts into the clock.
    #[must_use]
    pub fn zones(&self) -> Vec<String> {
        let names = |text: &str| -> Vec<String> {
            let data: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
            let names = data.get("zones").and_then(serde_json::Value::as_array).into_iter().flatten();
            names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
        };
        self.data().flat_map(|(_, text)| names(text)).collect()
    }

    /// The data files.
    pub(crate) fn data(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter(|(path, _)| is_data(path)).map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The calendars.
    pub(crate) fn calendars(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter(|(path, _)| is_calendar(path))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The rule files, without tests.
    pub(crate) fn rules(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter(|(path, _)| is_rules(path))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The test files.
    pub(crate) fn tests(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter(|(path, _)| is_test(path)).map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Refuses a bundle that is too large or holds files that would silently be ignored.
    pub(crate) fn measure(&self) -> Result<(), PolicyError> {
        let too_large = |place: &str, what: &str, max: usize| {
            Err(PolicyError::new(codes::POLICY_TOO_LARGE, place, format!("more than {max} {what}")))
        };
        if self.files.len() > limits::BUNDLE_FILES_MAX {
            return too_large("", "files in the bundle", limits::BUNDLE_FILES_MAX);
        }
        if self.files.values().map(String::len).sum::<usize>() > limits::BUNDLE_MAX_BYTES {
            return too_large("", "bytes in the bundle", limits::BUNDLE_MAX_BYTES);
        }
        for (path, text) in &self.files {
            let plain = path.split('/').all(|part| !matches!(part, "" | "." | ".."))
                && !path.contains(|c: char| c.is_control() || c == ':' || c == '\\');
            if !plain || !(is_rules(path) || is_test(path) || is_data(path) || is_calendar(path)) {
                return Err(PolicyError::new(
                    codes::POLICY_FILE,
                    path.as_str(),
                    "expected `*.rego`, `*_test.rego`, `*.ics` or `data.json`",
                ));
            }
            if text.len() > limits::BUNDLE_FILE_MAX_BYTES {
                return too_large(path, "bytes in one file", limits::BUNDLE_FILE_MAX_BYTES);
            }
            if is_data(path) || is_calendar(path) {
                continue;
            }
            for (index, line) in text.split('\n').enumerate() {
                let number = index.saturating_add(1);
                if number > limits::BUNDLE_FILE_MAX_LINES {
                    return too_large(path, "lines in one file", limits::BUNDLE_FILE_MAX_LINES);
                }
                if line.len() > limits::BUNDLE_LINE_MAX_BYTES {
                    let place = format!("{path}:{number}:{}", limits::BUNDLE_LINE_MAX_BYTES);
                    return too_large(&place, "bytes in one line", limits::BUNDLE_LINE_MAX_BYTES);
                }
            }
        }
        Ok(())
    }
}

fn is_data(path: &str) -> bool {
    path.rsplit('/').next() == Some(DATA_FILE)
}

fn is_calendar(path: &str) -> bool {
    path.ends_with(".ics")
}

fn is_test(path: &str) -> bool {
    path.ends_with("_test.rego")
}

fn is_rules(path: &str) -> bool {
    path.ends_with(".rego") && !is_test(path)
}

macro_rules! standard_files {
    ($($name:literal)*) => {
        BTreeMap::from([$(($name.to_owned(), include_str!(concat!("../standard/", $name)).to_owned())),*])
    };
}

/// The bundle that comes with Rectify.
#[must_use]
pub fn standard() -> Bundle {
    Bundle {
        files: standard_files!(
            "allow.rego" "allow_test.rego"
            "blast_radius.rego" "blast_radius_test.rego"
            "change_rate.rego" "change_rate_test.rego"
            "commands.rego" "commands_test.rego"
            "dangerous_modes.rego" "dangerous_modes_test.rego"
            "data.json"
            "deferred_steps.rego" "deferred_steps_test.rego"
            "deletions.rego" "deletions_test.rego"
            "disruption.rego" "disruption_test.rego"
            "forbidden_paths.rego" "forbidden_paths_test.rego"
            "freeze.rego" "freeze_test.rego"
            "irreversible.rego" "irreversible_test.rego"
            "minimum_prediction.rego" "minimum_prediction_test.rego"
            "missing_because.rego" "missing_because_test.rego"
            "opaque_commands.rego" "opaque_commands_test.rego"
            "production.rego" "production_test.rego"
            "protected_users.rego" "protected_users_test.rego"
            "too_many_changes.rego" "too_many_changes_test.rego"
        ),
    }
}
