//! Edits of single values, as `file.ini`, `file.json`, `file.toml` and `file.yaml` make them.

use crate::{Target, sections};
use rectify_base::{TypeName, canonical};
use rectify_provider_file::pure::edit;
use serde_json::{Map, Value, json};
use std::path::Path;

pub(super) const TARGET: Target = Target {
    name: "settings",
    holds: "editing twice is editing once, and what the edit is not about stays as it is",
    check,
    seeds,
    max_bytes: 1024,
    replays: 60,
};

const TYPES: [&str; 4] = ["file.ini", "file.json", "file.toml", "file.yaml"];

fn check(data: &[u8]) {
    let sections = sections::split(data);
    let properties = sections::find(&sections, "desired").and_then(|body| canonical::parse_strict(body).ok());
    let Some(Value::Object(desired)) = properties else { return };
    let content = sections::find(&sections, "content").unwrap_or_default();
    for name in TYPES {
        let type_name = TypeName::new(name).unwrap();
        let Ok(once) = edit(&type_name, &desired, content) else { continue };
        assert_eq!(edit(&type_name, &desired, &once).as_ref(), Ok(&once), "{name} is no fixed point");
        if once == content {
            continue;
        }
        let read: fn(&[u8]) -> Option<Value> = match name {
            "file.json" => |bytes| serde_json::from_slice(bytes).ok(),
            "file.toml" => toml,
            "file.yaml" => |bytes| serde_saphyr::from_str(std::str::from_utf8(bytes).ok()?).ok(),
            _ => |_| None,
        };
        members(&desired, read(content), read(&once));
        assert!(
            name == "file.ini" || read(content).is_none() || read(&once).is_some(),
            "it cannot be read any more"
        );
        if name == "file.ini" && !desired.contains_key("edits") {
            ini_lines(&desired, content, &once);
        }
    }
}

/// Members of the outermost mapping that are not on the way are the same.
fn members(desired: &Map<String, Value>, before: Option<Value>, after: Option<Value>) {
    let first = |edit: &Map<String, Value>| edit.get("key")?.get(0)?.as_str().map(str::to_owned);
    let ways: Option<Vec<String>> = match desired.get("edits") {
        Some(Value::Array(edits)) => edits.iter().map(|edit| first(edit.as_object()?)).collect(),
        _ => first(desired).map(|first| vec![first]),
    };
    let (Some(ways), Some(Value::Object(mut old)), Some(Value::Object(mut new))) = (ways, before, after)
    else {
        return;
    };
    for first in ways {
        old.remove(&first);
        new.remove(&first);
    }
    assert_eq!(old, new, "another member was touched");
}

/// What a TOML file says; dates as they are written.
fn toml(bytes: &[u8]) -> Option<Value> {
    fn value(item: &toml_edit::Item) -> Value {
        match item {
            toml_edit::Item::None => Value::Null,
            toml_edit::Item::Value(inner) => scalar(inner),
            toml_edit::Item::Table(table) => {
                table.iter().map(|(name, item)| (name.to_owned(), value(item))).collect()
            }
            toml_edit::Item::ArrayOfTables(tables) => {
                let one = |table: &toml_edit::Table| {
                    table.iter().map(|(name, item)| (name.to_owned(), value(item))).collect::<Value>()
                };
                tables.iter().map(one).collect()
            }
        }
    }
    fn scalar(inner: &toml_edit::Value) -> Value {
        match inner {
            toml_edit::Value::String(text) => text.value().as_str().into(),
            toml_edit::Value::Boolean(flag) => (*flag.value()).into(),
            toml_edit::Value::Array(items) => items.iter().map(scalar).collect(),
            toml_edit::Value::InlineTable(table) => {
                table.iter().map(|(name, inner)| (name.to_owned(), scalar(inner))).collect()
            }
            // Numbers and dates have several spellings, and nobody may change one.
            toml_edit::Value::Integer(number) => written(number.as_repr()),
            toml_edit::Value::Float(number) => written(number.as_repr()),
            toml_edit::Value::Datetime(date) => written(date.as_repr()),
        }
    }
    fn written(as_read: Option<&toml_edit::Repr>) -> Value {
        let text = as_read.and_then(|text| text.as_raw().as_str()).expect("what is read was written");
        json!({"written": text})
    }
    let document = std::str::from_utf8(bytes).ok()?.parse::<toml_edit::DocumentMut>().ok()?;
    Some(value(document.as_item()))
}

/// No comment but one that holds the key goes.
fn ini_lines(desired: &Map<String, Value>, before: &[u8], after: &[u8]) {
    let texts = (std::str::from_utf8(before), std::str::from_utf8(after));
    let key = desired.get("key").and_then(Value::as_array).and_then(|key| key.last()).and_then(Value::as_str);
    let ((Ok(before), Ok(after)), Some(key)) = (texts, key) else { return };
    // A comment may stand within a value that goes on behind it.
    if before.contains(['\\', '\r']) || desired.get("continuation").is_some_and(|how| how != "none") {
        return;
    }
    let key = key.to_ascii_lowercase();
    let notes = |text: &str| {
        let lines = text.lines().map(str::trim_start).filter(|line| line.starts_with(['#', ';']));
        lines.filter(|line| !line.to_ascii_lowercase().contains(&key)).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(notes(before), notes(after), "a comment of others was touched");
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    let contents: [&str; 10] = [
        "",
        "[a]\nk = 1\n#b=2\n[c]\nk=1 \\\n 2\n",
        "k: 1\r\n[a]\r\nb\r\n",
        "{\n  \"a\": {\"b\": [1, 2.50]},\n  \"k\": \"x\"\n}\n",
        "{\"a\":{\"b\":null},\"k\":[]}",
        "# c\na:\n  b: 1 # one\n  k:\n  - 1\nk: |\n  x\n",
        "- a: &x 1\n  b: *x\n- {a: [1, 'b']}\n",
        "k = 1\n[a]\nb = { c = 1, d.e = 2 }\n[[p]]\nk = 'x'\n",
        "a.b = 1 # c\na.k = [\n  1,\n]\n[x.y]\nz = 0.5",
        "---\n? a\n: b\n...\n",
    ];
    let properties = [
        json!({"path": "/x", "key": ["a", "b"], "value": "yes"}),
        json!({"path": "/x", "key": ["k"], "value": [1, true, "a\nb"]}),
        json!({"path": "/x", "key": ["a", "n", "m"], "value": {"x": {}, "y": [[]]}}),
        json!({"path": "/x", "key": ["a", "b"], "state": "absent"}),
        json!({"path": "/x", "key": ["k"], "state": "absent"}),
        json!({"path": "/x", "key": [0, "a"], "literal": "0.5"}),
        json!({"path": "/x", "edits": [{"key": ["a", "b"], "value": 1}, {"key": ["k"], "value": "x"}]}),
        json!({"path": "/x", "key": ["a", "k"], "value": ["", "1"], "keep_others": true, "continuation": "indent"}),
        json!({"path": "/x", "key": ["a", "b"], "value": "1", "delimiter": " : ", "inline_comments": true}),
    ];
    let mut all = Vec::new();
    for desired in &properties {
        for content in contents {
            let desired = canonical::compact(desired).unwrap();
            all.push(sections::join(&[("desired", desired.as_slice()), ("content", content.as_bytes())]));
        }
    }
    all
}
