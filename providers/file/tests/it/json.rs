//! `file.json`: every byte outside the edited value stays.

use crate::{
    settings::{after, after_bytes, refused},
    world::World,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn js(before: &str, desired: &Value) -> String {
    after("file.json", before, desired)
}

fn set(key: Value, value: impl Into<Value>) -> Value {
    json!({"key": key, "value": value.into()})
}

fn unset(key: Value) -> Value {
    json!({"key": key, "state": "absent"})
}

const DAEMON: &str = "{\n    \"log-driver\" : \"json-file\",\n    \"log-opts\": {\"max-size\": \"10m\"},\n\n    \"dns\": [ \"10.0.0.1\",\t\"10.0.0.2\" ],\n    \"ratio\": 1.50e3\n}\n";

#[test]
fn a_value_is_replaced_in_its_place() {
    for (key, value, from, to) in [
        (json!(["log-driver"]), json!("journald"), "\"json-file\"", "\"journald\""),
        (json!(["log-opts", "max-size"]), json!("20m"), "\"10m\"", "\"20m\""),
        (json!(["dns", 1]), json!("::1"), "\"10.0.0.2\"", "\"::1\""),
        (json!(["dns", 2]), json!("::1"), "\"10.0.0.2\"", "\"10.0.0.2\",\t\"::1\""),
        (json!(["ratio"]), json!(2), "1.50e3", "2"),
        (json!(["log-opts", "max-file"]), json!("3"), "\"10m\"", "\"10m\", \"max-file\": \"3\""),
        (json!(["live"]), json!(true), "1.50e3", "1.50e3,\n    \"live\": true"),
        (
            json!(["log-opts"]),
            json!({"a": [1, {}], "b": null}),
            "{\"max-size\": \"10m\"}",
            "{\"a\": [1, {}], \"b\": null}",
        ),
        (
            json!(["log-driver"]),
            json!({"a": [1]}),
            "\"json-file\"",
            "{\n        \"a\": [\n            1\n        ]\n    }",
        ),
        (
            json!(["new", "deep", 0]),
            json!("x"),
            "1.50e3",
            "1.50e3,\n    \"new\": {\n        \"deep\": [\n            \"x\"\n        ]\n    }",
        ),
    ] {
        assert_eq!(js(DAEMON, &set(key, value)), DAEMON.replace(from, to));
    }
    assert_eq!(js(DAEMON, &set(json!(["dns"]), json!(["10.0.0.1", "10.0.0.2"]))), DAEMON, "it is so already");
    assert_eq!(js(DAEMON, &json!({"key": ["ratio"], "literal": "0.5"})), DAEMON.replace("1.50e3", "0.5"));
}

#[test]
fn members_are_removed_with_their_comma() {
    for (key, from, to) in [
        (json!(["log-driver"]), "\"log-driver\" : \"json-file\",\n    ", ""),
        (json!(["ratio"]), ",\n    \"ratio\": 1.50e3", ""),
        (json!(["log-opts", "max-size"]), "\"max-size\": \"10m\"", ""),
        (json!(["nothing"]), "", ""),
        (json!(["ratio", "of", "nothing"]), "", ""),
    ] {
        assert_eq!(js(DAEMON, &unset(key)), DAEMON.replace(from, to));
    }
}

#[test]
fn layouts_are_kept() {
    for (before, wanted) in [
        ("", "{\n  \"a\": 1\n}\n"),
        (" \n", "{\n  \"a\": 1\n}\n"),
        ("{}", "{\n  \"a\": 1\n}"),
        ("{ }\n", "{ \"a\": 1 }\n"),
        ("{\"b\":2}", "{\"b\":2,\"a\":1}"),
        ("{\"b\": 2}", "{\"b\": 2, \"a\": 1}"),
        ("{ \"b\": 2, \"c\": 3 }", "{ \"b\": 2, \"c\": 3, \"a\": 1 }"),
        ("{\r\n\t\"b\": 2\r\n}\r\n", "{\r\n\t\"b\": 2,\r\n\t\"a\": 1\r\n}\r\n"),
        ("\u{feff}{\n \"b\": 2\n}", "\u{feff}{\n \"b\": 2,\n \"a\": 1\n}"),
        ("{\"b\": [\n]}", "{\"b\": [\n], \"a\": 1}"),
    ] {
        if before == "{ }\n" {
            // A blank between braces is nothing to keep.
            assert_eq!(js(before, &set(json!(["a"]), 1)), "{\"a\": 1}\n");
            continue;
        }
        assert_eq!(js(before, &set(json!(["a"]), 1)), wanted);
    }
    assert_eq!(js("[1,\n 2]", &set(json!([2]), "ü\u{1}\"")), "[1,\n 2,\n \"ü\\u0001\\\"\"]");
}

#[test]
fn what_cannot_be_edited_is_refused_with_its_place() {
    for (before, desired, message) in [
        (
            "{",
            set(json!(["a"]), 1),
            "Unsupported /path: the file is not JSON (line 1, column 1): EOF while parsing an object at line 1 column 1",
        ),
        (
            "// c\n{}",
            set(json!(["a"]), 1),
            "Unsupported /path: the file is not JSON (line 1, column 1): expected value at line 1 column 1",
        ),
        ("{\"a\":1,\"a\":2}", set(json!(["a"]), 1), "Unsupported /key: the key `a` stands there twice"),
        ("{\"a\":1}", set(json!(["a", "b"]), 1), "Conflict /key: `a` holds a number, not a mapping"),
        ("{\"a\":{}}", set(json!(["a", 0]), 1), "Conflict /key: `a` holds a mapping, not a list"),
        ("{\"a\":[]}", unset(json!(["a", "b"])), "Conflict /key: `a` holds a list, not a mapping"),
        ("[]", set(json!(["a"]), 1), "Conflict /key: the file holds a list, not a mapping"),
        (
            "{\"a\":[1]}",
            set(json!(["a", 2]), 1),
            "Conflict /key: the list `a` has 1 items, so `a › 2` cannot be one",
        ),
        ("{}", set(json!(["a", 2]), 1), "Conflict /key: the list `a` has 0 items, so `a › 2` cannot be one"),
        ("", set(json!([2]), 1), "Conflict /key: the list has 0 items, so `2` cannot be one"),
    ] {
        assert_eq!(refused("file.json", before, &desired), message, "{before}");
    }
    assert_eq!(
        refused("file.json", b"{\"a\":\"\xff\"}", &set(json!(["a"]), 1)),
        "Unsupported /path: the file is not UTF-8: see the byte at offset 6"
    );
}

#[test]
fn broken_rules_name_the_property() {
    for (desired, place) in [
        (json!({"value": 1}), "/key"),
        (json!({"key": [], "value": 1}), "/key"),
        (json!({"key": ["a"]}), "/value"),
        (json!({"key": ["a"], "value": 0.5}), "/value"),
        (json!({"key": ["a"], "value": [{"x": 0.5}]}), "/value"),
        (json!({"key": ["a"], "value": 1, "literal": "1"}), "/literal"),
        (json!({"key": ["a"], "literal": " 1"}), "/literal"),
        (json!({"key": ["a"], "literal": "1 // one"}), "/literal"),
        (json!({"key": ["a"], "literal": "x"}), "/literal"),
        (json!({"key": ["a"], "value": 1, "state": "absent"}), "/state"),
        (json!({"key": ["a", 0], "state": "absent"}), "/key"),
        (json!({"edits": [{"key": ["a"], "value": 1}, {"key": ["a", "b"], "value": 1}]}), "/edits/1/key"),
    ] {
        let message = refused("file.json", "{}", &desired);
        assert!(message.starts_with(&format!("Schema {place}:")), "{desired}: {message}");
    }
}

#[test]
fn a_text_that_is_too_long_is_not_parsed() {
    for (name, most, blank) in [("file.json", 16, b' '), ("file.yaml", 16, b'\n'), ("file.toml", 2, b'\n')] {
        let long = vec![blank; most * 1024 * 1024 + 1];
        let message = refused(name, &long, &set(json!(["a"]), 1));
        assert!(message.starts_with("Unsupported /path: the file is longer than"), "{message}");
    }
}

/// A state is never a mapping of which the plan knows only half.
#[test]
fn a_mapping_is_the_same_only_as_a_whole() {
    for (before, same) in [
        ("{\"a\": {\"y\": [], \"x\": 1}}", true),
        ("{\"a\": {\"x\": 1}}", false),
        ("{\"a\": {\"x\": 1, \"y\": [], \"z\": 0}}", false),
        ("{\"a\": {\"x\": 1, \"y\": [], \"x\": 1}}", false),
        ("{\"a\": {\"x\": 1.0, \"y\": []}}", false),
    ] {
        let desired = set(json!(["a"]), json!({"x": 1, "y": []}));
        for name in ["file.json", "file.yaml"] {
            assert_eq!(after(name, before, &desired) == before, same, "{name} {before}");
        }
    }
}

#[test]
fn a_private_file_is_named_by_a_keyed_digest_and_a_chain_is_predicted() {
    let mut world = World::keyed();
    world.write("/s", "{\"token\": \"x\"}\n", 0o600);
    let planned = world.converge("file.json", &json!({"path": "/s", "key": ["mode"], "value": "a"}));
    let state = planned.planned.unwrap();
    assert!(state["content"]["keyed"].is_string() && state["content"].get("text").is_none());
    let mut world = World::new();
    world.write("/c", "{}\n", 0o644);
    let first = json!({"path": "/c", "key": ["a"], "value": 1});
    let second = json!({"path": "/c", "key": ["b"], "value": 2});
    let one = world.changed("file.json", &first);
    let prior = rectify_sdk::protocol::message::Predicted { state: one.planned.clone() };
    let two = world.plan_on("file.json", &second, Some(prior)).unwrap().unwrap();
    for (desired, planned) in [(&first, &one), (&second, &two)] {
        let op = world.operation("file.json", desired, planned);
        world.apply(&op).unwrap();
    }
    assert_eq!(world.bytes("/c"), b"{\n  \"a\": 1,\n  \"b\": 2\n}\n");
}

#[test]
fn a_candidate_is_judged() {
    let mut world = World::new();
    world.write("/c", "{\"a\": 1}", 0o644);
    let desired = json!({"path": "/c", "key": ["a"], "value": 2, "validate": ["/bin/grep", "-q", "3", "%s"]});
    let planned = world.changed("file.json", &desired);
    let op = world.operation("file.json", &desired, &planned);
    assert_eq!(world.apply(&op).unwrap_err().path.as_deref(), Some("/validate"));
    assert_eq!(world.bytes("/c"), b"{\"a\": 1}");
}

/// Any JSON that a step may ask for.
pub fn value() -> impl Strategy<Value = Value> {
    let text = prop::sample::select(vec![
        "",
        "a",
        "b c",
        "yes",
        "0640",
        "1.5",
        "null",
        "~",
        "x: y",
        "# no",
        "- a",
        "ü\u{1f600}",
        "a\nb\n",
        " a ",
        "\t",
        "\"",
        "'",
        "\\",
        "{",
        "[a]",
        "*a",
        "&a",
        "!t",
        "%",
        "@",
        "|",
        ">",
        "2001-01-01",
        "<<",
        "=",
        "1_0",
        "0x1f",
        "\u{7f}\u{85}\u{2028}\u{feff}",
        "a\r\nb",
        "\n",
        "a\n\n",
        "\n a",
        "true",
        "-",
        "?",
        "1:30",
        ".inf",
        "a #b",
        "a: ",
        ":",
        "---",
        "...",
        "a\n---\nb",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Value::from),
        text.prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let key = prop::sample::select(vec!["a", "b", "c d", "e.f", "yes", "1", "ü", "x:", "#", "\""]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(key.prop_map(str::to_owned), inner, 0..3)
                .prop_map(|m| Value::Object(m.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Puts a value at a place of a tree, as the edit should; `None` if it cannot stand there.
pub fn put(tree: &mut Value, place: &[Value], value: Option<&Value>) -> Option<()> {
    let Some((step, rest)) = place.split_first() else {
        *tree = value?.clone();
        return Some(());
    };
    match (tree, step) {
        (Value::Object(members), Value::String(key)) => match (members.get_mut(key), value) {
            (Some(_), None) if rest.is_empty() => {
                members.remove(key);
                Some(())
            }
            (Some(member), _) => put(member, rest, value),
            (None, None) => Some(()),
            (None, Some(_)) => {
                let mut made = empty(rest.first());
                put(&mut made, rest, value)?;
                members.insert(key.clone(), made);
                Some(())
            }
        },
        (Value::Array(items), Value::Number(index)) => {
            let index = usize::try_from(index.as_u64()?).ok()?;
            let length = items.len();
            match (items.get_mut(index), value) {
                (Some(item), _) => put(item, rest, value),
                (None, None) => Some(()),
                (None, Some(_)) if index == length => {
                    let mut made = empty(rest.first());
                    put(&mut made, rest, value)?;
                    items.push(made);
                    Some(())
                }
                (None, Some(_)) => None,
            }
        }
        (Value::Object(_) | Value::Array(_), _) => None,
        (_, _) if value.is_none() => Some(()),
        _ => None,
    }
}

fn empty(step: Option<&Value>) -> Value {
    match step {
        Some(Value::Number(_)) => json!([]),
        Some(_) => json!({}),
        None => Value::Null,
    }
}

/// A place in a tree, most often one that is there.
pub fn place(tree: &Value, choices: &[u8]) -> Vec<Value> {
    let mut node = tree;
    let mut place = Vec::new();
    for choice in choices {
        let choice = usize::from(*choice);
        match node {
            Value::Object(members) if !members.is_empty() && choice % 5 != 0 => {
                let Some((key, value)) = members.iter().nth(choice % members.len()) else { break };
                place.push(Value::from(key.clone()));
                node = value;
            }
            Value::Array(items) => {
                let index = choice % (items.len() + 1);
                place.push(Value::from(index));
                let Some(item) = items.get(index) else { break };
                node = item;
            }
            Value::Object(_) => {
                place.push(Value::from("new"));
                break;
            }
            _ => break,
        }
        if choice % 3 == 0 {
            break;
        }
    }
    if place.is_empty() {
        place.push(Value::from("new"));
    }
    place
}

/// The same value, laid out in another way.
fn laid_out(value: &Value, layout: u8) -> String {
    let text = match layout % 4 {
        0 => serde_json::to_string(value).unwrap(),
        1 => serde_json::to_string_pretty(value).unwrap() + "\n",
        2 => serde_json::to_string_pretty(value).unwrap().replace('\n', "\r\n").replace("  ", "\t"),
        _ => format!(
            " {}\n\n",
            serde_json::to_string(value).unwrap().replace("\":", "\" : ").replace(",\"", " , \"")
        ),
    };
    // Texts may hold what was replaced.
    match serde_json::from_str::<Value>(&text) {
        Ok(again) if again == *value => text,
        _ => serde_json::to_string(value).unwrap(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) })]
    #[test]
    fn the_tree_is_as_asked_and_the_other_bytes_stay(
        tree in value(),
        layout in any::<u8>(),
        choices in prop::collection::vec(any::<u8>(), 1..4),
        wanted in prop::option::of(value()),
    ) {
        let place = place(&tree, &choices);
        let by_name = place.last().is_some_and(Value::is_string);
        let wanted = if by_name { wanted } else { Some(wanted.unwrap_or_default()) };
        let before = laid_out(&tree, layout);
        let mut expected = tree.clone();
        let possible = put(&mut expected, &place, wanted.as_ref()).is_some();
        let desired = match &wanted {
            Some(value) => json!({"key": place, "value": value}),
            None => json!({"key": place, "state": "absent"}),
        };
        let result = after_bytes("file.json", before.as_bytes(), &desired);
        prop_assert_eq!(result.is_ok(), possible, "{:?}", result);
        let Ok(bytes) = result else { return Ok(()) };
        let text = String::from_utf8(bytes).unwrap();
        prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected.clone());
        // One piece was replaced: what was before and behind it is there still.
        let head = before.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
        let most = before.len().min(text.len()) - head;
        let tail = before.bytes().rev().zip(text.bytes().rev()).take(most).take_while(|(a, b)| a == b).count();
        let gone = &before.as_bytes()[head..before.len() - tail];
        let old = place.iter().try_fold(&tree, |node, step| match step {
            Value::String(key) => node.get(key),
            step => node.get(usize::try_from(step.as_u64()?).ok()?),
        });
        match old {
            // At most the value, its key, a comma and blanks.
            Some(old) => prop_assert!(
                gone.len() <= laid_out(old, layout).len() * 4 + 64,
                "{:?} took {:?}", desired, String::from_utf8_lossy(gone)
            ),
            None => prop_assert!(gone.iter().all(u8::is_ascii_whitespace), "{:?}", String::from_utf8_lossy(gone)),
        }
        if text == before {
            prop_assert_eq!(&tree, &expected);
        }
    }
}
