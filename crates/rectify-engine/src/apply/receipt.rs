//! The receipt: signed proof of what a run did. The key is this machine's own, made at its first run.

use crate::{Engine, EngineError, artifact::Artifact, error::FileVerb, rundir::RunDirectory, undo::short};
use rectify_attest::{Envelope, Override, Receipt, TargetResult, UsedOverride, attest, statement};
use rectify_base::{Digest, TargetName};
use rectify_keys::LocalSigner;
use rectify_model::{
    Plan,
    journal::{Because, GateState, Mutated, RunId, RunOutcome, RunRecord, RunView, StepState, UndoState},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Name of the executor's key in the state directory.
pub const EXECUTOR_KEY: &str = "executor_ed25519";

/// Sums up a run from its journal. `overrides` are those that it rested on.
pub fn receipt(
    view: &RunView,
    plan: &Plan,
    overrides: Vec<UsedOverride>,
    outcome: RunOutcome,
    ended_at_ms: u64,
) -> Receipt {
    let record = view.run();
    let targets = plan.targets.keys().map(|name| (name.clone(), on_target(name, plan, view, outcome)));
    Receipt {
        run: record.run.clone(),
        use_id: record.use_id.clone(),
        targets: targets.collect(),
        started_at: record.started_at_ms / 1000,
        ended_at: ended_at_ms / 1000,
        providers: record.providers.iter().map(|(name, p)| (name.clone(), p.executable.clone())).collect(),
        result: outcome,
        overrides,
        checkpoint: None,
    }
}

/// The overrides that a run rested on, from the envelopes that were kept for it.
///
/// # Errors
/// When an envelope cannot be read.
pub fn overrides(record: &RunRecord, artifact: &Artifact) -> Result<Vec<UsedOverride>, EngineError> {
    let mut used = Vec::new();
    for (_, bytes) in artifact.attestations()? {
        let envelope = Digest::of_bytes(&bytes);
        if !record.admission.overrides.contains(&envelope) {
            continue;
        }
        // What the journal names by digest was verified when the run began.
        let said = Envelope::read(&bytes)
            .ok()
            .and_then(|e| statement::decode::<Override>(artifact.digests, e.payload()).ok());
        if let Some(Override { by, rules, reason, .. }) = said {
            used.push(UsedOverride { envelope, by, rules, reason });
        }
    }
    used.sort_by_key(|used| used.envelope);
    Ok(used)
}

/// What happened on one target. Its result is its own: where everything was done it succeeded,
/// whatever became of the others.
fn on_target(name: &TargetName, plan: &Plan, view: &RunView, outcome: RunOutcome) -> TargetResult {
    let planned = plan.steps.iter().filter(|step| &step.target == name).count() as u64;
    let mut target = TargetResult {
        result: RunOutcome::Succeeded,
        changed: 0,
        already: 0,
        failed: 0,
        skipped: planned,
        undone: 0,
    };
    let (mut unknown, mut stale, mut touched, mut idle) = (false, false, 0, 0);
    for state in view.steps().iter().filter(|(node, _)| &node.target == name).map(|(_, step)| &step.state) {
        let counter = match state {
            StepState::Succeeded { how, .. } if how.changed() => &mut target.changed,
            StepState::Succeeded { .. } => &mut target.already,
            StepState::Skipped { because } => {
                idle += u64::from(matches!(because, Because::NotTriggered));
                continue;
            }
            StepState::Unknown(_) | StepState::Intent(_) => {
                unknown = true;
                &mut target.failed
            }
            StepState::Stale { .. } => {
                stale = true;
                &mut target.failed
            }
            StepState::Failed(failure) => {
                touched += u64::from(failure.mutated != Mutated::No);
                &mut target.failed
            }
        };
        *counter += 1;
        target.skipped = target.skipped.saturating_sub(1);
    }
    touched += target.changed;
    let mut undo_failed = false;
    for state in view.undo().iter().filter(|(node, _)| &node.target == name).map(|(_, step)| &step.state) {
        match state {
            UndoState::Undone { .. } => target.undone += 1,
            UndoState::Failed(_) | UndoState::Conflict { .. } => undo_failed = true,
            UndoState::Intent(_) | UndoState::Unknown(_) => unknown = true,
            UndoState::Kept { .. } => {}
        }
    }
    let mut gates = view.gates().iter().filter(|(node, _)| &node.target == name).map(|(_, state)| state);
    let gate_failed = gates.any(|state| matches!(state, GateState::Failed(_)));
    // What nothing triggered was not left out.
    let complete = target.failed == 0 && target.skipped == idle && !gate_failed;
    target.result = if unknown {
        RunOutcome::NeedsOperator
    } else if complete && target.undone == 0 && !undo_failed {
        RunOutcome::Succeeded
    } else if undo_failed {
        RunOutcome::UndoFailed
    } else if touched > 0 && target.undone >= touched {
        RunOutcome::Undone
    } else if touched > 0 {
        RunOutcome::PartiallyApplied
    } else if stale {
        RunOutcome::Stale
    } else if target.failed > 0 || gate_failed {
        RunOutcome::Failed
    } else {
        // Nothing was begun here: the reason lies with the run.
        match outcome {
            RunOutcome::Cancelled | RunOutcome::Interrupted => outcome,
            _ => RunOutcome::Failed,
        }
    };
    target
}

/// The executor's key, made if there is none.
///
/// # Errors
/// When it cannot be read or made.
pub fn executor(engine: &Engine) -> Result<LocalSigner, EngineError> {
    let path = engine.places.state.join(EXECUTOR_KEY);
    Ok(rectify_keys::load_or_generate(&path, "rectify executor")?)
}

/// Signs a receipt.
///
/// # Errors
/// When it cannot be written as a document.
pub fn sign(signer: &LocalSigner, artifact: &Artifact, receipt: &Receipt) -> Result<Vec<u8>, EngineError> {
    Ok(attest(artifact.digests, receipt, &[signer])?)
}

/// Writes a receipt beside the plan that the run was started with, apart from what vouches for it; where
/// that is not there any more, in the directory of the run.
///
/// # Errors
/// When it cannot be written.
pub fn write(
    artifact: &Artifact,
    kept: &RunDirectory,
    run: &RunId,
    bytes: &[u8],
) -> Result<PathBuf, EngineError> {
    // The run may go on from what was kept, and its plan may be gone, or be another one by now.
    let origin = kept.origin().ok().and_then(|origin| Artifact::read(Path::new(&origin.plan)).ok());
    let beside = origin.filter(|origin| origin.digests == artifact.digests);
    let directory = match beside {
        Some(artifact) => artifact.receipts_directory(),
        None => kept.path().join("receipts"),
    };
    fs::create_dir_all(&directory).map_err(|e| EngineError::file(FileVerb::Write, &directory, e))?;
    let path = directory.join(format!("{}.dsse.json", short(run)));
    crate::files::replace(&path, bytes)?;
    Ok(path)
}
