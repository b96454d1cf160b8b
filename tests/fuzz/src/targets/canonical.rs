//! Canonical JSON, and the fingerprints of states.

use crate::{Target, sections, seeds};
use rectify_base::{
    Pointer, TypeName, canonical,
    fingerprint::{alike, fingerprint},
};
use serde_json::Value;
use std::path::Path;

pub(super) const TARGET: Target = Target {
    name: "canonical",
    holds: "what is read prints so that it reads the same, and only the printed bytes are a canonical file",
    check,
    seeds,
    max_bytes: 4096,
    replays: 20,
};

fn check(data: &[u8]) {
    let Ok(value) = canonical::parse_strict(data) else {
        assert!(
            canonical::read_file::<Value>(data).is_err() && canonical::read_compact::<Value>(data).is_err()
        );
        return;
    };
    assert_eq!(canonical::check(&value), Ok(()));
    let (file, compact) = (canonical::file_bytes(&value).unwrap(), canonical::compact(&value).unwrap());
    assert_eq!(canonical::compact_value(&value).as_ref(), Ok(&compact));
    for bytes in [&file, &compact] {
        assert_eq!(canonical::parse_strict(bytes).as_ref(), Ok(&value));
    }
    assert_eq!(canonical::read_file(data).ok(), (file == data).then(|| value.clone()));
    assert_eq!(canonical::read_compact(data).ok(), (compact == data).then(|| value.clone()));
    assert_eq!(serde_json::from_slice::<Value>(data).ok().as_ref(), Some(&value), "readers disagree");
}

fn seeds(conformance: &Path) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (_, bytes) in seeds::files(&conformance.join("vectors/canonical-json")) {
        let cases: Value = serde_json::from_slice(&bytes).unwrap();
        texts(&cases, &mut all);
        all.push(bytes);
    }
    all
}

/// Every text in a value: the vectors keep inputs and outputs as texts.
fn texts(value: &Value, all: &mut Vec<Vec<u8>>) {
    match value {
        Value::String(text) => all.push(text.clone().into_bytes()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, all)),
        Value::Object(map) => map.values().for_each(|item| texts(item, all)),
        _ => {}
    }
}

pub(super) const FINGERPRINTS: Target = Target {
    name: "fingerprints",
    holds: "states have one fingerprint exactly if they are equal without what is volatile",
    check: check_states,
    seeds: states,
    max_bytes: 2048,
    replays: 100,
};

fn check_states(data: &[u8]) {
    let sections = sections::split(data);
    let state = |name| sections::find(&sections, name).and_then(|body| canonical::parse_strict(body).ok());
    let (Some(a), Some(b)) = (state("a"), state("b")) else { return };
    let lines = sections::find(&sections, "volatile").unwrap_or_default();
    let lines = String::from_utf8_lossy(lines);
    // Pointers that are none never get here: manifests that hold one are refused.
    let volatile: Vec<Pointer> =
        lines.lines().filter(|line| line.starts_with('/')).take(8).map(Pointer::from).collect();
    let reduced = |state: &Value| {
        let mut state = state.clone();
        volatile.iter().for_each(|pointer| pointer.remove(&mut state));
        state
    };
    let name = TypeName::new("file.content").unwrap();
    let print = |state: &Value, volatile: &[Pointer]| fingerprint(&name, 1, Some(state), volatile).unwrap();
    let equal = reduced(&a) == reduced(&b);
    assert_eq!(print(&a, &volatile), print(&reduced(&a), &[]));
    assert_eq!(print(&a, &volatile) == print(&b, &volatile), equal);
    assert_eq!(alike(Some(&a), Some(&b), &volatile), equal);
}

fn states(_: &Path) -> Vec<Vec<u8>> {
    let file = br#"{"content":{"blake3":"x","size":1,"text":"a"},"kind":"file","mode":"0644"}"#;
    let other = br#"{"content":{"blake3":"x","size":1,"text":"b"},"kind":"file","mode":"0644"}"#;
    let odd = br#"{"a/b":{"~":1},"list":[{"text":1}],"":{"":2}}"#;
    let input = |a: &[u8], b: &[u8], volatile: &str| {
        sections::join(&[("a", a), ("b", b), ("volatile", volatile.as_bytes())])
    };
    vec![
        input(file, other, "/content/text"),
        input(file, file, ""),
        input(odd, odd, "/a~1b/~0\n/list/0/text\n//"),
        input(b"null", b"{}", "/x"),
    ]
}
