//! A plan file says what was planned, also where a property is null.

use rectify_base::{Digest, Pointer, canonical};
use rectify_model::plan::{Change, Step};
use serde_json::json;

#[test]
fn a_property_that_becomes_null_is_not_one_that_goes_away() {
    for change in [
        json!({"path": "/x", "before": 1, "after": null}),
        json!({"path": "/x", "before": null, "after": 1}),
        json!({"path": "/x", "before": 1}),
        json!({"path": "/x", "after": null}),
    ] {
        let bytes = canonical::file_bytes(&change).unwrap();
        let read: Change = canonical::read_file(&bytes).unwrap();
        assert_eq!(read.after.is_some(), change.get("after").is_some());
        assert_eq!(canonical::file_bytes(&read).unwrap(), bytes);
    }
}

#[test]
fn a_state_is_partway_if_each_place_is_as_before_or_as_planned_and_neither_all_of_them() {
    let step: Step = serde_json::from_value(json!({
        "target": "a", "address": "web/x", "type": "group.entry", "action": "update", "desired": {},
        "changes": [
            {"path": "/gid", "before": 1, "after": 2},
            {"path": "/members", "before": ["x"], "after": ["y", "z"]},
            {"path": "/note", "before": "old"},
        ],
        "expect": Digest::of_bytes(b"before"),
        "result": Digest::of_bytes(b"after"),
        "planned": {"name": "g", "gid": 2, "members": ["y", "z"]},
        "prediction": "exact",
        "undo": {"grade": "exact"},
    }))
    .unwrap();
    let volatile: Vec<Pointer> = vec![Pointer::from_tokens(["shown"])];
    let partway = |state: serde_json::Value| step.is_partway(&state, &volatile);
    assert!(partway(json!({"name": "g", "gid": 2, "members": ["x"], "note": "old"})));
    assert!(partway(json!({"name": "g", "gid": 1, "members": ["y", "z"], "shown": "7 s ago"})));
    for (state, why) in [
        (json!({"name": "g", "gid": 1, "members": ["x"], "note": "old"}), "all as before"),
        (json!({"name": "g", "gid": 2, "members": ["y", "z"]}), "all as planned"),
        (json!({"name": "g", "gid": 3, "members": ["x"], "note": "old"}), "a number of somebody's"),
        (json!({"name": "g", "gid": 2, "members": ["y"], "note": "old"}), "a part of a place"),
        (json!({"name": "h", "gid": 2, "members": ["x"], "note": "old"}), "another place changed"),
        (json!({"name": "g", "gid": 2, "members": ["x"], "note": "new"}), "a place that is to go"),
        (json!({"name": "g", "gid": 2, "members": ["x"], "note": "old", "more": 1}), "one more place"),
        (json!(null), "nothing"),
    ] {
        assert!(!partway(state), "{why}");
    }
    for action in ["create", "delete", "run"] {
        let other = Step { action: serde_json::from_value(json!(action)).unwrap(), ..step.clone() };
        assert!(
            !other.is_partway(&json!({"name": "g", "gid": 2, "members": ["x"], "note": "old"}), &volatile)
        );
    }
}
