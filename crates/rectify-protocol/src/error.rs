//! Errors on the wire: a code with a fixed recovery, and what is known of the effect.

use serde::{Deserialize, Serialize};

/// JSON-RPC error numbers of requests as a whole.
pub mod rpc {
    /// Not JSON.
    pub const PARSE: i64 = -32700;
    /// Not a request.
    pub const INVALID_REQUEST: i64 = -32600;
    /// No such method.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The parameters have another shape.
    pub const INVALID_PARAMS: i64 = -32602;
    /// The provider failed; see its standard error.
    pub const INTERNAL: i64 = -32603;
    /// A request came before `initialize`.
    pub const NOT_INITIALIZED: i64 = -32010;
    /// No common protocol version.
    pub const VERSION: i64 = -32011;
    /// A frame is longer than the limit.
    pub const TOO_LARGE: i64 = -32012;
    /// Too many requests are waiting. Nothing was done; it may be sent again later.
    pub const OVERLOADED: i64 = -32013;
    /// The request was cancelled before it did anything.
    pub const CANCELLED: i64 = -32014;

    /// Whether a failure with this number, as the answer to a request, promises that nothing of it
    /// was done. Of any other number an engine must assume that an operation may have been done:
    /// [`INTERNAL`] may come from the middle of it, and [`TOO_LARGE`] may be about its answer.
    #[must_use]
    pub const fn nothing_was_done(code: i64) -> bool {
        matches!(
            code,
            PARSE
                | INVALID_REQUEST
                | METHOD_NOT_FOUND
                | INVALID_PARAMS
                | NOT_INITIALIZED
                | VERSION
                | OVERLOADED
                | CANCELLED
        )
    }
}

/// Stable code of an item's failure. The engine's recovery depends on it and on [`Mutated`] only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// The properties break the schema or a rule of the type. Never retried.
    Schema,
    /// The provider cannot do this here. Never retried.
    Unsupported,
    /// The session's mode does not allow it. Never retried.
    Mode,
    /// The same operation id with other parameters. Never retried.
    OpMismatch,
    /// The state is neither the expected one nor the planned one. A new plan is needed.
    Stale,
    /// Something else owns the resource.
    Conflict,
    /// The provider lacks a permission.
    Permission,
    /// A tool that the provider needs is missing.
    Dependency,
    /// Another operation on the same thing is under way.
    Busy,
    /// May work later; nothing was changed.
    Transient,
    /// The deadline passed; `mutated` says what is known.
    Timeout,
    /// Cancelled; `mutated` says what is known.
    Cancelled,
    /// It failed half way; `mutated` is not `no`.
    Partial,
    /// It failed; `mutated` says what is known.
    Failed,
    /// What happened is not known.
    UnknownOutcome,
    /// A bug in the provider.
    Internal,
}

/// What is known of the effect of a failed operation. This decides whether it may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mutated {
    /// Nothing was changed.
    No,
    /// Something may have been changed.
    Maybe,
    /// Something was changed.
    Yes,
}

/// The failure of one item of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[error("{message}")]
pub struct ItemError {
    /// Stable code.
    pub code: ErrorCode,
    /// What went wrong, for a person; without secrets.
    pub message: String,
    /// JSON Pointer into the item's properties, if one of them is to blame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What is known of the effect.
    pub mutated: Mutated,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl ItemError {
    /// A failure that changed nothing.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), path: None, mutated: Mutated::No, hint: None }
    }

    /// Says what is known of the effect.
    #[must_use]
    pub fn mutated(mut self, mutated: Mutated) -> Self {
        self.mutated = mutated;
        self
    }

    /// Names the property to blame.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
