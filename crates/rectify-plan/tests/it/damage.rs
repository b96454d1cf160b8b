//! Damages documents as a case file says.

use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// `case.json`: what is run, and what is done to the valid documents before.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// `plan`, `check` or `check-alone`.
    pub verb: String,
    pub damage: Vec<Damage>,
}

/// One edit of one document.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Damage {
    /// `plan`, `graph` or `observation:<target>`.
    pub document: String,
    /// `replace`, `add` or `remove`, as in JSON Patch.
    pub op: String,
    /// A JSON Pointer, in which a token `@<address>` or `@<target>:<address>` names the element of a
    /// list, and `-` its end.
    pub path: String,
    #[serde(default)]
    pub value: Value,
}

/// `expect.json`.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    pub code: String,
    pub place: String,
    pub why: String,
}

pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/cases/plans")
}

/// All cases with one of these verbs, by name.
pub fn cases(verbs: &[&str]) -> Vec<(String, Case, Expect)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        let Ok(bytes) = std::fs::read(path.join("case.json")) else { continue };
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let case: Case = serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let expect =
            std::fs::read(path.join("expect.json")).unwrap_or_else(|error| panic!("{name}: {error}"));
        let expect = serde_json::from_slice(&expect).unwrap_or_else(|error| panic!("{name}: {error}"));
        if verbs.contains(&case.verb.as_str()) {
            found.push((name, case, expect));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

impl Damage {
    /// Does it.
    pub fn apply(&self, document: &mut Value) {
        let (parent, last) = self.path.rsplit_once('/').expect("a pointer to a member");
        let mut here = document;
        for token in parent.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            here = match here {
                Value::Array(items) => {
                    let at = find(items, &token);
                    &mut items[at]
                }
                other => other.get_mut(&token).unwrap_or_else(|| panic!("no `{token}` in {}", self.path)),
            };
        }
        let last = last.replace("~1", "/").replace("~0", "~");
        match (here, self.op.as_str()) {
            (Value::Object(map), "add") => {
                assert!(map.insert(last, self.value.clone()).is_none(), "{self:?}")
            }
            (Value::Object(map), "replace") => {
                let old = map.insert(last, self.value.clone());
                assert!(old.is_some_and(|old| old != self.value), "{self:?} damages nothing");
            }
            (Value::Object(map), "remove") => assert!(map.remove(&last).is_some(), "{self:?}"),
            (Value::Array(items), "add") if last == "-" => items.push(self.value.clone()),
            (Value::Array(items), "replace") => {
                let at = find(items, &last);
                items[at] = self.value.clone();
            }
            (Value::Array(items), "remove") => drop(items.remove(find(items, &last))),
            (_, _) => panic!("{self:?} cannot be done"),
        }
    }
}

fn find(items: &[Value], token: &str) -> usize {
    let Some(name) = token.strip_prefix('@') else { return token.parse().expect("an index") };
    let (target, address) = name.split_once(':').map_or((None, name), |(t, a)| (Some(t), a));
    let fits = |item: &Value| {
        let address = item["address"] == address || item["from"] == address;
        address && target.is_none_or(|target| item["target"] == target)
    };
    items.iter().position(fits).unwrap_or_else(|| panic!("no element `{name}`"))
}
