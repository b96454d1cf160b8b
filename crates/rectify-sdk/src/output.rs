//! The way out: one thread writes frames, so that they never mix, and flushes when nothing waits.

use rectify_protocol::{Frame, message::Log, message::method};
use serde::Serialize;
use std::{
    io::{BufWriter, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
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
    broken: Arc<AtomicBool>,
    flood: Arc<Mutex<Flood>>,
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
        let broken = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&broken);
        let thread = std::thread::spawn(move || {
            if write_all(writer, &receiver).is_err() {
                flag.store(true, Ordering::Relaxed);
                on_failure();
                // Go on receiving, so that nobody waits for a stream that is gone.
                while receiver.recv().is_ok() {}
            }
        });
        let flood = Flood { since: Instant::now(), records: 0, bytes: 0, dropped: 0 };
        (Self { lines, broken, flood: Arc::new(Mutex::new(flood)) }, thread)
    }

    /// Sends a line as it is.
    pub(crate) fn line(&self, line: Vec<u8>) {
        if !self.broken.load(Ordering::Relaxed) {
            // The writing thread receives as long as a sender lives, so this cannot fail.
            let _ = self.lines.send(line);
        }
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

fn write_all(writer: impl Write, lines: &Receiver<Vec<u8>>) -> std::io::Result<()> {
    let mut writer = BufWriter::new(writer);
    // An empty line first: what a login shell printed without a newline ends here.
    writer.write_all(b"\n")?;
    writer.flush()?;
    while let Ok(line) = lines.recv() {
        writer.write_all(&line)?;
        while let Ok(line) = lines.try_recv() {
            writer.write_all(&line)?;
        }
        writer.flush()?;
    }
    Ok(())
}
