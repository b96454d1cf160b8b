use crate::World;
use rectify_sdk::protocol::ErrorCode;
use serde_json::json;
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

const TYPE: &str = "service.unit_file";
const DROP_IN: &str = "/etc/systemd/system/app.service.d/10-limits.conf";
const FILE: &str = "/etc/systemd/system/app.service";

#[test]
fn a_drop_in_comes_with_its_directory_and_goes_with_it() {
    let mut world = World::new();
    let desired = json!({"path": DROP_IN, "content": "[Service]\nLimitNOFILE=1024\n"});
    let planned = world.exercise.there_and_back(TYPE, &desired).unwrap();
    assert_eq!((planned.undo.as_str(), planned.prediction.as_str()), ("exact", "exact"));
    assert!(!world.at("/etc/systemd/system/app.service.d").exists());
    world.exercise.converge(TYPE, &desired).unwrap();
    assert_eq!(fs::read_to_string(world.at(DROP_IN)).unwrap(), "[Service]\nLimitNOFILE=1024\n");
    assert_eq!(fs::metadata(world.at(DROP_IN)).unwrap().permissions().mode() & 0o7777, 0o644);
    let directory = fs::metadata(world.at("/etc/systemd/system/app.service.d")).unwrap();
    assert_eq!(directory.permissions().mode() & 0o7777, 0o755);
}

#[test]
fn every_change_of_a_file_is_taken_back_to_the_byte() {
    let mut world = World::new();
    fs::write(world.at(FILE), "[Service]\nExecStart=/bin/true").unwrap();
    fs::set_permissions(world.at(FILE), PermissionsExt::from_mode(0o604)).unwrap();
    for desired in [
        json!({"path": FILE, "content": "[Service]\nExecStart=/bin/false\n"}),
        json!({"path": FILE, "content": ""}),
        json!({"path": FILE, "state": "absent"}),
    ] {
        let planned = world.exercise.there_and_back(TYPE, &desired).unwrap();
        assert_eq!(planned.undo, "exact", "{desired}");
        assert_eq!(fs::read_to_string(world.at(FILE)).unwrap(), "[Service]\nExecStart=/bin/true");
        assert_eq!(fs::metadata(world.at(FILE)).unwrap().permissions().mode() & 0o7777, 0o604);
    }
}

#[test]
fn other_drop_ins_keep_their_directory() {
    let mut world = World::new();
    let other = world.at("/etc/systemd/system/app.service.d/20-other.conf");
    fs::create_dir_all(other.parent().unwrap()).unwrap();
    fs::write(&other, "[Unit]\n").unwrap();
    world.exercise.there_and_back(TYPE, &json!({"path": DROP_IN, "content": "[Unit]\n"})).unwrap();
    assert_eq!(fs::read_to_string(other).unwrap(), "[Unit]\n");
}

#[test]
fn what_somebody_changed_meanwhile_stays() {
    let mut world = World::new();
    let desired = json!({"path": FILE, "content": "[Service]\nExecStart=/bin/true\n"});
    let planned = world.exercise.plan(TYPE, &desired).unwrap().unwrap().unwrap();
    let op = world.exercise.operation(TYPE, &desired, &planned).unwrap();
    fs::write(world.at(FILE), "theirs").unwrap();
    assert_eq!(world.exercise.apply(&op).unwrap().unwrap_err().code, ErrorCode::Stale);
    assert_eq!(fs::read_to_string(world.at(FILE)).unwrap(), "theirs");
}

#[test]
fn what_is_no_file_of_the_administrator_is_not_touched() {
    let mut world = World::new();
    let desired = json!({"path": FILE, "content": "[Service]\n"});
    symlink("/dev/null", world.at(FILE)).unwrap();
    let error = world.exercise.plan(TYPE, &desired).unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict);
    fs::remove_file(world.at(FILE)).unwrap();
    fs::write(world.at(FILE), "Environment=PASSWORD=x").unwrap();
    fs::set_permissions(world.at(FILE), PermissionsExt::from_mode(0o600)).unwrap();
    let error = world.exercise.plan(TYPE, &desired).unwrap().unwrap_err();
    assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Unsupported, Some("/path")));
    fs::remove_dir_all(world.at("/etc/systemd")).unwrap();
    let planned = world.exercise.plan(TYPE, &desired).unwrap().unwrap().unwrap();
    let op = world.exercise.operation(TYPE, &desired, &planned).unwrap();
    assert_eq!(world.exercise.apply(&op).unwrap().unwrap_err().code, ErrorCode::Failed);
}
