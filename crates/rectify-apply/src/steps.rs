//! The step function, and the life of one step.

use crate::{
    ATTEMPTS_MAX, codes,
    effect::{Effect, Notice, Operation, Ticket},
    event::{ActAnswer, Applied, Event, Looked, OperationStatus},
    state::{Entered, GatePhase, Phase, Purpose, RunState, Trust},
    undo::CONFLICT,
};
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use rectify_base::{Code, Digest, NodeKey, TargetName};
use rectify_model::{
    grade::Retry,
    journal::{
        Direction, Failure, How, Intent, Mutated, Record, StepRecord, StepState, StopCause, TargetRecord,
        TargetState, UndoRecord, UndoState,
    },
    observation::Identity,
    plan::Action,
};

/// Takes in an event and says what to do. Total: an event that was not asked for is reported as
/// [`Notice::Ignored`] and changes nothing. `now_ms` is milliseconds since 1970; a clock that goes
/// back is taken to stand still, so an expired permission stays expired.
#[must_use]
pub fn step(state: &mut RunState, event: Event, now_ms: u64) -> Vec<Effect> {
    let mut out = Vec::new();
    state.now_ms = state.now_ms.max(now_ms);
    if state.finished || (!state.started && !matches!(event, Event::Start)) {
        ignored(&event, &mut out);
        return out;
    }
    state.handle(event, &mut out);
    state.advance(&mut out);
    out
}

fn ignored(event: &Event, out: &mut Vec<Effect>) {
    out.push(Effect::Log(Notice::Ignored { code: codes::UNEXPECTED_EVENT, what: format!("{event:?}") }));
}

fn failure(code: Code, message: impl Into<String>, mutated: Mutated) -> Failure {
    Failure { code: code.as_str().to_string(), message: message.into(), mutated }
}

impl RunState {
    fn handle(&mut self, event: Event, out: &mut Vec<Effect>) {
        match &event {
            Event::Start if !self.started => return self.begin(out),
            Event::Verified { target, .. } => {
                let found = self.target_index.get(target).copied();
                if let Some(index) = found.filter(|i| self.trust(*i) == Some(Trust::Verifying)) {
                    if let Event::Verified { target, answer } = event {
                        self.verified(index, target, answer, out);
                    }
                    return;
                }
            }
            Event::Committed(ticket) => {
                if let Some(purpose) = self.commits.remove(ticket) {
                    return self.committed(purpose, out);
                }
            }
            Event::CommitFailed { ticket, message } => {
                if self.commits.contains_key(ticket) {
                    let message = message.clone();
                    return self.journal_lost(*ticket, message, out);
                }
            }
            Event::Looked { node, ask, .. } => {
                let looking = |phase: &Phase| {
                    matches!(phase, Phase::Looking | Phase::LookingAgain(_) | Phase::Resolving)
                };
                let index = self.find(node, looking);
                if let Some(index) =
                    index.filter(|i| self.items.get(*i).is_some_and(|item| item.asks == *ask))
                {
                    if let Event::Looked { answer, .. } = event {
                        self.looked(index, answer, out);
                    }
                    return;
                }
            }
            Event::Acted { node, direction, attempt, .. } => {
                let index = self.find(node, |phase| *phase == Phase::Acting);
                if let Some(index) = index.filter(|i| self.is_try(*i, *direction, *attempt)) {
                    if let Event::Acted { answer, .. } = event {
                        self.acted(index, answer, out);
                    }
                    return;
                }
            }
            Event::Status { node, direction, attempt, .. } => {
                let index = self.find(node, |phase| *phase == Phase::AskingStatus);
                if let Some(index) = index.filter(|i| self.is_try(*i, *direction, *attempt)) {
                    if let Event::Status { answer, .. } = event {
                        self.status(index, answer, out);
                    }
                    return;
                }
            }
            Event::Gate { node, attempt, .. } => {
                let index = self.gate_index.get(node).copied().filter(|index| {
                    self.gates
                        .get(*index)
                        .is_some_and(|gate| gate.phase == GatePhase::Asking && gate.attempt == *attempt)
                });
                if let Some(index) = index {
                    if let Event::Gate { answer, .. } = event {
                        self.gate_answered(index, answer, out);
                    }
                    return;
                }
            }
            Event::Tick => return self.wake(out),
            Event::Cancel => return self.halt(StopCause::Cancelled, codes::CANCELLED, "asked to stop", out),
            Event::SpaceLow => {
                let message = "the journal's disk is nearly full; nothing new begins";
                return self.halt(StopCause::SpaceLow, codes::SPACE_LOW, message, out);
            }
            Event::LeaseEnding => {
                let message = "the lease could not be renewed in time; nothing new begins";
                return self.halt(StopCause::LeaseEnding, codes::LEASE_ENDING, message, out);
            }
            Event::Interrupt => {
                if !self.facts.interrupted {
                    self.interrupt(out);
                }
                return;
            }
            Event::Start => {}
        }
        ignored(&event, out);
    }

