//! Every inverse brings back what was there, and each grade says truly how well.

use crate::world::{Planned, World, is_superuser, print_of};
use rectify_sdk::{
    Provider as _,
    base::Pointer,
    protocol::{
        ErrorCode, Mutated,
        message::{ApplyStatus, Predicted, RESTORE},
    },
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
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

/// What a plan of inverses asks for: the property that names the thing, and its state before.
fn back(desired: &Value, planned: &Planned) -> Value {
    let mut state = planned.prior.clone();
    if let Some(state) = &mut state {
        for volatile in ["/content/text", "/entries/names"] {
            Pointer::from(volatile).remove(state);
        }
    }
    json!({"path": desired["path"], RESTORE: {"state": state}})
}

/// Does a step, undoes it by a step of its own plan, and checks that everything is byte for byte as it
/// was, twice.
fn there_and_planned_back(world: &mut World, name: &str, desired: &Value) -> (Planned, Planned) {
    let before = world.snapshot();
    let planned = world.converge(name, desired);
    let desired = back(desired, &planned);
    world.validate(name, &desired).unwrap();
    let returned = world.converge(name, &desired);
    assert_eq!(
        print_of(name, returned.planned.as_ref()),
        print_of(name, planned.prior.as_ref()),
        "{desired}"
    );
    assert_eq!(world.snapshot(), before, "{desired}");
    (planned, returned)
}

#[test]
fn every_type_is_taken_back_from_every_change() {
    let set = |path: &str, key: &[&str], value: &str| json!({"path": path, "key": key, "value": value});
    let with = |mut desired: Value, more: Value| {
        desired.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        desired
    };
    let fresh = json!({"create": true, "mode": "0600"});
    let cases = [
        ("file.content", json!({"path": "/new", "content": "x"})),
        ("file.content", json!({"path": "/public", "content": "x", "mode": "0604"})),
        ("file.content", json!({"path": "/private", "content": "x"})),
        // What is closed was open before, and the other way round.
        ("file.content", json!({"path": "/public", "content": "x", "mode": "0600"})),
        ("file.content", json!({"path": "/private", "content": "x", "mode": "0644"})),
        ("file.content", json!({"path": "/private", "content_base64": "/29sZAo=", "mode": "0644"})),
        ("file.content", json!({"path": "/empty", "content": "x"})),
        ("file.line", json!({"path": "/public", "match": "^k", "line": "k = 2"})),
        ("file.line", json!({"path": "/public", "match": "^k", "state": "absent"})),
        ("file.line", with(json!({"path": "/new", "line": "x"}), fresh.clone())),
        ("file.block", json!({"path": "/private", "block": "new"})),
        ("file.block", with(json!({"path": "/new", "block": "new"}), fresh.clone())),
        ("file.ini", set("/public", &["s", "k"], "2")),
        ("file.ini", with(set("/new", &["s", "k"], "2"), fresh.clone())),
        ("file.toml", set("/public", &["k"], "2")),
        ("file.toml", with(set("/new", &["k"], "2"), fresh.clone())),
        ("file.json", set("/json", &["k"], "2")),
        ("file.json", with(set("/new", &["k"], "2"), fresh.clone())),
        ("file.yaml", set("/yaml", &["k"], "2")),
        ("file.yaml", with(set("/new", &["k"], "2"), fresh)),
        ("file.directory", json!({"path": "/newdir", "mode": "0700"})),
        ("file.directory", json!({"path": "/d", "mode": "0711"})),
        ("file.link", json!({"path": "/newlink", "target": "x"})),
        ("file.link", json!({"path": "/l", "target": "x"})),
        ("file.absent", json!({"path": "/private"})),
        ("file.absent", json!({"path": "/public"})),
        ("file.absent", json!({"path": "/l"})),
        ("file.absent", json!({"path": "/emptydir"})),
    ];
    let tried: BTreeSet<&str> = cases.iter().map(|(name, _)| *name).collect();
    let manifest = rectify_provider_file::provider().manifest();
    let all: BTreeSet<&str> = manifest.types.iter().map(|known| known.name.as_str()).collect();
    assert_eq!(tried, all, "a type is not tried");
    // With a key, what others may not read is named by it; without, by its digest.
    for mut world in [World::new(), World::keyed()] {
        world.write("/public", "# a file\nk = 1\n", 0o644);
        world.write("/private", "old secret\n", 0o640);
        world.write("/empty", "", 0o4711);
        world.write("/json", "{\"k\": \"1\"}\n", 0o600);
        world.write("/yaml", "k: \"1\"\n", 0o644);
        fs::create_dir(world.at("/d")).unwrap();
        fs::create_dir(world.at("/emptydir")).unwrap();
        world.write("/d/kept", "kept", 0o600);
        symlink("f", world.at("/l")).unwrap();
        if is_superuser() {
            for (path, uid, gid) in [("/private", 7001, 4711), ("/l", 7001, 7002), ("/emptydir", 7001, 4711)]
            {
                lchown(world.at(path), Some(uid), Some(gid)).unwrap();
            }
            world.chmod("/private", 0o640);
        }
        for (name, desired) in &cases {
            let planned = there_and_back(&mut world, name, desired);
            assert_eq!((planned.undo.as_str(), planned.undo_note), ("exact", None), "{desired}");
            let (planned, returned) = there_and_planned_back(&mut world, name, desired);
            assert_eq!(planned.undo, "exact", "{desired}");
            // Taking back can be taken back in turn, unless what was there is gone for good.
            assert_eq!(returned.undo, "exact", "{desired}");
        }
    }
}

#[test]
fn a_chain_is_taken_back_on_what_is_predicted() {
    let mut world = World::new();
    world.write("/f", "a\nb\n", 0o644);
    let before = world.snapshot();
    let first = json!({"path": "/f", "match": "^a", "line": "A"});
    let second = json!({"path": "/f", "content": "all new"});
    let one = world.converge("file.line", &first);
    let two = world.converge("file.content", &second);
    // The later one comes back first; the earlier one is planned on what that leaves behind.
    let step = world.changed("file.content", &back(&second, &two));
    let prior = Predicted { state: step.planned.clone() };
    let last = world.plan_on("file.line", &back(&first, &one), Some(prior)).unwrap().unwrap();
    assert_eq!(print_of("file.line", last.planned.as_ref()), print_of("file.line", one.prior.as_ref()));
    let ops = [
        world.operation("file.content", &back(&second, &two), &step),
        world.operation("file.line", &back(&first, &one), &last),
    ];
    for op in &ops {
        assert_eq!(world.apply(op).unwrap().status, ApplyStatus::Applied);
    }
    assert_eq!(world.snapshot(), before);
}

#[test]
fn attributes_survive_the_way_there_and_back() {
    let mut world = World::new();
    world.write("/a", "x", 0o2755);
    let file = fs::File::open(world.at("/a")).unwrap();
    rustix::fs::fsetxattr(&file, "user.note", b"kept", rustix::fs::XattrFlags::empty()).unwrap();
    for desired in
        [json!({"path": "/a", "content": "y"}), json!({"path": "/a", "content": "y", "mode": "0600"})]
    {
        there_and_planned_back(&mut world, "file.content", &desired);
        let mut value = [0; 8];
        assert_eq!(rustix::fs::getxattr(world.at("/a"), "user.note", &mut value).unwrap(), 4);
        assert_eq!((&value[..4], world.mode_of("/a")), (&b"kept"[..], 0o2755));
    }
}

/// Every file in the directory for before-images, changed by a function.
fn blobs(world: &World, change: impl Fn(&std::path::Path)) {
    for blob in fs::read_dir(world.dir.path().join("blobs")).unwrap() {
        change(&blob.unwrap().path());
    }
}

#[test]
fn a_before_image_that_is_gone_or_damaged_is_said_and_nothing_is_written() {
    for mode in [0o644, 0o600] {
        let mut world = World::keyed();
        world.write("/f", "old", mode);
        let desired = json!({"path": "/f", "content": "new"});
        let planned = world.converge("file.content", &desired);
        let step = world.changed("file.content", &back(&desired, &planned));
        let op = world.operation("file.content", &back(&desired, &planned), &step);
        blobs(&world, |path| fs::write(path, "other").unwrap());
        let error = world.apply(&op).unwrap_err();
        assert_eq!((error.code, error.mutated), (ErrorCode::Failed, Mutated::No));
        assert!(error.message.contains("damaged"), "{error}");
        blobs(&world, |path| fs::remove_file(path).unwrap());
        let error = world.apply(&op).unwrap_err();
        assert_eq!((error.code, error.mutated), (ErrorCode::Dependency, Mutated::No));
        assert!(error.message.contains("is not kept here"), "{error}");
        assert!(error.hint.unwrap().contains("retention"));
        assert_eq!(world.bytes("/f"), b"new");
        world.nothing_left_behind();
    }
}

#[test]
fn what_cannot_come_back_is_refused_while_planning() {
    let mut world = World::new();
    world.write("/f", "x", 0o644);
    fs::create_dir(world.at("/d")).unwrap();
    world.write("/d/x", "x", 0o644);
    let mut state =
        |name: &str, path: &str| world.read(name, &json!({"path": path}), false).unwrap().state.unwrap();
    let (file, mut directory) = (state("file.content", "/f"), state("file.absent", "/d"));
    let full = json!({"path": "/gone", RESTORE: {"state": {
        "path": "/gone", "kind": "directory", "mode": "0755", "owner": "me", "group": "us",
        "entries": directory["entries"]}}});
    assert_eq!(world.plan("file.absent", &full).unwrap_err().code, ErrorCode::Unsupported);
    directory["path"] = "/f".into();
    for (name, desired, code) in [
        ("file.absent", json!({"path": "/f", RESTORE: {"state": directory}}), ErrorCode::Conflict),
        ("file.content", json!({"path": "/d", RESTORE: {"state": file}}), ErrorCode::Schema),
        ("file.content", json!({"path": "/f", RESTORE: {"state": {"path": "/f"}}}), ErrorCode::Schema),
        ("file.content", json!({"path": "/f", RESTORE: 1}), ErrorCode::Schema),
        ("file.content", json!({RESTORE: {}}), ErrorCode::Schema),
    ] {
        assert_eq!(world.plan(name, &desired).unwrap_err().code, code, "{desired}");
        if code == ErrorCode::Schema {
            assert_eq!(world.validate(name, &desired).unwrap_err().code, code, "{desired}");
        }
    }
    // Somebody else's change is what the plan starts from; an engine compares it with what it left.
    let planned = world.changed("file.content", &json!({"path": "/f", RESTORE: {}}));
    assert_eq!((planned.planned, planned.undo.as_str()), (None, "exact"));
}
