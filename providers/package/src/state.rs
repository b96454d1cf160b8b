//! The state of a package, as plans hold it.

use crate::{
    backend::{Changes, Status},
    properties::wrong,
};
use rectify_sdk::protocol::{ErrorCode, ItemError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A package of which something is there. One of which nothing is there has no state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum State {
    /// It is installed.
    Installed {
        name: String,
        version: String,
        held: bool,
        /// What the operation that brought this version about did with other packages.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        with: Changes,
    },
    /// It was removed, and its configuration is still there.
    Configuration {
        name: String,
        /// What the operation that removed it did with other packages.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        with: Changes,
    },
}

impl State {
    /// Reads a state that was answered earlier.
    pub(crate) fn of(value: &Value, name: &str) -> Result<Self, ItemError> {
        let unreadable = |e| wrong(format!("the given state cannot be read: {e}"), "");
        let state: Self = serde_json::from_value(value.clone()).map_err(unreadable)?;
        if state.name() == name { Ok(state) } else { Err(wrong("the given state is of another package", "")) }
    }

    /// What is there, and what is remembered of what came with it.
    pub(crate) fn seen(name: &str, status: &Status, with: Changes) -> Option<Self> {
        let name = name.to_owned();
        match status {
            Status::Absent => None,
            Status::Configuration => Some(Self::Configuration { name, with }),
            Status::Installed { version, held, .. } => {
                Some(Self::Installed { name, version: version.clone(), held: *held, with })
            }
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Installed { name, .. } | Self::Configuration { name, .. } => name,
        }
    }

    pub(crate) fn with(&self) -> &Changes {
        match self {
            Self::Installed { with, .. } | Self::Configuration { with, .. } => with,
        }
    }

    /// The version that is installed, and whether it is held.
    pub(crate) fn installed(&self) -> Option<(&str, bool)> {
        match self {
            Self::Installed { version, held, .. } => Some((version, *held)),
            Self::Configuration { .. } => None,
        }
    }

    /// Its form on the wire.
    pub(crate) fn value(&self) -> Result<Value, ItemError> {
        serde_json::to_value(self)
            .map_err(|e| ItemError::new(ErrorCode::Internal, format!("the state cannot be written: {e}")))
    }
}

/// The form on the wire of what may be nothing.
pub(crate) fn value(state: Option<&State>) -> Result<Option<Value>, ItemError> {
    state.map(State::value).transpose()
}
