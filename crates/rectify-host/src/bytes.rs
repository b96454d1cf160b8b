//! What this crate reads of bytes that it did not write, for tests that try any bytes at all.

use crate::{HostError, Session, SessionSpec, confine::mount_points, leftovers, strict};
use std::{io, path::PathBuf};
use tokio::io::AsyncRead;

/// What the launcher of a [`session`] echoes.
pub const LAUNCH: &str = "00112233445566778899aabbccddeeff";
/// What the provider of a [`session`] echoes.
pub const NONCE: &str = "ffeeddccbbaa99887766554433221100";

/// A session with a provider whose whole output is `said`. Nothing that is sent to it arrives, and it has
/// no process; its end is the end of the stream. Within a tokio runtime with time.
///
/// # Errors
/// As of [`Session::start`].
pub async fn session(
    spec: SessionSpec,
    said: impl AsyncRead + Send + Unpin + 'static,
) -> Result<Session, HostError> {
    Session::listen(spec, [LAUNCH, NONCE], said).await
}

/// Parent, process group and start of a process that has not ended, as `/proc/PID/stat` tells them.
#[must_use]
pub fn process(stat: &str) -> Option<(i32, i32, u64)> {
    leftovers::stat(stat)
}

/// The operations that an environment (`/proc/PID/environ`) names.
#[must_use]
pub fn operations(environment: &[u8]) -> Vec<String> {
    leftovers::marks(environment)
}

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
