//! What the project file and the inventory say beside the graph.

use rectify_base::ProjectName;
use rectify_model::graph::RunLimits;
use serde::{Deserialize, Serialize};

/// What `rectify.yaml` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectSettings {
    /// Name of the project.
    pub name: ProjectName,
    /// Bounds of a run.
    pub limits: RunLimits,
    /// Policy bundles in the order given: `standard`, or directories relative to the project.
    pub policies: Vec<String>,
}

/// How a target is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Connection {
    /// This machine.
    Local {
        /// Directory that stands for `/`, relative to the project or absolute; the machine itself
        /// if absent.
        root: Option<String>,
    },
}