    fn trust(&self, target: usize) -> Option<Trust> {
        self.targets.get(target).map(|target| target.trust)
    }

    fn is_try(&self, index: usize, direction: Direction, attempt: u32) -> bool {
        self.items.get(index).is_some_and(|item| item.direction == direction && item.attempt == attempt)
    }

    fn find(&self, node: &NodeKey, phase: impl Fn(&Phase) -> bool) -> Option<usize> {
        let index = *self.item_index.get(node)?;
        self.items.get(index).filter(|item| phase(&item.phase)).map(|_| index)
    }

    fn begin(&mut self, out: &mut Vec<Effect>) {
        self.started = true;
        if self.resumed {
            return self.begin_again(out);
        }
        if !self.may_start(out) {
            return;
        }
        for index in 0..self.targets.len() {
            self.verify(index, true, out);
        }
    }

    pub(crate) fn verify(&mut self, index: usize, assumptions: bool, out: &mut Vec<Effect>) {
        let fence = self.options.fence;
        let Some(target) = self.targets.get_mut(index) else { return };
        target.trust = Trust::Verifying;
        self.verifying += 1;
        let (target, identity) = (target.name.clone(), target.identity.clone());
        out.push(Effect::Verify { target, identity, assumptions, fence });
    }

    fn verified(
        &mut self,
        index: usize,
        target: TargetName,
        answer: Result<Identity, Failure>,
        out: &mut Vec<Effect>,
    ) {
        self.verifying = self.verifying.saturating_sub(1);
        let Some(item) = self.targets.get_mut(index) else { return };
        let (code, refusal) = match answer {
            Ok(found) if found == item.identity => {
                item.trust = Trust::Storing;
                let state = TargetState::Verified(found);
                return self.commit(
                    Purpose::Target(index),
                    Record::Target(TargetRecord { target, state }),
                    out,
                );
            }
            Ok(_) => {
                let message = "this is not the target that the plan was made for";
                (codes::IDENTITY, failure(codes::IDENTITY, message, Mutated::No))
            }
            Err(error) if error.code == codes::ASSUMPTION.as_str() => {
                (codes::ASSUMPTION, Failure { mutated: Mutated::No, ..error })
            }
            Err(error) => (codes::IDENTITY_UNKNOWN, Failure { mutated: Mutated::No, ..error }),
        };
        item.trust = Trust::Refused;
        if code == codes::ASSUMPTION {
            self.facts.stale = true;
        } else if self.resumed {
            // It was the right one when the run began; the run waits until it is again.
            self.facts.held = true;
        } else {
            self.facts.failed = true;
        }
        self.stop(code, &target, refusal.message.clone(), out);
        let state = TargetState::Refused(refusal);
        self.commit(Purpose::Target(index), Record::Target(TargetRecord { target, state }), out);
    }

    fn committed(&mut self, purpose: Purpose, out: &mut Vec<Effect>) {
        match purpose {
            Purpose::Target(index) => {
                if let Some(target) = self.targets.get_mut(index)
                    && target.trust == Trust::Storing
                {
                    target.trust = Trust::Verified;
                }
            }
            Purpose::Gate(index, passed) => self.gate_committed(index, passed, out),
            Purpose::Step(index) => self.step_committed(index, out),
            Purpose::Stop => {}
            Purpose::Undoing => self.undoing_committed(out),
        }
    }

