//! One provider process and the conversation with it.

use crate::{
    batch,
    confine::Confinement,
    error::{Fault, HostError},
    handshake::Handshake,
    launch,
    leftovers::Leftovers,
    link::{Patience, Shared, Ticket},
    process,
    review::Review,
    spec::{SessionSpec, Timings},
    strict,
    tasks::{self, Greeted},
};
use rectify_base::{TypeName, limits::FRAME_MAX_BYTES};
use rectify_protocol::{
    ErrorCode, Frame, ItemError, Manifest, Mutated,
    error::rpc,
    message::{
        Applied, Apply, BatchResult, Cancel, Configure, DesiredItem, ItemResult, Mode, OpStatus,
        OpStatusQuery, PlanAnswer, PlanItem, ReadAnswer, ReadItem, SecretValue, method,
    },
};
use rustix::process::Signal;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, value::RawValue};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::AsyncRead,
    time::{sleep, timeout},
};

/// A provider process that has greeted and is configured. Dropping it kills its process group, and
/// what runs of operations that were not answered; [`Session::kill`] does so without blocking.
///
/// When an operation is reported as lost, nothing of it runs any more, but for what
/// [`HostError::still_running`] names: a provider marks what it runs for an operation
/// ([`OPERATION_VARIABLE`](rectify_protocol::OPERATION_VARIABLE)), and by that it is found.
///
/// All methods take `&self`: requests of several callers share the pipe.
#[derive(Debug)]
pub struct Session {
    shared: Arc<Shared>,
    manifest: Manifest,
    mode: Mode,
    timings: Timings,
    confinement: Confinement,
}

/// What is left of a session that ended in good order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The end of what the provider wrote to standard error, at most 64 KiB.
    pub stderr: String,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("name", &self.name).finish_non_exhaustive()
    }
}

type Answers<T> = Vec<Result<T, ItemError>>;

impl Session {
    /// Starts the provider, confines it if asked to, greets and configures it. Must be called in a
    /// tokio runtime with time and I/O.
    ///
    /// # Errors
    /// [`HostError`] with the place `launch`, `initialize` or `configure`; no process is left then.
    pub async fn start(spec: SessionSpec) -> Result<Self, HostError> {
        let name = spec.manifest.name.clone();
        let error = |fault| HostError::new(&name, "launch", fault);
        launch::check_directories(&spec).map_err(error)?;
        let configure = configuration(&spec).map_err(error)?;
        let handshake = Handshake::new(&spec, number().map_err(error)?, number().map_err(error)?);
        let handshake = handshake.map_err(error)?;
        let (shared, greeted) = tasks::run(&spec, handshake).map_err(error)?;
        Self::greeted(spec, configure, shared, greeted).await
    }

