//! Cases of the matrix on hosts: `conformance/hosts/*.yaml`, a file for each line of the table.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fs, path::Path};

/// The cells of a line, in the order of the table.
pub const CELLS: [&str; 5] = ["create", "update", "unchanged", "delete", "undo"];

/// Those in which something is changed.
pub const CHANGES: [&str; 3] = ["create", "update", "delete"];

/// A line of the table. Scripts are for `sh -eu`, as root, with the function `tree PATH...` that prints what is
/// there: names, kinds, modes, owners, contents.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The type that it is about.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Brings the machine to where each cell begins, whatever is there.
    #[serde(default)]
    pub begin: String,
    /// Removes everything that the case made.
    #[serde(default)]
    pub end: String,
    /// Prints the thing as the machine's own tools see it. Taken back means: it prints what it printed before.
    pub look: String,
    /// The cells.
    #[serde(default)]
    create: Option<Cell>,
    #[serde(default)]
    update: Option<Cell>,
    #[serde(default)]
    unchanged: Option<Cell>,
    #[serde(default)]
    delete: Option<Cell>,
    /// Cells that mean nothing for this type, and why.
    #[serde(default)]
    pub none: BTreeMap<String, String>,
}

/// What one cell does.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Brings the machine to where this cell begins, after `begin`.
    #[serde(default)]
    pub given: String,
    /// Properties of the one step `it`, of the case's type.
    #[serde(default)]
    pub properties: Option<Value>,
    /// All steps instead, of which `it` is the one that is looked at.
    #[serde(default)]
    pub steps: Option<Map<String, Value>>,
    /// Gates of a probe: that hold.
    #[serde(default)]
    pub holding: Option<Value>,
    /// Gates of a probe: that do not.
    #[serde(default)]
    pub refuted: Option<Value>,
    /// Of a fact: an expression that is true, where `@VALUE@` is what `value` prints.
    #[serde(default)]
    pub fact: Option<String>,
    /// A script that prints what a fact should be.
    #[serde(default)]
    pub value: String,
    /// What the plan calls it; otherwise the name of the cell.
    #[serde(default)]
    pub action: Option<String>,
    /// What the plan says of its prediction; otherwise `exact`.
    #[serde(default)]
    pub prediction: Option<String>,
    /// What the plan says of its undo; otherwise `exact`.
    #[serde(default)]
    pub grade: Option<String>,
    /// Fails unless the machine is as it should be afterwards.
    #[serde(default)]
    pub holds: String,
    /// Fails unless it was taken back; beside `look`.
    #[serde(default)]
    pub back: String,
}

impl Case {
    /// A cell by its name; `undo` has none of its own.
    pub fn cell(&self, name: &str) -> Option<&Cell> {
        match name {
            "create" => self.create.as_ref(),
            "update" => self.update.as_ref(),
            "unchanged" => self.unchanged.as_ref(),
            "delete" => self.delete.as_ref(),
            _ => None,
        }
    }

    /// Whether a change of it is taken back.
    pub fn undone(&self) -> bool {
        !self.none.contains_key("undo")
    }

    /// What is wrong with it, if anything.
    fn wrong(&self) -> Option<String> {
        if let Some(name) = self.none.keys().find(|name| !CELLS.contains(&name.as_str())) {
            return Some(format!("there is no cell `{name}`"));
        }
        for name in CELLS {
            let given = match name {
                "undo" => CHANGES.iter().any(|name| self.cell(name).is_some()) && self.undone(),
                _ => self.cell(name).is_some(),
            };
            if given == self.none.contains_key(name) {
                return Some(format!("`{name}` has to be given, or be among `none` with a reason"));
            }
        }
        let unsure = CHANGES.iter().find(|name| self.cell(name).is_some_and(|cell| cell.holds.is_empty()));
        unsure.map(|name| format!("`{name}` does not say what holds afterwards"))
    }
}

/// All cases in a directory, by their names: `TYPE`, or `TYPE-VARIANT`.
pub fn all(directory: &Path) -> BTreeMap<String, Case> {
    let mut cases = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display())) {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "yaml") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        // As the compiler reads: `y` is a text.
        let options = serde_saphyr::options! { strict_booleans: true };
        let case: Case =
            serde_saphyr::from_str_with_options(&text, options).unwrap_or_else(|e| panic!("{name}: {e}"));
        let variant = name.strip_prefix(&case.type_name).unwrap_or_else(|| panic!("{name}: another type"));
        assert!(variant.is_empty() || variant.starts_with('-'), "{name}: another type");
        if let Some(wrong) = case.wrong() {
            panic!("{name}: {wrong}");
        }
        cases.insert(name, case);
    }
    cases
}
