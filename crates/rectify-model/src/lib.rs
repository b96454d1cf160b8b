//! The data that the verbs share: graph, observation, plan, policy input and decision. Types only;
//! what a field means is said here, what is done with it is not.
//!
//! Every document is canonical JSON (`rectify_base::canonical`) and begins with its format name.
#![no_std]
extern crate alloc;

pub mod decision;
pub mod fact;
pub mod grade;
pub mod graph;
pub mod journal;
pub mod observation;
pub mod plan;
pub mod provider;
#[cfg(feature = "schema")]
pub mod schema;

pub use decision::Decision;
pub use graph::Graph;
pub use observation::Observation;
pub use plan::Plan;
