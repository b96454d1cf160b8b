//! How a check ends before its end.

use std::io;

/// Why a check does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It says nothing about this provider, for this reason.
    Skip(String),
    /// The provider breaks a rule, in this way.
    Fail(String),
}

/// What a check, or a step of one, comes to.
pub(crate) type Check<T = ()> = Result<T, Stop>;

/// The provider breaks a rule.
pub(crate) fn fail<T>(reason: impl Into<String>) -> Check<T> {
    Err(Stop::Fail(reason.into()))
}

/// The check says nothing about this provider.
pub(crate) fn skip<T>(reason: impl Into<String>) -> Check<T> {
    Err(Stop::Skip(reason.into()))
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Fail(format!("the kit could not go on: {error}"))
    }
}

/// Fails with a reason unless something holds.
macro_rules! ensure {
    ($holds:expr, $($reason:tt)+) => {
        if !$holds {
            return $crate::outcome::fail(format!($($reason)+));
        }
    };
}
pub(crate) use ensure;
