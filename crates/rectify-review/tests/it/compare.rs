//! What changed between two plans.

use crate::{
    fixture::{digests, valid_plan},
    generate,
    html::{HOSTILE, Subject, plain},
    page::{length, structure},
};
use proptest::prelude::*;
use rectify_model::Plan;
use rectify_review::{
    Options,
    compare::{Comparison, How, Part, compare, markdown, text},
};
use serde_json::{Value, json};

fn compared(before: &Plan, after: &Plan) -> Comparison {
    compare((before, digests(before)), (after, digests(after)))
}

fn shown(before: &Plan, after: &Plan) -> String {
    text(before, after, &compared(before, after), &Options::default())
}

/// The rich plan, with something of each kind changed.
fn later() -> Plan {
    let mut plan = serde_json::to_value(valid_plan()).unwrap();
    let steps = plan["steps"].as_array_mut().unwrap();
    let step = |steps: &[Value], address: &str| {
        steps.iter().position(|step| step["address"] == address).unwrap_or_else(|| panic!("{address}"))
    };
    let gone = step(steps, "base/old");
    steps.remove(gone);
    let mut new = steps[step(steps, "web/zzz")].clone();
    new["address"] = "web/zzz-new".into();
    new["desired"]["path"] = "/etc/new".into();
    steps.push(new);
    let at = step(steps, "web/conf");
    let content = crate::fixture::content("# web\nport 9090\nroot /srv\n");
    for change in steps[at]["changes"].as_array_mut().unwrap() {
        if change["path"] == "/content" {
            change["after"] = content.clone();
        }
    }
    steps[at]["result"] = steps[at]["expect"].clone();
    steps[at]["planned"]["content"]["blake3"] = content["blake3"].clone();
    let at = step(steps, "web/reload");
    steps[at]["desired"]["argv"] = json!(["systemctl", "restart", "web"]);
    steps[at]["disruption"] = json!(["restart"]);
    let at = step(steps, "web/marker");
    steps[at]["prediction"] = "exact".into();
    plan["targets"]["app-2"]["environment"] = "dev".into();
    plan["waves"] = json!([["app-1", "app-2"]]);
    plan["gates"][0]["within_s"] = 5.into();
    plan["limits"]["parallel_steps"] = 9.into();
    plan["deferred"].as_array_mut().unwrap().pop();
    serde_json::from_value(plan).unwrap()
}

#[test]
fn the_same_plan() {
    let plan = valid_plan();
    assert_eq!(shown(&plan, &plan), format!("The same plan: {}\n", digests(&plan).blake3));
    assert!(compared(&plan, &plan).differences.is_empty());
}

#[test]
fn another_plan_as_text() {
    insta::assert_snapshot!(shown(&valid_plan(), &later()));
}

#[test]
fn another_plan_as_markdown() {
    let (before, after) = (valid_plan(), later());
    insta::assert_snapshot!(markdown(&before, &after, &compared(&before, &after), &Options::default()));
}

#[test]
fn what_is_new_there_is_gone_here() {
    let (before, after) = (valid_plan(), later());
    let count = |comparison: &Comparison, how: How| {
        comparison.differences.iter().filter(|d| d.part == Part::Step && d.how == how).count()
    };
    let (there, back) = (compared(&before, &after), compared(&after, &before));
    assert_eq!((count(&there, How::Added), count(&there, How::Removed)), (1, 1));
    assert_eq!(there.differences.len(), back.differences.len());
    for (one, other) in there.differences.iter().zip(&back.differences) {
        for (place, other) in one.places.iter().zip(&other.places) {
            assert_eq!((&place.before, &place.after), (&other.after, &other.before));
        }
    }
}

/// Every place of a plan as JSON, with another value in it, or without it.
fn variants(plan: &Value) -> Vec<(String, Value)> {
    fn walk(whole: &Value, at: &str, node: &Value, out: &mut Vec<(String, Value)>) {
        let mut with = |value: Value| {
            let mut copy = whole.clone();
            *copy.pointer_mut(at).unwrap() = value;
            out.push((at.to_owned(), copy));
        };
        match node {
            Value::Bool(flag) => with((!flag).into()),
            Value::Number(number) => with((number.as_u64().unwrap() + 1).into()),
            Value::String(text) => {
                with(format!("{text}x").into());
                // Another digest.
                with(text.replace("0", "1").into());
                for word in [
                    "exact",
                    "lossy",
                    "none",
                    "opaque",
                    "conditional",
                    "create",
                    "update",
                    "run",
                    "waits",
                    "undecided",
                    "converged",
                    "restart",
                    "once",
                    "converge",
                    "after",
                    "implied",
                    "read",
                    "write",
                    "manual",
                ] {
                    with(word.into());
                }
            }
            Value::Array(items) => {
                for index in 0..items.len() {
                    let mut fewer = items.clone();
                    fewer.remove(index);
                    with(fewer.into());
                    let mut turned = items.clone();
                    turned.swap(0, index);
                    with(turned.into());
                }
            }
            Value::Object(members) => {
                for name in members.keys() {
                    let mut fewer = members.clone();
                    fewer.remove(name);
                    with(fewer.into());
                }
            }
            Value::Null => {}
        }
        match node {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    walk(whole, &format!("{at}/{index}"), item, out);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    walk(whole, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), member, out);
                }
            }
            _ => {}
        }
    }
    let mut out = Vec::new();
    walk(plan, "", plan, &mut out);
    out
}

#[test]
fn nothing_of_a_plan_is_left_out() {
    // Small, as each place is tried in a plan of its own.
    let mut plan = valid_plan();
    plan.steps.retain(|step| ["conf", "line", "init", "reload", "zzz"].contains(&step.address.step()));
    plan.unchanged.truncate(2);
    let value = serde_json::to_value(&plan).unwrap();
    let mut tried = 0;
    for (at, variant) in variants(&value) {
        let Ok(other) = serde_json::from_value::<Plan>(variant) else { continue };
        if other != plan {
            tried += 1;
            let comparison = compared(&plan, &other);
            assert!(!comparison.differences.is_empty(), "{at}");
            if tried % 16 == 0 {
                assert!(shown(&plan, &other).lines().count() > 3, "{at}");
            }
        }
    }
    assert!(tried > 500, "{tried}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn empty_if_and_only_if_equal(one in generate::seeds(), other in generate::seeds()) {
        let plan = |seeds| generate::documents(seeds).plan().unwrap().plan;
        let (one, other) = (plan(&one), plan(&other));
        prop_assert_eq!(compared(&one, &other).differences.is_empty(), one == other);
        prop_assert!(compared(&one, &one.clone()).differences.is_empty());
    }

    #[test]
    fn no_text_means_anything(pieces in prop::collection::vec(
        prop_oneof![prop::sample::select(&HOSTILE[..]).prop_map(str::to_owned), any::<String>(), Just("\n```\n".to_owned())],
        1..4,
    ), size in 3_000..60_000_usize) {
        let words = pieces.concat();
        let rendered = |words: &str, size_max_chars: usize| {
            let (before, after) = (valid_plan(), Subject::with(words).plan);
            let options = Options { size_max_chars, ..Options::default() };
            markdown(&before, &after, &compared(&before, &after), &options)
        };
        prop_assert!(length(&rendered(&words, size)) <= size);
        let long = 10_000_000;
        prop_assert_eq!(structure(&rendered(&words, long)), structure(&rendered(&plain(&words), long)));
    }
}
