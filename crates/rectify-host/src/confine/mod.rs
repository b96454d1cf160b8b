//! Keeping a process from changing anything: applied by the process to itself before it becomes,
//! or starts, the provider.
//!
//! As root: a private mount namespace in which everything but the work directory is read-only and
//! device nodes do not work, and a process namespace, so that no signal leaves it and nothing in it
//! outlives its first process. Where the kernel has it: Landlock, which also closes the way out
//! through `/proc/PID/root` of other processes. In both cases: no new privileges, no capability
//! but that of reading files, and a seccomp filter on what neither covers.
//!
//! What is left open, knowingly: sockets. A session can ask a daemon that listens on one to change
//! something, because guards such as `systemctl is-active` and probes such as `tcp.connect` need
//! them. Without Landlock, a FIFO can be written to, and the root directory of another process of
//! root that has no more capabilities than the session can be reached through `/proc`.

mod capabilities;
mod init;
mod main;
mod mounts;
mod ruleset;
mod syscalls;

pub use main::confine_main;
pub(crate) use main::{LaunchLine, LaunchSpec, Program};
pub(crate) use mounts::points as mount_points;

use serde::{Deserialize, Serialize};

/// Whether one layer of the confinement is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// It is.
    Achieved,
    /// It is not, for this reason.
    Unavailable(String),
    /// It was not asked for.
    NotRequested,
}

impl Protection {
    /// Whether it is in force.
    #[must_use]
    pub fn is_achieved(&self) -> bool {
        *self == Self::Achieved
    }

    fn of<E: std::fmt::Display>(result: Result<(), E>) -> Self {
        match result {
            Ok(()) => Self::Achieved,
            Err(reason) => Self::Unavailable(reason.to_string()),
        }
    }
}

/// What was achieved for one session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// Everything read-only but the work directory, devices unusable.
    pub mount_namespace: Protection,
    /// No signal leaves, nothing outlives the session.
    pub process_namespace: Protection,
    /// Landlock on files.
    pub landlock: Protection,
    /// Its version here, whether used or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landlock_abi: Option<u32>,
    /// The filter on system calls.
    pub seccomp: Protection,
    /// No program can gain privileges.
    pub no_new_privs: Protection,
    /// No capability but that of reading files.
    pub capabilities: Protection,
}

impl Confinement {
    /// Of a session for which none was asked.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            mount_namespace: Protection::NotRequested,
            process_namespace: Protection::NotRequested,
            landlock: Protection::NotRequested,
            landlock_abi: None,
            seccomp: Protection::NotRequested,
            no_new_privs: Protection::NotRequested,
            capabilities: Protection::NotRequested,
        }
    }

    /// Whether the process cannot change files, their metadata, mounts or other processes: one of
    /// the two ways of protecting files, and all of the rest.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        (self.mount_namespace.is_achieved() || self.landlock.is_achieved())
            && self.seccomp.is_achieved()
            && self.no_new_privs.is_achieved()
            && self.capabilities.is_achieved()
    }

    /// The reasons for what is missing, in one line.
    #[must_use]
    pub fn missing(&self) -> String {
        let layers = [
            ("mount namespace", &self.mount_namespace),
            ("process namespace", &self.process_namespace),
            ("landlock", &self.landlock),
            ("seccomp", &self.seccomp),
            ("no new privileges", &self.no_new_privs),
            ("capabilities", &self.capabilities),
        ];
        let reasons = layers.iter().filter_map(|(name, layer)| match layer {
            Protection::Achieved => None,
            Protection::Unavailable(reason) => Some(format!("{name}: {reason}")),
            Protection::NotRequested => Some(format!("{name}: not asked for")),
        });
        reasons.collect::<Vec<_>>().join("; ")
    }
}
