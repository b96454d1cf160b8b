//! What may begin: waves, edges, touched things and the limit per target. And when all is over.

use crate::{
    codes,
    effect::{Effect, Finished, Notice, Reason, Ticket},
    ending::{changed, is_over},
    outcome::outcome,
    state::{Entered, Item, Phase, Purpose, RunState, Trust},
    undo::UndoPhase,
};
use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use rectify_base::Code;
use rectify_model::{
    graph::{Access, EdgeKind},
    journal::{
        Because, Direction, Failure, How, Mutated, Record, RunMark, StepRecord, StepState, StopCause,
        UndoRecord, UndoState,
    },
    plan::Action,
};

impl RunState {
    /// Hands a record to the journal.
    pub(crate) fn commit(&mut self, purpose: Purpose, record: Record, out: &mut Vec<Effect>) {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.commits.insert(ticket, purpose);
        let intent = matches!(
            &record,
            Record::Step(StepRecord { state: StepState::Intent(_), .. })
                | Record::Undo(UndoRecord { state: UndoState::Intent(_), .. })
        );
        out.push(if intent {
            Effect::CommitIntent { ticket, record }
        } else {
            Effect::CommitResult { ticket, record }
        });
    }

    /// Nothing new starts from now on.
    pub(crate) fn stop(
        &mut self,
        code: Code,
        place: impl ToString,
        message: impl Into<String>,
        out: &mut Vec<Effect>,
    ) {
        let reason = Reason { code, place: place.to_string(), message: message.into() };
        if !self.stopping {
            self.stopping = true;
            out.push(Effect::Log(Notice::Stopping(reason.clone())));
        }
        self.reasons.push(reason);
        self.sleeping.clear();
    }

    /// Nothing new starts from now on, for a reason that has to be recorded by itself.
    pub(crate) fn halt(
        &mut self,
        cause: StopCause,
        code: Code,
        message: impl Into<String>,
        out: &mut Vec<Effect>,
    ) {
        if !self.stopped.insert(cause) {
            return;
        }
        match cause {
            StopCause::Cancelled => self.facts.cancelled = true,
            StopCause::Interrupted => self.facts.interrupted = true,
            StopCause::Expired | StopCause::Refused => self.facts.failed = true,
            StopCause::SpaceLow | StopCause::LeaseEnding => self.facts.held = true,
        }
        let message: String = message.into();
        self.stop(code, "run", message.clone(), out);
        self.commit(Purpose::Stop, Record::Run(RunMark::Stopped { cause, message }), out);
    }

    /// Whether the run only pauses: nothing new starts in either direction, and it can be resumed.
    pub(crate) const fn is_paused(&self) -> bool {
        self.facts.cancelled || self.facts.interrupted || self.facts.held
    }

    /// Whether a new intent of a step may start now. Expiry is noticed here.
    pub(crate) fn may_start(&mut self, out: &mut Vec<Effect>) -> bool {
        if self.stopping {
            return false;
        }
        if let Some(reason) = self.options.no_new.clone() {
            let expired = reason.code == codes::EXPIRED;
            let cause = if expired { StopCause::Expired } else { StopCause::Refused };
            self.halt(cause, reason.code, reason.message, out);
        } else if self.now_ms >= self.expires_at_ms {
            let message = "the permission expired before everything had begun";
            self.halt(StopCause::Expired, codes::EXPIRED, message, out);
        }
        !self.stopping
    }

    /// Whether a new intent may start now for this step, in the direction in which it goes.
    pub(crate) fn may_begin(&mut self, index: usize, out: &mut Vec<Effect>) -> bool {
        match self.items.get(index).map(|item| item.direction) {
            Some(Direction::Forward) => self.may_start(out),
            Some(Direction::Back) => !self.is_paused(),
            None => false,
        }
    }

    /// Begins whatever may begin, goes on to the next wave, takes back, or ends the run.
    pub(crate) fn advance(&mut self, out: &mut Vec<Effect>) {
        if !self.started || self.finished {
            return;
        }
        let asking = self.targets.iter().any(|t| matches!(t.trust, Trust::Verifying | Trust::Storing));
        if !asking && !self.facts.interrupted {
            self.recover(out);
        }
        // What is open comes first; before the first wave nothing else is in flight.
        let settled = self.unresolved.is_empty() && (self.wave.is_some() || self.in_flight == 0);
        let verified = self.targets.iter().all(|t| t.trust == Trust::Verified);
        if settled && verified && !self.stopping && self.wave.is_none() {
            self.begin_wave(0, out);
        }
        while settled && !self.stopping {
            self.start_ready(out);
            match self.wave {
                Some(wave) if self.wave_left == 0 && wave < self.waves.len() => {
                    self.begin_wave(wave + 1, out);
                }
                _ => break,
            }
        }
        self.take_back(out);
        self.finish_if_idle(out);
    }

