//! The driver: performs the effects that the step function asks for, and feeds the answers back.

use super::{
    Stop,
    asks::{Unheard, act, again, ask_gate, ask_status, failure, subjects},
    clock::Clock,
    crash::Around,
    looks::{Look, Looks, SessionId},
    sessions::Sessions,
    tell::tell,
};
use crate::{Engine, EngineError, facts, identity};
use rectify_apply::{Effect, Event, Finished, RunState, Ticket, step};
use rectify_base::TargetName;
use rectify_host::crash::{Point, reached};
use rectify_model::{
    Plan,
    journal::{Mutated, Record, RunId},
    observation::Identity,
};
use rectify_store::{Journal, SqliteJournal, StoreError};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

/// Longest time that what is under way is waited for after somebody asked to stop.
pub const GRACE: Duration = Duration::from_secs(30);

/// Longest time that a result waits for space on the disk.
pub const UNSTORED_MAX: Duration = Duration::from_secs(60);
const UNSTORED_PAUSE: Duration = Duration::from_millis(500);

/// What comes back from what was begun.
pub enum Heard {
    /// For the step function.
    Event(Event),
    /// A record that could not be stored.
    Unsaved(Box<Record>),
    /// A question that has to be asked of a fresh provider.
    Again(Unheard),
    /// A request for looks has its answer.
    LooksAnswered(SessionId),
}

/// What a run is driven with.
pub struct Drive<'e> {
    /// The engine.
    pub engine: &'e Engine,
    /// The journal.
    pub store: Arc<SqliteJournal>,
    /// The run.
    pub run: &'e RunId,
    /// Its plan.
    pub plan: &'e Plan,
    /// First millisecond in which no new intent may start, by the wall clock.
    pub expires_at_ms: u64,
    /// The providers.
    pub sessions: Sessions<'e>,
    /// Changes when somebody wants to stop.
    pub stop: watch::Receiver<Stop>,
    /// Becomes true when the lease cannot be renewed.
    pub ending: watch::Receiver<bool>,
}

