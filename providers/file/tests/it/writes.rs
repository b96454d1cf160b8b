//! How a change gets into place: nothing lost, nothing left behind, nothing overwritten.

use crate::world::World;
use rectify_sdk::protocol::{ErrorCode, ItemError, Mutated};
use rustix::fs::{XattrFlags, getxattr, setxattr};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
    time::{Duration, Instant},
};

fn apply_fails(world: &mut World, name: &str, desired: &Value) -> ItemError {
    let planned = world.changed(name, desired);
    let op = world.operation(name, desired, &planned);
    let error = world.apply(&op).unwrap_err();
    assert_eq!(error.mutated, Mutated::No);
    world.nothing_left_behind();
    error
}

fn attribute(world: &World, path: &str, name: &str) -> Option<Vec<u8>> {
    let mut value = [0; 256];
    let length = getxattr(world.at(path), name, &mut value).ok()?;
    Some(value[..length].to_vec())
}

/// `user::rw-, user:1234:r--, group::r--, mask::r--, other::r--` as the kernel keeps it.
fn access_list() -> Vec<u8> {
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in [
        (0x01_u16, 6_u16, u32::MAX),
        (0x02, 4, 1234),
        (0x04, 4, u32::MAX),
        (0x10, 4, u32::MAX),
        (0x20, 4, u32::MAX),
    ] {
        list.extend(tag.to_le_bytes());
        list.extend(permissions.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    list
}

#[test]
fn extended_attributes_and_access_lists_are_kept() {
    let mut world = World::new();
    world.write("/a", "x", 0o644);
    setxattr(world.at("/a"), "user.note", b"hello", XattrFlags::empty()).unwrap();
    setxattr(world.at("/a"), "system.posix_acl_access", &access_list(), XattrFlags::empty()).unwrap();
    world.converge("file.content", &json!({"path": "/a", "content": "y"}));
    assert_eq!(attribute(&world, "/a", "user.note").as_deref(), Some(&b"hello"[..]));
    assert_eq!(attribute(&world, "/a", "system.posix_acl_access"), Some(access_list()));
    assert_eq!(world.mode_of("/a"), 0o644);
}

#[test]
fn an_access_list_that_a_directory_hands_down_is_not_added_to_a_file_that_has_none() {
    let mut world = World::new();
    fs::create_dir(world.at("/d")).unwrap();
    world.write("/d/a", "x", 0o644);
    setxattr(world.at("/d"), "system.posix_acl_default", &access_list(), XattrFlags::empty()).unwrap();
    world.converge("file.content", &json!({"path": "/d/a", "content": "y"}));
    assert_eq!(attribute(&world, "/d/a", "system.posix_acl_access"), None);
}

#[test]
fn a_content_that_is_refused_leaves_the_file_untouched() {
    let mut world = World::new();
    world.write("/a", "good\n", 0o644);
    let before = fs::metadata(world.at("/a")).unwrap();
    let judge = json!([
        "/bin/sh",
        "-c",
        "grep -q good \"$1\" || { echo \"no good in $1\" >&2; exit 7; }",
        "sh",
        "%s"
    ]);
    let error = apply_fails(
        &mut world,
        "file.content",
        &json!({"path": "/a", "content": "bad\n", "validate": judge}),
    );
    assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Failed, Some("/validate")));
    assert!(error.message.contains("code 7: no good in ") && error.message.contains("/.rectify-"), "{error}");
    let after = fs::metadata(world.at("/a")).unwrap();
    assert_eq!((before.ino(), before.ctime_nsec()), (after.ino(), after.ctime_nsec()));
    world.converge("file.content", &json!({"path": "/a", "content": "good 2\n", "validate": judge}));
    world.converge("file.line", &json!({"path": "/a", "line": "more", "validate": judge}));
}

#[test]
fn a_judge_knows_no_environment_and_sees_the_permissions_to_be() {
    let mut world = World::new();
    let judge = json!([
        "/bin/sh",
        "-c",
        "[ \"$(env | grep -cv '^\\(PATH\\|LC_ALL\\|PWD\\|SHLVL\\|_\\|RECTIFY_OPERATION\\)=')\" = 0 ] && [ \"$(stat -c %a \"$0\")\" = 640 ]",
        "%s"
    ]);
    world.converge("file.content", &json!({"path": "/a", "content": "x", "mode": "0640", "validate": judge}));
}

