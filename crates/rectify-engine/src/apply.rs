//! `apply`: a sealed plan and nothing else. The gate is passed here, by the executor itself; then
//! the step function decides, a driver does, and the journal keeps every intent before its effect.

mod asks;
mod clock;
mod crash;
mod driver;
mod fence;
mod looks;
mod receipt;
mod resume;
mod sessions;
mod tell;

pub use receipt::{EXECUTOR_KEY, executor};
pub use resume::{ResumeRequest, resume};

use crate::{
    Engine, EngineError, Event, Providers,
    artifact::Artifact,
    audit,
    error::FileVerb,
    gate, identity,
    lease::Held,
    project::Project,
    project_key, retention,
    rundir::RunDirectory,
    secrets::{self, Secrets},
};
use driver::Drive;
use rectify_apply::{Finished, Options, RunState};
use rectify_attest::{AdmissionInput, Admitted, Receipt, Signer};
use rectify_audit::Actor;
use rectify_base::{Digest, TypeName};
use rectify_compile::Connection;
use rectify_host::crash::{Point, reached};
use rectify_keys::LocalSigner;
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

/// What a call had to do with a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// It took the run up where it was broken off.
    Rest,
    /// Only its receipt was missing.
    Receipt,
    /// Nothing: the run had ended before.
    Nothing,
}

/// What came of it.
#[derive(Debug)]
pub struct Applied {
    /// The run.
    pub run: RunId,
    /// How it ended, and why not well.
    pub finished: Finished,
    /// What this call had to do with it.
    pub part: Part,
    /// The receipt; absent if it could not be made.
    pub receipt: Option<Receipt>,
    /// Where the signed receipt lies; absent if it could not be written.
    pub receipt_path: Option<PathBuf>,
    /// What went wrong after the run had ended: with the journal's last record, or the receipt.
    pub problems: Vec<EngineError>,
}

/// Admits a plan as this machine sees it now. A run that is `resumed` does not count as one of those that
/// policy looks back on.
///
/// # Errors
/// When policy cannot decide, or [`EngineError::Refused`] with every reason.
pub async fn admit(
    engine: &Engine,
    project: &Path,
    artifact: &Artifact,
    resumed: Option<&RunId>,
) -> Result<Admitted, EngineError> {
    let trust = gate::required_trust(engine)?;
    let plan = artifact.plan()?;
    let notes = rectify_check::check_alone(&plan);
    if !notes.is_empty() {
        return Err(EngineError::Unsound { notes });
    }
    let gate = gate::of_project(engine, project)?;
    let envelopes = artifact.envelopes()?;
    let now = (engine.now_ms)() / 1000;
    let overridden = rectify_attest::overridden(artifact.bytes(), &envelopes, &trust, now);
    let decision = gate::decide_for(engine, &gate, &plan, overridden, resumed).await?;
    rectify_attest::admit(&AdmissionInput {
        plan: artifact.bytes(),
        envelopes: &envelopes,
        trust: &trust,
        decision: &decision,
        now: (engine.now_ms)() / 1000,
    })
    .map_err(|refusals| EngineError::Refused { refusals })
}

/// The same, and the log keeps a refusal.
async fn let_in(
    engine: &Engine,
    project: &Path,
    artifact: &Artifact,
    resumed: Option<&RunId>,
) -> Result<Admitted, EngineError> {
    let admitted = admit(engine, project, artifact, resumed).await;
    if let Err(EngineError::Refused { refusals }) = &admitted {
        audit::note_refused(engine, artifact.digests.blake3, refusals).await;
    }
    admitted
}

