//! Promise 7: nothing but the approved bytes is applied. Every byte is covered in memory by
//! `rectify-attest`; here the executable refuses a sample of each file.

use rectify_tests::{Scratch, remediation};
use std::{fs, path::PathBuf};

fn sealed() -> Scratch {
    let scratch = Scratch::new();
    scratch.trust(1);
    scratch.write(
        "project/remediations/one.yaml",
        &remediation("one", "  a:\n    file.content: {path: /etc/a, content: \"1\\n\"}\n"),
    );
    scratch.seal("a.plan.json");
    scratch
}

fn attestations(scratch: &Scratch) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(scratch.path("a.plan.d"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    found
}

fn refused(scratch: &Scratch, what: &str) {
    let ran = scratch.run(&["-C", "project", "apply", "a.plan.json"]);
    assert!(ran.code == 1 || ran.code == 3, "{what}: {ran:?}");
    assert!(ran.stderr.contains("error["), "{what}: {ran:?}");
    assert!(!scratch.path("root/etc/a").exists(), "{what}: something was done");
}

#[test]
fn a_changed_byte_anywhere_is_refused() {
    let scratch = sealed();
    let mut files = attestations(&scratch);
    assert_eq!(files.len(), 3);
    files.push(scratch.path("a.plan.json"));
    for path in files {
        let good = fs::read(&path).unwrap();
        let stride = good.len() / 12 + 1;
        for at in (0..good.len()).step_by(stride) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            refused(&scratch, &format!("{} byte {at}", path.display()));
            fs::write(&path, &good[..at]).unwrap();
            refused(&scratch, &format!("{} cut at {at}", path.display()));
        }
        fs::write(&path, &good).unwrap();
    }
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
}

#[test]
fn a_missing_doubled_or_moved_attestation_is_refused() {
    let scratch = sealed();
    for path in attestations(&scratch) {
        let good = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        refused(&scratch, &format!("{} removed", path.display()));
        fs::write(&path, &good).unwrap();
        let twin = path.with_file_name("twin.dsse.json");
        fs::write(&twin, &good).unwrap();
        refused(&scratch, &format!("{} doubled", path.display()));
        fs::remove_file(&twin).unwrap();
    }
    let other = sealed();
    for path in attestations(&other) {
        let mine = scratch.path("a.plan.d").join(path.file_name().unwrap());
        let good = fs::read(&mine).ok();
        fs::copy(&path, &mine).unwrap();
        refused(&scratch, &format!("{} from another plan", mine.display()));
        match good {
            Some(good) => fs::write(&mine, &good).unwrap(),
            // An approval by another key has another name.
            None => fs::remove_file(&mine).unwrap(),
        }
    }
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
}

#[test]
fn a_receipt_proves_a_run_only_by_its_executor() {
    let scratch = sealed();
    let verify = |more: &[&str]| {
        let mut words = vec!["-C", "project", "verify", "a.plan.json"];
        words.extend(more);
        scratch.ok(&words).stdout
    };
    assert!(!verify(&[]).contains("receipt"));
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    let said = verify(&[]);
    assert!(said.contains(": succeeded, 1 change applied, at "), "{said}");
    let own = "state/executor_ed25519.pub";
    assert!(verify(&["--executor", own]).contains("1 change applied"));
    let said = verify(&["--executor", "keys-reviewer.pub"]);
    assert!(said.contains("proves nothing") && said.contains("[trust-key-unknown]"), "{said}");
    assert!(verify(&["--executor", "keys-reviewer.pub", "--executor", own]).contains("1 change applied"));

    let directory = scratch.path("a.plan.d/receipts");
    let file = fs::read_dir(&directory).unwrap().next().unwrap().unwrap().path();
    let good = fs::read(&file).unwrap();
    for at in (0..good.len()).step_by(good.len() / 12 + 1) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&file, &bad).unwrap();
        assert!(verify(&[]).contains("proves nothing"), "byte {at}");
    }
    fs::write(&file, &good).unwrap();

    // Beside another plan it is about something else.
    let other = sealed();
    fs::create_dir(other.path("a.plan.d/receipts")).unwrap();
    fs::copy(&file, other.path("a.plan.d/receipts/stolen.dsse.json")).unwrap();
    let key = scratch.path(own).display().to_string();
    // Equal bytes are an equal plan, so the other one must differ.
    other.write(
        "project/remediations/one.yaml",
        &remediation("one", "  a:\n    file.content: {path: /etc/a, content: \"2\\n\"}\n"),
    );
    other.ok(&["-C", "project", "plan", "--out", "b.plan.json"]);
    fs::create_dir(other.path("b.plan.d/receipts")).unwrap();
    fs::copy(&file, other.path("b.plan.d/receipts/stolen.dsse.json")).unwrap();
    let said = other.run(&["-C", "project", "verify", "b.plan.json", "--executor", &key]).stdout;
    assert!(said.contains("stolen.dsse.json proves nothing"), "{said}");
    let said = other.run(&["-C", "project", "verify", "b.plan.json"]).stdout;
    assert!(said.contains("[receipt-executor]"), "{said}");
}
