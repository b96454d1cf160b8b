//! A bound on what a provider may put into our own log.

use tokio::time::Instant;

/// Records in one second.
const RECORDS: u32 = 1000;
/// Bytes in one second.
const BYTES: usize = 1024 * 1024;

/// Counts what passes in the running second.
#[derive(Debug)]
pub(crate) struct Limiter {
    since: Instant,
    records: u32,
    bytes: usize,
    dropped: u64,
}

/// What to do with a record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Keep it; so many were dropped before it.
    Keep(u64),
    /// Drop it.
    Drop,
}

impl Limiter {
    pub(crate) fn new(now: Instant) -> Self {
        Self { since: now, records: 0, bytes: 0, dropped: 0 }
    }

    pub(crate) fn judge(&mut self, bytes: usize, now: Instant) -> Verdict {
        if now.duration_since(self.since).as_secs() >= 1 {
            *self = Self { dropped: self.dropped, ..Self::new(now) };
        }
        if self.records >= RECORDS || self.bytes + bytes > BYTES {
            self.dropped += 1;
            return Verdict::Drop;
        }
        self.records += 1;
        self.bytes += bytes;
        Verdict::Keep(std::mem::take(&mut self.dropped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_too_much_is_dropped_and_counted() {
        let start = Instant::now();
        let mut limiter = Limiter::new(start);
        for _ in 0..RECORDS {
            assert_eq!(limiter.judge(1, start), Verdict::Keep(0));
        }
        assert_eq!(limiter.judge(1, start), Verdict::Drop);
        assert_eq!(limiter.judge(BYTES, start + Duration::from_secs(1)), Verdict::Keep(1));
        assert_eq!(limiter.judge(1, start + Duration::from_secs(1)), Verdict::Drop);
    }
}