#[test]
fn a_judge_that_is_missing_slow_or_meddling_refuses() {
    let mut world = World::new();
    let missing = json!({"path": "/a", "content": "x", "validate": ["/no/such/tool", "%s"]});
    assert_eq!(apply_fails(&mut world, "file.content", &missing).code, ErrorCode::Dependency);
    let meddling = json!({"path": "/a", "content": "x", "validate": ["/bin/sh", "-c", "echo y >> $0", "%s"]});
    assert_eq!(apply_fails(&mut world, "file.content", &meddling).code, ErrorCode::Failed);
    let loosening = json!({"path": "/a", "content": "x", "validate": ["/bin/chmod", "0666", "%s"]});
    assert_eq!(apply_fails(&mut world, "file.content", &loosening).code, ErrorCode::Failed);
    let slow = json!({"path": "/a", "content": "x", "validate": ["/bin/sh", "-c", "sleep 100 & sleep 100; : $0", "%s"]});
    let planned = world.changed("file.content", &slow);
    let mut op = world.operation("file.content", &slow, &planned);
    op.deadline_ms = 300;
    let begin = Instant::now();
    let error = world.apply(&op).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Timeout, Mutated::No));
    assert!(begin.elapsed() < Duration::from_secs(5), "the children of the judge are ended, too");
    assert!(!world.at("/a").exists());
    world.nothing_left_behind();
}

#[test]
fn an_edit_by_somebody_else_between_plan_and_apply_is_left_untouched() {
    let mut world = World::new();
    fs::create_dir(world.at("/d")).unwrap();
    for (name, desired) in [
        ("file.content", json!({"path": "/f", "content": "new"})),
        ("file.line", json!({"path": "/f", "line": "new"})),
        ("file.block", json!({"path": "/f", "block": "new"})),
        ("file.absent", json!({"path": "/f"})),
    ] {
        world.write("/f", "old", 0o644);
        let planned = world.changed(name, &desired);
        let op = world.operation(name, &desired, &planned);
        world.write("/f", "theirs", 0o644);
        let before = world.snapshot();
        let error = world.apply(&op).unwrap_err();
        assert_eq!((error.code, error.mutated), (ErrorCode::Stale, Mutated::No));
        assert_eq!(world.snapshot(), before);
        // The same content with another mode is another state, too.
        world.write("/f", "old", 0o755);
        assert_eq!(world.apply(&op).unwrap_err().code, ErrorCode::Stale);
    }
    let desired = json!({"path": "/d", "mode": "0700"});
    let planned = world.changed("file.directory", &desired);
    let op = world.operation("file.directory", &desired, &planned);
    world.chmod("/d", 0o750);
    assert_eq!(world.apply(&op).unwrap_err().code, ErrorCode::Stale);
    symlink("a", world.at("/l")).unwrap();
    let desired = json!({"path": "/l", "target": "b"});
    let planned = world.changed("file.link", &desired);
    let op = world.operation("file.link", &desired, &planned);
    fs::remove_file(world.at("/l")).unwrap();
    symlink("c", world.at("/l")).unwrap();
    assert_eq!(world.apply(&op).unwrap_err().code, ErrorCode::Stale);
}

#[test]
fn a_change_while_the_judge_thinks_is_noticed() {
    let mut world = World::new();
    world.write("/a", "old", 0o644);
    let path = world.at("/a");
    // Same length, and the time of modification is put back: only the time of change tells.
    let script = format!(
        "touch -r {0} {0}.time; printf hey > {0}; touch -r {0}.time {0}; rm {0}.time; : $0",
        path.display()
    );
    let desired = json!({"path": "/a", "content": "new", "validate": ["/bin/sh", "-c", script, "%s"]});
    assert_eq!(apply_fails(&mut world, "file.content", &desired).code, ErrorCode::Stale);
    assert_eq!(world.bytes("/a"), b"hey");
    let path = world.at("/b");
    let script = format!("printf theirs > {}; : $0", path.display());
    let desired = json!({"path": "/b", "content": "new", "validate": ["/bin/sh", "-c", script, "%s"]});
    assert_eq!(apply_fails(&mut world, "file.content", &desired).code, ErrorCode::Stale);
    assert_eq!(world.bytes("/b"), b"theirs");
}

