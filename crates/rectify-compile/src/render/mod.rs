//! Diagnostics for programs: a document of our own, and SARIF. Both are functions of the diagnostics and
//! of the bytes they speak of: no path but those relative to the project, no time, no host.

mod document;
mod regions;
mod sarif;

#[cfg(feature = "schema")]
pub(crate) use document::schema;
pub use document::{Diagnostics, FORMAT, Problem, Region, Repair};
pub use sarif::{Tool, sarif};
