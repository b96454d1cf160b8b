//! `--selftest`, of a provider that keeps the rules and of one that does not.

use crate::fixture::PROVIDER;
use std::process::{Command, Output};

fn selftest(program: &str) -> (Output, String) {
    let output = Command::new(program).arg("--selftest").output().unwrap();
    let report = String::from_utf8(output.stdout.clone()).unwrap();
    (output, report)
}

#[test]
fn all_is_well_with_a_provider_that_keeps_the_rules() {
    let (output, report) = selftest(env!("CARGO_BIN_EXE_rectify-sdk-typed-provider"));
    assert_eq!((output.status.code(), &*String::from_utf8_lossy(&output.stderr)), (Some(0), ""), "{report}");
    insta::assert_snapshot!(report);
}

#[test]
fn what_is_wrong_is_said_by_its_number() {
    // It takes any property, and says so by the schema of its type.
    let (output, report) = selftest(PROVIDER);
    assert_eq!(output.status.code(), Some(1), "{report}");
    let (failed, well): (Vec<&str>, Vec<&str>) = report.lines().partition(|line| line.contains(" FAILED  "));
    assert_eq!(well.last(), Some(&"1 of 14 checks failed"));
    let [failed] = failed[..] else { panic!("{report}") };
    let expected = "S02 FAILED  an unknown property is SCHEMA, with its place: test.thing: got [Ok(";
    assert!(failed.starts_with(expected), "{failed}");
}
