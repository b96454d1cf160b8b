//! Bounds on a bundle. The unit stands at the end of each name.

/// Most files in a bundle.
pub const BUNDLE_FILES_MAX: usize = 256;
/// Largest file of a bundle.
pub const BUNDLE_FILE_MAX_BYTES: usize = 1024 * 1024;
/// Largest bundle.
pub const BUNDLE_MAX_BYTES: usize = 8 * 1024 * 1024;
/// Most lines of one file.
pub const BUNDLE_FILE_MAX_LINES: usize = 20_000;
/// Longest line of a file.
pub const BUNDLE_LINE_MAX_BYTES: usize = 1024;
/// Longest chain of rules that are defined by one another.
pub const RULE_CHAIN_MAX: usize = 256;
/// Most approvals that a rule may demand.
pub const APPROVALS_MAX: u32 = 64;
/// Most events in all calendars of a bundle.
pub const CALENDAR_EVENTS_MAX: usize = 2000;
/// Most occurrences and empty periods that are looked at, over all events.
pub const CALENDAR_STEPS_MAX: usize = 50_000;
/// Deepest nesting of brackets in a file.
pub const NESTING_MAX: usize = 64;
