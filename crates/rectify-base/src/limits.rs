//! Bounds that more than one crate must agree on. The unit stands at the end of each name.

/// Deepest nesting of any JSON we read or write.
pub const JSON_DEPTH_MAX: usize = 64;
/// Largest absolute integer that every JSON reader keeps exactly: 2^53 − 1.
pub const JSON_INTEGER_MAX: u64 = (1 << 53) - 1;
/// Longest frame (one line) of the provider protocol.
pub const FRAME_MAX_BYTES: usize = 8 * 1024 * 1024;
/// Longest content shown as text in a plan; longer content is named by digest only.
pub const INLINE_TEXT_MAX_BYTES: usize = 64 * 1024;
/// Largest file content a provider reads to edit it or to compare it.
pub const FILE_CONTENT_MAX_BYTES: u64 = 256 * 1024 * 1024;
/// Largest YAML source file.
pub const SOURCE_MAX_BYTES: usize = 16 * 1024 * 1024;
/// Largest plan, graph or observation file that is read back.
pub const DOCUMENT_MAX_BYTES: usize = 512 * 1024 * 1024;
/// Largest attestation envelope.
pub const ENVELOPE_MAX_BYTES: usize = 8 * 1024 * 1024;
/// Most signatures that one envelope may carry.
pub const ENVELOPE_SIGNATURES_MAX: usize = 16;
/// Longest name of a project, remediation, step or target.
pub const NAME_MAX_BYTES: usize = 63;
/// Longest key of one of the steps that a `for_each` makes.
pub const KEY_MAX_BYTES: usize = 255;
/// Most modules that lie in one another.
pub const CALLS_MAX: usize = 4;
/// Longest value of a secret.
pub const SECRET_MAX_BYTES: usize = 64 * 1024;
/// Shortest value of a secret: a shorter one could not be hidden without hiding ordinary words.
pub const SECRET_MIN_BYTES: usize = 6;
