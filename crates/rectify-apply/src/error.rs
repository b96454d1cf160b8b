//! Plans that cannot be run at all.

use crate::codes;
use alloc::string::String;
use rectify_base::{Code, NodeKey, TargetName};

/// Why a plan cannot be run. The checker refuses such plans earlier; this keeps the step function
/// total whatever it is given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Two steps or gates with one address.
    #[error("`{0}` is listed twice")]
    Twice(NodeKey),
    /// A step or gate on a target that the plan does not list.
    #[error("`{0}` is on a target that the plan does not list")]
    Target(NodeKey),
    /// A target in no wave, in two, or in a wave without being listed.
    #[error("target `{0}` must be in exactly one wave")]
    Wave(TargetName),
    /// An edge to a step that is not in the plan.
    #[error("`{node}` waits for `{from}`, which is not a step of this plan")]
    Edge {
        /// The step that waits.
        node: NodeKey,
        /// What it waits for.
        from: String,
    },
    /// A type that the plan does not describe.
    #[error("`{node}` has type `{type_name}`, which the plan does not describe")]
    Type {
        /// The step or gate.
        node: NodeKey,
        /// The type.
        type_name: String,
    },
    /// A journal about something that is not in the plan.
    #[error("the journal has a record of `{0}`, which is not in this plan")]
    Journal(NodeKey),
    /// Steps that wait for each other.
    #[error("`{0}` waits, through other steps, for itself")]
    Cycle(NodeKey),
}

impl PlanError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Cycle(_) => codes::PLAN_CYCLE,
            _ => codes::PLAN_REFERENCE,
        }
    }

    /// The step, gate or target to blame.
    #[must_use]
    pub fn place(&self) -> String {
        use alloc::string::ToString as _;
        match self {
            Self::Twice(node) | Self::Target(node) | Self::Journal(node) | Self::Cycle(node) => {
                node.to_string()
            }
            Self::Edge { node, .. } | Self::Type { node, .. } => node.to_string(),
            Self::Wave(target) => target.to_string(),
        }
    }
}
