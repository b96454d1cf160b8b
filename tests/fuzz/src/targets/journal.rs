//! The records of a run, as the journal gives them back.

use crate::Target;
use rectify_base::{Digest, FileDigests, TargetName, canonical};
use rectify_model::journal::{Admission, Entry, FORMAT, Record, RunId, RunRecord, RunView, StepState, UseId};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use std::{collections::BTreeMap, fmt::Debug, path::Path};

pub(super) const TARGET: Target = Target {
    name: "journal",
    holds: "any records are a run or refused; an intent stays open or has a result; what is owed has not succeeded",
    check,
    seeds,
    max_bytes: 8192,
    replays: 60,
};

fn check(data: &[u8]) {
    let use_id = UseId::new("00112233445566778899aabbccddeeff").unwrap();
    let targets: Vec<TargetName> = ["a", "b"].map(|name| name.parse().unwrap()).to_vec();
    let mut view = RunView::new(RunRecord {
        format: FORMAT.into(),
        run: RunId::derive(&use_id, &targets),
        use_id,
        plan: FileDigests::of_bytes(b"plan"),
        targets,
        admission: Admission {
            seal: Digest::of_bytes(b"seal"),
            approvals: Vec::new(),
            bundle: Digest::of_bytes(b"bundle"),
            overrides: Vec::new(),
        },
        providers: BTreeMap::new(),
        fence: 1,
        started_at_ms: 0,
        expires_at_ms: 1,
    });
    let mut entries = Vec::new();
    for line in data.split(|b| *b == b'\n') {
        same::<RunRecord>(line);
        let Some(record) = same::<Record>(line) else { continue };
        let entry = Entry { seq: view.len() + 1, at_ms: 0, record };
        let before = view.clone();
        match view.push(&entry) {
            Ok(()) => entries.push(entry),
            Err(_) => assert_eq!(view, before, "a refused record left a trace"),
        }
    }
    assert_eq!(RunView::fold(view.run().clone(), &entries).as_ref(), Ok(&view));
    assert_eq!(view.len(), entries.len() as u64);
    for (node, progress) in view.steps() {
        assert_eq!(progress.attempts == 0, progress.intent.is_none());
        let open = matches!(progress.state, StepState::Intent(_) | StepState::Unknown(_));
        assert_eq!(view.open().any(|(other, _)| other == node), open);
        assert!(!open || view.changed(), "what is open may have changed something");
    }
    for node in view.owed() {
        let state = view.steps().get(&node).map(|progress| &progress.state);
        assert!(!matches!(state, Some(StepState::Succeeded { .. })));
    }
}

fn same<T: DeserializeOwned + Serialize + PartialEq + Debug>(line: &[u8]) -> Option<T> {
    let record: T = canonical::read_compact(line).ok()?;
    let written = canonical::compact(&record).unwrap();
    assert_eq!(canonical::read_compact::<T>(&written).as_ref(), Ok(&record));
    Some(record)
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    let node = |step: &str| json!({"target": "a", "address": format!("r/{step}")});
    let digest = Digest::of_bytes(b"x");
    let intent = |attempt: u32| json!({"attempt": attempt, "op_id": "00", "retry": "converge", "expect": digest, "fence": 1, "deadline_ms": 5});
    let failure = json!({"code": "FAILED", "message": "m", "mutated": "maybe"});
    let step = |name: &str, state: serde_json::Value| json!({"step": {"node": node(name), "state": state}});
    let records = [
        json!({"target": {"target": "a", "state": {"verified": {"root": digest}}}}),
        json!({"target": {"target": "b", "state": {"refused": failure}}}),
        step("one", json!({"intent": intent(1)})),
        step("one", json!({"unknown": failure})),
        step("one", json!({"intent": intent(2)})),
        step("one", json!({"succeeded": {"how": "applied", "fingerprint": digest, "owes": ["r/two"]}})),
        step("two", json!({"intent": intent(1)})),
        step("two", json!({"failed": failure})),
        step("three", json!({"stale": {"found": digest}})),
        step("four", json!({"skipped": {"because": {"dependency": "r/two"}}})),
        step("five", json!({"succeeded": {"how": "already"}})),
        json!({"gate": {"node": node("verify:0"), "attempts": 2, "state": "passed"}}),
    ];
    let lines: Vec<Vec<u8>> = records.iter().map(|record| canonical::compact(record).unwrap()).collect();
    vec![lines.join(&b'\n'), lines[..7].join(&b'\n')]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_records_to_begin_with_are_records() {
        for line in seeds(Path::new(""))[0].split(|b| *b == b'\n') {
            canonical::read_compact::<Record>(line).unwrap();
        }
    }
}
