//! Watching over one process: signs of life, the end, and what must not be left behind.

use crate::{error::Fault, link::Shared, spec::Timings};
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
    let mut missed = 0;
    let mut next = Instant::now() + timings.ping;
    loop {
        tokio::select! {
            _ = process.readable() => break,
            () = shared.stop.notified() => {
                end(&shared, &process, &timings).await;
                break;
            }
            () = sleep_until(next) => next = look(&shared, &mut missed, timings.ping),
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

/// Asks for a sign of life if there was none for a while. Returns when to look again.
fn look(shared: &Shared, missed: &mut u32, interval: Duration) -> Instant {
    let now = Instant::now();
    let heard = shared.heard();
    let silence = now.saturating_duration_since(heard);
    if !shared.greeted.load(Ordering::Relaxed) {
        return now + interval;
    }
    if silence < interval {
        *missed = 0;
        return heard + interval;
    }
    if *missed >= PINGS {
        shared.fail(None, Fault::Unresponsive { pings: *missed, ms: silence.as_millis() });
        return now + interval;
    }
    // Nobody waits for this answer: any line is a sign of life.
    if let Some((id, _)) = shared.open(method::PING)
        && let Ok(line) = Frame::request(id, method::PING, &serde_json::json!({})).and_then(|f| f.to_line())
    {
        *missed += 1;
        shared.send(line);
    }
    now + interval
}
