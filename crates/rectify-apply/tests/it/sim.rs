//! The driver of the simulation: performs effects after random delays, lets answers overtake each
//! other, keeps a journal in which only what was synced survives, and watches the rules. A run may pass
//! through several engines: each has a lease with a higher fence, and an old one may wake up again.

use crate::{
    rng::Rng,
    world::{Deed, World},
};
use rectify_apply::{
    Effect, Event, Finished, Notice, Operation, Options, Reason, RunState, Ticket, ending, step,
    verdict_record,
};
use rectify_base::{Digest, FileDigests, NodeKey};
use rectify_model::{
    Plan,
    grade::Retry,
    graph::{Access, EdgeKind},
    journal::{
        Admission, Because, Direction, Entry, FORMAT, Failure, GateState, How, Mutated, Record, Resolution,
        RunId, RunMark, RunOutcome, RunRecord, RunView, StepRecord, StepState, TargetState, UndoRecord,
        UndoState, UseId, Verdict,
    },
    observation::Identity,
    plan::Step,
};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// What comes from outside while one engine has the run, besides the faults of the world.
#[derive(Clone, Debug, Default)]
pub struct Disturbance {
    pub expires_at_ms: Option<u64>,
    pub cancel_at_ms: Option<u64>,
    pub interrupt_at_ms: Option<u64>,
    pub space_low_at_ms: Option<u64>,
    pub lease_ending_at_ms: Option<u64>,
    /// The commit with this number fails for good.
    pub commit_fails: Option<u64>,
    /// The commit with this number finds the disk full; then there is space again.
    pub disk_full_at: Option<u64>,
    /// The sync of the commit with this number fails: the engine ends itself at once.
    pub sync_fails_at: Option<u64>,
    /// The process dies before doing the thing with this number.
    pub kill_at: Option<u64>,
    /// It dies at this point of this step.
    pub kill_when: Option<(Point, NodeKey, Direction)>,
    /// The process stands still from the thing with this number on, and wakes up much later.
    pub pause_at: Option<u64>,
    /// A thing is changed by somebody else at this time.
    pub edit: Option<(u64, (String, String))>,
    /// The clock jumps by so much at this time.
    pub clock_jump: Option<(u64, i64)>,
    /// A target does not answer, or is another one, while this engine has the run.
    pub identity: Option<(String, Result<Identity, Failure>)>,
    /// Nothing new may begin.
    pub no_new: bool,
    /// Percentage of answers that come twice.
    pub duplicates: u64,
    /// Each operation reaches its provider twice.
    pub deliver_twice: bool,
}

/// A point in the life of a step at which an engine dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// The intent is durable, the provider was not asked.
    BeforeAct,
    /// The provider has acted, its answer is lost.
    AfterAct,
    /// The result is durable.
    AfterResult,
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
    Jump(i64),
}

/// How an engine lost the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Finished,
    Killed,
    Paused,
}

pub struct Sim<'a> {
    pub plan: &'a Plan,
    steps: BTreeMap<NodeKey, &'a Step>,
    pub world: World,
    state: RunState,
    rng: Rng,
    now_ms: u64,
    /// How far the clock is off.
    skew_ms: i64,
    order: u64,
    /// What is due, and which engine it is about.
    due: BTreeMap<(u64, u64), (u64, Due)>,
    disturbance: Disturbance,
    use_id: UseId,
    expires_at_ms: u64,
    /// The journal: what is durable. Everything else is lost in a kill.
    pub view: RunView,
    /// Engines that stand still.
    asleep: BTreeMap<u64, RunState>,
    /// The engine that has the run, counted from 1.
    pub engine: u64,
    acting: BTreeMap<NodeKey, u32>,
    /// Those of them that succeeded, which is not stored yet.
    succeeded: BTreeSet<NodeKey>,
    /// Intents that were handed to the journal by this engine: no more after it was stopped.
    stopped: bool,
    /// States of things when the run began.
    before: Option<BTreeMap<(String, String), Digest>>,
    pub finished: Option<Finished>,
    pub end: Option<End>,
    pub ignored: u64,
    /// Faults of the surroundings that came to bear.
    pub faults: u64,
    /// Words for what occurred.
    pub words: BTreeSet<String>,
    /// Keep a trace.
    pub traced: bool,
    pub trace: Vec<String>,
    /// Print effects as they come, so that a run that fails an assertion can be read.
    pub print: bool,
}

