//! `facts.os`: what the os-release file says.

use crate::{Answer, Told, source::Files};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The administrator's copy first, as os-release(5) says.
const PATHS: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];
const FILE_MAX_BYTES: usize = 64 * 1024;
/// Systems that others descend from.
const FAMILIES: [&str; 7] = ["debian", "rhel", "fedora", "suse", "arch", "alpine", "gentoo"];

pub(crate) fn tell(files: &Files<'_>) -> Answer {
    for path in PATHS {
        if let Some(bytes) = files.read(path, FILE_MAX_BYTES)? {
            return Ok(Told::Value(os(&String::from_utf8_lossy(&bytes))));
        }
    }
    Ok(Told::Absent(format!("there is neither {} nor {}", PATHS[0], PATHS[1])))
}

/// What matters of an os-release file. What it does not say is left out.
pub(crate) fn os(text: &str) -> Value {
    let said = parse(text);
    let mut facts = Map::new();
    for (name, key) in [
        ("id", "ID"),
        ("version_id", "VERSION_ID"),
        ("codename", "VERSION_CODENAME"),
        ("variant_id", "VARIANT_ID"),
    ] {
        if let Some(value) = said.get(key).filter(|value| !value.is_empty()) {
            facts.insert(name.into(), value.as_str().into());
        }
    }
    let id = said.get("ID").map(String::as_str).unwrap_or_default();
    let like: Vec<&str> =
        said.get("ID_LIKE").map(|text| text.split_whitespace().collect()).unwrap_or_default();
    let family = std::iter::once(id).chain(like.iter().copied()).find(|name| FAMILIES.contains(name));
    // openSUSE and others name no common ancestor in one way.
    let family =
        family.or_else(|| (id.contains("suse") || like.iter().any(|l| l.contains("suse"))).then_some("suse"));
    let family = family.unwrap_or(id);
    if !family.is_empty() {
        facts.insert("family".into(), family.into());
    }
    facts.insert("like".into(), like.into());
    Value::Object(facts)
}

/// Assignments of a shell, without expansion; of several with one name the last one counts.
fn parse(text: &str) -> BTreeMap<&str, String> {
    let mut said = BTreeMap::new();
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with('#') {
            continue;
        }
        if let Some((key, value)) = line.split_once('=') {
            said.insert(key.trim_end(), unquoted(value.trim()));
        }
    }
    said
}

fn unquoted(value: &str) -> String {
    let inner = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    if let Some(inner) = inner('\'') {
        return inner.to_owned();
    }
    let value = inner('"').unwrap_or(value);
    let mut out = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => out.extend(characters.next()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_debian() {
        let text = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\n\
                    VERSION_CODENAME=bookworm\nID=debian\n# ID=other\nHOME_URL=\"https://example.org/\"\n";
        let expected = json!({
            "id": "debian", "version_id": "12", "codename": "bookworm", "family": "debian", "like": [],
        });
        assert_eq!(os(text), expected);
    }

    #[test]
    fn descendants_name_their_family() {
        let family = |text: &str| os(text).get("family").cloned().unwrap_or_default();
        assert_eq!(family("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"), "debian");
        assert_eq!(family("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"), "rhel");
        assert_eq!(family("ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n"), "suse");
        assert_eq!(family("ID=void\n"), "void");
        assert_eq!(os("NAME=x\n"), json!({"like": []}));
    }

    #[test]
    fn quotes_and_escapes_are_those_of_a_shell() {
        assert_eq!(unquoted("\"a \\\"b\\\" \\$c\""), "a \"b\" $c");
        assert_eq!(unquoted("'a \\n'"), "a \\n");
        assert_eq!(unquoted("plain"), "plain");
        assert_eq!(unquoted("\""), "\"");
    }
}
