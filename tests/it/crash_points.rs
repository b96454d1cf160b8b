//! Crash points are for tests: no build for use has them.

use rectify_tests::rectify;

fn count(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).filter(|window| *window == what).count()
}

#[test]
fn a_build_without_the_feature_knows_no_crash_points() {
    let program = std::fs::read(rectify()).unwrap();
    // A new provider begins with the SDK's sources, so these are in the executable as a text.
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/rectify-sdk/src/crash.rs");
    let source = std::fs::read(source).unwrap();
    let (told, copies) = (count(&source, b"RECTIFY_CRASH"), count(&program, &source));
    assert!(told > 0 && copies > 0, "the search finds what is there");
    assert_eq!(count(&program, b"RECTIFY_CRASH"), told * copies, "the executable can be told to crash");
}
