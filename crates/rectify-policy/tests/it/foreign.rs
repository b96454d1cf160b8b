//! Bundles in the style of conftest, beside the standard one: `conformance/cases/conftest`.

use rectify_policy::{Bundle, evaluate, report, standard};
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    #[serde(rename = "why")]
    _why: String,
    /// Commands of the one change of the shared input.
    #[serde(default)]
    commands: Value,
    deny: BTreeSet<String>,
    warn: BTreeSet<String>,
}

fn cases() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../conformance/cases")
}

fn read(root: &Path, at: &Path, name: &str, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(root, &path, name, files);
        } else {
            let below = path.strip_prefix(root).unwrap().to_str().unwrap();
            files.insert(format!("{name}/{below}"), fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn bundles_of_others_decide_unchanged() {
    let mut cases_seen = 0;
    for entry in fs::read_dir(cases().join("conftest")).unwrap() {
        let case = entry.unwrap().path();
        let expect: Expect = serde_json::from_slice(&fs::read(case.join("decision.json")).unwrap()).unwrap();
        let mut files: BTreeMap<String, String> =
            standard().files.into_iter().map(|(path, text)| (format!("standard/{path}"), text)).collect();
        read(&case.join("bundle"), &case.join("bundle"), "theirs", &mut files);
        let bundle = Bundle { files };
        let mut input: Value =
            serde_json::from_slice(&fs::read(cases().join("policies/input.json")).unwrap()).unwrap();
        if expect.commands.is_array() {
            input["changes"][0]["commands"] = expect.commands;
        }
        let decision =
            evaluate(&bundle, &input).unwrap_or_else(|error| panic!("{}: {error}", case.display()));
        let said = |findings: &BTreeSet<rectify_model::decision::Finding>| -> BTreeSet<String> {
            let theirs = findings.iter().filter(|finding| finding.rule.starts_with("main."));
            theirs.map(|finding| format!("{}: {}", finding.rule, finding.message)).collect()
        };
        assert_eq!(said(&decision.deny), expect.deny, "{}", case.display());
        assert_eq!(said(&decision.warn), expect.warn, "{}", case.display());
        assert_eq!(decision.allowed, expect.deny.is_empty(), "{}", case.display());
        assert!(report::test(&bundle).unwrap().is_sound(), "{}", case.display());
        cases_seen += 1;
    }
    assert!(cases_seen >= 5);
}
