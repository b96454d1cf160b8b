//! `undo RUN`: a new, ordinary plan that takes back what a run did. It is made from the run's journal and
//! the plan that was kept for it, looked over, sealed and applied like any other.

mod graph;
pub mod inverse;

pub use graph::{Kept, marker, short};

use crate::{
    Engine, EngineError, Providers,
    apply::JOURNAL,
    artifact::{self, Artifact},
    error::UndoConflict,
    gate, history, observe,
    plan::{PlanOutcome, derive, recorded},
    project::Project,
    rundir::RunDirectory,
    secrets::{self, Secrets},
    validate::Compiled,
};
use graph::{Inverses, inverses};
use rectify_base::{Digest, FileDigests, NodeKey};
use rectify_compile::SourceMap;
use rectify_model::{
    Graph, Plan,
    journal::{RunId, RunOutcome, StepState},
    observation::Observation,
};
use rectify_store::{Journal, LoadedRun, SqliteJournal};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// Format name of [`Source`].
pub const FORMAT: &str = "rectify.undo/v1";

/// Beside the evidence of such a plan: what its graph was made from, instead of sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Name and version of the format: [`FORMAT`].
    pub format: String,
    /// The run that is taken back.
    pub run: RunId,
}

/// What `undo` found.
#[derive(Debug)]
pub struct Undone {
    /// The plan; absent if there is nothing that can be taken back.
    pub outcome: Option<Box<PlanOutcome>>,
    /// What stays as it is.
    pub kept: Vec<Kept>,
}

/// Plans to take back a run; nothing is written, and no target is changed.
///
/// # Errors
/// [`EngineError::UndoConflicts`] where something is not as the run left it; when the run has not ended,
/// or a target cannot be observed.
pub async fn undo(engine: &Engine, run: &RunId, project: &Path) -> Result<Undone, EngineError> {
    let loaded = history::run(engine, run).await?;
    let project = Project::read(project)?;
    let providers = Providers::of_project(engine, &project)?;
    let Inverses { graph, left, kept } = of_run(engine, &providers, &loaded).await?;
    let Some(graph) = graph else { return Ok(Undone { outcome: None, kept }) };
    let outcome = planned(engine, graph, project, providers).await?;
    let conflicts = conflicts(&outcome.plan, &left);
    if !conflicts.is_empty() {
        return Err(EngineError::UndoConflicts { run: run.clone(), conflicts });
    }
    Ok(Undone { outcome: Some(Box::new(outcome)), kept })
}

/// The graph that takes back a run, from its journal and the plan that was kept for it.
///
/// # Errors
/// When the run has not ended, or takes nothing back.
pub async fn graph_of(engine: &Engine, run: &RunId, project: &Path) -> Result<Graph, EngineError> {
    let providers = Providers::of_project(engine, &Project::read(project)?)?;
    let loaded = history::run(engine, run).await?;
    let graph = of_run(engine, &providers, &loaded).await?.graph;
    graph.ok_or_else(|| EngineError::NotReproduced { what: "graph".into() })
}

async fn of_run(engine: &Engine, providers: &Providers, loaded: &LoadedRun) -> Result<Inverses, EngineError> {
    let run = loaded.view.run();
    let over = loaded.outcome.is_some_and(|outcome| {
        outcome.is_final() || matches!(outcome, RunOutcome::Cancelled | RunOutcome::Interrupted)
    });
    let open = loaded.view.open().next().is_some() || loaded.view.open_undo().next().is_some();
    if !over || open {
        return Err(EngineError::RunUnfinished { run: run.run.clone() });
    }
    let kept = RunDirectory::of(&engine.places.state, &run.run).artifact(run.plan)?;
    let plan = kept.plan()?;
    let taken_back = taken_back(engine, &plan, run.run.clone()).await?;
    inverses(providers, &plan, &loaded.view, &taken_back)
}

