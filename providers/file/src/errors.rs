//! From what the system says to what a provider answers.

use rectify_sdk::protocol::{ErrorCode, ItemError};
use rustix::io::Errno;

/// Words for a failed system call, with the code whose recovery fits. Nothing was changed unless
/// the caller adds otherwise.
pub(crate) fn system(errno: Errno, doing: &str) -> ItemError {
    let code = match errno {
        Errno::ACCESS | Errno::PERM => ErrorCode::Permission,
        Errno::LOOP => ErrorCode::Conflict,
        Errno::NOSYS => ErrorCode::Unsupported,
        Errno::BUSY | Errno::TXTBSY => ErrorCode::Busy,
        Errno::AGAIN | Errno::INTR => ErrorCode::Transient,
        _ => ErrorCode::Failed,
    };
    let error = ItemError::new(code, format!("{doing}: {errno}"));
    match errno {
        Errno::NOSYS => error.hint("the kernel lacks openat2 or renameat2 (Linux 5.6 or later is needed)"),
        Errno::NOSPC | Errno::DQUOT => error.hint("free some space, then run again"),
        Errno::ROFS => error.hint("the file system is mounted read-only"),
        _ => error,
    }
}

/// The same, to be passed to `map_err`.
pub(crate) fn doing(what: &str) -> impl Fn(Errno) -> ItemError + '_ {
    move |errno| system(errno, what)
}

/// Something is in the way that this type does not manage.
pub(crate) fn conflict(message: impl Into<String>) -> ItemError {
    ItemError::new(ErrorCode::Conflict, message)
}

/// A property breaks a rule.
pub(crate) fn schema(message: impl Into<String>, at: &str) -> ItemError {
    ItemError::new(ErrorCode::Schema, message).at(at)
}

/// It was so when we looked, and is not any more.
pub(crate) fn stale(message: impl Into<String>) -> ItemError {
    ItemError::new(ErrorCode::Stale, message).hint("make a new plan")
}
