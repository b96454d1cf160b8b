//! What comes back from the policy child.

use crate::Target;
use rectify_base::Digest;
use rectify_policy::wire::{Outcome, read};
use serde_json::json;

pub(super) const TARGET: Target = Target {
    name: "policy",
    holds: "an answer of the policy child is read as the decision that it holds, or refused with a known code",
    check,
    seeds: |_| {
        let finding = json!({"rule": "deny", "message": "no"});
        let demand = json!({"rule": "require_approval", "message": "two", "count": 2});
        [
            json!("checked"),
            json!({"decided": {"bundle": Digest::of_bytes(b"b"), "allowed": true, "deny": [], "warn": [finding], "require_approval": [demand]}}),
            json!({"decided": {"bundle": Digest::of_bytes(b"b"), "allowed": false, "deny": [finding], "warn": [], "require_approval": []}}),
            json!({"refused": {"code": "policy-undefined", "place": "data.rectify.allow", "message": "m"}}),
        ]
        .iter()
        .map(|answer| serde_json::to_vec(answer).unwrap())
        .collect()
    },
    max_bytes: 1024,
    replays: 200,
};

fn check(data: &[u8]) {
    match read(data) {
        Ok(Outcome::Checked) => {}
        Ok(Outcome::Decided(decision)) => {
            let again = serde_json::to_vec(&json!({"decided": decision})).unwrap();
            assert_eq!(read(&again), Ok(Outcome::Decided(decision)));
        }
        Ok(Outcome::Tested(report)) => {
            let again = serde_json::to_vec(&json!({"tested": report})).unwrap();
            assert_eq!(read(&again), Ok(Outcome::Tested(report)));
        }
        Ok(Outcome::Explained(explanation)) => {
            let again = serde_json::to_vec(&json!({"explained": explanation})).unwrap();
            assert_eq!(read(&again), Ok(Outcome::Explained(explanation)));
        }
        Err(error) => assert!(rectify_policy::codes::ALL.contains(&error.code), "{error:?}"),
    }
}
