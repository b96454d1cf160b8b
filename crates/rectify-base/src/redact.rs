//! Hiding values of secrets in whatever is about to be shown or kept. This is the last wall, not the
//! first: a value should never get that far.
//!
//! A value is looked for as it is, line by line if it has several, and in the forms in which
//! programs print what they were given: base64 (both alphabets, at each alignment within a longer
//! text), hexadecimal, URL-escaped, JSON-escaped (once and twice) and as Rust's `Debug` escapes it.

use crate::{Secret, SecretName, limits::SECRET_MIN_BYTES};
use aho_corasick::{AhoCorasick, MatchKind};
use alloc::{
    borrow::Cow,
    collections::BTreeSet,
    format,
    string::{String, ToString},
    vec::Vec,
};
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use core::fmt::Write;
use serde_json::Value;

/// Shortest line of a value of several lines that is looked for by itself.
const LINE_MIN_BYTES: usize = 12;
/// How the armour of keys and certificates begins; it is no secret.
const ARMOUR: &str = "-----";

/// Finds values of secrets. Empty, it finds nothing and costs nothing.
#[derive(Clone, Default)]
pub struct Redaction {
    automaton: Option<AhoCorasick>,
    /// Whose value each pattern is.
    names: Vec<SecretName>,
}

impl core::fmt::Debug for Redaction {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Redaction(…)")
    }
}

impl Redaction {
    /// Looks for these values. None may be shorter than [`SECRET_MIN_BYTES`]; such a one is not
    /// looked for.
    #[must_use]
    pub fn new<'s>(secrets: impl IntoIterator<Item = (&'s SecretName, &'s Secret)>) -> Self {
        let (mut patterns, mut names) = (Vec::new(), Vec::new());
        for (name, secret) in secrets {
            for form in forms(secret.expose()) {
                patterns.push(form);
                names.push(name.clone());
            }
        }
        if patterns.is_empty() {
            return Self::default();
        }
        let built = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&patterns);
        // Fails only beyond 2^31 patterns or states, which the limits on secrets exclude.
        Self { automaton: built.ok(), names }
    }

    /// Whether there is anything to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.automaton.is_none()
    }

    /// The secrets whose values stand in a text.
    #[must_use]
    pub fn found(&self, bytes: &[u8]) -> BTreeSet<SecretName> {
        let Some(automaton) = &self.automaton else { return BTreeSet::new() };
        automaton.find_iter(bytes).filter_map(|m| self.names.get(m.pattern().as_usize()).cloned()).collect()
    }

    /// The text with `(secret NAME)` in place of values.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(automaton) = &self.automaton else { return Cow::Borrowed(text) };
        let (mut out, mut end) = (String::new(), 0);
        for found in automaton.find_iter(text) {
            let Some(name) = self.names.get(found.pattern().as_usize()) else { continue };
            // Patterns are whole texts, so matches begin and end between characters.
            out.push_str(text.get(end..found.start()).unwrap_or_default());
            let _ = write!(out, "(secret {name})");
            end = found.end();
        }
        if end == 0 {
            return Cow::Borrowed(text);
        }
        out.push_str(text.get(end..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// Hides values in every text of a JSON value, keys included, and says whose.
    pub fn value(&self, value: &mut Value, hidden: &mut BTreeSet<SecretName>) {
        match value {
            Value::String(text) => {
                let found = self.found(text.as_bytes());
                if !found.is_empty() {
                    *text = self.text(text).into_owned();
                    hidden.extend(found);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item, hidden)),
            Value::Object(members) => {
                let keys: Vec<String> =
                    members.keys().filter(|key| !self.found(key.as_bytes()).is_empty()).cloned().collect();
                for key in keys {
                    hidden.extend(self.found(key.as_bytes()));
                    if let Some(member) = members.remove(&key) {
                        members.insert(self.text(&key).into_owned(), member);
                    }
                }
                members.values_mut().for_each(|member| self.value(member, hidden));
            }
            _ => {}
        }
    }
}

/// The texts in which a value may appear.
fn forms(value: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::new();
    if value.len() < SECRET_MIN_BYTES {
        return forms;
    }
    let mut add = |text: &str| {
        for form in spellings(text) {
            if form.len() >= SECRET_MIN_BYTES {
                forms.insert(form);
            }
        }
    };
    add(value);
    if value.contains('\n') {
        let lines = value.lines().map(str::trim).filter(|l| l.len() >= LINE_MIN_BYTES);
        lines.filter(|line| !line.starts_with(ARMOUR)).for_each(&mut add);
    }
    forms
}

fn spellings(text: &str) -> Vec<String> {
    let hex = text.bytes().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    });
    let json = escaped(text);
    let mut all = Vec::from([text.to_string(), hex.to_uppercase(), hex]);
    all.extend([url(text, true, "%20"), url(text, false, "%20"), url(text, true, "+")]);
    all.extend([escaped(&json), ascii(&json), json, text.escape_debug().to_string()]);
    for shift in 0..3 {
        all.push(within(&STANDARD_NO_PAD, text, shift));
        all.push(within(&URL_SAFE_NO_PAD, text, shift));
    }
    all
}

