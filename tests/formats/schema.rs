//! The schemas as they are committed.

use jsonschema::Validator;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A JSON file below the root.
pub fn json(path: &str) -> Value {
    let bytes = fs::read(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// YAML as an editor reads it, unless it is no YAML.
pub fn yaml(text: &str) -> Option<Value> {
    serde_saphyr::from_str_with_options(text, serde_saphyr::options! { strict_booleans: true }).ok()
}

/// Every schema, by name.
pub fn all() -> &'static BTreeMap<String, (Value, Validator)> {
    static ALL: OnceLock<BTreeMap<String, (Value, Validator)>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(root().join("schemas")).unwrap() {
            let file = entry.unwrap().file_name().into_string().unwrap();
            let name = file.strip_suffix(".schema.json").unwrap_or_else(|| panic!("{file}")).to_owned();
            let schema = json(&format!("schemas/{file}"));
            let validator = jsonschema::draft202012::options()
                .build(&schema)
                .unwrap_or_else(|e| panic!("{file} is not a schema: {e}"));
            found.insert(name, (schema, validator));
        }
        found
    })
}

/// What a schema finds wrong.
pub fn errors(name: &str, document: &Value) -> Vec<String> {
    let (_, validator) = all().get(name).unwrap_or_else(|| panic!("no schema {name}"));
    validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

/// Whether a schema takes a document.
pub fn takes(name: &str, document: &Value) -> bool {
    all()[name].1.is_valid(document)
}

/// A document that must be valid.
#[track_caller]
pub fn valid(name: &str, what: &str, document: &Value) {
    let found = errors(name, document);
    assert!(found.is_empty(), "{what} against {name}:\n{}", found.join("\n"));
}
