//! `rectify editor`: schemas of a project accept what it holds, and refuse what its modules do not take.

use rectify_tests::{Scratch, remediation};
use serde_json::Value;
use std::fs;

const MODULE: &str = "apiVersion: rectify/v1\nkind: Module\nmetadata: {name: banner}\nparameters:\n  \
    path: {type: string, pattern: ^/}\n  text: {type: string, default: hello}\n  \
    count: {type: integer, default: 1, minimum: 1, maximum: 9}\n  password: {type: secret}\nsteps:\n  \
    file:\n    file.content: {path: '${{ params.path }}', content: '${{ params.text }}'}\n";

fn document(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

fn with(scratch: &Scratch, call: &str) -> bool {
    let schema: Value =
        serde_json::from_str(&scratch.read("project/.vscode/schemas/remediation.schema.json")).unwrap();
    let text = remediation("a", &format!("  one:\n    use: {{module: {call}}}\n"));
    jsonschema::draft202012::new(&schema).unwrap().is_valid(&document(&text))
}

#[test]
fn calls_name_the_modules_of_the_project_and_what_they_take() {
    let scratch = Scratch::new();
    scratch.write("project/modules/banner.yaml", MODULE);
    let ran = scratch.ok(&["-C", "project", "editor"]);
    assert!(ran.stdout.contains("wrote 4 schemas"), "{}", ran.stdout);
    let good = "banner, with: {path: /etc/x, password: '${{ secrets.db }}'}";
    assert!(with(&scratch, good));
    for also in [
        "banner, with: {path: '${{ target.name }}', password: '${{ secrets.db }}', count: 9, text: 5}",
        "banner, with: {path: /x, password: '${{ secrets.db }}', text: {template: templates/x}}",
    ] {
        assert!(with(&scratch, also), "{also}");
    }
    for wrong in [
        "baner, with: {path: /etc/x, password: '${{ secrets.db }}'}",
        "banner",
        "banner, with: {path: /etc/x}",
        "banner, with: {path: etc, password: '${{ secrets.db }}'}",
        "banner, with: {path: /etc/x, password: hunter22}",
        "banner, with: {path: /etc/x, password: '${{ secrets.db }}', count: 10}",
        "banner, with: {path: /etc/x, password: '${{ secrets.db }}', txt: hello}",
    ] {
        assert!(!with(&scratch, wrong), "{wrong}");
    }
    let settings: Value = serde_json::from_str(&scratch.read("project/.vscode/settings.json")).unwrap();
    for (schema, _) in settings["yaml.schemas"].as_object().unwrap() {
        assert!(scratch.path("project").join(schema).is_file(), "{schema}");
    }
    // What somebody has written stays.
    scratch.write("project/.vscode/settings.json", "{}");
    let again = scratch.ok(&["-C", "project", "editor"]);
    assert!(again.stderr.contains("is there already"), "{}", again.stderr);
    assert_eq!(scratch.read("project/.vscode/settings.json"), "{}");
}

#[test]
fn the_examples_are_valid_under_their_own_schemas() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut seen = 0;
    for entry in fs::read_dir(examples).unwrap() {
        let example = entry.unwrap().path();
        if !example.join("rectify.yaml").is_file() {
            continue;
        }
        let scratch = Scratch::new();
        let out = scratch.path("schemas").display().to_string();
        scratch.ok(&["-C", &example.display().to_string(), "editor", &out]);
        for (kind, place) in [
            ("project", ""),
            ("inventory", "inventory"),
            ("remediation", "remediations"),
            ("module", "modules"),
        ] {
            let schema: Value =
                serde_json::from_str(&scratch.read(&format!("schemas/schemas/{kind}.schema.json"))).unwrap();
            let validator = jsonschema::draft202012::new(&schema).unwrap();
            let Ok(entries) = fs::read_dir(example.join(place)) else { continue };
            for path in entries.map(|entry| entry.unwrap().path()) {
                if path.extension().is_some_and(|e| e == "yaml") {
                    let problems: Vec<String> = validator
                        .iter_errors(&document(&fs::read_to_string(&path).unwrap()))
                        .map(|e| format!("{}: {e}", e.instance_path()))
                        .collect();
                    assert!(problems.is_empty(), "{}: {problems:?}", path.display());
                    seen += 1;
                }
            }
        }
    }
    assert!(seen >= 12, "only {seen} documents");
}
