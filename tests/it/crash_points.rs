//! Crash points are for tests: no build for use has them.

use rectify_tests::rectify;

#[test]
fn a_build_without_the_feature_knows_no_crash_points() {
    let program = std::fs::read(rectify()).unwrap();
    let holds = |text: &str| program.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(!holds("RECTIFY_CRASH"), "the executable can be told to crash");
    assert!(holds("RECTIFY_STATE"), "the search finds what is there");
}
