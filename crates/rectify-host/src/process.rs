//! Watching over one process: signs of life, the end, and what must not be left behind.

use crate::{
    error::Fault,
    leftovers::{Leftovers, Swept},
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
    task::{JoinHandle, spawn_blocking},
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
    let mut descendants = Leftovers::default();
    let mut next = Instant::now() + timings.ping;
    loop {
        tokio::select! {
            _ = process.readable() => break,
            () = shared.stop.notified() => {
                descendants = end(&shared, &process, &timings).await;
                break;
            }
            () = sleep_until(next) => next = Instant::now() + pings.look(&shared, timings.ping),
        }
    }
    let status = shared.collect(&mut child);
    let [mut answers, mut errors] = streams;
    // An operation that it answered before its end is over.
    drain(&mut answers).await;
    let leftovers = shared.leftovers().and(descendants);
    let left = sweep(&shared, leftovers, timings.kill).await;
    for stream in [&mut answers, &mut errors] {
        drain(stream).await;
        stream.abort();
    }
    shared.finish(status, left);
}

async fn drain(stream: &mut JoinHandle<()>) {
    if !stream.is_finished() {
        let _ = timeout(DRAIN, stream).await;
    }
}

/// Ends what is left of operations. Returns the processes for which that failed.
pub(crate) async fn sweep(shared: &Arc<Shared>, mut leftovers: Leftovers, patience: Duration) -> Vec<u32> {
    if leftovers.is_empty() {
        return Vec::new();
    }
    let hurried = Arc::clone(shared);
    let swept = spawn_blocking(move || leftovers.end(patience, || hurried.is_hurried())).await;
    let Swept { ended, left } = swept.unwrap_or_default();
    if ended > 0 {
        tracing::warn!(provider = %shared.name, ended, "processes of operations under way were ended");
    }
    if !left.is_empty() {
        tracing::error!(provider = %shared.name, ?left, "processes could not be ended and may still run");
    }
    left
}

/// Ends the process: politely first, unless there is a hurry. Returns what descended from it, which
/// nobody can see any more once it has ended.
async fn end(shared: &Arc<Shared>, process: &AsyncFd<OwnedFd>, timings: &Timings) -> Leftovers {
    if shared.hung_up.load(Ordering::Relaxed) {
        tokio::select! {
            _ = process.readable() => return Leftovers::default(),
            () = shared.hurried() => {}
            () = sleep(HANG_UP) => {}
        }
    }
    let mut descendants = descendants(shared).await;
    if !shared.is_hurried() {
        shared.signal(Signal::TERM);
        tokio::select! {
            _ = process.readable() => return descendants,
            () = shared.hurried() => {}
            () = sleep(timings.kill) => {}
        }
        descendants = descendants.and(self::descendants(shared).await);
    }
    shared.signal(Signal::KILL);
    let _ = process.readable().await;
    descendants
}

async fn descendants(shared: &Arc<Shared>) -> Leftovers {
    let shared = Arc::clone(shared);
    spawn_blocking(move || shared.descendants()).await.unwrap_or_default()
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
