//! `file.yaml`: every byte outside the edited value stays, and what cannot be kept is refused.

use crate::{
    json::{place, put, value},
    settings::{after, after_bytes, refused},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::ops::Range;

fn ya(before: &str, desired: &Value) -> String {
    after("file.yaml", before, desired)
}

fn set(key: Value, value: impl Into<Value>) -> Value {
    json!({"key": key, "value": value.into()})
}

fn unset(key: Value) -> Value {
    json!({"key": key, "state": "absent"})
}

const CONFIG: &str = "\
# The server.
server:   # here
  port: 80 # plain
  name: \"a\"
  tls: 'x'

  # Who may.
  allow:
  - 10.0.0.1   # one
  - 10.0.0.2
  empty:
log: {level: info, to: [a, b]}
text: |
  one
  two

folded: >-
  a
  b
last: end
";

#[test]
fn scalars_are_replaced_in_their_place() {
    for (key, value, from, to) in [
        (json!(["server", "port"]), json!(8080), "80 # plain", "8080 # plain"),
        (json!(["server", "port"]), json!("yes"), "80 # plain", "\"yes\" # plain"),
        (json!(["server", "name"]), json!("b"), "\"a\"", "\"b\""),
        (json!(["server", "tls"]), json!("it's"), "'x'", "'it''s'"),
        (json!(["server", "tls"]), json!(null), "'x'", "null"),
        (json!(["server", "allow", 0]), json!("::1"), "10.0.0.1   #", "\"::1\"   #"),
        (json!(["server", "empty"]), json!("ü"), "empty:", "empty: ü"),
        (json!(["log", "level"]), json!("warn"), "info", "warn"),
        (json!(["log", "to", 1]), json!("c, d"), "b]", "\"c, d\"]"),
        (json!(["text"]), json!("three"), "|\n  one\n  two\n", "three\n"),
        (json!(["folded"]), json!("x\ny\n"), ">-\n  a\n  b\n", "|\n  x\n  y\n"),
        (json!(["last"]), json!("x\n y"), "end", "|-\n  x\n   y"),
        (json!(["last"]), json!(" x\n"), "end", "\" x\\n\""),
    ] {
        assert_eq!(ya(CONFIG, &set(key, value)), CONFIG.replace(from, to));
    }
    for (key, value) in [
        (json!(["server", "allow"]), json!(["10.0.0.1", "10.0.0.2"])),
        (json!(["server", "empty"]), json!(null)),
        (json!(["log"]), json!({"to": ["a", "b"], "level": "info"})),
        (json!(["text"]), json!("one\ntwo\n")),
        (json!(["folded"]), json!("a b")),
    ] {
        assert_eq!(ya(CONFIG, &set(key, value)), CONFIG, "it is so already");
    }
    let literal = json!({"key": ["server", "port"], "literal": "0.5"});
    assert_eq!(ya(CONFIG, &literal), CONFIG.replace("80 # plain", "0.5 # plain"));
}

#[test]
fn what_is_missing_is_written_as_what_is_near() {
    for (key, value, from, to) in [
        (json!(["new"]), json!("x"), "last: end\n", "last: end\nnew: x\n"),
        (json!(["server", "new"]), json!(1), "  empty:\n", "  empty:\n  new: 1\n"),
        (json!(["server", "empty", "a", "b"]), json!(1), "  empty:\n", "  empty:\n    a:\n      b: 1\n"),
        (json!(["server", "allow", 2]), json!("c"), "10.0.0.2\n", "10.0.0.2\n  - c\n"),
        (
            json!(["server", "allow", 2]),
            json!({"a": 1, "b": [2, []]}),
            "10.0.0.2\n",
            "10.0.0.2\n  - a: 1\n    b:\n    - 2\n    - []\n",
        ),
        (json!(["server", "empty"]), json!([1]), "  empty:\n", "  empty:\n  - 1\n"),
        (json!(["log", "new"]), json!({"a": "b"}), "[a, b]}", "[a, b], new: {a: b}}"),
        (json!(["log", "to", 2]), json!(""), "b]", "b, \"\"]"),
        (json!(["text"]), json!({"a": 1}), "text: |\n  one\n  two\n", "text:\n  a: 1\n"),
        (json!(["server", "port"]), json!({"a": 1}), "port: 80 # plain", "port:\n    a: 1 # plain"),
    ] {
        assert_eq!(ya(CONFIG, &set(key, value)), CONFIG.replace(from, to));
    }
    for (before, wanted) in [
        ("", "a:\n  b: 1\n"),
        ("# only\n", "# only\na:\n  b: 1\n"),
        ("# only", "# only\na:\n  b: 1\n"),
        ("---\n", "---\na:\n  b: 1\n"),
        ("--- # x\n# y\n", "--- # x\na:\n  b: 1\n# y\n"),
        ("{}\n", "{a: {b: 1}}\n"),
        ("c: 1", "c: 1\na:\n  b: 1"),
        ("c: 1\r\n", "c: 1\r\na:\r\n  b: 1\r\n"),
        ("\u{feff}c: 1\n", "\u{feff}c: 1\na:\n  b: 1\n"),
        ("c:\n    d: 1\n", "c:\n    d: 1\na:\n    b: 1\n"),
        ("a: # why\n# more\nc: 1\n", "a: # why\n  b: 1\n# more\nc: 1\n"),
        ("a: {}\n", "a: {b: 1}\n"),
        ("a:\n  c: |+\n    x\n\n\nd: 1\n", "a:\n  c: |+\n    x\n\n\n  b: 1\nd: 1\n"),
        ("a:\n  c: |\n    x\n\nd: 1\n", "a:\n  c: |\n    x\n  b: 1\n\nd: 1\n"),
        ("{\n  \"a\": {\n    \"c\": 1\n  }\n}\n", "{\n  \"a\": {\n    \"c\": 1,\n    \"b\": 1\n  }\n}\n"),
        ("a:\n  c: 1\n...\n", "a:\n  c: 1\n  b: 1\n...\n"),
        ("%YAML 1.2\n---\na:\n  c: 1\n", "%YAML 1.2\n---\na:\n  c: 1\n  b: 1\n"),
    ] {
        assert_eq!(ya(before, &set(json!(["a", "b"]), 1)), wanted, "{before:?}");
    }
    let list = "- a: 1\n  b: 2\n-   c: 3\n- - x\n";
    assert_eq!(ya(list, &set(json!([0, "m"]), 1)), "- a: 1\n  b: 2\n  m: 1\n-   c: 3\n- - x\n");
    assert_eq!(ya(list, &set(json!([1, "m"]), 1)), "- a: 1\n  b: 2\n-   c: 3\n    m: 1\n- - x\n");
    assert_eq!(ya(list, &set(json!([2, 1]), "z")), "- a: 1\n  b: 2\n-   c: 3\n- - x\n  - z\n");
    assert_eq!(ya(list, &set(json!([3]), json!([[1]]))), "- a: 1\n  b: 2\n-   c: 3\n- - x\n- - - 1\n");
}

#[test]
fn keys_are_removed_with_their_lines() {
    for (key, from, to) in [
        (json!(["server", "port"]), "  port: 80 # plain\n", ""),
        (json!(["server", "allow"]), "  allow:\n  - 10.0.0.1   # one\n  - 10.0.0.2\n", ""),
        (json!(["server", "empty"]), "  empty:\n", ""),
        (json!(["log", "level"]), "level: info, ", ""),
        (json!(["log", "to"]), ", to: [a, b]", ""),
        (json!(["text"]), "text: |\n  one\n  two\n", ""),
        (json!(["no"]), "", ""),
        (json!(["last", "no"]), "", ""),
    ] {
        assert_eq!(ya(CONFIG, &unset(key)), CONFIG.replace(from, to));
    }
    for (before, key, wanted) in [
        ("a: 1\n", json!(["a"]), "{}\n"),
        ("a:\n  # why\n  b: 1\n# c\n", json!(["a", "b"]), "a: {}\n  # why\n# c\n"),
        ("a: # x\n  b:\n    c: 1\nd: 1", json!(["a", "b"]), "a: {} # x\nd: 1"),
        ("- b: 1\n- 2\n", json!([0, "b"]), "- {}\n- 2\n"),
        ("- b: 1\n  c: 2\n", json!([0, "b"]), "- c: 2\n"),
        ("-\n  b: 1\n", json!([0, "b"]), "- {}\n"),
        ("a: 1\nb: 2", json!(["b"]), "a: 1"),
        ("a: {b: 1}", json!(["a", "b"]), "a: {}"),
        ("a: { b: 1, c: 2, }", json!(["a", "c"]), "a: { b: 1, }"),
    ] {
        assert_eq!(ya(before, &unset(key)), wanted, "{before:?}");
    }
}

#[test]
fn collections_are_replaced_as_a_whole() {
    let before = "a: # top\n  # first\n  b: 1\n  c: 2 # two\nd: [1]\ne:\n- 1\n- 2\nf: 1\n";
    for (key, value, from, to) in [
        (json!(["a"]), json!(5), "a: # top\n  # first\n  b: 1\n  c: 2 # two", "a: 5 # top # two"),
        (json!(["d"]), json!([1, 2]), "[1]", "[1, 2]"),
        (json!(["d"]), json!({"x": []}), "[1]", "{x: []}"),
        (json!(["d"]), json!(true), "[1]", "true"),
        (json!(["e"]), json!([3]), "- 1\n- 2", "- 3"),
        (json!(["e"]), json!([]), "e:\n- 1\n- 2", "e: []"),
        (json!(["e", 0]), json!([3]), "- 1", "- - 3"),
        (json!(["f"]), json!({"z": "off"}), "f: 1", "f:\n  z: \"off\""),
    ] {
        assert_eq!(ya(before, &set(key, value)), before.replace(from, to));
    }
}

#[test]
fn what_cannot_be_edited_is_refused_with_its_place() {
    for (before, desired, message) in [
        ("a: [", set(json!(["a"]), 1), "Unsupported /path: the file is not YAML (line "),
        ("a: 1\n---\nb: 1\n", set(json!(["a"]), 2), "Unsupported /path: the file holds 2 documents"),
        ("a: &x 1\nb: *x\n", set(json!(["a"]), 2), "Unsupported /key: `a` has an anchor"),
        ("a: &x 1\nb: *x\n", set(json!(["b"]), 2), "Unsupported /key: `b` is an alias"),
        ("a: &x {c: 1}\nb: *x\n", set(json!(["a", "c"]), 2), "Unsupported /key: `a` has an anchor"),
        ("a: &x {c: 1}\nb: *x\n", set(json!(["b", "c"]), 2), "Unsupported /key: `b` is an alias"),
        ("a: {c: &x 1}\nb: *x\n", set(json!(["a"]), 2), "Unsupported /key: `a` holds an anchor"),
        ("a:\n  c: &x 1\nb: *x\n", unset(json!(["a"])), "Unsupported /key: `a` holds an anchor"),
        ("a: !vault 1\n", set(json!(["a"]), 2), "Unsupported /key: `a` has a tag"),
        ("a: !!map {c: 1}\n", set(json!(["a", "c"]), 2), "Unsupported /key: `a` has a tag"),
        ("&k a: 1\n", set(json!(["a"]), 2), "Unsupported /key: `a` has an anchor"),
        (
            "x: &x {q: 1}\na:\n  <<: *x\n",
            unset(json!(["a", "q"])),
            "Unsupported /key: `a` merges another mapping (`<<`)",
        ),
        ("a: 1\na: 2\n", set(json!(["a"]), 2), "Unsupported /key: the key `a` stands there twice"),
        ("? a\n: 1\n", set(json!(["a"]), 2), "Unsupported /key: `a` has no `:` behind its key"),
        ("a: x\n", set(json!(["a", "b"]), 2), "Conflict /key: `a` holds a text, not a mapping"),
        ("a: ~\n", set(json!(["a", "b"]), 2), "Conflict /key: `a` holds null, not a mapping"),
        ("a: [1]\n", set(json!(["a", 3]), 2), "Conflict /key: the list `a` has 1 items"),
        ("a: {}\n", set(json!(["a", 0]), 2), "Conflict /key: `a` holds a mapping, not a list"),
        ("- 1\n", set(json!(["a"]), 2), "Conflict /key: the file holds a list, not a mapping"),
        (
            "- b: 1 # one\n  c: 1\n",
            unset(json!([0, "b"])),
            "Unsupported /key: `0 › b` stands beside a comment",
        ),
    ] {
        let got = refused("file.yaml", before, &desired);
        assert!(got.starts_with(message), "{before:?}: {got}");
    }
    // Elsewhere they do not matter.
    let before = "x: &x {q: !t 1}\na:\n  <<: *x\n  c: 1\n? [k]\n: v\n";
    assert_eq!(ya(before, &set(json!(["a", "c"]), 2)), before.replace("c: 1", "c: 2"));
    assert_eq!(ya(before, &set(json!(["a", "q"]), 2)), before.replace("c: 1\n", "c: 1\n  q: 2\n"));
    let message = refused("file.yaml", b"a: \xff\n", &set(json!(["a"]), 1));
    assert_eq!(message, "Unsupported /path: the file is not UTF-8: see the byte at offset 3");
}

#[test]
fn literals_are_put_in_as_they_are_or_refused() {
    let message = refused("file.yaml", "", &json!({"key": ["a"], "literal": "1 # one"}));
    assert!(message.starts_with("Schema /literal:"), "{message}");
    let date = json!({"key": ["a"], "literal": "2026-01-31"});
    assert_eq!(ya("a: [1]\n", &date), "a: 2026-01-31\n");
    assert_eq!(ya("", &date), "a: 2026-01-31\n");
}

#[test]
fn keys_that_other_readers_take_for_something_else_are_found_and_quoted() {
    assert_eq!(ya("on: push\n8080: a\n", &set(json!(["on"]), "x")), "on: x\n8080: a\n");
    assert_eq!(ya("on: push\n8080: a\n", &set(json!(["8080"]), "b")), "on: push\n8080: b\n");
    assert_eq!(ya("", &set(json!(["on"]), "off")), "\"on\": \"off\"\n");
}

/// Writes a tree in many ways, and notes where each member stands.
struct Emitter<'r> {
    out: String,
    unit: usize,
    indentless: bool,
    random: &'r [u8],
    at: usize,
    places: Vec<(Vec<Value>, Range<usize>)>,
}

