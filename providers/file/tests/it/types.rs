//! Every type: created, updated, as it should be already, removed; and what it refuses.

use crate::world::{World, is_superuser};
use rectify_sdk::protocol::{ErrorCode, ItemError, Mutated, message::Mode};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::symlink};

fn refused(world: &mut World, name: &str, desired: &Value) -> ItemError {
    let before = world.snapshot();
    let error = world.plan(name, desired).unwrap_err();
    assert_eq!(error.mutated, Mutated::No);
    assert_eq!(world.snapshot(), before);
    error
}

#[test]
fn a_content_is_created_updated_and_left_alone() {
    let mut world = World::new();
    let planned = world.converge("file.content", &json!({"path": "/a", "content": "one\n"}));
    assert_eq!(planned.prior, None);
    assert_eq!(
        planned.planned.unwrap(),
        json!({
            "path": "/a", "kind": "file", "mode": "0644", "owner": "me", "group": "us",
            "content": {
                "blake3": rectify_sdk::base::Digest::of_bytes(b"one\n").to_string(),
                "size": 4,
                "text": "one\n"
            }
        })
    );
    assert_eq!(world.bytes("/a"), b"one\n");
    world.converge("file.content", &json!({"path": "/a", "content": "two\n", "mode": "0600"}));
    assert_eq!((world.bytes("/a"), world.mode_of("/a")), (b"two\n".to_vec(), 0o600));
    // What is not said stays: the mode.
    world.converge("file.content", &json!({"path": "/a", "content": "three\n"}));
    assert_eq!(world.mode_of("/a"), 0o600);
    assert!(world.plan("file.content", &json!({"path": "/a", "content": "three\n"})).unwrap().is_none());
}

#[test]
fn a_content_may_be_no_text_and_may_be_empty() {
    let mut world = World::new();
    world.converge("file.content", &json!({"path": "/a", "content_base64": "/wD+Cg=="}));
    assert_eq!(world.bytes("/a"), b"\xff\x00\xfe\n");
    world.converge("file.content", &json!({"path": "/a", "content": ""}));
    assert_eq!(world.bytes("/a"), b"");
}

#[test]
fn a_mode_alone_keeps_the_inode() {
    use std::os::unix::fs::MetadataExt;
    let mut world = World::new();
    world.write("/a", "x", 0o644);
    let inode = fs::metadata(world.at("/a")).unwrap().ino();
    for mode in ["0600", "0755", "04750", "0000"] {
        if mode == "0000" && !is_superuser() {
            continue;
        }
        world.converge("file.content", &json!({"path": "/a", "content": "x", "mode": mode}));
        assert_eq!(format!("0{:03o}", world.mode_of("/a")), mode);
    }
    assert_eq!(fs::metadata(world.at("/a")).unwrap().ino(), inode);
}

#[test]
fn owners_are_those_of_the_target() {
    use std::os::unix::fs::MetadataExt;
    let mut world = World::new();
    world.write("/a", "x", 0o4755);
    let desired = json!({"path": "/a", "content": "x", "owner": "web", "group": "www"});
    if is_superuser() {
        world.converge("file.content", &desired);
        let meta = fs::metadata(world.at("/a")).unwrap();
        assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (7001, 7002, 0o4755));
        let numbers = json!({"path": "/a", "content": "x", "owner": "7001", "group": "7002"});
        assert!(world.plan("file.content", &numbers).unwrap().is_none());
        let unnamed = json!({"path": "/a", "content": "x", "owner": "4711"});
        let planned = world.converge("file.content", &unnamed);
        assert_eq!(planned.planned.unwrap()["owner"], "4711");
        world.converge(
            "file.directory",
            &json!({"path": "/d", "owner": "web", "group": "www", "mode": "02770"}),
        );
        let meta = fs::metadata(world.at("/d")).unwrap();
        assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (7001, 7002, 0o2770));
    } else {
        let planned = world.changed("file.content", &desired);
        let op = world.operation("file.content", &desired, &planned);
        let before = world.snapshot();
        assert_eq!(world.apply(&op).unwrap_err().code, ErrorCode::Permission);
        assert_eq!(world.snapshot(), before);
    }
    let error =
        refused(&mut world, "file.content", &json!({"path": "/a", "content": "x", "owner": "daemon"}));
    assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Failed, Some("/owner")));
    let error = refused(&mut world, "file.directory", &json!({"path": "/e", "group": "daemon"}));
    assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Failed, Some("/group")));
}

