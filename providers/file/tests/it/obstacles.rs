//! Mount points, in a mount namespace of the provider's own.

use crate::world::{World, is_superuser};
use rectify_sdk::{
    protocol::{ErrorCode, message::Mode},
    testing::Client,
};
use serde_json::{Value, json};
use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

/// A world in which `/file` is mounted on a file, and a directory on `/dir` and on `/tree/sub`; and
/// a file on `/bag/file`. `None` where this machine does not let us mount anything.
fn world() -> Option<World> {
    let unshare = if is_superuser() { "unshare -m" } else { "unshare -rm" };
    let mut probe = Command::new("sh");
    probe.args(["-c", &format!("{unshare} mount -t tmpfs none /mnt")]).stderr(Stdio::null());
    if !probe.status().unwrap().success() {
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root").display().to_string();
    let mounts = ["source/file file", "source dir", "source tree/sub", "source/file bag/file"]
        .map(|pair| {
            let (from, to) = pair.split_once(' ').unwrap();
            format!("mount --bind {root}/{from} {root}/{to}")
        })
        .join(" && ");
    let provider = env!("CARGO_BIN_EXE_rectify-provider-file");
    // The mounts are made when the first request is there: until then there is nothing to mount.
    let script = format!(
        "#!/bin/sh\nwhile ! [ -e {root}/ready ]; do sleep 0.01; done\n\
         exec {unshare} sh -c '{mounts} && exec {provider} serve --stdio'\n"
    );
    let program = dir.path().join("provider");
    // A child writes it, so that no other thread's fork holds it open for writing when it is started.
    let mut writer = Command::new("sh");
    writer.args(["-c", "cat > \"$0\" && chmod 700 \"$0\""]).arg(&program).stdin(Stdio::piped());
    let mut writer = writer.spawn().unwrap();
    writer.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success());
    let at = |path: &str| dir.path().join("root").join(path);
    for path in ["source", "dir", "tree/sub", "bag"] {
        fs::create_dir_all(at(path)).unwrap();
    }
    for path in ["source/file", "file", "bag/file", "ready"] {
        fs::write(at(path), "x").unwrap();
    }
    let client = Client::spawn(&program).unwrap();
    Some(World::with(Mode::Apply, None, client, dir))
}

#[test]
fn what_is_mounted_is_refused_before_anything_is_tried() {
    let Some(mut world) = world() else { return };
    for (name, desired) in [
        ("file.content", json!({"path": "/file", "content": "y"})),
        ("file.line", json!({"path": "/file", "line": "y"})),
        ("file.absent", json!({"path": "/file"})),
        ("file.absent", json!({"path": "/dir", "recursive": true})),
        ("file.absent", json!({"path": "/tree", "recursive": true})),
        ("file.absent", json!({"path": "/bag", "recursive": true})),
    ] {
        let error = world.plan(name, &desired).unwrap_err();
        assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Conflict, Some("/path")), "{desired}");
        assert!(error.message.contains("mount"), "{error}");
    }
}

#[test]
fn what_keeps_its_place_may_be_a_mount_point() {
    let Some(mut world) = world() else { return };
    let mode = |path: &str, mode: &str| -> Value { json!({"path": path, "mode": mode}) };
    let mut file = mode("/file", "0600");
    file["content"] = json!("x");
    for (name, desired) in [("file.content", file), ("file.directory", mode("/dir", "0700"))] {
        let planned = world.changed(name, &desired);
        let op = world.operation(name, &desired, &planned);
        world.apply(&op).unwrap();
        assert!(world.plan(name, &desired).unwrap().is_none(), "{desired}");
    }
}

#[test]
fn what_is_mounted_after_the_plan_is_refused_when_applied() {
    let Some(mut world) = world() else { return };
    let planned = crate::world::Planned {
        prior: world.read("file.absent", &json!({"path": "/file"}), false).unwrap().state,
        planned: None,
        undo: "none".into(),
        ..Default::default()
    };
    let op = world.operation("file.absent", &json!({"path": "/file"}), &planned);
    let error = world.apply(&op).unwrap_err();
    assert!(error.code == ErrorCode::Conflict && error.message.contains("mount"), "{error}");
}

#[test]
fn what_is_immutable_is_refused_before_anything_is_tried() {
    let mut world = World::new();
    world.write("/file", "x", 0o644);
    let mark =
        |how: &str| Command::new("chattr").arg(how).arg(world.at("/file")).stderr(Stdio::null()).status();
    if !mark("+i").is_ok_and(|status| status.success()) {
        return;
    }
    let cases = [
        ("file.content", json!({"path": "/file", "content": "y"})),
        ("file.content", json!({"path": "/file", "content": "x", "mode": "0600"})),
        ("file.absent", json!({"path": "/file"})),
    ];
    let errors: Vec<_> = cases.iter().map(|(name, desired)| world.plan(name, desired)).collect();
    let unchanged = world.plan("file.content", &json!({"path": "/file", "content": "x"}));
    let unmark = Command::new("chattr").arg("-i").arg(world.at("/file")).status().unwrap();
    assert!(unmark.success());
    for error in errors {
        let error = error.unwrap_err();
        assert!(error.code == ErrorCode::Conflict && error.message.contains("immutable"), "{error}");
    }
    assert!(unchanged.unwrap().is_none(), "what is as it should be needs no change");
}