impl Emitter<'_> {
    fn dice(&mut self, sides: u8) -> u8 {
        self.at += 1;
        self.random[self.at % self.random.len()].wrapping_add((self.at / self.random.len()) as u8) % sides
    }

    fn pad(&mut self, column: usize) {
        self.out.push_str(&" ".repeat(column));
    }

    fn comment_line(&mut self, column: usize) {
        match self.dice(8) {
            0 => {
                self.pad(column);
                let number = self.at;
                self.out.push_str(&format!("# note {number}\n"));
            }
            1 => self.out.push('\n'),
            _ => {}
        }
    }

    fn end_line(&mut self) {
        if self.dice(6) == 0 {
            let number = self.at;
            self.out.push_str(&format!("  # beside {number}"));
        }
        self.out.push('\n');
    }

    fn text(&mut self, text: &str, flow: bool) {
        let word = !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_lowercase())
            && !["yes", "true", "null"].contains(&text);
        let simple = text.chars().all(|c| c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric());
        match self.dice(3) {
            0 if word => self.out.push_str(text),
            1 if simple && !flow => self.out.push_str(&format!("'{}'", text.replace('\'', "''"))),
            _ => {
                self.out.push('"');
                for c in text.chars() {
                    match c {
                        '"' | '\\' => self.out.extend(['\\', c]),
                        ' '..='~' => self.out.push(c),
                        c if c.is_alphanumeric() => self.out.push(c),
                        c => self.out.push_str(&format!("\\U{:08x}", u32::from(c))),
                    }
                }
                self.out.push('"');
            }
        }
    }

    fn scalar(&mut self, value: &Value, flow: bool) {
        match value {
            Value::String(text) => self.text(text, flow),
            other => self.out.push_str(&other.to_string()),
        }
    }

    fn flow(&mut self, value: &Value, place: &mut Vec<Value>) {
        match value {
            Value::Array(items) => {
                self.out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.out.push_str(", ");
                    }
                    let start = self.out.len();
                    place.push(index.into());
                    self.flow(item, place);
                    self.places.push((place.clone(), start..self.out.len()));
                    place.pop();
                }
                self.out.push(']');
            }
            Value::Object(members) => {
                self.out.push('{');
                for (index, (key, member)) in members.iter().enumerate() {
                    if index > 0 {
                        self.out.push_str(", ");
                    }
                    let start = self.out.len();
                    self.text(key, true);
                    self.out.push_str(": ");
                    place.push(key.as_str().into());
                    self.flow(member, place);
                    self.places.push((place.clone(), start..self.out.len()));
                    place.pop();
                }
                self.out.push('}');
            }
            scalar => self.scalar(scalar, true),
        }
    }

    fn map(
        &mut self,
        members: &serde_json::Map<String, Value>,
        column: usize,
        inline: bool,
        place: &mut Vec<Value>,
    ) {
        for (index, (key, member)) in members.iter().enumerate() {
            if !(inline && index == 0) {
                self.comment_line(column);
                self.pad(column);
            }
            let start = self.out.len();
            self.text(key, false);
            self.out.push(':');
            place.push(key.as_str().into());
            self.value(member, column, false, place);
            let end = self.out.trim_end_matches('\n').len();
            self.places.push((place.clone(), start..end));
            place.pop();
        }
    }

    fn list(&mut self, items: &[Value], column: usize, inline: bool, place: &mut Vec<Value>) {
        for (index, item) in items.iter().enumerate() {
            if !(inline && index == 0) {
                self.comment_line(column);
                self.pad(column);
            }
            let start = self.out.len();
            self.out.push('-');
            place.push(index.into());
            self.value(item, column, true, place);
            let end = self.out.trim_end_matches('\n').len();
            self.places.push((place.clone(), start..end));
            place.pop();
        }
    }

    /// What stands behind a key or a dash in this column.
    fn value(&mut self, value: &Value, column: usize, item: bool, place: &mut Vec<Value>) {
        let block = self.dice(4) != 0;
        match value {
            Value::Array(items) if !items.is_empty() && block => {
                if item && self.dice(2) == 0 {
                    self.out.push(' ');
                    return self.list(items, column + 2, true, place);
                }
                self.end_line();
                let deeper = if self.indentless && !item { 0 } else { self.unit };
                self.list(items, column + deeper, false, place);
            }
            Value::Object(members) if !members.is_empty() && block => {
                if item && self.dice(2) == 0 {
                    self.out.push(' ');
                    return self.map(members, column + 2, true, place);
                }
                self.end_line();
                self.map(members, column + self.unit, false, place);
            }
            Value::Null if self.dice(2) == 0 => self.end_line(),
            Value::String(text) if text == "a\nb\n" && block => {
                self.out.push_str(" |\n");
                for line in ["a\n", "b\n"] {
                    self.pad(column + self.unit);
                    self.out.push_str(line);
                }
            }
            value => {
                self.out.push(' ');
                self.flow(value, place);
                self.end_line();
            }
        }
    }
}

