//! The step function, and the life of one step.

use crate::{
    ATTEMPTS_MAX, codes,
    effect::{Effect, Notice, Operation, Ticket},
    event::{ActAnswer, Applied, Event, Looked, OperationStatus},
    state::{GatePhase, Phase, Purpose, RunState, Trust},
};
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use rectify_base::{Code, Digest, NodeKey, TargetName};
use rectify_model::{
    grade::Retry,
    journal::{Failure, How, Intent, Mutated, Record, StepRecord, StepState, TargetRecord, TargetState},
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
            Event::Acted { node, attempt, .. } => {
                let index = self.find(node, |phase| *phase == Phase::Acting);
                if let Some(index) = index.filter(|i| self.attempt(*i) == Some(*attempt)) {
                    if let Event::Acted { answer, .. } = event {
                        self.acted(index, answer, out);
                    }
                    return;
                }
            }
            Event::Status { node, attempt, .. } => {
                let index = self.find(node, |phase| *phase == Phase::AskingStatus);
                if let Some(index) = index.filter(|i| self.attempt(*i) == Some(*attempt)) {
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
            Event::Cancel => {
                if !self.facts.cancelled {
                    self.facts.cancelled = true;
                    self.stop(codes::CANCELLED, "run", "asked to stop", out);
                }
                return;
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

    fn attempt(&self, index: usize) -> Option<u32> {
        self.items.get(index).map(|item| item.attempt)
    }

    fn find(&self, node: &NodeKey, phase: impl Fn(&Phase) -> bool) -> Option<usize> {
        let index = *self.item_index.get(node)?;
        self.items.get(index).filter(|item| phase(&item.phase)).map(|_| index)
    }

    fn begin(&mut self, out: &mut Vec<Effect>) {
        self.started = true;
        if !self.may_start(out) {
            return;
        }
        for target in &mut self.targets {
            target.trust = Trust::Verifying;
            self.verifying += 1;
            out.push(Effect::Verify { target: target.name.clone(), identity: target.identity.clone() });
        }
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
        }
    }

    /// The journal is the promise that everything else rests on: without it the run ends here, and
    /// what was under way stays an open intent.
    fn journal_lost(&mut self, ticket: Ticket, message: String, out: &mut Vec<Effect>) {
        let place = match self.commits.remove(&ticket) {
            Some(Purpose::Step(index)) => self.items.get(index).map(|item| item.node.to_string()),
            Some(Purpose::Gate(index, _)) => self.gates.get(index).map(|gate| gate.node.to_string()),
            Some(Purpose::Target(index)) => self.targets.get(index).map(|target| target.name.to_string()),
            None => None,
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
            (Phase::Resolving, Ok(looked)) => self.looked_at_unknown(index, looked.fingerprint, out),
            (Phase::Resolving, Err(error)) => self.stays_unknown(index, &error.message, out),
            _ => {}
        }
    }

    fn looked_before(&mut self, index: usize, answer: Result<Looked, Failure>, out: &mut Vec<Effect>) {
        if !self.may_start(out) {
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
                self.succeed(index, How::Already, Some(looked.fingerprint), out);
            }
            Ok(looked) => self.stale(index, Some(looked.fingerprint), out),
        }
    }

    /// Stores a failure. What an earlier attempt may have done is not forgotten.
    fn fail(&mut self, index: usize, code: Code, told: Failure, out: &mut Vec<Effect>) {
        let Some(item) = self.items.get(index) else { return };
        let node = item.node.clone();
        let mutated =
            if item.unproven && told.mutated == Mutated::No { Mutated::Maybe } else { told.mutated };
        self.facts.failed = true;
        let ours = told.code == code.as_str();
        let message = if ours { told.message.clone() } else { format!("{}: {}", told.code, told.message) };
        self.stop(code, &node, message, out);
        self.conclude(index, StepState::Failed(Failure { mutated, ..told }), out);
    }

    fn stale(&mut self, index: usize, found: Option<Digest>, out: &mut Vec<Effect>) {
        let Some(item) = self.items.get(index) else { return };
        let node = item.node.clone();
        let message = "changed since it was planned: it is neither as expected nor as planned";
        if item.unproven {
            return self.fail(index, codes::STALE, failure(codes::STALE, message, Mutated::Maybe), out);
        }
        self.facts.stale = true;
        self.stop(codes::STALE, &node, message, out);
        self.conclude(index, StepState::Stale { found }, out);
    }

    fn succeed(&mut self, index: usize, how: How, fingerprint: Option<Digest>, out: &mut Vec<Effect>) {
        let owes = self.owes(index, how);
        self.conclude(index, StepState::Succeeded { how, fingerprint, owes }, out);
    }

    fn intend(&mut self, index: usize, out: &mut Vec<Effect>) {
        let options = self.options;
        let Some(item) = self.items.get_mut(index) else { return };
        item.attempt += 1;
        item.phase = Phase::Intending;
        let intent = Intent {
            attempt: item.attempt,
            op_id: item.op_id.clone(),
            retry: item.retry,
            expect: item.expect,
            before_image: item.before_image,
            fence: options.fence,
            deadline_ms: item.deadline_ms,
        };
        let record = Record::Step(StepRecord { node: item.node.clone(), state: StepState::Intent(intent) });
        self.facts.intended = true;
        self.commit(Purpose::Step(index), record, out);
    }

    fn step_committed(&mut self, index: usize, out: &mut Vec<Effect>) {
        let Some(item) = self.items.get(index) else { return };
        let (node, retry) = (item.node.clone(), item.retry);
        match item.phase.clone() {
            Phase::Intending if self.facts.interrupted => {
                let message = "interrupted before the provider was asked";
                self.conclude(
                    index,
                    StepState::Failed(failure(codes::INTERRUPTED, message, Mutated::No)),
                    out,
                );
            }
            Phase::Intending => self.act(index, out),
            Phase::Committing(state) => {
                out.push(Effect::Log(Notice::StepIs { node: node.clone(), state: state.clone() }));
                match (&state, retry) {
                    (StepState::Unknown(_), _) if self.facts.interrupted => self.step_over(index, state, out),
                    (StepState::Unknown(_), Retry::Converge) => {
                        self.look_again(index, Phase::Resolving, out);
                    }
                    (StepState::Unknown(_), Retry::Query) => {
                        let (attempt, op_id) = (item.attempt, item.op_id.clone());
                        self.set_phase(index, Phase::AskingStatus);
                        out.push(Effect::AskStatus { node, attempt, op_id });
                    }
                    (StepState::Unknown(error), Retry::Once) => {
                        let message = error.message.clone();
                        self.stays_unknown(index, &message, out);
                    }
                    _ => self.step_over(index, state, out),
                }
            }
            _ => {}
        }
    }

    fn set_phase(&mut self, index: usize, phase: Phase) {
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
        let options = self.options;
        let Some(item) = self.items.get_mut(index) else { return };
        item.phase = Phase::Acting;
        out.push(Effect::Act(Operation {
            node: item.node.clone(),
            attempt: item.attempt,
            op_id: item.op_id.clone(),
            type_name: item.type_name.clone(),
            action: item.action,
            desired: item.desired.clone(),
            expect: item.expect,
            result: item.result,
            deadline_ms: item.deadline_ms,
            fence: options.fence,
        }));
    }

    fn acted(&mut self, index: usize, answer: ActAnswer, out: &mut Vec<Effect>) {
        let lost = match answer {
            ActAnswer::Lost { message } => message,
            ActAnswer::Failed(error) if is_unknown(&error) => error.message,
            answer => return self.answered(index, answer, out),
        };
        self.conclude(index, StepState::Unknown(failure(codes::NEEDS_OPERATOR, lost, Mutated::Maybe)), out);
    }

    /// Takes in an answer that says what happened.
    fn answered(&mut self, index: usize, answer: ActAnswer, out: &mut Vec<Effect>) {
        let Some(item) = self.items.get(index) else { return };
        match answer {
            ActAnswer::Done(applied) => {
                let how = match applied {
                    Applied::Applied => How::Applied,
                    Applied::Already if item.unproven => How::Observed,
                    Applied::Already => How::Already,
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

    fn looked_at_unknown(&mut self, index: usize, found: Digest, out: &mut Vec<Effect>) {
        let Some(item) = self.items.get(index) else { return };
        if item.result == Some(found) {
            return self.succeed(index, How::Observed, Some(found), out);
        }
        if item.expect == found {
            // An action whose state says nothing looks the same before and after.
            let proven = item.action != Action::Run || item.result.is_some();
            return self.nothing_happened(index, proven, out);
        }
        self.stays_unknown(index, "afterwards the state is neither as before nor as planned", out);
    }

    /// The answer was lost, and nothing is to be seen of the operation: once more, or an end.
    fn nothing_happened(&mut self, index: usize, proven: bool, out: &mut Vec<Effect>) {
        let again = self.attempt(index).is_some_and(|attempt| attempt < ATTEMPTS_MAX);
        let may_start = again && self.may_start(out);
        let Some(item) = self.items.get_mut(index) else { return };
        item.unproven |= !proven;
        if may_start {
            return self.intend(index, out);
        }
        if item.unproven {
            return self.stays_unknown(index, "the provider's answer was lost, and looking cannot tell", out);
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
        self.facts.unknown = true;
        self.stop(codes::NEEDS_OPERATOR, &node, message, out);
        let state = StepState::Unknown(failure(codes::NEEDS_OPERATOR, message, Mutated::Maybe));
        self.step_over(index, state, out);
    }

    fn interrupt(&mut self, out: &mut Vec<Effect>) {
        self.facts.interrupted = true;
        self.stop(codes::INTERRUPTED, "run", "stopped without waiting for what was under way", out);
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
                    self.facts.unknown = true;
                    self.conclude(index, StepState::Unknown(state), out);
                }
                Phase::Resolving | Phase::AskingStatus => {
                    self.stays_unknown(index, "interrupted before it was found out", out);
                }
                Phase::Waiting | Phase::Intending | Phase::Committing(_) | Phase::Done(_) => {}
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
