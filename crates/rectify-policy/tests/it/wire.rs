//! Requests and answers of the child.

use crate::fixture::{harmless, rules};
use rectify_policy::{
    codes, evaluate,
    freeze::UtcOnly,
    standard,
    wire::{Outcome, Question, answer, read, request},
};

#[test]
fn a_decision_crosses_unchanged() {
    let request = request(Question::Decide, &standard(), Some(&harmless())).unwrap();
    let decision = evaluate(&standard(), &harmless()).unwrap();
    assert_eq!(read(answer(&request, &UtcOnly).as_bytes()), Ok(Outcome::Decided(decision)));
}

#[test]
fn without_input_the_bundle_is_only_checked() {
    let request = request(Question::Decide, &standard(), None).unwrap();
    assert_eq!(read(answer(&request, &UtcOnly).as_bytes()), Ok(Outcome::Checked));
}

#[test]
fn a_refusal_crosses_with_code_and_place() {
    let bundle = rules("package rectify\n\nallow if input.chnages\n");
    let request = request(Question::Decide, &bundle, Some(&harmless())).unwrap();
    let error = read(answer(&request, &UtcOnly).as_bytes()).unwrap_err();
    assert_eq!(error, evaluate(&bundle, &harmless()).unwrap_err());
    assert_eq!(error.code, codes::POLICY_UNKNOWN_INPUT_FIELD);
}

#[test]
fn garbage_is_an_error_on_both_sides() {
    for garbage in ["", "{", "[]", "{\"bundle\": {}, \"x\": 1, \"input\": null}"] {
        assert_eq!(
            read(answer(garbage.as_bytes(), &UtcOnly).as_bytes()).unwrap_err().code,
            codes::POLICY_ANSWER
        );
    }
    for garbage in [
        "",
        "true",
        "{\"decided\": {\"allowed\": true}}",
        "{\"refused\": {\"code\": \"no-such-code\", \"place\": \"\", \"message\": \"\"}}",
    ] {
        assert_eq!(read(garbage.as_bytes()).unwrap_err().code, codes::POLICY_ANSWER, "{garbage}");
    }
}
