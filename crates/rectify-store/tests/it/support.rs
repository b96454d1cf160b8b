//! One place that knows how records are made.

use rectify_base::{Digest, FileDigests, NodeKey, TargetName};
use rectify_model::{
    grade::Retry,
    journal::{
        Admission, FORMAT, How, Intent, Record, RunId, RunRecord, StepRecord, StepState, TargetRecord,
        TargetState, UseId, operation_id,
    },
    observation::Identity,
};
use rectify_store::{Holder, Journal as _, SqliteJournal};
use std::path::PathBuf;

/// A directory of its own, and where the journal goes in it.
pub struct Place {
    _directory: tempfile::TempDir,
    pub path: PathBuf,
}

pub fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state").join("journal.db");
    Place { _directory: directory, path }
}

pub async fn open(place: &Place) -> SqliteJournal {
    SqliteJournal::open(&place.path).await.unwrap()
}

pub fn use_id(number: u128) -> UseId {
    UseId::new(format!("{number:032x}")).unwrap()
}

pub fn target(name: &str) -> TargetName {
    TargetName::new(name).unwrap()
}

pub fn run(use_number: u128, targets: &[&str]) -> RunRecord {
    let targets: Vec<TargetName> = targets.iter().map(|name| target(name)).collect();
    let use_id = use_id(use_number);
    RunRecord {
        format: FORMAT.into(),
        run: RunId::derive(&use_id, &targets),
        use_id,
        plan: FileDigests::of_bytes(b"a plan"),
        targets,
        admission: Admission {
            seal: Digest::of_bytes(b"seal"),
            approvals: vec![Digest::of_bytes(b"approval")],
            bundle: Digest::of_bytes(b"bundle"),
            overrides: Vec::new(),
        },
        providers: Default::default(),
        fence: 1,
        started_at_ms: u64::try_from(use_number).unwrap(),
        expires_at_ms: 1_000_000,
    }
}

pub fn node(target_name: &str, address: &str) -> NodeKey {
    NodeKey { target: target(target_name), address: address.parse().unwrap() }
}

pub fn verified(target_name: &str) -> Record {
    let state = TargetState::Verified(Identity::Root(Digest::of_bytes(b"id")));
    Record::Target(TargetRecord { target: target(target_name), state })
}

pub fn intent(run: &RunRecord, node: &NodeKey, attempt: u32) -> Record {
    let state = StepState::Intent(Intent {
        attempt,
        op_id: operation_id(&run.use_id, &node.target, &node.address),
        retry: Retry::Converge,
        expect: Digest::of_bytes(b"before"),
        before_image: Some(Digest::of_bytes(b"image")),
        fence: run.fence,
        deadline_ms: 60_000,
    });
    Record::Step(StepRecord { node: node.clone(), state })
}

pub fn succeeded(node: &NodeKey) -> Record {
    let state = StepState::Succeeded { how: How::Applied, fingerprint: None, owes: Vec::new() };
    Record::Step(StepRecord { node: node.clone(), state })
}

pub fn holder(use_number: u128, locked: bool) -> Holder {
    Holder { run: run(use_number, &["a"]).run, pid: 4711, locked }
}

pub fn scopes(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The audit log of a journal, with bodies.
pub async fn export(journal: &SqliteJournal) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut sink = |line: &[u8]| {
        bytes.extend_from_slice(line);
        Ok(())
    };
    journal.export(None, true, &mut sink).await.unwrap();
    bytes
}

/// Records that are given to the second verifier, which is slow: the beginning of a log is a log.
const SECOND_MAX: usize = 500;

/// Both verifiers must say the same of a log, whatever it is.
pub fn agree(bytes: &[u8]) {
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').take(SECOND_MAX).collect();
    let bytes = lines.concat();
    let first = rectify_audit::verify(&bytes, rectify_audit::Anchors::default());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("export.jsonl");
    std::fs::write(&file, &bytes).unwrap();
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/audit/verify.py");
    let output = std::process::Command::new("python3").arg(script).arg(&file).output().unwrap();
    let second: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let finding = first.finding.as_ref().map(|finding| (finding.code, finding.seq));
    let other = second.get("finding").filter(|finding| !finding.is_null());
    let other = other.map(|finding| (finding["code"].as_str().unwrap(), finding["seq"].as_u64()));
    assert_eq!(finding, other, "the verifiers disagree: {first:?}, {second}");
    assert_eq!(
        (first.root.as_str(), Some(first.records)),
        (second["root"].as_str().unwrap(), second["records"].as_u64())
    );
}

impl Drop for Place {
    /// Whatever a test has done to a journal, both verifiers say the same of its audit log.
    fn drop(&mut self) {
        if std::thread::panicking() || !self.path.is_file() {
            return;
        }
        let path = self.path.clone();
        let exported = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                // One that was damaged does not open.
                let journal = SqliteJournal::open(&path).await.ok()?;
                journal.head().await.ok()?;
                Some(export(&journal).await)
            })
        });
        if let Some(bytes) = exported.join().unwrap() {
            agree(&bytes);
        }
    }
}
