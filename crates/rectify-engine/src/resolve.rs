//! `resolve`: a person says what became of an operation of which nobody knows, and signs it.

use crate::{Engine, EngineError, apply::JOURNAL, gate, lock, rundir::RunDirectory};
use rectify_apply::verdict_record;
use rectify_attest::{PrincipalName, Resolution, Signer, attest, verify_resolution};
use rectify_base::{Digest, NodeKey};
use rectify_model::journal::{self, Intent, Record, RunId, RunMark, RunView, StepState, UndoState, Verdict};
use rectify_store::{Journal, SqliteJournal};

/// What a person says.
pub struct ResolveRequest<'a> {
    /// The run.
    pub run: &'a RunId,
    /// The step: its address, or `target:address`.
    pub step: &'a str,
    /// Whether it is about taking the step back.
    pub undo: bool,
    /// The answer.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// Whose key signs.
    pub signer: &'a dyn Signer,
    /// Who answers.
    pub by: PrincipalName,
}

/// Records a person's signed answer. The run does not go on before it is resumed.
///
/// # Errors
/// [`EngineError::ResolveKnown`] if what became of the step is known; [`EngineError::ResolveStep`] if the
/// run has no such step; [`EngineError::Refused`] if the signer may not answer; when the run is at work.
pub async fn resolve(engine: &Engine, request: &ResolveRequest<'_>) -> Result<NodeKey, EngineError> {
    let state = &engine.places.state;
    let trust = gate::required_trust(engine)?;
    let store = SqliteJournal::open(&state.join(JOURNAL)).await?;
    let plan_digests = store.load_run(request.run).await?.view.run().plan;
    let kept = RunDirectory::of(state, request.run);
    let artifact = kept.artifact(plan_digests)?;
    let plan = artifact.plan()?;
    // An engine at work may be about to find out by itself.
    let _locks = lock::take(state, &plan, request.run)?;
    let view = store.load_run(request.run).await?.view;
    let (node, intent) = open_step(&view, request.step, request.undo)?;
    let now_ms = (engine.now_ms)();
    let said = Resolution {
        run: request.run.clone(),
        use_id: view.run().use_id.clone(),
        target: node.target.clone(),
        address: node.address.clone(),
        undo: request.undo,
        operation: intent.op_id,
        verdict: request.verdict,
        by: request.by.clone(),
        reason: request.reason.clone(),
    };
    let bytes = attest(artifact.digests, &said, &[request.signer])?;
    // As whoever reads it later would see it.
    let signed = verify_resolution("resolution", &bytes, artifact.digests, &trust, now_ms / 1000)
        .map_err(|refusal| EngineError::Refused { refusals: vec![refusal] })?;
    kept.keep_resolution(&bytes)?;
    let resolution = journal::Resolution {
        node: node.clone(),
        undo: request.undo,
        verdict: request.verdict,
        by: signed.predicate.by.to_string(),
        reason: signed.predicate.reason,
        envelope: Digest::of_bytes(&bytes),
    };
    let follows = verdict_record(&plan, &resolution);
    let records = std::iter::once(Record::Run(RunMark::Resolved(resolution))).chain(follows).collect();
    store.append(request.run, now_ms, records).await?;
    Ok(node)
}

/// The step that is meant, of those whose outcome is open.
fn open_step(view: &RunView, step: &str, undo: bool) -> Result<(NodeKey, Intent), EngineError> {
    let meant = |node: &NodeKey| node.address.as_str() == step || node.to_string() == step;
    let open: Vec<(&NodeKey, &Intent)> = match undo {
        true => view.open_undo().filter(|(node, _)| meant(node)).collect(),
        false => view.open().filter(|(node, _)| meant(node)).collect(),
    };
    match open.as_slice() {
        [(node, intent)] => Ok(((*node).clone(), (*intent).clone())),
        [_, _, ..] => {
            let nodes = open.iter().map(|(node, _)| node.to_string()).collect();
            Err(EngineError::ResolveSeveral { step: step.to_owned(), nodes })
        }
        [] => Err(closed(view, step, undo, meant)),
    }
}

/// Why nothing is to be said of a step.
fn closed(view: &RunView, step: &str, undo: bool, meant: impl Fn(&NodeKey) -> bool) -> EngineError {
    let known = |node: &NodeKey, state: &str| EngineError::ResolveKnown {
        node: node.clone(),
        state: state.to_owned(),
    };
    if undo && let Some((node, progress)) = view.undo().iter().find(|(node, _)| meant(node)) {
        let state = match progress.state {
            UndoState::Undone { .. } => "it was taken back",
            UndoState::Failed(_) => "taking it back failed",
            UndoState::Conflict { .. } => "it was changed since, and nothing was written",
            _ => "it was not taken back",
        };
        return known(node, state);
    }
    let Some((node, progress)) = view.steps().iter().find(|(node, _)| meant(node)) else {
        return EngineError::ResolveStep { step: step.to_owned() };
    };
    known(
        node,
        match &progress.state {
            StepState::Succeeded { .. } => "it succeeded",
            StepState::Failed(_) => "it failed",
            StepState::Stale { .. } => "it was refused, and nothing was written",
            StepState::Skipped { .. } => "it was not tried",
            StepState::Intent(_) | StepState::Unknown(_) => {
                "what is open is the step itself, not taking it back"
            }
        },
    )
}