    /// The journal is the promise that everything else rests on: without it the run ends here, and
    /// what was under way stays an open intent.
    fn journal_lost(&mut self, ticket: Ticket, message: String, out: &mut Vec<Effect>) {
        let place = match self.commits.remove(&ticket) {
            Some(Purpose::Step(index)) => self.items.get(index).map(|item| item.node.to_string()),
            Some(Purpose::Gate(index, _)) => self.gates.get(index).map(|gate| gate.node.to_string()),
            Some(Purpose::Target(index)) => self.targets.get(index).map(|target| target.name.to_string()),
            Some(Purpose::Stop | Purpose::Undoing) | None => None,
        };
        self.facts.journal_lost = true;
        self.stop(codes::JOURNAL, place.unwrap_or_else(|| String::from("run")), message, out);
        self.finish(out);
    }

    fn looked(&mut self, index: usize, answer: Result<Looked, Failure>, out: &mut Vec<Effect>) {
        let Some(item) = self.items.get(index) else { return };
        match (item.phase.clone(), answer) {
            (Phase::Looking, answer) => self.looked_before(index, answer, out),
            (Phase::LookingAgain(how), answer) => self.looked_after(index, how, answer, out),
            (Phase::Resolving, Ok(looked)) => self.looked_at_unknown(index, &looked, out),
            (Phase::Resolving, Err(error)) => self.stays_unknown(index, &error.message, out),
            _ => {}
        }
    }

    fn looked_before(&mut self, index: usize, answer: Result<Looked, Failure>, out: &mut Vec<Effect>) {
        if !self.may_begin(index, out) {
            return self.step_back(index);
        }
        let Some(item) = self.items.get_mut(index) else { return };
        match answer {
            Err(error) => self.fail(index, codes::LOOK, Failure { mutated: Mutated::No, ..error }, out),
            Ok(looked) if looked.fingerprint == item.expect => {
                item.before_image = looked.before_image;
                self.intend(index, out);
            }
            Ok(looked) if Some(looked.fingerprint) == item.result => {
                let how = crate::resume::found(item.attempt);
                self.succeed(index, how, Some(looked.fingerprint), out);
            }
            Ok(looked) if looked.partway && item.was_broken_off() => {
                item.goes_on_from(looked.fingerprint);
                self.intend(index, out);
            }
            Ok(looked) => self.stale(index, Some(looked.fingerprint), out),
        }
    }

    /// Stores a failure. What an earlier attempt may have done is not forgotten.
    pub(crate) fn fail(&mut self, index: usize, code: Code, told: Failure, out: &mut Vec<Effect>) {
        let Some(item) = self.items.get(index) else { return };
        let node = item.node.clone();
        let mutated =
            if item.unproven && told.mutated == Mutated::No { Mutated::Maybe } else { told.mutated };
        let ours = told.code == code.as_str();
        let message = if ours { told.message.clone() } else { format!("{}: {}", told.code, told.message) };
        let failure = Failure { mutated, ..told };
        match item.direction {
            Direction::Forward => {
                self.facts.failed = true;
                self.stop(code, &node, message, out);
                self.conclude(index, Entered::Step(StepState::Failed(failure)), out);
            }
            Direction::Back => {
                self.facts.undo_failed = true;
                self.stop(codes::UNDO_FAILED, &node, message, out);
                self.conclude(index, Entered::Undo(UndoState::Failed(failure)), out);
            }
        }
    }

    fn stale(&mut self, index: usize, found: Option<Digest>, out: &mut Vec<Effect>) {
        let Some(item) = self.items.get(index) else { return };
        let (node, direction) = (item.node.clone(), item.direction);
        let message = match direction {
            Direction::Forward => "changed since it was planned: it is neither as expected nor as planned",
            Direction::Back => CONFLICT,
        };
        if item.unproven {
            return self.fail(index, codes::STALE, failure(codes::STALE, message, Mutated::Maybe), out);
        }
        match direction {
            Direction::Forward => {
                self.facts.stale = true;
                self.stop(codes::STALE, &node, message, out);
                self.conclude(index, Entered::Step(StepState::Stale { found }), out);
            }
            Direction::Back => {
                self.facts.undo_failed = true;
                self.stop(codes::UNDO_CONFLICT, &node, message, out);
                self.conclude(index, Entered::Undo(UndoState::Conflict { found }), out);
            }
        }
    }

