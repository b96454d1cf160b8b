//! The receipt: signed proof of what a run did. The key is this machine's own, made at its first run.

use super::driver::Tally;
use crate::{Engine, EngineError, artifact::Artifact, error::FileVerb};
use rectify_apply::Finished;
use rectify_attest::{CountedOverride, Receipt, TargetResult, UsedOverride, attest};
use rectify_base::{NodeKey, TargetName};
use rectify_keys::LocalSigner;
use rectify_model::{
    Plan,
    journal::{RunId, RunOutcome, RunRecord, StepState},
};
use std::{fs, path::PathBuf};

/// Name of the executor's key in the state directory.
pub const EXECUTOR_KEY: &str = "executor_ed25519";

/// Sums up a run, which lasted from the first to the second of these times.
pub fn receipt(
    record: &RunRecord,
    plan: &Plan,
    overrides: &[CountedOverride],
    finished: &Finished,
    tally: Tally,
    (started_at_ms, ended_at_ms): (u64, u64),
) -> Receipt {
    let overrides = overrides.iter().map(|used| UsedOverride {
        envelope: used.envelope,
        by: used.by.clone(),
        rules: used.rules.clone(),
        reason: used.reason.clone(),
    });
    let targets = plan.targets.keys().map(|name| {
        let planned = plan.steps.iter().filter(|step| &step.target == name).count() as u64;
        (name.clone(), on_target(name, planned, plan, finished, &tally))
    });
    let targets = targets.collect();
    Receipt {
        run: record.run.clone(),
        use_id: record.use_id.clone(),
        targets,
        started_at: started_at_ms / 1000,
        ended_at: ended_at_ms / 1000,
        providers: record.providers.iter().map(|(name, p)| (name.clone(), p.executable.clone())).collect(),
        result: finished.outcome,
        overrides: overrides.collect(),
    }
}

/// What happened on one target. Its result is its own: where everything was done it succeeded,
/// whatever became of the others.
fn on_target(
    name: &TargetName,
    planned: u64,
    plan: &Plan,
    finished: &Finished,
    tally: &Tally,
) -> TargetResult {
    let mut target = TargetResult {
        result: RunOutcome::Succeeded,
        changed: 0,
        already: 0,
        failed: 0,
        skipped: planned,
        undone: 0,
    };
    let (mut unknown, mut stale) = (false, false);
    for state in tally.iter().filter(|(node, _)| &node.target == name).map(|(_, state)| state) {
        let counter = match state {
            StepState::Succeeded { how, .. } if how.changed() => &mut target.changed,
            StepState::Succeeded { .. } => &mut target.already,
            StepState::Skipped { .. } => continue,
            StepState::Unknown(_) | StepState::Intent(_) => {
                unknown = true;
                &mut target.failed
            }
            StepState::Stale { .. } => {
                stale = true;
                &mut target.failed
            }
            StepState::Failed(_) => &mut target.failed,
        };
        *counter += 1;
        target.skipped = target.skipped.saturating_sub(1);
    }
    let gate_failed = plan.gates.iter().filter(|gate| &gate.target == name).any(|gate| {
        let node = NodeKey { target: gate.target.clone(), address: gate.address.clone() }.to_string();
        finished.reasons.iter().any(|reason| reason.place == node)
    });
    target.result = if unknown {
        RunOutcome::NeedsOperator
    } else if target.failed == 0 && target.skipped == 0 && !gate_failed {
        RunOutcome::Succeeded
    } else if target.changed > 0 {
        RunOutcome::PartiallyApplied
    } else if stale {
        RunOutcome::Stale
    } else if target.failed > 0 || gate_failed {
        RunOutcome::Failed
    } else {
        // Nothing was begun here: the reason lies with the run.
        match finished.outcome {
            RunOutcome::Cancelled | RunOutcome::Interrupted => finished.outcome,
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
    Ok(if path.exists() {
        rectify_keys::load_signer(&path, &mut rectify_keys::no_passphrase)?
    } else {
        rectify_keys::generate(&path, "rectify executor", None)?
    })
}

/// Signs a receipt.
///
/// # Errors
/// When it cannot be written as a document.
pub fn sign(signer: &LocalSigner, artifact: &Artifact, receipt: &Receipt) -> Result<Vec<u8>, EngineError> {
    Ok(attest(artifact.digests, receipt, &[signer])?)
}

/// Writes a receipt beside the plan, apart from what vouches for it.
///
/// # Errors
/// When it cannot be written.
pub fn write(artifact: &Artifact, run: &RunId, bytes: &[u8]) -> Result<PathBuf, EngineError> {
    let directory = artifact.receipts_directory();
    fs::create_dir_all(&directory).map_err(|e| EngineError::file(FileVerb::Write, &directory, e))?;
    let short: String = run.as_str().chars().take(16).collect();
    let path = directory.join(format!("{short}.dsse.json"));
    crate::files::replace(&path, bytes)?;
    Ok(path)
}
