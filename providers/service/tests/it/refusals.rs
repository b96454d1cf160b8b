use crate::World;
use rectify_sdk::{Provider as _, protocol::ErrorCode};
use serde_json::json;

#[test]
fn what_is_wrong_is_said_at_its_place() {
    let mut world = World::new();
    let file = "/etc/systemd/system/a.service";
    for (name, desired, place) in [
        ("service.unit", json!({"unit": "ssh", "state": "running"}), "/unit"),
        ("service.unit", json!({"unit": "a@.service", "state": "running"}), "/unit"),
        ("service.unit", json!({"unit": "-H.service", "state": "running"}), "/unit"),
        ("service.unit", json!({"unit": "a.service"}), ""),
        ("service.unit", json!({"unit": "a.service", "state": "running", "masked": true}), "/state"),
        ("service.unit", json!({"unit": "a.service", "enabled": true, "masked": true}), "/enabled"),
        ("service.unit", json!({"unit": "a.service", "enabled": true, "stable_s": 301}), "/stable_s"),
        ("service.unit", json!({"unit": "a.service", "enabled": true, "timeout_s": 0}), "/timeout_s"),
        ("service.unit", json!({"unit": "a.service", "$restore": {}}), ""),
        (
            "service.unit",
            json!({"unit": "a.service", "$restore": {"state": {"unit": "b.service", "state": "running", "enabled": true, "masked": false}}}),
            "",
        ),
        ("service.unit_file", json!({"path": "/etc/systemd/system/../a.service", "content": ""}), "/path"),
        ("service.unit_file", json!({"path": "/usr/lib/systemd/system/a.service", "content": ""}), "/path"),
        ("service.unit_file", json!({"path": file}), "/content"),
        ("service.unit_file", json!({"path": file, "content": "", "state": "absent"}), "/content"),
        ("service.unit_file", json!({"path": file, "content": "a\u{0}b"}), "/content"),
        ("service.unit_file", json!({"path": file, "content": "a".repeat(65_537)}), "/content"),
        ("service.restart", json!({"unit": "ssh"}), "/unit"),
        ("service.restart", json!({"unit": "a.service", "or_restart": true}), ""),
        ("service.reload", json!({"unit": "a.service", "when_stopped": "leave"}), ""),
        ("service.reload", json!({"unit": "a.service", "timeout_s": 1801}), "/timeout_s"),
        ("service.reload", json!({"unit": "a.service", "$undo": false}), ""),
    ] {
        let error = world.exercise.validate(name, &desired).unwrap().unwrap_err();
        let found = (error.code, error.path.as_deref().unwrap_or_default());
        assert_eq!(found, (ErrorCode::Schema, place), "{desired}: {error}");
    }
}

#[test]
fn nothing_is_started_in_a_directory() {
    let mut world = World::new();
    for name in ["service.restart", "service.reload"] {
        let error = world.exercise.plan(name, &json!({"unit": "a.service"})).unwrap().unwrap_err();
        assert_eq!(error.code, ErrorCode::Unsupported);
    }
}

#[test]
fn a_bus_that_is_not_there_is_said() {
    let provider = rectify_provider_service::provider_on("unix:path=/nonexistent/rectify/bus");
    let mut exercise = rectify_sdk::testing::Exercise::new(provider, None, &[]).unwrap();
    let desired = json!({"unit": "a.service", "state": "running"});
    let error = exercise.plan("service.unit", &desired).unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::Dependency);
    assert!(error.hint.unwrap().contains("systemctl status dbus"));
}

#[test]
fn the_manifest_is_sound() {
    let manifest = rectify_provider_service::provider().manifest();
    let names: Vec<&str> = manifest.types.iter().map(|known| known.name.as_str()).collect();
    assert_eq!(names, ["service.reload", "service.restart", "service.unit", "service.unit_file"]);
    manifest.to_bytes().unwrap();
}