    /// A session with somebody who is no process: its whole output is `said`.
    pub(crate) async fn listen(
        spec: SessionSpec,
        [launch, nonce]: [&str; 2],
        said: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<Self, HostError> {
        let error = |fault| HostError::new(&spec.manifest.name, "launch", fault);
        let configure = configuration(&spec).map_err(error)?;
        let handshake = Handshake::new(&spec, launch.into(), nonce.into()).map_err(error)?;
        let (shared, greeted) = tasks::listen(&spec, handshake, said);
        Self::greeted(spec, configure, shared, greeted).await
    }

    async fn greeted(
        spec: SessionSpec,
        configure: Configure,
        shared: Arc<Shared>,
        greeted: Greeted,
    ) -> Result<Self, HostError> {
        // From here on the guard ends the process whatever happens.
        let mut session = Self {
            shared,
            manifest: spec.manifest,
            mode: spec.mode,
            timings: spec.timings,
            confinement: Confinement::none(),
        };
        let limit = spec.timings.handshake;
        match timeout(limit, greeted).await {
            Ok(Ok(confinement)) => session.confinement = confinement,
            // The reading task found a fault, or the end.
            Ok(Err(_)) => return Err(session.shared.fault().await),
            Err(_) => {
                let fault = Fault::HandshakeTimeout { ms: limit.as_millis() };
                session.shared.fail(Some(method::INITIALIZE), fault);
                return Err(session.shared.fault().await);
            }
        }
        match session.call(method::CONFIGURE, &configure, limit).await {
            Ok(_) => Ok(session),
            Err(error) => {
                session.shared.fail(Some(method::CONFIGURE), (*error.fault).clone());
                Err(session.shared.fault().await)
            }
        }
    }

    /// What was achieved of the confinement.
    #[must_use]
    pub fn confinement(&self) -> &Confinement {
        &self.confinement
    }

    /// What the session may do.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Checks properties beyond their schema.
    ///
    /// # Errors
    /// [`HostError`]; failures of single items are in the list.
    pub async fn validate(&self, items: Vec<DesiredItem>) -> Result<Answers<()>, HostError> {
        self.batch(method::VALIDATE, &items, |item| &item.type_name).await
    }

    /// The canonical form of properties.
    ///
    /// # Errors
    /// [`HostError`]; failures of single items are in the list.
    pub async fn normalize(&self, items: Vec<DesiredItem>) -> Result<Answers<Map<String, Value>>, HostError> {
        self.batch(method::NORMALIZE, &items, |item| &item.type_name).await
    }

    /// The states now, in the order of the items.
    ///
    /// # Errors
    /// [`HostError`]; failures of single items are in the list.
    pub async fn read(&self, items: Vec<ReadItem>) -> Result<Answers<ReadAnswer>, HostError> {
        if self.mode != Mode::Apply && items.iter().any(|item| item.capture) {
            return Err(self.forbidden("capture of a before-image"));
        }
        self.batch(method::READ, &items, |item| &item.type_name).await
    }

    /// What would change, in the order of the items.
    ///
    /// # Errors
    /// [`HostError`]; failures of single items are in the list.
    pub async fn plan(&self, items: Vec<PlanItem>) -> Result<Answers<PlanAnswer>, HostError> {
        if self.mode == Mode::Read {
            return Err(self.forbidden(method::PLAN));
        }
        self.batch(method::PLAN, &items, |item| &item.type_name).await
    }

    /// Makes one planned change. At the operation's deadline it is cancelled; a little later the
    /// provider is given up.
    ///
    /// # Errors
    /// Three kinds, told apart by [`HostError::effect`]:
    /// - [`Effect::Unknown`](crate::Effect::Unknown), always a [`Fault::UnknownOutcome`]: the answer
    ///   was lost after the request may have been sent, or says nothing of the effect. The cause in
    ///   it may be a refusal too, with a number that does not promise that nothing was done.
    /// - [`Effect::Nothing`](crate::Effect::Nothing) with [`Fault::Refused`]: the provider refused
    ///   the request as a whole and promises that nothing was done; the session goes on.
    /// - [`Effect::Nothing`](crate::Effect::Nothing) with anything else: it was not sent.
    ///
    /// The inner error is the provider's own; its `mutated` says what is known.
    pub async fn apply(&self, op: Apply) -> Result<Result<Applied, ItemError>, HostError> {
        if self.mode != Mode::Apply {
            return Err(self.forbidden(method::APPLY));
        }
        let Some(descriptor) = self.manifest.descriptor(&op.type_name) else {
            return Err(self.unknown_type(method::APPLY, &op.type_name));
        };
        let deadline = Duration::from_millis(op.deadline_ms);
        let patience = Patience::fixed(deadline + self.timings.apply_grace);
        let Some(ticket) = self.shared.open(method::APPLY, patience) else {
            return Err(self.over(method::APPLY).await);
        };
        let id = ticket.id;
        let line = match self.line(id, method::APPLY, &op) {
            Ok(line) => line,
            Err(error) => {
                self.shared.withdraw(id);
                return Err(error);
            }
        };
        self.shared.begin_operation(id, &op.op_id);
        self.shared.send(line);
        let answer = self.shared.reply(method::APPLY, ticket);
        tokio::pin!(answer);
        let reply = tokio::select! {
            biased;
            reply = &mut answer => reply,
            () = sleep(deadline) => {
                self.send_cancel(id);
                answer.await
            }
        };
        let unknown = |cause: HostError| HostError {
            fault: Box::new(Fault::UnknownOutcome { op_id: op.op_id.clone(), cause: cause.fault }),
            place: method::APPLY.into(),
            ..cause
        };
        // An answer that does not say how it ended does not say that nothing of it runs either.
        let ended = async |mut cause: HostError| {
            let left = self.end_operation(&op.op_id).await;
            *cause.fault = std::mem::replace(&mut *cause.fault, Fault::SessionOver).still_runs(left);
            unknown(cause)
        };
        let result = match reply {
            Ok(Ok(body)) => decode::<ItemResult<Applied>>(&body).and_then(|result| {
                if let ItemResult::Ok(applied) = &result {
                    applied.review(descriptor)?;
                }
                Ok(result.into_result())
            }),
            Ok(Err(refusal)) => {
                let nothing = rpc::nothing_was_done(refusal.code);
                let error = self.shared.error(method::APPLY, Fault::Refused(refusal));
                return Err(if nothing { error } else { ended(error).await });
            }
            Err(error) => return Err(unknown(error)),
        };
        match result {
            Ok(Err(error)) if broken_off(&error) => {
                self.end_operation(&op.op_id).await;
                Ok(Err(error))
            }
            Ok(result) => Ok(result),
            Err(fault) => {
                self.shared.fail(Some(method::APPLY), fault);
                Err(ended(self.shared.fault().await).await)
            }
        }
    }

    /// What the provider's ledger knows of an operation.
    ///
    /// # Errors
    /// [`HostError`].
    pub async fn op_status(&self, op_id: &str) -> Result<OpStatus, HostError> {
        let query = OpStatusQuery { op_id: op_id.into() };
        let body = self.call(method::OP_STATUS, &query, self.timings.handshake).await?;
        match decode(&body) {
            Ok(status) => Ok(status),
            Err(fault) => Err(self.fatal(method::OP_STATUS, fault).await),
        }
    }

    /// Asks the provider to stop an operation that is under way. It is answered all the same.
    /// Returns whether there was one.
    pub fn cancel(&self, op_id: &str) -> bool {
        let request = self.shared.request_of(op_id);
        if let Some(id) = request {
            self.send_cancel(id);
        }
        request.is_some()
    }

    /// Ends the session: asks, closes the provider's input, waits; after the time limit, kills.
    ///
    /// # Errors
    /// The fault that had ended it already, or [`Fault::Deadline`] if it had to be killed.
    pub async fn shutdown(&self) -> Result<Ended, HostError> {
        self.shared.closing();
        let limit = self.timings.exit;
        let asked = self.call(method::SHUTDOWN, &serde_json::json!({}), limit).await;
        self.shared.close_input();
        if asked.is_ok() && timeout(limit, self.shared.wait_gone()).await.is_err() {
            self.shared.fail(Some(method::SHUTDOWN), Fault::Deadline { ms: limit.as_millis() });
        }
        let error = self.shared.fault().await;
        match *error.fault {
            Fault::SessionOver => Ok(Ended { stderr: self.stderr() }),
            _ => Err(error),
        }
    }

    /// Ends the session at once, whatever is under way, and waits until no process of it is left:
    /// the provider's process group, and the commands of operations that were not answered. Those
    /// requests fail with [`Fault::Killed`]; an operation among them has an unknown outcome. May be
    /// called while others use the session, and more than once.
    pub async fn kill(&self) {
        self.shared.hurry();
        self.shared.fail(None, Fault::Killed);
        self.shared.wait_gone().await;
    }

    /// Whether the session has ended or is being ended: any new request fails.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.shared.is_over()
    }

