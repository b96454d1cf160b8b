//! The specification, the table of checks and the kit name each other.

use crate::{behaviours::BEHAVIOURS, repository};
use rectify_conform::CHECKS;
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
};

#[test]
fn every_rule_names_a_check_and_every_check_has_a_rule() {
    let text = fs::read_to_string(repository().join("docs/protocol/1.0.md")).unwrap();
    let known: BTreeSet<&str> = CHECKS.iter().map(|check| check.id).collect();
    assert_eq!(known.len(), CHECKS.len());
    let (mut rules, mut named) = (BTreeSet::new(), BTreeSet::new());
    for rule in text.split("\n- **").skip(1) {
        let (name, rest) = rule.split_once("**").unwrap();
        let rest = rest.split("\n\n").next().unwrap();
        assert!(rules.insert(name.to_owned()), "the rule {name} is there twice");
        let (_, checks) = rest.rsplit_once("`[").unwrap_or_else(|| panic!("{name} names no check"));
        let (checks, after) = checks.split_once("]`").unwrap();
        assert!(
            after.trim().is_empty() || after.starts_with("\n#"),
            "{name} goes on after its checks: {after}"
        );
        for check in checks.split(", ") {
            assert!(known.contains(check), "{name} names the check {check}, which there is not");
            named.insert(check);
        }
    }
    assert!(rules.len() > 80);
    let missing: Vec<_> = known.difference(&named).collect();
    assert!(missing.is_empty(), "no rule names {missing:?}");
}

/// Writes a part of the page anew if asked to, and compares it.
fn part(name: &str, expected: &str) {
    let path = repository().join("docs/conformance.md");
    let text = fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = text.split_once(&begin).unwrap();
    let (found, after) = rest.split_once(&end).unwrap();
    let expected = format!("\n{expected}\n");
    if env::var_os("RECTIFY_UPDATE").is_some() && found != expected {
        fs::write(&path, format!("{before}{begin}{expected}{end}{after}")).unwrap();
        return;
    }
    assert_eq!(found, expected, "`{name}` of docs/conformance.md is old; RECTIFY_UPDATE=1 writes it");
}

#[test]
fn the_page_lists_checks_and_misbehaviours() {
    let mut table =
        String::from("| check | for | what is done | what must come of it |\n|---|---|---|---|\n");
    for check in CHECKS {
        let whom = if check.is_for_types() { "type" } else { "provider" };
        table.push_str(&format!("| {} | {whom} | {} | {} |\n", check.id, check.stimulus, check.expected));
    }
    part("checks", &table);
    let golden = repository().join("crates/rectify-conform/tests/it/misbehaviours.json");
    let golden: BTreeMap<String, BTreeSet<String>> =
        serde_json::from_str(&fs::read_to_string(golden).unwrap()).unwrap();
    assert_eq!(golden.len(), BEHAVIOURS.len());
    let mut table = String::from("| misbehaviour | what it does | failing checks |\n|---|---|---|\n");
    for (name, what) in BEHAVIOURS {
        let failing: Vec<&str> = golden[*name].iter().map(String::as_str).collect();
        let shown = match failing.len() {
            0 => "none".to_owned(),
            all if all > CHECKS.len() * 3 / 4 => {
                let passing: Vec<&str> =
                    CHECKS.iter().map(|c| c.id).filter(|id| !failing.contains(id)).collect();
                format!("all but {}", passing.join(" "))
            }
            _ => failing.join(" "),
        };
        table.push_str(&format!("| `{name}` | {what} | {shown} |\n"));
    }
    part("misbehaviours", &table);
}