    fn succeed(&mut self, index: usize, how: How, fingerprint: Option<Digest>, out: &mut Vec<Effect>) {
        let entered = match self.items.get(index).map(|item| item.direction) {
            Some(Direction::Back) => Entered::Undo(UndoState::Undone { how, fingerprint }),
            _ => Entered::Step(StepState::Succeeded { how, fingerprint, owes: self.owes(index, how) }),
        };
        self.conclude(index, entered, out);
    }

    /// Records that nobody knows what became of it.
    pub(crate) fn unknown(&mut self, index: usize, message: &str, out: &mut Vec<Effect>) {
        let state = failure(codes::NEEDS_OPERATOR, message, Mutated::Maybe);
        self.conclude(index, self.as_unknown(index, state), out);
    }

    fn as_unknown(&self, index: usize, failure: Failure) -> Entered {
        match self.items.get(index).map(|item| item.direction) {
            Some(Direction::Back) => Entered::Undo(UndoState::Unknown(failure)),
            _ => Entered::Step(StepState::Unknown(failure)),
        }
    }

    /// Records that the provider was not asked: whoever resumes the run begins here again. What an
    /// earlier attempt may have done is not forgotten.
    fn not_begun(&mut self, index: usize, message: &str, out: &mut Vec<Effect>) {
        if self.items.get(index).is_some_and(|item| item.unproven) {
            self.note_unknown(index);
            return self.unknown(index, message, out);
        }
        let failure = failure(codes::INTERRUPTED, message, Mutated::No);
        let entered = match self.items.get(index).map(|item| item.direction) {
            Some(Direction::Back) => Entered::Undo(UndoState::Failed(failure)),
            _ => Entered::Step(StepState::Failed(failure)),
        };
        self.conclude(index, entered, out);
    }

    fn intend(&mut self, index: usize, out: &mut Vec<Effect>) {
        let fence = self.options.fence;
        let Some(item) = self.items.get_mut(index) else { return };
        item.attempt += 1;
        item.tries += 1;
        item.granted = false;
        item.phase = Phase::Intending;
        let intent = Intent {
            attempt: item.attempt,
            op_id: item.op_id.clone(),
            retry: item.retry,
            expect: item.partway.unwrap_or(item.expect),
            before_image: item.before_image,
            fence,
            deadline_ms: item.deadline_ms,
        };
        let node = item.node.clone();
        let record = match item.direction {
            Direction::Forward => Record::Step(StepRecord { node, state: StepState::Intent(intent) }),
            Direction::Back => Record::Undo(UndoRecord { node, state: UndoState::Intent(intent) }),
        };
        self.facts.intended = true;
        self.commit(Purpose::Step(index), record, out);
    }

    fn step_committed(&mut self, index: usize, out: &mut Vec<Effect>) {
        let Some(item) = self.items.get(index) else { return };
        let node = item.node.clone();
        match item.phase.clone() {
            Phase::Intending if self.facts.interrupted => {
                self.not_begun(index, "interrupted before the provider was asked", out);
            }
            Phase::Intending => self.act(index, out),
            Phase::Committing(entered) => {
                out.push(Effect::Log(match &entered {
                    Entered::Step(state) => Notice::StepIs { node, state: state.clone() },
                    Entered::Undo(state) => Notice::UndoIs { node, state: state.clone() },
                }));
                let open = match &entered {
                    Entered::Step(StepState::Unknown(failure))
                    | Entered::Undo(UndoState::Unknown(failure)) => Some(failure.message.clone()),
                    _ => None,
                };
                match open {
                    Some(_) if item.granted => {
                        self.note(index, entered);
                        self.wait_again(index);
                    }
                    Some(message) if !self.facts.interrupted => self.resolve(index, &message, out),
                    _ => self.step_over(index, entered, out),
                }
            }
            _ => {}
        }
    }

    /// Finds out what became of an operation that is durably unknown, as its retry class allows.
    pub(crate) fn resolve(&mut self, index: usize, message: &str, out: &mut Vec<Effect>) {
        let Some(item) = self.items.get(index) else { return };
        match item.retry {
            Retry::Converge => self.look_again(index, Phase::Resolving, out),
            Retry::Query => {
                let (node, direction) = (item.node.clone(), item.direction);
                let (attempt, op_id) = (item.attempt, item.op_id.clone());
                self.set_phase(index, Phase::AskingStatus);
                out.push(Effect::AskStatus { node, direction, attempt, op_id });
            }
            Retry::Once => self.stays_unknown(index, message, out),
        }
    }

