//! What the manifest promises.

use crate::world::{World, object, type_name};
use rectify_sdk::{
    Provider,
    protocol::message::{DesiredItem, method},
};
use regex::Regex;
use serde_json::{Map, Value, json};

#[test]
fn every_type_is_closed_described_and_promises_what_it_keeps() {
    let manifest = rectify_provider_file::provider().manifest();
    let names: Vec<&str> = manifest.types.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "file.absent",
            "file.block",
            "file.content",
            "file.directory",
            "file.ini",
            "file.json",
            "file.line",
            "file.link",
            "file.toml",
            "file.yaml"
        ]
    );
    manifest.to_bytes().unwrap();
    for descriptor in &manifest.types {
        let name = &descriptor.name;
        assert_eq!(descriptor.schema["additionalProperties"], json!(false), "{name}");
        for (property, schema) in descriptor.schema["properties"].as_object().unwrap() {
            assert!(schema["description"].as_str().is_some_and(|d| d.ends_with('.')), "{name} {property}");
            if let Some(pattern) = schema.get("pattern") {
                Regex::new(pattern.as_str().unwrap()).unwrap();
            }
        }
        assert_eq!(
            (descriptor.prediction.as_str(), descriptor.retry.as_str(), descriptor.undo.as_str()),
            ("exact", "converge", "exact")
        );
        assert!(descriptor.compare_and_swap);
        assert_eq!(descriptor.touches.len(), 1);
        assert_eq!(
            (descriptor.touches[0].kind.as_str(), descriptor.touches[0].access.as_str()),
            ("path", "write")
        );
    }
}

#[test]
fn the_path_pattern_and_the_provider_agree() {
    let mut world = World::new();
    let manifest = rectify_provider_file::provider().manifest();
    let schema = &manifest.descriptor(&type_name("file.absent")).unwrap().schema;
    let pattern = Regex::new(schema["properties"]["path"]["pattern"].as_str().unwrap()).unwrap();
    for path in [
        "/a",
        "/a/b",
        "/.a",
        "/..a",
        "/...",
        "/a.b/c..d",
        "/a b",
        "/ä",
        "/a/.ssh/x", // fine
        "",
        "/",
        "a",
        "a/b",
        "/a/",
        "//a",
        "/a//b",
        "/.",
        "/..",
        "/a/.",
        "/a/..",
        "/a/./b",
        "/a/../b", // not
    ] {
        let accepted = world.validate("file.absent", &json!({"path": path})).is_ok();
        assert_eq!(pattern.is_match(path), accepted, "{path:?}");
    }
}

/// Defaults that an engine fills in are those that the provider takes by itself.
#[test]
fn defaults_change_nothing() {
    let manifest = rectify_provider_file::provider().manifest();
    let mut world = World::new();
    for (name, minimal) in [
        ("file.content", json!({"path": "/x", "content": "x"})),
        ("file.line", json!({"path": "/c", "line": "x"})),
        ("file.block", json!({"path": "/c", "block": "x"})),
        ("file.ini", json!({"path": "/c", "key": ["a", "b"], "value": "x"})),
        ("file.json", json!({"path": "/e", "key": ["a"], "value": "x", "create": true})),
        ("file.toml", json!({"path": "/e", "key": ["a"], "value": "x", "create": true})),
        ("file.yaml", json!({"path": "/e", "key": ["a"], "value": "x", "create": true})),
        ("file.directory", json!({"path": "/d"})),
        ("file.link", json!({"path": "/l", "target": "x"})),
        ("file.absent", json!({"path": "/c"})),
    ] {
        world.write("/c", "x y\n", 0o644);
        let mut filled: Map<String, Value> = object(minimal.clone());
        let schema = &manifest.descriptor(&type_name(name)).unwrap().schema;
        for (property, schema) in schema["properties"].as_object().unwrap() {
            if let Some(default) = schema.get("default") {
                filled.entry(property).or_insert(default.clone());
            }
        }
        let a = world.changed(name, &minimal);
        let b = world.changed(name, &Value::Object(filled));
        assert_eq!((a.prior, a.planned), (b.prior, b.planned), "{name}");
    }
}

#[test]
fn modes_are_normalized() {
    let mut world = World::new();
    let item = |mode: &str| DesiredItem {
        type_name: type_name("file.directory"),
        desired: object(json!({"path": "/d", "mode": mode})),
    };
    let items = vec![item("00750"), item("0750"), item("02750")];
    let modes: Vec<Value> = world
        .batch::<_, Map<String, Value>>(method::NORMALIZE, items)
        .into_iter()
        .map(|desired| desired.unwrap()["mode"].clone())
        .collect();
    assert_eq!(modes, ["0750", "0750", "02750"]);
}
