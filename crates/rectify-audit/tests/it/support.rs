//! A log as a store writes it, with everything in it that a log can have.

use ed25519_dalek::{Signer as _, SigningKey};
use rectify_attest::{PublicKey, SignError, Signer};
use rectify_audit::{
    Action, Actor, BootId, Chain, Decision, Header, Imported, Lease, LogId, Outcome, Refused,
    chain::{Stamp, detail_digest},
    checkpoint, export,
    record::Act,
};
use rectify_base::{Digest, FileDigests, NodeKey, TargetName, canonical};
use rectify_model::{
    grade::Retry,
    journal::{
        Admission, Because, Direction, FORMAT, Failure, GateRecord, GateState, How, Intent, Kept, Mutated,
        NOT_BEGUN, Record, Resolution, RunId, RunMark, RunOutcome, RunRecord, StepRecord, StepState,
        StopCause, TargetRecord, TargetState, UndoRecord, UndoState, UseId, Verdict, operation_id_of,
    },
    observation::Identity,
};

/// A key of which the seed is one byte, 32 times. For tests only.
pub struct Key(SigningKey);

impl Key {
    pub fn new(byte: u8) -> Self {
        Self(SigningKey::from_bytes(&[byte; 32]))
    }

    pub fn public(&self) -> PublicKey {
        self.public_key()
    }
}

impl Signer for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::from_bytes(self.0.verifying_key().as_bytes()).unwrap()
    }

    fn sign(&self, bytes: &[u8]) -> Result<[u8; 64], SignError> {
        Ok(self.0.sign(bytes).to_bytes())
    }
}

pub fn log_id() -> LogId {
    LogId::from_bytes([0x5a; 16])
}

/// A log that grows, with its lines.
#[derive(Clone)]
pub struct Writer {
    pub chain: Chain,
    pub lines: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Writer {
    pub fn new() -> Self {
        let mut writer = Self { chain: Chain::new(log_id()), lines: Vec::new() };
        let body = canonical::compact(&Imported { imported_runs: 0 }).unwrap();
        writer.push(Act::new(Action::LogStarted), Some(body));
        writer
    }

    pub fn push(&mut self, mut act: Act, body: Option<Vec<u8>>) {
        let number = self.chain.frontier().size() + 1;
        let stamp = Stamp {
            time_ms: 1_790_000_000_000 + number,
            boot_id: BootId::from_bytes([0xb0; 16]),
            mono_ns: 9_100_000_000_000_000 + number,
        };
        if let Some(body) = &body {
            act.detail_digest = Some(detail_digest(body));
        }
        let record = self.chain.append(&stamp, &Actor::executor(), act).unwrap();
        self.lines.push((record, body));
    }

    pub fn admit(&mut self, run: &RunRecord) {
        let act = Act {
            run_id: Some(run.run.clone()),
            plan_digest: Some(run.plan.blake3),
            decision: Some(Decision::Allow),
            ..Act::new(Action::RunAdmitted)
        };
        self.push(act, Some(canonical::compact(run).unwrap()));
    }

    pub fn record(&mut self, run: &RunRecord, record: &Record) {
        let act = Act { run_id: Some(run.run.clone()), ..Act::of_record(record) };
        self.push(act, Some(canonical::compact(record).unwrap()));
    }

    pub fn end(&mut self, run: &RunRecord, outcome: RunOutcome) {
        let outcome = Some(Outcome::from(outcome));
        self.push(Act { run_id: Some(run.run.clone()), outcome, ..Act::new(Action::RunEnded) }, None);
    }

    pub fn receipt(&mut self, run: &RunRecord) {
        let detail_digest = Some(Digest::of_bytes(b"receipt"));
        let act = Act { run_id: Some(run.run.clone()), detail_digest, ..Act::new(Action::ReceiptKept) };
        self.push(act, None);
    }

    pub fn lease(&mut self, action: Action, run: &RunRecord, fence: u64) {
        let lease = Lease {
            scopes: vec![Digest::of_bytes(b"id").hex()],
            fence,
            run: run.run.clone(),
            pid: 4711,
            boot_id: BootId::from_bytes([0xb0; 16]),
        };
        let actor = (action == Action::LeaseBroken).then(|| Actor::person("ann"));
        let act = Act { run_id: Some(run.run.clone()), actor, ..Act::new(action) };
        self.push(act, Some(canonical::compact(&lease).unwrap()));
    }

    /// The export.
    pub fn export(&self, bodies: bool) -> Vec<u8> {
        let key = Some(Key::new(7).public());
        let mut bytes = Header::new(log_id(), key, bodies).to_line().unwrap();
        for (record, body) in &self.lines {
            bytes.extend(export::line(record, body.as_deref().filter(|_| bodies)));
        }
        bytes
    }

    /// A checkpoint over what there is, by the key that the header names.
    pub fn checkpoint(&self) -> Vec<u8> {
        checkpoint::sign(&self.chain.head(), &Key::new(7)).unwrap()
    }
}

pub fn run(number: u128, fence: u64) -> RunRecord {
    let targets = vec![TargetName::new("web").unwrap()];
    let use_id = UseId::new(format!("{number:032x}")).unwrap();
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
        fence,
        started_at_ms: 1_790_000_000_000,
        expires_at_ms: 1_790_000_360_000,
    }
}

