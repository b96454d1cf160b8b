//! Hiding values of secrets in what others wrote.

use crate::{Target, sections};
use rectify_base::{Redaction, Secret, SecretName, canonical, secret_text::SecretText};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const TARGET: Target = Target {
    name: "redact",
    holds: "no value of a secret is left in a text or a JSON value, what holds none stays as it is, and a text with secrets has one form",
    check,
    seeds: |_| {
        let key = "-----BEGIN KEY-----\nc29tZXRoaW5nc2VjcmV0\n-----END KEY-----\n";
        let texts = [
            "password=hunter22 and again hunter22hunter22",
            "{\"a\": [\"hunter22\", {\"x hunter22\": \"\\u0068unter22\"}], \"k\": 1}",
            "aHVudGVyMjI= 68756e7465723232 %68unter22",
            "{\"$secret\": [\"a\", {\"name\": \"db\"}]}",
        ];
        let mut all: Vec<Vec<u8>> = texts
            .map(|text| sections::join(&[("secret", "hunter22"), ("secret", "other hunter"), ("text", text)]))
            .to_vec();
        all.push(sections::join(&[("secret", key), ("text", "see c29tZXRoaW5nc2VjcmV0")]));
        all.push(sections::join(&[("secret", "a\"b\\c\té"), ("text", "\"a\\\"b\\\\c\\t\\u00e9\"")]));
        all
    },
    max_bytes: 1024,
    replays: 40,
};

fn check(data: &[u8]) {
    let sections = sections::split(data);
    let texts = |wanted: &'static [u8]| {
        sections
            .iter()
            .filter(move |(name, _)| *name == wanted)
            .filter_map(|(_, body)| std::str::from_utf8(body).ok())
    };
    let names = ["db", "web"].map(|name| SecretName::new(name).unwrap());
    let secrets: Vec<(SecretName, Secret)> =
        names.iter().cloned().zip(texts(b"secret").map(|text| Secret::new(text.to_owned()))).collect();
    let redaction = Redaction::new(secrets.iter().map(|(name, value)| (name, value)));
    // What our own note would hold, or complete, cannot be hidden by it.
    let hidden: Vec<&str> = secrets
        .iter()
        .map(|(_, value)| value.expose())
        .filter(|value| {
            value.len() >= 6 && !value.contains(['(', ')']) && !"(secret db)(secret web)".contains(value)
        })
        .collect();
    for text in texts(b"text") {
        let clean = redaction.text(text);
        for value in &hidden {
            assert!(!clean.contains(value), "{value:?} is left");
        }
        let found = redaction.found(text.as_bytes());
        assert_eq!(found.is_empty(), clean == text, "{found:?}");
        assert!(clean.len() <= text.len() * 4 + 16);
        let Ok(mut value) = canonical::parse_strict(text.as_bytes()) else { continue };
        let before = value.clone();
        let mut said = BTreeSet::new();
        redaction.value(&mut value, &mut said);
        assert_eq!(said.is_empty(), value == before);
        each_text(&value, &mut |text| {
            assert!(hidden.iter().all(|value| !text.contains(value)), "a value is left in {text:?}");
        });
        forms(&before, &secrets);
    }
}

fn each_text(value: &Value, found: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => found(text),
        Value::Array(items) => items.iter().for_each(|item| each_text(item, found)),
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            found(name);
            each_text(value, found);
        }),
        _ => {}
    }
}

/// A text with secrets is read from its one form only, and revealed piece by piece.
fn forms(value: &Value, secrets: &[(SecretName, Secret)]) {
    let Some(text) = SecretText::read(value) else { return };
    assert_eq!(text.to_value(), *value);
    assert!(text.names().count() > 0);
    let values: BTreeMap<SecretName, Secret> = secrets.iter().cloned().collect();
    match text.reveal(&values) {
        Ok(revealed) => {
            let known = text.names().map(|name| values[name].expose().len()).sum::<usize>();
            assert!(revealed.expose().len() >= known);
        }
        Err(name) => assert!(!values.contains_key(&name)),
    }
    assert_eq!(SecretText::read(&json!([value])), None);
}
