//! What `file.absent` says of what it removes, whatever that is.

use crate::world::{World, is_superuser};
use rectify_sdk::{base::limits::FILE_CONTENT_MAX_BYTES, protocol::ErrorCode};
use rustix::fs::{CWD, FileType, Mode as Bits, makedev, mknodat};
use serde_json::json;
use std::fs;

/// A file that is longer than anything that is held in memory, without taking any space.
fn long_file(world: &World, path: &str) {
    fs::File::create(world.at(path)).unwrap().set_len(FILE_CONTENT_MAX_BYTES + 1).unwrap();
}

#[test]
fn a_long_file_is_removed_for_good() {
    let mut world = World::new();
    long_file(&world, "/long");
    let planned = world.converge("file.absent", &json!({"path": "/long"}));
    assert_eq!(planned.undo, "none");
    assert!(planned.undo_note.unwrap().contains("is not kept"));
    assert_eq!(planned.prior.unwrap()["content"]["size"], json!(FILE_CONTENT_MAX_BYTES + 1));
}

#[test]
fn a_long_file_is_replaced_for_good_and_never_edited() {
    let mut world = World::new();
    long_file(&world, "/long");
    let error = world.plan("file.line", &json!({"path": "/long", "line": "x"})).unwrap_err();
    assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Unsupported, Some("/path")));
    assert!(error.message.contains("longer than"), "{error}");
    let planned = world.converge("file.content", &json!({"path": "/long", "content": "x"}));
    assert_eq!(planned.undo, "none");
}

/// Longer than what a plan shows, and so read piece by piece.
#[test]
fn a_file_that_is_only_digested_is_kept_and_brought_back() {
    let mut world = World::new();
    let bytes = vec![b'x'; 300_000];
    for (name, desired) in [
        ("file.absent", json!({"path": "/a"})),
        ("file.content", json!({"path": "/a", "content": "y"})),
        ("file.line", json!({"path": "/a", "line": "y"})),
    ] {
        world.write("/a", &bytes, 0o644);
        let planned = world.converge(name, &desired);
        assert_eq!(planned.undo, "exact");
        let inverse = world.inverse(name, &desired, &planned);
        world.apply(&inverse).unwrap();
        assert_eq!(world.bytes("/a"), bytes, "{name}");
    }
}

#[test]
fn a_file_that_nobody_can_read_in_time_is_not_read() {
    let mut world = World::new();
    fs::File::create(world.at("/huge")).unwrap().set_len(4 * 1024 * 1024 * 1024 + 1).unwrap();
    let error = world.plan("file.absent", &json!({"path": "/huge"})).unwrap_err();
    assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Unsupported, Some("/path")));
}

#[test]
fn what_is_no_file_and_no_directory_is_removed_without_being_opened() {
    let mut world = World::new();
    mknodat(CWD, world.at("/pipe"), FileType::Fifo, Bits::RWXU, 0).unwrap();
    drop(std::os::unix::net::UnixListener::bind(world.at("/socket")).unwrap());
    let mut cases = vec![("/pipe", "pipe"), ("/socket", "socket")];
    let device = mknodat(CWD, world.at("/device"), FileType::CharacterDevice, Bits::RWXU, makedev(1, 3));
    if is_superuser() && device.is_ok() {
        cases.push(("/device", "device"));
    }
    for (path, kind) in cases {
        let planned = world.converge("file.absent", &json!({"path": path}));
        let prior = planned.prior.unwrap();
        assert_eq!((&prior["kind"], planned.undo.as_str()), (&json!(kind), "none"));
        assert_eq!(prior.get("device"), (kind == "device").then_some(&json!("character 1:3")));
        assert!(planned.undo_note.unwrap().contains(kind));
        assert!(!world.at(path).exists());
    }
}

#[test]
fn a_directory_says_how_much_it_holds_and_what_comes_first() {
    let mut world = World::new();
    fs::create_dir_all(world.at("/d/sub")).unwrap();
    for index in 0..12 {
        world.write(&format!("/d/f{index:02}"), "x", 0o644);
    }
    world.write("/d/sub/deep", "x", 0o644);
    let desired = json!({"path": "/d", "recursive": true});
    let planned = world.changed("file.absent", &desired);
    let prior = planned.prior.clone().unwrap();
    let names: Vec<String> = (0..10).map(|index| format!("f{index:02}")).collect();
    assert_eq!((&prior["entries"]["count"], &prior["entries"]["names"]), (&json!(14), &json!(names)));
    assert!(planned.undo_note.unwrap().contains("14 entries"));
    // Names are for display; a digest says which they are.
    let read = world.read("file.absent", &desired, false).unwrap().state.unwrap();
    assert!(read["entries"].get("names").is_none() && read["entries"]["tree"].is_string());
    world.converge("file.absent", &desired);
}

#[test]
fn names_that_others_may_not_list_are_not_shown() {
    let mut world = World::new();
    fs::create_dir_all(world.at("/home/d")).unwrap();
    world.write("/home/d/canary", "x", 0o644);
    for (path, mode) in [("/home/d", 0o700), ("/home", 0o700)] {
        world.chmod("/home/d", 0o755);
        world.chmod(path, mode);
        let planned = world.changed("file.absent", &json!({"path": "/home/d", "recursive": true}));
        assert!(!format!("{planned:?}").contains("canary"));
    }
}

#[test]
fn the_marker_of_the_root_is_never_touched() {
    let mut world = World::new();
    world.write("/.rectify-root", "00112233445566778899aabbccddeeff\n", 0o644);
    std::os::unix::fs::symlink("/", world.at("/etc/up")).unwrap();
    if is_superuser() {
        world.chmod("/etc", 0o755);
    }
    for path in ["/.rectify-root", "/etc/up/.rectify-root"] {
        for (name, desired) in [
            ("file.absent", json!({"path": path})),
            ("file.content", json!({"path": path, "content": "x"})),
            ("file.line", json!({"path": path, "line": "x"})),
            ("file.directory", json!({"path": path})),
        ] {
            let error = world.plan(name, &desired).unwrap_err();
            assert_eq!(error.path.as_deref(), Some("/path"), "{error}");
            assert!(error.message.contains("marker"), "{error}");
            let made = crate::world::Planned::default();
            let op = world.operation(name, &desired, &made);
            assert!(world.apply(&op).unwrap_err().message.contains("marker"));
        }
    }
    let error = world.validate("file.absent", &json!({"path": "/.rectify-root"})).unwrap_err();
    assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Schema, Some("/path")));
    // A file of that name elsewhere marks nothing here.
    world.converge("file.content", &json!({"path": "/etc/.rectify-root", "content": "x"}));
}
