//! Who holds the package database.

use rectify_sdk::protocol::{ErrorCode, ItemError};
use rustix::process::{Flock, FlockType, fcntl_getlk};
use std::fs::{self, File};

/// apt's own lock, which spans its runs of dpkg, and dpkg's.
const LOCKS: [&str; 2] = ["/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock"];

/// The process that holds the database, if there is one.
pub(super) fn holder() -> Option<String> {
    LOCKS.iter().find_map(|path| {
        let file = File::open(path).ok()?;
        let held = fcntl_getlk(&file, &Flock::from(FlockType::WriteLock)).ok()??;
        // A process of another namespace has no number here.
        let Some(pid) = held.pid else { return Some("another process".to_owned()) };
        let pid = pid.as_raw_nonzero();
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let name = name.trim();
        Some(if name.is_empty() { format!("process {pid}") } else { format!("process {pid} ({name})") })
    })
}

/// What is answered where it is held for too long. Nothing was done, and later it may be.
pub(super) fn held(holder: &str) -> ItemError {
    ItemError::new(ErrorCode::Transient, format!("the package database is held by {holder}"))
        .hint("wait until it is done, then try again")
}