    fn note(&mut self, index: usize, entered: Entered) {
        let Some(item) = self.items.get_mut(index) else { return };
        match entered {
            Entered::Step(state) => item.forward = Some(state),
            Entered::Undo(state) => item.back = Some(state),
        }
    }

    pub(crate) fn set_phase(&mut self, index: usize, phase: Phase) {
        if let Some(item) = self.items.get_mut(index) {
            item.phase = phase;
        }
    }

    fn look_again(&mut self, index: usize, phase: Phase, out: &mut Vec<Effect>) {
        let Some(item) = self.items.get_mut(index) else { return };
        item.phase = phase;
        item.asks += 1;
        out.push(Effect::LookAgain { node: item.node.clone(), ask: item.asks });
    }

    fn act(&mut self, index: usize, out: &mut Vec<Effect>) {
        let fence = self.options.fence;
        let Some(item) = self.items.get_mut(index) else { return };
        item.phase = Phase::Acting;
        out.push(Effect::Act(Operation {
            node: item.node.clone(),
            direction: item.direction,
            attempt: item.attempt,
            op_id: item.op_id.clone(),
            type_name: item.type_name.clone(),
            action: item.action,
            desired: item.desired.clone(),
            expect: item.partway.take().unwrap_or(item.expect),
            result: item.result,
            deadline_ms: item.deadline_ms,
            fence,
        }));
    }

    fn acted(&mut self, index: usize, answer: ActAnswer, out: &mut Vec<Effect>) {
        let lost = match answer {
            ActAnswer::Lost { message } => message,
            ActAnswer::Failed(error) if is_unknown(&error) => error.message,
            answer => return self.answered(index, answer, out),
        };
        self.unknown(index, &lost, out);
    }

    /// Takes in an answer that says what happened.
    fn answered(&mut self, index: usize, answer: ActAnswer, out: &mut Vec<Effect>) {
        let Some(item) = self.items.get(index) else { return };
        match answer {
            ActAnswer::Done(applied) => {
                let how = match applied {
                    Applied::Applied => How::Applied,
                    Applied::Already => crate::resume::found(item.attempt.saturating_sub(1)),
                };
                // The state of an unguarded action says nothing, so there is nothing to look at.
                if item.action == Action::Run && item.result.is_none() {
                    return self.succeed(index, how, None, out);
                }
                self.look_again(index, Phase::LookingAgain(how), out);
            }
            ActAnswer::Failed(error) if error.code == "STALE" && error.mutated == Mutated::No => {
                self.stale(index, None, out);
            }
            ActAnswer::Failed(error) => self.fail(index, codes::STEP_FAILED, error, out),
            ActAnswer::Lost { message } => self.stays_unknown(index, &message, out),
        }
    }

    fn looked_after(
        &mut self,
        index: usize,
        how: How,
        answer: Result<Looked, Failure>,
        out: &mut Vec<Effect>,
    ) {
        let Some(item) = self.items.get(index) else { return };
        let mutated = if how.changed() { Mutated::Yes } else { Mutated::No };
        let (code, message) = match answer {
            Ok(looked) if item.result.is_none_or(|result| result == looked.fingerprint) => {
                return self.succeed(index, how, Some(looked.fingerprint), out);
            }
            Ok(looked) => {
                let message = format!("afterwards the state is not as planned: found {}", looked.fingerprint);
                (codes::PARITY, message)
            }
            Err(error) => (codes::LOOK_AGAIN, format!("{}: {}", error.code, error.message)),
        };
        self.fail(index, code, failure(code, message, mutated), out);
    }

    fn looked_at_unknown(&mut self, index: usize, looked: &Looked, out: &mut Vec<Effect>) {
        let Some(item) = self.items.get_mut(index) else { return };
        let found = looked.fingerprint;
        if item.result == Some(found) {
            return self.succeed(index, How::Observed, Some(found), out);
        }
        if item.expect == found {
            // An action whose state says nothing looks the same before and after.
            let proven = item.action != Action::Run || item.result.is_some();
            return self.nothing_happened(index, proven, out);
        }
        if looked.partway {
            item.goes_on_from(found);
            return self.once_more(
                index,
                "the provider's answer was lost, and only a part of it is done",
                out,
            );
        }
        self.stays_unknown(index, "afterwards the state is neither as before nor as planned", out);
    }