/// What of the base64 of a longer text depends on `text` alone, where it begins `shift` bytes behind a
/// multiple of three.
fn within(engine: &impl base64::Engine, text: &str, shift: usize) -> String {
    let mut bytes = alloc::vec![0_u8; shift];
    bytes.extend_from_slice(text.as_bytes());
    let encoded = zeroize::Zeroizing::new(engine.encode(&bytes));
    let (begin, end) = ((shift * 8).div_ceil(6), bytes.len() * 8 / 6);
    encoded.get(begin..end).unwrap_or_default().to_string()
}

fn escaped(text: &str) -> String {
    let quoted = Value::String(text.to_string()).to_string();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_string()
}

/// JSON as some write it: ASCII only, in UTF-16 units.
fn ascii(json: &str) -> String {
    json.chars().fold(String::new(), |mut out, c| {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
        out
    })
}

fn url(text: &str, upper: bool, space: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b' ' => out.push_str(space),
            _ if upper => out.push_str(&format!("%{byte:02X}")),
            _ => out.push_str(&format!("%{byte:02x}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use base64::Engine as _;
    use proptest::prelude::*;
    use serde_json::json;

    fn redaction(value: &str) -> Redaction {
        let name = SecretName::new("db").unwrap();
        Redaction::new([(&name, &Secret::new(value.into()))])
    }

    #[test]
    fn nothing_is_found_where_there_is_nothing() {
        assert!(Redaction::default().is_empty());
        assert_eq!(Redaction::default().text("abc"), "abc");
        assert!(redaction("short").is_empty());
        assert_eq!(redaction("longer").text("a longer text"), "a (secret db) text");
    }

    #[test]
    fn values_and_keys_of_json_are_covered() {
        let mut value = json!({"hunter22": ["x hunter22", 1], "plain": "text"});
        let mut hidden = BTreeSet::new();
        redaction("hunter22").value(&mut value, &mut hidden);
        assert_eq!(value, json!({"(secret db)": ["x (secret db)", 1], "plain": "text"}));
        assert_eq!(hidden.len(), 1);
    }

    #[test]
    fn lines_of_a_key_are_found_and_its_armour_is_not() {
        let key = "-----BEGIN THING-----\nc29tZXRoaW5nc2VjcmV0\nYW5vdGhlcmxpbmU9\n-----END THING-----\n";
        let text = redaction(key).text("-----BEGIN THING-----\n| c29tZXRoaW5nc2VjcmV0\n").into_owned();
        assert_eq!(text, "-----BEGIN THING-----\n| (secret db)\n");
    }

    proptest! {
        #[test]
        fn no_spelling_survives(value in "[ -~é€😀\n\t]{6,40}", before in "[a-z]{0,5}", after in "[a-z]{0,5}") {
            let wrapped = format!("{before}{value}{after}");
            let json = Value::String(wrapped.clone()).to_string();
            let hex = wrapped.bytes().map(|b| format!("{b:02x}")).collect::<String>();
            let shown = [
                wrapped.clone(),
                Value::String(json.clone()).to_string(),
                json,
                hex.to_uppercase(),
                hex,
                STANDARD_NO_PAD.encode(&wrapped),
                URL_SAFE_NO_PAD.encode(&wrapped),
                url(&wrapped, true, "%20"),
                format!("{wrapped:?}"),
            ];
            let redaction = redaction(&value);
            for text in shown {
                prop_assert!(!redaction.found(text.as_bytes()).is_empty(), "{}", text);
                let hidden = redaction.text(&text).into_owned();
                prop_assert!(redaction.found(hidden.as_bytes()).is_empty(), "{}", hidden);
            }
        }
    }
}
