//! Taking a run up again from its journal.

use crate::{
    codes,
    effect::{Effect, Reason},
    ending,
    error::PlanError,
    state::{GatePhase, Options, Phase, RunState, Trust},
};
use alloc::{format, string::ToString, vec::Vec};
use rectify_base::{Code, NodeKey};
use rectify_model::{
    Plan,
    grade::Retry,
    journal::{
        Because, Direction, Failure, GateState, How, RunView, StepProgress, StepState, TargetState,
        UndoProgress, UndoState, UseId, operation_id_of,
    },
    plan::Action,
};

impl RunState {
    /// Prepares to go on with a run whose journal says this, after
    /// [`rectify_model::journal::RunMark::Resumed`] was stored in it with the fence of the options.
    ///
    /// Targets are verified again if anything is left to do. Then what an earlier engine had begun is
    /// resolved, each by its retry class; then everything goes on as the plan says, or is taken back if
    /// the journal says that something failed. A run that has come to its end ends again, the same way,
    /// and nothing is asked or stored.
    ///
    /// # Errors
    /// [`PlanError`] if the plan contradicts itself, or the journal is about another plan.
    pub fn resume(
        plan: &Plan,
        view: &RunView,
        use_id: &UseId,
        expires_at_ms: u64,
        options: Options,
    ) -> Result<Self, PlanError> {
        let mut state = Self::new(plan, use_id, expires_at_ms, options)?;
        state.resumed = true;
        for (node, progress) in view.steps() {
            let index = state.known_step(node)?;
            state.take_in_step(index, progress);
        }
        state.meet_what_is_met();
        for (node, answer) in view.gates() {
            state.take_in_gate(node, answer)?;
        }
        state.take_in_stop(view);
        if let Some((because, place)) = view.undoing() {
            state.facts.undoing = true;
            state.facts.failed = true;
            if state.known.is_empty() {
                state.known.push(reason(codes::STEP_FAILED, place, because));
            }
            state.choose_members();
        }
        for (node, progress) in view.undo() {
            let index = state.known_step(node)?;
            state.take_in_undo(index, progress);
        }
        let open = |item: &crate::state::Item| matches!(item.phase, Phase::Unresolved { .. });
        state.unresolved =
            state.items.iter().enumerate().filter(|(_, item)| open(item)).map(|(index, _)| index).collect();
        Ok(state)
    }

    fn known_step(&self, node: &NodeKey) -> Result<usize, PlanError> {
        self.item_index.get(node).copied().ok_or_else(|| PlanError::Journal(node.clone()))
    }

    fn take_in_step(&mut self, index: usize, progress: &StepProgress) {
        let Some(item) = self.items.get_mut(index) else { return };
        let node = item.node.clone();
        let (target, address) = (&node.target, &node.address);
        item.op_id = operation_id_of(&self.use_id, target, address, Direction::Forward, progress.retries);
        item.attempt = progress.attempts;
        let open = matches!(progress.state, StepState::Intent(_) | StepState::Unknown(_));
        item.granted = progress.granted && open;
        item.before_image = progress.intent.as_ref().and_then(|intent| intent.before_image);
        // An action whose state says nothing looks the same before and after.
        let silent = item.action == Action::Run && item.result.is_none();
        item.unproven = silent && item.retry == Retry::Converge && progress.attempts > 0 && !item.granted;
        self.facts.intended |= progress.attempts > 0;
        item.phase = match &progress.state {
            StepState::Intent(_) => Phase::Unresolved { recorded: false },
            StepState::Unknown(_) if item.granted => Phase::Waiting,
            StepState::Unknown(_) => Phase::Unresolved { recorded: true },
            StepState::Failed(failure) if failure.not_begun() => Phase::Waiting,
            _ => Phase::Done,
        };
        if !matches!(progress.state, StepState::Intent(_)) {
            item.forward = Some(progress.state.clone());
        }
        match &progress.state {
            StepState::Failed(failure) if !failure.not_begun() => {
                self.facts.failed = true;
                self.known.push(reason(codes::STEP_FAILED, &node, failure));
            }
            StepState::Stale { .. } => {
                self.facts.stale = true;
                let message = "changed since it was planned: it is neither as expected nor as planned";
                self.known.push(Reason {
                    code: codes::STALE,
                    place: node.to_string(),
                    message: message.into(),
                });
            }
            _ => {}
        }
    }

