//! Calendars of freeze windows, and the bundles that they are in.

use crate::{Target, sections, seeds};
use rectify_host::policy::CompiledZones;
use rectify_policy::{
    Bundle, PolicyError, bytes,
    freeze::{Freeze, HORIZON_S, freeze},
};
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) const TARGET: Target = Target {
    name: "calendar",
    holds: "a calendar is read whole or refused at one of its lines; windows lie around or after the moment; folding and line ends say nothing",
    check,
    seeds: |conformance| {
        seeds::directories(&conformance.join("cases/calendars"))
            .iter()
            .flat_map(|case| seeds::files(case))
            .filter(|(name, _)| name.ends_with(".ics"))
            .map(|(_, bytes)| bytes)
            .collect()
    },
    max_bytes: 4096,
    replays: 20,
};

/// Longest event of a calendar, and a day for hours that are repeated.
const LENGTH_MAX_S: i64 = 367 * 86_400;

fn at(text: &str, now: i64, zones: &CompiledZones) -> Freeze {
    let bundle = Bundle { files: BTreeMap::from([("a.ics".to_owned(), text.to_owned())]) };
    freeze(&bundle, now, zones).expect("there is a calendar")
}

fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let zones = CompiledZones::default();
    for now in [0, 1_708_000_000, 1_774_800_000, 4_000_000_000] {
        let found = at(text, now, &zones);
        sound(text, now, &found);
        // At the end of the last window, and at the beginning of the next one, nothing else is said.
        if let Some(opening) = &found.opens {
            let then = at(text, opening.unix_s, &zones);
            assert!(!then.problems.is_empty() || then.active.is_empty(), "it does not open at {opening:?}");
        }
        if let Some(next) = &found.next {
            let then = at(text, next.begins_unix_s, &zones);
            let full = then.active.len() == 100;
            assert!(
                !then.problems.is_empty() || full || then.active.contains(next),
                "{next:?} does not begin"
            );
        }
        if !text.contains('\r') {
            let long = text.replace('\n', "\r\n");
            assert_eq!(at(&long, now, &zones), found, "line ends say something");
        }
        let again = at(&folded(text), now, &zones);
        assert_eq!((again.active, again.opens, again.next), (found.active, found.opens, found.next));
        assert_eq!(again.problems.len(), found.problems.len(), "folding says something");
    }
}

fn sound(text: &str, now: i64, found: &Freeze) {
    for problem in &found.problems {
        lies_within(&problem.place, &[("a.ics", text)]);
        assert!(!problem.message.is_empty());
    }
    assert!(found.problems.len() <= 1 && (found.problems.is_empty() || found.active.is_empty()));
    assert!(found.opens.is_none() || !found.active.is_empty());
    for window in found.active.iter().chain(&found.next) {
        let length = window.ends_unix_s - window.begins_unix_s;
        assert!(length > 0 && length <= LENGTH_MAX_S, "{window:?}");
        assert!(!window.summary.contains(char::is_control));
    }
    assert!(found.active.iter().all(|w| w.begins_unix_s <= now && now < w.ends_unix_s));
    assert!(found.next.iter().all(|w| w.begins_unix_s > now && w.begins_unix_s <= now + HORIZON_S));
    assert!(found.opens.iter().all(|opening| found.active.iter().any(|w| opening.unix_s >= w.ends_unix_s)));
}

/// The same lines, each broken behind its first character.
fn folded(text: &str) -> String {
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let first = line.chars().next().filter(|c| !matches!(c, ' ' | '\t' | '\r' | '\n'));
        match first {
            Some(first) => {
                let rest = &line[first.len_utf8()..];
                out.push(first);
                out.push_str("\n ");
                out.push_str(rest);
            }
            None => out.push_str(line),
        }
    }
    out
}

/// `file`, `file:line` or `file:line:column`, of one of these files; nothing, or the path of a rule.
fn lies_within(place: &str, files: &[(&str, &str)]) {
    if place.is_empty() || place.starts_with("data.") {
        return;
    }
    let file = files.iter().find(|(name, _)| {
        place.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    });
    let Some((name, text)) = file else { panic!("`{place}` is in none of the files") };
    let mut numbers = place[name.len()..].split(':').skip(1).map(|number| number.parse::<usize>());
    if let Some(line) = numbers.next() {
        let line = line.unwrap_or_else(|_| panic!("`{place}` has no line"));
        assert!(line >= 1 && line <= text.split('\n').count() + 1, "`{place}` is beyond the end");
    }
}

pub(super) const BUNDLE: Target = Target {
    name: "bundle",
    holds: "a bundle of any files is read or refused with a code, at a place in one of them, always alike; overrides move and add nothing",
    check: check_bundle,
    seeds: |conformance| {
        let standard: Vec<(String, String)> = rectify_policy::standard().files.into_iter().collect();
        let mut all = vec![sections::join(&standard)];
        for area in ["policies", "conftest"] {
            for case in seeds::directories(&conformance.join("cases").join(area)) {
                let files = seeds::files(&case.join("bundle"));
                if files.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() < BUNDLE.max_bytes {
                    all.push(sections::join(&files));
                }
            }
        }
        all.extend(
            standard
                .iter()
                .filter(|(name, _)| !name.ends_with("_test.rego"))
                .map(|file| sections::join(std::slice::from_ref(file))),
        );
        all
    },
    max_bytes: 65_536,
    replays: 4,
};

fn check_bundle(data: &[u8]) {
    let mut files = BTreeMap::new();
    for (name, body) in sections::split(data) {
        let (Ok(name), Ok(body)) = (std::str::from_utf8(name), std::str::from_utf8(body)) else { return };
        files.insert(if name.is_empty() { "a.rego" } else { name }.to_owned(), body.to_owned());
    }
    let bundle = Bundle { files };
    let named: Vec<(&str, &str)> =
        bundle.files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let known = |error: &PolicyError| {
        assert!(rectify_policy::codes::ALL.contains(&error.code), "{error:?}");
        assert!(!error.message.is_empty(), "{error:?}");
        lies_within(&error.place, &named);
    };
    let parsed = bytes::parse(&bundle);
    parsed.as_ref().err().into_iter().for_each(known);
    assert_eq!(bytes::parse(&bundle), parsed);
    match bytes::data(&bundle) {
        Ok((plain, decisive)) => assert!(shaped_alike(&Value::Object(plain), &Value::Object(decisive))),
        Err(error) => known(&error),
    }
    assert_eq!(bundle.digest(), bundle.clone().digest());
    drop(bundle.zones());
}

/// Whether two values have the same members; what is no object may be another one.
fn shaped_alike(one: &Value, two: &Value) -> bool {
    match (one, two) {
        (Value::Object(one), Value::Object(two)) => {
            one.len() == two.len()
                && one
                    .iter()
                    .all(|(name, value)| two.get(name).is_some_and(|other| shaped_alike(value, other)))
        }
        (one, two) => !one.is_object() && !two.is_object(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_bundle_and_a_calendar_are_read() {
        assert!(bytes::parse(&rectify_policy::standard()).is_ok_and(|heads| heads > 10));
        let seeds = (TARGET.seeds)(&crate::conformance());
        assert!(seeds.len() > 20);
        let zones = CompiledZones::default();
        let read = |bytes: &Vec<u8>| at(std::str::from_utf8(bytes).unwrap(), 0, &zones).problems.is_empty();
        assert!(seeds.iter().filter(|bytes| read(bytes)).count() > 15);
    }
}
