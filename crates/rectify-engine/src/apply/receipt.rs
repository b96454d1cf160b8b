//! The receipt: signed proof of what a run did. The key is this machine's own, made at its first run.

use super::driver::Tally;
use crate::{Engine, EngineError, artifact::Artifact, error::FileVerb};
use rectify_apply::Finished;
use rectify_attest::{Receipt, TargetResult, attest};
use rectify_model::{
    Plan,
    journal::{RunId, RunOutcome, RunRecord, StepState},
};
use std::{fs, path::PathBuf};

/// Name of the executor's key in the state directory.
pub const EXECUTOR_KEY: &str = "executor_ed25519";

/// Sums up a run.
pub fn receipt(
    record: &RunRecord,
    plan: &Plan,
    finished: &Finished,
    tally: Tally,
    started_at_ms: u64,
    ended_at_ms: u64,
) -> Receipt {
    let mut targets: std::collections::BTreeMap<_, _> = plan
        .targets
        .keys()
        .map(|name| {
            let planned = plan.steps.iter().filter(|step| &step.target == name).count() as u64;
            (
                name.clone(),
                TargetResult {
                    result: finished.outcome,
                    changed: 0,
                    already: 0,
                    failed: 0,
                    skipped: planned,
                    undone: 0,
                },
            )
        })
        .collect();
    for (node, state) in tally {
        let Some(target) = targets.get_mut(&node.target) else { continue };
        let counter = match state {
            StepState::Succeeded { how, .. } if how.changed() => &mut target.changed,
            StepState::Succeeded { .. } => &mut target.already,
            StepState::Failed(_) | StepState::Unknown(_) | StepState::Intent(_) | StepState::Stale { .. } => {
                &mut target.failed
            }
            StepState::Skipped { .. } => continue,
        };
        *counter += 1;
        target.skipped = target.skipped.saturating_sub(1);
    }
    for target in targets.values_mut() {
        if target.failed == 0 && target.skipped == 0 && finished.outcome == RunOutcome::Succeeded {
            target.result = RunOutcome::Succeeded;
        }
    }
    Receipt {
        run: record.run.clone(),
        use_id: record.use_id.clone(),
        targets,
        started_at: started_at_ms / 1000,
        ended_at: ended_at_ms / 1000,
        providers: record.providers.iter().map(|(name, p)| (name.clone(), p.executable.clone())).collect(),
        result: finished.outcome,
    }
}

/// Signs a receipt with the executor's key.
///
/// # Errors
/// When the key cannot be read or made.
pub fn sign(engine: &Engine, artifact: &Artifact, receipt: &Receipt) -> Result<Vec<u8>, EngineError> {
    let path = engine.places.state.join(EXECUTOR_KEY);
    let signer = if path.exists() {
        rectify_keys::load_signer(&path, &mut rectify_keys::no_passphrase)?
    } else {
        rectify_keys::generate(&path, "rectify executor", None)?
    };
    Ok(attest(artifact.digests, receipt, &[&signer])?)
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
    crate::artifact::replace(&path, bytes)?;
    Ok(path)
}
