//! The gate: which policy applies, what it says, and whom this machine trusts.

use crate::{
    Engine, EngineError, Providers, error::FileVerb, files::read_text, history, project::Project, providers,
    validate::Compiled,
};
use rectify_attest::TrustFile;
use rectify_base::limits::SOURCE_MAX_BYTES;
use rectify_compile::Output;
use rectify_host::policy::CompiledZones;
use rectify_model::{Decision, Plan, journal::RunId};
use rectify_policy::{
    Bundle, Clock, Explanation, History, ProviderVerdict, Surroundings, TestReport, Zones,
    surroundings::HISTORY_S,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Name of the bundle that comes with Rectify.
pub const STANDARD: &str = "standard";

/// Most runs of the journal that are looked at for a decision. Were there more within the window, the
/// history says that it is not complete.
const HISTORY_RUNS_MAX: u32 = 10_000;

/// What decides on the plans of a project, from its sources as they are now.
#[derive(Clone, Debug)]
pub struct Gate {
    /// The bundle.
    pub bundle: Bundle,
    /// Number of targets in the inventory, by environment.
    pub fleet: BTreeMap<String, u64>,
    /// What testers found of the locked providers, by name.
    pub verdicts: BTreeMap<String, Vec<ProviderVerdict>>,
}

/// What policy says about a plan.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It was decided.
    Decided(Decision),
    /// There is nothing to decide on: the plan changes nothing and cannot be sealed.
    Nothing,
    /// It could not be decided, which counts as denied.
    Undecided {
        /// Stable code.
        code: rectify_base::Code,
        /// Why.
        message: String,
    },
}

/// The trust file, if there is one.
///
/// # Errors
/// When it cannot be read or is not sound.
pub fn trust(engine: &Engine) -> Result<Option<TrustFile>, EngineError> {
    if !engine.places.trust.exists() {
        return Ok(None);
    }
    Ok(Some(rectify_keys::read_trust(&engine.places.trust)?))
}

/// The trust file.
///
/// # Errors
/// When there is none, or it is not sound.
pub fn required_trust(engine: &Engine) -> Result<TrustFile, EngineError> {
    trust(engine)?.ok_or_else(|| EngineError::NoTrust { path: engine.places.trust.clone() })
}

/// The policy bundle of a project. Several bundles make one, each below its own name.
///
/// # Errors
/// When a bundle's directory cannot be read.
pub fn bundle(policies: &[String], directory: &Path) -> Result<Bundle, EngineError> {
    let mut files = std::collections::BTreeMap::new();
    let single = policies.len() == 1;
    for name in policies {
        let one =
            if name == STANDARD { rectify_policy::standard() } else { read_bundle(&directory.join(name))? };
        for (path, text) in one.files {
            files.insert(if single { path } else { format!("{name}/{path}") }, text);
        }
    }
    Ok(Bundle { files })
}

fn read_bundle(directory: &Path) -> Result<Bundle, EngineError> {
    let mut bundle = Bundle::default();
    let mut open = vec![String::new()];
    while let Some(prefix) = open.pop() {
        let here = directory.join(&prefix);
        let error = |e| EngineError::file(FileVerb::Read, &here, e);
        for entry in fs::read_dir(&here).map_err(error)? {
            let entry = entry.map_err(error)?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type().map_err(error)?.is_dir() {
                open.push(format!("{name}/"));
            } else if [".rego", ".json", ".ics"].iter().any(|ending| name.ends_with(ending)) {
                bundle.files.insert(name, read_text(&entry.path(), SOURCE_MAX_BYTES)?);
            }
        }
    }
    Ok(bundle)
}

/// What decides on the plans of a project.
///
/// # Errors
/// When the project or a bundle cannot be read.
pub fn of_project(engine: &Engine, directory: &Path) -> Result<Gate, EngineError> {
    let project = Project::read(directory)?;
    let providers = Providers::of_project(engine, &project)?;
    let (manifests, locked) = (providers.manifests(), providers.locked());
    // What is decided on is said by the plan.
    let files = project.without_remediations();
    let input =
        rectify_compile::Input { files: &files, manifests: &manifests, locked: &locked, select: None };
    let output = rectify_compile::compile(&input);
    match of_output(engine, &output, directory) {
        Some(gate) => gate,
        None => Err(EngineError::Sources { diagnostics: output.diagnostics, files: project.files }),
    }
}

/// Nothing if the project file could not be read.
fn of_output(engine: &Engine, output: &Output, directory: &Path) -> Option<Result<Gate, EngineError>> {
    let settings = output.settings.as_ref()?;
    let gate = || {
        let bundle = bundle(&settings.policies, directory)?;
        let verdicts = providers::verdicts(engine, directory)?;
        Ok(Gate { bundle, fleet: output.fleet.clone(), verdicts })
    };
    Some(gate())
}

/// Lets a project's policy decide on a plan, now, in the confined child, where nothing is overridden.
///
/// # Errors
/// When it could not be decided. That counts as denied.
pub async fn decide(engine: &Engine, gate: &Gate, plan: &Plan) -> Result<Decision, EngineError> {
    decide_with(engine, gate, plan, BTreeSet::new()).await
}

