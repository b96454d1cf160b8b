//! `resume`: a run that was broken off goes on from its journal and the plan that was kept for it.
//! Everything is verified anew; what that refuses now is not begun any more, and what is open is found
//! out, finished or taken back all the same.

use super::{
    Applied, Ending, JOURNAL, Part, Stop, actor, connections, deadlines,
    driver::{self, Drive},
    fence, let_in, prepare_state, providers, receipt,
    sessions::Sessions,
    values, verify_identities,
};
use crate::{
    Engine, EngineError, Event, Providers, artifact::Artifact, lease::Held, project::Project,
    rundir::RunDirectory, seal::SEAL_FILE,
};
use rectify_apply::{Finished, Options, Reason, RunState, codes, ending};
use rectify_attest::{Envelope, Seal, statement};
use rectify_base::Code;
use rectify_model::{
    Plan,
    journal::{Failure, GateState, Mutated, Record, RunId, RunMark, StepState, TargetState, UndoState},
};
use rectify_store::{Journal, LoadedRun, SqliteJournal, StoreError};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Which run is to go on.
pub struct ResumeRequest<'a> {
    /// The run.
    pub run: &'a RunId,
    /// Directory of the project; the one that the run was started from if absent.
    pub project: Option<&'a Path>,
    /// Changes when somebody wants to stop.
    pub stop: tokio::sync::watch::Receiver<Stop>,
}

