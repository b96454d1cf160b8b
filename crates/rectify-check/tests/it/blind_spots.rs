//! There is no member of a plan that could be altered or left out without a note, but for a few
//! that carry words only.

use crate::fixture::valid;
use rectify_check::check;
use rectify_model::Plan;
use serde_json::{Value, json};

/// Every place in a value, root first.
fn places(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places(item, &format!("{at}/{index}"), out);
            }
        }
        Value::Object(map) => {
            for (name, item) in map {
                places(item, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), out);
            }
        }
        _ => {}
    }
}

/// Words that stand for each other somewhere in a plan.
const WORDS: &[&[&str]] = &[
    &["exact", "conditional", "opaque"],
    &["lossy", "none", "exact"],
    &["create", "update", "replace", "delete", "run"],
    &["reload", "restart", "reboot"],
    &["once", "converge", "query"],
    &["resource", "action", "probe", "fact"],
    &["after", "implied", "on_change"],
    &["read", "write"],
    &["auto", "manual"],
    &["app-1", "app-2"],
    &["web/conf", "web/line", "base/dir", "web/migrate"],
    &["file.content", "file.line", "file.absent", "command.run"],
];

/// Other values of the same kind, of which some will parse.
fn others(value: &Value) -> Vec<Value> {
    match value {
        Value::Null | Value::Object(_) => vec![],
        Value::Bool(yes) => vec![json!(!yes)],
        Value::Number(number) => vec![json!(number.as_i64().unwrap() + 1)],
        Value::Array(items) => {
            let mut reversed = items.clone();
            reversed.reverse();
            vec![json!([]), Value::Array(reversed)]
        }
        Value::String(text) => {
            let flipped = text
                .strip_suffix(|c: char| c.is_ascii_hexdigit())
                .map(|rest| format!("{rest}{}", if text.ends_with('0') { '1' } else { '0' }));
            // Of a word with a fixed meaning, all its alternatives.
            let groups = WORDS.iter().filter(|group| group.contains(&text.as_str()));
            let alternatives = groups.flat_map(|group| group.iter().map(|word| (*word).to_owned()));
            alternatives.chain(flipped).chain([format!("{text}x")]).map(Value::String).collect()
        }
    }
}

/// Words that explain, and that nothing is decided by.
fn only_words(place: &str) -> bool {
    place.ends_with("/undo/note") || place.ends_with("/reason") || place == "/deferred/1/message"
}

#[test]
fn every_alteration_of_a_plan_is_noted() {
    let documents = valid();
    let plan = documents.plan().unwrap().plan;
    let original = serde_json::to_value(&plan).unwrap();
    let mut all = Vec::new();
    places(&original, "", &mut all);
    let (mut tried, mut unseen) = (0, Vec::new());
    let mut attempt = |altered: Value, what: String| {
        let Ok(altered) = serde_json::from_value::<Plan>(altered) else { return };
        if altered == plan {
            return;
        }
        tried += 1;
        // Which target goes first is the planner's choice.
        if altered.waves != plan.waves && altered.waves.concat().len() == 2 && altered.waves.len() == 2 {
            return;
        }
        if check(&altered, &documents.graph, &documents.observations, documents.graph_digests).is_empty() {
            unseen.push(what);
        }
    };
    for place in all.iter().filter(|place| !place.is_empty() && !only_words(place)) {
        for other in others(original.pointer(place).unwrap()) {
            let what = format!("{place} = {other}");
            let mut altered = original.clone();
            *altered.pointer_mut(place).unwrap() = other;
            attempt(altered, what);
        }
        let (parent, last) = place.rsplit_once('/').unwrap();
        let last = last.replace("~1", "/").replace("~0", "~");
        let mut altered = original.clone();
        match altered.pointer_mut(parent).unwrap() {
            Value::Array(items) => drop(items.remove(last.parse().unwrap())),
            Value::Object(map) => drop(map.remove(&last)),
            _ => continue,
        }
        attempt(altered, format!("without {place}"));
    }
    assert!(tried > 1_000, "only {tried} alterations");
    assert!(unseen.is_empty(), "{}", unseen.join("\n"));
}
