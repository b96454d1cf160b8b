//! The schemas: printed by the executable `schemas`, which sees the types.

use super::{Generated, files};
use crate::run::{cargo, output, root};
use std::{collections::BTreeMap, path::PathBuf};

/// Checked by a test of `rectify-policy`, whose linter reads it.
const POLICY_INPUT: &str = "policy-input.schema.json";

/// The schemas. A file that no type stands behind is refused: it would never be checked.
pub(super) fn generate() -> Generated {
    let arguments = ["run", "--locked", "--quiet", "--package", "xtask"];
    let text = output(cargo(&[&arguments[..], &["--features", "schemas", "--bin", "schemas"]].concat()))?;
    let schemas: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(&text).map_err(|e| format!("the executable `schemas`: {e}"))?;
    let directory = root().join("schemas");
    let mut wanted: BTreeMap<PathBuf, String> = BTreeMap::new();
    for (name, schema) in schemas {
        let text = serde_json::to_string_pretty(&schema).map_err(|e| format!("schema {name}: {e}"))?;
        wanted.insert(directory.join(format!("{name}.schema.json")), text + "\n");
    }
    for path in files(&directory, "json")? {
        if !wanted.contains_key(&path) && !path.ends_with(POLICY_INPUT) {
            return Err(format!("{} is not derived from any type", path.display()));
        }
    }
    Ok(wanted.into_iter().collect())
}
