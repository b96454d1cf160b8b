//! `validate` and `graph`: what the sources mean, or what is wrong with them.

use crate::{
    Engine, EngineError, Providers, codes,
    facts::{self, Told},
    observe,
    project::Project,
    secrets::Values,
};
use rectify_base::{Address, Diagnostic, FileDigests, Pointer, RemediationName, Severity};
use rectify_compile::{Input, Locator, Output, compile, compile_with};
use rectify_model::Graph;
use rectify_protocol::message::{DesiredItem, Mode};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};
use tracing::{Instrument, debug_span};

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
    /// The facts that were read for it, by target.
    pub facts: Told,
    /// The providers of the project.
    pub providers: Providers,
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
        let provider = compiled.providers.require(type_name)?;
        let item = DesiredItem { type_name: type_name.clone(), desired: desired.clone() };
        asked.entry(&provider.manifest.name).or_default().entry(address).or_insert(item);
    }
    let locator = Locator::new(&compiled.project.files, &compiled.output.source_map);
    let mut diagnostics = Vec::new();
    for (name, items) in asked {
        let Some(provider) = compiled.providers.named(name) else { continue };
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

/// What the sources mean, as far as that can be said without looking at a target.
#[derive(Clone, Debug)]
pub enum Validated {
    /// All of it.
    Whole(Box<Compiled>),
    /// It depends on facts of the targets; nothing else is wrong.
    AsksFacts {
        /// The project.
        project: Project,
        /// Its providers.
        providers: Providers,
        /// What the compiler said: the groups that are asked for are in it, and no graph.
        output: Box<Output>,
    },
}

/// Compiles a project, or the selected remediations of it. Starts no provider.
///
/// # Errors
/// [`EngineError::Sources`] with all problems that were found.
pub fn validate(
    engine: &Engine,
    directory: &Path,
    select: Option<&BTreeSet<RemediationName>>,
) -> Result<Validated, EngineError> {
    let project = Project::read(directory)?;
    let providers = Providers::of_project(engine, &project)?;
    let (manifests, locked) = (providers.manifests(), providers.locked());
    let output = compile(&Input { files: &project.files, manifests: &manifests, locked: &locked, select });
    let errors = output.diagnostics.iter().any(|d| d.severity == Severity::Error);
    if output.graph.is_none() && !errors && !output.asked.is_empty() {
        return Ok(Validated::AsksFacts { project, providers, output: Box::new(output) });
    }
    Ok(Validated::Whole(Box::new(compiled(project, providers, output, Told::new())?)))
}

/// Compiles a project with facts that were recorded. Starts no provider.
///
/// # Errors
/// See [`validate`]; also where the sources ask for facts that were not recorded.
pub fn validate_with(
    engine: &Engine,
    directory: &Path,
    select: Option<&BTreeSet<RemediationName>>,
    facts: Told,
) -> Result<Compiled, EngineError> {
    let project = Project::read(directory)?;
    let providers = Providers::of_project(engine, &project)?;
    let (manifests, locked) = (providers.manifests(), providers.locked());
    let input = Input { files: &project.files, manifests: &manifests, locked: &locked, select };
    let output = compile_with(&input, &facts);
    compiled(project, providers, output, facts)
}

/// Compiles a project, and reads the facts that its sources ask for.
///
/// # Errors
/// See [`validate`]; or when a fact cannot be read.
pub async fn complete(
    engine: &Engine,
    directory: &Path,
    select: Option<&BTreeSet<RemediationName>>,
) -> Result<Compiled, EngineError> {
    let (project, providers, output) = match validate(engine, directory, select)? {
        Validated::Whole(compiled) => return Ok(*compiled),
        Validated::AsksFacts { project, providers, output } => (project, providers, output),
    };
    let mut facts = Told::new();
    for (target, groups) in &output.asked {
        let connection = output.connections.get(target);
        let connection = connection.ok_or_else(|| EngineError::UnknownTarget { target: target.clone() })?;
        let told = facts::read(engine, &providers, target, connection, &project.directory, groups)
            .instrument(debug_span!("facts", %target))
            .await?;
        facts.insert(target.clone(), told);
    }
    let (manifests, locked) = (providers.manifests(), providers.locked());
    let input = Input { files: &project.files, manifests: &manifests, locked: &locked, select };
    let output = compile_with(&input, &facts);
    compiled(project, providers, output, facts)
}

fn compiled(
    project: Project,
    providers: Providers,
    mut output: Output,
    facts: Told,
) -> Result<Compiled, EngineError> {
    let Some(graph) = output.graph.take() else {
        return Err(EngineError::Sources { diagnostics: output.diagnostics, files: project.files });
    };
    let graph_bytes = crate::artifact::document(&graph)?;
    let graph_digests = FileDigests::of_bytes(&graph_bytes);
    Ok(Compiled { project, graph, graph_bytes, graph_digests, facts, providers, output })
}
