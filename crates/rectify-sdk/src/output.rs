//! The way out. Whoever has an answer writes it, if nothing else is on its way; all else goes through
//! one thread. Frames never mix, and one thread's leave in the order in which it made them.

use rectify_protocol::{Frame, message::Log, message::method};
use serde::Serialize;
use std::{
    io::{BufWriter, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Frames that may wait for a slow reader before whoever makes more of them has to wait.
const WAITING_FRAMES_MAX: usize = 256;
/// Log records per second; more are counted, not sent.
const LOG_RECORDS_PER_SECOND: u32 = 1_000;
/// Bytes of log records per second.
const LOG_BYTES_PER_SECOND: usize = 1024 * 1024;

/// Sends frames to the engine.
#[derive(Clone)]
pub(crate) struct Notifier {
    lines: SyncSender<Vec<u8>>,
    stream: Arc<Stream>,
    flood: Arc<Mutex<Flood>>,
}

/// The stream itself.
struct Stream {
    writer: Mutex<Box<dyn Write + Send>>,
    /// Lines that were given to the thread and are not written yet; the first one is its own.
    waiting: AtomicUsize,
    broken: AtomicBool,
    on_failure: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Stream {
    /// Nobody reads any more.
    fn fail(&self) {
        self.broken.store(true, Ordering::Relaxed);
        let on_failure = self.on_failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(on_failure) = on_failure {
            on_failure();
        }
    }
}

/// What was logged in the second that began at `since`.
struct Flood {
    since: Instant,
    records: u32,
    bytes: usize,
    dropped: u64,
}

impl Notifier {
    /// Starts the writing thread. `on_failure` is called once if the stream breaks.
    pub(crate) fn start(
        writer: impl Write + Send + 'static,
        on_failure: impl FnOnce() + Send + 'static,
    ) -> (Self, JoinHandle<()>) {
        let (lines, receiver) = sync_channel(WAITING_FRAMES_MAX);
        let stream = Arc::new(Stream {
            writer: Mutex::new(Box::new(writer)),
            waiting: AtomicUsize::new(1),
            broken: AtomicBool::new(false),
            on_failure: Mutex::new(Some(Box::new(on_failure))),
        });
        let own = Arc::clone(&stream);
        let thread = std::thread::spawn(move || {
            if write_all(&own, &receiver).is_err() {
                own.fail();
                // Go on receiving, so that nobody waits for a stream that is gone.
                while receiver.recv().is_ok() {}
            }
        });
        let flood = Flood { since: Instant::now(), records: 0, bytes: 0, dropped: 0 };
        (Self { lines, stream, flood: Arc::new(Mutex::new(flood)) }, thread)
    }

    /// Sends a line as it is. It waits for nobody who is slow to read, unless very much waits already.
    pub(crate) fn line(&self, line: Vec<u8>) {
        if !self.stream.broken.load(Ordering::Relaxed) {
            self.stream.waiting.fetch_add(1, Ordering::AcqRel);
            // The writing thread receives as long as a sender lives, so this cannot fail.
            let _ = self.lines.send(line);
        }
    }

    /// Sends the answer to a request, from the thread that worked on it and may well wait until it is
    /// read: without another thread in between if nothing is on its way.
    pub(crate) fn answer(&self, line: Vec<u8>) {
        if self.stream.waiting.load(Ordering::Acquire) == 0
            && let Ok(mut writer) = self.stream.writer.try_lock()
        {
            if !self.stream.broken.load(Ordering::Relaxed)
                && writer.write_all(&line).and_then(|()| writer.flush()).is_err()
            {
                drop(writer);
                self.stream.fail();
            }
            return;
        }
        self.line(line);
    }

    /// Sends a notification.
    pub(crate) fn send<T: Serialize>(&self, method: &str, params: &T) {
        if let Ok(line) = Frame::notification(method, params).and_then(|f| f.to_line()) {
            self.line(line);
        }
    }

    /// Sends a log record, unless there were too many of them in this second.
    pub(crate) fn log(&self, level: &str, message: String) {
        let dropped = {
            let mut flood = self.flood.lock().unwrap_or_else(PoisonError::into_inner);
            if flood.since.elapsed() >= Duration::from_secs(1) {
                (flood.since, flood.records, flood.bytes) = (Instant::now(), 0, 0);
            }
            if flood.records >= LOG_RECORDS_PER_SECOND || flood.bytes + message.len() > LOG_BYTES_PER_SECOND {
                flood.dropped += 1;
                return;
            }
            flood.records += 1;
            flood.bytes += message.len();
            std::mem::take(&mut flood.dropped)
        };
        if dropped > 0 {
            let message = format!("{dropped} log records were dropped: too many in a second");
            self.send(method::LOG, &Log { level: "warn".into(), message });
        }
        self.send(method::LOG, &Log { level: level.into(), message });
    }
}

fn write_all(stream: &Stream, lines: &Receiver<Vec<u8>>) -> std::io::Result<()> {
    // An empty line first: what a login shell printed without a newline ends here.
    let mut next = b"\n".to_vec();
    loop {
        let mut count = 0;
        {
            let mut writer = stream.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let mut writer = BufWriter::new(&mut *writer);
            let mut line = Some(next);
            while let Some(bytes) = line {
                writer.write_all(&bytes)?;
                count += 1;
                line = lines.try_recv().ok();
            }
            writer.flush()?;
        }
        stream.waiting.fetch_sub(count, Ordering::AcqRel);
        match lines.recv() {
            Ok(line) => next = line,
            Err(_) => return Ok(()),
        }
    }
}
