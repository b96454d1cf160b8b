//! Every inverse brings back what was there, and each grade says truly how well.

use crate::world::{Planned, World, is_superuser};
use rectify_sdk::protocol::{ErrorCode, Mutated, message::ApplyStatus};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::{MetadataExt, lchown, symlink},
};

fn there_and_back(world: &mut World, name: &str, desired: &Value) -> Planned {
    let before = world.snapshot();
    let planned = world.converge(name, desired);
    assert_ne!(world.snapshot(), before);
    let inverse = world.inverse(name, desired, &planned);
    assert_eq!(world.apply(&inverse).unwrap().status, ApplyStatus::Applied);
    assert_eq!(world.snapshot(), before);
    assert_eq!(world.apply(&inverse).unwrap().status, ApplyStatus::Already);
    planned
}

#[test]
fn exact_inverses_bring_everything_back() {
    let mut world = World::new();
    world.write("/f", b"\xffold\n", 0o640);
    world.write("/text", "old\n", 0o644);
    fs::create_dir(world.at("/d")).unwrap();
    symlink("f", world.at("/l")).unwrap();
    if is_superuser() {
        lchown(world.at("/f"), Some(7001), Some(4711)).unwrap();
        lchown(world.at("/l"), Some(7001), Some(4711)).unwrap();
        lchown(world.at("/d"), Some(7001), Some(4711)).unwrap();
    }
    for (name, desired) in [
        ("file.content", json!({"path": "/new", "content": "x"})),
        ("file.content", json!({"path": "/f", "content": "x", "mode": "0600"})),
        ("file.content", json!({"path": "/f", "content_base64": "/29sZAo=", "mode": "0777"})),
        ("file.line", json!({"path": "/text", "match": "^old", "line": "new"})),
        ("file.block", json!({"path": "/text", "block": "new"})),
        ("file.directory", json!({"path": "/newdir", "mode": "0700"})),
        ("file.directory", json!({"path": "/d", "mode": "0711"})),
        ("file.link", json!({"path": "/newlink", "target": "x"})),
        ("file.link", json!({"path": "/l", "target": "x"})),
        ("file.absent", json!({"path": "/f"})),
        ("file.absent", json!({"path": "/l"})),
        ("file.absent", json!({"path": "/d"})),
    ] {
        let planned = there_and_back(&mut world, name, &desired);
        assert_eq!((planned.undo.as_str(), planned.undo_note), ("exact", None), "{desired}");
    }
}

#[test]
fn an_inverse_refuses_what_somebody_else_changed_meanwhile() {
    let mut world = World::new();
    world.write("/f", "old", 0o644);
    let desired = json!({"path": "/f", "content": "new"});
    let planned = world.converge("file.content", &desired);
    world.write("/f", "theirs", 0o644);
    let inverse = world.inverse("file.content", &desired, &planned);
    let error = world.apply(&inverse).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Stale, Mutated::No));
    assert_eq!(world.bytes("/f"), b"theirs");
}

#[test]
fn an_inverse_without_its_before_image_changes_nothing() {
    let mut world = World::new();
    world.write("/f", "old", 0o644);
    let desired = json!({"path": "/f", "content": "new"});
    let planned = world.converge("file.content", &desired);
    for blob in fs::read_dir(world.dir.path().join("blobs")).unwrap() {
        fs::remove_file(blob.unwrap().path()).unwrap();
    }
    let inverse = world.inverse("file.content", &desired, &planned);
    let error = world.apply(&inverse).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Dependency, Mutated::No));
    assert_eq!(world.bytes("/f"), b"new");
}

#[test]
fn a_new_directory_that_was_filled_meanwhile_is_not_taken_back() {
    let mut world = World::new();
    let desired = json!({"path": "/d"});
    let planned = world.converge("file.directory", &desired);
    world.write("/d/x", "x", 0o644);
    let inverse = world.inverse("file.directory", &desired, &planned);
    let error = world.apply(&inverse).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Conflict, Mutated::No));
    assert_eq!(world.bytes("/d/x"), b"x");
}

#[test]
fn files_with_several_names_are_undone_with_loss() {
    let mut world = World::new();
    world.write("/a", "x", 0o644);
    fs::hard_link(world.at("/a"), world.at("/b")).unwrap();
    let mode = world.changed("file.content", &json!({"path": "/a", "content": "x", "mode": "0600"}));
    assert_eq!(mode.undo, "exact");
    for (name, desired) in [
        ("file.content", json!({"path": "/a", "content": "y"})),
        ("file.line", json!({"path": "/a", "line": "y"})),
        ("file.absent", json!({"path": "/a"})),
    ] {
        let planned = world.changed(name, &desired);
        assert_eq!(planned.undo, "lossy", "{desired}");
        assert!(planned.undo_note.unwrap().contains("2 names"));
    }
    world.converge("file.content", &json!({"path": "/a", "content": "y"}));
    assert_eq!(world.bytes("/b"), b"x");
    assert_eq!(fs::metadata(world.at("/b")).unwrap().nlink(), 1);
}

#[test]
fn attributes_that_removal_would_lose_are_named() {
    let mut world = World::new();
    world.write("/a", "x", 0o644);
    let file = fs::File::open(world.at("/a")).unwrap();
    rustix::fs::fsetxattr(&file, "user.note", b"1", rustix::fs::XattrFlags::empty()).unwrap();
    let planned = world.changed("file.absent", &json!({"path": "/a"}));
    assert_eq!(planned.undo, "lossy");
    assert!(planned.undo_note.unwrap().contains("user.note"));
    // A new content keeps them, there and back.
    let planned = there_and_back(&mut world, "file.content", &json!({"path": "/a", "content": "y"}));
    assert_eq!(planned.undo, "exact");
    let mut value = [0; 8];
    assert_eq!(rustix::fs::getxattr(world.at("/a"), "user.note", &mut value).unwrap(), 1);
}

#[test]
fn nobody_can_ask_for_an_inverse_while_planning() {
    let mut world = World::new();
    let desired = json!({"path": "/a", "content": "x", "$restore": {"state": null}});
    assert_eq!(world.plan("file.content", &desired).unwrap_err().code, ErrorCode::Schema);
}
