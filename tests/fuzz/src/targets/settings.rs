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
        if name == "file.json" {
            json_members(&desired, content, &once);
        }
        if name == "file.ini" && !desired.contains_key("edits") {
            ini_lines(&desired, content, &once);
        }
    }
}

/// Members of the outermost mapping that are not on the way are the same, and in the same order.
fn json_members(desired: &Map<String, Value>, before: &[u8], after: &[u8]) {
    let first = desired.get("key").and_then(|key| key.get(0)).and_then(Value::as_str);
    let read = |bytes: &[u8]| serde_json::from_slice::<Map<String, Value>>(bytes).ok();
    let (Some(first), Some(mut old), Some(mut new)) = (first, read(before), read(after)) else { return };
    old.remove(first);
    new.remove(first);
    assert_eq!(old, new, "another member was touched");
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
