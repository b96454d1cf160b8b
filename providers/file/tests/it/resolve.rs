//! Which links on the way to a path are followed.

use crate::world::{World, is_superuser};
use rectify_sdk::protocol::ErrorCode;
use serde_json::json;
use std::{
    fs,
    os::unix::fs::{lchown, symlink},
};

#[test]
fn links_that_only_the_owner_of_the_root_could_make_are_followed_beneath_the_root() {
    let mut world = World::new();
    fs::create_dir_all(world.at("/usr/lib/x")).unwrap();
    symlink("usr/lib", world.at("/lib")).unwrap();
    symlink("/usr/lib", world.at("/abs")).unwrap();
    symlink("../../../../usr/./lib//x", world.at("/usr/up")).unwrap();
    world.converge("file.content", &json!({"path": "/lib/x/1", "content": "1"}));
    world.converge("file.content", &json!({"path": "/abs/x/2", "content": "2"}));
    world.converge("file.content", &json!({"path": "/usr/up/3", "content": "3"}));
    for name in ["1", "2", "3"] {
        assert_eq!(world.bytes(&format!("/usr/lib/x/{name}")), name.as_bytes());
    }
}

#[test]
fn a_link_that_leads_out_of_the_root_leads_to_its_inside() {
    let mut world = World::new();
    let outside = world.outside();
    symlink(&outside, world.at("/out")).unwrap();
    symlink("../outside", world.at("/up")).unwrap();
    for path in ["/out/x", "/up/x"] {
        let desired = json!({"path": path, "content": "x"});
        let planned = world.plan_below("file.content", &desired, None, None).unwrap().unwrap();
        let op = world.operation("file.content", &desired, &planned);
        assert_eq!(world.apply(&op).unwrap_err().code, ErrorCode::Failed);
    }
    assert_eq!(fs::read_dir(outside).unwrap().count(), 0);
    fs::create_dir(world.at("/outside")).unwrap();
    world.converge("file.content", &json!({"path": "/up/x", "content": "x"}));
    assert_eq!(world.bytes("/outside/x"), b"x");
}

#[test]
fn links_that_others_could_have_made_are_refused() {
    let mut world = World::new();
    fs::create_dir(world.at("/real")).unwrap();
    fs::create_dir(world.at("/shared")).unwrap();
    symlink("../real", world.at("/shared/l")).unwrap();
    let desired = json!({"path": "/shared/l/x", "content": "x"});
    for mode in [0o777, 0o1777, 0o775, 0o757] {
        world.chmod("/shared", mode);
        assert_eq!(world.plan("file.content", &desired).unwrap_err().code, ErrorCode::Conflict);
    }
    world.chmod("/shared", 0o755);
    assert!(world.plan("file.content", &desired).unwrap().is_some());
    if is_superuser() {
        lchown(world.at("/shared/l"), Some(7001), None).unwrap();
        assert_eq!(world.plan("file.content", &desired).unwrap_err().code, ErrorCode::Conflict);
        lchown(world.at("/shared/l"), Some(0), None).unwrap();
        lchown(world.at("/shared"), Some(7001), None).unwrap();
        assert_eq!(world.plan("file.content", &desired).unwrap_err().code, ErrorCode::Conflict);
        // The same path without a link is fine: nobody is followed.
        assert!(world.plan("file.content", &json!({"path": "/shared/x", "content": "x"})).unwrap().is_some());
    }
}

#[test]
fn loops_end() {
    let mut world = World::new();
    symlink("b", world.at("/a")).unwrap();
    symlink("a", world.at("/b")).unwrap();
    let error = world.plan("file.content", &json!({"path": "/a/x", "content": "x"})).unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict);
}

#[test]
fn a_later_request_does_not_plan_on_what_an_earlier_one_opened() {
    let mut world = World::new();
    fs::create_dir(world.at("/d")).unwrap();
    let desired = json!({"path": "/d/x", "content": "x"});
    world.converge("file.content", &desired);
    fs::rename(world.at("/d"), world.at("/old")).unwrap();
    fs::create_dir(world.at("/d")).unwrap();
    assert!(world.changed("file.content", &desired).prior.is_none());
}

/// Two names of one thing must be known to be one.
#[test]
fn an_answer_says_where_a_path_truly_leads() {
    let mut world = World::new();
    fs::create_dir_all(world.at("/run/app")).unwrap();
    fs::create_dir_all(world.at("/var")).unwrap();
    symlink("../run", world.at("/var/run")).unwrap();
    world.chmod("/var", 0o755);
    world.chmod("/", 0o755);
    let mut leads = |path: &str| {
        let above = json!({"path": "/var/run/new", "kind": "directory"});
        let desired = json!({"path": path, "content": "x"});
        world.plan_below("file.content", &desired, None, Some(vec![above])).unwrap().unwrap().resolved
    };
    assert_eq!(leads("/run/app/x"), [] as [&str; 0]);
    assert_eq!(leads("/var/run/app/x"), ["path:/run/app/x"]);
    assert_eq!(leads("/var/run/x"), ["path:/run/x"]);
    assert_eq!(leads("/var/run/new/x"), ["path:/run/new/x"]);
    assert_eq!(leads("/x"), [] as [&str; 0]);
}