/// The same where these rules are overridden. Who lets a run rest on the answer asks
/// [`rectify_attest::overridden`] for them, and nobody else.
///
/// # Errors
/// As for [`decide`].
pub async fn decide_with(
    engine: &Engine,
    gate: &Gate,
    plan: &Plan,
    overrides: BTreeSet<String>,
) -> Result<Decision, EngineError> {
    decide_for(engine, gate, plan, overrides, None).await
}

/// The same for a run that goes on: it is none of those before it.
///
/// # Errors
/// As for [`decide`].
pub async fn decide_for(
    engine: &Engine,
    gate: &Gate,
    plan: &Plan,
    overrides: BTreeSet<String>,
    resumed: Option<&RunId>,
) -> Result<Decision, EngineError> {
    let input = input(engine, gate, plan, overrides, resumed).await?;
    let helpers = &engine.helpers;
    let decided =
        rectify_host::policy::evaluate(&helpers.policy, &helpers.policy_arguments, &gate.bundle, &input);
    Ok(decided.await?)
}

/// What policy sees of a plan, now and here.
async fn input(
    engine: &Engine,
    gate: &Gate,
    plan: &Plan,
    overrides: BTreeSet<String>,
    resumed: Option<&RunId>,
) -> Result<serde_json::Value, EngineError> {
    let seconds = (engine.now_ms)() / 1000;
    let surroundings = Surroundings {
        now: clock(&gate.bundle, i64::try_from(seconds).unwrap_or(i64::MAX)),
        fleet: gate.fleet.clone(),
        history: recent(engine, seconds, resumed).await?,
        overrides,
        verdicts: gate.verdicts.clone(),
    };
    Ok(rectify_policy::input(plan, &surroundings))
}

/// Runs the tests of a bundle in the confined child: of the one in a directory, or of the project's.
///
/// # Errors
/// When the bundle cannot be read, or is refused before its tests are run.
pub async fn test(
    engine: &Engine,
    project: &Path,
    directory: Option<&Path>,
) -> Result<TestReport, EngineError> {
    let bundle = match directory {
        Some(directory) => read_bundle(directory)?,
        None => of_project(engine, project)?.bundle,
    };
    let helpers = &engine.helpers;
    Ok(rectify_host::policy::test(&helpers.policy, &helpers.policy_arguments, &bundle).await?)
}

/// Lets a project's policy decide on a plan, and say what each rule did.
///
/// # Errors
/// As for [`decide`].
pub async fn explain(engine: &Engine, project: &Path, plan: &Plan) -> Result<Explanation, EngineError> {
    let gate = of_project(engine, project)?;
    let input = input(engine, &gate, plan, BTreeSet::new(), None).await?;
    let helpers = &engine.helpers;
    let explained =
        rectify_host::policy::explain(&helpers.policy, &helpers.policy_arguments, &gate.bundle, &input);
    Ok(explained.await?)
}

/// The moment on the clocks that a bundle asks for.
fn clock(bundle: &Bundle, seconds: i64) -> Clock {
    let (mut clock, zones) = (Clock::utc(seconds), CompiledZones::default());
    for name in bundle.zones() {
        let offset = zones.offset(&name, seconds);
        // An unknown zone stays out of the clock: the rule that asks for it then fails, closed.
        if let Some(offset) = offset {
            clock = clock.with_zone(name, offset);
        }
    }
    clock
}

/// What this machine applied lately, by its journal.
async fn recent(engine: &Engine, now_unix_s: u64, resumed: Option<&RunId>) -> Result<History, EngineError> {
    let runs = history::list(engine, HISTORY_RUNS_MAX).await?;
    let mut recent = History::default();
    for summary in runs.iter().filter(|summary| Some(&summary.run.run) != resumed) {
        recent.count(now_unix_s, summary.run.started_at_ms / 1000, &summary.run.targets);
    }
    let earliest = runs.last().map(|summary| summary.run.started_at_ms / 1000);
    let all_seen = u32::try_from(runs.len()).is_ok_and(|seen| seen < HISTORY_RUNS_MAX)
        || earliest.is_some_and(|began| now_unix_s.saturating_sub(began) >= HISTORY_S);
    recent.complete = all_seen;
    Ok(recent)
}

/// What policy would say, for the reader of a fresh plan.
pub async fn advise(engine: &Engine, compiled: &Compiled, plan: &Plan) -> Verdict {
    if plan.counts.changes() == 0 {
        return Verdict::Nothing;
    }
    let decided = match of_output(engine, &compiled.output, &compiled.project.directory) {
        Some(Ok(gate)) => decide(engine, &gate, plan).await,
        Some(Err(error)) => Err(error),
        None => Err(EngineError::Sources {
            diagnostics: compiled.output.diagnostics.clone(),
            files: compiled.project.files.clone(),
        }),
    };
    match decided {
        Ok(decision) => Verdict::Decided(decision),
        Err(error) => Verdict::Undecided { code: error.code(), message: error.to_string() },
    }
}
