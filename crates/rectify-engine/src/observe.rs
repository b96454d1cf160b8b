//! Observing a target: the graph is walked, providers are asked, answers are recorded. Providers run
//! in sessions that cannot change anything.

use crate::{
    Engine, EngineError, Event, codes,
    error::FileVerb,
    identity, project_key,
    providers::Provider,
    secrets::{self, Secrets, Values},
    validate::Compiled,
};
use rectify_base::{DigestKey, Pointer, Redaction, Secret, SecretName, TargetName};
use rectify_host::{Confinement, Protection, Session, SessionSpec};
use rectify_model::{
    Observation,
    grade::{Disruption, Prediction, UndoGrade},
    observation::{Answer, Identity, Proposal, ProposedUndo},
};
use rectify_plan::{Layer, SessionEntry, Walk};
use rectify_protocol::{
    ItemError,
    message::{Directories, Mode, PlanAnswer, PlanItem},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// A target's observation, and how it was made.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The document.
    pub observation: Observation,
    /// The sessions.
    pub sessions: Vec<SessionEntry>,
}

/// Observes one target of a compiled project.
///
/// # Errors
/// When the target's identity cannot be established, or a provider breaks the protocol.
pub async fn target(
    engine: &Engine,
    compiled: &Compiled,
    target: &TargetName,
    plan_commands: &[Vec<String>],
    vault: &mut Secrets<'_>,
) -> Result<Observed, EngineError> {
    let connection = compiled
        .output
        .connections
        .get(target)
        .ok_or_else(|| EngineError::UnknownTarget { target: target.clone() })?;
    let directory = &compiled.project.directory;
    let identity = identity::observe(target, connection, directory)?;
    let root = identity::root_of(connection, directory);
    let digest_key = project_key::of_target(engine, directory, &identity)?;
    let values = match compiled.graph.targets.get(target) {
        Some(info) => vault.values(&info.secrets)?,
        None => Values::new(),
    };
    let digest = |value: &Secret| digest_key.digest(value.expose().as_bytes());
    let digests = values.iter().map(|(name, value)| (name.clone(), digest(value))).collect();
    let mut sessions: BTreeMap<String, ProviderSession> = BTreeMap::new();
    let mut walk = Walk::new(&compiled.graph, target)?;
    let mut nodes = 0;
    let graph = &compiled.graph;
    let steps = graph.nodes.iter().filter(|node| &node.target == target).count();
    let total = steps + graph.gates.iter().filter(|gate| &gate.target == target).count();
    loop {
        let ready = walk.ready();
        if ready.is_empty() {
            break;
        }
        nodes += ready.len();
        engine.events.on(&Event::Observing { target: target.clone(), nodes, total });
        let mut batches: BTreeMap<String, (Vec<usize>, Vec<PlanItem>)> = BTreeMap::new();
        for item in ready {
            let Some(node) = compiled.graph.nodes.get(item.node) else { continue };
            let provider = compiled.providers.require(&node.type_name)?;
            let (indices, items) = batches.entry(provider.manifest.name.clone()).or_default();
            indices.push(item.node);
            items.push(PlanItem {
                type_name: node.type_name.clone(),
                desired: node.desired.clone(),
                prior: item.prior,
                directories: item.directories,
            });
        }
        for (name, (indices, items)) in batches {
            if !sessions.contains_key(&name)
                && let Some(provider) = compiled.providers.named(&name)
            {
                let here = compiled.graph.nodes.iter().filter(|node| node.target == *target);
                let its = here.filter(|node| provider.manifest.descriptor(&node.type_name).is_some());
                let named = secrets::named(its.map(|node| &node.desired));
                let place = Place {
                    root: root.as_deref(),
                    digest_key: Some(digest_key.clone()),
                    secrets: values.iter().filter(|(name, _)| named.contains(*name)).map(cloned).collect(),
                    state: None,
                };
                let session = start(engine, provider, Mode::Plan, place, plan_commands).await?;
                engine.events.on(&Event::ProviderStarted {
                    provider: name.clone(),
                    confinement: Some(confinement_words(session.confinement())),
                });
                sessions.insert(name.clone(), session);
            }
            let Some(session) = sessions.get(&name) else { continue };
            let answers = session.plan(items).await?;
            for (index, answer) in indices.into_iter().zip(answers) {
                let type_name = compiled.graph.nodes.get(index).map(|node| &node.type_name);
                let facts = type_name.and_then(|name| compiled.graph.types.get(name));
                let volatile = facts.map(|facts| facts.volatile.as_slice()).unwrap_or_default();
                walk.record(index, screened(to_answer(answer), volatile, &engine.redactor.now()))?;
            }
        }
    }
    let mut observation = walk.finish(identity, compiled.graph_digests.blake3)?;
    observation.secrets = digests;
    if let Some(facts) = compiled.facts.get(target) {
        observation.facts.clone_from(facts);
    }
    let mut reports = Vec::new();
    for (provider, session) in sessions {
        reports.push(entry(target, provider, session.confinement()));
        session.shutdown().await?;
    }
    Ok(Observed { observation, sessions: reports })
}