#[test]
fn a_directory_that_is_swapped_while_the_judge_thinks_is_noticed() {
    let mut world = World::new();
    fs::create_dir(world.at("/d")).unwrap();
    let (there, aside) = (world.at("/d"), world.outside().join("d"));
    let script = format!("mv {0} {1}; mkdir {0}; : $0", there.display(), aside.display());
    let desired = json!({"path": "/d/a", "content": "new", "validate": ["/bin/sh", "-c", script, "%s"]});
    assert_eq!(apply_fails(&mut world, "file.content", &desired).code, ErrorCode::Stale);
    assert_eq!(fs::read_dir(aside).unwrap().count(), 0);
}

#[test]
fn a_tree_that_grew_after_the_plan_is_not_removed() {
    let mut world = World::new();
    fs::create_dir_all(world.at("/d/e")).unwrap();
    let desired = json!({"path": "/d", "recursive": true});
    let planned = world.changed("file.absent", &desired);
    let op = world.operation("file.absent", &desired, &planned);
    world.write("/d/e/new", "x", 0o644);
    assert_eq!(world.apply(&op).unwrap_err().code, ErrorCode::Stale);
    assert_eq!(world.bytes("/d/e/new"), b"x");
    world.nothing_left_behind();
}

#[test]
fn what_would_be_written_must_be_what_was_signed() {
    let mut world = World::new();
    world.write("/a", "old", 0o644);
    let desired = json!({"path": "/a", "content": "new"});
    let planned = world.changed("file.content", &desired);
    let op = world.operation("file.content", &json!({"path": "/a", "content": "other"}), &planned);
    let error = world.apply(&op).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Stale, Mutated::No));
    assert_eq!(world.bytes("/a"), b"old");
}

#[test]
fn a_full_disk_is_reported_and_leaves_nothing() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    // A limit on the length of files stands in for a full disk, in a process of its own.
    if std::env::var_os("RECTIFY_TEST_SHORT_FILES").is_none() {
        // The signal that comes with the limit would end the process; as ignored it is inherited.
        let status = std::process::Command::new("/bin/sh")
            .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "writes::a_full_disk_is_reported_and_leaves_nothing"])
            .env("RECTIFY_TEST_SHORT_FILES", "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let mut world = World::new();
    world.write("/a", "old", 0o644);
    let desired = json!({"path": "/a", "content": "x".repeat(100_000)});
    let planned = world.changed("file.content", &desired);
    let op = world.operation("file.content", &desired, &planned);
    let before = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: Some(50_000), maximum: before.maximum }).unwrap();
    let error = world.apply(&op).unwrap_err();
    setrlimit(Resource::Fsize, before).unwrap();
    assert_eq!((error.code, error.mutated), (ErrorCode::Failed, Mutated::No));
    assert_eq!(world.bytes("/a"), b"old");
    world.nothing_left_behind();
}

#[test]
fn what_a_killed_attempt_left_behind_goes_with_the_next_one() {
    let mut world = World::new();
    world.write("/etc/a", "old", 0o644);
    let desired = json!({"path": "/etc/a", "content": "new"});
    let planned = world.changed("file.content", &desired);
    let op = world.operation("file.content", &desired, &planned);
    let names = ["0", "1"].map(|number| format!("/etc/.rectify-{}-{number}", &op.op_id[..16]));
    fs::write(world.at(&names[0]), "half").unwrap();
    fs::create_dir(world.at(&names[1])).unwrap();
    fs::write(world.at("/etc/.rectify-somebody-else"), "theirs").unwrap();
    world.apply(&op).unwrap();
    assert_eq!(fs::read_to_string(world.at("/etc/a")).unwrap(), "new");
    assert_eq!(names.map(|name| world.at(&name).exists()), [false, false]);
    assert_eq!(fs::read_to_string(world.at("/etc/.rectify-somebody-else")).unwrap(), "theirs");
}
