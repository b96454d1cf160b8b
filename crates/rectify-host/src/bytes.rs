//! What this crate reads of bytes that it did not write, for tests that try any bytes at all.

use crate::{confine::mount_points, strict};
use std::{io, path::PathBuf};

/// Numbers and paths of the mounts in a mount table (`/proc/self/mountinfo`).
///
/// # Errors
/// A line that the kernel does not write.
pub fn mounts(table: &[u8]) -> io::Result<Vec<(u64, PathBuf)>> {
    mount_points(table)
}

/// Whether a provider may send this.
///
/// # Errors
/// The rule that it breaks.
pub fn allowed(text: &str) -> Result<(), serde_json::Error> {
    strict::check(text)
}
