//! One session over two streams: a reader that is always ready, a writer, and a few workers.

use crate::{
    Context, Provider,
    context::BeforeImages,
    files::Seen,
    ledger::Ledger,
    output::Notifier,
    queue::{Job, Queue, Refused},
    session::{End, Settings, common_version},
    work::{Work, failure_line},
};
use rectify_base::{Digest, canonical, limits::FRAME_MAX_BYTES};
use rectify_protocol::{
    Frame, FrameError, Manifest,
    error::rpc,
    frame::{RpcError, read_line},
    message::{Cancel, Initialize, Initialized, OpStatusQuery, Pong, method},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use std::{
    io::{self, BufReader, Read, Write},
    sync::{Arc, Condvar, Mutex, PoisonError, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

/// Requests that are worked on at once.
const WORKERS: usize = 16;
/// How long work may take to end once the engine is gone.
const WORK_GRACE: Duration = Duration::from_secs(9);
/// How long the last answers may take to leave.
const WRITE_GRACE: Duration = Duration::from_millis(500);

/// Serves one session: everything that [`serve`](crate::serve) does with standard input and
/// output. Returns within ten seconds of the end of `reader`, even if work is stuck; stuck threads
/// end with the process.
///
/// # Errors
/// When the provider's manifest has no canonical form.
pub fn serve_streams(
    provider: impl Provider,
    reader: impl Read + Send + 'static,
    writer: impl Write + Send + 'static,
) -> io::Result<End> {
    let manifest = provider.manifest();
    let digest = manifest.digest().map_err(io::Error::other)?;
    let ended = Arc::new(Ended::default());
    let broken = Arc::clone(&ended);
    let (notifier, writing) = Notifier::start(writer, move || broken.set(End::Broken));
    let queue = Arc::new(Queue::default());
    let provider = Arc::new(provider);
    for _ in 0..WORKERS {
        let (provider, queue, notifier) = (Arc::clone(&provider), Arc::clone(&queue), notifier.clone());
        thread::spawn(move || work(&*provider, &queue, &notifier));
    }
    let input = Input {
        manifest: Arc::new(manifest),
        digest,
        queue: Arc::clone(&queue),
        notifier: notifier.clone(),
        phase: Phase::Fresh,
        shutdown: false,
    };
    let reading = Arc::clone(&ended);
    thread::spawn(move || reading.set(input.run(reader)));

    let end = ended.wait();
    for job in queue.close() {
        notifier.line(failure_line(Some(job.id), cancelled()));
    }
    queue.wait_idle(WORK_GRACE);
    drop(notifier);
    let deadline = Instant::now() + WRITE_GRACE;
    while !writing.is_finished() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
    Ok(end)
}

/// Set once, by whoever notices first that the session is over.
#[derive(Default)]
struct Ended {
    end: Mutex<Option<End>>,
    changed: Condvar,
}

impl Ended {
    fn set(&self, end: End) {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(end);
        self.changed.notify_all();
    }

    fn wait(&self) -> End {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(end) = *end {
                return end;
            }
            end = self.changed.wait(end).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn work(provider: &impl Provider, queue: &Queue, notifier: &Notifier) {
    while let Some(Job { id, work, settings, stop, .. }) = queue.next() {
        let operation = work.operation().map(str::to_owned);
        let deadline = Instant::now() + work.limit(&settings.manifest);
        let before_images = BeforeImages::default();
        let cx = Context {
            settings,
            notifier: notifier.clone(),
            request: id,
            operation,
            stop,
            before_images,
            deadline,
            seen: Seen::default(),
            touched: AtomicBool::new(false),
        };
        notifier.answer(work.run(provider, &cx));
        queue.done(id);
    }
}

enum Phase {
    /// Nothing was said.
    Fresh,
    /// `initialize` was answered.
    Greeted(Arc<Settings>),
    /// `configure` was answered too.
    Ready(Arc<Settings>),
}

/// The reader's side of a session.
struct Input {
    manifest: Arc<Manifest>,
    digest: Digest,
    queue: Arc<Queue>,
    notifier: Notifier,
    phase: Phase,
    shutdown: bool,
}

/// What a line asks for.
struct Request {
    id: Option<u64>,
    method: String,
    params: Value,
}

type Answer = Result<Option<Value>, RpcError>;

impl Input {
    fn run(mut self, reader: impl Read) -> End {
        let mut reader = BufReader::with_capacity(64 * 1024, reader);
        let mut line = Vec::new();
        loop {
            let limit = match &self.phase {
                Phase::Fresh => FRAME_MAX_BYTES,
                Phase::Greeted(settings) | Phase::Ready(settings) => settings.frame_max_bytes,
            };
            match read_line(&mut reader, &mut line, limit) {
                Ok(true) => {
                    if let Some(end) = self.line(&line) {
                        return end;
                    }
                }
                Err(FrameError::TooLarge { limit }) => {
                    let message = format!("a frame is at most {limit} bytes long");
                    self.fail(None, failure(rpc::TOO_LARGE, message));
                }
                Ok(false) | Err(_) => return if self.shutdown { End::Shutdown } else { End::Eof },
            }
            // One long line must not occupy its memory for ever.
            line.shrink_to(64 * 1024);
        }
    }

    /// Handles one line. Returns something if the session ends here.
    fn line(&mut self, line: &[u8]) -> Option<End> {
        let request = match parse(line) {
            Ok(request) => request,
            Err(error) => {
                self.fail(None, error);
                return None;
            }
        };
        let Some(id) = request.id else {
            self.notification(request);
            return None;
        };
        match self.request(id, request.method, request.params, line.len()) {
            Ok(Some(result)) => self.answer(id, &result),
            Ok(None) => {}
            Err(error) => {
                let end = (error.code == rpc::VERSION).then_some(End::Version);
                self.fail(Some(id), error);
                return end;
            }
        }
        None
    }

    /// An unknown notification is ignored, and so is the cancellation of what was answered already.
    fn notification(&self, request: Request) {
        if request.method == method::CANCEL
            && let Ok(Cancel { id }) = serde_json::from_value(request.params)
            && let Some(job) = self.queue.cancel(id)
        {
            self.fail(Some(job.id), cancelled());
        }
    }

    /// Answers a request here, or hands it to the workers (`None`).
    fn request(&mut self, id: u64, name: String, params: Value, bytes: usize) -> Answer {
        if name == method::INITIALIZE {
            return self.initialize(params).map(Some);
        }
        if name == method::PING {
            let in_flight = u32::try_from(self.queue.in_flight()).unwrap_or(u32::MAX);
            return value(&Pong { in_flight }).map(Some);
        }
        let (settings, configured) = match &self.phase {
            Phase::Fresh => {
                let message = format!("`{name}` before `{}`", method::INITIALIZE);
                return Err(failure(rpc::NOT_INITIALIZED, message));
            }
            Phase::Greeted(settings) => (Arc::clone(settings), false),
            Phase::Ready(settings) => (Arc::clone(settings), true),
        };
        if self.shutdown {
            return Err(failure(rpc::INVALID_REQUEST, "the session was shut down".into()));
        }
        match name.as_str() {
            method::CONFIGURE if configured => {
                return Err(failure(rpc::INVALID_REQUEST, "the session is configured already".into()));
            }
            method::CONFIGURE => {
                let settings = settings.configure(read(params)?).map_err(invalid_params)?;
                self.phase = Phase::Ready(Arc::new(settings));
                return Ok(Some(json!({})));
            }
            method::SCHEMA_GET => return value(&*self.manifest).map(Some),
            method::SHUTDOWN => {
                self.shutdown = true;
                return Ok(Some(json!({})));
            }
            method::OP_STATUS => {
                // Answered here, so that it does not wait behind long actions.
                let OpStatusQuery { op_id } = read(params)?;
                let status = Ledger::open(&settings.dirs.state).and_then(|l| l.status(&op_id));
                return value(&status.map_err(|e| failure(rpc::INVALID_REQUEST, e.message))?).map(Some);
            }
            _ => {}
        }
        let work = Work::decode(&name, params)
            .ok_or_else(|| failure(rpc::METHOD_NOT_FOUND, format!("there is no method `{name}`")))?
            .map_err(|e| invalid_params(e.to_string()))?;
        if !configured && !matches!(work, Work::BlobPut(_) | Work::BlobGet(_)) {
            let message = format!("`{name}` before `{}`", method::CONFIGURE);
            return Err(failure(rpc::NOT_INITIALIZED, message));
        }
        let job = Job { id, bytes, work, settings, stop: Arc::default() };
        match self.queue.push(job) {
            Ok(()) => Ok(None),
            Err(Refused::Overloaded) => Err(failure(rpc::OVERLOADED, "too many requests are waiting".into())),
            Err(Refused::DuplicateId) => {
                // The request under way has the right to the one answer with this id.
                let message = format!("request {id} is under way already");
                self.fail(None, failure(rpc::INVALID_REQUEST, message));
                Ok(None)
            }
        }
    }

    fn initialize(&mut self, params: Value) -> Result<Value, RpcError> {
        if !matches!(self.phase, Phase::Fresh) {
            return Err(failure(rpc::INVALID_REQUEST, "the session is initialized already".into()));
        }
        let greeting: Initialize = read(params)?;
        let provider = self.manifest.protocol;
        let Some(protocol) = common_version(greeting.protocol, provider) else {
            let message = format!(
                "no common protocol version: the engine speaks {} to {}, the provider {} to {}",
                greeting.protocol.min, greeting.protocol.max, provider.min, provider.max
            );
            let data = json!({"engine": greeting.protocol, "provider": provider});
            return Err(RpcError { code: rpc::VERSION, message, data: Some(data) });
        };
        let settings = Settings::begin(Arc::clone(&self.manifest), &greeting).map_err(invalid_params)?;
        self.phase = Phase::Greeted(Arc::new(settings));
        value(&Initialized {
            protocol,
            session: greeting.session,
            name: self.manifest.name.clone(),
            version: self.manifest.version.clone(),
            manifest: self.digest,
        })
    }

    fn answer(&self, id: u64, result: &Value) {
        match Frame::response(id, result).and_then(|frame| frame.to_line()) {
            Ok(line) => self.notifier.line(line),
            Err(e) => self.fail(Some(id), failure(rpc::INTERNAL, e.to_string())),
        }
    }

    fn fail(&self, id: Option<u64>, error: RpcError) {
        self.notifier.line(failure_line(id, error));
    }
}

/// Reads a line under the strict rules: no duplicate keys, no floats, no integers that other
/// readers would round, bounded depth.
fn parse(line: &[u8]) -> Result<Request, RpcError> {
    let value = canonical::parse_strict(line).map_err(|e| failure(rpc::PARSE, e.to_string()))?;
    let invalid = |message: &str| failure(rpc::INVALID_REQUEST, message.into());
    let Value::Object(mut map) = value else { return Err(invalid("a message is an object")) };
    let take = |map: &mut Map<String, Value>, key: &str| map.remove(key).unwrap_or(Value::Null);
    if take(&mut map, "jsonrpc") != "2.0" {
        return Err(invalid("`jsonrpc` is not \"2.0\""));
    }
    let id = match take(&mut map, "id") {
        Value::Null => None,
        id => Some(id.as_u64().ok_or_else(|| invalid("an id is a number that is not negative"))?),
    };
    let Value::String(method) = take(&mut map, "method") else {
        return Err(invalid("a message of the engine has a method"));
    };
    Ok(Request { id, method, params: take(&mut map, "params") })
}

fn failure(code: i64, message: String) -> RpcError {
    RpcError { code, message, data: None }
}

fn cancelled() -> RpcError {
    failure(rpc::CANCELLED, "cancelled before it began; nothing was done".into())
}

fn invalid_params(message: String) -> RpcError {
    failure(rpc::INVALID_PARAMS, message)
}

fn read<T: DeserializeOwned>(params: Value) -> Result<T, RpcError> {
    serde_json::from_value(params).map_err(|e| invalid_params(e.to_string()))
}

fn value<T: Serialize>(result: &T) -> Result<Value, RpcError> {
    serde_json::to_value(result).map_err(|e| failure(rpc::INTERNAL, e.to_string()))
}
