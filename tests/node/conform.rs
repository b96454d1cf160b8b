//! The conformance kit on what needs a host: each built-in provider whose things are on the machine itself.

use rectify_conform::{Fixtures, Kit, Outcome};
use rectify_tests::rectify;

fn conforms(name: &str, fixtures: &[u8]) {
    assert!(std::path::Path::new("/etc/rectify-fleet-node").exists(), "this machine is not ours to change");
    let provider = vec![rectify().display().to_string()];
    let mut kit = Kit::new(provider, Fixtures::read(fixtures).unwrap(), Fixtures::digest(fixtures));
    kit.builtin = Some(name.into());
    kit.soak = 1_000;
    let verdict = kit.run().unwrap();
    assert!(verdict.conforms(), "{}", verdict.table(false));
    let untested = "there are no fixtures for it";
    for row in &verdict.rows {
        assert!(row.outcome == Outcome::Pass || row.reason.is_some());
        assert_ne!(row.reason.as_deref(), Some(untested), "{:?} has no fixtures", row.subject);
    }
    let counts = verdict.counts;
    println!("{name}: {} passed, {} skipped, {} failed", counts.pass, counts.skip, counts.fail);
}

#[test]
fn service_conforms() {
    conforms("service", include_bytes!("../../providers/service/fixtures.yaml"));
}
