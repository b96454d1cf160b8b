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
use rectify_store::{Holder, SqliteJournal};
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
