//! Plans of ordinary and of large size fit into what the child may have.

use crate::{alone, block_on, input, program};
use rectify_host::policy::{MEMORY_MAX_BYTES, evaluate};
use rectify_policy::{Bundle, standard};
use serde_json::{Value, json};
use std::time::Instant;

/// The standard bundle with limits that let large plans pass.
fn generous() -> Bundle {
    let mut bundle = standard();
    let data = bundle.files.get_mut("data.json").unwrap();
    let mut value: Value = serde_json::from_str(data).unwrap();
    value["limits"] = json!({"changes_per_target": 1_000_000, "changes_total": 1_000_000});
    *data = value.to_string();
    bundle
}

fn changes(n: usize) -> Value {
    let mut input = input();
    let change = input["changes"][0].clone();
    let many = (0..n).map(|i| {
        let mut change = change.clone();
        change["address"] = json!(format!("ssh/step-{i}"));
        change["target"] = json!(format!("web-{}", i % 100));
        change["paths"] =
            json!([format!("/etc/service-{i}/first.conf"), format!("/etc/service-{i}/second.conf")]);
        change["undo"] = json!(if i % 10 == 0 { "none" } else { "exact" });
        change
    });
    input["changes"] = many.collect();
    let target = input["targets"]["web-1"].clone();
    input["targets"] = (0..100).map(|i| (format!("web-{i}"), target.clone())).collect();
    input
}

#[test]
fn plans_of_a_thousand_and_ten_thousand_changes_are_decided() {
    let _alone = alone();
    for n in [1, 1000, 10_000] {
        let input = changes(n);
        let start = Instant::now();
        let decision = block_on(evaluate(program(), &[], &generous(), &input)).unwrap();
        println!(
            "{n} changes, {} bytes: {:?} of {} MiB",
            input.to_string().len(),
            start.elapsed(),
            MEMORY_MAX_BYTES >> 20
        );
        assert!(decision.allowed);
        assert_eq!(decision.warn.len(), n.div_ceil(10));
    }
}

#[test]
fn the_standard_bundle_denies_ten_thousand_changes() {
    let _alone = alone();
    let decision = block_on(evaluate(program(), &[], &standard(), &changes(10_000))).unwrap();
    assert!(!decision.allowed);
    assert!(decision.deny.iter().all(|finding| finding.rule == "too_many_changes"));
}
