//! What is shown to readers is true.

use crate::fixture::{bundle, input_of, plan, step};
use rectify_policy::{Clock, codes, evaluate, input};
use serde_json::json;
use std::{fs, path::PathBuf};

fn docs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

#[test]
fn the_example_of_the_guide_works() {
    let guide = fs::read_to_string(docs().join("policy.md")).unwrap();
    let blocks: Vec<&str> =
        guide.split("```rego\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let [rules, tests] = blocks[..] else { panic!("{} examples", blocks.len()) };
    let data = "{\"zones\": [\"Europe/Berlin\"]}";
    let bundle = bundle([("p.rego", rules), ("p_test.rego", tests), ("data.json", data)]);
    let plan = plan("prod", vec![step("web-1", "ssh/config", "/etc/x", json!({}))]);
    // A second before midnight on a Thursday in UTC: in Berlin it is Friday.
    let clock = Clock::utc(crate::fixture::NOW_UNIX_S).with_zone("Europe/Berlin", 3600);
    let decision = evaluate(&bundle, &input(&plan, &clock)).unwrap();
    assert_eq!(decision.deny.len(), 1);
    assert!(!decision.allowed);
    // Without the zone it is not asked at all, rather than undefined.
    assert_eq!(evaluate(&bundle, &input_of(&plan)).unwrap_err().code, codes::POLICY_EVALUATION);
}

#[test]
fn every_code_has_a_page() {
    for code in codes::ALL {
        let page = fs::read_to_string(docs().join(format!("errors/{code}.md"))).unwrap();
        assert!(page.starts_with(&format!("# {code}\n\n")), "{code}");
        assert!(page.contains("\n## Why\n") && page.contains("\n## What to do\n"), "{code}");
    }
}