    fn begin_wave(&mut self, wave: usize, out: &mut Vec<Effect>) {
        self.wave = Some(wave);
        let members = self.waves.get(wave).cloned().unwrap_or_default();
        self.wave_left = members.len();
        if members.is_empty() {
            return;
        }
        let names = members.iter().filter_map(|t| self.targets.get(*t)).map(|t| t.name.clone()).collect();
        out.push(Effect::Log(Notice::WaveStarted { index: wave, targets: names }));
        for target in members {
            let ready: Vec<usize> = self
                .items
                .iter()
                .enumerate()
                .filter(|(_, item)| item.target == target && item.unmet == 0 && item.phase == Phase::Waiting)
                .map(|(index, _)| index)
                .collect();
            if let Some(target) = self.targets.get_mut(target) {
                target.ready.extend(ready);
            }
            self.ask_gates_of_target(target, out);
            self.note_target_done(target);
        }
    }

    fn wave_targets(&self) -> Vec<usize> {
        self.wave.and_then(|wave| self.waves.get(wave)).cloned().unwrap_or_default()
    }

    fn start_ready(&mut self, out: &mut Vec<Effect>) {
        for target in self.wave_targets() {
            while let Some(index) = self.next_ready(target) {
                // A step that nothing triggered needs no permission to be left alone.
                let runs = self.items.get(index).is_some_and(|item| item.triggered);
                if self.stopping || runs && !self.may_start(out) {
                    return;
                }
                self.start(index, out);
            }
        }
    }

    /// The first step of the target that may begin now, if the target takes one more.
    pub(crate) fn next_ready(&self, target: usize) -> Option<usize> {
        let target = self.targets.get(target).filter(|target| target.turns < self.parallel)?;
        target
            .ready
            .iter()
            .copied()
            .find(|index| self.items.get(*index).is_some_and(|item| !self.is_busy(item)))
    }

    /// Whether a step in flight touches what this one touches, and one of them writes it.
    pub(crate) fn is_busy(&self, item: &Item) -> bool {
        item.touches.iter().any(|(key, access)| {
            self.touched.get(key).is_some_and(|in_use| match access {
                Access::Read => in_use.writers > 0,
                Access::Write => in_use.writers > 0 || in_use.readers > 0,
            })
        })
    }

    fn start(&mut self, index: usize, out: &mut Vec<Effect>) {
        self.occupy(index);
        let Some(item) = self.items.get_mut(index) else { return };
        let node = item.node.clone();
        if item.triggered {
            item.phase = Phase::Looking;
            out.push(Effect::Log(Notice::StepStarted { node: node.clone() }));
            item.asks += 1;
            let capture = item.action != Action::Run;
            out.push(Effect::Look { node, ask: item.asks, capture });
        } else {
            self.conclude(index, Entered::Step(StepState::Skipped { because: Because::NotTriggered }), out);
        }
    }

    /// Takes a turn: nobody else works on what the step touches.
    pub(crate) fn occupy(&mut self, index: usize) {
        let Some(item) = self.items.get_mut(index) else { return };
        (item.holds, item.has_turn) = (true, true);
        for (key, access) in &item.touches {
            let in_use = self.touched.entry(*key).or_default();
            match access {
                Access::Read => in_use.readers += 1,
                Access::Write => in_use.writers += 1,
            }
        }
        self.in_flight += 1;
        if let Some(target) = self.targets.get_mut(item.target) {
            target.turns += 1;
            target.ready.remove(&index);
        }
    }