fn cloned((name, value): (&SecretName, &Secret)) -> (SecretName, Secret) {
    (name.clone(), value.clone())
}

/// What was achieved, for the report.
fn entry(target: &TargetName, provider: String, confinement: &Confinement) -> SessionEntry {
    let layer = |protection: &Protection| match protection {
        Protection::Achieved => Layer::Achieved,
        Protection::Unavailable(reason) => Layer::Unavailable(reason.clone()),
        Protection::NotRequested => Layer::NotRequested,
    };
    let Confinement {
        mount_namespace, process_namespace, landlock, seccomp, no_new_privs, capabilities, ..
    } = confinement;
    let layers = [
        ("mount_namespace", mount_namespace),
        ("process_namespace", process_namespace),
        ("landlock", landlock),
        ("seccomp", seccomp),
        ("no_new_privs", no_new_privs),
        ("capabilities", capabilities),
    ];
    SessionEntry {
        target: target.clone(),
        provider,
        complete: confinement.is_complete(),
        layers: layers.into_iter().map(|(name, protection)| (name.to_owned(), layer(protection))).collect(),
    }
}

/// What was achieved, in one line.
fn confinement_words(confinement: &Confinement) -> String {
    let complete = if confinement.is_complete() { "confined" } else { "NOT fully confined" };
    let missing = confinement.missing();
    if missing.is_empty() { complete.into() } else { format!("{complete}; {missing}") }
}

/// Where a session works.
pub struct Place<'a> {
    /// Directory that stands for `/`.
    pub root: Option<&'a Path>,
    /// Key of digests of what others may not read.
    pub digest_key: Option<DigestKey>,
    /// Values of the secrets that its steps name.
    pub secrets: Values,
    /// Where a session that may change things keeps what outlives it.
    pub state: Option<State>,
}

/// Directories of sessions that may change a target.
pub struct State {
    ledger: PathBuf,
    blobs: PathBuf,
}

impl State {
    /// Those of a target below the engine's state directory. The ledger is the target's own, for there
    /// is its fence: a run on one target has nothing to do with runs on others.
    ///
    /// # Errors
    /// When the ledger's directory cannot be made.
    pub fn of(state: &Path, identity: &Identity) -> Result<Self, EngineError> {
        use std::os::unix::fs::DirBuilderExt;
        let (Identity::Machine(digest) | Identity::Root(digest)) = identity;
        let ledger = state.join("ledger").join(digest.hex());
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&ledger)
            .map_err(|e| EngineError::file(FileVerb::Write, &ledger, e))?;
        Ok(Self { ledger, blobs: state.join("blobs") })
    }
}

/// Starts a provider. Sessions that may not change anything are confined.
///
/// # Errors
/// When it cannot be started, or is not what its manifest says.
pub async fn start(
    engine: &Engine,
    provider: &Provider,
    mode: Mode,
    place: Place<'_>,
    plan_commands: &[Vec<String>],
) -> Result<ProviderSession, EngineError> {
    let program = provider.open()?;
    let work = work_directory()?;
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let (state, blobs) = place.state.map(|s| (text(s.ledger), text(s.blobs))).unwrap_or_default();
    let dirs = Directories { work: work.path().to_string_lossy().into_owned(), state, blobs };
    let mut spec = SessionSpec::new(program, provider.manifest.clone(), mode, dirs);
    spec.arguments.clone_from(&provider.arguments);
    spec.root = place.root.map(PathBuf::from);
    spec.digest_key = place.digest_key;
    spec.secrets = place.secrets;
    spec.redactor = engine.redactor.clone();
    spec.plan_commands = plan_commands.to_vec();
    spec.launcher = engine.helpers.launcher.clone();
    Ok(ProviderSession { session: Session::start(spec).await?, _work: work })
}

