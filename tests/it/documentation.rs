//! The pages of the providers say of every property what its schema says.

use rectify_tests::{Scratch, remediation};
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::Path};

#[test]
fn each_page_names_every_property_with_its_default() {
    let scratch = Scratch::new();
    for provider in ["account", "command", "facts", "file", "package", "probe", "service", "sysctl"] {
        let manifest = scratch.ok(&["provider", "manifest", provider]).stdout;
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/providers/{provider}.md"));
        let page = fs::read_to_string(path).unwrap();
        for descriptor in manifest["types"].as_array().unwrap() {
            section(&page, descriptor["name"].as_str().unwrap(), &descriptor["schema"]);
        }
    }
}

#[test]
fn the_steps_that_a_page_begins_with_are_valid() {
    for provider in ["account", "package", "service", "sysctl"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/providers/{provider}.md"));
        let page = fs::read_to_string(path).unwrap();
        let (_, rest) = page.split_once("```yaml\nsteps:\n").unwrap();
        let steps = rest.split("```").next().unwrap();
        let scratch = Scratch::new();
        scratch.write("project/remediations/page.yaml", &remediation("page", steps));
        scratch.ok(&["-C", "project", "validate"]);
    }
}

/// Compares the table of one type with its schema.
fn section(page: &str, name: &str, schema: &Value) {
    let begin = page.find(&format!("\n## `{name}`\n")).unwrap_or_else(|| panic!("no section `{name}`"));
    let section = page[begin + 1..].split("\n## ").next().unwrap();
    let mut rows: BTreeSet<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
    let required: Vec<&str> = schema["required"]
        .as_array()
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    for (property, schema) in schema["properties"].as_object().unwrap() {
        let begins = format!("| `{property}` |");
        let row = *rows
            .iter()
            .find(|row| row.starts_with(&begins))
            .unwrap_or_else(|| panic!("`{name}` has no row for `{property}`"));
        rows.remove(row);
        let shown = match schema.get("default") {
            Some(Value::String(text)) if text.is_empty() => "empty".to_owned(),
            Some(Value::String(text)) => format!("`{text}`"),
            Some(other) => format!("`{other}`"),
            None if required.contains(&property.as_str()) => "required".to_owned(),
            None => continue,
        };
        assert!(row.split(" | ").nth(2).unwrap().contains(&shown), "`{name}`: {row} lacks {shown}");
    }
    assert!(rows.is_empty(), "`{name}` has no such properties: {rows:?}");
}
