//! What the graph does not hold although its remediation is for the target.

use rectify_base::{Address, TargetName};
use serde::Serialize;
use std::fmt;

/// A step that is not taken on a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LeftOut {
    /// The target.
    pub target: TargetName,
    /// The step, without keys of its own.
    pub address: Address,
    /// Why.
    pub why: WhyLeftOut,
}

/// Why a step is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyLeftOut {
    /// Its `when` is false, for every element if there are several.
    Condition,
    /// Its `for_each` has no element.
    NoElements,
    /// Everything that could trigger it is left out.
    NoTrigger,
}

impl fmt::Display for WhyLeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Condition => "its `when` is false",
            Self::NoElements => "its `for_each` has no element",
            Self::NoTrigger => "everything that could trigger it is left out",
        })
    }
}
