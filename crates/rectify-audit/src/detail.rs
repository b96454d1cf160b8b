//! What records say in detail. Kept apart from them, and without secrets before it is hashed.
//!
//! `run_admitted` has the run record of the journal, records of a run have theirs; the rest is here.

use crate::record::BootId;
use rectify_model::journal::{Record, RunId, RunRecord};
use serde::{Deserialize, Serialize};

/// Detail of [`crate::Action::LogStarted`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Imported {
    /// Runs of an older journal, of which the records that follow were made at once.
    pub imported_runs: u64,
}

/// Detail of the actions about leases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// What is locked, sorted: identities of targets.
    pub scopes: Vec<String>,
    /// The lease's number. Each new lease has a higher one than all before.
    pub fence: u64,
    /// The run that holds or held it.
    pub run: RunId,
    /// The process that holds or held it.
    pub pid: u32,
    /// The boot of its machine.
    pub boot_id: BootId,
}

/// Detail of [`crate::Action::AdmissionRefused`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// Codes of the reasons, sorted.
    pub codes: Vec<String>,
}

/// What a record says in detail, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Of `log_started`.
    Imported(Imported),
    /// Of `admission_refused`.
    Refused(Refused),
    /// Of `run_admitted`.
    Run(Box<RunRecord>),
    /// Of leases.
    Lease(Lease),
    /// Of everything that a run records.
    Record(Box<Record>),
}
