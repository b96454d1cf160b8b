//! A run, and a driver that is late, confused or hostile, and honest at the end. The engine may be lost at
//! any time; another one goes on from what is durable.

use crate::Target;
use rectify_apply::{
    ATTEMPTS_MAX, ActAnswer, Applied, Effect, Event, Finished, GateAnswer, Looked, Operation,
    OperationStatus, Options, RunState, Ticket, ending, step,
};
use rectify_base::{Digest, FileDigests, NodeKey};
use rectify_model::{
    Plan,
    grade::Retry,
    graph::{Access, EdgeKind, UndoMode},
    journal::{
        Admission, Because, Direction, Entry, FORMAT, Failure, How, Mutated, Record, RunId, RunMark,
        RunOutcome, RunRecord, RunView, StepState, TargetState, UndoState, UseId,
    },
    plan::Step,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::LazyLock,
};

pub(super) const TARGET: Target = Target {
    name: "run",
    holds: "no act without its durable intent, none beside another on one thing, none too late or too often; it ends as its journal says",
    check,
    seeds,
    max_bytes: 1024,
    replays: 90,
};

static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    serde_json::from_slice(include_bytes!("../../../../conformance/cases/plans/valid/plan.json")).unwrap()
});
const FENCE: u64 = 3;
const EXPIRES_MS: u64 = 100_000;

/// What the run waits for.
#[derive(Clone, Debug)]
enum Open {
    Verify(rectify_base::TargetName, rectify_model::observation::Identity),
    Look { node: NodeKey, ask: u32, again: bool },
    Store { ticket: Ticket, record: Box<Record> },
    Act(Box<Operation>),
    Status { node: NodeKey, direction: Direction, attempt: u32 },
    Gate { node: NodeKey, attempt: u32 },
    Wait(u64),
}

struct Driver<'p> {
    plan: &'p Plan,
    steps: BTreeMap<NodeKey, &'p Step>,
    state: RunState,
    view: RunView,
    now_ms: u64,
    open: Vec<Open>,
    told: Vec<Event>,
    acting: BTreeSet<NodeKey>,
    /// Acts of this engine.
    acts: BTreeMap<(NodeKey, Direction), u32>,
    /// Steps that some engine let a provider act on.
    acted: BTreeSet<NodeKey>,
    fence: u64,
    journal_failed: bool,
    started: bool,
    stopped: bool,
    finished: Option<Finished>,
}

fn key(step: &Step) -> NodeKey {
    NodeKey { target: step.target.clone(), address: step.address.clone() }
}

/// Two bytes to choose the plan; then two for each event.
fn check(data: &[u8]) {
    let mut plan = PLAN.clone();
    let head = [data.first().copied().unwrap_or(0), data.get(1).copied().unwrap_or(0)];
    let retries = [None, Some(Retry::Converge), Some(Retry::Query), Some(Retry::Once)];
    if let Some(retry) = retries[usize::from(head[0] % 4)] {
        plan.types.values_mut().for_each(|facts| facts.retry = retry);
    }
    plan.limits.parallel_steps = 1 + u32::from(head[1] % 3);
    let undo = if head[1] & 128 > 0 { UndoMode::Auto } else { UndoMode::Manual };
    plan.remediations.values_mut().for_each(|info| info.undo = undo);
    let mut driver = Driver::new(&plan);
    for event in data.get(2..).unwrap_or_default().chunks_exact(2) {
        driver.play(event[0], event[1]);
    }
    driver.finish();
}

impl<'p> Driver<'p> {
    fn new(plan: &'p Plan) -> Self {
        let use_id = UseId::new("00112233445566778899aabbccddeeff").unwrap();
        let targets: Vec<_> = plan.targets.keys().cloned().collect();
        let run = RunRecord {
            format: FORMAT.into(),
            run: RunId::derive(&use_id, &targets),
            use_id: use_id.clone(),
            plan: FileDigests::of_bytes(b"plan"),
            targets,
            admission: Admission {
                seal: Digest::of_bytes(b"seal"),
                approvals: Vec::new(),
                bundle: Digest::of_bytes(b"bundle"),
                overrides: Vec::new(),
            },
            providers: BTreeMap::new(),
            fence: FENCE,
            started_at_ms: 0,
            expires_at_ms: EXPIRES_MS,
        };
        let options = Options { fence: FENCE, ..Options::default() };
        let state = RunState::new(plan, &use_id, EXPIRES_MS, options).unwrap();
        Self {
            plan,
            steps: plan.steps.iter().map(|step| (key(step), step)).collect(),
            state,
            view: RunView::new(run),
            now_ms: 0,
            open: Vec::new(),
            told: Vec::new(),
            acting: BTreeSet::new(),
            acts: BTreeMap::new(),
            acted: BTreeSet::new(),
            fence: FENCE,
            journal_failed: false,
            started: false,
            stopped: false,
            finished: None,
        }
    }

