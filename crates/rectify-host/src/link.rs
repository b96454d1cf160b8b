//! What the tasks of one session share: requests under way, the first fault, signs of life.

use crate::{
    error::{Fault, HostError},
    leftovers::Leftovers,
    limiter::{Limiter, Verdict},
    redactor::Redactor,
    spec::{Notice, Observer},
    stderr::{Tail, excerpt},
};
use rectify_base::SecretName;
use rectify_protocol::{
    frame::RpcError,
    message::{Log, Progress, method},
};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{
    collections::{BTreeMap, BTreeSet},
    process::Child,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};

/// A result, or the refusal of the request as a whole.
pub(crate) type Reply = Result<Box<RawValue>, RpcError>;

/// Shared by the reader, the writer, the supervisor and the callers.
pub(crate) struct Shared {
    pub(crate) name: String,
    epoch: Instant,
    heard_us: AtomicU64,
    pub(crate) greeted: AtomicBool,
    /// The provider closed its output.
    pub(crate) hung_up: AtomicBool,
    state: Mutex<State>,
    /// Something ended the session: a fault, or the end of its output.
    pub(crate) stop: Notify,
    gone: watch::Sender<bool>,
    /// No patience is left for the process to end by itself.
    hurry: watch::Sender<bool>,
    /// The process group, until its leader is collected.
    group: Mutex<Option<Pid>>,
    tail: Mutex<Tail>,
    limiter: Mutex<Limiter>,
    observer: Option<Observer>,
    redactor: Redactor,
    /// Whether the session may change something.
    changes: bool,
}

struct State {
    pending: BTreeMap<u64, Pending>,
    next: u64,
    fault: Option<HostError>,
    closing: bool,
    outgoing: Option<mpsc::UnboundedSender<Vec<u8>>>,
    /// Operations under way, by the request that carries them.
    operations: BTreeMap<u64, String>,
    /// Operations that were answered.
    ended: BTreeSet<String>,
    /// When a request was answered last; questions for a sign of life do not count.
    answered: Instant,
}

struct Pending {
    method: &'static str,
    reply: oneshot::Sender<Reply>,
    /// When there was progress: it was sent, or the provider told of some.
    progress: Instant,
    /// Longest time for it alone.
    longest: Duration,
}

/// How long an answer may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Without any progress.
    pub(crate) budget: Duration,
    /// In all, whatever progress there is.
    pub(crate) longest: Duration,
}

impl Patience {
    /// Progress does not extend it.
    pub(crate) const fn fixed(budget: Duration) -> Self {
        Self { budget, longest: budget }
    }

    /// Progress extends it, up to a maximum.
    pub(crate) fn up_to(budget: Duration, longest: Duration) -> Self {
        Self { budget: budget.min(longest), longest }
    }
}

/// A request that was opened.
pub(crate) struct Ticket {
    pub(crate) id: u64,
    receiver: oneshot::Receiver<Reply>,
    budget: Duration,
    /// The end of patience, whatever happens.
    last: Instant,
}

/// One line from a provider. The parts are not parsed further here.
#[derive(Deserialize)]
struct Incoming<'a> {
    jsonrpc: String,
    #[serde(default)]
    id: Option<u64>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default, borrow)]
    params: Option<&'a RawValue>,
    #[serde(default, borrow)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<RpcError>,
}

