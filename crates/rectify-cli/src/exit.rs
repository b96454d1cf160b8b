//! Exit codes, the same for every command. How a run ended has codes of its own, in
//! `rectify_model::journal::RunOutcome`: 4 stale, 5 partial, 7 needs a person, 130 interrupted.

/// Done, or nothing to do.
pub const DONE: u8 = 0;
/// An error.
pub const ERROR: u8 = 1;
/// Changes are pending (`plan --detailed-exitcode`).
pub const CHANGES: u8 = 2;
/// Denied: by policy, by the trust file, by missing approvals, by expiry.
pub const DENIED: u8 = 3;
/// Something is not as the plan expects; nothing was begun.
pub const STALE: u8 = 4;
/// What a run did cannot be taken back.
pub const UNDO_FAILED: u8 = 6;
/// Another engine is at work.
pub const LOCKED: u8 = 8;
/// The command line was not understood.
pub const USAGE: u8 = 64;
