//! Nothing in reach of a policy is anything but a function of its arguments.

use crate::fixture::{refusal, rules};
use rectify_policy::codes;

/// Every builtin of this build of the engine. A new one fails this test until somebody has made
/// sure that it depends on its arguments only, or has forbidden it.
#[test]
fn the_builtins_are_those_that_were_looked_at() {
    let mut names: Vec<&str> = regorus::unstable::BUILTINS.keys().copied().collect();
    names.sort_unstable();
    insta::assert_snapshot!(names.join("\n"));
}

#[test]
fn what_would_not_be_reproducible_is_refused_by_name() {
    for call in [
        "rand.intn(\"x\", 10)",
        "time.now_ns()",
        "uuid.rfc4122(\"x\")",
        "opa.runtime()",
        "http.send({\"method\": \"get\", \"url\": \"http://localhost\"})",
        "net.lookup_ip_addr(\"localhost\")",
        "__rectify_fired(0, 1)",
    ] {
        let error = refusal(&rules(&format!("package rectify\n\nallow if {call} != 0\n")));
        assert_eq!(
            (error.code, error.place.as_str()),
            (codes::POLICY_FORBIDDEN_BUILTIN, "p.rego:3:10"),
            "{call}"
        );
    }
}

/// The same through an alias in `with`, which no call mentions.
#[test]
fn replacing_a_function_by_a_forbidden_one_is_refused() {
    let error = refusal(&rules("package rectify\n\nallow if abs(1) == 1 with abs as rand.intn\n"));
    assert_eq!(error.code, codes::POLICY_FORBIDDEN_BUILTIN);
}

#[test]
fn printing_is_harmless() {
    let bundle = rules("package rectify\n\nallow if {\n\tprint(\"hello\")\n\ttrue\n}\n");
    assert!(rectify_policy::evaluate(&bundle, &crate::fixture::harmless()).unwrap().allowed);
}
