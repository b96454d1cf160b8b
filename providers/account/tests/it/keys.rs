use crate::World;
use rectify_sdk::protocol::{ErrorCode, Mutated, message::Predicted};
use serde_json::json;
use std::{fs, os::unix::fs::symlink};

const TYPE: &str = "ssh.authorized_keys";
const FILE: &str = "home/me/.ssh/authorized_keys";
const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl one";
const TWO: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f two";

fn content(world: &World) -> String {
    fs::read_to_string(world.at(FILE)).unwrap()
}

#[test]
fn keys_are_put_where_there_was_nothing_and_taken_back() {
    let mut world = World::new();
    let desired = json!({"user": "me", "keys": [ONE, TWO]});
    let planned = world.exercise.there_and_back(TYPE, &desired).unwrap();
    assert_eq!((planned.undo.as_str(), planned.prediction.as_str()), ("exact", "exact"));
    let shown = planned.planned.unwrap();
    assert_eq!(shown["keys"][0], "ssh-ed25519 SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU");
    assert!(!world.at("home/me/.ssh").exists());
    world.exercise.converge(TYPE, &desired).unwrap();
    assert_eq!(content(&world), format!("{ONE}\n{TWO}\n"));
    assert_eq!((world.mode("home/me/.ssh"), world.mode(FILE)), (0o700, 0o600));
    assert_eq!(fs::read_dir(world.at("home/me/.ssh")).unwrap().count(), 1);
}

#[test]
fn what_stands_there_comes_back_to_the_byte() {
    let mut world = World::new();
    fs::create_dir(world.at("home/me/.ssh")).unwrap();
    let before = format!("# mine\n\nno-pty {ONE}\n\x01 no key");
    for (desired, after) in [
        (json!({"user": "me", "keys": [TWO]}), format!("{TWO}\n")),
        (json!({"user": "me", "keys": []}), String::new()),
        (
            json!({"user": "me", "keys": [TWO, ONE], "keep_others": true}),
            format!("# mine\n\n{ONE}\n\x01 no key\n{TWO}\n"),
        ),
        (json!({"user": "me", "keys": [ONE], "state": "absent"}), "# mine\n\n\x01 no key\n".to_owned()),
    ] {
        for (directory, file) in [(0o700, 0o600), (0o755, 0o644)] {
            fs::write(world.at(FILE), &before).unwrap();
            world.chmod("home/me/.ssh", directory);
            world.chmod(FILE, file);
            let planned = world.exercise.there_and_back(TYPE, &desired).unwrap();
            assert_eq!(planned.undo, "exact", "{desired}");
            assert_eq!(content(&world), before, "{desired}");
            assert_eq!((world.mode("home/me/.ssh"), world.mode(FILE)), (directory, file), "{desired}");
            world.exercise.converge(TYPE, &desired).unwrap();
            assert_eq!(content(&world), after, "{desired}");
            assert_eq!((world.mode("home/me/.ssh"), world.mode(FILE)), (0o700, 0o600), "{desired}");
        }
    }
}

#[test]
fn modes_that_let_others_in_are_drift() {
    let mut world = World::new();
    let desired = json!({"user": "me", "keys": [ONE]});
    world.exercise.converge(TYPE, &desired).unwrap();
    assert_eq!(world.exercise.plan(TYPE, &desired).unwrap().unwrap(), None);
    for (path, mode) in [(FILE, 0o664), ("home/me/.ssh", 0o777)] {
        world.chmod(path, mode);
        let planned = world.exercise.there_and_back(TYPE, &desired).unwrap();
        let access = &planned.prior.unwrap()["access"];
        assert!(access["file"]["mode"] == "0664" || access["directory"]["mode"] == "0777", "{access}");
        assert_eq!(world.mode(path), mode);
        world.exercise.converge(TYPE, &desired).unwrap();
    }
}

#[test]
fn nothing_in_a_home_directory_is_followed() {
    let outside = tempfile::tempdir().unwrap();
    let theirs = outside.path().join("authorized_keys");
    fs::write(&theirs, "theirs").unwrap();
    let desired = json!({"user": "me", "keys": [ONE]});
    let mut world = World::new();
    symlink(outside.path(), world.at("home/me/.ssh")).unwrap();
    assert_eq!(world.refused(TYPE, &desired).code, ErrorCode::Conflict);
    fs::remove_file(world.at("home/me/.ssh")).unwrap();
    fs::create_dir(world.at("home/me/.ssh")).unwrap();
    symlink(&theirs, world.at(FILE)).unwrap();
    assert_eq!(world.refused(TYPE, &desired).code, ErrorCode::Conflict);
    // Another name of a file outside is parted from it, never written through.
    fs::remove_file(world.at(FILE)).unwrap();
    let secret = world.at("home/secret");
    fs::write(&secret, "secret\n").unwrap();
    fs::hard_link(&secret, world.at(FILE)).unwrap();
    world.exercise.converge(TYPE, &desired).unwrap();
    assert_eq!(
        (fs::read_to_string(&secret).unwrap(), content(&world)),
        ("secret\n".into(), format!("{ONE}\n"))
    );
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
}

