//! The driver: performs the effects that the step function asks for, and feeds the answers back.

use super::{Stop, crash::Around, sessions::Sessions};
use crate::{Engine, EngineError, facts, identity, observe::ProviderSession};
use rectify_apply::{
    ActAnswer, Applied, Effect, Event, Finished, GateAnswer, Looked, Notice, Operation, OperationStatus,
    RunState, step,
};
use rectify_base::{NodeKey, TargetName, TypeName, fingerprint::fingerprint};
use rectify_host::{
    HostError,
    crash::{Point, reached},
};
use rectify_model::{
    Plan,
    journal::{Direction, Failure, Mutated, RunId, StepState},
    observation::Identity,
};
use rectify_protocol::{
    ItemError, error as wire,
    message::{Apply, ApplyStatus, OpStatus, ReadAnswer, ReadItem},
};
use rectify_store::{Journal, SqliteJournal};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};

/// What each step came to.
pub type Tally = BTreeMap<NodeKey, StepState>;

/// What the driver must know of a step or gate to ask about it.
#[derive(Clone)]
struct Subject {
    type_name: TypeName,
    version: u32,
    volatile: Vec<rectify_base::Pointer>,
    desired: Map<String, Value>,
}

/// Drives a run to its end.
///
/// # Errors
/// Only when the journal fails: nothing can be promised then.
pub async fn drive(
    engine: &Engine,
    store: Arc<SqliteJournal>,
    run: &RunId,
    plan: &Plan,
    mut state: RunState,
    mut sessions: Sessions<'_>,
    mut stop: watch::Receiver<Stop>,
) -> Result<(Finished, Tally), EngineError> {
    let subjects = subjects(plan);
    let (sender, mut events) = mpsc::unbounded_channel::<Event>();
    let mut tally = Tally::new();
    let mut pending = vec![Event::Start];
    let mut told = Stop::No;
    loop {
        let event = if let Some(event) = pending.pop() {
            event
        } else {
            tokio::select! {
                biased;
                changed = stop.changed(), if told < Stop::Now => {
                    let wanted = if changed.is_ok() { *stop.borrow_and_update() } else { Stop::No };
                    match wanted {
                        Stop::No => { if changed.is_err() { told = Stop::Now; } continue; }
                        Stop::Gracefully => { told = wanted; Event::Cancel }
                        Stop::Now => { told = wanted; sessions.kill().await; Event::Interrupt }
                    }
                }
                event = events.recv() => match event { Some(event) => event, None => Event::Tick },
            }
        };
        for effect in step(&mut state, event, (engine.now_ms)()) {
            match effect {
                Effect::Verify { target, assumptions, .. } => {
                    let answer = verify(engine, plan, &sessions, &target, assumptions)
                        .await
                        .map_err(|error| failure(error.code().as_str(), in_one_line(&error), Mutated::No));
                    pending.push(Event::Verified { target, answer });
                }
                Effect::Look { node, ask, capture } => {
                    look(&mut sessions, &subjects, &sender, node, ask, capture).await;
                }
                Effect::LookAgain { node, ask } => {
                    look(&mut sessions, &subjects, &sender, node, ask, false).await;
                }
                Effect::CommitIntent { ticket, record } | Effect::CommitResult { ticket, record } => {
                    let (store, run, sender) = (Arc::clone(&store), run.clone(), sender.clone());
                    let at_ms = (engine.now_ms)();
                    tokio::spawn(async move {
                        let points = Around::of(&record);
                        points.before();
                        let event = match store.append(&run, at_ms, vec![record]).await {
                            Ok(_) => {
                                points.after();
                                Event::Committed(ticket)
                            }
                            Err(error) => Event::CommitFailed { ticket, message: error.to_string() },
                        };
                        drop(sender.send(event));
                    });
                }
                Effect::Act(operation) => act(&mut sessions, &sender, operation).await,
                Effect::AskStatus { node, direction, attempt, op_id } => {
                    let told = (direction, attempt);
                    ask_status(&mut sessions, &subjects, &sender, node, told, op_id).await;
                }
                Effect::AskGate { node, attempt } => {
                    ask_gate(&mut sessions, &subjects, &sender, node, attempt).await;
                }
                Effect::WaitUntil { at_ms } => {
                    let wait = Duration::from_millis(at_ms.saturating_sub((engine.now_ms)()));
                    let sender = sender.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(wait).await;
                        drop(sender.send(Event::Tick));
                    });
                }
                Effect::Log(notice) => tell(engine, notice, &mut tally),
                Effect::Finish(finished) => {
                    reached(Point::Finished);
                    sessions.shutdown().await;
                    return Ok((finished, tally));
                }
            }
        }
        // Answers that were known at once are taken in the order in which they were asked for.
        pending.reverse();
        let late: Vec<Event> = std::mem::take(&mut pending);
        for event in late.into_iter().rev() {
            drop(sender.send(event));
        }
    }
}

