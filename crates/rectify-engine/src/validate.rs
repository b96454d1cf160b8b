//! `validate` and `graph`: what the sources mean, or what is wrong with them.

use crate::{Engine, EngineError, codes, observe, project::Project, secrets::Values};
use rectify_base::{Address, Diagnostic, FileDigests, Pointer, RemediationName};
use rectify_compile::{Input, Locator, Output, compile};
use rectify_model::Graph;
use rectify_protocol::message::{DesiredItem, Mode};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

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

/// Asks the providers about the properties of every step and gate. No target is looked at.
///
/// # Errors
/// [`EngineError::Sources`] with everything that they refuse; or when a provider cannot be started.
pub async fn ask_providers(engine: &Engine, compiled: &Compiled) -> Result<(), EngineError> {
    let steps = compiled.graph.nodes.iter().map(|n| (&n.address, &n.type_name, &n.desired));
    let gates = compiled.graph.gates.iter().map(|g| (&g.address, &g.type_name, &g.desired));
    // What is the same on several targets is asked once.
    let mut asked: BTreeMap<&str, BTreeMap<&Address, DesiredItem>> = BTreeMap::new();
    for (address, type_name, desired) in steps.chain(gates) {
        let provider = observe::provider_of(engine, type_name)?;
        let item = DesiredItem { type_name: type_name.clone(), desired: desired.clone() };
        asked.entry(&provider.manifest.name).or_default().entry(address).or_insert(item);
    }
    let locator = Locator::new(&compiled.project.files, &compiled.output.source_map);
    let mut diagnostics = Vec::new();
    for (name, items) in asked {
        let Some(provider) = engine.providers.all().iter().find(|p| p.manifest.name == name) else {
            continue;
        };
        let place = observe::Place { root: None, digest_key: None, secrets: Values::new(), state: None };
        let session = observe::start(engine, provider, Mode::Read, place, &[]).await?;
        let (addresses, items): (Vec<&Address>, Vec<DesiredItem>) = items.into_iter().unzip();
        for (address, answer) in addresses.into_iter().zip(session.validate(items).await?) {
            let Err(error) = answer else { continue };
            let pointer = error.path.as_deref().map(Pointer::from);
            let found =
                locator.diagnostic(address, None, pointer.as_ref(), codes::PROPERTY_REFUSED, error.message);
            diagnostics.push(match error.hint {
                Some(hint) => found.help(hint),
                None => found,
            });
        }
        session.shutdown().await?;
    }
    if diagnostics.is_empty() {
        return Ok(());
    }
    Err(EngineError::Sources { diagnostics, files: compiled.project.files.clone() })
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
