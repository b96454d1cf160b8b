//! `apply`: a sealed plan and nothing else. The gate is passed here, by the executor itself; then
//! the step function decides, a driver does, and the journal keeps every intent before its effect.

mod crash;
mod driver;
mod receipt;
mod sessions;

pub use receipt::EXECUTOR_KEY;

use crate::{
    Engine, EngineError, Event,
    artifact::Artifact,
    error::FileVerb,
    gate, identity, lock,
    project::Project,
    project_key, retention,
    rundir::RunDirectory,
    secrets::{self, Secrets},
};
use rectify_apply::{Finished, Options, RunState};
use rectify_attest::{AdmissionInput, Admitted, Receipt};
use rectify_base::{Digest, TypeName};
use rectify_compile::Connection;
use rectify_host::crash::{Point, reached};
use rectify_model::{
    Plan,
    journal::{self, Admission, ProviderRecord, RunId, RunRecord},
    plan::PlanTarget,
};
use rectify_store::{Journal, SqliteJournal};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use tracing::{Instrument, debug_span};

/// File name of the journal in the state directory.
pub const JOURNAL: &str = "journal.sqlite";

/// How strongly a run was asked to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Not at all.
    #[default]
    No,
    /// Start nothing new, finish what is under way.
    Gracefully,
    /// End the providers now.
    Now,
}

/// What is to be applied.
pub struct ApplyRequest<'a> {
    /// Directory of the project; how targets are reached is read from its inventory.
    pub project: &'a Path,
    /// The sealed plan.
    pub plan: &'a Path,
    /// Changes when somebody wants to stop.
    pub stop: tokio::sync::watch::Receiver<Stop>,
}

/// What came of it.
#[derive(Debug)]
pub struct Applied {
    /// The run.
    pub run: RunId,
    /// How it ended, and why not well.
    pub finished: Finished,
    /// The receipt.
    pub receipt: Receipt,
    /// Where the signed receipt lies; absent if it could not be written.
    pub receipt_path: Option<PathBuf>,
    /// What went wrong after the run had ended: with the journal's last record, or the receipt.
    pub problems: Vec<EngineError>,
}

/// Admits a plan as this machine sees it now.
///
/// # Errors
/// When policy cannot decide, or [`EngineError::Refused`] with every reason.
pub async fn admit(engine: &Engine, project: &Path, artifact: &Artifact) -> Result<Admitted, EngineError> {
    let trust = gate::required_trust(engine)?;
    let plan = artifact.plan()?;
    let notes = rectify_check::check_alone(&plan);
    if !notes.is_empty() {
        return Err(EngineError::Unsound { notes });
    }
    let gate = gate::of_project(engine, project)?;
    let envelopes = artifact.envelopes()?;
    let now = (engine.now_ms)() / 1000;
    let overridden = rectify_attest::overridden(&artifact.bytes, &envelopes, &trust, now);
    let decision = gate::decide_with(engine, &gate, &plan, overridden).await?;
    rectify_attest::admit(&AdmissionInput {
        plan: &artifact.bytes,
        envelopes: &envelopes,
        trust: &trust,
        decision: &decision,
        now: (engine.now_ms)() / 1000,
    })
    .map_err(|refusals| EngineError::Refused { refusals })
}

/// Applies a sealed plan.
///
/// # Errors
/// When it is not admitted, its permission is used up, or the journal fails. A run that began ends
/// with [`Applied`], whatever its outcome.
pub async fn apply(engine: &Engine, request: ApplyRequest<'_>) -> Result<Applied, EngineError> {
    let artifact = Artifact::read(request.plan)?;
    let plan = artifact.plan()?;
    let connections = connections(engine, request.project, &plan)?;
    let admitted = admit(engine, request.project, &artifact).instrument(debug_span!("admit")).await?;
    prepare_state(&engine.places.state)?;
    // Everything that can fail without a change comes before the permission is used.
    let signer = receipt::executor(engine)?;
    verify_identities(&plan, &connections, request.project)?;
    let trust = gate::trust(engine)?;
    let mut vault = Secrets::new(
        engine,
        request.project,
        trust.as_ref(),
        plan.targets.values().flat_map(|target| target.secrets.values()).map(|planned| &planned.origin),
    );
    let key = |_: &_, target: &PlanTarget| project_key::of_target(engine, request.project, &target.identity);
    let values = secrets::of_plan(&mut vault, &plan, key)?;
    let run = RunId::derive(admitted.use_id(), plan.targets.keys());
    let _locks = lock::take(&engine.places.state, &plan, &run)?;
    let store = Arc::new(SqliteJournal::open(&engine.places.state.join(JOURNAL)).await?);
    let record = run_record(engine, &artifact, &plan, &admitted, &run)?;
    for (name, target) in &plan.targets {
        let Some(connection) = connections.get(name) else { continue };
        crate::facts::verify(engine, name, &target.assumptions, connection, request.project)
            .instrument(debug_span!("facts", target = %name))
            .await?;
    }
    let started_at_ms = record.started_at_ms;
    let options = Options { fence: record.fence, ..Options::default() };
    let state = RunState::new(&plan, &record.use_id, record.expires_at_ms, options)?
        .with_deadlines(&deadlines(engine, &plan));
    reached(Point::BeforeRun);
    // From here on the run needs nothing but what is kept.
    RunDirectory::of(&engine.places.state, &run).keep(&artifact, request.project)?;
    store.begin_run(&record).await?;
    reached(Point::Begun);
    engine.events.on(&Event::RunStarted { run: run.to_string(), changes: plan.counts.changes() });
    let sessions = sessions::Sessions::new(engine, &connections, request.project, values);
    let (finished, tally) =
        driver::drive(engine, Arc::clone(&store), &run, &plan, state, sessions, request.stop)
            .instrument(debug_span!("drive", %run))
            .await?;
    let receipt = receipt::receipt(
        &record,
        &plan,
        &admitted.overrides,
        &finished,
        tally,
        (started_at_ms, (engine.now_ms)()),
    );
    // The outcome is what matters: nothing that fails from here on may hide it.
    let mut problems = Vec::new();
    let mut receipt_path = None;
    if let Err(error) = store.finish_run(&run, (engine.now_ms)(), finished.outcome, None).await {
        problems.push(error.into());
    }
    reached(Point::Ended);
    match receipt::sign(&signer, &artifact, &receipt) {
        Err(error) => problems.push(error),
        Ok(bytes) => {
            match receipt::write(&artifact, &run, &bytes) {
                Ok(path) => receipt_path = Some(path),
                Err(error) => problems.push(error),
            }
            if problems.is_empty()
                && let Err(error) =
                    store.finish_run(&run, (engine.now_ms)(), finished.outcome, Some(bytes)).await
            {
                problems.push(error.into());
            }
        }
    }
    if let Some(trust) = &trust {
        retention::after_run(engine, &store, trust.data().retention.keep_days).await;
    }
    engine.events.on(&Event::RunEnded { run: run.to_string(), outcome: finished.outcome.as_str().into() });
    Ok(Applied { run, finished, receipt, receipt_path, problems })
}

