//! The trust file: the cases, by what a schema can see of them.

use crate::schema::{errors, root, yaml};
use serde_json::Value;
use std::{collections::BTreeMap, fs};

/// Damages that a schema does not see, and why.
const UNSEEN: &[(&str, &str)] = &[
    ("trust-key-duplicate", "two keys are compared"),
    ("trust-key-period", "two times are compared"),
    ("trust-member-unknown", "a name is looked up"),
    ("trust-member-machine", "a name is looked up"),
    ("trust-no-sealer", "an empty list is a list"),
    ("trust-threshold-zero", "depends on another member"),
    ("trust-threshold-unreachable", "a list is counted"),
    ("trust-ceiling", "a duration is computed"),
    ("trust-plan-command", "an empty command is a list"),
    ("key-weak", "the key is decoded"),
    ("key-invalid", "the key is decoded"),
    ("key-public-text", "the key is decoded"),
];
/// Cases of codes that a schema otherwise sees.
const UNSEEN_CASES: &[(&str, &str)] = &[
    ("duration-overflow", "a duration is computed"),
    ("time-no-such-day", "a date is computed"),
    ("time-before-1970", "a date is computed"),
    ("tag", "a tag is not part of the value"),
    ("anchor", "an anchor is not part of the value"),
    ("alias", "an alias is not part of the value"),
    ("merge-key", "the merged value is what counts"),
];

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBcyFLGDSNhHbmrtYOtkqYEICZxmw1kNuzFZd8OAi5sA";

#[test]
fn the_cases() {
    let unseen: BTreeMap<&str, &str> = UNSEEN.iter().chain(UNSEEN_CASES).copied().collect();
    let (mut refused, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(root().join("conformance/cases/trust")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let expect: Value = serde_json::from_slice(&fs::read(path.join("expect.json")).unwrap()).unwrap();
        let code = expect["code"].as_str().unwrap();
        // The keys are generated where the cases run; one is as good as another here.
        let mut text = fs::read_to_string(path.join("trust.yaml")).unwrap();
        for name in ["alice", "bob", "carol", "ci"] {
            text = text.replace(&format!("${{{name}}}"), KEY);
        }
        // What is no YAML is the YAML reader's to refuse.
        let Some(document) = yaml(&text) else { continue };
        let found = errors("trust", &document);
        let expected = !unseen.contains_key(code) && !unseen.contains_key(name.as_str());
        if found.is_empty() == expected {
            wrong.push(format!("{name} ({code}): {found:?}"));
        }
        refused += usize::from(!found.is_empty());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(refused >= 20, "{refused}");
}
