//! The second verifier, in another language and without any code in common.

use crate::cases::{directories, expected};
use rectify_attest::PublicKey;
use serde_json::Value;
use std::{fs, path::Path, process::Command};

fn script() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/audit/verify.py")
}

fn finding(report: &Value) -> Option<(String, Option<u64>)> {
    let finding = report.get("finding").filter(|finding| !finding.is_null())?;
    Some((finding["code"].as_str().unwrap().to_owned(), finding["seq"].as_u64()))
}

fn run(directories: &[std::path::PathBuf]) -> Vec<Value> {
    let output = Command::new("python3").arg(script()).arg("--case").args(directories).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let reports: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(reports.len(), directories.len(), "{}", String::from_utf8_lossy(&output.stderr));
    let bad = reports.iter().any(|report| finding(report).is_some());
    assert_eq!(output.status.code(), Some(i32::from(bad)));
    reports
}

/// What it finds.
pub fn verify(
    export: &[u8],
    checkpoint: Option<&[u8]>,
    since: Option<&[u8]>,
    key: Option<&PublicKey>,
) -> Option<(String, Option<u64>)> {
    let directory = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| fs::write(directory.path().join(name), bytes).unwrap();
    put("export.jsonl", export);
    checkpoint.iter().for_each(|bytes| put("checkpoint.txt", bytes));
    since.iter().for_each(|bytes| put("since.txt", bytes));
    key.iter().for_each(|key| put("key.pub", key.to_openssh().as_bytes()));
    finding(&run(&[directory.path().to_owned()])[0])
}

#[test]
fn both_verifiers_say_the_same_of_each_case() {
    let directories = directories();
    for (directory, report) in directories.iter().zip(run(&directories)) {
        assert_eq!(finding(&report), expected(directory), "{}", directory.display());
    }
}

#[test]
fn it_can_be_called_with_files() {
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/vectors/audit/good-since");
    let output = Command::new("python3")
        .arg(script())
        .arg(good.join("export.jsonl"))
        .args([Path::new("--checkpoint"), &good.join("checkpoint.txt")])
        .args([Path::new("--since"), &good.join("since.txt"), Path::new("--key"), &good.join("key.pub")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["anchored"], report["records"]);
}