/// Refuses before anything is begun if a target is not the one that the plan was made for. The run
/// verifies it again.
fn verify_identities(
    plan: &Plan,
    connections: &BTreeMap<rectify_base::TargetName, Connection>,
    project: &Path,
) -> Result<(), EngineError> {
    for (name, target) in &plan.targets {
        let Some(connection) = connections.get(name) else { continue };
        if identity::observe(name, connection, project)? != target.identity {
            return Err(EngineError::OtherTarget { target: name.clone() });
        }
    }
    Ok(())
}

/// How long an operation of each type may take, as its manifest says.
fn deadlines(engine: &Engine, plan: &Plan) -> BTreeMap<TypeName, u64> {
    let limit = |name: &TypeName| {
        let descriptor = engine.providers.of_type(name)?.manifest.descriptor(name)?;
        Some((name.clone(), descriptor.apply_timeout_ms))
    };
    plan.types.keys().filter_map(limit).collect()
}

/// How the targets of a plan are reached, from the inventory as it is now. Their identities are
/// verified later, so a changed inventory cannot redirect an approved change.
fn connections(
    engine: &Engine,
    directory: &Path,
    plan: &Plan,
) -> Result<BTreeMap<rectify_base::TargetName, Connection>, EngineError> {
    let project = Project::read(directory)?;
    let manifests = engine.providers.manifests();
    let input = rectify_compile::Input { files: &project.files, manifests: &manifests, select: None };
    let output = rectify_compile::compile(&input);
    plan.targets
        .keys()
        .map(|target| {
            let connection = output.connections.get(target).cloned();
            let connection =
                connection.ok_or_else(|| EngineError::UnknownTarget { target: target.clone() })?;
            // Resolved once, so that nobody can put another directory there between two uses.
            let root = identity::root_of(&connection, directory);
            let root = root.map(|root| root.to_string_lossy().into_owned());
            Ok((target.clone(), Connection::Local { root }))
        })
        .collect()
}

/// Makes the private directories of the engine.
///
/// # Errors
/// When one cannot be made.
pub fn prepare_state(state: &Path) -> Result<(), EngineError> {
    use std::os::unix::fs::DirBuilderExt;
    for directory in [state.to_owned(), state.join("ledger"), state.join("blobs")] {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(|e| EngineError::file(FileVerb::Write, &directory, e))?;
    }
    Ok(())
}

fn run_record(
    engine: &Engine,
    artifact: &Artifact,
    plan: &Plan,
    admitted: &Admitted,
    run: &RunId,
) -> Result<RunRecord, EngineError> {
    let mut providers = BTreeMap::new();
    for name in plan.types.keys() {
        let provider = crate::observe::provider_of(engine, name)?;
        let manifest = &provider.manifest;
        let digest =
            manifest.digest().map_err(|source| EngineError::Document { path: PathBuf::new(), source })?;
        if plan.types.get(name).is_some_and(|facts| facts.manifest != digest) {
            return Err(EngineError::TypeUnavailable {
                name: name.to_string(),
                message: "the provider's manifest is not the one that the plan was made with".into(),
            });
        }
        providers.insert(
            manifest.name.clone(),
            ProviderRecord {
                version: manifest.version.clone(),
                manifest: digest,
                executable: provider.identity.clone(),
            },
        );
    }
    let use_id = admitted.use_id().clone();
    let mut approvals: Vec<Digest> = admitted.approvals.iter().map(|approval| approval.envelope).collect();
    approvals.sort();
    let mut overrides: Vec<Digest> = admitted.overrides.iter().map(|used| used.envelope).collect();
    overrides.sort();
    Ok(RunRecord {
        format: journal::FORMAT.into(),
        run: run.clone(),
        use_id,
        plan: artifact.digests,
        targets: plan.targets.keys().cloned().collect(),
        admission: Admission { seal: admitted.seal_envelope, approvals, bundle: admitted.bundle, overrides },
        providers,
        fence: 1,
        started_at_ms: (engine.now_ms)(),
        expires_at_ms: admitted.expires_at.saturating_mul(1000),
    })
}

/// The root directory of a connection, for sessions.
pub(crate) fn root(connection: &Connection, project: &Path) -> Option<PathBuf> {
    identity::root_of(connection, project)
}
