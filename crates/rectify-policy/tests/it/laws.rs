//! What holds for every plan and every bundle.

use crate::fixture::{harmless, input_of, plan, rules, step};
use proptest::prelude::*;
use rectify_policy::{Bundle, evaluate, standard};
use serde_json::json;
use std::collections::BTreeMap;

fn path() -> impl Strategy<Value = String> {
    prop_oneof![
        "/(boot|proc|sys|dev|etc|srv)(/[a-z.]{1,4}){0,3}",
        "(/etc/(shadow|sudoers|gshadow))[-a-z./]{0,6}",
        "[ -~]{0,12}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// What is below a forbidden directory is refused, however the rest of the plan looks.
    #[test]
    fn forbidden_paths_never_pass(paths in prop::collection::vec(path(), 0..4), below in "(/[a-z]{1,5}){0,3}", at in 0_usize..5) {
        let mut paths = paths;
        paths.insert(at.min(paths.len()), format!("/boot{below}"));
        let steps = paths.iter().enumerate().map(|(i, path)| step("web-2", &format!("ssh/s{i}"), path, json!({})));
        let decision = evaluate(&standard(), &input_of(&plan("test", steps.collect()))).unwrap();
        prop_assert!(!decision.allowed);
        prop_assert!(decision.deny.iter().any(|finding| finding.rule == "forbidden_paths"));
    }

    /// Allowed means that nothing was held against it, and deciding twice gives the same.
    #[test]
    fn allowed_means_no_refusal(paths in prop::collection::vec(path(), 0..4)) {
        let steps = paths.iter().enumerate().map(|(i, path)| step("web-2", &format!("ssh/s{i}"), path, json!({})));
        let input = input_of(&plan("test", steps.collect()));
        let decision = evaluate(&standard(), &input).unwrap();
        prop_assert_eq!(decision.allowed, decision.deny.is_empty());
        prop_assert_eq!(decision, evaluate(&standard(), &input).unwrap());
    }

    /// Whatever `allow` is, only `true` allows, and everything but a boolean is an error.
    #[test]
    fn only_true_allows(value in prop_oneof![
        Just("true".to_owned()), Just("false".to_owned()), Just("null".to_owned()),
        "0|[1-9][0-9]{0,2}", "\"[a-z]{0,5}\"", "\\[(true)?\\]", "\\{\"a\": true\\}", "\\{true\\}",
    ]) {
        let outcome = evaluate(&rules(&format!("package rectify\n\nallow := {value}\n")), &harmless());
        match value.as_str() {
            "true" => prop_assert!(outcome.unwrap().allowed),
            "false" => prop_assert!(!outcome.unwrap().allowed),
            _ => prop_assert_eq!(outcome.unwrap_err().code, rectify_policy::codes::POLICY_WRONG_TYPE),
        }
    }

    /// Two bundles with equal digests are equal: content cannot move between files and paths.
    #[test]
    fn digests_tell_bundles_apart(
        one in prop::collection::btree_map("[ab]{0,2}", "[ab]{0,2}", 0..3),
        two in prop::collection::btree_map("[ab]{0,2}", "[ab]{0,2}", 0..3),
    ) {
        let digest = |files: &BTreeMap<String, String>| Bundle { files: files.clone() }.digest();
        prop_assert_eq!(digest(&one) == digest(&two), one == two);
    }

    /// Text that is not a policy is refused, never a panic and never a decision.
    #[test]
    fn arbitrary_text_is_refused(text in "\\PC{0,60}") {
        let bundle = rules(&("package rectify\n\nallow if { ".to_owned() + &text));
        prop_assert!(evaluate(&bundle, &harmless()).is_err());
    }
}