    /// Ends every process on this machine that carries the mark of an operation, politely first, and
    /// returns those that could not be ended. For an operation of which nobody knows how it ended,
    /// such as one that was under way when the engine itself died; never for one that succeeded,
    /// which may have started something on purpose.
    pub async fn end_operation(&self, op_id: &str) -> Vec<u32> {
        let operations = [op_id.to_owned()].into_iter().filter(|id| !id.is_empty()).collect();
        process::sweep(&self.shared, Leftovers::new(operations, BTreeSet::new()), self.timings.kill).await
    }

    /// The end of what the provider wrote to standard error so far, at most 64 KiB.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.shared.clean(&self.shared.with_tail(|tail| tail.text()), "stderr")
    }

    // Requests.

    /// One request, one answer.
    pub(crate) async fn call<T: Serialize>(
        &self,
        method: &'static str,
        params: &T,
        budget: Duration,
    ) -> Result<Box<RawValue>, HostError> {
        let Some(ticket) = self.shared.open(method, Patience::fixed(budget)) else {
            return Err(self.over(method).await);
        };
        match self.line(ticket.id, method, params) {
            Ok(line) => self.shared.send(line),
            Err(error) => {
                self.shared.withdraw(ticket.id);
                return Err(error);
            }
        }
        self.answer(method, ticket).await
    }

    /// Waits for the answer to a request that only looks.
    async fn answer(&self, method: &'static str, ticket: Ticket) -> Result<Box<RawValue>, HostError> {
        let reply = self.shared.reply(method, ticket).await?;
        reply.map_err(|refusal| self.shared.error(method, Fault::Refused(refusal)))
    }

    fn line<T: Serialize>(&self, id: u64, method: &'static str, params: &T) -> Result<Vec<u8>, HostError> {
        let line = Frame::request(id, method, params).and_then(|frame| frame.to_line()).map_err(|e| {
            let fault = Fault::System { what: "a request cannot be written as JSON", reason: e.to_string() };
            self.shared.error(method, fault)
        })?;
        if line.len() > FRAME_MAX_BYTES {
            let fault = Fault::ItemTooLarge { index: 0, size: line.len(), limit: FRAME_MAX_BYTES };
            return Err(self.shared.error(method, fault));
        }
        Ok(line)
    }

    /// Many items in few requests, some of them under way at once.
    async fn batch<I: Serialize, T: DeserializeOwned + Review>(
        &self,
        method: &'static str,
        items: &[I],
        type_of: impl Fn(&I) -> &TypeName,
    ) -> Result<Answers<T>, HostError> {
        let mut descriptors = Vec::with_capacity(items.len());
        for item in items {
            let name = type_of(item);
            match self.manifest.descriptor(name) {
                Some(descriptor) => descriptors.push(descriptor),
                None => return Err(self.unknown_type(method, name)),
            }
        }
        let mut answers = Vec::with_capacity(items.len());
        let mut window = VecDeque::with_capacity(batch::WINDOW);
        let mut first = 0;
        while first < items.len() || !window.is_empty() {
            while first < items.len() && window.len() < batch::WINDOW {
                let (body, count) =
                    batch::cut(items, first).map_err(|fault| self.shared.error(method, fault))?;
                let asked = descriptors.get(first..first + count).unwrap_or_default();
                let budget = asked.iter().map(|d| Duration::from_millis(d.read_timeout_ms)).sum();
                let patience = Patience::up_to(budget, self.timings.batch_max);
                let Some(ticket) = self.shared.open(method, patience) else {
                    return Err(self.over(method).await);
                };
                self.shared.send(batch::line(ticket.id, method, &body));
                window.push_back((asked, ticket));
                first += count;
            }
            let Some((asked, ticket)) = window.pop_front() else { break };
            let count = asked.len();
            let body = self.answer(method, ticket).await?;
            let results: BatchResult<T> = match decode(&body) {
                Ok(results) => results,
                Err(fault) => return Err(self.fatal(method, fault).await),
            };
            if results.items.len() != count {
                let fault = Fault::AnswerCount { expected: count, found: results.items.len() };
                return Err(self.fatal(method, fault).await);
            }
            for (descriptor, result) in asked.iter().zip(results.items) {
                let review = match &result {
                    ItemResult::Ok(answer) => answer.review(descriptor),
                    ItemResult::Error(error) => harmless(error),
                };
                if let Err(fault) = review {
                    return Err(self.fatal(method, fault).await);
                }
                answers.push(result.into_result());
            }
        }
        Ok(answers)
    }

    fn send_cancel(&self, id: u64) {
        if let Ok(line) = Frame::notification(method::CANCEL, &Cancel { id }).and_then(|f| f.to_line()) {
            self.shared.send(line);
        }
    }

    // Errors.

    /// The provider broke the protocol: the session ends.
    pub(crate) async fn fatal(&self, method: &'static str, fault: Fault) -> HostError {
        self.shared.fail(Some(method), fault);
        self.shared.fault().await
    }

    /// An error that does not end the session.
    pub(crate) fn error(&self, method: &'static str, fault: Fault) -> HostError {
        self.shared.error(method, fault)
    }

    /// The session had ended before the request: nothing was sent.
    async fn over(&self, method: &'static str) -> HostError {
        let first = self.shared.fault().await;
        match *first.fault {
            Fault::SessionOver | Fault::Killed => self.shared.error(method, *first.fault),
            _ => first,
        }
    }

    pub(crate) fn forbidden(&self, method: &'static str) -> HostError {
        let mode = match self.mode {
            Mode::Read => "read",
            Mode::Plan => "plan",
            Mode::Apply => "apply",
        };
        self.shared.error(method, Fault::Mode { method, mode })
    }

    fn unknown_type(&self, method: &'static str, name: &TypeName) -> HostError {
        self.shared.error(method, Fault::UnknownType(name.to_string()))
    }
}

