//! The driver of the simulation: performs effects after random delays, lets answers overtake each
//! other, keeps a journal in which only what was synced survives, and watches the rules.

use crate::{rng::Rng, world::World};
use rectify_apply::{Effect, Event, Finished, Notice, Operation, Options, RunState, Ticket, step};
use rectify_base::{Digest, FileDigests, NodeKey};
use rectify_model::{
    Plan,
    graph::{Access, EdgeKind},
    journal::{
        Admission, Because, Direction, Entry, FORMAT, GateState, How, Mutated, Record, RunId, RunOutcome,
        RunRecord, RunView, StepState, TargetState, UndoState, UseId,
    },
    plan::Step,
};
use std::collections::BTreeMap;

/// What comes from outside, besides the faults of the world.
#[derive(Clone, Debug, Default)]
pub struct Disturbance {
    pub expires_at_ms: Option<u64>,
    pub cancel_at_ms: Option<u64>,
    pub interrupt_at_ms: Option<u64>,
    pub space_low_at_ms: Option<u64>,
    pub lease_ending_at_ms: Option<u64>,
    /// The commit with this number fails.
    pub commit_fails: Option<u64>,
    /// The process dies before doing the thing with this number.
    pub kill_at: Option<u64>,
    /// A thing is changed by somebody else at this time.
    pub edit: Option<(u64, (String, String))>,
    /// Percentage of answers that come twice.
    pub duplicates: u64,
}

/// Something that is going to happen.
enum Due {
    Tell(Event),
    Look { node: NodeKey, ask: u32, again: bool },
    Act(Operation),
    Status { node: NodeKey, direction: Direction, attempt: u32, op_id: String },
    Store { ticket: Ticket, record: Record },
    Gate { node: NodeKey, attempt: u32 },
    Edit((String, String)),
}

pub struct Sim<'a> {
    plan: &'a Plan,
    steps: BTreeMap<NodeKey, &'a Step>,
    pub world: World,
    state: RunState,
    rng: Rng,
    now_ms: u64,
    order: u64,
    due: BTreeMap<(u64, u64), Due>,
    disturbance: Disturbance,
    expires_at_ms: u64,
    /// The journal: what is durable. Everything else is lost in a kill.
    pub view: RunView,
    acting: BTreeMap<NodeKey, u32>,
    stopped: bool,
    pub finished: Option<Finished>,
    pub killed: bool,
    pub ignored: u64,
    pub trace: Vec<String>,
    /// Print effects as they come, so that a run that fails an assertion can be read.
    pub print: bool,
}

impl<'a> Sim<'a> {
    pub fn new(plan: &'a Plan, seed: u64, disturbance: Disturbance) -> Self {
        let use_id = UseId::new(format!("{seed:032x}")).unwrap();
        let expires_at_ms = disturbance.expires_at_ms.unwrap_or(10_000_000);
        let targets: Vec<_> = plan.targets.keys().cloned().collect();
        let run = RunRecord {
            format: FORMAT.into(),
            run: RunId::derive(&use_id, &targets),
            plan: FileDigests::of_bytes(b"plan"),
            targets,
            admission: Admission {
                seal: Digest::of_bytes(b"seal"),
                approvals: Vec::new(),
                bundle: Digest::of_bytes(b"bundle"),
                overrides: Vec::new(),
            },
            providers: BTreeMap::new(),
            fence: 3,
            started_at_ms: 0,
            expires_at_ms,
            use_id: use_id.clone(),
        };
        let options = Options { fence: 3, ..Options::default() };
        let mut sim = Self {
            plan,
            steps: plan
                .steps
                .iter()
                .map(|step| (NodeKey { target: step.target.clone(), address: step.address.clone() }, step))
                .collect(),
            world: World::new(plan),
            state: RunState::new(plan, &use_id, expires_at_ms, options).unwrap(),
            rng: Rng::new(seed ^ 0x5eed),
            now_ms: 0,
            order: 0,
            due: BTreeMap::new(),
            expires_at_ms,
            view: RunView::new(run),
            acting: BTreeMap::new(),
            stopped: false,
            finished: None,
            killed: false,
            ignored: 0,
            trace: Vec::new(),
            print: false,
            disturbance: disturbance.clone(),
        };
        sim.at(0, Due::Tell(Event::Start));
        if let Some(at_ms) = disturbance.cancel_at_ms {
            sim.at(at_ms, Due::Tell(Event::Cancel));
        }
        if let Some(at_ms) = disturbance.interrupt_at_ms {
            sim.at(at_ms, Due::Tell(Event::Interrupt));
        }
        if let Some(at_ms) = disturbance.space_low_at_ms {
            sim.at(at_ms, Due::Tell(Event::SpaceLow));
        }
        if let Some(at_ms) = disturbance.lease_ending_at_ms {
            sim.at(at_ms, Due::Tell(Event::LeaseEnding));
        }
        if let Some((at_ms, thing)) = disturbance.edit {
            sim.at(at_ms, Due::Edit(thing));
        }
        sim
    }