    fn play(&mut self, which: u8, how: u8) {
        match which {
            0..=219 if !self.open.is_empty() => {
                let open = self.open.remove(usize::from(which) % self.open.len());
                self.answer(open, how);
            }
            // Something that was told before comes again.
            0..=235 if !self.told.is_empty() => {
                let event = self.told[usize::from(how) % self.told.len()].clone();
                self.tell(event, false);
            }
            236..=239 => self.now_ms += u64::from(how) * 500,
            240..=243 => self.tell(Event::Tick, false),
            244 => self.tell(Event::Cancel, true),
            245 => self.tell(Event::Interrupt, true),
            // What is said to be durable is durable, or was never to be stored: that much a driver owes.
            246 if how & 1 == 1 => self.take_up(),
            246 => self.tell(Event::Committed(Ticket(1_000_000 + u64::from(how))), false),
            247 => {
                let node = self.steps.keys().nth(usize::from(how) % self.steps.len()).cloned().unwrap();
                let answer = ActAnswer::Done(Applied::Applied);
                let direction = if how & 1 == 0 { Direction::Forward } else { Direction::Back };
                self.tell(Event::Acted { node, direction, attempt: u32::from(how) / 64, answer }, false);
            }
            248 => {
                // The clock goes back.
                self.now_ms /= 2;
                self.tell(Event::Tick, false);
            }
            249 => self.tell(if how & 1 == 0 { Event::SpaceLow } else { Event::LeaseEnding }, true),
            _ => self.tell(Event::Start, true),
        }
    }

    /// The engine is lost with all that it had not stored, and another one has the run.
    fn take_up(&mut self) {
        if self.journal_failed || self.finished.as_ref().is_some_and(|end| end.outcome.is_final()) {
            return;
        }
        self.fence += 1;
        self.append(Record::Run(RunMark::Resumed { fence: self.fence }));
        let use_id = self.view.run().use_id.clone();
        let options = Options { fence: self.fence, ..Options::default() };
        self.state = RunState::resume(self.plan, &self.view, &use_id, EXPIRES_MS, options).unwrap();
        (self.open, self.told) = (Vec::new(), Vec::new());
        self.acting.clear();
        self.acts.clear();
        (self.started, self.stopped, self.finished) = (false, false, None);
    }

    fn append(&mut self, record: Record) {
        let entry = Entry { seq: self.view.len() + 1, at_ms: self.now_ms, record };
        self.view.push(&entry).expect("each record can stand where it stands");
    }

    /// Answers what is open, badly for a while and then as all goes well, until the run ends.
    fn finish(&mut self) {
        self.tell(Event::Start, true);
        for _ in 0..10_000 {
            if self.finished.is_some() {
                return self.check_end();
            }
            assert!(!self.open.is_empty(), "the run waits for nothing, and has not ended");
            let open = self.open.remove(0);
            self.answer(open, 0);
        }
        panic!("the run does not end");
    }

    fn failure(how: u8) -> Failure {
        let codes = ["STALE", "TIMEOUT", "UNKNOWN_OUTCOME", "FAILED", "CANCELLED", ""];
        let mutated = [Mutated::No, Mutated::Maybe, Mutated::Yes];
        let code = codes[usize::from(how) % codes.len()].into();
        Failure { code, message: "m".into(), mutated: mutated[usize::from(how / 8) % 3] }
    }

    fn looked(&self, node: &NodeKey, again: bool, how: u8) -> Result<Looked, Failure> {
        let step = self.steps[node];
        let planned = step.result.unwrap_or(step.expect);
        let fingerprint = match how % 8 {
            0..=2 => {
                if again {
                    planned
                } else {
                    step.expect
                }
            }
            3 => planned,
            4 => step.expect,
            5 => Digest::of_bytes(b"something else"),
            6 => return Err(Self::failure(how)),
            _ => {
                if again {
                    planned
                } else {
                    step.expect
                }
            }
        };
        let before_image = (how & 64 > 0).then(|| Digest::of_bytes(b"before"));
        Ok(Looked { fingerprint, before_image, partway: how & 128 > 0 })
    }

    fn acted(how: u8) -> ActAnswer {
        match how % 8 {
            0..=3 => ActAnswer::Done(Applied::Applied),
            4 => ActAnswer::Done(Applied::Already),
            5 | 6 => ActAnswer::Failed(Self::failure(how / 8)),
            _ => ActAnswer::Lost { message: "m".into() },
        }
    }

