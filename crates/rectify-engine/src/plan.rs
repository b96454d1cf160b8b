//! `plan`: compile, observe, plan, check, and ask policy what it would say.

use crate::{
    Engine, EngineError, artifact, codes,
    gate::{self, Verdict},
    observe,
    owed::{self, Owed},
    secrets::{self, Secrets},
    validate::{Compiled, complete},
};
use rectify_base::{Diagnostic, FileDigests, RemediationName};
use rectify_compile::Locator;
use rectify_model::{Observation, Plan, plan::Deferred};
use rectify_plan::{Input, LeftOutEntry, ObservedDocument, Report};
use serde::Serialize;
use std::{collections::BTreeSet, path::Path};
use tracing::{Instrument, debug_span};

/// A plan with everything that led to it.
#[derive(Debug)]
pub struct PlanOutcome {
    /// The compiled project.
    pub compiled: Compiled,
    /// The plan.
    pub plan: Plan,
    /// Its canonical bytes.
    pub bytes: Vec<u8>,
    /// Their digests.
    pub digests: FileDigests,
    /// Why things are as they are.
    pub report: Report,
    /// What policy says now: advice to the reader, decided again before a run.
    pub verdict: Verdict,
    /// Target and canonical bytes of each observation.
    pub observations: Vec<(String, Vec<u8>)>,
    /// Triggers that earlier runs owe and that this plan does not run.
    pub owed: Vec<Owed>,
}

/// Makes a plan; nothing is written, and no target is changed.
///
/// # Errors
/// When the sources have problems, a target cannot be observed, or the result is unsound.
pub async fn plan(
    engine: &Engine,
    directory: &Path,
    select: Option<&BTreeSet<RemediationName>>,
) -> Result<PlanOutcome, EngineError> {
    let compiled = complete(engine, directory, select).instrument(debug_span!("compile")).await?;
    let trust = gate::trust(engine)?;
    let plan_commands: Vec<_> =
        trust.iter().flat_map(|trust| trust.data().plan_commands.iter().cloned()).collect();
    let mut secrets = Secrets::new(
        engine,
        &compiled.project.directory,
        trust.as_ref(),
        compiled.graph.targets.values().flat_map(|target| target.secrets.values()),
    );
    let mut documents: Vec<(Observation, FileDigests)> = Vec::new();
    let mut observations = Vec::new();
    let mut sessions = Vec::new();
    for target in compiled.graph.targets.keys() {
        let observed = observe::target(engine, &compiled, target, &plan_commands, &mut secrets)
            .instrument(debug_span!("observe", %target))
            .await?;
        sessions.extend(observed.sessions);
        let (bytes, digests) = debug_span!("record").in_scope(|| recorded(&observed.observation))?;
        documents.push((observed.observation, digests));
        observations.push((target.to_string(), bytes));
    }
    secrets::none_in(engine, "the graph", &compiled.graph_bytes)?;
    let (plan, mut report) = derive(&compiled.graph, compiled.graph_digests, &documents)?;
    let (bytes, digests) = debug_span!("write").in_scope(|| recorded(&plan))?;
    for (target, bytes) in &observations {
        secrets::none_in(engine, &format!("the observation of `{target}`"), bytes)?;
    }
    secrets::none_in(engine, "the plan", &bytes)?;
    let verdict = gate::advise(engine, &compiled, &plan).instrument(debug_span!("gate")).await;
    engine.events.on(&crate::Event::Planned { changes: plan.counts.changes() });
    report.sessions = sessions;
    let left_out = compiled.output.left_out.iter();
    report.left_out = left_out
        .map(|step| LeftOutEntry {
            target: step.target.clone(),
            address: step.address.clone(),
            why: step.why.to_string(),
        })
        .collect();
    let mut owed = owed::of_graph(engine, &compiled.graph).await?;
    owed.retain(|owed| {
        !plan.steps.iter().any(|step| step.target == owed.node.target && step.address == owed.node.address)
    });
    Ok(PlanOutcome { compiled, plan, bytes, digests, report, verdict, observations, owed })
}

/// The bytes of a document and their digests.
pub(crate) fn recorded<T: Serialize>(value: &T) -> Result<(Vec<u8>, FileDigests), EngineError> {
    let bytes = artifact::document(value)?;
    let digests = FileDigests::of_bytes(&bytes);
    Ok((bytes, digests))
}

impl PlanOutcome {
    /// What could not be decided, at the places of the steps.
    #[must_use]
    pub fn undecided(&self) -> Vec<Diagnostic> {
        let files = &self.compiled.project.files;
        let locator = Locator::new(files, &self.compiled.output.source_map);
        let tell = |entry: &Deferred| {
            let message = format!("cannot be decided: {} ({})", entry.message, entry.code);
            locator.diagnostic(&entry.address, Some(&entry.target), None, codes::PLAN_UNDECIDED, message)
        };
        self.plan.undecided().map(tell).collect()
    }
}

/// Plans from recorded data alone and lets the checker look at the result.
///
/// # Errors
/// When planning refuses, or the checker does not agree.
pub fn derive(
    graph: &rectify_model::Graph,
    graph_digests: FileDigests,
    documents: &[(Observation, FileDigests)],
) -> Result<(Plan, Report), EngineError> {
    let inputs: Vec<ObservedDocument<'_>> = documents
        .iter()
        .map(|(observation, digests)| ObservedDocument { observation, digests: *digests })
        .collect();
    let input = Input { graph, graph_digests, observations: &inputs };
    let planned = debug_span!("plan").in_scope(|| rectify_plan::plan(&input))?;
    let check = || rectify_check::check(&planned.plan, graph, documents, graph_digests);
    let notes = debug_span!("check").in_scope(check);
    if !notes.is_empty() {
        return Err(EngineError::Unsound { notes });
    }
    Ok((planned.plan, planned.report))
}

/// Writes a plan and its evidence.
///
/// # Errors
/// See [`artifact::write`].
pub fn write(outcome: &PlanOutcome, path: &Path) -> Result<(), EngineError> {
    let report = artifact::document(&outcome.report)?;
    let sources = artifact::document(&outcome.compiled.output.source_map)?;
    artifact::write(
        path,
        &artifact::Parts {
            plan: &outcome.bytes,
            graph: &outcome.compiled.graph_bytes,
            observations: &outcome.observations,
            report: &report,
            sources: &sources,
        },
    )
}
