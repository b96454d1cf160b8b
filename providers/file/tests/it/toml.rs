//! `file.toml`: comments, order and every other byte stay.

use crate::{
    json::value,
    settings::{after, after_bytes, refused},
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn to(before: &str, desired: &Value) -> String {
    after("file.toml", before, desired)
}

fn set(key: Value, value: impl Into<Value>) -> Value {
    json!({"key": key, "value": value.into()})
}

fn unset(key: Value) -> Value {
    json!({"key": key, "state": "absent"})
}

const CONFIG: &str = "\
# The top.
title = 'x' # plain
a.b = 1

# The server.
[server]
  port = 80
  hosts = [\n    \"a\", # one\n    \"b\",\n  ]

[server.tls]
opts = { min = 1, max.x = 2 }

[[user]]
name = \"u\"

[[user]]
name = \"v\"
[user.sub]
x = 1

[i.j]
y = 0.5
";

#[test]
fn values_are_replaced_in_their_place() {
    for (key, value, from, to_) in [
        (json!(["title"]), json!("y"), "'x'", "'y'"),
        (json!(["title"]), json!("it's"), "'x'", "\"it's\""),
        (json!(["a", "b"]), json!(2), "a.b = 1", "a.b = 2"),
        (json!(["server", "port"]), json!(8080), "80", "8080"),
        (json!(["server", "hosts", 1]), json!("c"), "\"b\"", "\"c\""),
        (
            json!(["server", "hosts"]),
            json!(["c"]),
            "[\n    \"a\", # one\n    \"b\",\n  ]",
            "[\n    \"c\",\n  ]",
        ),
        (json!(["server", "tls", "opts", "max", "x"]), json!(3), "x = 2", "x = 3"),
        (json!(["server", "tls", "opts"]), json!({"z": {}}), "{ min = 1, max.x = 2 }", "{ z = {} }"),
        (json!(["user", 0, "name"]), json!("w"), "\"u\"", "\"w\""),
        (json!(["i", "j", "y"]), json!(true), "0.5", "true"),
    ] {
        assert_eq!(to(CONFIG, &set(key, value)), CONFIG.replace(from, to_));
    }
    for (key, value) in [
        (json!(["i"]), json!({"j": {"y": 1}})),
        (json!(["a"]), json!({"b": 2})),
        (json!(["user"]), json!([])),
        (json!(["user", 0]), json!({})),
        (json!(["server", "tls", "opts", "max"]), json!(1)),
    ] {
        let message = refused("file.toml", CONFIG, &set(key, value));
        assert!(message.contains("has lines of its own"), "{message}");
    }
    let same = json!({"sub": {"x": 1}, "name": "v"});
    assert_eq!(to(CONFIG, &set(json!(["user", 1]), same)), CONFIG, "it is so already");
    let literal = json!({"key": ["i", "j", "y"], "literal": "2026-01-31"});
    assert_eq!(to(CONFIG, &literal), CONFIG.replace("0.5", "2026-01-31"));
    let crlf = CONFIG.replace('\n', "\r\n");
    assert_eq!(to(&crlf, &set(json!(["server", "port"]), 1)), crlf.replace("80", "1"));
}

#[test]
fn what_is_missing_goes_where_it_belongs() {
    for (key, value, from, to_) in [
        (json!(["new"]), json!(1), "a.b = 1\n", "a.b = 1\nnew = 1\n"),
        (json!(["a", "c"]), json!(1), "a.b = 1\n", "a.b = 1\na.c = 1\n"),
        (json!(["server", "new"]), json!("x"), "  ]\n", "  ]\n  new = \"x\"\n"),
        (json!(["server", "hosts", 2]), json!("c"), "\"b\",\n", "\"b\",\n    \"c\",\n"),
        (json!(["server", "tls", "a key"]), json!([1]), "max.x = 2 }\n", "max.x = 2 }\n\"a key\" = [1]\n"),
        (json!(["server", "tls", "opts", "new"]), json!(1), "max.x = 2 }", "max.x = 2, new = 1 }"),
        (json!(["server", "tls", "opts", "max", "y"]), json!(1), "max.x = 2 }", "max.x = 2, max.y = 1 }"),
        (json!(["user", 0, "p", "q"]), json!(1), "\"u\"\n", "\"u\"\np.q = 1\n"),
        (json!(["user", 1, "sub", "z"]), json!(1), "x = 1\n", "x = 1\nz = 1\n"),
        (json!(["i", "k"]), json!(1), "y = 0.5\n", "y = 0.5\n\n[i]\nk = 1\n"),
        (
            json!(["server", "log", "level"]),
            json!("info"),
            "y = 0.5\n",
            "y = 0.5\n\n[server.log]\nlevel = \"info\"\n",
        ),
        (json!(["x", "y", 0, "z"]), json!(1), "y = 0.5\n", "y = 0.5\n\n[x]\ny = [{ z = 1 }]\n"),
    ] {
        assert_eq!(to(CONFIG, &set(key, value)), CONFIG.replace(from, to_));
    }
    for (before, wanted) in [
        ("", "k = 1\n"),
        ("# c", "# c\nk = 1\n"),
        ("[a]\nx = 1\n", "k = 1\n\n[a]\nx = 1\n"),
        ("# top\n\n# about a\n[a]\n", "# top\n\nk = 1\n\n# about a\n[a]\n"),
        ("x = 1\r\n[a]\r\n", "x = 1\r\nk = 1\r\n[a]\r\n"),
        ("x = 1", "x = 1\nk = 1"),
        ("\u{feff}x = 1\n", "\u{feff}x = 1\nk = 1\n"),
    ] {
        assert_eq!(to(before, &set(json!(["k"]), 1)), wanted, "{before:?}");
    }
    assert_eq!(to("[a]\n", &set(json!(["a", "k"]), 1)), "[a]\nk = 1\n");
    assert_eq!(to("", &set(json!(["a", "k"]), 1)), "[a]\nk = 1\n");
    assert_eq!(to("x = []\n", &set(json!(["x", 0]), 1)), "x = [1]\n");
    assert_eq!(to("x = {}\n", &set(json!(["x", "y"]), 1)), "x = { y = 1 }\n");
}

#[test]
fn keys_are_removed_with_their_lines() {
    for (key, from, to_) in [
        (json!(["title"]), "title = 'x' # plain\n", ""),
        (json!(["a", "b"]), "a.b = 1\n", ""),
        (json!(["a"]), "a.b = 1\n", ""),
        (json!(["server", "hosts"]), "  hosts = [\n    \"a\", # one\n    \"b\",\n  ]\n", ""),
        (json!(["server", "tls", "opts", "min"]), "min = 1, ", ""),
        (json!(["server", "tls", "opts", "max"]), ", max.x = 2", ""),
        (json!(["server", "tls", "opts", "max", "x"]), ", max.x = 2", ""),
        (json!(["server", "tls", "opts"]), "opts = { min = 1, max.x = 2 }\n", ""),
        (json!(["server", "tls"]), "\n[server.tls]\nopts = { min = 1, max.x = 2 }\n", ""),
        (json!(["i"]), "\n[i.j]\ny = 0.5\n", ""),
        (json!(["user"]), "\n[[user]]\nname = \"u\"\n\n[[user]]\nname = \"v\"\n[user.sub]\nx = 1\n", ""),
        (json!(["none", "such"]), "", ""),
        (json!(["title", "such"]), "", ""),
    ] {
        assert_eq!(to(CONFIG, &unset(key)), CONFIG.replace(from, to_));
    }
    assert_eq!(to("a = { b = { c = 1 }, d = 2 }\n", &unset(json!(["a", "b"]))), "a = { d = 2 }\n");
    assert_eq!(to("a = { b = 1 }\n", &unset(json!(["a", "b"]))), "a = {}\n");
}

#[test]
fn what_cannot_be_edited_is_refused_with_its_place() {
    for (before, desired, message) in [
        ("a = ", set(json!(["a"]), 1), "Unsupported /path: the file is not TOML (line 1)"),
        ("a = 1\na = 2\n", set(json!(["a"]), 1), "Unsupported /path: the file is not TOML (line 2)"),
        ("a = 1\n", set(json!(["a", "b"]), 1), "Conflict /key: `a` holds a number, not a mapping"),
        ("a = [1]\n", set(json!(["a", 4]), 1), "Conflict /key: the list `a` has 1 items"),
        ("[a]\n", set(json!(["a", 0]), 1), "Conflict /key: `a` holds a mapping, not a list"),
        ("[[a]]\n", set(json!(["a", 1]), json!({})), "Unsupported /key: `a` is a list of tables"),
        ("", set(json!(["a"]), json!(null)), "Schema /value: this format has no null"),
        ("", json!({"key": ["a"], "literal": "x"}), "Schema /literal"),
        ("", json!({"key": ["a"], "literal": "1\nb = 2"}), "Schema /literal"),
        ("", json!({"key": ["a"], "literal": "1 # x"}), "Schema /literal"),
    ] {
        let got = refused("file.toml", before, &desired);
        assert!(got.starts_with(message), "{before:?}: {got}");
    }
}

/// Nulls are no TOML.
fn without_null(value: Value) -> Value {
    match value {
        Value::Null => json!(0),
        Value::Array(items) => items.into_iter().map(without_null).collect(),
        Value::Object(members) => members.into_iter().map(|(k, v)| (k, without_null(v))).collect(),
        other => other,
    }
}

fn document() -> impl Strategy<Value = String> {
    let top = prop::sample::select(vec![
        "",
        "# note 1\n",
        "k = 1 # beside\n",
        "d.x = 1\nd.y = [1, 2] # two\n",
        "k = { a = 1, b.c = 2 }\n",
    ]);
    let table = prop::sample::select(vec![
        "[a]\n",
        "[a]\nx = 1\n# note 2\ny = 'z'\n",
        "[a.b]\nq = [\n  1, # one\n  2,\n]\n",
        "# note 3\n[c.e]\n  w = 0.50\n",
        "[[p]]\nn = 1\n[[p]]\nn = 2\n\n[p.s]\nm = 1\n",
        "[a]\nt = { u = { v = 1 }, w = [] } # note 4\n",
    ]);
    (
        top,
        prop::sample::subsequence(vec![0_usize, 1, 2], 0..3),
        prop::collection::vec(table, 0..3),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(top, _, tables, crlf, last)| {
            let mut text = top.to_owned();
            for table in tables {
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(table);
            }
            if !last {
                text.truncate(text.trim_end().len());
            }
            if crlf { text.replace('\n', "\r\n") } else { text }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) })]
    #[test]
    fn a_value_is_put_in_and_the_notes_stay(
        before in document(),
        key in prop::sample::select(vec![
            json!(["k"]), json!(["k", "a"]), json!(["k", "b", "n"]), json!(["d", "x"]), json!(["d", "n"]), json!(["d", "y", 1]), json!(["d", "y", 2]),
            json!(["a", "x"]), json!(["a", "n", "m"]), json!(["a", "b", "q", 2]), json!(["a", "t", "u", "v"]), json!(["a", "t", "w", 0]),
            json!(["c", "n"]), json!(["c", "e", "w"]), json!(["p", 0, "n"]), json!(["p", 1, "s", "z"]), json!(["p", 0, "s", "z"]), json!(["new", "a b", "ü"]),
        ]),
        wanted in value().prop_map(without_null),
        absent in any::<bool>(),
    ) {
        let absent = absent && key.as_array().unwrap().last().unwrap().is_string();
        let desired = if absent { unset(key) } else { set(key, wanted) };
        // The edit itself compares every other value before and after.
        let bytes = match after_bytes("file.toml", before.as_bytes(), &desired) {
            Ok(bytes) => bytes,
            Err(error) => {
                prop_assert!(!error.message.contains("everything else"), "{desired} in {before:?}: {error}");
                return Ok(());
            }
        };
        let text = String::from_utf8(bytes).unwrap();
        for note in ["# note 1", "# note 2", "# note 3"] {
            prop_assert_eq!(before.matches(note).count(), text.matches(note).count(), "{} in {:?} gives {:?}", desired, before, text);
        }
        if before.contains("\r\n") {
            prop_assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "{:?}", text);
        }
        // What goes and what comes is one piece, or lines.
        let mut kept = text.lines();
        if !absent {
            let lost = before.lines().filter(|line| !kept.clone().any(|other| { if other == *line { kept.next(); true } else { false } })).count();
            prop_assert!(lost <= 4, "{} in {:?} gives {:?}", desired, before, text);
        }
    }

    #[test]
    fn a_value_that_is_written_is_read_back(value in value().prop_map(without_null), key in "\\PC{1,4}") {
        let text = to("", &json!({"key": [key.clone()], "value": value}));
        let read = toml_edit::Document::parse(text.as_str()).unwrap();
        prop_assert!(same(read.get(&key).and_then(toml_edit::Item::as_value).unwrap(), &value), "{}", text);
    }

    #[test]
    fn any_text_is_edited_soundly_or_refused(text in "[ab=.\\[\\]{},'\"# \n1]{0,24}", value in value().prop_map(without_null)) {
        for desired in [json!({"key": ["a"], "value": value}), json!({"key": ["a", "b"], "value": value}), json!({"key": ["a", 0], "value": value}), json!({"key": ["a"], "state": "absent"}), json!({"key": ["a", "b"], "state": "absent"})] {
            let _ = after_bytes("file.toml", text.as_bytes(), &desired);
        }
    }
}

fn same(found: &toml_edit::Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (toml_edit::Value::String(a), Value::String(b)) => a.value() == b,
        (toml_edit::Value::Integer(a), Value::Number(b)) => b.as_i64() == Some(*a.value()),
        (toml_edit::Value::Boolean(a), Value::Bool(b)) => a.value() == b,
        (toml_edit::Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (toml_edit::Value::InlineTable(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|b| same(value, b)))
        }
        _ => false,
    }
}