/// A private directory for one process.
pub(crate) fn work_directory() -> Result<tempfile::TempDir, EngineError> {
    tempfile::Builder::new()
        .prefix("rectify-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .tempdir()
        .map_err(|e| EngineError::file(FileVerb::Write, std::env::temp_dir(), e))
}

/// A session with its private work directory, which goes with it.
pub struct ProviderSession {
    session: Session,
    _work: tempfile::TempDir,
}

impl ProviderSession {
    /// Ends the session politely.
    ///
    /// # Errors
    /// When the provider does not end well.
    pub async fn shutdown(self) -> Result<(), EngineError> {
        self.session.shutdown().await?;
        Ok(())
    }
}

impl std::ops::Deref for ProviderSession {
    type Target = Session;
    fn deref(&self) -> &Session {
        &self.session
    }
}

fn to_answer(answer: Result<PlanAnswer, ItemError>) -> Answer {
    let invalid = |what: &str| Answer::Undecided {
        code: "INVALID_ANSWER".into(),
        message: format!("the provider answered with an unknown {what}"),
    };
    match answer {
        Err(error) => Answer::Undecided {
            code: word(&error.code).unwrap_or_default(),
            message: error.hint.map_or(error.message.clone(), |hint| format!("{}; {hint}", error.message)),
        },
        Ok(PlanAnswer::Unchanged { state, resolved }) => Answer::Unchanged { state, resolved },
        Ok(PlanAnswer::Changed { prior, planned, prediction, disruption, undo, undo_note, resolved }) => {
            let Some(prediction) = parse::<Prediction>(&prediction) else { return invalid("prediction") };
            let Some(grade) = parse::<UndoGrade>(&undo) else { return invalid("undo grade") };
            let words: Option<Vec<Disruption>> = disruption.iter().map(|word| parse(word)).collect();
            let Some(mut disruption) = words else { return invalid("disruption") };
            disruption.sort_unstable();
            disruption.dedup();
            Answer::Changed(Proposal {
                prior,
                planned,
                prediction,
                disruption,
                undo: ProposedUndo { grade, note: undo_note },
                resolved,
            })
        }
    }
}

/// An answer as it may be recorded. What is only for display is left out if it shows the value of a
/// secret, as a file may that holds it so far; an answer that shows one elsewhere is not used.
fn screened(answer: Answer, volatile: &[Pointer], redaction: &Redaction) -> Answer {
    if redaction.is_empty() {
        return answer;
    }
    let shown = |value: &Value| {
        let mut hidden = BTreeSet::new();
        redaction.value(&mut value.clone(), &mut hidden);
        hidden
    };
    let hide = |state: Option<Value>| {
        state.map(|mut state| {
            for place in volatile {
                if place.get(&state).is_some_and(|value| !shown(value).is_empty()) {
                    place.remove(&mut state);
                }
            }
            state
        })
    };
    let answer = match answer {
        Answer::Unchanged { state, resolved } => Answer::Unchanged { state: hide(state), resolved },
        Answer::Changed(proposal) => Answer::Changed(Proposal {
            prior: hide(proposal.prior),
            planned: hide(proposal.planned),
            ..proposal
        }),
        Answer::Undecided { code, message } => {
            return Answer::Undecided { code, message: redaction.text(&message).into_owned() };
        }
    };
    match serde_json::to_value(&answer).map(|value| shown(&value).pop_first()) {
        Ok(None) => answer,
        Ok(Some(name)) => Answer::Undecided {
            code: codes::PROVIDER_SECRET_LEAK.as_str().into(),
            message: format!(
                "the provider's answer shows the value of the secret `{name}`, so it is not used"
            ),
        },
        Err(error) => Answer::Undecided { code: "INVALID_ANSWER".into(), message: error.to_string() },
    }
}

fn parse<T: DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
}

/// The wire word of an enum.
pub fn word<T: Serialize>(value: &T) -> Option<String> {
    serde_json::to_value(value).ok()?.as_str().map(str::to_owned)
}