    /// The answer was lost, and nothing is to be seen of the operation: once more, or an end.
    fn nothing_happened(&mut self, index: usize, proven: bool, out: &mut Vec<Effect>) {
        let Some(item) = self.items.get_mut(index) else { return };
        item.unproven |= !proven;
        self.once_more(index, "the provider's answer was lost, and looking cannot tell", out);
    }

    /// Tries again, unless that was done often enough or nothing may begin; then `unproven` says why it is not
    /// known what happened, where it is not.
    fn once_more(&mut self, index: usize, unproven: &str, out: &mut Vec<Effect>) {
        let Some(item) = self.items.get_mut(index) else { return };
        let again = item.tries < ATTEMPTS_MAX;
        if again && self.may_begin(index, out) {
            return self.intend(index, out);
        }
        if self.items.get(index).is_some_and(|item| item.unproven) {
            return self.stays_unknown(index, unproven, out);
        }
        if again && self.is_paused() {
            return self.not_begun(index, "nothing was changed; stopped before it was tried again", out);
        }
        let message = "the provider's answer was lost; looking showed that nothing was changed";
        self.fail(index, codes::LOST_ANSWER, failure(codes::LOST_ANSWER, message, Mutated::No), out);
    }

    fn status(&mut self, index: usize, answer: OperationStatus, out: &mut Vec<Effect>) {
        match answer {
            OperationStatus::NeverSeen => self.nothing_happened(index, true, out),
            OperationStatus::Started => {
                self.stays_unknown(index, "the provider began and did not finish", out);
            }
            OperationStatus::Lost { message } => self.stays_unknown(index, &message, out),
            OperationStatus::Done(ActAnswer::Failed(error)) if is_unknown(&error) => {
                self.stays_unknown(index, &error.message, out);
            }
            OperationStatus::Done(answer) => self.answered(index, answer, out),
        }
    }

    /// What is durably unknown stays so: a person decides.
    fn stays_unknown(&mut self, index: usize, message: &str, out: &mut Vec<Effect>) {
        let Some(item) = self.items.get(index) else { return };
        let node = item.node.clone();
        self.note_unknown(index);
        self.stop(codes::NEEDS_OPERATOR, &node, message, out);
        let state = failure(codes::NEEDS_OPERATOR, message, Mutated::Maybe);
        self.step_over(index, self.as_unknown(index, state), out);
    }

    fn note_unknown(&mut self, index: usize) {
        match self.items.get(index).map(|item| item.direction) {
            Some(Direction::Back) => self.facts.undo_unknown = true,
            _ => self.facts.unknown = true,
        }
    }

    fn interrupt(&mut self, out: &mut Vec<Effect>) {
        let message = "stopped without waiting for what was under way";
        self.halt(StopCause::Interrupted, codes::INTERRUPTED, message, out);
        self.drop_gates();
        self.verifying = 0;
        for target in &mut self.targets {
            if target.trust == Trust::Verifying {
                target.trust = Trust::Unverified;
            }
        }
        for index in 0..self.items.len() {
            let Some(item) = self.items.get(index) else { continue };
            match &item.phase {
                Phase::Looking => self.step_back(index),
                Phase::Acting | Phase::LookingAgain(_) => {
                    let state = failure(codes::INTERRUPTED, "interrupted while acting", Mutated::Maybe);
                    self.note_unknown(index);
                    self.conclude(index, self.as_unknown(index, state), out);
                }
                Phase::Resolving | Phase::AskingStatus => {
                    self.stays_unknown(index, "interrupted before it was found out", out);
                }
                Phase::Waiting
                | Phase::Unresolved { .. }
                | Phase::Intending
                | Phase::Committing(_)
                | Phase::Done => {}
            }
        }
    }
}

/// Whether a failure leaves open what happened.
fn is_unknown(error: &Failure) -> bool {
    error.code == "UNKNOWN_OUTCOME"
        || (matches!(error.code.as_str(), "TIMEOUT" | "CANCELLED" | "INTERNAL")
            && error.mutated != Mutated::No)
}