    fn answer(&mut self, open: Open, how: u8) {
        let event = match open {
            Open::Verify(target, identity) => {
                let other = rectify_model::observation::Identity::Root(Digest::of_bytes(b"another"));
                let answer = match how {
                    251..=253 => Ok(other),
                    254 | 255 => Err(Self::failure(how)),
                    _ => Ok(identity),
                };
                Event::Verified { target, answer }
            }
            Open::Look { node, ask, again } => {
                let answer = self.looked(&node, again, how);
                Event::Looked { node, ask, answer }
            }
            Open::Store { ticket, record } => {
                if how >= 253 {
                    self.journal_failed = true;
                    return self.tell(Event::CommitFailed { ticket, message: "m".into() }, true);
                }
                match &*record {
                    Record::Step(record) if !matches!(record.state, StepState::Intent(_)) => {
                        self.acting.remove(&record.node);
                    }
                    Record::Undo(record) if !matches!(record.state, UndoState::Intent(_)) => {
                        self.acting.remove(&record.node);
                    }
                    _ => {}
                }
                self.append(*record);
                Event::Committed(ticket)
            }
            Open::Act(operation) => {
                let Operation { node, direction, attempt, .. } = *operation;
                Event::Acted { node, direction, attempt, answer: Self::acted(how) }
            }
            Open::Status { node, direction, attempt } => {
                let answer = match how % 5 {
                    0 | 1 => OperationStatus::Done(Self::acted(how / 5)),
                    2 => OperationStatus::NeverSeen,
                    3 => OperationStatus::Started,
                    _ => OperationStatus::Lost { message: "m".into() },
                };
                Event::Status { node, direction, attempt, answer }
            }
            Open::Gate { node, attempt } => {
                let not_yet = GateAnswer::NotYet { message: "m".into() };
                Event::Gate { node, attempt, answer: if how % 4 == 3 { not_yet } else { GateAnswer::Passed } }
            }
            Open::Wait(at_ms) => {
                self.now_ms = self.now_ms.max(at_ms);
                Event::Tick
            }
        };
        self.tell(event, true);
    }

