//! Exit codes, the same for every command.

/// Done, or nothing to do.
pub const DONE: u8 = 0;
/// An error.
pub const ERROR: u8 = 1;
/// Changes are pending (`plan --detailed-exitcode`).
pub const CHANGES: u8 = 2;
/// Denied: by policy, by the trust file, by missing approvals, by expiry.
pub const DENIED: u8 = 3;
/// What was found is not what the plan expects.
pub const STALE: u8 = 4;
/// Something was changed, and not everything was done.
pub const PARTIAL: u8 = 5;
/// Whether something happened is not known, and only a person may decide.
pub const NEEDS_PERSON: u8 = 7;
/// Another engine is at work.
pub const LOCKED: u8 = 8;
/// The command line was not understood.
pub const USAGE: u8 = 64;
/// Stopped on request.
pub const INTERRUPTED: u8 = 130;
