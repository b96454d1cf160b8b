//! The gate: which policy applies, what it says, and whom this machine trusts.

use crate::{Engine, EngineError, error::FileVerb, files::read_text, validate::Compiled};
use rectify_attest::TrustFile;
use rectify_base::limits::SOURCE_MAX_BYTES;
use rectify_model::{Decision, Plan};
use rectify_policy::{Bundle, Clock};
use std::{fs, path::Path};

/// Name of the bundle that comes with Rectify.
pub const STANDARD: &str = "standard";

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
            } else if name.ends_with(".rego") || name.ends_with(".json") {
                bundle.files.insert(name, read_text(&entry.path(), SOURCE_MAX_BYTES)?);
            }
        }
    }
    Ok(bundle)
}

/// Lets a bundle decide on a plan, now, in the confined child.
///
/// # Errors
/// When it could not be decided. That counts as denied.
pub async fn decide(engine: &Engine, bundle: &Bundle, plan: &Plan) -> Result<Decision, EngineError> {
    let seconds = i64::try_from((engine.now_ms)() / 1000).unwrap_or(i64::MAX);
    let mut clock = Clock::utc(seconds);
    for name in bundle.zones() {
        let offset = jiff::Timestamp::from_second(seconds)
            .ok()
            .zip(jiff::tz::TimeZone::get(&name).ok())
            .map(|(moment, zone)| zone.to_offset(moment).seconds());
        // An unknown zone stays out of the clock: the rule that asks for it then fails, closed.
        if let Some(offset) = offset {
            clock = clock.with_zone(name, offset);
        }
    }
    let input = rectify_policy::input(plan, &clock);
    let helpers = &engine.helpers;
    Ok(rectify_host::policy::evaluate(&helpers.policy, &helpers.policy_arguments, bundle, &input).await?)
}

/// What policy would say, for the reader of a fresh plan.
pub async fn advise(engine: &Engine, compiled: &Compiled, plan: &Plan) -> Verdict {
    if plan.counts.changes() == 0 {
        return Verdict::Nothing;
    }
    let policies = compiled.output.settings.as_ref().map(|s| s.policies.clone()).unwrap_or_default();
    let decided = match bundle(&policies, &compiled.project.directory) {
        Ok(bundle) => decide(engine, &bundle, plan).await,
        Err(error) => Err(error),
    };
    match decided {
        Ok(decision) => Verdict::Decided(decision),
        Err(error) => Verdict::Undecided { code: error.code(), message: error.to_string() },
    }
}
