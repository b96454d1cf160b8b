//! The driver's questions to providers: each is sent at once, and its answer comes as an event.

use super::{
    driver::Heard,
    looks::{self, Look},
    sessions::Sessions,
};
use crate::{Providers, observe::ProviderSession, undo::inverse};
use rectify_apply::{ActAnswer, Applied, Event, GateAnswer, Looked, Operation, OperationStatus};
use rectify_base::{NodeKey, TypeName, fingerprint::fingerprint};
use rectify_host::{Fault, HostError};
use rectify_model::{
    Plan,
    grade::Retry,
    journal::{Direction, Failure, Mutated},
    plan::{Action, Step},
};
use rectify_protocol::{
    ItemError, error as wire,
    message::{Apply, ApplyStatus, OpStatus, ReadAnswer, ReadItem},
};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::mpsc;

/// What the driver must know of a step or gate to ask about it.
#[derive(Clone)]
pub struct Subject {
    type_name: TypeName,
    version: u32,
    volatile: Vec<rectify_base::Pointer>,
    desired: Map<String, Value>,
    quick: bool,
    /// The step, where it can be broken off between two places that it changes.
    step: Option<Arc<Step>>,
}

impl Subject {
    /// To look at it takes no time worth mentioning: a state, and not a guard of somebody's.
    pub fn is_quick(&self) -> bool {
        self.quick
    }

    /// What is to be known of a state that was read.
    pub fn looked(&self, answer: ReadAnswer) -> Result<Looked, Failure> {
        let state = answer.state.as_ref();
        let partway =
            self.step.as_ref().zip(state).is_some_and(|(step, s)| step.is_partway(s, &self.volatile));
        fingerprint(&self.type_name, self.version, state, &self.volatile)
            .map(|fingerprint| Looked { fingerprint, before_image: answer.before_image, partway })
            .map_err(|error| failure("INTERNAL", error.to_string(), Mutated::No))
    }

    /// The question for its state.
    pub fn item(&self, capture: bool) -> ReadItem {
        ReadItem { type_name: self.type_name.clone(), desired: self.desired.clone(), capture }
    }
}

/// Those of a plan.
pub type Subjects = BTreeMap<NodeKey, Subject>;

/// What is to be known of the steps and gates of a plan.
pub fn subjects(plan: &Plan) -> Subjects {
    let subject = |type_name: &TypeName, desired: &Map<String, Value>| {
        let facts = plan.types.get(type_name);
        Subject {
            type_name: type_name.clone(),
            version: facts.map_or(1, |facts| facts.version),
            volatile: facts.map(|facts| facts.volatile.clone()).unwrap_or_default(),
            desired: desired.clone(),
            quick: facts.is_some_and(|facts| facts.retry == Retry::Converge),
            step: None,
        }
    };
    let steps = plan.steps.iter().map(|step| {
        let node = NodeKey { target: step.target.clone(), address: step.address.clone() };
        // Where one place changes, there is nothing between before and after.
        let several = step.action == Action::Update && step.changes.len() > 1;
        let step_of = several.then(|| Arc::new(step.clone()));
        (node, Subject { step: step_of, ..subject(&step.type_name, &step.desired) })
    });
    let gates = plan.gates.iter().map(|gate| {
        let node = NodeKey { target: gate.target.clone(), address: gate.address.clone() };
        (node, subject(&gate.type_name, &gate.desired))
    });
    steps.chain(gates).collect()
}

pub async fn session(
    sessions: &mut Sessions<'_>,
    subjects: &Subjects,
    node: &NodeKey,
) -> Result<(Arc<ProviderSession>, Subject), Failure> {
    let Some(subject) = subjects.get(node) else {
        return Err(failure("INTERNAL", format!("{node} is not part of the plan"), Mutated::No));
    };
    match sessions.of(&node.target, &subject.type_name).await {
        Ok(session) => Ok((session, subject.clone())),
        Err(error) => Err(failure(error.code().as_str(), error.to_string(), Mutated::No)),
    }
}

/// How often a question is asked of a provider that ends before it answers.
const TRIES: u32 = 3;

/// A question that a provider did not hear, or that only looked, because its process ended: something
/// else that it did was its end. A fresh one is asked.
pub enum Unheard {
    /// As [`looks`] has it.
    Look(Look),
    /// As [`act`] has it.
    Act { operation: Box<Operation>, tries: u32 },
    /// As [`ask_gate`] has it.
    Gate { node: NodeKey, attempt: u32, tries: u32 },
}

/// Whether a fresh process may be asked instead: nothing of the question was done, and nobody ended
/// the process on purpose.
pub fn may_ask_again(error: &HostError, tries: u32) -> bool {
    tries < TRIES
        && matches!(*error.fault, Fault::Exited(_))
        && error.effect() == rectify_host::Effect::Nothing
        && error.still_running().is_empty()
}

