//! Verdicts: what they say, who signs them, and kits that cannot run.

use crate::{behaviours::failed, behind, kit, repository};
use rectify_attest::Signer;
use rectify_base::FileDigests;
use rectify_conform::{Fixtures, FixturesError, KitError, Outcome, Verdict, VerdictError};
use rectify_keys::LocalSigner;
use std::{collections::BTreeSet, fs};

fn only(checks: &[&str]) -> BTreeSet<String> {
    checks.iter().map(|check| (*check).to_owned()).collect()
}

#[test]
fn a_verdict_is_signed_about_one_executable() {
    let mut kit = kit("none");
    kit.only = only(&["P01", "X06", "R06"]);
    let verdict = kit.run().unwrap();
    assert!(verdict.conforms(), "{}", verdict.table(true));
    let skipped: Vec<_> = verdict.rows.iter().filter(|row| row.outcome == Outcome::Skip).collect();
    assert_eq!(skipped.len(), verdict.counts.skip);
    assert!(!skipped.is_empty() && skipped.iter().all(|row| row.reason.is_some()));
    assert!(verdict.table(false).contains("skip  R06  mis.thing"));
    let signer = |byte| LocalSigner::from_seed(&zeroize::Zeroizing::new([byte; 32])).unwrap();
    let (tester, other) = (signer(1), signer(2));
    let bytes = verdict.sign(&tester).unwrap();
    let executable = verdict.provider.executable.unwrap();
    let keys = [tester.public_key()];
    assert_eq!(Verdict::verify(&bytes, &keys, executable).unwrap(), verdict);
    let error = Verdict::verify(&bytes, &[other.public_key()], executable).unwrap_err();
    assert!(matches!(error, VerdictError::Signature), "{error}");
    let error = Verdict::verify(&bytes, &keys, FileDigests::of_bytes(b"another")).unwrap_err();
    assert!(matches!(error, VerdictError::Subject(_)), "{error}");
    // Whoever signs what contradicts itself is not believed either.
    let mut better = verdict.clone();
    better.counts.fail = 0;
    better.counts.pass += 1;
    let error = Verdict::verify(&better.sign(&tester).unwrap(), &keys, executable).unwrap_err();
    assert!(matches!(error, VerdictError::Statement(_)), "{error}");
    let mut unseen = verdict;
    unseen.provider.executable = None;
    assert!(matches!(unseen.sign(&tester), Err(VerdictError::NoExecutable)));
}

#[test]
fn a_prefix_and_what_a_login_prints_change_nothing() {
    let home = tempfile::tempdir().unwrap();
    let login = home.path().join("login");
    fs::write(&login, "#!/bin/sh\necho 'Welcome.'; printf 'prompt> '\nexec setsid /bin/sh -c \"$1\"\n")
        .unwrap();
    fs::set_permissions(&login, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let mut kit = behind("none", &login.display().to_string());
    kit.only = only(&["P01", "P05", "P08", "N01", "I06", "X03", "X07", "C01", "C04", "R03", "K05"]);
    let verdict = kit.run().unwrap();
    assert!(verdict.conforms(), "{}", verdict.table(true));
    assert!(verdict.via_prefix && verdict.provider.executable.is_none());
    let mut kit = behind("never-stale", &login.display().to_string());
    kit.only = only(&["X05"]);
    assert_eq!(failed(&kit.run().unwrap()), only(&["X05"]));
}

#[test]
fn nothing_is_left_in_the_sandbox_whatever_happens() {
    let home = tempfile::tempdir().unwrap();
    let witness = home.path().join("witness");
    let mut kit = kit("dies-of-failures");
    kit.only = only(&["X08"]);
    for fixture in kit.fixtures.types.values_mut() {
        fixture.setup.push(format!("echo \"made $PWD\" >>{}", witness.display()));
        fixture.teardown.push(format!("echo second >>{}", witness.display()));
        fixture.teardown.insert(0, format!("echo \"first $(ls -d \"$PWD\")\" >>{}", witness.display()));
    }
    assert_eq!(failed(&kit.run().unwrap()), only(&["X08"]));
    let said = fs::read_to_string(witness).unwrap();
    assert_eq!(said.matches("first").count(), 2);
    assert_eq!(said.matches("second").count(), 2);
    for line in said.lines().filter_map(|line| line.strip_prefix("made ")) {
        assert!(!std::path::Path::new(line).exists(), "{line} was left");
    }
}

#[test]
fn what_cannot_be_tested_is_refused() {
    let syntax = Fixtures::read(b"format: [").unwrap_err();
    assert!(matches!(syntax, FixturesError::Syntax(_)));
    let other = Fixtures::read(b"{format: rectify.fixtures/v9, provider: x, types: {}}").unwrap_err();
    assert!(matches!(other, FixturesError::Format(_)));
    let both = b"{format: rectify.fixtures/v1, provider: x, types: {a.b: {a: {}}}, untested: {a.b: no}}";
    assert!(matches!(Fixtures::read(both).unwrap_err(), FixturesError::Syntax(_)));
    let mut untested = kit("none");
    untested.only = only(&["I02"]);
    let name = "mis.thing".parse().unwrap();
    untested.fixtures.types.remove(&name);
    untested.fixtures.untested.insert(name, "only on Sundays".into());
    let table = untested.run().unwrap().table(false);
    assert!(table.contains("skip  I02  mis.thing           only on Sundays"), "{table}");
    let mut unknown = kit("none");
    unknown.only = only(&["Z99"]);
    assert!(matches!(unknown.run(), Err(KitError::UnknownCheck(_))));
    let mut foreign = kit("none");
    foreign.fixtures.provider = "another".into();
    assert!(matches!(foreign.run(), Err(KitError::OtherProvider { .. })));
    let mut missing = kit("none");
    missing.provider = vec!["/nonexistent/provider".into()];
    assert!(matches!(missing.run(), Err(KitError::Manifest(_))));
    let fixture = kit("none").fixtures.types.into_values().next().unwrap();
    let mut stranger = kit("none");
    stranger.fixtures.types.insert("mis.stranger".parse().unwrap(), fixture);
    assert!(matches!(stranger.run(), Err(KitError::UnknownType(_))));
    assert!(repository().join("docs/conformance.md").exists());
}
