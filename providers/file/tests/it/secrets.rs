//! What others may not read is never shown as text.

use crate::world::World;
use rectify_sdk::{
    base::Pointer,
    protocol::{
        ErrorCode,
        message::{Apply, PlanAnswer, PlanItem, ReadAnswer, ReadItem, method},
    },
};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt};

const CANARY: &str = "canary-5f0c1a";

/// Every answer about a path, as it goes over the wire.
pub fn answers(world: &mut World, name: &str, desired: &Value) -> String {
    use crate::world::{object, type_name};
    let item = PlanItem {
        type_name: type_name(name),
        desired: object(desired.clone()),
        prior: None,
        directories: None,
    };
    let planned = world.batch::<_, PlanAnswer>(method::PLAN, vec![item]).pop().unwrap().unwrap();
    let mut all = serde_json::to_string(&planned).unwrap();
    let item = ReadItem { type_name: type_name(name), desired: object(desired.clone()), capture: true };
    let read = world.batch::<_, ReadAnswer>(method::READ, vec![item]).pop().unwrap().unwrap();
    all.push_str(&serde_json::to_string(&read).unwrap());
    if let PlanAnswer::Changed { prior, planned, undo, undo_note, .. } = planned {
        let planned = crate::world::Planned { prior, planned, undo, undo_note, ..Default::default() };
        let op: Apply = world.operation(name, desired, &planned);
        all.push_str(&serde_json::to_string(&world.apply(&op).unwrap()).unwrap());
    }
    all
}

#[test]
fn a_private_content_is_in_no_answer() {
    let mut world = World::new();
    let line = json!({"path": "/s", "line": "b"});
    let cases = [
        // Private before and after; opened; closed; and private from the beginning.
        (0o600, "file.line", line.clone()),
        (0o640, "file.content", json!({"path": "/s", "content": "new", "mode": "0644"})),
        (0o644, "file.content", json!({"path": "/s", "content": CANARY, "mode": "0600"})),
        (0o644, "file.line", json!({"path": "/s", "line": "b", "mode": "0600"})),
        (0o600, "file.absent", json!({"path": "/s"})),
    ];
    for (mode, name, desired) in cases {
        world.write("/s", format!("{CANARY}\n"), mode);
        let all = answers(&mut world, name, &desired);
        assert!(!all.contains(CANARY) && !all.contains("\"text\""), "{all}");
    }
    world.write("/s", format!("{CANARY}\n"), 0o644);
    let planned = world.changed("file.line", &line);
    assert_eq!(
        Pointer::from("/content/text").get(&planned.prior.unwrap()),
        Some(&json!(format!("{CANARY}\n")))
    );
}

#[test]
fn a_directory_that_others_may_not_pass_makes_its_files_private() {
    let mut world = World::new();
    fs::create_dir_all(world.at("/home/me")).unwrap();
    world.write("/home/me/s", CANARY, 0o644);
    world.chmod("/home", 0o750);
    let all = answers(&mut world, "file.line", &json!({"path": "/home/me/s", "line": "b"}));
    assert!(!all.contains(CANARY), "{all}");
}

#[test]
fn unchanged_and_read_answers_carry_no_text() {
    let mut world = World::new();
    world.write("/s", "public", 0o644);
    let all = answers(&mut world, "file.content", &json!({"path": "/s", "content": "public"}));
    assert!(all.contains("unchanged") && !all.contains("public"), "{all}");
}

#[test]
fn what_a_judge_says_of_a_private_content_is_not_passed_on() {
    let mut world = World::new();
    for (mode, shown) in [("0600", false), ("0644", true)] {
        let desired = json!({
            "path": format!("/v{mode}"), "content": CANARY, "mode": mode, "validate": ["/bin/sh", "-c", "cat $0; exit 3", "%s"]
        });
        let planned = world.changed("file.content", &desired);
        let op = world.operation("file.content", &desired, &planned);
        let error = world.apply(&op).unwrap_err();
        assert_eq!(error.code, ErrorCode::Failed);
        assert_eq!(serde_json::to_string(&error).unwrap().contains(CANARY), shown, "{error}");
        assert!(error.message.contains("code 3"), "{error}");
    }
}

#[test]
fn before_images_are_private_files() {
    let mut world = World::new();
    world.write("/s", CANARY, 0o644);
    let desired = json!({"path": "/s", "content": ""});
    let digest = world.read("file.content", &desired, true).unwrap().before_image.unwrap();
    let blob = world.dir.path().join("blobs").join(digest.hex());
    assert_eq!(fs::read(&blob).unwrap(), CANARY.as_bytes());
    assert_eq!(fs::metadata(&blob).unwrap().permissions().mode() & 0o777, 0o600);
}