async fn read(
    session: &ProviderSession,
    subject: &Subject,
) -> Result<Result<ReadAnswer, Failure>, HostError> {
    let answer = session.read(vec![subject.item(false)]).await?.pop();
    Ok(answer.map_or_else(|| Err(left_out()), |answer| answer.map_err(|error| item_failure(&error))))
}

pub fn left_out() -> Failure {
    failure("INTERNAL", "the provider did not answer", Mutated::No)
}

pub fn unread(error: &HostError) -> Failure {
    failure(error.code().as_str(), error.to_string(), Mutated::No)
}

/// What the inverse of a step is asked with.
fn backwards(providers: &Providers, plan: &Plan, operation: &Operation) -> Option<Map<String, Value>> {
    let node = &operation.node;
    let step = plan.steps.iter().find(|s| s.target == node.target && s.address == node.address)?;
    let facts = plan.types.get(&step.type_name)?;
    let descriptor = providers.of_type(&step.type_name)?.manifest.descriptor(&step.type_name)?;
    inverse::desired(step, facts, descriptor, operation.result)
}

/// Lets the provider act.
pub async fn act(
    plan: &Plan,
    sessions: &mut Sessions<'_>,
    sender: &mpsc::UnboundedSender<Heard>,
    mut operation: Operation,
    tries: u32,
) {
    let back = operation.direction == Direction::Back;
    if back {
        match backwards(sessions.providers(), plan, &operation) {
            Some(desired) => operation.desired = desired,
            None => {
                let message = "the plan does not hold what was there before";
                let answer = ActAnswer::Failed(failure("INTERNAL", message, Mutated::No));
                let Operation { node, direction, attempt, .. } = operation;
                drop(sender.send(Heard::Event(Event::Acted { node, direction, attempt, answer })));
                return;
            }
        }
    }
    let session = sessions.of(&operation.node.target, &operation.type_name).await;
    let sender = sender.clone();
    tokio::spawn(async move {
        let answer = match session {
            // Nothing was sent: the provider could not even be started.
            Err(error) => ActAnswer::Failed(failure(error.code().as_str(), error.to_string(), Mutated::No)),
            Ok(session) => match session.apply(request(&operation)).await {
                Ok(answer) => act_answer(answer),
                Err(error) if may_ask_again(&error, tries) => {
                    let again = Unheard::Act { operation: Box::new(operation), tries: tries + 1 };
                    drop(sender.send(Heard::Again(again)));
                    return;
                }
                Err(error) => unanswered(&error),
            },
        };
        let Operation { node, direction, attempt, .. } = operation;
        drop(sender.send(Heard::Event(Event::Acted { node, direction, attempt, answer })));
    });
}

fn request(operation: &Operation) -> Apply {
    Apply {
        op_id: operation.op_id.clone(),
        type_name: operation.type_name.clone(),
        action: operation.action.as_str().to_owned(),
        desired: operation.desired.clone(),
        expect: operation.expect,
        result: operation.result,
        deadline_ms: operation.deadline_ms,
        fence: operation.fence,
    }
}

/// What an operation came to of which there is no answer.
fn unanswered(error: &HostError) -> ActAnswer {
    let told = |mutated| ActAnswer::Failed(failure(error.code().as_str(), error.to_string(), mutated));
    if !error.still_running().is_empty() {
        // Something of it still runs: looking now would tell nothing, and acting again would be a
        // second time. It is not tried again.
        return told(Mutated::Maybe);
    }
    match error.effect() {
        // Not sent, or refused as a whole.
        rectify_host::Effect::Nothing => told(Mutated::No),
        rectify_host::Effect::Unknown => ActAnswer::Lost { message: error.to_string() },
    }
}

fn act_answer(answer: Result<rectify_protocol::message::Applied, ItemError>) -> ActAnswer {
    match answer {
        Ok(applied) if applied.status == ApplyStatus::Already => ActAnswer::Done(Applied::Already),
        Ok(_) => ActAnswer::Done(Applied::Applied),
        Err(error) => ActAnswer::Failed(item_failure(&error)),
    }
}

/// Asks once more what was not heard.
pub async fn again(
    plan: &Plan,
    sessions: &mut Sessions<'_>,
    subjects: &Subjects,
    sender: &mpsc::UnboundedSender<Heard>,
    unheard: Unheard,
) {
    match unheard {
        Unheard::Look(look) => looks::alone(sessions, subjects, sender, look).await,
        Unheard::Act { operation, tries } => act(plan, sessions, sender, *operation, tries).await,
        Unheard::Gate { node, attempt, tries } => {
            ask_gate(sessions, subjects, sender, node, (attempt, tries)).await;
        }
    }
}