#[test]
fn a_user_whose_name_is_a_number_changes_nobodys_files() {
    use std::os::unix::fs::MetadataExt;
    let mut world = World::new();
    if !is_superuser() {
        return;
    }
    // One is called by the number of the other; and one name is there twice.
    world.write("/etc/passwd", "33:x:7033:7033\nweb:x:34:34\nweb:x:35:35\n", 0o644);
    for uid in [33, 35] {
        world.write("/a", "x", 0o644);
        std::os::unix::fs::chown(world.at("/a"), Some(uid), None).unwrap();
        let planned = world.converge("file.content", &json!({"path": "/a", "content": "y"}));
        assert_eq!(planned.planned.unwrap()["owner"], json!(uid.to_string()));
        assert_eq!(fs::metadata(world.at("/a")).unwrap().uid(), uid);
    }
    let error = refused(&mut world, "file.content", &json!({"path": "/a", "content": "y", "owner": "33"}));
    assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Failed, Some("/owner")));
}

/// Whoever plans: a plan made by one user holds for another.
#[test]
fn what_is_new_belongs_to_the_owner_of_the_root_directory() {
    use std::os::unix::fs::MetadataExt;
    let mut world = World::new();
    let mut names = ("me", "us");
    if is_superuser() {
        std::os::unix::fs::chown(world.at("/"), Some(7001), Some(7002)).unwrap();
        names = ("web", "www");
    }
    for (name, desired) in [
        ("file.content", json!({"path": "/a", "content": "x"})),
        ("file.line", json!({"path": "/b", "line": "x", "create": true})),
        ("file.block", json!({"path": "/c", "block": "x", "create": true})),
        ("file.directory", json!({"path": "/d"})),
        ("file.link", json!({"path": "/e", "target": "a"})),
    ] {
        let planned = world.converge(name, &desired).planned.unwrap();
        assert_eq!((&planned["owner"], &planned["group"]), (&json!(names.0), &json!(names.1)), "{name}");
        let path = world.at(desired["path"].as_str().unwrap());
        let root = fs::metadata(world.at("/")).unwrap();
        let made = fs::symlink_metadata(path).unwrap();
        assert_eq!((made.uid(), made.gid()), (root.uid(), root.gid()));
    }
}

#[test]
fn a_line_is_added_replaced_removed() {
    let mut world = World::new();
    world.write("/c", "Port 1\n#Grace 2m\n", 0o644);
    let grace = json!({"path": "/c", "match": "^#?\\s*Grace\\b", "line": "Grace 0"});
    let planned = world.converge("file.line", &grace);
    assert_eq!(planned.planned.unwrap()["content"]["text"], "Port 1\nGrace 0\n");
    let other = json!({"path": "/c", "line": "X y", "position": "after", "anchor": "^Port"});
    world.converge("file.line", &other);
    assert_eq!(world.bytes("/c"), b"Port 1\nX y\nGrace 0\n");
    world.converge("file.line", &json!({"path": "/c", "match": "^Grace", "state": "absent"}));
    assert_eq!(world.bytes("/c"), b"Port 1\nX y\n");
    assert!(world.plan("file.line", &other).unwrap().is_none());
}

#[test]
fn a_line_or_block_makes_the_file_only_if_asked() {
    let mut world = World::new();
    for (name, what) in [("file.line", "line"), ("file.block", "block")] {
        let path = format!("/{what}");
        let error = refused(&mut world, name, &json!({"path": path, what: "x"}));
        assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Failed, Some("/path")));
        let absent = json!({"path": path, what: "x", "state": "absent", "create": true});
        assert!(world.plan(name, &absent).unwrap().is_none());
        world.converge(name, &json!({"path": path, what: "x", "create": true, "mode": "0640"}));
        assert_eq!(world.mode_of(&path), 0o640);
    }
    assert_eq!(world.bytes("/line"), b"x\n");
    assert_eq!(world.bytes("/block"), b"# BEGIN RECTIFY MANAGED BLOCK\nx\n# END RECTIFY MANAGED BLOCK\n");
}

