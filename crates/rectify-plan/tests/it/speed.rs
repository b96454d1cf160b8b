//! Planning is linear in the number of steps, and cheap where nothing changes.

use crate::{fixture::Documents, generate::large};
use rectify_base::canonical;
use std::time::{Duration, Instant};

/// The fastest of three runs: the machine may be busy.
fn best(documents: &Documents) -> Duration {
    (0..3)
        .map(|_| {
            let start = Instant::now();
            let plan = documents.plan().unwrap().plan;
            assert!(!canonical::file_bytes(&plan).unwrap().is_empty());
            start.elapsed()
        })
        .min()
        .unwrap()
}

#[test]
fn planning_is_linear() {
    let count = if cfg!(debug_assertions) { 4_000 } else { 10_000 };
    for (chained, changes) in [(false, true), (true, true), (true, false)] {
        let (small, big) = (large(count / 10, chained, changes), large(count, chained, changes));
        let (small, big) = (best(&small), best(&big));
        // Ten times as much takes about ten times as long; far more would mean a square.
        assert!(big < small * 40, "a tenth {small:?}, {count} steps {big:?}");
        if !cfg!(debug_assertions) {
            assert!(big < Duration::from_secs(1), "{big:?}");
        }
    }
}

#[test]
fn what_needs_nothing_is_cheaper_than_a_change() {
    let (stays, changes) = (large(3_000, true, false), large(3_000, true, true));
    assert!(best(&stays) < best(&changes));
}