/// Drives a run to its end.
///
/// # Errors
/// Only when the journal fails: nothing can be promised then.
pub async fn drive(drive: Drive<'_>, mut state: RunState) -> Result<Finished, EngineError> {
    let Drive { engine, store, run, plan, expires_at_ms, mut sessions, mut stop, mut ending } = drive;
    let subjects = subjects(plan);
    let clock = Clock::new(engine.now_ms, expires_at_ms);
    let (sender, mut events) = mpsc::unbounded_channel::<Heard>();
    let mut pending = vec![Event::Start];
    let mut told = Stop::No;
    let mut deaf = false;
    let mut grace: Option<Instant> = None;
    let mut lost = false;
    let mut looks = Looks::default();
    loop {
        // Once everything is taken in that came meanwhile.
        if pending.is_empty() && events.is_empty() && looks.due().is_some() {
            looks.ask(&mut sessions, &subjects, &sender).await;
        }
        let event = if let Some(event) = pending.pop() {
            event
        } else {
            tokio::select! {
                biased;
                changed = stop.changed(), if !deaf && told < Stop::Now => {
                    let wanted = if changed.is_ok() { *stop.borrow_and_update() } else { Stop::No };
                    deaf = changed.is_err();
                    match wanted {
                        Stop::No => continue,
                        Stop::Gracefully => {
                            told = wanted;
                            grace = Some(Instant::now() + GRACE);
                            Event::Cancel
                        }
                        Stop::Now => { told = wanted; sessions.kill().await; Event::Interrupt }
                    }
                }
                () = until(grace), if grace.is_some() && told < Stop::Now => {
                    told = Stop::Now;
                    engine.events.on(&crate::Event::GraceOver { waited_s: GRACE.as_secs() });
                    sessions.kill().await;
                    Event::Interrupt
                }
                () = ended(&mut ending), if !lost => {
                    lost = true;
                    Event::LeaseEnding
                }
                heard = events.recv() => match heard {
                    Some(Heard::Event(event)) => event,
                    Some(Heard::LooksAnswered(session)) => {
                        looks.answered(session);
                        continue;
                    }
                    Some(Heard::Again(unheard)) => {
                        again(plan, &mut sessions, &subjects, &sender, unheard).await;
                        continue;
                    }
                    Some(Heard::Unsaved(record)) => {
                        engine.events.on(&crate::Event::Unsaved { record });
                        continue;
                    }
                    None => Event::Tick,
                },
                () = until(looks.due()), if looks.due().is_some() => continue,
            }
        };
        for effect in step(&mut state, event, clock.now_ms()) {
            match effect {
                Effect::Verify { target, assumptions, .. } => {
                    let answer = verify(engine, plan, &sessions, &target, assumptions)
                        .await
                        .map_err(|error| failure(error.code().as_str(), in_one_line(&error), Mutated::No));
                    pending.push(Event::Verified { target, answer });
                }
                Effect::Look { node, ask, capture } => looks.push(Look { node, ask, capture, tries: 1 }),
                Effect::LookAgain { node, ask } => looks.push(Look { node, ask, capture: false, tries: 1 }),
                Effect::CommitIntent { ticket, record } | Effect::CommitResult { ticket, record } => {
                    let (store, run, sender) = (Arc::clone(&store), run.clone(), sender.clone());
                    tokio::spawn(commit(store, run, engine.now_ms, ticket, record, sender));
                }
                Effect::Act(operation) => act(plan, &mut sessions, &sender, operation, 1).await,
                Effect::AskStatus { node, direction, attempt, op_id } => {
                    let node = (node, direction);
                    ask_status(&mut sessions, &subjects, &sender, node, attempt, op_id).await;
                }
                Effect::AskGate { node, attempt } => {
                    ask_gate(&mut sessions, &subjects, &sender, node, (attempt, 1)).await;
                }
                Effect::WaitUntil { at_ms } => {
                    let wait = clock.until(at_ms);
                    let sender = sender.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(wait).await;
                        drop(sender.send(Heard::Event(Event::Tick)));
                    });
                }
                Effect::Log(notice) => tell(engine, notice),
                Effect::Finish(finished) => {
                    reached(Point::Finished);
                    sessions.shutdown().await;
                    return Ok(finished);
                }
            }
        }
        // Answers that were known at once are taken in the order in which they were asked for.
        pending.reverse();
        let late: Vec<Event> = std::mem::take(&mut pending);
        for event in late.into_iter().rev() {
            drop(sender.send(Heard::Event(event)));
        }
    }
}

/// Waits until the lease cannot be renewed.
async fn ended(ending: &mut watch::Receiver<bool>) {
    if ending.wait_for(|ended| *ended).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Stores a record, and says when that is durable. Where the disk is full it waits for space: nothing new
/// is begun meanwhile, and what is known must not be lost.
async fn commit(
    store: Arc<SqliteJournal>,
    run: RunId,
    now_ms: fn() -> u64,
    ticket: Ticket,
    record: Record,
    sender: mpsc::UnboundedSender<Heard>,
) {
    let points = Around::of(&record);
    points.before();
    let until = Instant::now() + UNSTORED_MAX;
    let mut full = false;
    loop {
        match store.append(&run, now_ms(), vec![record.clone()]).await {
            Ok(appended) => {
                points.after();
                if appended.low_space || full {
                    drop(sender.send(Heard::Event(Event::SpaceLow)));
                }
                drop(sender.send(Heard::Event(Event::Committed(ticket))));
                return;
            }
            Err(StoreError::Full { .. }) if Instant::now() < until => {
                if !full {
                    drop(sender.send(Heard::Event(Event::SpaceLow)));
                }
                full = true;
                tokio::time::sleep(UNSTORED_PAUSE).await;
            }
            Err(error) => {
                drop(sender.send(Heard::Unsaved(Box::new(record))));
                drop(sender.send(Heard::Event(Event::CommitFailed { ticket, message: error.to_string() })));
                return;
            }
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
    let known = plan.targets.get(target).filter(|known| assumptions && known.identity == found);
    if let Some(known) = known {
        let (providers, project) = (sessions.providers(), sessions.project());
        facts::verify(engine, providers, target, &known.assumptions, connection, project).await?;
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