/// Applies a sealed plan. If its permission was used by a run here already, that run goes on, or is told
/// of if it has ended.
///
/// # Errors
/// When it is not admitted, or the journal fails. A run that began ends with [`Applied`], whatever its
/// outcome.
pub async fn apply(engine: &Engine, request: ApplyRequest<'_>) -> Result<Applied, EngineError> {
    let artifact = Artifact::read(request.plan)?;
    let plan = artifact.plan()?;
    if let Some(run) = resume::begun(engine, &artifact, &plan).await? {
        let request = ResumeRequest { run: &run, project: Some(request.project), stop: request.stop };
        return resume::resume(engine, request).await;
    }
    let project = Project::read(request.project)?;
    let carrying = Providers::of_project(engine, &project)?;
    let connections = connections(&project, &carrying, &plan)?;
    let admitted = let_in(engine, request.project, &artifact, None).instrument(debug_span!("admit")).await?;
    prepare_state(&engine.places.state)?;
    // Everything that can fail without a change comes before the permission is used.
    let signer = receipt::executor(engine)?;
    verify_identities(&plan, &connections, request.project)?;
    let values = values(engine, request.project, &plan)?;
    let records = providers(&carrying, &plan)?;
    let run = RunId::derive(admitted.use_id(), plan.targets.keys());
    rectify_store::space::require(&engine.places.state, artifact.bytes().len() as u64)?;
    let store = Arc::new(SqliteJournal::open(&engine.places.state.join(JOURNAL)).await?);
    store.act_as(actor(&signer));
    for (name, target) in &plan.targets {
        let Some(connection) = connections.get(name) else { continue };
        crate::facts::verify(engine, &carrying, name, &target.assumptions, connection, request.project)
            .instrument(debug_span!("facts", target = %name))
            .await?;
    }
    let held = Held::take(engine, &store, &plan, &run).await?;
    // From here on the run needs nothing but what is kept.
    let kept = RunDirectory::of(&engine.places.state, &run);
    let end =
        Ending { engine, store: &store, signer: &signer, artifact: &artifact, kept: &kept, plan: &plan };
    let begun = async {
        let record = run_record(engine, &artifact, &plan, &admitted, &run, (records, held.fence()));
        let options = Options { fence: record.fence, ..Options::default() };
        let state = RunState::new(&plan, &record.use_id, record.expires_at_ms, options)?
            .with_deadlines(&deadlines(&carrying, &plan));
        kept.keep(&artifact, request.project)?;
        reached(Point::BeforeRun);
        store.begin_run(&record).await?;
        reached(Point::Begun);
        Ok::<_, EngineError>((record.expires_at_ms, state))
    };
    let (expires_at_ms, state) = match begun.await {
        Ok(begun) => begun,
        Err(error) => {
            held.give_back(engine).await;
            return Err(error);
        }
    };
    engine.events.on(&Event::RunStarted { run: run.to_string(), changes: plan.counts.changes() });
    let drive = Drive {
        engine,
        store: Arc::clone(&store),
        run: &run,
        plan: &plan,
        expires_at_ms,
        sessions: sessions::Sessions::new(engine, &carrying, &connections, request.project, values),
        stop: request.stop,
        ending: held.ending(),
    };
    let finished = end.busy(driver::drive(drive, state)).instrument(debug_span!("drive", %run)).await?;
    Ok(end.conclude(&run, finished, Part::Whole, held).await)
}

/// Who writes the audit log.
fn actor(signer: &LocalSigner) -> Actor {
    Actor { keyid: Some(signer.public_key().fingerprint()), ..Actor::executor() }
}

/// What the end of a run needs.
struct Ending<'a> {
    engine: &'a Engine,
    store: &'a Arc<SqliteJournal>,
    signer: &'a LocalSigner,
    artifact: &'a Artifact,
    kept: &'a RunDirectory,
    plan: &'a Plan,
}

impl Ending<'_> {
    /// Makes checkpoints while a run is at work.
    async fn busy<T>(&self, work: impl Future<Output = T>) -> T {
        let checkpoints = audit::while_busy(self.engine, Arc::clone(self.store), self.signer);
        tokio::select! {
            biased;
            done = work => done,
            () = checkpoints => std::future::pending().await,
        }
    }

    /// Writes down how a run ended, and proves it. The outcome is what matters: nothing that fails here
    /// may hide it.
    async fn conclude(&self, run: &RunId, finished: Finished, part: Part, held: Held) -> Applied {
        let Self { engine, store, .. } = *self;
        let mut problems = Vec::new();
        let (mut receipt_path, mut receipt) = (None, None);
        let now_ms = (engine.now_ms)();
        if let Err(error) = store.finish_run(run, now_ms, finished.outcome, None).await {
            problems.push(error.into());
        }
        reached(Point::Ended);
        match self.prove(run, &finished).await {
            Err(error) => problems.push(error),
            Ok((told, bytes)) => {
                receipt = Some(told);
                match receipt::write(self.artifact, self.kept, run, &bytes) {
                    Ok(path) => receipt_path = Some(path),
                    Err(error) => problems.push(error),
                }
                if problems.is_empty()
                    && let Err(error) = store.finish_run(run, now_ms, finished.outcome, Some(bytes)).await
                {
                    problems.push(error.into());
                }
            }
        }
        // Without a trust file nothing says how long, and nothing is deleted.
        if let Ok(Some(trust)) = gate::trust(engine) {
            retention::after_run(engine, store, trust.data().retention.keep_days).await;
        }
        if let Err(error) = held.release((engine.now_ms)()).await {
            problems.push(error);
        }
        engine
            .events
            .on(&Event::RunEnded { run: run.to_string(), outcome: finished.outcome.as_str().into() });
        Applied { run: run.clone(), part, finished, receipt, receipt_path, problems }
    }

    /// The receipt and its signed bytes, over a fresh checkpoint of the audit log.
    async fn prove(&self, run: &RunId, finished: &Finished) -> Result<(Receipt, Vec<u8>), EngineError> {
        let checkpoint = audit::checkpoint(self.engine, self.store, self.signer).await?;
        let loaded = self.store.load_run(run).await?;
        let overrides = receipt::overrides(loaded.view.run(), self.artifact)?;
        let ended_at_ms = loaded.finished_at_ms.unwrap_or_else(self.engine.now_ms);
        let mut receipt = receipt::receipt(&loaded.view, self.plan, overrides, finished.outcome, ended_at_ms);
        receipt.checkpoint = Some(String::from_utf8_lossy(&checkpoint).into_owned());
        let bytes = receipt::sign(self.signer, self.artifact, &receipt)?;
        Ok((receipt, bytes))
    }
}

