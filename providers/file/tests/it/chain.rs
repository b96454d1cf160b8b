//! Steps that are planned on what an earlier step leaves behind.

use crate::world::{Planned, World};
use rectify_sdk::protocol::{ErrorCode, ItemError, message::Predicted};
use serde_json::{Value, json};
use std::fs;

fn then(
    world: &mut World,
    first: &Planned,
    name: &str,
    desired: &Value,
) -> Result<Option<Planned>, ItemError> {
    world.plan_on(name, desired, Some(Predicted { state: first.planned.clone() }))
}

#[test]
fn two_edits_of_one_file_are_planned_and_applied_in_turn() {
    let mut world = World::new();
    world.write("/c", "a\n", 0o644);
    let steps = [
        ("file.line", json!({"path": "/c", "line": "b"})),
        ("file.block", json!({"path": "/c", "marker": "{mark}", "block": "1"})),
        ("file.content", json!({"path": "/c", "content": "z\n", "mode": "0600"})),
        ("file.absent", json!({"path": "/c"})),
    ];
    let mut plans: Vec<Planned> = Vec::new();
    for (name, desired) in &steps {
        let planned = match plans.last().cloned() {
            None => world.changed(name, desired),
            Some(last) => then(&mut world, &last, name, desired).unwrap().unwrap(),
        };
        plans.push(planned);
    }
    for ((name, desired), planned) in steps.iter().zip(&plans) {
        let op = world.operation(name, desired, planned);
        world.apply(&op).unwrap();
    }
    assert!(!world.at("/c").exists());
}

#[test]
fn an_edit_of_a_predicted_content_that_is_not_at_hand_is_unsupported() {
    let mut world = World::new();
    let first = world.changed("file.content", &json!({"path": "/s", "content": "secret\n", "mode": "0600"}));
    let error = then(&mut world, &first, "file.line", &json!({"path": "/s", "line": "b"})).unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported);
    // A whole content needs no text of the one before.
    let desired = json!({"path": "/s", "content": "other\n"});
    let second = then(&mut world, &first, "file.content", &desired).unwrap().unwrap();
    assert_eq!(second.planned.unwrap()["mode"], "0600");
}

#[test]
fn a_predicted_content_that_is_there_already_is_at_hand() {
    let mut world = World::new();
    world.write("/s", "secret\n", 0o640);
    let first = world.changed("file.content", &json!({"path": "/s", "content": "secret\n", "mode": "0600"}));
    let desired = json!({"path": "/s", "line": "b"});
    let second = then(&mut world, &first, "file.line", &desired).unwrap().unwrap();
    assert!(second.planned.as_ref().unwrap()["content"].get("text").is_none());
    for (name, desired, planned) in [
        ("file.content", json!({"path": "/s", "content": "secret\n", "mode": "0600"}), &first),
        ("file.line", desired, &second),
    ] {
        let op = world.operation(name, &desired, planned);
        world.apply(&op).unwrap();
    }
    assert_eq!(world.bytes("/s"), b"secret\nb\n");
}

#[test]
fn a_thing_may_be_removed_and_made_anew_as_another() {
    let mut world = World::new();
    world.write("/x", "x", 0o644);
    let first = world.changed("file.absent", &json!({"path": "/x"}));
    let desired = json!({"path": "/x"});
    let second = then(&mut world, &first, "file.directory", &desired).unwrap().unwrap();
    let op = world.operation("file.directory", &desired, &second);
    assert_eq!(world.apply(&op).unwrap_err().code, ErrorCode::Stale);
    let removal = world.operation("file.absent", &json!({"path": "/x"}), &first);
    world.apply(&removal).unwrap();
    world.apply(&op).unwrap();
    assert!(fs::metadata(world.at("/x")).unwrap().is_dir());
}

#[test]
fn what_a_predicted_directory_will_hold_is_not_known() {
    let mut world = World::new();
    let first = world.changed("file.directory", &json!({"path": "/d"}));
    let error =
        then(&mut world, &first, "file.absent", &json!({"path": "/d", "recursive": true})).unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported);
}

#[test]
fn a_state_that_was_tampered_with_is_refused() {
    let mut world = World::new();
    let mut first = world.changed("file.content", &json!({"path": "/c", "content": "a\n"}));
    *first.planned.as_mut().unwrap().pointer_mut("/content/text").unwrap() = json!("b\n");
    let error = then(&mut world, &first, "file.line", &json!({"path": "/c", "line": "x"})).unwrap_err();
    assert_eq!(error.code, ErrorCode::Schema);
}
