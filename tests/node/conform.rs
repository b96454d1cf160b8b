//! The conformance kit on what needs a host: each built-in provider whose things are on the machine itself. The
//! results are left for `cargo xtask fleet conform`.

use crate::kit::{Tally, rows};
use rectify_conform::{Fixtures, Kit};
use rectify_tests::rectify;
use std::{collections::BTreeMap, fs, path::Path, time::Duration};

/// Where the results are left.
const RESULTS: &str = "/run/rectify-kit.json";

/// Runs the checks, and adds their sums to the results.
fn conforms(name: &str, fixtures: &[u8]) {
    assert!(Path::new("/etc/rectify-fleet-node").exists(), "this machine is not ours to change");
    let provider = vec![rectify().display().to_string()];
    let mut kit = Kit::new(provider, Fixtures::read(fixtures).unwrap(), Fixtures::digest(fixtures));
    kit.builtin = Some(name.into());
    kit.soak = 1_000;
    // A package manager on a machine that does other things as well takes its time.
    kit.patience.answer = Duration::from_secs(60);
    let rows = rows(kit).unwrap_or_else(|failed| panic!("{name}, {failed}"));
    let tally = Tally::of(name, &rows);
    println!("{name}: {} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.skipped);
    let mut results: BTreeMap<String, Tally> =
        fs::read(RESULTS).map(|bytes| serde_json::from_slice(&bytes).unwrap()).unwrap_or_default();
    results.insert(name.into(), tally);
    fs::write(RESULTS, serde_json::to_vec(&results).unwrap()).unwrap();
}

#[test]
fn account_conforms() {
    conforms("account", include_bytes!("../../providers/account/fixtures-host.yaml"));
}

#[test]
fn package_conforms() {
    conforms("package", include_bytes!("../../providers/package/fixtures.yaml"));
}

#[test]
fn service_conforms() {
    conforms("service", include_bytes!("../../providers/service/fixtures.yaml"));
}

#[test]
fn sysctl_conforms() {
    conforms("sysctl", include_bytes!("../../providers/sysctl/fixtures-host.yaml"));
}