    fn tell(&mut self, event: Event, once: bool) {
        self.started |= matches!(event, Event::Start);
        let stop = matches!(event, Event::Cancel | Event::Interrupt | Event::SpaceLow | Event::LeaseEnding);
        self.stopped |= stop && self.started;
        // Only what was answered by us is told again; commits are never promised twice.
        if once && !matches!(event, Event::Start | Event::Committed(_) | Event::CommitFailed { .. }) {
            self.told.push(event.clone());
        }
        let interrupted = matches!(event, Event::Interrupt) && self.started;
        if interrupted {
            // The providers are ended: they answer nothing more.
            self.open.retain(|open| matches!(open, Open::Store { .. } | Open::Wait(_)));
        }
        for effect in step(&mut self.state, event, self.now_ms) {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        assert!(self.finished.is_none() || matches!(effect, Effect::Log(_)), "after the end: {effect:?}");
        match effect {
            Effect::Verify { target, identity, .. } => self.open.push(Open::Verify(target, identity)),
            Effect::Look { node, ask, .. } => {
                self.may_look(&node);
                self.open.push(Open::Look { node, ask, again: false });
            }
            Effect::LookAgain { node, ask } => self.open.push(Open::Look { node, ask, again: true }),
            Effect::CommitIntent { ticket, record } => {
                match &record {
                    Record::Step(step) if matches!(step.state, StepState::Intent(_)) => {
                        assert!(self.now_ms < EXPIRES_MS, "an intent after the permission expired");
                        assert!(self.view.undoing().is_none(), "an intent while the run is taken back");
                    }
                    Record::Undo(undo) if matches!(undo.state, UndoState::Intent(_)) => {}
                    _ => panic!("not an intent: {record:?}"),
                }
                assert!(!self.stopped, "an intent after the run was asked to stop");
                self.open.push(Open::Store { ticket, record: Box::new(record) });
            }
            Effect::CommitResult { ticket, record } => {
                self.open.push(Open::Store { ticket, record: Box::new(record) });
            }
            Effect::Act(operation) => {
                self.may_act(&operation);
                self.open.push(Open::Act(Box::new(operation)));
            }
            Effect::AskStatus { node, direction, attempt, .. } => {
                self.open.push(Open::Status { node, direction, attempt });
            }
            Effect::AskGate { node, attempt } => self.open.push(Open::Gate { node, attempt }),
            Effect::WaitUntil { at_ms } => self.open.push(Open::Wait(at_ms)),
            Effect::Log(_) => {}
            Effect::Finish(finished) => self.finished = Some(finished),
        }
    }

    fn is_done(&self, node: &NodeKey) -> bool {
        matches!(
            self.view.steps().get(node).map(|progress| &progress.state),
            Some(StepState::Succeeded { .. } | StepState::Skipped { because: Because::NotTriggered })
        )
    }

    fn may_look(&self, node: &NodeKey) {
        assert!(matches!(self.view.targets().get(&node.target), Some(TargetState::Verified(_))));
        if self.view.undoing().is_some() {
            return;
        }
        for edge in &self.steps[node].edges {
            let from = NodeKey { target: node.target.clone(), address: edge.from.clone() };
            assert!(self.is_done(&from), "{node} looks before {from} has a durable success");
        }
    }

    fn may_act(&mut self, operation: &Operation) {
        let node = &operation.node;
        let intent = match operation.direction {
            Direction::Forward => {
                let progress = self.view.steps().get(node).expect("no record of the step");
                let StepState::Intent(intent) = &progress.state else {
                    panic!("acts in {:?}", progress.state)
                };
                intent
            }
            Direction::Back => {
                let progress = self.view.undo().get(node).expect("no record of taking back");
                let UndoState::Intent(intent) = &progress.state else {
                    panic!("acts in {:?}", progress.state)
                };
                intent
            }
        };
        assert_eq!((intent.attempt, &intent.op_id), (operation.attempt, &operation.op_id));
        assert_eq!((intent.fence, operation.fence), (self.fence, self.fence));
        assert_eq!(intent.expect, operation.expect);
        if operation.direction == Direction::Forward {
            self.acted.insert(node.clone());
        }
        let count = self.acts.entry((node.clone(), operation.direction)).or_insert(0);
        *count += 1;
        let step = self.steps[node];
        let once = self.plan.types[&step.type_name].retry == Retry::Once;
        assert!(*count <= if once { 1 } else { ATTEMPTS_MAX }, "{node} acts too often");
        self.acting.insert(node.clone());
        let beside: Vec<&NodeKey> =
            self.acting.iter().filter(|other| other.target == node.target && *other != node).collect();
        // While a success is being stored, another has its turn.
        let at_work = beside.iter().filter(|other| !self.stores_success(other)).count();
        assert!(at_work < self.plan.limits.parallel_steps as usize, "{node} acts beside {beside:?}");
        for theirs in beside.iter().flat_map(|other| &self.steps[*other].touches) {
            let write = |ours: &Access| *ours == Access::Write || theirs.access == Access::Write;
            let clash = step.touches.iter().any(|ours| ours.key == theirs.key && write(&ours.access));
            assert!(!clash, "{node} and another touch {}", theirs.key);
        }
    }

    /// Whether a step, or taking it back, succeeded, and only that has to be stored.
    fn stores_success(&self, node: &NodeKey) -> bool {
        self.open.iter().any(|open| match open {
            Open::Store { record, .. } => match &**record {
                Record::Step(record) => {
                    record.node == *node && matches!(record.state, StepState::Succeeded { .. })
                }
                Record::Undo(record) => {
                    record.node == *node && matches!(record.state, UndoState::Undone { .. })
                }
                _ => false,
            },
            _ => false,
        })
    }

    fn check_end(&self) {
        let finished = self.finished.as_ref().unwrap();
        let success = finished.outcome == RunOutcome::Succeeded;
        if !self.journal_failed {
            assert_eq!(ending(&self.view, self.plan), finished.outcome, "what the journal says");
        }
        assert_eq!(finished.reasons.is_empty(), success);
        if success {
            assert!(self.steps.keys().all(|node| self.is_done(node)));
            assert!(self.view.owed().is_empty(), "success, and something is owed");
            assert_eq!(self.view.open().count(), 0);
        }
        for (node, progress) in self.view.steps() {
            let StepState::Succeeded { how, owes, .. } = &progress.state else { continue };
            assert!(*how == How::Already || self.acted.contains(node), "changed without an act");
            let triggered = self.steps.iter().filter(|(other, step)| {
                let fires = |edge: &rectify_model::graph::Edge| {
                    edge.from == node.address && edge.kind == EdgeKind::OnChange
                };
                other.target == node.target && step.edges.iter().any(fires)
            });
            if how.changed() {
                assert_eq!(owes.len(), triggered.count(), "{node} does not say all that it triggers");
            }
        }
    }
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    let mut all = vec![vec![0, 2]];
    for retry in 0..4 {
        for how in [0, 3, 4, 5, 6, 7, 13, 23, 31, 47, 95, 255] {
            let mut script = vec![retry, retry, 255, 0];
            // All goes well for a while, and then something does not.
            script.extend([0, 0].repeat(8 + usize::from(how % 16)));
            script.extend([0, how].repeat(6));
            script.extend([245 - retry % 2, 0]);
            all.push(script.clone());
            // The same, taken back; and lost in between, and gone on with.
            script[1] |= 128;
            script.extend([246, 1, 255, 0]);
            script.extend([0, 0].repeat(12));
            script.extend([246, 1, 255, 0, 249, 0]);
            all.push(script);
        }
    }
    all
}