/// Asks the provider's ledger what became of an operation.
pub async fn ask_status(
    sessions: &mut Sessions<'_>,
    subjects: &Subjects,
    sender: &mpsc::UnboundedSender<Heard>,
    (node, direction): (NodeKey, Direction),
    attempt: u32,
    op_id: String,
) {
    // A fresh process must be able to answer; the one that lost the answer may be gone.
    if let Some(subject) = subjects.get(&node) {
        sessions.forget(&node.target, &subject.type_name);
    }
    let found = session(sessions, subjects, &node).await;
    let sender = sender.clone();
    tokio::spawn(async move {
        let answer = match found {
            Err(failure) => OperationStatus::Lost { message: failure.message },
            Ok((session, _)) => match session.op_status(&op_id).await {
                Err(error) => OperationStatus::Lost { message: error.to_string() },
                Ok(OpStatus::NeverSeen) => OperationStatus::NeverSeen,
                Ok(OpStatus::Started) => OperationStatus::Started,
                Ok(OpStatus::Done(result)) => OperationStatus::Done(act_answer(result.into_result())),
            },
        };
        drop(sender.send(Heard::Event(Event::Status { node, direction, attempt, answer })));
    });
}

/// Asks a gate.
pub async fn ask_gate(
    sessions: &mut Sessions<'_>,
    subjects: &Subjects,
    sender: &mpsc::UnboundedSender<Heard>,
    node: NodeKey,
    (attempt, tries): (u32, u32),
) {
    let found = session(sessions, subjects, &node).await;
    let sender = sender.clone();
    tokio::spawn(async move {
        let answer = match found {
            Err(failure) => Err(failure),
            Ok((session, subject)) => match read(&session, &subject).await {
                Err(error) if may_ask_again(&error, tries) => {
                    drop(sender.send(Heard::Again(Unheard::Gate { node, attempt, tries: tries + 1 })));
                    return;
                }
                Err(error) => Err(unread(&error)),
                Ok(answer) => answer,
            },
        };
        let answer = match answer {
            Err(failure) => GateAnswer::NotYet { message: failure.message },
            Ok(answer) => {
                let member = |name: &str| answer.state.as_ref().and_then(|state| state.get(name)).cloned();
                if member("ok") == Some(Value::Bool(true)) {
                    GateAnswer::Passed
                } else {
                    let detail = member("detail").and_then(|d| d.as_str().map(str::to_owned));
                    GateAnswer::NotYet { message: detail.unwrap_or_else(|| "it does not hold".into()) }
                }
            }
        };
        drop(sender.send(Heard::Event(Event::Gate { node, attempt, answer })));
    });
}

/// A failure with what is known of its effect.
pub fn failure(code: &str, message: impl Into<String>, mutated: Mutated) -> Failure {
    Failure { code: code.into(), message: message.into(), mutated }
}

pub fn item_failure(error: &ItemError) -> Failure {
    let mutated = match error.mutated {
        wire::Mutated::No => Mutated::No,
        wire::Mutated::Maybe => Mutated::Maybe,
        wire::Mutated::Yes => Mutated::Yes,
    };
    let message = match &error.hint {
        Some(hint) => format!("{}; {hint}", error.message),
        None => error.message.clone(),
    };
    failure(&crate::observe::word(&error.code).unwrap_or_default(), message, mutated)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use super::*;

    fn error(fault: Fault) -> HostError {
        HostError {
            provider: "file".into(),
            place: "resource.apply".into(),
            fault: Box::new(fault),
            stderr: String::new(),
        }
    }

    #[test]
    fn what_was_lost_is_looked_for_unless_something_of_it_still_runs() {
        let lost = |cause| error(Fault::UnknownOutcome { op_id: "op".into(), cause: Box::new(cause) });
        assert!(matches!(unanswered(&lost(Fault::Killed)), ActAnswer::Lost { .. }));
        let stuck = Fault::StillRuns { processes: vec![4711], cause: Box::new(Fault::Killed) };
        let ActAnswer::Failed(told) = unanswered(&lost(stuck)) else { panic!("it would be tried again") };
        assert_eq!(told.mutated, Mutated::Maybe);
        assert!(told.message.contains("4711"), "{}", told.message);
        let ActAnswer::Failed(told) = unanswered(&error(Fault::SessionOver)) else {
            panic!("nothing was lost")
        };
        assert_eq!(told.mutated, Mutated::No);
    }

    #[test]
    fn only_what_a_process_did_not_hear_at_its_end_is_asked_again() {
        let exited = || Fault::Exited("signal: 9 (SIGKILL)".into());
        let unknown = Fault::UnknownOutcome { op_id: "op".into(), cause: Box::new(exited()) };
        let stuck = Fault::StillRuns { processes: vec![4711], cause: Box::new(exited()) };
        assert!(may_ask_again(&error(exited()), 1));
        assert!(!may_ask_again(&error(exited()), TRIES), "it ends each time");
        for fault in [unknown, stuck, Fault::Killed, Fault::SessionOver] {
            assert!(!may_ask_again(&error(fault), 1));
        }
    }
}