pub fn node(address: &str) -> NodeKey {
    NodeKey { target: TargetName::new("web").unwrap(), address: format!("site/{address}").parse().unwrap() }
}

pub fn verified() -> Record {
    let state = TargetState::Verified(Identity::Root(Digest::of_bytes(b"id")));
    Record::Target(TargetRecord { target: TargetName::new("web").unwrap(), state })
}

pub fn step(address: &str, state: StepState) -> Record {
    Record::Step(StepRecord { node: node(address), state })
}

pub fn undo(address: &str, state: UndoState) -> Record {
    Record::Undo(UndoRecord { node: node(address), state })
}

pub fn mark(mark: RunMark) -> Record {
    Record::Run(mark)
}

pub fn operation(run: &RunRecord, address: &str, attempt: u32, fence: u64, way: Direction) -> Intent {
    let node = node(address);
    Intent {
        attempt,
        op_id: operation_id_of(&run.use_id, &node.target, &node.address, way, attempt - 1),
        retry: Retry::Once,
        expect: Digest::of_bytes(b"before"),
        before_image: Some(Digest::of_bytes(b"image")),
        fence,
        deadline_ms: 60_000,
    }
}

pub fn intent(run: &RunRecord, address: &str, attempt: u32, fence: u64) -> Record {
    step(address, StepState::Intent(operation(run, address, attempt, fence, Direction::Forward)))
}

pub fn undo_intent(run: &RunRecord, address: &str, fence: u64) -> Record {
    undo(address, UndoState::Intent(operation(run, address, 1, fence, Direction::Back)))
}

pub fn succeeded(address: &str, how: How) -> Record {
    let fingerprint = Some(Digest::of_bytes(b"after"));
    step(address, StepState::Succeeded { how, fingerprint, owes: Vec::new() })
}

pub fn failure(mutated: Mutated) -> Failure {
    Failure { code: "EXIT".into(), message: "ended with 1 — \u{7f}\"\\\n".into(), mutated }
}

/// The engine was stopped between the intent and the request.
pub fn not_begun() -> Failure {
    Failure { code: NOT_BEGUN.into(), ..failure(Mutated::No) }
}

pub fn undone(address: &str) -> Record {
    undo(address, UndoState::Undone { how: How::Applied, fingerprint: None })
}

pub fn resolution(address: &str, verdict: Verdict) -> Record {
    mark(RunMark::Resolved(Resolution {
        node: node(address),
        undo: false,
        verdict,
        by: "ann".into(),
        reason: "looked at it".into(),
        envelope: Digest::of_bytes(b"answer"),
    }))
}

