//! `conformance/cases/envelopes`: each damages a freshly sealed plan in one way.

use crate::{mutation::Mutation, world::World};
use rectify_attest::codes;
use serde::Deserialize;
use std::{collections::BTreeSet, fs, path::PathBuf};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// Whether the plan is one that policy denies and somebody has overridden.
    #[serde(default)]
    overridden: bool,
    /// Whether it is about a person's answer for a step of the run.
    #[serde(default)]
    resolved: bool,
    mutate: Vec<Mutation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    code: String,
    place: String,
    #[serde(rename = "why")]
    _why: String,
}

pub fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../conformance/cases/envelopes")
}

#[test]
fn the_undamaged_plan_is_admitted() {
    let admitted = World::sealed().admit().unwrap();
    assert_eq!(admitted.required, 2);
    assert_eq!(admitted.approvals.len(), 2);
    assert_eq!(admitted.uncounted, []);
    assert_eq!(admitted.digests, World::sealed().digests());
}

#[test]
fn each_case_is_refused_for_its_reason() {
    let mut seen = BTreeSet::new();
    let mut failures = Vec::new();
    for entry in fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        let case: Case = serde_json::from_slice(&fs::read(path.join("case.json")).unwrap())
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let expect: Expect = serde_json::from_slice(&fs::read(path.join("expect.json")).unwrap())
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut world = match (case.overridden, case.resolved) {
            (true, _) => World::overridden(),
            (_, true) => World::resolved(),
            _ => World::sealed(),
        };
        case.mutate.iter().for_each(|mutation| mutation.apply(&mut world));
        let refusals = match case.resolved {
            true => vec![world.resolve().expect_err(&path.display().to_string())],
            false => world.admit().expect_err(&path.display().to_string()),
        };
        // An approval or override that does not count leaves too few; that second finding follows from the
        // first, and so does that of a policy that stays with its denial.
        let mut follows = vec![codes::APPROVAL_MISSING];
        if case.overridden {
            follows.extend([codes::OVERRIDE_MISSING, codes::SEAL_POLICY_DENIED]);
        }
        let found: Vec<_> = refusals
            .iter()
            .filter(|r| r.code.as_str() == expect.code || !follows.contains(&r.code))
            .map(|r| (r.code.as_str(), r.place.as_str()))
            .collect();
        if found != [(expect.code.as_str(), expect.place.as_str())] {
            failures.push(format!("{}: {refusals:?}", path.display()));
        }
        seen.insert(expect.code);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    // Trust files, public keys and releases have tests of their own.
    let missing: Vec<_> = codes::ALL
        .iter()
        .filter(|code| !seen.contains(code.as_str()))
        .filter(|code| !crate::trust::CODES.contains(code) && !crate::eddsa::CODES.contains(code))
        .filter(|code| !crate::releases::CODES.contains(code))
        .collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
    assert!(seen.len() >= 14);
}