#[test]
fn a_link_that_appears_before_the_change_is_not_followed_either() {
    let outside = tempfile::tempdir().unwrap();
    let mut world = World::new();
    let desired = json!({"user": "me", "keys": [ONE]});
    let planned = world.exercise.plan(TYPE, &desired).unwrap().unwrap().unwrap();
    let op = world.exercise.operation(TYPE, &desired, &planned).unwrap();
    symlink(outside.path(), world.at("home/me/.ssh")).unwrap();
    let error = world.exercise.apply(&op).unwrap().unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Conflict, Mutated::No));
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn somebody_elses_key_is_not_lost() {
    let mut world = World::new();
    let desired = json!({"user": "me", "keys": [ONE], "keep_others": true});
    let planned = world.exercise.plan(TYPE, &desired).unwrap().unwrap().unwrap();
    let op = world.exercise.operation(TYPE, &desired, &planned).unwrap();
    fs::create_dir(world.at("home/me/.ssh")).unwrap();
    fs::write(world.at(FILE), format!("{TWO}\n")).unwrap();
    assert_eq!(world.exercise.apply(&op).unwrap().unwrap_err().code, ErrorCode::Stale);
    assert_eq!(content(&world), format!("{TWO}\n"));
}

#[test]
fn a_user_who_comes_by_an_earlier_step_may_be_named() {
    let mut world = World::new();
    let desired = json!({"user": "later", "keys": [ONE]});
    let planned = world.exercise.plan(TYPE, &desired).unwrap().unwrap().unwrap();
    assert_eq!((planned.prediction.as_str(), planned.prior.clone()), ("conditional", None));
    let op = world.exercise.operation(TYPE, &desired, &planned).unwrap();
    let error = world.exercise.apply(&op).unwrap().unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Failed, Mutated::No));
    // The step has come true: what was planned is what is made.
    let passwd = format!("later:x:{}:{}::/home/later:/bin/sh\n", world.uid, world.gid);
    fs::write(world.at("etc/passwd"), passwd).unwrap();
    fs::create_dir(world.at("home/later")).unwrap();
    world.exercise.carry_out(TYPE, &desired, &planned).unwrap();
    let homeless = json!({"user": "lost", "keys": [ONE]});
    fs::write(world.at("etc/passwd"), "lost:x:4711:4711::/home/lost:/bin/sh\n").unwrap();
    assert_eq!(world.refused(TYPE, &homeless).code, ErrorCode::Failed);
}

#[test]
fn what_is_lost_of_the_directory_is_said() {
    let mut world = World::new();
    let desired = json!({"user": "me", "keys": [ONE]});
    fs::create_dir(world.at("home/me/.ssh")).unwrap();
    for (mode, note) in [(0o755, "owner and mode"), (0o700, "empty directory")] {
        world.chmod("home/me/.ssh", mode);
        let planned = world.exercise.plan(TYPE, &desired).unwrap().unwrap().unwrap();
        assert_eq!(planned.undo, "lossy");
        assert!(planned.undo_note.unwrap().contains(note));
    }
    fs::write(world.at("home/me/.ssh/known_hosts"), "").unwrap();
    let planned = world.exercise.there_and_back(TYPE, &desired).unwrap();
    assert_eq!(planned.undo, "exact");
    assert!(world.at("home/me/.ssh/known_hosts").exists());
}

#[test]
fn adding_to_what_is_not_at_hand_is_refused() {
    let mut world = World::new();
    let desired = json!({"user": "me", "keys": [ONE], "keep_others": true});
    let planned = world.exercise.plan(TYPE, &json!({"user": "me", "keys": [TWO]})).unwrap().unwrap().unwrap();
    let prior = Predicted { state: planned.planned };
    let error = world.exercise.plan_on(TYPE, &desired, Some(prior)).unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported);
}

#[test]
fn the_directory_goes_with_its_last_file_and_what_a_killed_provider_left_of_it_is_cleared() {
    let mut world = World::new();
    let desired = json!({"user": "me", "keys": [ONE]});
    let planned = world.exercise.converge(TYPE, &desired).unwrap();
    // As where a provider was killed between the rename and what comes then.
    let aside = world.at("home/me/.rectify-gone-ssh");
    fs::rename(world.at("home/me/.ssh"), &aside).unwrap();
    let state = world.exercise.read(TYPE, &desired, false).unwrap().unwrap().state;
    assert!(state.is_none() && !aside.exists());
    world.exercise.converge(TYPE, &desired).unwrap();
    // Somebody else's file keeps the directory.
    fs::write(world.at("home/me/.ssh/known_hosts"), "").unwrap();
    world.exercise.undo(TYPE, &desired, &planned).unwrap();
    let names: Vec<_> = fs::read_dir(world.at("home/me")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, [".ssh"]);
    assert!(!world.at(FILE).exists() && world.at("home/me/.ssh/known_hosts").exists());
}