    fn at(&mut self, at_ms: u64, due: Due) {
        self.order += 1;
        self.due.insert((at_ms.max(self.now_ms), self.order), due);
    }

    fn soon(&mut self, due: Due) {
        let at_ms = self.now_ms + self.rng.ms(80);
        self.at(at_ms, due);
    }

    fn answer(&mut self, event: Event) {
        if self.rng.chance(self.disturbance.duplicates) {
            // Late enough to meet the next attempt.
            let at_ms = self.now_ms + self.rng.ms(500);
            self.at(at_ms, Due::Tell(event.clone()));
        }
        self.soon(Due::Tell(event));
    }

    /// Runs to the end, or to the kill.
    pub fn run(&mut self) {
        let mut done = 0;
        while let Some(((at_ms, _), due)) = self.due.pop_first() {
            if self.disturbance.kill_at == Some(done) && self.finished.is_none() {
                self.killed = true;
                return;
            }
            done += 1;
            assert!(done < 100_000, "the run does not end");
            self.now_ms = at_ms;
            self.happen(due);
        }
        assert!(self.finished.is_some(), "nothing more will happen, and the run has not ended");
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Tell(event) => self.tell(event),
            Due::Look { node, ask, again } => {
                let back = self.view.undoing().is_some();
                let direction = if back { Direction::Back } else { Direction::Forward };
                let answer = self.world.look(&node, again, direction);
                self.answer(Event::Looked { node, ask, answer });
            }
            Due::Act(operation) => {
                self.watch_deed(&operation);
                let answer = self.world.act(&operation);
                let Operation { node, direction, attempt, .. } = operation;
                self.answer(Event::Acted { node, direction, attempt, answer });
            }
            Due::Status { node, direction, attempt, op_id } => {
                let answer = self.world.status(&node, direction, &op_id);
                self.answer(Event::Status { node, direction, attempt, answer });
            }
            Due::Gate { node, attempt } => {
                let answer = self.world.gate(&node, attempt);
                self.answer(Event::Gate { node, attempt, answer });
            }
            Due::Edit(thing) => self.world.edit(&thing),
            Due::Store { ticket, record } => {
                if self.disturbance.commit_fails == Some(ticket.0) {
                    return self.answer(Event::CommitFailed { ticket, message: "disk failed".into() });
                }
                match &record {
                    Record::Step(record)
                        if !matches!(record.state, StepState::Intent(_) | StepState::Unknown(_)) =>
                    {
                        self.acting.remove(&record.node);
                    }
                    Record::Undo(record)
                        if !matches!(record.state, UndoState::Intent(_) | UndoState::Unknown(_)) =>
                    {
                        self.acting.remove(&record.node);
                    }
                    _ => {}
                }
                let entry = Entry { seq: self.view.len() + 1, at_ms: self.now_ms, record };
                self.view.push(&entry).expect("each record can stand where it stands");
                self.answer(Event::Committed(ticket));
            }
        }
    }

    fn tell(&mut self, event: Event) {
        if matches!(event, Event::Cancel | Event::Interrupt | Event::SpaceLow | Event::LeaseEnding) {
            self.stopped = true;
        }
        if matches!(event, Event::Interrupt) {
            // The providers die; whatever they had not done by now they do not do.
            self.due.retain(|_, due| !matches!(due, Due::Act(_)));
        }
        for effect in step(&mut self.state, event, self.now_ms) {
            let line = format!("{} {effect:?}", self.now_ms);
            if self.print {
                println!("{line}");
            }
            self.trace.push(line);
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        assert!(self.finished.is_none() || matches!(effect, Effect::Log(_)), "after the end: {effect:?}");
        match effect {
            Effect::Verify { target, .. } => {
                let answer = self.world.identities[target.as_str()].clone();
                self.answer(Event::Verified { target, answer });
            }
            Effect::Look { node, ask, .. } => {
                if self.view.undoing().is_none() {
                    self.watch_start(&node);
                }
                self.soon(Due::Look { node, ask, again: false });
            }
            Effect::LookAgain { node, ask } => self.soon(Due::Look { node, ask, again: true }),
            Effect::CommitIntent { ticket, record } => {
                match &record {
                    Record::Step(step) => {
                        assert!(matches!(step.state, StepState::Intent(_)));
                        assert!(self.now_ms < self.expires_at_ms, "an intent after the permission expired");
                    }
                    Record::Undo(undo) => assert!(matches!(undo.state, UndoState::Intent(_))),
                    _ => panic!("not an intent: {record:?}"),
                }
                assert!(!self.stopped, "an intent after the run was asked to stop");
                self.soon(Due::Store { ticket, record });
            }
            Effect::CommitResult { ticket, record } => self.soon(Due::Store { ticket, record }),
            Effect::Act(operation) => {
                self.watch_act(&operation);
                self.soon(Due::Act(operation));
            }
            Effect::AskStatus { node, direction, attempt, op_id } => {
                self.soon(Due::Status { node, direction, attempt, op_id });
            }
            Effect::AskGate { node, attempt } => self.soon(Due::Gate { node, attempt }),
            Effect::WaitUntil { at_ms } => {
                assert!(at_ms > self.now_ms);
                let late = self.rng.ms(5);
                self.at(at_ms + late, Due::Tell(Event::Tick));
            }
            Effect::Log(Notice::Ignored { .. }) => self.ignored += 1,
            Effect::Log(_) => {}
            Effect::Finish(finished) => self.finished = Some(finished),
        }
    }

    /// Steps are ordered by edges and waves from the first look on.
    fn watch_start(&self, node: &NodeKey) {
        for edge in &self.steps[node].edges {
            let from = NodeKey { target: node.target.clone(), address: edge.from.clone() };
            assert!(self.is_done(&from), "{node} looks before {from} has a durable success");
        }
        let wave = self.plan.waves.iter().position(|wave| wave.contains(&node.target)).unwrap();
        for target in self.plan.waves[..wave].iter().flatten() {
            for step in self.steps.keys().filter(|step| step.target == *target) {
                assert!(self.is_done(step), "{node} looks before wave {wave} may begin");
            }
            for gate in self.plan.gates.iter().filter(|gate| gate.target == *target) {
                let gate = NodeKey { target: gate.target.clone(), address: gate.address.clone() };
                assert_eq!(self.view.gates().get(&gate), Some(&GateState::Passed), "{node} before {gate}");
            }
        }
    }

    fn is_done(&self, node: &NodeKey) -> bool {
        matches!(
            self.view.steps().get(node).map(|progress| &progress.state),
            Some(StepState::Succeeded { .. } | StepState::Skipped { because: Because::NotTriggered })
        )
    }

    /// No act without a durable intent for this very attempt; none beside another on the same thing.
    fn watch_act(&mut self, operation: &Operation) {
        let intent = match operation.direction {
            Direction::Forward => {
                let progress = self.view.steps().get(&operation.node).expect("no record of the step");
                let StepState::Intent(intent) = &progress.state else {
                    panic!("acts in {:?}", progress.state)
                };
                intent
            }
            Direction::Back => {
                let progress = self.view.undo().get(&operation.node).expect("no record of taking back");
                let UndoState::Intent(intent) = &progress.state else {
                    panic!("acts in {:?}", progress.state)
                };
                intent
            }
        };
        assert_eq!((intent.attempt, &intent.op_id), (operation.attempt, &operation.op_id));
        assert_eq!((intent.fence, operation.fence), (3, 3));
        self.acting.insert(operation.node.clone(), operation.attempt);
        let step = self.steps[&operation.node];
        let beside: Vec<&NodeKey> =
            self.acting.keys().filter(|n| n.target == step.target && **n != operation.node).collect();
        let limit = usize::try_from(self.plan.limits.parallel_steps).unwrap();
        assert!(beside.len() < limit, "{} acts beside {beside:?}", operation.node);
        for other in beside {
            for theirs in &self.steps[other].touches {
                let clash = step.touches.iter().any(|ours| {
                    ours.key == theirs.key && (ours.access == Access::Write || theirs.access == Access::Write)
                });
                assert!(!clash, "{} and {other} touch {}", operation.node, theirs.key);
            }
        }
    }

    fn watch_deed(&mut self, operation: &Operation) {
        let facts = &self.plan.types[&self.steps[&operation.node].type_name];
        let before = self.world.deeds.iter().filter(|deed| deed.op_id == operation.op_id).count();
        if facts.retry == rectify_model::grade::Retry::Once {
            assert_eq!(before, 0, "{} runs twice", operation.node);
        }
        assert!(before < 2, "{} is done a third time", operation.node);
    }

    /// What must hold whenever and however it ended.
    pub fn check(&self) {
        self.check_deeds();
        self.check_owed();
        if let Some(finished) = &self.finished {
            self.check_end(finished);
        }
    }

    /// Each effect on the world is accounted for in the journal.
    fn check_deeds(&self) {
        for deed in self.world.deeds.iter().filter(|deed| deed.direction == Direction::Forward) {
            let progress = self.view.steps().get(&deed.node).expect("an effect without any record");
            let intent = progress.intent.as_ref().expect("an effect without an intent");
            assert!(intent.attempt >= deed.attempt && intent.op_id == deed.op_id);
            let admitted = match &progress.state {
                StepState::Intent(_) | StepState::Unknown(_) => true,
                StepState::Succeeded { how, .. } => *how != How::Already,
                StepState::Failed(failure) => failure.mutated != Mutated::No,
                StepState::Stale { .. } | StepState::Skipped { .. } => false,
            };
            assert!(admitted, "{} changed the world and is called {:?}", deed.node, progress.state);
        }
    }

    /// What a durable success triggers has succeeded or is owed, also after a kill.
    fn check_owed(&self) {
        let owed = self.view.owed();
        for (node, progress) in self.view.steps() {
            let StepState::Succeeded { how, .. } = progress.state else { continue };
            for (dependent, step) in self.steps.iter().filter(|(other, _)| other.target == node.target) {
                let triggered =
                    step.edges.iter().any(|e| e.from == node.address && e.kind == EdgeKind::OnChange);
                if triggered && how.changed() {
                    let state = self.view.steps().get(dependent).map(|progress| &progress.state);
                    let ran = matches!(state, Some(StepState::Succeeded { .. }));
                    assert!(ran != owed.contains(dependent), "{dependent} is {state:?}, owed by {node}");
                }
            }
        }
    }

    fn check_end(&self, finished: &Finished) {
        let outcome = finished.outcome;
        let all_steps = self.steps.keys().all(|node| self.is_done(node));
        let all_gates = self.plan.gates.iter().all(|gate| {
            let node = NodeKey { target: gate.target.clone(), address: gate.address.clone() };
            self.view.gates().get(&node) == Some(&GateState::Passed)
        });
        let journal_lost = finished.reasons.iter().any(|reason| reason.code == rectify_apply::codes::JOURNAL);
        let all_targets = self
            .plan
            .targets
            .keys()
            .all(|target| matches!(self.view.targets().get(target), Some(TargetState::Verified(_))));
        let undisturbed = !journal_lost && outcome != RunOutcome::Interrupted;
        let all = all_targets && all_steps && all_gates;
        assert_eq!(outcome == RunOutcome::Succeeded, all && undisturbed);
        assert_eq!(finished.reasons.is_empty(), outcome == RunOutcome::Succeeded);
        if matches!(outcome, RunOutcome::Failed | RunOutcome::Stale) {
            assert!(self.world.deeds.is_empty(), "{outcome:?} after {:?}", self.world.deeds);
        }
        if journal_lost {
            return;
        }
        assert_eq!(rectify_apply::ending(&self.view, self.plan), outcome, "what the journal says");
        for (node, progress) in self.view.steps() {
            match &progress.state {
                StepState::Intent(_) => panic!("{node} is left with an open intent"),
                StepState::Unknown(_) => {
                    assert!(matches!(outcome, RunOutcome::NeedsOperator | RunOutcome::Interrupted));
                }
                _ => {}
            }
        }
        if outcome == RunOutcome::NeedsOperator {
            let open = self.view.open().count() + self.view.open_undo().count();
            assert!(open > 0, "a person is called for nothing");
        }
    }
}
