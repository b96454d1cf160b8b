//! Errors as providers make them most often.

use rectify_protocol::{ErrorCode, ItemError};
use std::{fmt, io};

/// What most functions of a provider answer.
pub type Result<T, E = ItemError> = std::result::Result<T, E>;

/// Properties break a rule that no schema says; `at` is the place of the one to blame, as `/path`.
#[must_use]
pub fn invalid(message: impl Into<String>, at: &str) -> ItemError {
    ItemError::new(ErrorCode::Schema, message).at(at)
}

/// What the system says of something that was tried: `failed("the queue cannot be read", &error)`.
#[must_use]
pub fn failed(doing: impl fmt::Display, error: &io::Error) -> ItemError {
    let code = match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorCode::Permission,
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => ErrorCode::Transient,
        _ => ErrorCode::Failed,
    };
    ItemError::new(code, format!("{doing}: {error}"))
}
