//! With a key, a content that others may not read is named by its keyed digest and nothing else.

use crate::{
    secrets::answers,
    world::{KEY, Planned, World, print_of},
};
use rectify_sdk::{
    base::{Digest, DigestKey},
    protocol::{ErrorCode, message::Predicted},
};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt};

const SECRET: &str = "hunter2\n";

fn keyed(bytes: &[u8]) -> Value {
    json!({"keyed": DigestKey::from_bytes(KEY).digest(bytes).hex()})
}

/// Neither the digest nor the size of a secret may help to find it.
#[test]
fn no_answer_helps_to_find_a_secret() {
    let edited = format!("{SECRET}b\n");
    let cases = [
        (0o600, "file.line", json!({"path": "/s", "line": "b"}), 2),
        (0o640, "file.block", json!({"path": "/s", "block": "b"}), 2),
        (0o600, "file.content", json!({"path": "/s", "content": edited}), 2),
        (0o600, "file.content", json!({"path": "/s", "content": SECRET, "mode": "0640"}), 2),
        (0o644, "file.content", json!({"path": "/s", "content": edited, "mode": "0600"}), 1),
        (0o600, "file.absent", json!({"path": "/s"}), 1),
    ];
    for (mode, name, desired, least) in cases {
        let mut world = World::keyed();
        let public = mode & 0o004 != 0;
        world.write("/s", if public { "public" } else { SECRET }, mode);
        let all = answers(&mut world, name, &desired);
        for content in [SECRET, &edited] {
            assert!(!all.contains(&Digest::of_bytes(content.as_bytes()).hex()), "{name}: {all}");
        }
        assert!(public || !all.contains("\"size\""), "{name}: {all}");
        assert!(all.matches("\"keyed\"").count() >= least, "{name}: {all}");
    }
}

#[test]
fn what_is_planned_under_a_key_is_what_is_found_after_it() {
    let mut world = World::keyed();
    world.write("/s", SECRET, 0o600);
    let planned = world.converge("file.line", &json!({"path": "/s", "line": "b"}));
    assert_eq!(planned.prior.unwrap()["content"], keyed(SECRET.as_bytes()));
    assert_eq!(planned.planned.unwrap()["content"], keyed(b"hunter2\nb\n"));
    world.converge("file.content", &json!({"path": "/s", "content": "new", "mode": "0640"}));
    world.converge("file.content", &json!({"path": "/s", "content": "new", "mode": "0600"}));
    let opened = world.converge("file.content", &json!({"path": "/s", "content": "new", "mode": "0644"}));
    assert!(opened.planned.unwrap()["content"]["blake3"].is_string(), "now everybody may read it");
    world.converge("file.content", &json!({"path": "/s", "content": "closed", "mode": "0600"}));
    world.converge("file.content", &json!({"path": "/t", "content": "made", "mode": "0600"}));
    world.converge("file.absent", &json!({"path": "/t"}));
}

#[test]
fn another_key_has_other_fingerprints_and_no_key_the_plain_digest() {
    let desired = json!({"path": "/s", "content": "x"});
    let mut prints = Vec::new();
    for mut world in [World::keyed(), World::new()] {
        world.write("/s", SECRET, 0o600);
        prints.push(print_of("file.content", world.changed("file.content", &desired).prior.as_ref()));
    }
    assert_ne!(prints[0], prints[1]);
}

#[test]
fn a_secret_is_brought_back_from_a_blob_that_only_the_key_names() {
    let mut world = World::keyed();
    for (name, desired) in [
        ("file.content", json!({"path": "/s", "content": "x"})),
        ("file.content", json!({"path": "/s", "content": SECRET, "mode": "0640"})),
        ("file.content", json!({"path": "/s", "content": SECRET, "mode": "0644"})),
        ("file.absent", json!({"path": "/s"})),
    ] {
        world.write("/s", SECRET, 0o600);
        let planned = world.converge(name, &desired);
        assert_eq!(planned.undo, "exact");
        let inverse = world.inverse(name, &desired, &planned);
        world.apply(&inverse).unwrap();
        assert_eq!((world.bytes("/s"), world.mode_of("/s")), (SECRET.as_bytes().to_vec(), 0o600), "{name}");
        let now = world.read(name, &desired, true).unwrap();
        assert_eq!(print_of(name, now.state.as_ref()), inverse.result.unwrap());
        assert_eq!(now.before_image.unwrap(), DigestKey::from_bytes(KEY).digest(SECRET.as_bytes()));
    }
    let blobs = world.dir.path().join("blobs");
    assert!(!blobs.join(Digest::of_bytes(SECRET.as_bytes()).hex()).exists());
    for blob in fs::read_dir(blobs).unwrap() {
        assert_eq!(blob.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_public_content_is_named_as_it_is_without_a_key() {
    let desired = json!({"path": "/a", "content": "one\n"});
    let plans: Vec<Planned> = [World::keyed(), World::new()]
        .into_iter()
        .map(|mut world| {
            world.write("/a", "two\n", 0o644);
            world.converge("file.content", &desired)
        })
        .collect();
    assert_eq!((&plans[0].prior, &plans[0].planned), (&plans[1].prior, &plans[1].planned));
}

#[test]
fn a_second_step_stands_on_a_keyed_prediction() {
    let mut world = World::keyed();
    let first = world.changed("file.content", &json!({"path": "/s", "content": SECRET, "mode": "0600"}));
    let on = |world: &mut World, name: &str, desired: Value| {
        world.plan_on(name, &desired, Some(Predicted { state: first.planned.clone() }))
    };
    let same = on(&mut world, "file.content", json!({"path": "/s", "content": SECRET}));
    assert!(same.unwrap().is_none(), "it will have that content already");
    let other = on(&mut world, "file.content", json!({"path": "/s", "content": "x"})).unwrap().unwrap();
    assert_eq!(other.prior, first.planned);
    let edit = on(&mut world, "file.line", json!({"path": "/s", "line": "b"})).unwrap_err();
    assert_eq!(edit.code, ErrorCode::Unsupported);
    // The file has that content already, so its bytes serve.
    world.write("/s", SECRET, 0o600);
    let edit = on(&mut world, "file.line", json!({"path": "/s", "line": "b"})).unwrap().unwrap();
    assert_eq!(edit.planned.unwrap()["content"], keyed(b"hunter2\nb\n"));
}

#[test]
fn a_state_that_names_a_content_in_two_ways_or_none_is_refused() {
    let mut world = World::keyed();
    let first = world.changed("file.content", &json!({"path": "/s", "content": SECRET, "mode": "0600"}));
    for content in
        [json!({}), json!({"keyed": "abc"}), json!({"keyed": "00".repeat(32), "size": 3}), json!({"size": 3})]
    {
        let mut state = first.planned.clone().unwrap();
        state["content"] = content;
        let desired = json!({"path": "/s", "content": "x"});
        let error = world.plan_on("file.content", &desired, Some(Predicted { state: Some(state) }));
        assert_eq!(error.unwrap_err().code, ErrorCode::Schema);
    }
}
