//! Edits of contents, as `file.line` and `file.block` make them.

use crate::{Target, sections};
use rectify_base::{TypeName, canonical};
use rectify_provider_file::pure::edit;
use serde_json::{Map, Value, json};
use std::path::Path;

pub(super) const TARGET: Target = Target {
    name: "edits",
    holds: "editing twice is editing once, and what the edit is not about stays as it is",
    check,
    seeds,
    max_bytes: 1024,
    replays: 150,
};

fn check(data: &[u8]) {
    let sections = sections::split(data);
    let properties = sections::find(&sections, "desired").and_then(|body| canonical::parse_strict(body).ok());
    let Some(Value::Object(desired)) = properties else { return };
    let content = sections::find(&sections, "content").unwrap_or_default();
    for name in ["file.line", "file.block"] {
        let type_name = TypeName::new(name).unwrap();
        let Ok(once) = edit(&type_name, &desired, content) else { continue };
        assert_eq!(edit(&type_name, &desired, &once).as_ref(), Ok(&once), "{name} is no fixed point");
        let (before, after) = (lines(content), lines(&once));
        if name == "file.line" {
            line(&desired, &before, &after);
        } else {
            block(&desired, &before, &after);
        }
    }
}

/// The lines without their endings. A last line that is not ended is one, too.
fn lines(content: &[u8]) -> Vec<&[u8]> {
    let text = |line| <[u8]>::strip_suffix(line, b"\n").unwrap_or(line);
    content
        .split_inclusive(|b| *b == b'\n')
        .map(|line| text(line).strip_suffix(b"\r").unwrap_or(text(line)))
        .collect()
}

fn line(desired: &Map<String, Value>, before: &[&[u8]], after: &[&[u8]]) {
    let wanted = desired.get("line").and_then(Value::as_str).map(str::as_bytes);
    let absent = desired.get("state").is_some_and(|state| state == "absent");
    // Besides the wanted line nothing comes in, and the order stays.
    let others = |lines: &[&[u8]]| {
        lines.iter().filter(|line| Some(**line) != wanted).map(|l| l.to_vec()).collect::<Vec<_>>()
    };
    let (old, new) = (others(before), others(after));
    let mut rest = old.iter();
    assert!(new.iter().all(|line| rest.any(|other| other == line)), "a line that nobody asked for");
    let all = desired.get("occurrence").is_some_and(|which| which == "all");
    if absent {
        assert!(after.iter().all(|line| Some(*line) != wanted));
    } else {
        assert!(after.iter().any(|line| Some(*line) == wanted));
        assert!(all || old.len() - new.len() <= 1, "more than one line was replaced");
        assert!(all || after.len() >= before.len());
    }
    if !desired.contains_key("match") {
        assert_eq!(old, new, "without a pattern only the line itself is touched");
    }
}

fn block(desired: &Map<String, Value>, before: &[&[u8]], after: &[&[u8]]) {
    let marker = desired.get("marker").and_then(Value::as_str).unwrap_or("# {mark} RECTIFY MANAGED BLOCK");
    let (begin, end) = (marker.replace("{mark}", "BEGIN"), marker.replace("{mark}", "END"));
    let outside = |lines: &[&[u8]]| {
        let mut inside = false;
        let mut outside = Vec::new();
        for line in lines {
            if *line == begin.as_bytes() {
                inside = true;
            } else if *line == end.as_bytes() {
                inside = false;
            } else if !inside {
                outside.push(line.to_vec());
            }
        }
        outside
    };
    assert_eq!(outside(before), outside(after), "what lies outside the markers was touched");
    let absent = desired.get("state").is_some_and(|state| state == "absent");
    assert_eq!(after.iter().filter(|line| **line == begin.as_bytes()).count(), usize::from(!absent));
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    let contents: [&[u8]; 5] =
        [b"", b"a\nb\n#a\n", b"a\r\nb", b"\xff\0\na\r", b"x\n# BEGIN X\none\n# END X\na\n"];
    let properties = [
        json!({"path": "/x", "line": "a"}),
        json!({"path": "/x", "line": "z", "match": "^#?a", "occurrence": "all"}),
        json!({"path": "/x", "line": "z", "match": "^#?a", "occurrence": "first", "position": "after", "anchor": "b"}),
        json!({"path": "/x", "match": "^$|a", "state": "absent"}),
        json!({"path": "/x", "marker": "# {mark} X", "block": "one\ntwo\n"}),
        json!({"path": "/x", "marker": "# {mark} X", "state": "absent"}),
        json!({"path": "/x", "block": "", "position": "before", "anchor": "^b"}),
    ];
    let mut all = Vec::new();
    for desired in &properties {
        for content in contents {
            let desired = canonical::compact(desired).unwrap();
            all.push(sections::join(&[("desired", desired.as_slice()), ("content", content)]));
        }
    }
    all
}
