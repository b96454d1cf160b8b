//! Documents damaged in one place: systematically, and by a list.

use crate::schema::{json, takes, valid};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// A document with one damage, and what the damage is.
pub struct Damaged {
    pub what: String,
    pub document: Value,
}

/// Every place of a document damaged in every way that changes the kind of something: a member more,
/// a member less, a value of another kind. Of places that differ only in an index, the first one.
pub fn systematically(document: &Value) -> Vec<Damaged> {
    let mut places = Vec::new();
    collect(document, String::new(), String::new(), &mut BTreeSet::new(), &mut places);
    let mut found = Vec::new();
    let mut add = |what: String, pointer: &str, change: &dyn Fn(&mut Value)| {
        let mut damaged = document.clone();
        change(damaged.pointer_mut(pointer).unwrap());
        if damaged != *document {
            found.push(Damaged { what, document: damaged });
        }
    };
    let others = [
        Value::Null,
        Value::Bool(true),
        json!(7),
        json!(-1),
        json!(9_007_199_254_740_992_u64),
        json!("x"),
        json!(""),
        json!([]),
        json!({}),
    ];
    for place in &places {
        let value = document.pointer(place).unwrap();
        for other in &others {
            add(format!("{place} := {other}"), place, &|value| *value = other.clone());
        }
        if let Value::Object(members) = value {
            add(format!("{place} + unexpected"), place, &|value| {
                value.as_object_mut().unwrap().insert("unexpected".into(), json!(1));
            });
            for name in members.keys() {
                add(format!("{place} - {name}"), place, &|value| {
                    value.as_object_mut().unwrap().remove(name);
                });
            }
        }
    }
    found
}

fn collect(
    value: &Value,
    place: String,
    shape: String,
    seen: &mut BTreeSet<String>,
    places: &mut Vec<String>,
) {
    // Kinds of values belong to the shape: the elements of a list may be of several.
    let kind = match value {
        Value::Object(members) => members.keys().cloned().collect::<Vec<_>>().join(","),
        Value::Array(_) => "[]".into(),
        _ => "scalar".into(),
    };
    if seen.insert(format!("{shape} {kind}")) {
        places.push(place.clone());
    }
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let token = name.replace('~', "~0").replace('/', "~1");
                collect(member, format!("{place}/{token}"), format!("{shape}/{token}"), seen, places);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, format!("{place}/{index}"), format!("{shape}/*"), seen, places);
            }
        }
        _ => {}
    }
}

/// Schema, document, place, what is put there; nothing: it is removed.
const LIST: &[(&str, &str, &str, &str)] = &[
    ("plan", "plan.json", "/format", "\"rectify.plan/v2\""),
    ("plan", "plan.json", "/graph/blake3", "\"blake3:00\""),
    (
        "plan",
        "plan.json",
        "/graph/sha256",
        "\"SHA256:0000000000000000000000000000000000000000000000000000000000000000\"",
    ),
    ("plan", "plan.json", "/planned_at", "\"2026-01-01T00:00:00Z\""),
    ("plan", "plan.json", "/limits/changes_max", "1.5"),
    ("plan", "plan.json", "/limits/parallel_steps", "4294967296"),
    ("plan", "plan.json", "/steps/0/address", "\"no-slash\""),
    ("plan", "plan.json", "/steps/0/action", "\"erase\""),
    ("plan", "plan.json", "/steps/0/target", "\"Capital\""),
    ("plan", "plan.json", "/steps/0/type", "\"file\""),
    ("plan", "plan.json", "/steps/0/expect", ""),
    ("plan", "plan.json", "/steps/0/undo/grade", "\"perhaps\""),
    ("plan", "plan.json", "/steps/0/prediction", "null"),
    ("plan", "plan.json", "/steps/0/hidden", "true"),
    ("plan", "plan.json", "/waves/0", "\"app-1\""),
    ("plan", "plan.json", "/counts/create", "-1"),
    ("plan", "plan.json", "/targets/app-1/identity", "{\"host\": \"app-1\"}"),
    ("graph", "graph.json", "/format", ""),
    ("graph", "graph.json", "/nodes/0/edges", "null"),
    ("graph", "graph.json", "/nodes/0/desired", "[]"),
    ("graph", "graph.json", "/gates/0/within_s", "\"30s\""),
    ("graph", "graph.json", "/targets/Upper", "{}"),
    ("observation", "observation.app-1.json", "/entries/0/answer", "{\"unchanged\": {\"seen\": 1}}"),
    ("observation", "observation.app-1.json", "/entries/0/answer", "{\"guessed\": {}}"),
    ("observation", "observation.app-1.json", "/identity", "{\"machine\": \"m\"}"),
    ("observation", "observation.app-1.json", "/observed_at", "0"),
    ("report", "report.json", "/entries/0/reason/kind", "\"because\""),
    ("report", "report.json", "/entries/0/reason", "{\"kind\": \"triggered\"}"),
];

#[test]
fn each_of_a_list_of_damages_is_refused() {
    for (schema, file, place, text) in LIST {
        let mut document = json(&format!("conformance/cases/plans/valid/{file}"));
        valid(schema, file, &document);
        let (parent, name) = place.rsplit_once('/').unwrap();
        let parent = document.pointer_mut(parent).unwrap_or_else(|| panic!("{file} has no {parent}"));
        let value = if text.is_empty() { None } else { Some(serde_json::from_str::<Value>(text).unwrap()) };
        match (parent, value) {
            (Value::Object(members), Some(value)) => {
                members.insert(name.to_owned(), value);
            }
            (Value::Object(members), None) => {
                assert!(members.remove(name).is_some(), "{file} has no {place}");
            }
            (Value::Array(items), Some(value)) => items[name.parse::<usize>().unwrap()] = value,
            (other, _) => panic!("{place}: {other}"),
        }
        assert!(!takes(schema, &document), "{schema} takes {file} with {place} = {text}");
    }
}

#[test]
fn an_envelope_and_a_statement_of_another_shape_are_refused() {
    let envelope = json("conformance/vectors/dsse/approval/envelope.json");
    for damaged in systematically(&envelope) {
        // A key id is only a hint, any text; and an empty payload is base64.
        let hint = damaged.what.contains("/keyid := \"");
        let empty = damaged.what == "/payload := \"\"";
        assert_eq!(takes("envelope", &damaged.document), hint || empty, "{}", damaged.what);
    }
    let mut many = envelope.clone();
    let first = envelope["signatures"][0].clone();
    many["signatures"] = vec![first; 17].into();
    assert!(!takes("envelope", &many));
    let statement = |uri: &str, predicate: Map<String, Value>| {
        let digest = json!({"blake3": "0".repeat(64), "sha256": "0".repeat(64)});
        json!({
            "_type": "https://in-toto.io/Statement/v1",
            "predicateType": uri,
            "predicate": predicate,
            "subject": [{"name": "plan", "digest": digest}],
        })
    };
    let approval =
        json!({"use": "0".repeat(32), "approver": "alice@example.org", "expires_at": 1, "verdict": "yes"});
    let approval = approval.as_object().unwrap().clone();
    valid("statement", "an approval", &statement("urn:rectify:approval:v1", approval.clone()));
    for uri in ["urn:rectify:seal:v1", "urn:rectify:approval:v2", ""] {
        assert!(!takes("statement", &statement(uri, approval.clone())), "{uri}");
    }
}