    /// Gives up the turn of a step that is over, or that goes back to waiting.
    pub(crate) fn release(&mut self, index: usize) {
        self.end_turn(index);
        let Some(item) = self.items.get_mut(index).filter(|item| item.holds) else { return };
        item.holds = false;
        for (key, access) in &item.touches {
            if let Some(in_use) = self.touched.get_mut(key) {
                match access {
                    Access::Read => in_use.readers = in_use.readers.saturating_sub(1),
                    Access::Write => in_use.writers = in_use.writers.saturating_sub(1),
                }
            }
        }
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Lets another step have its turn. What this one touches is still held.
    fn end_turn(&mut self, index: usize) {
        let Some(item) = self.items.get_mut(index).filter(|item| item.has_turn) else { return };
        item.has_turn = false;
        if let Some(target) = self.targets.get_mut(item.target) {
            target.turns = target.turns.saturating_sub(1);
        }
    }

    /// Back to waiting: nothing was begun that would have to be recorded.
    pub(crate) fn step_back(&mut self, index: usize) {
        self.release(index);
        if let Some(item) = self.items.get_mut(index) {
            item.phase = Phase::Waiting;
        }
    }

    /// A person allowed a new try of what is durably unknown: it waits for its turn again.
    pub(crate) fn wait_again(&mut self, index: usize) {
        self.step_back(index);
        let Some(item) = self.items.get(index) else { return };
        let due = match item.direction {
            Direction::Forward => item.unmet == 0 && self.wave.is_some(),
            Direction::Back => self.undo == UndoPhase::Running && item.back_unmet == 0,
        };
        if let Some(target) = self.targets.get_mut(item.target).filter(|_| due) {
            target.ready.insert(index);
        }
    }

    /// Stores a state of a step, or of taking it back.
    pub(crate) fn conclude(&mut self, index: usize, entered: Entered, out: &mut Vec<Effect>) {
        // Nothing can follow but that it is stored. What is unknown may have to be done again.
        if matches!(
            &entered,
            Entered::Step(StepState::Succeeded { .. }) | Entered::Undo(UndoState::Undone { .. })
        ) {
            self.end_turn(index);
        }
        let Some(item) = self.items.get_mut(index) else { return };
        item.phase = Phase::Committing(entered.clone());
        let node = item.node.clone();
        let record = match entered {
            Entered::Step(state) => Record::Step(StepRecord { node, state }),
            Entered::Undo(state) => Record::Undo(UndoRecord { node, state }),
        };
        self.commit(Purpose::Step(index), record, out);
    }

    /// A step, or taking it back, has come to its durable end.
    pub(crate) fn step_over(&mut self, index: usize, entered: Entered, out: &mut Vec<Effect>) {
        self.release(index);
        let Some(item) = self.items.get_mut(index) else { return };
        item.phase = Phase::Done;
        item.granted = false;
        let state = match entered {
            Entered::Undo(state) => return self.undo_over(index, state, out),
            Entered::Step(state) => state,
        };
        item.forward = Some(state.clone());
        let (node, target, dependents) = (item.node.clone(), item.target, item.dependents.clone());
        match state {
            StepState::Succeeded { owes, .. } => {
                if !owes.is_empty() {
                    out.push(Effect::Log(Notice::Owed { by: node.clone(), steps: owes.clone() }));
                }
                self.meet(&dependents, !owes.is_empty());
                self.step_met(target, node.address.remediation(), out);
            }
            StepState::Skipped { because: Because::NotTriggered } => {
                self.meet(&dependents, false);
                self.step_met(target, node.address.remediation(), out);
            }
            StepState::Failed(failure) if failure.not_begun() => self.set_phase(index, Phase::Waiting),
            StepState::Failed(_) | StepState::Stale { .. } | StepState::Skipped { .. } => {
                self.skip_dependents(&node.address, &dependents, out);
            }
            // What waits for it may still have its turn, once a person has found out.
            StepState::Unknown(_) | StepState::Intent(_) => {}
        }
    }

    pub(crate) fn meet(&mut self, dependents: &[(usize, EdgeKind)], fired: bool) {
        for (dependent, kind) in dependents {
            let Some(item) = self.items.get_mut(*dependent) else { continue };
            item.unmet = item.unmet.saturating_sub(1);
            item.triggered |= fired && *kind == EdgeKind::OnChange;
            if item.unmet == 0
                && item.phase == Phase::Waiting
                && let Some(target) = self.targets.get_mut(item.target)
            {
                target.ready.insert(*dependent);
            }
        }
    }

    pub(crate) fn skip_dependents(
        &mut self,
        address: &rectify_base::Address,
        dependents: &[(usize, EdgeKind)],
        out: &mut Vec<Effect>,
    ) {
        for (dependent, _) in dependents {
            if self.items.get(*dependent).is_some_and(|item| item.phase == Phase::Waiting) {
                let because = Because::Dependency(address.clone());
                self.conclude(*dependent, Entered::Step(StepState::Skipped { because }), out);
            }
        }
    }

    fn step_met(&mut self, target: usize, remediation: &str, out: &mut Vec<Effect>) {
        self.count_off(target, remediation);
        self.ask_gates_of_target(target, out);
        self.note_target_done(target);
    }

    /// Counts a step as done.
    pub(crate) fn count_off(&mut self, target: usize, remediation: &str) {
        self.steps_left = self.steps_left.saturating_sub(1);
        if let Some(left) = self.remediation_left.get_mut(&(target, remediation.to_string())) {
            *left = left.saturating_sub(1);
        }
        if let Some(item) = self.targets.get_mut(target) {
            item.steps_left = item.steps_left.saturating_sub(1);
        }
    }

    /// Counts the target off its wave once its steps and gates are done.
    pub(crate) fn note_target_done(&mut self, target: usize) {
        if self.targets.get(target).is_some_and(|t| t.steps_left == 0 && t.gates_left == 0) {
            self.wave_left = self.wave_left.saturating_sub(1);
        }
    }

    /// Whether nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight + self.verifying + self.asking + self.sleeping.len() + self.commits.len() == 0
    }

