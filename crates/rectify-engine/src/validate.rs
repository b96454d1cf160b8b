//! `validate` and `graph`: what the sources mean, or what is wrong with them.

use crate::{Engine, EngineError, project::Project};
use rectify_base::{Diagnostic, FileDigests, RemediationName};
use rectify_compile::{Input, Output, compile};
use rectify_model::Graph;
use std::{collections::BTreeSet, path::Path};

/// A compiled project.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The project.
    pub project: Project,
    /// The graph.
    pub graph: Graph,
    /// Its canonical bytes.
    pub graph_bytes: Vec<u8>,
    /// Their digests.
    pub graph_digests: FileDigests,
    /// Everything else that the compiler said; `graph` is taken out of it.
    pub output: Output,
}

impl Compiled {
    /// The warnings.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.output.diagnostics
    }
}

/// Compiles a project, or the selected remediations of it. Starts no provider.
///
/// # Errors
/// [`EngineError::Sources`] with all problems that were found.
pub fn validate(
    engine: &Engine,
    directory: &Path,
    select: Option<&BTreeSet<RemediationName>>,
) -> Result<Compiled, EngineError> {
    let project = Project::read(directory)?;
    let manifests = engine.providers.manifests();
    let mut output = compile(&Input { files: &project.files, manifests: &manifests, select });
    let Some(graph) = output.graph.take() else {
        return Err(EngineError::Sources { diagnostics: output.diagnostics, files: project.files });
    };
    let graph_bytes = crate::artifact::document(&graph)?;
    let graph_digests = FileDigests::of_bytes(&graph_bytes);
    Ok(Compiled { project, graph, graph_bytes, graph_digests, output })
}
