//! Whether a request should stop, and why.

use std::sync::atomic::{AtomicBool, Ordering};

/// What was asked of one request.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    cancelled: AtomicBool,
    engine_gone: AtomicBool,
}

impl Stop {
    /// The engine wants it to stop.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Nobody waits for it any more.
    pub(crate) fn engine_is_gone(&self) {
        self.engine_gone.store(true, Ordering::Relaxed);
    }

    /// Whether somebody wants it to stop.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Whether it should stop, for either reason.
    pub(crate) fn is_asked(&self) -> bool {
        self.is_cancelled() || self.engine_gone.load(Ordering::Relaxed)
    }
}