#[test]
fn a_block_is_added_replaced_removed() {
    let mut world = World::new();
    world.write("/c", "a\nb\n", 0o644);
    let block = |text: &str| json!({"path": "/c", "block": text, "marker": "; {mark}", "position": "before", "anchor": "^b"});
    world.converge("file.block", &block("1\n2\n"));
    assert_eq!(world.bytes("/c"), b"a\n; BEGIN\n1\n2\n; END\nb\n");
    world.converge("file.block", &block("3"));
    assert_eq!(world.bytes("/c"), b"a\n; BEGIN\n3\n; END\nb\n");
    world.converge("file.block", &json!({"path": "/c", "marker": "; {mark}", "state": "absent"}));
    assert_eq!(world.bytes("/c"), b"a\nb\n");
}

#[test]
fn edits_that_cannot_be_made_are_refused() {
    let mut world = World::new();
    world.write("/c", "a\n# BEGIN RECTIFY MANAGED BLOCK\n", 0o644);
    let anchor = json!({"path": "/c", "line": "x", "position": "before", "anchor": "^zzz"});
    let error = refused(&mut world, "file.line", &anchor);
    assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Failed, Some("/anchor")));
    let error = refused(&mut world, "file.block", &json!({"path": "/c", "block": "x"}));
    assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Failed, Some("/block")));
}

#[test]
fn a_directory_is_created_and_updated() {
    let mut world = World::new();
    let planned = world.converge("file.directory", &json!({"path": "/d"}));
    assert_eq!(
        planned.planned.unwrap(),
        json!({"path": "/d", "kind": "directory", "mode": "0755", "owner": "me", "group": "us"})
    );
    world.write("/d/x", "x", 0o644);
    world.converge("file.directory", &json!({"path": "/d", "mode": "0700"}));
    assert_eq!((world.mode_of("/d"), world.bytes("/d/x")), (0o700, b"x".to_vec()));
    assert!(world.plan("file.directory", &json!({"path": "/d"})).unwrap().is_none());
}

#[test]
fn a_link_is_created_and_turned() {
    let mut world = World::new();
    let planned = world.converge("file.link", &json!({"path": "/l", "target": "../nowhere"}));
    assert_eq!(
        planned.planned.unwrap(),
        json!({"path": "/l", "kind": "link", "target": "../nowhere", "owner": "me", "group": "us"})
    );
    world.converge("file.link", &json!({"path": "/l", "target": "/etc"}));
    assert_eq!(fs::read_link(world.at("/l")).unwrap().to_str(), Some("/etc"));
}

#[test]
fn absence_of_a_file_a_link_and_directories() {
    let mut world = World::new();
    world.write("/f", "x", 0o644);
    world.write("/kept", "x", 0o644);
    symlink("kept", world.at("/l")).unwrap();
    fs::create_dir_all(world.at("/d/e/f")).unwrap();
    world.write("/d/e/x", "x", 0o644);
    symlink("../../../kept", world.at("/d/e/out")).unwrap();
    world.converge("file.absent", &json!({"path": "/f"}));
    world.converge("file.absent", &json!({"path": "/l"}));
    world.converge("file.absent", &json!({"path": "/d/e/f"}));
    let error = refused(&mut world, "file.absent", &json!({"path": "/d"}));
    assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Conflict, Some("/recursive")));
    let planned = world.converge("file.absent", &json!({"path": "/d", "recursive": true}));
    assert_eq!((planned.undo.as_str(), &planned.prior.unwrap()["entries"]["count"]), ("none", &json!(3)));
    assert_eq!(world.bytes("/kept"), b"x");
    assert!(!world.at("/d").exists());
    assert!(world.plan("file.absent", &json!({"path": "/d"})).unwrap().is_none());
}

#[test]
fn what_is_something_else_is_never_taken_over() {
    let mut world = World::new();
    world.write("/f", "x", 0o644);
    fs::create_dir(world.at("/d")).unwrap();
    symlink("f", world.at("/l")).unwrap();
    for (name, desired) in [
        ("file.content", json!({"path": "/d", "content": "x"})),
        ("file.content", json!({"path": "/l", "content": "x"})),
        ("file.line", json!({"path": "/l", "line": "x"})),
        ("file.block", json!({"path": "/l", "block": "x"})),
        ("file.line", json!({"path": "/d", "line": "x"})),
        ("file.directory", json!({"path": "/f"})),
        ("file.directory", json!({"path": "/l"})),
        ("file.link", json!({"path": "/f", "target": "x"})),
        ("file.link", json!({"path": "/d", "target": "x"})),
        ("file.content", json!({"path": "/f/x", "content": "x"})),
    ] {
        let error = refused(&mut world, name, &desired);
        assert_eq!(error.code, ErrorCode::Conflict, "{desired}");
    }
}