/// Actions that later plans of inverses took back.
async fn taken_back(engine: &Engine, plan: &Plan, run: RunId) -> Result<BTreeSet<NodeKey>, EngineError> {
    let marker = marker(&run);
    let store = SqliteJournal::open(&engine.places.state.join(JOURNAL)).await?;
    let mut taken = BTreeSet::new();
    for summary in store.list_runs(u32::MAX).await? {
        let other = &summary.run;
        if other.run == run || !other.targets.iter().any(|target| plan.targets.contains_key(target)) {
            continue;
        }
        // A run whose plan is not here any more took nothing back that could be told.
        let kept = RunDirectory::of(&engine.places.state, &other.run).artifact(other.plan);
        let Ok(Ok(later)) = kept.map(|kept| kept.plan()) else { continue };
        let ours = |node: &NodeKey| {
            let info =
                later.remediations.iter().find(|(name, _)| name.as_str() == node.address.remediation());
            info.and_then(|(_, info)| info.because.as_ref()).is_some_and(|b| b.id.as_ref() == Some(&marker))
        };
        let view = store.load_run(&other.run).await?.view;
        let done = view
            .steps()
            .iter()
            .filter(|(_, p)| matches!(&p.state, StepState::Succeeded { how, .. } if how.changed()));
        taken.extend(done.map(|(node, _)| node.clone()).filter(ours));
    }
    let actions: BTreeSet<NodeKey> = plan
        .steps
        .iter()
        .filter(|step| {
            plan.types
                .get(&step.type_name)
                .is_some_and(|facts| facts.kind == rectify_model::grade::TypeKind::Action)
        })
        .map(|step| NodeKey { target: step.target.clone(), address: step.address.clone() })
        .collect();
    Ok(taken.intersection(&actions).cloned().collect())
}

/// Observes the targets and plans.
async fn planned(
    engine: &Engine,
    graph: Graph,
    project: Project,
    providers: Providers,
) -> Result<PlanOutcome, EngineError> {
    let (manifests, locked) = (providers.manifests(), providers.locked());
    let (files, manifests) = (&project.files, &manifests);
    let input = rectify_compile::Input { files, manifests, locked: &locked, select: None };
    // Only how the targets are reached, and what decides, is taken from the project.
    let mut output = rectify_compile::compile(&input);
    output.graph = None;
    output.source_map = SourceMap::default();
    output.left_out.clear();
    output.diagnostics.clear();
    let (graph_bytes, graph_digests) = recorded(&graph)?;
    let facts = BTreeMap::new();
    let compiled = Compiled { project, graph, graph_bytes, graph_digests, facts, providers, output };
    let trust = gate::trust(engine)?;
    let plan_commands: Vec<_> =
        trust.iter().flat_map(|trust| trust.data().plan_commands.iter().cloned()).collect();
    let origins = compiled.graph.targets.values().flat_map(|target| target.secrets.values());
    let mut vault = Secrets::new(engine, &compiled.project.directory, trust.as_ref(), origins);
    let mut documents: Vec<(Observation, FileDigests)> = Vec::new();
    let (mut observations, mut sessions) = (Vec::new(), Vec::new());
    for target in compiled.graph.targets.keys() {
        let observed = observe::target(engine, &compiled, target, &plan_commands, &mut vault).await?;
        sessions.extend(observed.sessions);
        let (bytes, digests) = recorded(&observed.observation)?;
        secrets::none_in(engine, &format!("the observation of `{target}`"), &bytes)?;
        documents.push((observed.observation, digests));
        observations.push((target.to_string(), bytes));
    }
    let (plan, mut report) = derive(&compiled.graph, compiled.graph_digests, &documents)?;
    let (bytes, digests) = recorded(&plan)?;
    secrets::none_in(engine, "the plan", &bytes)?;
    let verdict = gate::advise(engine, &compiled, &plan).await;
    engine.events.on(&crate::Event::Planned { changes: plan.counts.changes() });
    report.sessions = sessions;
    Ok(PlanOutcome { compiled, plan, bytes, digests, report, verdict, observations, owed: Vec::new() })
}

/// Where something is neither as the run left it nor as it was before.
fn conflicts(plan: &Plan, left: &BTreeMap<NodeKey, Digest>) -> Vec<UndoConflict> {
    let mut found = Vec::new();
    for step in &plan.steps {
        let node = NodeKey { target: step.target.clone(), address: step.address.clone() };
        let Some(expected) = left.get(&node).filter(|left| **left != step.expect) else { continue };
        found.push(UndoConflict { expected: *expected, node, found: Ok(step.expect) });
    }
    for entry in plan.undecided() {
        let node = NodeKey { target: entry.target.clone(), address: entry.address.clone() };
        if let Some(expected) = left.get(&node) {
            found.push(UndoConflict { expected: *expected, node, found: Err(entry.message.clone()) });
        }
    }
    found
}

/// Writes such a plan and its evidence.
///
/// # Errors
/// See [`artifact::write`].
pub fn write(outcome: &PlanOutcome, run: &RunId, path: &Path) -> Result<(), EngineError> {
    crate::plan::write(outcome, path)?;
    let source = Source { format: FORMAT.into(), run: run.clone() };
    Artifact::read(path)?.keep_undo(&artifact::document(&source)?)
}
