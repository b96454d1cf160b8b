//! `conformance/cases/trust`: trust files with one mistake each. `${name}` stands for a public key
//! that is made for the run.

use rectify_attest::Signer;
use rectify_keys::{LocalSigner, codes, parse_trust};
use serde::Deserialize;
use std::{collections::BTreeSet, fs, path::PathBuf};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    code: String,
    place: String,
    #[serde(rename = "why")]
    _why: String,
}

/// What the tests of files cover instead.
const OF_FILES: [&str; 4] = ["trust-read", "trust-file-mode", "trust-exists", "trust-write"];

pub fn with_keys(text: &str) -> String {
    ["alice", "bob", "carol", "ci"].iter().enumerate().fold(text.to_owned(), |text, (index, name)| {
        let seed = [u8::try_from(index).unwrap() + 1; 32].into();
        let key = LocalSigner::from_seed(&seed).unwrap().public_key().to_openssh();
        text.replace(&format!("${{{name}}}"), &key)
    })
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../conformance/cases/trust")
}

#[test]
fn each_case_is_refused_for_its_reason() {
    let mut seen = BTreeSet::new();
    let mut failures = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        let text = with_keys(&fs::read_to_string(path.join("trust.yaml")).unwrap());
        let expect: Expect = serde_json::from_slice(&fs::read(path.join("expect.json")).unwrap())
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        match parse_trust(&text) {
            Ok(_) => failures.push(format!("{}: accepted", path.display())),
            Err(problems) => {
                let found: Vec<_> = problems.iter().map(|p| (p.code.as_str(), p.place.as_str())).collect();
                if found != [(expect.code.as_str(), expect.place.as_str())] {
                    failures.push(format!("{}: {problems:?}", path.display()));
                }
            }
        }
        seen.insert(expect.code);
        count += 1;
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(count >= 30, "only {count} cases");
    let ours = codes::ALL.iter().filter(|c| c.as_str().starts_with("trust-"));
    let missing: Vec<_> =
        ours.filter(|c| !seen.contains(c.as_str()) && !OF_FILES.contains(&c.as_str())).collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}