/// The run that used the permission of this plan here, if one did. Only what it is called is taken from
/// the seal; the run's own plan must be this one.
pub(super) async fn begun(
    engine: &Engine,
    artifact: &Artifact,
    plan: &Plan,
) -> Result<Option<RunId>, EngineError> {
    let journal = engine.places.state.join(JOURNAL);
    let Some((_, seal)) = artifact.attestations()?.into_iter().find(|(name, _)| name == SEAL_FILE) else {
        return Ok(None);
    };
    let seal = Envelope::read(&seal).ok();
    let seal = seal.and_then(|e| statement::decode::<Seal>(artifact.digests, e.payload()).ok());
    let Some(seal) = seal.filter(|_| journal.exists()) else { return Ok(None) };
    let run = RunId::derive(&seal.use_id, plan.targets.keys());
    if !RunDirectory::of(&engine.places.state, &run).is_kept() {
        return Ok(None);
    }
    match SqliteJournal::open(&journal).await?.load_run(&run).await {
        Ok(loaded) if loaded.view.run().plan == artifact.digests => Ok(Some(run)),
        Ok(_) | Err(StoreError::RunUnknown { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Takes up a run. One that has ended is told of, and its receipt is made if it has none.
///
/// # Errors
/// When its plan was not kept as it was, a target is not at hand or is locked, or the journal fails.
pub async fn resume(engine: &Engine, request: ResumeRequest<'_>) -> Result<Applied, EngineError> {
    let (state, run) = (&engine.places.state, request.run);
    prepare_state(state)?;
    let store = Arc::new(SqliteJournal::open(&state.join(JOURNAL)).await?);
    let kept = RunDirectory::of(state, run);
    let loaded = store.load_run(run).await?;
    let artifact = kept.artifact(loaded.view.run().plan)?;
    let plan = artifact.plan()?;
    if let Some(told) = told(&kept, &artifact, &plan, &loaded) {
        return Ok(told);
    }
    let signer = receipt::executor(engine)?;
    store.act_as(actor(&signer));
    let held = Held::take(engine, &store, &plan, run).await?;
    let end =
        Ending { engine, store: &store, signer: &signer, artifact: &artifact, kept: &kept, plan: &plan };
    // Whoever held them may have gone on meanwhile.
    let loaded = store.load_run(run).await?;
    if let Some(told) = told(&kept, &artifact, &plan, &loaded) {
        held.give_back(engine).await;
        return Ok(told);
    }
    if loaded.outcome.is_some_and(rectify_model::journal::RunOutcome::is_final) {
        let finished = ended(&plan, &loaded);
        return Ok(end.conclude(run, finished, Part::Receipt, held).await);
    }
    match go_on(&end, &request, &loaded, &held).await {
        Ok(finished) => Ok(end.conclude(run, finished, Part::Rest, held).await),
        Err(error) => {
            held.give_back(engine).await;
            Err(error)
        }
    }
}

/// Drives a run from where it was left to its end.
async fn go_on(
    end: &Ending<'_>,
    request: &ResumeRequest<'_>,
    loaded: &LoadedRun,
    held: &Held,
) -> Result<Finished, EngineError> {
    let Ending { engine, store, artifact, kept, plan, .. } = *end;
    let (state, run) = (&engine.places.state, request.run);
    let project = match request.project {
        Some(project) => project.to_owned(),
        None => PathBuf::from(kept.origin()?.project),
    };
    let sources = Project::read(&project)?;
    let carrying = Providers::of_project(engine, &sources)?;
    let connections = connections(&sources, &carrying, plan)?;
    verify_identities(plan, &connections, &project)?;
    providers(&carrying, plan)?;
    let (expires_at_ms, no_new) = permission(engine, &project, artifact, loaded).await?;
    // What is only taken back needs no values, and a secret that was changed must not stand in its way.
    let values = match values(engine, &project, plan) {
        Err(_) if loaded.view.undoing().is_some() || no_new.is_some() => std::collections::BTreeMap::new(),
        values => values?,
    };
    let fence = held.fence();
    for target in plan.targets.values() {
        fence::raise(state, &target.identity, fence)?;
    }
    let mark = Record::Run(RunMark::Resumed { fence });
    store.append(run, (engine.now_ms)(), vec![mark]).await?;
    let loaded = store.load_run(run).await?;
    if let Some(reason) = &no_new {
        engine.events.on(&Event::NothingNew { code: reason.code, message: reason.message.clone() });
    }
    let options = Options { fence, no_new, ..Options::default() };
    let use_id = &loaded.view.run().use_id;
    let going_on = RunState::resume(plan, &loaded.view, use_id, expires_at_ms, options)?
        .with_deadlines(&deadlines(&carrying, plan));
    engine.events.on(&Event::RunResumed { run: run.to_string(), changes: plan.counts.changes() });
    let drive = Drive {
        engine,
        store: Arc::clone(store),
        run,
        plan,
        expires_at_ms,
        sessions: Sessions::new(engine, &carrying, &connections, &project, values),
        stop: request.stop.clone(),
        ending: held.ending(),
    };
    end.busy(driver::drive(drive, going_on)).await
}

/// Until when something new may be begun, and why nothing may at all.
async fn permission(
    engine: &Engine,
    project: &Path,
    artifact: &Artifact,
    loaded: &LoadedRun,
) -> Result<(u64, Option<Reason>), EngineError> {
    let record = loaded.view.run();
    let no_new = |code, message| Some(Reason { code, place: "run".into(), message });
    match let_in(engine, project, artifact, Some(&record.run)).await {
        Ok(admitted) if *admitted.use_id() == record.use_id => {
            Ok((admitted.expires_at.saturating_mul(1000), None))
        }
        Ok(_) => Err(EngineError::KeptPlan { path: artifact.path.clone() }),
        Err(EngineError::Refused { refusals }) => {
            let first = refusals.first();
            let code = first.map_or(rectify_apply::codes::EXPIRED, |refusal| refusal.code);
            let message = first.map_or_else(String::new, ToString::to_string);
            Ok((record.expires_at_ms, no_new(code, message)))
        }
        // A policy that cannot be asked has denied.
        Err(error @ EngineError::PolicyHost(_)) => {
            Ok((record.expires_at_ms, no_new(error.code(), error.to_string())))
        }
        Err(error) => Err(error),
    }
}

/// What a run came to that has ended and has its receipt.
fn told(kept: &RunDirectory, artifact: &Artifact, plan: &Plan, loaded: &LoadedRun) -> Option<Applied> {
    let outcome = loaded.outcome.filter(|outcome| outcome.is_final())?;
    let bytes = loaded.receipt.as_ref()?;
    let receipt = Envelope::read(bytes).ok();
    let receipt = receipt.and_then(|e| statement::decode(artifact.digests, e.payload()).ok());
    let run = loaded.view.run().run.clone();
    let finished = Finished { outcome, ..ended(plan, loaded) };
    // It may have been lost since; the journal has it.
    let receipt_path = receipt::write(artifact, kept, &run, bytes).ok();
    Some(Applied { run, part: Part::Nothing, finished, receipt, receipt_path, problems: Vec::new() })
}

/// How a run ended and why, from its journal.
pub fn ended(plan: &Plan, loaded: &LoadedRun) -> Finished {
    let outcome = loaded.outcome.unwrap_or_else(|| ending(&loaded.view, plan));
    let mut reasons = Vec::new();
    let mut blame = |code: Code, place: String, failure: &Failure| {
        let ours = rectify_apply::codes::ALL.iter().find(|code| code.as_str() == failure.code).copied();
        let message = match ours {
            Some(_) => failure.message.clone(),
            None => format!("{}: {}", failure.code, failure.message),
        };
        reasons.push(Reason { code: ours.unwrap_or(code), place, message });
    };
    for (target, state) in loaded.view.targets() {
        if let TargetState::Refused(failure) = state {
            blame(codes::IDENTITY, target.to_string(), failure);
        }
    }
    for (node, progress) in loaded.view.steps() {
        match &progress.state {
            StepState::Failed(failure) if !failure.not_begun() => {
                blame(codes::STEP_FAILED, node.to_string(), failure);
            }
            StepState::Unknown(failure) => blame(codes::NEEDS_OPERATOR, node.to_string(), failure),
            StepState::Stale { .. } => blame(
                codes::STALE,
                node.to_string(),
                &Failure {
                    code: codes::STALE.as_str().into(),
                    message: "changed since it was planned: it is neither as expected nor as planned".into(),
                    mutated: Mutated::No,
                },
            ),
            _ => {}
        }
    }
    for (node, state) in loaded.view.gates() {
        if let GateState::Failed(failure) = state {
            blame(codes::GATE, node.to_string(), failure);
        }
    }
    for (node, progress) in loaded.view.undo() {
        match &progress.state {
            UndoState::Failed(failure) => blame(codes::UNDO_FAILED, node.to_string(), failure),
            UndoState::Unknown(failure) => blame(codes::NEEDS_OPERATOR, node.to_string(), failure),
            UndoState::Conflict { .. } => blame(
                codes::UNDO_CONFLICT,
                node.to_string(),
                &Failure {
                    code: codes::UNDO_CONFLICT.as_str().into(),
                    message: "it was changed since; nothing was written".into(),
                    mutated: Mutated::No,
                },
            ),
            _ => {}
        }
    }
    Finished { outcome, reasons }
}
