//! Crash points are for tests: no build for use has them.

use rectify_tests::rectify;

#[test]
fn a_build_without_the_feature_knows_no_crash_points() {
    let program = std::fs::read(rectify()).unwrap();
    let count =
        |bytes: &[u8], text: &str| bytes.windows(text.len()).filter(|w| *w == text.as_bytes()).count();
    // A new provider begins with the SDK's sources, so these are in the executable as a text.
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/rectify-sdk/src/crash.rs");
    let source = std::fs::read(source).unwrap();
    let told = count(&source, "RECTIFY_CRASH");
    assert!(told > 0, "the search finds what is there");
    assert_eq!(count(&program, "RECTIFY_CRASH"), told, "the executable can be told to crash");
}