    /// Counts off what is over, and lets its dependents know.
    fn meet_what_is_met(&mut self) {
        for index in 0..self.items.len() {
            let Some(item) = self.items.get(index) else { continue };
            let (target, dependents) = (item.target, item.dependents.clone());
            let Some(state) = item.forward.as_ref().filter(|state| ending::is_met(state)) else { continue };
            let fired = matches!(state, StepState::Succeeded { owes, .. } if !owes.is_empty());
            let remediation = item.node.address.remediation().to_string();
            self.meet(&dependents, fired);
            self.count_off(target, &remediation);
        }
        // Whose turn it is, is decided when its wave begins.
        for target in &mut self.targets {
            target.ready.clear();
        }
        let skipped = self.items.iter().find_map(|item| match &item.forward {
            Some(StepState::Skipped { because: Because::Dependency(_) }) => Some(item.node.to_string()),
            _ => None,
        });
        // Something is skipped only behind what went wrong.
        if let Some(place) = skipped.filter(|_| !self.facts.failed && !self.facts.stale) {
            self.facts.failed = true;
            let message = "it was skipped, because a step that it waits for had not succeeded".into();
            self.known.push(Reason { code: codes::STEP_FAILED, place, message });
        }
    }

    fn take_in_gate(&mut self, node: &NodeKey, answer: &GateState) -> Result<(), PlanError> {
        let index = self.gate_index.get(node).copied();
        let gate = index.and_then(|index| self.gates.get_mut(index));
        let gate = gate.ok_or_else(|| PlanError::Journal(node.clone()))?;
        gate.phase = GatePhase::Done;
        let target = gate.target;
        match answer {
            GateState::Passed => {
                gate.passed = true;
                self.gates_left = self.gates_left.saturating_sub(1);
                if let Some(item) = self.targets.get_mut(target) {
                    item.gates_left = item.gates_left.saturating_sub(1);
                }
            }
            GateState::Failed(failure) => {
                self.facts.failed = true;
                self.known.push(reason(codes::GATE, node, failure));
            }
        }
        Ok(())
    }

    /// What the engine that had the run last said about the run as a whole. A new one that took the
    /// run up has nothing here: it finds out for itself.
    fn take_in_stop(&mut self, view: &RunView) {
        if view.stopped().iter().any(|cause| cause.fails()) {
            self.facts.failed = true;
            let expired = || Reason {
                code: codes::EXPIRED,
                place: "run".into(),
                message: "the permission expired before everything had begun".into(),
            };
            self.known.push(self.options.no_new.clone().unwrap_or_else(expired));
        }
        let verified = |state: &TargetState| matches!(state, TargetState::Verified(_));
        self.was_verified =
            self.targets.iter().all(|target| view.targets().get(&target.name).is_some_and(verified));
        for (name, state) in view.targets() {
            let TargetState::Refused(refusal) = state else { continue };
            if refusal.code == codes::ASSUMPTION.as_str() {
                self.facts.stale = true;
            } else if view.resumed() == 0 {
                self.facts.failed = true;
            } else {
                continue;
            }
            self.known.push(reason(codes::IDENTITY_UNKNOWN, name, refusal));
        }
    }