impl Drop for Session {
    /// The supervising task does the same, but the runtime may end before it comes to that.
    fn drop(&mut self) {
        self.shared.hurry();
        self.shared.fail(None, Fault::SessionOver);
        if !self.shared.is_gone() {
            let mut leftovers = self.shared.descendants();
            self.shared.signal(Signal::KILL);
            if !leftovers.is_empty() {
                leftovers.end(Duration::ZERO, || true);
            }
        }
    }
}

/// Whether an operation that failed was ended before its time, or nobody knows how it ended.
fn broken_off(error: &ItemError) -> bool {
    let ended = matches!(error.code, ErrorCode::Timeout | ErrorCode::Cancelled | ErrorCode::UnknownOutcome);
    ended && error.mutated != Mutated::No
}

/// Reads an answer under the rules for what a provider sends.
pub(crate) fn decode<T: DeserializeOwned>(body: &RawValue) -> Result<T, Fault> {
    let shape = |e: serde_json::Error| Fault::AnswerShape(e.to_string());
    strict::check(body.get()).map_err(shape)?;
    serde_json::from_str(body.get()).map_err(shape)
}

/// A request that only looks cannot have changed anything.
fn harmless(error: &ItemError) -> Result<(), Fault> {
    match error.mutated {
        Mutated::No => Ok(()),
        Mutated::Maybe | Mutated::Yes => {
            Err(Fault::AnswerShape("an item that only looks says that it changed something".into()))
        }
    }
}

fn configuration(spec: &SessionSpec) -> Result<Configure, Fault> {
    let root = spec.root.as_deref().map(|root| {
        root.to_str().map(str::to_owned).ok_or_else(|| Fault::Directories {
            path: root.display().to_string(),
            reason: "it is not UTF-8".into(),
        })
    });
    let plan_commands = if spec.mode == Mode::Plan { spec.plan_commands.clone() } else { Vec::new() };
    let secrets = spec.secrets.iter().map(|(name, value)| (name.clone(), SecretValue(value.clone())));
    Ok(Configure {
        root: root.transpose()?,
        plan_commands,
        digest_key: spec.digest_key.clone(),
        secrets: secrets.collect(),
    })
}

/// 128 random bits in hexadecimal.
pub(crate) fn number() -> Result<String, Fault> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|e| Fault::System { what: "no random number", reason: e.to_string() })?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
