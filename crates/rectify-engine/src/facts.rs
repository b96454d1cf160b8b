//! Facts of targets: read before compiling, and those that decided something once more before a run.
//! Both in sessions that cannot change anything.

use crate::{
    Engine, EngineError, Providers,
    error::Changed,
    identity,
    observe::{self, Place},
    project_key,
    secrets::Values,
};
use rectify_base::TargetName;
use rectify_compile::Connection;
use rectify_model::fact::{self, Assumption, Fact, Facts};
use rectify_protocol::message::{Mode, ReadItem};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// The facts that were read, by target.
pub type Told = BTreeMap<TargetName, Facts>;

/// Reads groups of facts on a target.
///
/// # Errors
/// When the target's identity cannot be established, or a group cannot be read. What a target does not
/// have is no error.
pub async fn read(
    engine: &Engine,
    providers: &Providers,
    target: &TargetName,
    connection: &Connection,
    directory: &Path,
    groups: &BTreeSet<String>,
) -> Result<Facts, EngineError> {
    let identity = identity::observe(target, connection, directory)?;
    let root = identity::root_of(connection, directory);
    let digest_key = project_key::of_target(engine, directory, &identity)?;
    let mut asked: BTreeMap<&str, Vec<(&str, ReadItem)>> = BTreeMap::new();
    for group in groups {
        let refused = |message: &str| EngineError::Fact {
            target: target.clone(),
            group: group.clone(),
            message: message.into(),
        };
        let type_name = fact::type_of(group).ok_or_else(|| refused("there is no such group"))?;
        let provider = providers.require(&type_name)?;
        let item = ReadItem { type_name, desired: Map::new(), capture: false };
        asked.entry(&provider.manifest.name).or_default().push((group, item));
    }
    let mut facts = Facts::new();
    for (name, items) in asked {
        let Some(provider) = providers.named(name) else { continue };
        let place = Place {
            root: root.as_deref(),
            digest_key: Some(digest_key.clone()),
            secrets: Values::new(),
            state: None,
        };
        let session = observe::start(engine, provider, Mode::Read, place, &[]).await?;
        let (groups, items): (Vec<&str>, Vec<ReadItem>) = items.into_iter().unzip();
        for (group, answer) in groups.into_iter().zip(session.read(items).await?) {
            let told = answer.map_err(|error| error.message).and_then(|answer| told(answer.state));
            let fact = told.map_err(|message| EngineError::Fact {
                target: target.clone(),
                group: group.to_owned(),
                message,
            })?;
            facts.insert(group.to_owned(), fact);
        }
        session.shutdown().await?;
    }
    Ok(facts)
}

/// The state of a type of facts: what was found, or why there is nothing.
fn told(state: Option<Value>) -> Result<Fact, String> {
    let fact: Result<Fact, _> = serde_json::from_value(state.unwrap_or_default());
    let fact = fact.map_err(|_| "the provider's answer is neither `value` nor `absent`".to_owned())?;
    if let Fact::Value(value) = &fact {
        rectify_base::canonical::check(value).map_err(|error| format!("the provider's answer: {error}"))?;
    }
    Ok(fact)
}

/// Reads what is assumed of a target again.
///
/// # Errors
/// [`EngineError::FactsChanged`] with everything that differs; or see [`read`].
pub async fn verify(
    engine: &Engine,
    providers: &Providers,
    target: &TargetName,
    assumptions: &[Assumption],
    connection: &Connection,
    directory: &Path,
) -> Result<(), EngineError> {
    if assumptions.is_empty() {
        return Ok(());
    }
    let groups = assumptions.iter().map(Assumption::group).collect();
    let facts = read(engine, providers, target, connection, directory, &groups).await?;
    let differs = |assumption: &&Assumption| assumption.found(&facts) != assumption.is;
    let changed: Vec<Changed> = assumptions
        .iter()
        .filter(differs)
        .map(|assumption| Changed {
            target: target.clone(),
            fact: assumption.named(),
            before: assumption.is.to_string(),
            after: assumption.found(&facts).to_string(),
        })
        .collect();
    if changed.is_empty() { Ok(()) } else { Err(EngineError::FactsChanged { changed }) }
}