pub fn gate(address: &str) -> Record {
    Record::Gate(GateRecord { node: node(address), attempts: 2, state: GateState::Passed })
}

/// A log of four runs: a plain one, one that is resumed and resolved, one that is taken back, and one
/// that is under way.
pub fn sample() -> Writer {
    let mut log = Writer::new();
    let act = Act { decision: Some(Decision::Deny), ..Act::new(Action::AdmissionRefused) };
    let refused = Refused { codes: vec!["seal-expired".into()] };
    log.push(act, Some(canonical::compact(&refused).unwrap()));

    let plain = run(1, 1);
    log.lease(Action::LeaseAcquired, &plain, 1);
    log.admit(&plain);
    log.record(&plain, &verified());
    log.record(&plain, &intent(&plain, "config", 1, 1));
    log.record(&plain, &succeeded("config", How::Applied));
    log.record(&plain, &succeeded("other", How::Already));
    log.record(&plain, &step("reload", StepState::Skipped { because: Because::NotTriggered }));
    log.record(&plain, &gate("port"));
    log.end(&plain, RunOutcome::Succeeded);
    log.receipt(&plain);
    log.lease(Action::LeaseReleased, &plain, 1);

    let lost = run(2, 2);
    log.lease(Action::LeaseAcquired, &lost, 2);
    log.admit(&lost);
    log.record(&lost, &verified());
    log.record(&lost, &intent(&lost, "migrate", 1, 2));
    log.lease(Action::LeaseBroken, &lost, 2);
    log.lease(Action::LeaseAcquired, &lost, 3);
    log.record(&lost, &mark(RunMark::Resumed { fence: 3 }));
    log.record(&lost, &step("migrate", StepState::Unknown(failure(Mutated::Maybe))));
    log.end(&lost, RunOutcome::NeedsOperator);
    log.record(&lost, &resolution("migrate", Verdict::Retry));
    log.record(&lost, &mark(RunMark::Resumed { fence: 4 }));
    log.record(&lost, &verified());
    log.record(&lost, &intent(&lost, "migrate", 2, 4));
    log.record(&lost, &succeeded("migrate", How::Applied));
    log.end(&lost, RunOutcome::Succeeded);

    let failed = run(3, 5);
    log.lease(Action::LeaseAcquired, &failed, 5);
    log.admit(&failed);
    log.record(&failed, &verified());
    for address in ["one", "two", "three"] {
        log.record(&failed, &intent(&failed, address, 1, 5));
        log.record(&failed, &succeeded(address, How::Applied));
    }
    log.record(&failed, &intent(&failed, "four", 1, 5));
    log.record(&failed, &step("four", StepState::Failed(failure(Mutated::No))));
    log.record(&failed, &step("five", StepState::Stale { found: None }));
    let because = failure(Mutated::No);
    log.record(&failed, &mark(RunMark::Undoing { because, place: "web: four".into() }));
    log.record(&failed, &undo_intent(&failed, "three", 5));
    log.record(&failed, &undone("three"));
    log.record(&failed, &undo("two", UndoState::Conflict { found: None }));
    log.record(&failed, &undo("one", UndoState::Kept { because: Kept::Dependent(node("two").address) }));
    log.end(&failed, RunOutcome::UndoFailed);
    log.receipt(&failed);

    let open = run(4, 6);
    log.admit(&open);
    log.record(&open, &verified());
    log.record(&open, &intent(&open, "config", 1, 6));
    log.record(&open, &step("config", StepState::Failed(not_begun())));
    let message = "asked to stop".into();
    log.record(&open, &mark(RunMark::Stopped { cause: StopCause::Cancelled, message }));
    log.end(&open, RunOutcome::Cancelled);
    log.record(&open, &mark(RunMark::Resumed { fence: 7 }));
    log.record(&open, &verified());
    log.record(&open, &intent(&open, "config", 2, 7));
    log
}
