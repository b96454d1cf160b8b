//! The published input.

use crate::fixture::{command, input_of, plan, step};
use rectify_policy::{Clock, INPUT_SCHEMA, input};
use serde_json::{Value, json};

fn valid(input: &Value) -> Result<(), String> {
    let schema: Value = serde_json::from_str(INPUT_SCHEMA).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    validator.validate(input).map_err(|error| error.to_string())
}

#[test]
fn it_lists_changes_and_counts_the_rest() {
    let plan = plan(
        "prod",
        vec![
            step("web-1", "ssh/config", "/etc/ssh/sshd_config", json!({})),
            step("web-1", "ssh/reload", "/", command()),
            step(
                "web-2",
                "motd/text",
                "/etc/motd",
                json!({"action": "create", "undo": {"grade": "lossy"}, "resolved": ["path:/run/motd"],
                    "desired": {"path": "/etc/motd", "validate": ["/bin/check", "%s"], "owner": "root"}}),
            ),
            step(
                "web-2",
                "motd/script",
                "/",
                json!({"type": "command.run", "action": "run", "touches": [], "prediction": "conditional",
                    "desired": {"script": "curl x | sh\n", "user": "app", "directory": "/srv", "stdin": "word",
                        "environment": {"LD_PRELOAD": "/tmp/x.so"}, "unless": ["test", "-e", "/x"],
                        "only_if": ["true"], "creates": "/y"}}),
            ),
        ],
    );
    let mut plan = plan;
    plan.gates = serde_json::from_value(json!([
        {"target": "web-1", "address": "ssh/verify:0", "type": "tcp.connect", "desired": {"port": 22}, "within_s": 9},
        {"target": "web-1", "address": "ssh/verify:1", "type": "command.succeeds",
            "desired": {"argv": ["systemctl", "is-active", "ssh"]}, "within_s": 0},
    ]))
    .unwrap();
    assert_eq!(valid(&input_of(&plan)), Ok(()));
    insta::assert_json_snapshot!(input_of(&plan));
}

#[test]
fn inputs_of_plans_match_the_schema() {
    let actions = ["create", "update", "replace", "delete", "run"];
    for (environment, action) in ["prod", "test"].into_iter().flat_map(|e| actions.map(|a| (e, a))) {
        let one = step("web-1", "ssh/config", "/etc/x", json!({"action": action}));
        let unknown = step("web-2", "gone/config", "/etc/y", json!({"type": "file.unknown"}));
        let plan = plan(environment, vec![one, unknown, step("web-2", "motd/run", "/", command())]);
        assert_eq!(valid(&input_of(&plan)), Ok(()));
        assert_eq!(valid(&input(&plan, &Clock::utc(-1).with_zone("Europe/Berlin", 3600).into())), Ok(()));
    }
}

#[test]
fn the_schema_refuses_what_is_not_an_input() {
    let good = input_of(&plan("test", vec![step("web-1", "ssh/config", "/etc/x", json!({}))]));
    assert_eq!(valid(&good), Ok(()));
    for (pointer, damage) in [
        ("/changes/0/paths", json!("/etc/x")),
        ("/changes/0/labels", json!({"a": 1})),
        ("/now/unix_s", json!("now")),
        ("/counts", json!({})),
        ("/targets/web-1", json!({"environment": "prod"})),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = damage;
        assert!(valid(&bad).is_err(), "{pointer}");
    }
    let mut bad = good;
    bad["extra"] = json!(1);
    assert!(valid(&bad).is_err());
}
