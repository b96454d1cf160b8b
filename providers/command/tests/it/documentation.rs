//! The page of the provider says of every property what its schema says.

use rectify_sdk::Provider as _;
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::Path};

#[test]
fn the_page_names_every_property_with_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/providers/command.md");
    let page = fs::read_to_string(path).unwrap();
    for descriptor in rectify_provider_command::provider().manifest().types {
        let name = &descriptor.name;
        let begin = page.find(&format!("\n## `{name}`\n")).unwrap_or_else(|| panic!("no section `{name}`"));
        let section = page[begin + 1..].split("\n## ").next().unwrap();
        let mut rows: BTreeSet<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
        let required: Vec<&str> = descriptor.schema["required"]
            .as_array()
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        for (property, schema) in descriptor.schema["properties"].as_object().unwrap() {
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
}