/// What the target proves, if what is assumed of it is still so.
async fn verify(
    engine: &Engine,
    plan: &Plan,
    sessions: &Sessions<'_>,
    target: &TargetName,
    assumptions: bool,
) -> Result<Identity, EngineError> {
    let connection = sessions.connection(target)?;
    let found = identity::observe(target, connection, sessions.project())?;
    // Of another target it means nothing.
    if let Some(known) = plan.targets.get(target).filter(|known| assumptions && known.identity == found) {
        facts::verify(engine, target, &known.assumptions, connection, sessions.project()).await?;
    }
    Ok(found)
}

/// An error in one line.
fn in_one_line(error: &EngineError) -> String {
    match error {
        EngineError::FactsChanged { changed } => {
            changed.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    }
}

fn subjects(plan: &Plan) -> BTreeMap<NodeKey, Subject> {
    let subject = |type_name: &TypeName, desired: &Map<String, Value>| {
        let facts = plan.types.get(type_name);
        Subject {
            type_name: type_name.clone(),
            version: facts.map_or(1, |facts| facts.version),
            volatile: facts.map(|facts| facts.volatile.clone()).unwrap_or_default(),
            desired: desired.clone(),
        }
    };
    let steps = plan.steps.iter().map(|step| {
        let node = NodeKey { target: step.target.clone(), address: step.address.clone() };
        (node, subject(&step.type_name, &step.desired))
    });
    let gates = plan.gates.iter().map(|gate| {
        let node = NodeKey { target: gate.target.clone(), address: gate.address.clone() };
        (node, subject(&gate.type_name, &gate.desired))
    });
    steps.chain(gates).collect()
}

async fn session(
    sessions: &mut Sessions<'_>,
    subjects: &BTreeMap<NodeKey, Subject>,
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

async fn read(session: &ProviderSession, subject: &Subject, capture: bool) -> Result<ReadAnswer, Failure> {
    let item = ReadItem { type_name: subject.type_name.clone(), desired: subject.desired.clone(), capture };
    match session.read(vec![item]).await {
        Ok(mut answers) => match answers.pop() {
            Some(answer) => answer.map_err(|error| item_failure(&error)),
            None => Err(failure("INTERNAL", "the provider did not answer", Mutated::No)),
        },
        Err(error) => Err(failure(error.code().as_str(), error.to_string(), Mutated::No)),
    }
}

async fn look(
    sessions: &mut Sessions<'_>,
    subjects: &BTreeMap<NodeKey, Subject>,
    sender: &mpsc::UnboundedSender<Event>,
    node: NodeKey,
    ask: u32,
    capture: bool,
) {
    let found = session(sessions, subjects, &node).await;
    let sender = sender.clone();
    tokio::spawn(async move {
        let answer = match found {
            Err(failure) => Err(failure),
            Ok((session, subject)) => read(&session, &subject, capture).await.and_then(|answer| {
                let state = answer.state.as_ref();
                fingerprint(&subject.type_name, subject.version, state, &subject.volatile)
                    .map(|fingerprint| Looked { fingerprint, before_image: answer.before_image })
                    .map_err(|error| failure("INTERNAL", error.to_string(), Mutated::No))
            }),
        };
        drop(sender.send(Event::Looked { node, ask, answer }));
    });
}

async fn act(sessions: &mut Sessions<'_>, sender: &mpsc::UnboundedSender<Event>, operation: Operation) {
    let Operation {
        node,
        direction,
        attempt,
        op_id,
        type_name,
        action,
        desired,
        expect,
        result,
        deadline_ms,
        fence,
    } = operation;
    let session = sessions.of(&node.target, &type_name).await;
    let sender = sender.clone();
    tokio::spawn(async move {
        let answer = match session {
            // Nothing was sent: the provider could not even be started.
            Err(error) => ActAnswer::Failed(failure(error.code().as_str(), error.to_string(), Mutated::No)),
            Ok(session) => {
                let action = action.as_str().to_owned();
                let request = Apply { op_id, type_name, action, desired, expect, result, deadline_ms, fence };
                match session.apply(request).await {
                    Ok(answer) => act_answer(answer),
                    Err(error) => unanswered(&error),
                }
            }
        };
        drop(sender.send(Event::Acted { node, direction, attempt, answer }));
    });
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

async fn ask_status(
    sessions: &mut Sessions<'_>,
    subjects: &BTreeMap<NodeKey, Subject>,
    sender: &mpsc::UnboundedSender<Event>,
    node: NodeKey,
    (direction, attempt): (Direction, u32),
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
        drop(sender.send(Event::Status { node, direction, attempt, answer }));
    });
}

async fn ask_gate(
    sessions: &mut Sessions<'_>,
    subjects: &BTreeMap<NodeKey, Subject>,
    sender: &mpsc::UnboundedSender<Event>,
    node: NodeKey,
    attempt: u32,
) {
    let found = session(sessions, subjects, &node).await;
    let sender = sender.clone();
    tokio::spawn(async move {
        let answer = match found {
            Err(failure) => Err(failure),
            Ok((session, subject)) => read(&session, &subject, false).await,
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
        drop(sender.send(Event::Gate { node, attempt, answer }));
    });
}

fn failure(code: &str, message: impl Into<String>, mutated: Mutated) -> Failure {
    Failure { code: code.into(), message: message.into(), mutated }
}

fn item_failure(error: &ItemError) -> Failure {
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

fn tell(engine: &Engine, notice: Notice, tally: &mut Tally) {
    let event = match notice {
        Notice::StepStarted { node } => {
            crate::Event::StepStarted { target: node.target, address: node.address }
        }
        Notice::StepIs { node, state } => {
            tally.insert(node.clone(), state.clone());
            let (result, message) = match state {
                StepState::Intent(_) => return,
                StepState::Succeeded { how, .. } => (crate::observe::word(&how).unwrap_or_default(), None),
                StepState::Failed(failure) => ("failed".into(), Some(failure.message)),
                StepState::Unknown(failure) => ("unknown".into(), Some(failure.message)),
                StepState::Stale { .. } => (
                    "stale".into(),
                    Some("what was found is neither what the plan expects nor what it wants".into()),
                ),
                StepState::Skipped { .. } => ("skipped".into(), None),
            };
            crate::Event::StepEnded { target: node.target, address: node.address, result, message }
        }
        Notice::GatePassed { node } => {
            crate::Event::GateEnded { target: node.target, address: node.address, holds: true, message: None }
        }
        Notice::GateWaits { node, attempt, message } => {
            crate::Event::GateWaiting { target: node.target, address: node.address, attempt, message }
        }
        Notice::WaveStarted { index, .. } => {
            tracing::debug!(index, "wave");
            return;
        }
        Notice::Stopping(reason) => {
            tracing::info!(place = reason.place, message = reason.message, "nothing new is started");
            return;
        }
        Notice::Undoing { because, steps } => {
            tracing::info!(place = because.place, count = steps.len(), "taking back");
            return;
        }
        Notice::UndoStarted { node } => {
            tracing::debug!(%node, "taking back");
            return;
        }
        Notice::UndoIs { node, state } => {
            tracing::debug!(%node, ?state, "taking back");
            return;
        }
        Notice::Owed { by, steps } => {
            tracing::debug!(%by, count = steps.len(), "owed");
            return;
        }
        Notice::Ignored { code, what } => {
            tracing::warn!(%code, what, "an event that nobody asked for");
            return;
        }
    };
    engine.events.on(&event);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use super::*;
    use rectify_host::Fault;

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
}
