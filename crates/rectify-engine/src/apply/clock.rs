//! The time that a run goes by.

use std::time::{Duration, Instant};

/// Milliseconds since 1970 that never go back and never jump, whatever happens to the wall clock. Only
/// where that says that the permission is over does it count: it may refuse, and nothing else.
#[derive(Debug)]
pub struct Clock {
    wall: fn() -> u64,
    began: Instant,
    began_ms: u64,
    expires_at_ms: u64,
}

impl Clock {
    /// Begins at what the wall clock says now.
    pub fn new(wall: fn() -> u64, expires_at_ms: u64) -> Self {
        Self { wall, began: Instant::now(), began_ms: wall(), expires_at_ms }
    }

    /// Now.
    pub fn now_ms(&self) -> u64 {
        let elapsed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let now_ms = self.began_ms.saturating_add(elapsed);
        if (self.wall)() >= self.expires_at_ms { now_ms.max(self.expires_at_ms) } else { now_ms }
    }

    /// How long until this moment.
    pub fn until(&self, at_ms: u64) -> Duration {
        Duration::from_millis(at_ms.saturating_sub(self.now_ms()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    static WALL: AtomicU64 = AtomicU64::new(0);

    #[test]
    fn a_wall_clock_that_jumps_can_only_end_the_permission() {
        WALL.store(1_000_000, Ordering::Relaxed);
        let clock = Clock::new(|| WALL.load(Ordering::Relaxed), 2_000_000);
        let began = clock.now_ms();
        assert!((1_000_000..1_060_000).contains(&began));
        WALL.store(10, Ordering::Relaxed);
        assert!(clock.now_ms() >= began, "it does not go back");
        WALL.store(1_900_000, Ordering::Relaxed);
        assert!(clock.now_ms() < 1_060_000, "what waits is not woken early");
        WALL.store(2_000_000, Ordering::Relaxed);
        assert_eq!(clock.now_ms(), 2_000_000, "the permission is over");
        assert_eq!(clock.until(2_000_500), Duration::from_millis(500));
    }
}
