//! Watching over one process: signs of life, the end, and what must not be left behind.

use crate::{
    error::Fault,
    link::{Patience, Shared},
    spec::Timings,
};
use rectify_protocol::{Frame, message::method};
use rustix::process::Signal;
use std::{
    os::fd::OwnedFd,
    process::Child,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    io::unix::AsyncFd,
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout},
};

/// Questions for a sign of life that may stay unanswered.
const PINGS: u32 = 3;
/// How long the last output of an ended process may take to arrive. It takes longer only if a
/// process outside the group holds the pipe.
const DRAIN: Duration = Duration::from_secs(1);
/// How long a process may live after it closed its output.
const HANG_UP: Duration = Duration::from_secs(1);

/// Runs until the process is gone and collected.
pub(crate) async fn supervise(
    shared: Arc<Shared>,
    mut child: Child,
    process: AsyncFd<OwnedFd>,
    streams: [JoinHandle<()>; 2],
    timings: Timings,
) {
    let mut pings = Pings::default();
    let mut next = Instant::now() + timings.ping;
    loop {
        tokio::select! {
            _ = process.readable() => break,
            () = shared.stop.notified() => {
                end(&shared, &process, &timings).await;
                break;
            }
            () = sleep_until(next) => next = Instant::now() + pings.look(&shared, timings.ping),
        }
    }
    let status = shared.collect(&mut child);
    for mut stream in streams {
        if timeout(DRAIN, &mut stream).await.is_err() {
            stream.abort();
        }
    }
    shared.finish(status);
}

/// Ends the process: politely first.
async fn end(shared: &Shared, process: &AsyncFd<OwnedFd>, timings: &Timings) {
    if shared.hung_up.load(Ordering::Relaxed) && timeout(HANG_UP, process.readable()).await.is_ok() {
        return;
    }
    shared.signal(Signal::TERM);
    tokio::select! {
        _ = process.readable() => {}
        () = sleep(timings.kill) => {
            shared.signal(Signal::KILL);
            let _ = process.readable().await;
        }
    }
}

/// The questions for a sign of life since the last one.
#[derive(Default)]
struct Pings {
    missed: u32,
    /// When the last question went out, in microseconds since the start.
    asked_us: u64,
}

impl Pings {
    /// Asks for a sign of life if there was none for a while. Returns when to look again.
    fn look(&mut self, shared: &Shared, interval: Duration) -> Duration {
        if !shared.greeted.load(Ordering::Relaxed) {
            return interval;
        }
        let (now, heard) = (shared.now_us(), shared.heard_us());
        let silence = Duration::from_micros(now.saturating_sub(heard));
        if heard >= self.asked_us {
            self.missed = 0;
        }
        if silence < interval {
            return interval.saturating_sub(silence);
        }
        if self.missed >= PINGS {
            shared.fail(None, Fault::Unresponsive { pings: self.missed, ms: silence.as_millis() });
            return interval;
        }
        // Nobody waits for this answer: any line is a sign of life.
        if let Some(ticket) = shared.open(method::PING, Patience::fixed(Duration::ZERO))
            && let Ok(line) =
                Frame::request(ticket.id, method::PING, &serde_json::json!({})).and_then(|f| f.to_line())
        {
            self.missed += 1;
            self.asked_us = now;
            shared.send(line);
        }
        interval
    }
}
