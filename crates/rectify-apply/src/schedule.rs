//! What may begin: waves, edges, touched things and the limit per target. And when all is over.

use crate::{
    codes,
    effect::{Effect, Finished, Notice, Reason, Ticket},
    outcome::outcome,
    state::{Item, Phase, Purpose, RunState, Trust},
};
use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use rectify_base::Code;
use rectify_model::{
    graph::{Access, EdgeKind},
    journal::{Because, How, Mutated, Record, StepRecord, StepState},
    plan::Action,
};

impl RunState {
    /// Hands a record to the journal.
    pub(crate) fn commit(&mut self, purpose: Purpose, record: Record, out: &mut Vec<Effect>) {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.commits.insert(ticket, purpose);
        let intent = matches!(&record, Record::Step(StepRecord { state: StepState::Intent(_), .. }));
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

    /// Whether a new intent may start now. Expiry is noticed here.
    pub(crate) fn may_start(&mut self, out: &mut Vec<Effect>) -> bool {
        if !self.stopping && self.now_ms >= self.expires_at_ms {
            self.facts.failed = true;
            self.stop(codes::EXPIRED, "run", "the permission expired before everything had begun", out);
        }
        !self.stopping
    }

    /// Begins whatever may begin, goes on to the next wave, or ends the run.
    pub(crate) fn advance(&mut self, out: &mut Vec<Effect>) {
        if !self.started || self.finished {
            return;
        }
        if !self.stopping && self.wave.is_none() && self.targets.iter().all(|t| t.trust == Trust::Verified) {
            self.begin_wave(0, out);
        }
        while !self.stopping {
            self.start_ready(out);
            match self.wave {
                Some(wave) if self.wave_left == 0 && wave < self.waves.len() => {
                    self.begin_wave(wave + 1, out);
                }
                _ => break,
            }
        }
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
                .filter(|(_, item)| item.target == target && item.unmet == 0)
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
                if !self.may_start(out) {
                    return;
                }
                self.start(index, out);
            }
        }
    }

    /// The first step of the target that may begin now, if the target takes one more.
    fn next_ready(&self, target: usize) -> Option<usize> {
        let target = self.targets.get(target).filter(|target| target.in_flight < self.parallel)?;
        target
            .ready
            .iter()
            .copied()
            .find(|index| self.items.get(*index).is_some_and(|item| !self.is_busy(item)))
    }

    /// Whether a step in flight touches what this one touches, and one of them writes it.
    fn is_busy(&self, item: &Item) -> bool {
        item.touches.iter().any(|(key, access)| {
            self.touched.get(key).is_some_and(|in_use| match access {
                Access::Read => in_use.writers > 0,
                Access::Write => in_use.writers > 0 || in_use.readers > 0,
            })
        })
    }

    fn start(&mut self, index: usize, out: &mut Vec<Effect>) {
        let Some(item) = self.items.get_mut(index) else { return };
        for (key, access) in &item.touches {
            let in_use = self.touched.entry(*key).or_default();
            match access {
                Access::Read => in_use.readers += 1,
                Access::Write => in_use.writers += 1,
            }
        }
        self.in_flight += 1;
        if let Some(target) = self.targets.get_mut(item.target) {
            target.in_flight += 1;
            target.ready.remove(&index);
        }
        let node = item.node.clone();
        if item.triggered {
            item.phase = Phase::Looking;
            out.push(Effect::Log(Notice::StepStarted { node: node.clone() }));
            item.asks += 1;
            let capture = item.action != Action::Run;
            out.push(Effect::Look { node, ask: item.asks, capture });
        } else {
            self.conclude(index, StepState::Skipped { because: Because::NotTriggered }, out);
        }
    }

    /// Gives up the turn of a step that is over, or that goes back to waiting.
    pub(crate) fn release(&mut self, index: usize) {
        let Some(item) = self.items.get(index) else { return };
        for (key, access) in &item.touches {
            if let Some(in_use) = self.touched.get_mut(key) {
                match access {
                    Access::Read => in_use.readers = in_use.readers.saturating_sub(1),
                    Access::Write => in_use.writers = in_use.writers.saturating_sub(1),
                }
            }
        }
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(target) = self.targets.get_mut(item.target) {
            target.in_flight = target.in_flight.saturating_sub(1);
        }
    }

    /// Back to waiting: nothing was begun that would have to be recorded.
    pub(crate) fn step_back(&mut self, index: usize) {
        self.release(index);
        if let Some(item) = self.items.get_mut(index) {
            item.phase = Phase::Waiting;
        }
    }

    /// Stores a state of a step.
    pub(crate) fn conclude(&mut self, index: usize, state: StepState, out: &mut Vec<Effect>) {
        let Some(item) = self.items.get_mut(index) else { return };
        item.phase = Phase::Committing(state.clone());
        let record = Record::Step(StepRecord { node: item.node.clone(), state });
        self.commit(Purpose::Step(index), record, out);
    }

    /// A step has come to its durable end.
    pub(crate) fn step_over(&mut self, index: usize, state: StepState, out: &mut Vec<Effect>) {
        let Some(item) = self.items.get_mut(index) else { return };
        let was_skipped_early = matches!(&state, StepState::Skipped { because: Because::Dependency(_) });
        item.phase = Phase::Done(state.clone());
        let (node, target, dependents) = (item.node.clone(), item.target, item.dependents.clone());
        if !was_skipped_early {
            self.release(index);
        }
        match state {
            StepState::Succeeded { how, owes, .. } => {
                self.facts.changed |= how.changed();
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
            StepState::Failed(failure) => {
                self.facts.changed |= failure.mutated != Mutated::No;
                self.skip_dependents(&node.address, &dependents, out);
            }
            StepState::Unknown(_) => {
                self.facts.changed = true;
                self.skip_dependents(&node.address, &dependents, out);
            }
            StepState::Stale { .. } | StepState::Skipped { .. } => {
                self.skip_dependents(&node.address, &dependents, out);
            }
            StepState::Intent(_) => {}
        }
    }

    fn meet(&mut self, dependents: &[(usize, EdgeKind)], fired: bool) {
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

    fn skip_dependents(
        &mut self,
        address: &rectify_base::Address,
        dependents: &[(usize, EdgeKind)],
        out: &mut Vec<Effect>,
    ) {
        for (dependent, _) in dependents {
            if self.items.get(*dependent).is_some_and(|item| item.phase == Phase::Waiting) {
                let because = Because::Dependency(address.clone());
                self.conclude(*dependent, StepState::Skipped { because }, out);
            }
        }
    }

    fn step_met(&mut self, target: usize, remediation: &str, out: &mut Vec<Effect>) {
        self.steps_left = self.steps_left.saturating_sub(1);
        if let Some(left) = self.remediation_left.get_mut(&(target, remediation.to_string())) {
            *left = left.saturating_sub(1);
        }
        if let Some(item) = self.targets.get_mut(target) {
            item.steps_left = item.steps_left.saturating_sub(1);
        }
        self.ask_gates_of_target(target, out);
        self.note_target_done(target);
    }

    /// Counts the target off its wave once its steps and gates are done.
    pub(crate) fn note_target_done(&mut self, target: usize) {
        if self.targets.get(target).is_some_and(|t| t.steps_left == 0 && t.gates_left == 0) {
            self.wave_left = self.wave_left.saturating_sub(1);
        }
    }

    fn finish_if_idle(&mut self, out: &mut Vec<Effect>) {
        let busy = self.in_flight + self.verifying + self.asking + self.sleeping.len() + self.commits.len();
        let verified = self.targets.iter().all(|target| target.trust == Trust::Verified);
        let complete = verified && self.steps_left == 0 && self.gates_left == 0;
        let over = complete && self.wave == Some(self.waves.len());
        if busy == 0 && (self.stopping || over) {
            self.facts.complete = complete;
            self.finish(out);
        }
    }

    /// Ends the run.
    pub(crate) fn finish(&mut self, out: &mut Vec<Effect>) {
        self.finished = true;
        let outcome = outcome(self.facts);
        let success = outcome == rectify_model::journal::RunOutcome::Succeeded;
        let reasons = if success { Vec::new() } else { core::mem::take(&mut self.reasons) };
        out.push(Effect::Finish(Finished { outcome, reasons }));
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
