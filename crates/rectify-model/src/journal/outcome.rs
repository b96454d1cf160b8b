//! How a run ended.

use serde::{Deserialize, Serialize};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// Every step and every gate.
    Succeeded,
    /// Something failed, and nothing was changed.
    Failed,
    /// Something was changed, and not everything was done.
    PartiallyApplied,
    /// Asked to stop; what was under way was finished and recorded.
    Cancelled,
    /// A state was neither as expected nor as planned, and nothing was changed.
    Stale,
    /// Stopped without waiting for what was under way.
    Interrupted,
    /// Whether something happened is not known, and only a person may decide.
    NeedsOperator,
    /// Something failed, and everything that was changed was taken back.
    Undone,
    /// Something failed, and not everything that should have been taken back was.
    UndoFailed,
}

impl RunOutcome {
    /// All outcomes.
    pub const ALL: [Self; 9] = [
        Self::Succeeded,
        Self::Failed,
        Self::PartiallyApplied,
        Self::Cancelled,
        Self::Stale,
        Self::Interrupted,
        Self::NeedsOperator,
        Self::Undone,
        Self::UndoFailed,
    ];

    /// The documented exit code of the process.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Succeeded => 0,
            Self::Failed | Self::Undone => 1,
            Self::Stale => 4,
            Self::PartiallyApplied => 5,
            Self::UndoFailed => 6,
            Self::NeedsOperator => 7,
            Self::Cancelled | Self::Interrupted => 130,
        }
    }

    /// The word used in files and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::PartiallyApplied => "partially_applied",
            Self::Cancelled => "cancelled",
            Self::Stale => "stale",
            Self::Interrupted => "interrupted",
            Self::NeedsOperator => "needs_operator",
            Self::Undone => "undone",
            Self::UndoFailed => "undo_failed",
        }
    }

    /// Whether nothing more may be recorded. The others may be resumed.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Succeeded
            | Self::Failed
            | Self::PartiallyApplied
            | Self::Stale
            | Self::Undone
            | Self::UndoFailed => true,
            Self::Cancelled | Self::Interrupted | Self::NeedsOperator => false,
        }
    }
}