fn emit(tree: &Value, random: &[u8], places: &mut Vec<(Vec<Value>, Range<usize>)>) -> String {
    let mut emitter =
        Emitter { out: String::new(), unit: 2, indentless: false, random, at: 0, places: Vec::new() };
    emitter.unit = [2, 4, 3][usize::from(emitter.dice(3))];
    emitter.indentless = emitter.dice(2) == 0;
    if emitter.dice(3) == 0 {
        emitter.out.push_str("---\n");
    }
    match tree {
        Value::Object(members) if !members.is_empty() => emitter.map(members, 0, false, &mut Vec::new()),
        Value::Array(items) if !items.is_empty() => emitter.list(items, 0, false, &mut Vec::new()),
        other => {
            emitter.flow(other, &mut Vec::new());
            emitter.out.push('\n');
        }
    }
    *places = emitter.places;
    emitter.out
}

fn read(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|e| panic!("{text:?}: {e}"))
}

/// Nothing and an empty file are one to a reader, and not to us.
fn tree() -> impl Strategy<Value = Value> {
    value().prop_filter("a mapping or a list", |value| value.is_object() || value.is_array())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_global_rejects: 100_000, max_local_rejects: 100_000, ..ProptestConfig::with_cases(1500) })]
    #[test]
    fn the_tree_is_as_asked_and_the_other_bytes_stay(
        tree in tree(),
        random in prop::collection::vec(any::<u8>(), 1..24),
        crlf in any::<bool>(),
        choices in prop::collection::vec(any::<u8>(), 1..4),
        wanted in prop::option::of(value()),
    ) {
        let place = place(&tree, &choices);
        let by_name = place.last().is_some_and(Value::is_string);
        let wanted = if by_name { wanted } else { Some(wanted.unwrap_or_default()) };
        let mut places = Vec::new();
        let mut before = emit(&tree, &random, &mut places);
        let crlf = crlf && before.contains('\n');
        if crlf {
            for (_, range) in &mut places {
                let breaks = |end: usize| before[..end].matches('\n').count();
                *range = range.start + breaks(range.start)..range.end + breaks(range.end);
            }
            before = before.replace('\n', "\r\n");
        }
        prop_assert_eq!(&read(&before), &tree, "the test wrote something else");
        let mut expected = tree.clone();
        let mut possible = put(&mut expected, &place, wanted.as_ref()).is_some();
        if !possible && wanted.is_some() {
            // Nothing behind a colon may become a mapping or a list.
            possible = after_bytes("file.yaml", before.as_bytes(), &json!({"key": place, "value": wanted})).is_ok();
            if possible {
                return Ok(());
            }
        }
        let desired = match &wanted {
            Some(value) => json!({"key": place, "value": value}),
            None => json!({"key": place, "state": "absent"}),
        };
        let result = after_bytes("file.yaml", before.as_bytes(), &desired);
        let Ok(bytes) = result else {
            let error = result.unwrap_err();
            let beside = error.message.contains("beside a comment");
            prop_assert!(!possible || beside, "{desired} in {before:?}: {error}");
            return Ok(());
        };
        let text = String::from_utf8(bytes).unwrap();
        prop_assert_eq!(read(&text), expected, "{} in {:?} gives {:?}", desired, before, text);
        if crlf {
            prop_assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
        }
        let head = before.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
        let most = before.len().min(text.len()) - head;
        let tail = before.bytes().rev().zip(text.bytes().rev()).take(most).take_while(|(a, b)| a == b).count();
        let gone = head..before.len() - tail;
        let own = places.iter().find(|(other, _)| *other == place).map(|(_, range)| range.clone());
        let above = places.iter().find(|(other, _)| *other == place[..place.len() - 1]).map(|(_, range)| range.clone());
        match own {
            Some(own) => {
                // A removed member goes with its comma, its line, or leaves `{}` behind what it was in.
                let (start, end) = match (&wanted, above) {
                    (Some(_), _) => (own.start, own.end),
                    (None, Some(above)) => (above.start, before[own.end..].find(|c: char| c.is_alphanumeric() || c == '}').map_or(before.len(), |at| own.end + at)),
                    (None, None) => (0, before.len()),
                };
                prop_assert!(
                    gone.is_empty() || (gone.start + 1 >= start && gone.end <= end + 1),
                    "{} in {:?} took {:?}", desired, before, &before[gone]
                );
                let notes = |text: &str| text.matches("# note").count();
                let inside = notes(&before[own]);
                prop_assert!(notes(&before) - notes(&text) <= inside);
            }
            None => prop_assert!(gone.is_empty() || before[gone.clone()].trim().is_empty(), "{:?}", &before[gone]),
        }
    }

    #[test]
    fn a_value_that_is_written_is_read_back(value in value(), key in "\\PC{1,4}") {
        let text = ya("", &json!({"key": [key.clone()], "value": value}));
        prop_assert_eq!(read(&text), json!({key.clone(): value}), "{}", text);
        let text = ya("a: {b: 1}\n", &json!({"key": ["a", key.clone()], "value": value}));
        prop_assert_eq!(&read(&text)["a"][&key], &value, "{}", text);
    }

    #[test]
    fn any_text_is_edited_soundly_or_refused(text in "[ab:#\\-?\\[\\]{},'\"|> \n&*!%0~.]{0,24}", value in value()) {
        for desired in [json!({"key": ["a"], "value": value}), json!({"key": ["a", "b"], "value": value}), json!({"key": [0], "value": value}), json!({"key": ["a"], "state": "absent"})] {
            let _ = after_bytes("file.yaml", text.as_bytes(), &desired);
        }
    }
}
