//! The targets.

mod accounts;
mod admission;
mod agent;
mod canonical;
mod compile;
mod documents;
mod edits;
mod envelope;
mod frames;
mod journal;
mod names;
mod planning;
mod policy;
mod run;
mod settings;
mod trust;

use crate::Target;

/// All targets, by name.
pub const TARGETS: &[Target] = &[
    accounts::TARGET,
    admission::TARGET,
    agent::TARGET,
    canonical::TARGET,
    compile::TARGET,
    documents::TARGET,
    edits::TARGET,
    envelope::TARGET,
    compile::EXPRESSION,
    canonical::FINGERPRINTS,
    frames::TARGET,
    journal::TARGET,
    trust::KEYS,
    accounts::MOUNTS,
    names::TARGET,
    planning::TARGET,
    policy::TARGET,
    run::TARGET,
    settings::TARGET,
    trust::TARGET,
];
