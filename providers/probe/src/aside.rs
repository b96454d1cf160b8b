//! Work that cannot be interrupted, on a thread of its own: whoever waits for it need not wait longer
//! than said, and notices that the request was cancelled.

use rectify_sdk::{
    Context,
    protocol::{ErrorCode, ItemError},
};
use std::{
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

/// Longest wait without a look at whether the request was cancelled.
const SLICE: Duration = Duration::from_millis(50);

/// What the work gives; `None` if it takes longer than `limit`. It may go on for nobody.
pub(crate) fn run<T: Send + 'static>(
    cx: &Context,
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Option<T>, ItemError> {
    let deadline = Instant::now() + limit;
    let (sender, receiver) = channel();
    thread::spawn(move || drop(sender.send(work())));
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match receiver.recv_timeout(left.min(SLICE)) {
            Ok(answer) => return Ok(Some(answer)),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(ItemError::new(ErrorCode::Internal, "the connecting thread failed"));
            }
            Err(RecvTimeoutError::Timeout) if cx.cancelled() => {
                return Err(ItemError::new(ErrorCode::Cancelled, "cancelled while connecting"));
            }
            Err(RecvTimeoutError::Timeout) if left.is_zero() => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}