    /// Whether every step and gate is done.
    pub(crate) fn is_complete(&self) -> bool {
        let verified = self.was_verified || self.targets.iter().all(|target| target.trust == Trust::Verified);
        let any = !self.items.is_empty() || !self.gates.is_empty();
        self.steps_left == 0 && self.gates_left == 0 && (verified || any)
    }

    fn finish_if_idle(&mut self, out: &mut Vec<Effect>) {
        if self.is_idle() && (self.stopping || self.is_complete()) && !self.close_granted(out) {
            self.finish(out);
        }
    }

    /// What a person let be tried again, and what is not going to be, did not happen.
    fn close_granted(&mut self, out: &mut Vec<Effect>) -> bool {
        if !(self.facts.failed || self.facts.stale) || self.facts.interrupted {
            return false;
        }
        let granted = |item: &Item| {
            item.granted && item.direction == Direction::Forward && item.phase == Phase::Waiting
        };
        let all: Vec<usize> =
            self.items.iter().enumerate().filter(|(_, item)| granted(item)).map(|(index, _)| index).collect();
        for index in &all {
            let message = "a person found that it did not happen; it was not tried again";
            let code = String::from(codes::LOST_ANSWER.as_str());
            let failure = Failure { code, message: message.into(), mutated: Mutated::No };
            self.fail(*index, codes::LOST_ANSWER, failure, out);
        }
        !all.is_empty()
    }

    /// Ends the run.
    pub(crate) fn finish(&mut self, out: &mut Vec<Effect>) {
        self.finished = true;
        self.sum_up();
        let outcome = outcome(self.facts);
        let success = outcome == rectify_model::journal::RunOutcome::Succeeded;
        let reasons = if success { Vec::new() } else { core::mem::take(&mut self.reasons) };
        out.push(Effect::Finish(Finished { outcome, reasons }));
    }

    /// What follows from where the steps stand.
    fn sum_up(&mut self) {
        let undo_left = self.undo_is_left();
        let complete = self.is_complete();
        let facts = &mut self.facts;
        facts.complete = complete;
        facts.undo_left = undo_left;
        for item in &self.items {
            let unresolved = matches!(item.phase, Phase::Unresolved { .. });
            let back = item.direction == Direction::Back;
            facts.unknown |= unresolved && !back;
            facts.undo_unknown |= unresolved && back;
            let left = item.forward.as_ref().is_some_and(changed) || unresolved;
            facts.changed |= left;
            facts.kept |= left && !matches!(item.back, Some(UndoState::Undone { .. }));
        }
    }

    /// Whether something has to be taken back and has not come to an end of its own.
    pub(crate) fn undo_is_left(&self) -> bool {
        let over = |index: &usize| {
            self.items.get(*index).is_some_and(|item| item.back.as_ref().is_some_and(is_over))
        };
        (self.facts.failed || self.facts.stale) && !self.undo_scope().iter().all(over)
    }

    /// Steps that this success obliges to run. A change does, and so does finding the planned state
    /// (an earlier run may have brought it about and owes the trigger); an opaque step that says it
    /// had nothing to do does not.
    pub(crate) fn owes(&self, index: usize, how: How) -> Vec<rectify_base::Address> {
        self.items
            .get(index)
            .filter(|item| how.changed() || item.result.is_some())
            .map(|item| item.triggers.clone())
            .unwrap_or_default()
    }
}