    fn take_in_undo(&mut self, index: usize, progress: &UndoProgress) {
        self.members.insert(index);
        self.turn_back(index, progress.retries);
        let Some(item) = self.items.get_mut(index) else { return };
        item.attempt = progress.attempts;
        let open = matches!(progress.state, UndoState::Intent(_) | UndoState::Unknown(_));
        item.granted = progress.granted && open;
        let silent = item.action == Action::Run && item.result.is_none();
        item.unproven = silent && item.retry == Retry::Converge && progress.attempts > 0 && !item.granted;
        item.phase = match &progress.state {
            UndoState::Intent(_) => Phase::Unresolved { recorded: false },
            UndoState::Unknown(_) if item.granted => Phase::Waiting,
            UndoState::Unknown(_) => Phase::Unresolved { recorded: true },
            UndoState::Failed(failure) if failure.not_begun() => Phase::Waiting,
            _ => Phase::Done,
        };
        if !matches!(progress.state, UndoState::Intent(_)) {
            item.back = Some(progress.state.clone());
        }
        let node = item.node.clone();
        match &progress.state {
            UndoState::Failed(failure) if !failure.not_begun() => {
                self.facts.undo_failed = true;
                let told = reason(codes::UNDO_FAILED, &node, failure);
                self.known.push(Reason { code: codes::UNDO_FAILED, ..told });
            }
            UndoState::Conflict { .. } => {
                self.facts.undo_failed = true;
                self.known.push(Reason {
                    code: codes::UNDO_CONFLICT,
                    place: node.to_string(),
                    message: crate::undo::CONFLICT.into(),
                });
            }
            _ => {}
        }
    }

    /// Begins a run that another engine had before.
    pub(crate) fn begin_again(&mut self, out: &mut Vec<Effect>) {
        for reason in core::mem::take(&mut self.known) {
            self.stop(reason.code, reason.place, reason.message, out);
        }
        for index in 0..self.items.len() {
            let Some(item) = self.items.get(index) else { continue };
            let went_wrong = match &item.forward {
                Some(StepState::Failed(failure)) => !failure.not_begun(),
                Some(StepState::Stale { .. } | StepState::Skipped { because: Because::Dependency(_) }) => {
                    true
                }
                _ => false,
            };
            if went_wrong {
                let (address, dependents) = (item.node.address.clone(), item.dependents.clone());
                self.skip_dependents(&address, &dependents, out);
            }
        }
        let open = !self.unresolved.is_empty();
        let goes_on = !self.stopping && !self.is_complete();
        if open || goes_on || self.undo_is_left() {
            let assumptions = goes_on && self.options.no_new.is_none();
            for index in 0..self.targets.len() {
                self.verify(index, assumptions, out);
            }
        }
    }

    /// Finds out what became of what an earlier engine had begun, where the target is known to be the
    /// right one: each in its turn, because something may have to be done again.
    pub(crate) fn recover(&mut self, out: &mut Vec<Effect>) {
        for index in self.unresolved.clone() {
            let Some(item) = self.items.get(index) else { continue };
            let Phase::Unresolved { recorded } = item.phase else { continue };
            let turn = self
                .targets
                .get(item.target)
                .is_some_and(|t| t.trust == Trust::Verified && t.turns < self.parallel);
            if !turn || self.is_busy(item) {
                continue;
            }
            let told = match (&item.forward, &item.back) {
                (_, Some(UndoState::Unknown(failure))) => Some(failure.message.clone()),
                (Some(StepState::Unknown(failure)), None) => Some(failure.message.clone()),
                _ => None,
            };
            self.occupy(index);
            self.unresolved.remove(&index);
            if recorded {
                self.resolve(index, &told.unwrap_or_default(), out);
            } else {
                let message = "the engine ended before the provider's answer was stored";
                self.unknown(index, message, out);
            }
        }
    }
}

/// A reason as the journal keeps it. A code of ours stays what it is.
fn reason(usual: Code, place: impl ToString, failure: &Failure) -> Reason {
    let ours = codes::ALL.iter().find(|code| code.as_str() == failure.code).copied();
    let message = if ours.is_some() {
        failure.message.clone()
    } else {
        format!("{}: {}", failure.code, failure.message)
    };
    Reason { code: ours.unwrap_or(usual), place: place.to_string(), message }
}

/// How a success is called that found the planned state: after an earlier attempt it may be ours.
pub(crate) const fn found(attempt: u32) -> How {
    if attempt > 0 { How::Observed } else { How::Already }
}