const FENCE: u64 = 3;

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
            fence: FENCE,
            started_at_ms: 0,
            expires_at_ms,
            use_id: use_id.clone(),
        };
        let options = Options { fence: FENCE, ..Options::default() };
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
            skew_ms: 0,
            order: 0,
            due: BTreeMap::new(),
            expires_at_ms,
            use_id,
            view: RunView::new(run),
            asleep: BTreeMap::new(),
            engine: 1,
            acting: BTreeMap::new(),
            succeeded: BTreeSet::new(),
            stopped: false,
            before: None,
            finished: None,
            end: None,
            ignored: 0,
            faults: 0,
            words: BTreeSet::new(),
            traced: false,
            trace: Vec::new(),
            print: false,
            disturbance: Disturbance::default(),
        };
        sim.begin(disturbance);
        sim
    }

    fn begin(&mut self, disturbance: Disturbance) {
        let now_ms = self.now_ms;
        self.at(now_ms, Due::Tell(Event::Start));
        let events = [
            (disturbance.cancel_at_ms, Event::Cancel),
            (disturbance.interrupt_at_ms, Event::Interrupt),
            (disturbance.space_low_at_ms, Event::SpaceLow),
            (disturbance.lease_ending_at_ms, Event::LeaseEnding),
        ];
        for (at_ms, event) in events {
            if let Some(at_ms) = at_ms {
                self.at(now_ms + at_ms, Due::Tell(event));
            }
        }
        if let Some((at_ms, thing)) = disturbance.edit.clone() {
            self.at(now_ms + at_ms, Due::Edit(thing));
        }
        if let Some((at_ms, by_ms)) = disturbance.clock_jump {
            self.at(now_ms + at_ms, Due::Jump(by_ms));
        }
        self.stopped = false;
        self.acting.clear();
        self.succeeded.clear();
        self.end = None;
        self.finished = None;
        self.disturbance = disturbance;
    }

    fn fence(&self) -> u64 {
        FENCE + self.engine - 1
    }

    /// Another engine takes the run up.
    pub fn resume(&mut self, disturbance: Disturbance) {
        self.engine += 1;
        self.now_ms += self.rng.ms(400);
        let fence = self.fence();
        self.append(Record::Run(RunMark::Resumed { fence }));
        let no_new = disturbance.no_new.then(|| Reason {
            code: rectify_apply::codes::EXPIRED,
            place: "run".into(),
            message: "the permission has expired".into(),
        });
        let options = Options { fence, no_new, ..Options::default() };
        if self.print {
            self.line(format!("engine {} with fence {fence}: {disturbance:?}", self.engine));
        }
        self.state =
            RunState::resume(self.plan, &self.view, &self.use_id, self.expires_at_ms, options).unwrap();
        self.begin(disturbance);
    }

    fn append(&mut self, record: Record) {
        let entry = Entry { seq: self.view.len() + 1, at_ms: self.now_ms, record };
        if self.print || self.traced {
            self.line(format!("stored {entry:?}"));
        }
        self.view.push(&entry).expect("each record can stand where it stands");
    }

    fn line(&mut self, line: String) {
        if self.print {
            println!("{} {line}", self.now_ms);
        }
        if self.traced {
            self.trace.push(format!("{} {line}", self.now_ms));
        }
    }

    fn word(&mut self, word: &str) {
        if !self.words.contains(word) {
            self.words.insert(word.into());
        }
    }

    fn at(&mut self, at_ms: u64, due: Due) {
        self.at_of(self.engine, at_ms, due);
    }

    fn at_of(&mut self, engine: u64, at_ms: u64, due: Due) {
        self.order += 1;
        self.due.insert((at_ms.max(self.now_ms), self.order), (engine, due));
    }

    fn soon(&mut self, engine: u64, due: Due) {
        let at_ms = self.now_ms + self.rng.ms(80);
        self.at_of(engine, at_ms, due);
    }

    fn answer(&mut self, engine: u64, event: Event) {
        if self.rng.chance(self.disturbance.duplicates) {
            // Late enough to meet the next attempt.
            self.faults += 1;
            let at_ms = self.now_ms + self.rng.ms(500);
            self.at_of(engine, at_ms, Due::Tell(event.clone()));
        }
        self.soon(engine, Due::Tell(event));
    }

    /// Runs until this engine has come to its end, or to a kill or a pause.
    pub fn run(&mut self) {
        if self.before.is_none() {
            self.before = Some(self.world.states.clone());
        }
        let mut done = 0;
        while self.end.is_none() {
            let Some((key, (engine, due))) = self.due.pop_first() else {
                panic!("nothing more will happen, and the run has not ended");
            };
            if engine == self.engine {
                if self.disturbance.kill_at == Some(done) {
                    self.due.insert(key, (engine, due));
                    return self.kill();
                }
                if self.disturbance.pause_at == Some(done) {
                    self.due.insert(key, (engine, due));
                    return self.pause();
                }
                done += 1;
            }
            assert!(done < 100_000, "the run does not end");
            self.now_ms = key.0;
            self.happen(engine, due);
        }
        if self.end == Some(End::Finished) {
            self.let_late_answers_come();
        }
    }

    /// Whatever this engine still expected comes now, and changes nothing. Others sleep on.
    fn let_late_answers_come(&mut self) {
        let mine = self.due.iter().filter(|(_, (engine, _))| *engine == self.engine);
        let mine: Vec<_> = mine.map(|(key, _)| *key).collect();
        for key in mine {
            let Some((engine, due)) = self.due.remove(&key) else { continue };
            let happens = match due {
                Due::Tell(_) | Due::Edit(_) | Due::Jump(_) => true,
                // The journal failed while a provider was at work.
                Due::Act(_) => self.rng.chance(50),
                _ => false,
            };
            if happens {
                self.now_ms = self.now_ms.max(key.0);
                self.happen(engine, due);
            }
        }
        self.due.retain(|_, (engine, _)| *engine != self.engine);
    }

    /// The engine dies. Of what it was storing a part may be durable, in order; of what its providers
    /// were doing some is done, some is not, and some is done later, under the old fence.
    fn kill(&mut self) {
        self.faults += 1;
        self.line("killed".into());
        self.end = Some(End::Killed);
        let keep = self.rng.below(4);
        let mut stored = 0;
        for (key, (engine, due)) in std::mem::take(&mut self.due) {
            if engine != self.engine {
                self.due.insert(key, (engine, due));
                continue;
            }
            match due {
                Due::Store { record, .. } if stored < keep => {
                    stored += 1;
                    self.word("stored, and nobody knew");
                    self.append(record);
                }
                Due::Act(operation) => match self.rng.below(3) {
                    0 => {
                        self.watch_deed(&operation);
                        self.world.act(&operation);
                    }
                    1 => {
                        let at_ms = self.now_ms + self.rng.ms(1_500);
                        self.at_of(engine, at_ms, Due::Act(operation));
                    }
                    _ => {}
                },
                Due::Edit(thing) => self.world.edit(&thing),
                _ => {}
            }
        }
        if self.view.open().count() + self.view.open_undo().count() > 0 {
            self.word("killed with open intents");
        }
        self.word("killed");
    }

    /// The engine stands still with everything that it was about to do, and does it later.
    fn pause(&mut self) {
        self.faults += 1;
        self.line("paused".into());
        self.word("paused");
        self.end = Some(End::Paused);
        self.asleep.insert(self.engine, self.state.clone());
        let late_ms = self.rng.ms(1_500);
        for ((at_ms, order), (engine, due)) in std::mem::take(&mut self.due) {
            if engine == self.engine {
                self.due.insert((at_ms + late_ms, order), (engine, due));
            } else {
                self.due.insert((at_ms, order), (engine, due));
            }
        }
    }

    fn clock(&self) -> u64 {
        self.now_ms.saturating_add_signed(self.skew_ms)
    }

    fn happen(&mut self, engine: u64, due: Due) {
        match due {
            Due::Tell(event) => self.tell(engine, event),
            Due::Look { node, ask, again } => {
                let back = self.view.undoing().is_some();
                let direction = if back { Direction::Back } else { Direction::Forward };
                let answer = self.world.look(&node, again, direction);
                self.answer(engine, Event::Looked { node, ask, answer });
            }
            Due::Act(operation) => {
                self.watch_deed(&operation);
                let answer = self.world.act(&operation);
                if self.disturbance.deliver_twice {
                    self.faults += 1;
                    self.world.act(&operation);
                }
                let point = (Point::AfterAct, operation.node.clone(), operation.direction);
                if engine == self.engine && self.disturbance.kill_when.as_ref() == Some(&point) {
                    return self.kill();
                }
                let Operation { node, direction, attempt, .. } = operation;
                self.answer(engine, Event::Acted { node, direction, attempt, answer });
            }
            Due::Status { node, direction, attempt, op_id } => {
                let answer = self.world.status(&node, direction, &op_id);
                self.answer(engine, Event::Status { node, direction, attempt, answer });
            }
            Due::Gate { node, attempt } => {
                let answer = self.world.gate(&node, attempt);
                self.answer(engine, Event::Gate { node, attempt, answer });
            }
            Due::Edit(thing) => {
                self.faults += 1;
                self.world.edit(&thing);
            }
            Due::Jump(by_ms) => {
                self.faults += 1;
                self.word(if by_ms < 0 { "the clock went back" } else { "the clock went forth" });
                self.skew_ms += by_ms;
            }
            Due::Store { ticket, record } => self.store(engine, ticket, record),
        }
    }

    fn store(&mut self, engine: u64, ticket: Ticket, record: Record) {
        if engine != self.engine {
            // The journal belongs to whoever has the lease now.
            self.word("an old engine was refused by the journal");
            return self
                .answer(engine, Event::CommitFailed { ticket, message: "another has the run".into() });
        }
        if self.disturbance.commit_fails == Some(ticket.0) {
            self.faults += 1;
            return self.answer(engine, Event::CommitFailed { ticket, message: "disk failed".into() });
        }
        if self.disturbance.sync_fails_at == Some(ticket.0) {
            self.word("a sync failed");
            // Whether it is on the disk nobody knows.
            if self.rng.chance(50) {
                self.append(record);
            }
            return self.kill();
        }
        if self.disturbance.disk_full_at == Some(ticket.0) {
            self.faults += 1;
            self.word("the disk was full");
            self.disturbance.disk_full_at = None;
            self.soon(engine, Due::Tell(Event::SpaceLow));
            let at_ms = self.now_ms + self.rng.ms(300);
            return self.at_of(engine, at_ms, Due::Store { ticket, record });
        }
        let over = ended(&record);
        self.append(record);
        if let Some((node, direction)) = over {
            self.acting.remove(&node);
            self.succeeded.remove(&node);
            let point = (Point::AfterResult, node, direction);
            if self.disturbance.kill_when.as_ref() == Some(&point) {
                return self.kill();
            }
        }
        self.answer(engine, Event::Committed(ticket));
    }

    fn tell(&mut self, engine: u64, event: Event) {
        if engine == self.engine {
            if matches!(event, Event::Cancel | Event::Interrupt | Event::SpaceLow | Event::LeaseEnding) {
                self.stopped = true;
                self.faults += 1;
            }
            if matches!(event, Event::Interrupt) {
                // The providers die; whatever they had not done by now they do not do.
                self.due.retain(|_, (of, due)| *of != engine || !matches!(due, Due::Act(_)));
            }
        }
        let clock = self.clock();
        let effects = if engine == self.engine {
            step(&mut self.state, event, clock)
        } else {
            match self.asleep.get_mut(&engine) {
                Some(state) => step(state, event, clock),
                None => return,
            }
        };
        for effect in effects {
            if self.print || self.traced {
                self.line(format!("engine {engine}: {effect:?}"));
            }
            if engine == self.engine {
                if self.end.is_some() && !matches!(effect, Effect::Log(_)) {
                    assert!(self.finished.is_none(), "after the end: {effect:?}");
                    return;
                }
                self.watch(&effect);
            }
            self.perform(engine, effect);
        }
    }

    fn perform(&mut self, engine: u64, effect: Effect) {
        match effect {
            Effect::Verify { target, assumptions, fence, .. } => {
                let mut answer = self.world.identities[target.as_str()].clone();
                if let Some((name, other)) = &self.disturbance.identity
                    && name == target.as_str()
                {
                    answer = other.clone();
                    self.faults += 1;
                }
                if !assumptions && answer.as_ref().is_err_and(|e| e.code == "apply-assumption") {
                    answer = Ok(crate::plans::identity(target.as_str()));
                }
                if answer.is_ok() {
                    self.world.raise_fence(target.as_str(), fence);
                }
                self.answer(engine, Event::Verified { target, answer });
            }
            Effect::Look { node, ask, .. } => self.soon(engine, Due::Look { node, ask, again: false }),
            Effect::LookAgain { node, ask } => self.soon(engine, Due::Look { node, ask, again: true }),
            Effect::CommitIntent { ticket, record } | Effect::CommitResult { ticket, record } => {
                if engine == self.engine
                    && let Record::Step(StepRecord { node, state: StepState::Succeeded { .. } })
                    | Record::Undo(UndoRecord { node, state: UndoState::Undone { .. } }) = &record
                {
                    self.succeeded.insert(node.clone());
                }
                // What goes into one group of the journal keeps its order.
                self.soon(engine, Due::Store { ticket, record });
            }
            Effect::Act(operation) => {
                let point = (Point::BeforeAct, operation.node.clone(), operation.direction);
                if engine == self.engine && self.disturbance.kill_when.as_ref() == Some(&point) {
                    return self.kill();
                }
                self.soon(engine, Due::Act(operation));
            }
            Effect::AskStatus { node, direction, attempt, op_id } => {
                self.word("AskStatus");
                self.soon(engine, Due::Status { node, direction, attempt, op_id });
            }
            Effect::AskGate { node, attempt } => self.soon(engine, Due::Gate { node, attempt }),
            Effect::WaitUntil { at_ms } => {
                let wait_ms = at_ms.saturating_sub(self.clock());
                let at_ms = self.now_ms + wait_ms + self.rng.ms(5);
                self.at_of(engine, at_ms, Due::Tell(Event::Tick));
            }
            Effect::Log(notice) => {
                if engine == self.engine {
                    self.hear(&notice);
                }
            }
            Effect::Finish(finished) => {
                if engine == self.engine {
                    self.finished = Some(finished);
                    self.end = Some(End::Finished);
                }
            }
        }
    }

    fn hear(&mut self, notice: &Notice) {
        match notice {
            Notice::Ignored { .. } => {
                self.ignored += 1;
                self.word("ignored");
            }
            Notice::GateWaits { .. } => self.word("GateWaits"),
            Notice::Undoing { .. } => self.word("Undoing"),
            Notice::StepIs { state, .. } => match state {
                StepState::Succeeded { how, .. } => self.word(&format!("how: {how:?}")),
                StepState::Skipped { because: Because::NotTriggered } => self.word("NotTriggered"),
                StepState::Failed(failure) if failure.not_begun() => self.word("not begun"),
                _ => {}
            },
            Notice::UndoIs { state, .. } => match state {
                UndoState::Undone { how, .. } => self.word(&format!("undone: {how:?}")),
                UndoState::Kept { because } => {
                    let word = format!("{because:?}");
                    self.word(&format!("kept: {}", word.split('(').next().unwrap()));
                }
                UndoState::Conflict { .. } => self.word("undo conflict"),
                UndoState::Failed(_) => self.word("undo failed"),
                UndoState::Unknown(_) => self.word("undo unknown"),
                UndoState::Intent(_) => {}
            },
            _ => {}
        }
    }

    /// What must hold of each effect of the engine that has the run.
    fn watch(&mut self, effect: &Effect) {
        match effect {
            Effect::Look { node, .. } => {
                let verified = self.view.targets().get(&node.target);
                assert!(matches!(verified, Some(TargetState::Verified(_))), "{node} before its target");
                if self.view.undoing().is_some() {
                    self.watch_start_back(node);
                } else {
                    self.watch_start(node);
                }
            }
            Effect::CommitIntent { record, .. } => {
                match record {
                    Record::Step(step) => {
                        let StepState::Intent(intent) = &step.state else { panic!("no intent: {record:?}") };
                        assert!(self.clock() < self.expires_at_ms, "an intent after the permission expired");
                        assert!(!self.disturbance.no_new, "an intent where nothing new may begin");
                        assert_eq!(intent.fence, self.fence());
                        if intent.attempt > 1 {
                            self.word("attempt: 2");
                        }
                    }
                    Record::Undo(undo) => assert!(matches!(undo.state, UndoState::Intent(_))),
                    _ => panic!("not an intent: {record:?}"),
                }
                assert!(!self.stopped, "an intent after the run was asked to stop");
            }
            Effect::WaitUntil { at_ms } => assert!(*at_ms > self.clock()),
            Effect::Act(operation) => self.watch_act(operation),
            _ => {}
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

    /// A step is taken back only when nothing is left of what was built on it; an action that something
    /// triggers, after all others.
    fn watch_start_back(&self, node: &NodeKey) {
        assert!(self.view.steps().values().all(|p| !matches!(p.state, StepState::Unknown(_))));
        let last = |step: &Step| {
            step.result.is_none() && step.edges.iter().any(|edge| edge.kind == EdgeKind::OnChange)
        };
        let scope: BTreeSet<NodeKey> = rectify_apply::undo_scope(&self.view, self.plan).into_iter().collect();
        assert!(scope.contains(node), "{node} is taken back without need");
        let over = |other: &NodeKey| {
            let state = self.view.undo().get(other).map(|progress| &progress.state);
            state.is_some_and(|s| !matches!(s, UndoState::Intent(_) | UndoState::Unknown(_)))
        };
        for (other, step) in self.steps.iter().filter(|(other, _)| scope.contains(*other)) {
            let waits = if last(self.steps[node]) {
                !last(step) && other.target == node.target
            } else {
                !last(step)
                    && step.edges.iter().any(|e| e.from == node.address)
                    && other.target == node.target
            };
            assert!(!waits || over(other), "{node} is taken back before {other}");
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
                let StepState::Intent(intent) = &progress.state else { panic!("in {:?}", progress.state) };
                intent
            }
            Direction::Back => {
                let progress = self.view.undo().get(&operation.node).expect("no record of taking back");
                let UndoState::Intent(intent) = &progress.state else { panic!("in {:?}", progress.state) };
                intent
            }
        };
        assert_eq!((intent.attempt, &intent.op_id), (operation.attempt, &operation.op_id));
        assert_eq!((intent.fence, operation.fence), (self.fence(), self.fence()));
        self.acting.insert(operation.node.clone(), operation.attempt);
        self.succeeded.remove(&operation.node);
        let step = self.steps[&operation.node];
        let beside: Vec<&NodeKey> =
            self.acting.keys().filter(|n| n.target == step.target && **n != operation.node).collect();
        let limit = usize::try_from(self.plan.limits.parallel_steps).unwrap();
        // While a success is being stored, another has its turn.
        let at_work = beside.iter().filter(|node| !self.succeeded.contains(**node)).count();
        assert!(at_work < limit, "{} acts beside {beside:?}", operation.node);
        for other in beside {
            for theirs in &self.steps[other].touches {
                let clash = step.touches.iter().any(|ours| {
                    ours.key == theirs.key && (ours.access == Access::Write || theirs.access == Access::Write)
                });
                assert!(!clash, "{} and {other} touch {}", operation.node, theirs.key);
            }
        }
    }

    fn retry(&self, node: &NodeKey) -> Retry {
        self.plan.types[&self.steps[node].type_name].retry
    }

    /// What the ledger of the provider must make sure of, and the engine must not rely on.
    fn watch_deed(&self, operation: &Operation) {
        let before = self.world.deeds.iter().filter(|deed| deed.op_id == operation.op_id).count();
        if self.retry(&operation.node) == Retry::Once && !self.disturbance.deliver_twice {
            let late = operation.fence < self.fence();
            assert!(before == 0 || late, "{} is asked for twice", operation.node);
        }
    }

    /// What must hold whenever and however it ended.
    pub fn check(&self) {
        self.check_deeds();
        self.check_owed();
        if let Some(finished) = &self.finished {
            self.check_end(finished);
        }
    }

    /// Each effect on the world is accounted for in the journal, and what may not be repeated was not.
    fn check_deeds(&self) {
        let mut whole: BTreeMap<(&NodeKey, Direction), u32> = BTreeMap::new();
        for deed in &self.world.deeds {
            let (intent, attempts, admitted) = match deed.direction {
                Direction::Forward => {
                    let progress = self.view.steps().get(&deed.node).expect("an effect without any record");
                    let admitted = match &progress.state {
                        StepState::Intent(_) | StepState::Unknown(_) => true,
                        StepState::Succeeded { how, .. } => *how != How::Already,
                        StepState::Failed(failure) => failure.mutated != Mutated::No,
                        StepState::Stale { .. } | StepState::Skipped { .. } => false,
                    };
                    (progress.intent.as_ref(), progress.attempts, admitted)
                }
                Direction::Back => {
                    let progress = self.view.undo().get(&deed.node).expect("an effect without any record");
                    let admitted = match &progress.state {
                        UndoState::Intent(_) | UndoState::Unknown(_) => true,
                        UndoState::Undone { how, .. } => *how != How::Already,
                        UndoState::Failed(failure) => failure.mutated != Mutated::No,
                        UndoState::Conflict { .. } | UndoState::Kept { .. } => false,
                    };
                    (progress.intent.as_ref(), progress.attempts, admitted)
                }
            };
            assert!(intent.is_some() && attempts >= deed.attempt, "{deed:?} has no intent");
            assert!(admitted, "{deed:?} changed the world, and the journal does not say so");
            if self.retry(&deed.node) != Retry::Converge {
                let count = whole.entry((&deed.node, deed.direction)).or_insert(0);
                *count += 1;
                assert!(*count < 2, "{} was done twice", deed.node);
            }
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

    pub fn journal_lost(&self) -> bool {
        let lost = rectify_apply::codes::JOURNAL;
        self.finished.as_ref().is_some_and(|f| f.reasons.iter().any(|reason| reason.code == lost))
    }

    fn check_end(&self, finished: &Finished) {
        let outcome = finished.outcome;
        assert_eq!(finished.reasons.is_empty(), outcome == RunOutcome::Succeeded);
        if self.journal_lost() {
            return;
        }
        assert_eq!(ending(&self.view, self.plan), outcome, "what the journal says");
        let all = self.steps.keys().all(|node| self.is_done(node))
            && self.plan.gates.iter().all(|gate| {
                let node = NodeKey { target: gate.target.clone(), address: gate.address.clone() };
                self.view.gates().get(&node) == Some(&GateState::Passed)
            });
        if outcome == RunOutcome::Succeeded {
            assert!(all, "success, and not all is done");
            assert!(self.view.owed().is_empty(), "success, and something is owed");
        }
        let open = self.view.open().count() + self.view.open_undo().count();
        match outcome {
            RunOutcome::Failed | RunOutcome::Stale => {
                assert!(self.world.deeds.is_empty(), "{outcome:?} after {:?}", self.world.deeds);
            }
            RunOutcome::NeedsOperator => assert!(open > 0, "a person is called for nothing"),
            _ => {}
        }
        if outcome.is_final() {
            assert_eq!(open, 0, "{outcome:?}, and something is open");
            self.check_world(outcome);
        }
    }

    /// What the world looks like in the end.
    fn check_world(&self, outcome: RunOutcome) {
        let before = self.before.as_ref().unwrap();
        let mine = |thing: &&(String, String)| !self.world.edited.contains(*thing);
        match outcome {
            RunOutcome::Undone => {
                for thing in before.keys().filter(mine) {
                    assert_eq!(self.world.states[thing], before[thing], "{thing:?} is not as before");
                }
            }
            RunOutcome::Succeeded => {
                let mut planned = before.clone();
                for step in &self.plan.steps {
                    if let (Some(thing), Some(result)) = (crate::world::thing(step), step.result) {
                        let node = NodeKey { target: step.target.clone(), address: step.address.clone() };
                        let state = &self.view.steps()[&node].state;
                        // What a person said is not what was seen.
                        let seen = matches!(state, StepState::Succeeded { how, .. } if *how != How::Judged);
                        if seen {
                            planned.insert(thing, result);
                        } else {
                            planned.remove(&thing);
                        }
                    }
                }
                for thing in planned.keys().filter(mine) {
                    assert_eq!(self.world.states[thing], planned[thing], "{thing:?} is not as planned");
                }
            }
            _ => {}
        }
    }

    pub fn is_over(&self) -> bool {
        self.finished.as_ref().is_some_and(|f| f.outcome.is_final()) && !self.journal_lost()
    }

    /// A person looks at what is unknown and tells the truth about it. `retry`: where nothing happened,
    /// it may be tried again.
    pub fn ask_person(&mut self, retry: bool) {
        let called = self.finished.as_ref().is_some_and(|f| f.outcome == RunOutcome::NeedsOperator);
        if !called || self.journal_lost() {
            return;
        }
        let forward = self.view.open().map(|(node, intent)| (node.clone(), intent.op_id.clone(), false));
        let back = self.view.open_undo().map(|(node, intent)| (node.clone(), intent.op_id.clone(), true));
        let open: Vec<(NodeKey, String, bool)> = forward.chain(back).collect();
        for (node, op_id, undo) in open {
            // As long as something old may still land there, nobody can tell.
            if self.world.fences.get(node.target.as_str()) != Some(&self.fence()) {
                continue;
            }
            let deeds: Vec<&Deed> = self.world.deeds.iter().filter(|deed| deed.op_id == op_id).collect();
            let verdict = match &deeds[..] {
                [] if retry => Verdict::Retry,
                [.., last] if last.whole => Verdict::Succeeded,
                _ => Verdict::Failed,
            };
            self.word(&format!(
                "a person said {}{}",
                verdict.as_str(),
                if undo { " of an inverse" } else { "" }
            ));
            let envelope = Digest::of_bytes(b"envelope");
            let (by, reason) = ("somebody".into(), "looked".into());
            let resolution = Resolution { node, undo, verdict, by, reason, envelope };
            let record = verdict_record(self.plan, &resolution);
            self.append(Record::Run(RunMark::Resolved(resolution)));
            if let Some(record) = record {
                self.append(record);
            }
        }
    }

    /// Resuming what has ended does nothing and says the same.
    pub fn check_that_the_end_stays(&self) {
        let outcome = self.finished.as_ref().unwrap().outcome;
        let options = Options { fence: self.fence() + 1, ..Options::default() };
        let mut state =
            RunState::resume(self.plan, &self.view, &self.use_id, self.expires_at_ms, options).unwrap();
        let mut effects = step(&mut state, Event::Start, self.clock());
        effects.retain(|effect| !matches!(effect, Effect::Log(_)));
        let [Effect::Finish(again)] = &effects[..] else { panic!("something is done: {effects:?}") };
        assert_eq!(again.outcome, outcome, "resumed twice");
    }
}

/// The step whose turn a record ends, and in which direction.
fn ended(record: &Record) -> Option<(NodeKey, Direction)> {
    match record {
        Record::Step(record) => {
            let open = matches!(record.state, StepState::Intent(_));
            (!open).then(|| (record.node.clone(), Direction::Forward))
        }
        Record::Undo(record) => {
            let open = matches!(record.state, UndoState::Intent(_));
            (!open).then(|| (record.node.clone(), Direction::Back))
        }
        _ => None,
    }
}
