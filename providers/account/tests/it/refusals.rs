use crate::World;
use rectify_sdk::{Provider as _, protocol::ErrorCode};
use serde_json::json;

#[test]
fn what_is_wrong_is_said_at_its_place() {
    let mut world = World::new();
    let named = |name: &str| json!({"$secret": [{"name": name}]});
    for (name, desired, place) in [
        ("user.account", json!({"name": "-x"}), "/name"),
        ("user.account", json!({"name": "Deploy"}), "/name"),
        ("user.account", json!({"name": "a", "comment": "x:0:0"}), "/comment"),
        ("user.account", json!({"name": "a", "comment": "x\nroot2::0:0"}), "/comment"),
        ("user.account", json!({"name": "a", "home": "home"}), "/home"),
        ("user.account", json!({"name": "a", "home": "/home/../etc"}), "/home"),
        ("user.account", json!({"name": "a", "shell": "/bin/sh:x"}), "/shell"),
        ("user.account", json!({"name": "a", "group": "a,b"}), "/group"),
        ("user.account", json!({"name": "a", "groups": ["ok", "a b"]}), "/groups"),
        ("user.account", json!({"name": "a", "password": "$6$saltsalt$0123456789abcdef"}), "/password"),
        ("user.account", json!({"name": "a", "password": named("hash"), "state": "absent"}), "/password"),
        ("user.account", json!({"name": "a", "locked": true, "state": "absent"}), "/locked"),
        ("user.account", json!({"name": "a", "$restore": {"state": {"name": "b"}}}), ""),
        ("group.entry", json!({"name": "a:b"}), "/name"),
        ("group.entry", json!({"name": "a", "members": ["x,y"]}), "/members"),
        ("group.entry", json!({"name": "a", "members": [], "state": "absent"}), "/members"),
        ("group.entry", json!({"name": "a", "$restore": {"state": {"name": "b", "gid": 1}}}), ""),
        ("ssh.authorized_keys", json!({"user": "../x"}), "/user"),
        ("ssh.authorized_keys", json!({"user": "me", "keys": ["ssh-ed25519 AAAA"]}), "/keys/0"),
        (
            "ssh.authorized_keys",
            json!({"user": "me", "keep_others": true, "state": "absent"}),
            "/keep_others",
        ),
        ("ssh.authorized_keys", json!({"user": "me", "$restore": {"state": {"user": "me"}}}), ""),
    ] {
        let error = world.exercise.validate(name, &desired).unwrap().unwrap_err();
        assert_eq!(
            (error.code, error.path.as_deref()),
            (ErrorCode::Schema, Some(place)),
            "{desired}: {error}"
        );
    }
    let hash = json!({"name": "a", "password": named("hash")});
    world.exercise.validate("user.account", &hash).unwrap().unwrap();
}

#[test]
fn users_and_groups_of_a_directory_are_seen_and_not_changed() {
    let mut world = World::new();
    for (name, desired) in [
        ("user.account", json!({"name": "me", "shell": "/bin/false"})),
        ("group.entry", json!({"name": "us", "state": "absent"})),
    ] {
        assert!(world.exercise.read(name, &desired, false).unwrap().unwrap().state.is_some());
        assert_eq!(world.refused(name, &desired).code, ErrorCode::Unsupported);
    }
}

#[test]
fn the_manifest_is_sound() {
    let manifest = rectify_provider_account::provider().manifest();
    let names: Vec<&str> = manifest.types.iter().map(|known| known.name.as_str()).collect();
    assert_eq!(names, ["group.entry", "ssh.authorized_keys", "user.account"]);
    manifest.to_bytes().unwrap();
}