fn read(line: &str) -> Result<Incoming<'_>, Fault> {
    serde_json::from_str(line).map_err(|e| {
        if e.is_data() { Fault::AnswerShape(e.to_string()) } else { Fault::Garbage(e.to_string()) }
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(
        name: String,
        group: Option<Pid>,
        outgoing: mpsc::UnboundedSender<Vec<u8>>,
        observer: Option<Observer>,
        redactor: Redactor,
        changes: bool,
    ) -> Self {
        let epoch = Instant::now();
        Self {
            name,
            epoch,
            heard_us: AtomicU64::new(0),
            greeted: AtomicBool::new(false),
            hung_up: AtomicBool::new(false),
            state: Mutex::new(State {
                pending: BTreeMap::new(),
                next: 1,
                fault: None,
                closing: false,
                outgoing: Some(outgoing),
                operations: BTreeMap::new(),
                ended: BTreeSet::new(),
                answered: epoch,
            }),
            stop: Notify::new(),
            gone: watch::Sender::new(false),
            hurry: watch::Sender::new(false),
            group: Mutex::new(group),
            tail: Mutex::new(Tail::default()),
            limiter: Mutex::new(Limiter::new(epoch)),
            observer,
            redactor,
            changes,
        }
    }

    // Time.

    /// Microseconds since the start.
    pub(crate) fn now_us(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    pub(crate) fn hear(&self) {
        self.heard_us.store(self.now_us(), Ordering::Relaxed);
    }

    /// When there was a sign of life, in microseconds since the start.
    pub(crate) fn heard_us(&self) -> u64 {
        self.heard_us.load(Ordering::Relaxed)
    }

    // Standard error and the log.

    pub(crate) fn with_tail<T>(&self, f: impl FnOnce(&mut Tail) -> T) -> T {
        f(&mut lock(&self.tail))
    }

    pub(crate) fn judge(&self, bytes: usize) -> Verdict {
        lock(&self.limiter).judge(bytes, Instant::now())
    }

    // Faults.

    /// An error that does not end the session.
    pub(crate) fn error(&self, place: &str, fault: Fault) -> HostError {
        HostError::new(&self.name, place, fault.clean(|text| self.clean(&text, "answer")))
    }

    /// Records why the session ends, unless that is known already, and has the process ended.
    pub(crate) fn fail(&self, place: Option<&str>, fault: Fault) {
        let mut state = lock(&self.state);
        if state.fault.is_none() {
            let place = place.map_or_else(|| state.place().to_owned(), str::to_owned);
            let mut error = self.error(&place, fault);
            error.stderr = self.said();
            state.fault = Some(error);
        }
        drop(state);
        self.stop.notify_one();
    }

    /// The provider closed its output. Why becomes known when it ends.
    pub(crate) fn hang_up(&self) {
        self.hung_up.store(true, Ordering::Relaxed);
        self.stop.notify_one();
    }

    /// Waits until no process is left, and says why.
    pub(crate) async fn fault(&self) -> HostError {
        self.wait_gone().await;
        let fault = lock(&self.state).fault.clone();
        fault.unwrap_or_else(|| self.error("idle", Fault::SessionOver))
    }

    pub(crate) async fn wait_gone(&self) {
        // The sender is in `self`, so waiting cannot fail.
        let _ = self.gone.subscribe().wait_for(|gone| *gone).await;
    }

    /// Whether the session has ended, or is about to.
    pub(crate) fn is_over(&self) -> bool {
        lock(&self.state).fault.is_some() || self.is_gone()
    }

    pub(crate) fn is_gone(&self) -> bool {
        *self.gone.borrow()
    }

    // The process.

    /// Whatever is being ended is ended at once from now on.
    pub(crate) fn hurry(&self) {
        self.hurry.send_replace(true);
    }

    pub(crate) fn is_hurried(&self) -> bool {
        *self.hurry.borrow()
    }

    pub(crate) async fn hurried(&self) {
        // The sender is in `self`, so waiting cannot fail.
        let _ = self.hurry.subscribe().wait_for(|hurry| *hurry).await;
    }

    /// The operations of which nothing may be left running, and those that are over.
    pub(crate) fn leftovers(&self) -> Leftovers {
        let state = lock(&self.state);
        let operations: BTreeSet<String> = state.operations.values().cloned().collect();
        let spared = state.ended.difference(&operations).cloned().collect();
        Leftovers::new(operations, spared)
    }

    /// What descends from the process now, unless it has been collected.
    pub(crate) fn descendants(&self) -> Leftovers {
        let mut leftovers = self.leftovers();
        // Held, so that the number cannot go to another process meanwhile.
        if let Some(provider) = *lock(&self.group) {
            leftovers.note_descendants(provider);
        }
        leftovers
    }

    /// Sends a signal to the whole group, unless its leader has been collected.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(group) = *lock(&self.group) {
            let _ = kill_process_group(group, signal);
        }
    }

    /// Ends what is left of the group and collects its leader, which has ended. In this order, so
    /// that the number cannot belong to others yet.
    pub(crate) fn collect(&self, child: &mut Child) -> String {
        let mut group = lock(&self.group);
        if let Some(pid) = group.take() {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        child.wait().map_or_else(|e| e.to_string(), |status| status.to_string())
    }

    /// The process is gone: whoever waits for an answer gets the fault, and hears which processes
    /// could not be ended.
    pub(crate) fn finish(&self, status: String, left: Vec<u32>) {
        let mut state = lock(&self.state);
        if state.fault.is_none() {
            let fault = if state.closing { Fault::SessionOver } else { Fault::Exited(status) };
            let place = if self.greeted.load(Ordering::Relaxed) { state.place() } else { method::INITIALIZE };
            let mut error = self.error(place, fault);
            error.stderr = self.said();
            state.fault = Some(error);
        }
        if let Some(error) = &mut state.fault {
            *error.fault = std::mem::replace(&mut *error.fault, Fault::SessionOver).still_runs(left);
        }
        state.pending.clear();
        state.outgoing = None;
        drop(state);
        self.gone.send_replace(true);
    }

    // Requests.

    /// Announces that the session ends in good order.
    pub(crate) fn closing(&self) {
        lock(&self.state).closing = true;
    }

    /// Closes the provider's input after what has been sent.
    pub(crate) fn close_input(&self) {
        lock(&self.state).outgoing = None;
    }

    /// Opens a request, to be sent at once; `None` if the session has a fault.
    pub(crate) fn open(&self, method: &'static str, patience: Patience) -> Option<Ticket> {
        let mut state = lock(&self.state);
        if state.fault.is_some() || *self.gone.borrow() {
            return None;
        }
        let id = state.next;
        state.next += 1;
        let now = Instant::now();
        // A provider may do one after the other, so each one before it may take its time.
        let before: Duration = state.pending.values().map(|p| p.longest).sum();
        let (reply, receiver) = oneshot::channel();
        let longest = patience.longest;
        state.pending.insert(id, Pending { method, reply, progress: now, longest });
        Some(Ticket { id, receiver, budget: patience.budget, last: now + before + longest })
    }

    /// Forgets a request that was not sent after all.
    pub(crate) fn withdraw(&self, id: u64) {
        lock(&self.state).pending.remove(&id);
    }

    /// Hands a line to the writer. What it cannot send is answered by the fault that stopped it.
    pub(crate) fn send(&self, line: Vec<u8>) {
        if let Some(outgoing) = &lock(&self.state).outgoing {
            let _ = outgoing.send(line);
        }
    }

    /// Notes which operation a request carries, until it is answered.
    pub(crate) fn begin_operation(&self, id: u64, op_id: &str) {
        let mut state = lock(&self.state);
        state.ended.remove(op_id);
        state.operations.insert(id, op_id.to_owned());
    }

    /// The request that carries an operation now.
    pub(crate) fn request_of(&self, op_id: &str) -> Option<u64> {
        lock(&self.state).operations.iter().find(|(_, op)| *op == op_id).map(|(id, _)| *id)
    }

    /// Waits for the answer to a request. The time counts from its last progress, or from the last
    /// answer to another request, since a provider may answer one after the other; but not beyond
    /// the longest time for it and for those that were sent before it. That the provider answers
    /// questions for a sign of life says nothing of the request.
    ///
    /// The outer error is the session's: the answer is lost. The inner one is the answer.
    pub(crate) async fn reply(&self, method: &'static str, mut ticket: Ticket) -> Result<Reply, HostError> {
        loop {
            let deadline = self.deadline(&ticket);
            tokio::select! {
                biased;
                reply = &mut ticket.receiver => return match reply {
                    Ok(reply) => Ok(reply),
                    Err(_) => Err(self.fault().await),
                },
                () = sleep_until(deadline) => {
                    if self.deadline(&ticket) <= Instant::now() {
                        self.fail(Some(method), Fault::Deadline { ms: ticket.budget.as_millis() });
                        return Err(self.fault().await);
                    }
                }
            }
        }
    }

    fn deadline(&self, ticket: &Ticket) -> Instant {
        let state = lock(&self.state);
        let progress = state.pending.get(&ticket.id).map_or(state.answered, |p| p.progress);
        (progress.max(state.answered) + ticket.budget).min(ticket.last)
    }

    /// Takes one line from the provider.
    pub(crate) fn dispatch(&self, line: &[u8]) -> Result<(), Fault> {
        let text = std::str::from_utf8(line).map_err(|e| Fault::Garbage(e.to_string()))?;
        let frame = read(text)?;
        // What only looks may be meant for display; whoever asked decides what to do about it.
        let clean = match frame.result {
            Some(_) if !self.changes => None,
            _ => self.redactor.clean_line(text),
        };
        let frame = match &clean {
            None => frame,
            Some((clean, secrets)) => {
                self.leaked(secrets, if frame.method.is_some() { "notification" } else { "answer" });
                read(clean)?
            }
        };
        if frame.jsonrpc != "2.0" {
            return Err(Fault::AnswerShape(format!("`jsonrpc` is `{}`", frame.jsonrpc)));
        }
        match (frame.id, frame.method, frame.error) {
            (Some(_), Some(method), _) => Err(Fault::Request(method)),
            (None, Some(method), _) => self.notification(&method, frame.params),
            (Some(_), None, Some(_)) if frame.result.is_some() => {
                Err(Fault::AnswerShape("it has both a result and an error".into()))
            }
            (Some(id), None, Some(error)) => self.answer(id, Err(error)),
            (Some(id), None, None) => self.answer(id, Ok(frame.result.unwrap_or(RawValue::NULL).to_owned())),
            (None, None, Some(error)) => Err(Fault::Refused(error)),
            (None, None, None) => Err(Fault::AnswerShape("it is neither answer nor notification".into())),
        }
    }

    /// Says that a value was hidden. Once for each place and secret would be enough; each time is simpler,
    /// and bounded by the limit on what a provider may say by itself.
    pub(crate) fn leaked(&self, secrets: &BTreeSet<SecretName>, place: &'static str) {
        if let Verdict::Keep(_) = self.judge(0) {
            for secret in secrets {
                tracing::warn!(provider = %self.name, %secret, place, "a provider wrote the value of a secret; it was hidden");
            }
            if let Some(Observer(hear)) = &self.observer {
                hear(Notice::Leak { secrets: secrets.clone(), place });
            }
        }
    }

    /// The end of standard error, as it may be shown.
    pub(crate) fn said(&self) -> String {
        let text = self.clean(&self.with_tail(|tail| tail.text()), "stderr");
        excerpt(&text).to_owned()
    }

    /// A text of the provider as it may be shown and kept.
    pub(crate) fn clean(&self, text: &str, place: &'static str) -> String {
        let (clean, secrets) = self.redactor.clean(text);
        if !secrets.is_empty() {
            self.leaked(&secrets, place);
        }
        clean
    }

    fn answer(&self, id: u64, reply: Reply) -> Result<(), Fault> {
        let mut state = lock(&self.state);
        match state.pending.remove(&id) {
            Some(pending) => {
                if let Some(op_id) = state.operations.remove(&id) {
                    state.ended.insert(op_id);
                }
                if pending.method != method::PING {
                    state.answered = Instant::now();
                }
                drop(state);
                // Whoever asked may have lost interest.
                let _ = pending.reply.send(reply);
                Ok(())
            }
            None if id >= state.next => Err(Fault::AnswerUnknown(id)),
            None => Err(Fault::AnswerTwice(id)),
        }
    }

    fn notification(&self, name: &str, params: Option<&RawValue>) -> Result<(), Fault> {
        let body = params.map_or("null", RawValue::get);
        let shape = |e: serde_json::Error| Fault::AnswerShape(format!("{name}: {e}"));
        let notice = match name {
            method::PROGRESS => {
                let Progress { id, message } = serde_json::from_str(body).map_err(shape)?;
                let mut state = lock(&self.state);
                if let Some(pending) = state.pending.get_mut(&id) {
                    pending.progress = Instant::now();
                }
                let op_id = state.operations.get(&id).cloned();
                drop(state);
                Notice::Progress { op_id, message }
            }
            method::LOG => {
                let Log { level, message } = serde_json::from_str(body).map_err(shape)?;
                Notice::Log { level, message }
            }
            // A later minor version may have more.
            _ => return Ok(()),
        };
        let (level, message) = match &notice {
            Notice::Progress { message, .. } => ("progress", message),
            Notice::Log { level, message } => (level.as_str(), message),
            // Made here, never read from a line.
            Notice::Leak { .. } => return Ok(()),
        };
        if let Verdict::Keep(dropped) = self.judge(message.len()) {
            tracing::debug!(provider = %self.name, dropped, level, message = %message.escape_debug());
            if let Some(Observer(hear)) = &self.observer {
                hear(notice);
            }
        }
        Ok(())
    }
}

impl State {
    /// The oldest request under way, other than our own questions for a sign of life.
    fn place(&self) -> &'static str {
        self.pending.values().map(|p| p.method).find(|m| *m != method::PING).unwrap_or("idle")
    }
}
