//! What a plan says of a command, and what it refuses to read.

use crate::fixture::World;
use rectify_sdk::protocol::{
    ErrorCode,
    message::{Configure, Mode, PlanAnswer},
};
use serde_json::{Value, json};

/// `unchanged`, or the prediction, planned state and disruption.
fn summary(answer: PlanAnswer) -> Value {
    match answer {
        PlanAnswer::Unchanged { state, .. } => json!({"unchanged": state}),
        PlanAnswer::Changed { planned, prediction, disruption, undo, .. } => {
            assert_eq!(undo, "none");
            json!([prediction, planned, disruption])
        }
    }
}

#[test]
fn predictions_claim_no_more_than_can_be_known() {
    let world = World::new();
    let mut session = world.session(Mode::Plan);
    let (there, missing) = (world.path("root"), world.path("missing"));
    let after = json!({"creates": {"path": missing, "exists": true}});
    for (desired, expected) in [
        (json!({"argv": ["true"]}), json!(["opaque", null, []])),
        (json!({"script": "true"}), json!(["opaque", null, []])),
        (json!({"argv": ["systemctl", "--now", "restart", "x"]}), json!(["opaque", null, ["restart"]])),
        (json!({"argv": ["/bin/systemctl", "reload", "x"]}), json!(["opaque", null, ["reload"]])),
        (json!({"argv": ["true"], "creates": missing}), json!(["conditional", after, []])),
        (
            json!({"argv": ["true"], "creates": there}),
            json!({"unchanged": {"creates": {"path": there, "exists": true}}}),
        ),
        // A guard that may not run while planning decides nothing.
        (json!({"argv": ["true"], "unless": ["true"]}), json!(["opaque", null, []])),
        (json!({"argv": ["true"], "creates": missing, "only_if": ["true"]}), json!(["opaque", null, []])),
    ] {
        assert_eq!(summary(session.plan(&desired).unwrap()), expected, "{desired}");
    }
}

#[test]
fn guards_run_while_planning_only_as_allowed() {
    let world = World::new();
    let marker = world.path("marker");
    let touch = vec!["touch".to_owned(), marker.clone()];
    let allow = |argv: &[&str]| Configure {
        plan_commands: vec![argv.iter().map(ToString::to_string).collect()],
        ..Configure::default()
    };
    let desired = json!({"argv": ["true"], "unless": touch});
    let other = world.configured(Mode::Plan, &allow(&["touch"])).plan(&desired).unwrap();
    assert_eq!(summary(other), json!(["opaque", null, []]));
    assert_eq!(world.text("marker"), None);
    let allowed = world.configured(Mode::Plan, &allow(&["touch", &marker])).plan(&desired).unwrap();
    assert_eq!(summary(allowed), json!({"unchanged": {}}));
    assert_eq!(world.text("marker"), Some(String::new()));

    let mut session = world.configured(Mode::Plan, &allow(&["false"]));
    let unless = json!({"argv": ["true"], "unless": ["false"], "creates": world.path("x")});
    assert_eq!(summary(session.plan(&unless).unwrap())[0], "conditional");
    let only_if = json!({"argv": ["true"], "only_if": ["false"]});
    assert_eq!(summary(session.plan(&only_if).unwrap()), json!({"unchanged": {}}));
}

#[test]
fn the_state_is_that_of_the_guards() {
    let world = World::new();
    let mut session = world.session(Mode::Read);
    assert_eq!(session.read(&json!({"argv": ["x"]})), json!({}));
    std::os::unix::fs::symlink("nowhere", world.path("dangling")).unwrap();
    for (path, exists) in [("dangling", true), ("root", true), ("no", false), ("dangling/below", false)] {
        let path = world.path(path);
        let state = session.read(&json!({"argv": ["x"], "creates": path}));
        assert_eq!(state, json!({"creates": {"path": path, "exists": exists}}));
    }
}

#[test]
fn wrong_properties_are_refused_at_their_place() {
    let world = World::new();
    let mut session = world.session(Mode::Plan);
    for (desired, place) in [
        (json!({}), ""),
        (json!({"argv": ["x"], "script": "x"}), "/script"),
        (json!({"argv": []}), "/argv"),
        (json!({"argv": ["./x"]}), "/argv/0"),
        (json!({"argv": ["x", "a\u{0}b"]}), "/argv"),
        (json!({"argv": ["x"], "unless": [""]}), "/unless/0"),
        (json!({"argv": ["x"], "creates": "relative"}), "/creates"),
        (json!({"argv": ["x"], "directory": "relative"}), "/directory"),
        (json!({"argv": ["x"], "environment": {"A=B": ""}}), "/environment/A=B"),
        (json!({"argv": ["x"], "environment": {"a/b\u{0}": ""}}), "/environment/a~1b\u{0}"),
        (json!({"argv": ["x"], "exit_codes": []}), "/exit_codes"),
        (json!({"argv": ["x"], "exit_codes": [0, 256]}), "/exit_codes/1"),
        (json!({"argv": ["x"], "timeout_s": 0}), "/timeout_s"),
        (json!({"argv": ["x"], "timeout_s": 3601}), "/timeout_s"),
        (json!({"argv": ["x"], "stdin": "x".repeat(65_537)}), "/stdin"),
        (json!({"argv": ["x"], "user": ""}), "/user"),
        (json!({"argv": ["x"], "user": "root:x"}), "/user"),
        (json!({"argv": ["x"], "unknown": 1}), ""),
        (json!({"argv": "x"}), ""),
    ] {
        let error = session.validate(&desired).unwrap_err();
        let planned = session.plan(&desired).unwrap_err();
        assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Schema, Some(place)), "{desired}");
        assert_eq!(planned, error, "{desired}");
    }
    session.validate(&json!({"argv": ["x"], "timeout_s": 1, "exit_codes": [0, 3]})).unwrap();
}