#[test]
fn special_files_are_never_opened() {
    use rustix::fs::{CWD, FileType, Mode as Bits, mknodat};
    let mut world = World::new();
    // To open a pipe without a writer for reading would wait for ever.
    mknodat(CWD, world.at("/pipe"), FileType::Fifo, Bits::RWXU, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(world.at("/socket")).unwrap();
    for path in ["/pipe", "/socket"] {
        for (name, desired) in [
            ("file.content", json!({"path": path, "content": "x"})),
            ("file.line", json!({"path": path, "line": "x"})),
            ("file.block", json!({"path": path, "block": "x"})),
            ("file.directory", json!({"path": path})),
            ("file.link", json!({"path": path, "target": "x"})),
        ] {
            assert_eq!(refused(&mut world, name, &desired).code, ErrorCode::Conflict);
            let state = world.read(name, &desired, true).unwrap().state.unwrap();
            assert_eq!(state["kind"], json!(path.trim_start_matches('/')));
        }
    }
}

#[test]
fn a_missing_directory_is_refused_unless_an_earlier_step_makes_it() {
    let mut world = World::new();
    let desired = json!({"path": "/no/such/file", "content": "x"});
    for (name, desired) in [
        ("file.content", desired.clone()),
        ("file.line", json!({"path": "/no/such/file", "line": "x", "create": true})),
        ("file.directory", json!({"path": "/no/such/directory"})),
        ("file.link", json!({"path": "/no/such/link", "target": "x"})),
    ] {
        let error = refused(&mut world, name, &desired);
        assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Conflict, Some("/path")));
        assert!(error.message.contains("`/no/such`") && error.hint.unwrap().contains("file.directory"));
    }
    assert!(world.plan("file.absent", &json!({"path": "/no/such/file"})).unwrap().is_none());

    let above = |path: &str, mode: &str| json!({"path": path, "kind": "directory", "mode": mode});
    let mut below = |directories| world.plan_below("file.content", &desired, None, directories);
    let only_the_first = below(Some(vec![above("/no", "0755")]));
    assert_eq!(only_the_first.unwrap_err().code, ErrorCode::Conflict);
    let both = below(Some(vec![above("/no/such", "0755"), above("/no", "0755")])).unwrap().unwrap();
    assert_eq!(both.prediction, "exact");
    assert_eq!(both.planned.unwrap()["content"]["text"], "x");
    let closed = below(Some(vec![above("/no/such", "0700")])).unwrap().unwrap();
    assert!(closed.planned.unwrap()["content"].get("text").is_none(), "nobody else will read it");

    // After a command, nobody knows: it is said, and found out when it is applied.
    let unknown = below(None).unwrap().unwrap();
    assert_eq!(unknown.prediction, "conditional");
    let op = world.operation("file.content", &desired, &unknown);
    let error = world.apply(&op).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Failed, Mutated::No));
    fs::create_dir_all(world.at("/no/such")).unwrap();
    let applied = world.apply(&op).unwrap();
    world.holds("file.content", &desired, &op, &applied);
}

#[test]
fn a_plan_session_changes_nothing() {
    let mut world = World::in_mode(Mode::Plan);
    let desired = json!({"path": "/a", "content": "x"});
    let planned = world.changed("file.content", &desired);
    let op = world.operation("file.content", &desired, &planned);
    assert_eq!(world.apply(&op).unwrap_err().code, ErrorCode::Mode);
    assert!(!world.at("/a").exists());
}

#[test]
fn properties_are_checked_without_looking() {
    let mut world = World::new();
    world.validate("file.content", &json!({"path": "/no/such", "content": ""})).unwrap();
    let error = world.validate("file.content", &json!({"path": "/a"})).unwrap_err();
    assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Schema, Some("/content")));
}