/// The values of the secrets that a plan's steps need, if they are those that it was made with.
fn values(
    engine: &Engine,
    project: &Path,
    plan: &Plan,
) -> Result<BTreeMap<rectify_base::TargetName, secrets::Values>, EngineError> {
    let trust = gate::trust(engine)?;
    let origins = plan.targets.values().flat_map(|target| target.secrets.values());
    let mut vault = Secrets::new(engine, project, trust.as_ref(), origins.map(|planned| &planned.origin));
    let key = |_: &_, target: &PlanTarget| project_key::of_target(engine, project, &target.identity);
    secrets::of_plan(&mut vault, plan, key)
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
fn deadlines(providers: &Providers, plan: &Plan) -> BTreeMap<TypeName, u64> {
    let limit = |name: &TypeName| {
        let descriptor = providers.of_type(name)?.manifest.descriptor(name)?;
        Some((name.clone(), descriptor.apply_timeout_ms))
    };
    plan.types.keys().filter_map(limit).collect()
}

/// How the targets of a plan are reached, from the inventory as it is now. Their identities are
/// verified later, so a changed inventory cannot redirect an approved change.
fn connections(
    project: &Project,
    providers: &Providers,
    plan: &Plan,
) -> Result<BTreeMap<rectify_base::TargetName, Connection>, EngineError> {
    // What steps there are is said by the plan.
    let files = project.without_remediations();
    let (manifests, locked) = (providers.manifests(), providers.locked());
    let input =
        rectify_compile::Input { files: &files, manifests: &manifests, locked: &locked, select: None };
    let output = rectify_compile::compile(&input);
    let directory = &project.directory;
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

/// What carries a plan out, if it is what the plan was made with. Each program is opened, so that one that
/// is not as it was locked is found before anything is begun; it is compared again at each start.
fn providers(carrying: &Providers, plan: &Plan) -> Result<BTreeMap<String, ProviderRecord>, EngineError> {
    for (name, planned) in &plan.providers {
        let locked = carrying.named(name).and_then(|provider| provider.locked.as_ref());
        if locked != Some(planned) {
            return Err(EngineError::ProviderMoved {
                name: name.clone(),
                expected: format!("{} (release {})", planned.version, planned.release),
                found: match locked {
                    Some(other) => format!("{} (release {}) is locked", other.version, other.release),
                    None => "none is locked".to_owned(),
                },
            });
        }
    }
    let mut providers = BTreeMap::new();
    for name in plan.types.keys() {
        let provider = carrying.require(name)?;
        if provider.locked.is_some() && !plan.providers.contains_key(&provider.manifest.name) {
            return Err(EngineError::ProviderMoved {
                name: provider.manifest.name.clone(),
                expected: "as a part of Rectify".to_owned(),
                found: "it is a locked one now".to_owned(),
            });
        }
        let manifest = &provider.manifest;
        let digest =
            manifest.digest().map_err(|source| EngineError::Document { path: PathBuf::new(), source })?;
        if plan.types.get(name).is_some_and(|facts| facts.manifest != digest) {
            return Err(EngineError::TypeUnavailable {
                name: name.to_string(),
                message: "the provider's manifest is not the one that the plan was made with".into(),
            });
        }
        provider.open()?;
        providers.insert(
            manifest.name.clone(),
            ProviderRecord {
                version: manifest.version.clone(),
                manifest: digest,
                executable: provider.identity.clone(),
            },
        );
    }
    Ok(providers)
}

fn run_record(
    engine: &Engine,
    artifact: &Artifact,
    plan: &Plan,
    admitted: &Admitted,
    run: &RunId,
    (providers, fence): (BTreeMap<String, ProviderRecord>, u64),
) -> RunRecord {
    let use_id = admitted.use_id().clone();
    let mut approvals: Vec<Digest> = admitted.approvals.iter().map(|approval| approval.envelope).collect();
    approvals.sort();
    let mut overrides: Vec<Digest> = admitted.overrides.iter().map(|used| used.envelope).collect();
    overrides.sort();
    RunRecord {
        format: journal::FORMAT.into(),
        run: run.clone(),
        use_id,
        plan: artifact.digests,
        targets: plan.targets.keys().cloned().collect(),
        admission: Admission { seal: admitted.seal_envelope, approvals, bundle: admitted.bundle, overrides },
        providers,
        fence,
        started_at_ms: (engine.now_ms)(),
        expires_at_ms: admitted.expires_at.saturating_mul(1000),
    }
}

/// The root directory of a connection, for sessions.
pub(crate) fn root(connection: &Connection, project: &Path) -> Option<PathBuf> {
    identity::root_of(connection, project)
}
