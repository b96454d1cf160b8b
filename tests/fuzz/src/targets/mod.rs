//! The targets.

mod accounts;
mod admission;
mod agent;
mod audit;
mod calendar;
mod canonical;
mod compile;
mod documents;
mod edits;
mod envelope;
mod facts;
mod frames;
mod http;
mod journal;
mod names;
mod planning;
mod policy;
mod properties;
mod redact;
mod review;
mod run;
mod serve;
mod session;
mod settings;
mod trust;

use crate::Target;

/// All targets, by name.
pub const TARGETS: &[Target] = &[
    accounts::TARGET,
    admission::TARGET,
    agent::TARGET,
    audit::TARGET,
    calendar::BUNDLE,
    calendar::TARGET,
    canonical::TARGET,
    compile::TARGET,
    documents::TARGET,
    edits::TARGET,
    envelope::TARGET,
    compile::EXPRESSION,
    facts::TARGET,
    canonical::FINGERPRINTS,
    frames::TARGET,
    http::TARGET,
    journal::TARGET,
    trust::KEYS,
    serve::LEDGER,
    accounts::MOUNTS,
    names::TARGET,
    planning::TARGET,
    policy::TARGET,
    properties::TARGET,
    redact::TARGET,
    admission::RESOLUTION,
    review::TARGET,
    run::TARGET,
    serve::TARGET,
    session::TARGET,
    settings::TARGET,
    trust::TARGET,
];
