//! The compiler: source bytes in, graph out. Pure: it reads no file, clock or environment, and
//! equal sources give equal graphs whatever the order of files and keys.
//!
//! ```text
//! bytes ── yaml ──▶ spanned tree ── document ──▶ typed documents ── expression, property ──▶
//! nodes ── graph ──▶ Graph, SourceMap
//! ```
//!
//! Every stage reports as many problems as it can find, each with a code and a place; a graph is
//! made only if no stage found an error.

mod assemble;
mod beside;
pub mod codes;
mod compile;
mod document;
#[cfg(feature = "schema")]
pub mod editor;
mod explain;
mod expression;
mod fields;
mod graph;
mod left_out;
pub mod limits;
mod locate;
mod project;
mod property;
pub mod render;
mod report;
mod scalar;
mod schema;
mod secrets;
mod source_map;
mod suggest;
mod text;
mod tree;
mod yaml;

pub use left_out::{LeftOut, WhyLeftOut};
pub use locate::Locator;
pub use project::{Connection, ProjectSettings};
pub use schema::{manifest_problems, type_facts};
pub use source_map::{Place, SourceMap};
pub use suggest::closest;
pub use text::LineIndex;

use rectify_base::{Diagnostic, RemediationName, TargetName};
use rectify_model::{Graph, fact::Facts, provider::LockedProvider};
use rectify_protocol::Manifest;
use std::collections::{BTreeMap, BTreeSet};

/// One file of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Relative to the project directory, `/` between parts.
    pub path: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// Everything that a graph depends on.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The project's files, in any order. `rectify.yaml` must be among them; `remediations/*.yaml`,
    /// `modules/*.yaml` and `inventory/*.yaml` are read, what lies in `templates/` and `files/` may be named
    /// in properties, other paths are ignored.
    pub files: &'a [SourceFile],
    /// Manifests of the providers at hand, in any order.
    pub manifests: &'a [Manifest],
    /// Those of the providers that are not part of Rectify, by name, as the lock file has them.
    pub locked: &'a BTreeMap<String, LockedProvider>,
    /// The remediations to take; all if absent.
    pub select: Option<&'a BTreeSet<RemediationName>>,
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Output {
    /// Present exactly if there is no error among the diagnostics, and no expression that matters asks for
    /// facts while none are given.
    pub graph: Option<Graph>,
    /// The groups of facts that the expressions of the selected remediations name, by target.
    pub asked: BTreeMap<TargetName, BTreeSet<String>>,
    /// What the project file says, if it could be read.
    pub settings: Option<ProjectSettings>,
    /// How each target of the inventory is reached; never part of the graph.
    pub connections: BTreeMap<TargetName, Connection>,
    /// Number of targets in the inventory, by environment; never part of the graph.
    pub fleet: BTreeMap<String, u64>,
    /// Steps that are not taken on a target that their remediation selects, sorted.
    pub left_out: Vec<LeftOut>,
    /// Where each address was written.
    pub source_map: SourceMap,
    /// What was found, sorted by place.
    pub diagnostics: Vec<Diagnostic>,
}

impl Output {
    /// Tells where things were written, for problems that others find. `files` are those that were
    /// compiled.
    #[must_use]
    pub fn locator<'a>(&'a self, files: &'a [SourceFile]) -> Locator<'a> {
        Locator::new(files, &self.source_map)
    }
}

/// Compiles a project of which no facts were read. If it asks for some, they are in [`Output::asked`].
#[must_use]
pub fn compile(input: &Input<'_>) -> Output {
    compile::run(input, None)
}

/// Compiles a project for targets of which these facts were read. Equal sources and facts give equal
/// graphs; facts that nothing asks for mean nothing.
#[must_use]
pub fn compile_with(input: &Input<'_>, facts: &BTreeMap<TargetName, Facts>) -> Output {
    compile::run(input, Some(facts))
}
