//! The secrets of each target: those that its nodes name, as the graph and the observation say.

use crate::{Invariant, notes::Notes};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
};
use rectify_base::{FileDigests, SecretName, TargetName, secret_text};
use rectify_model::{Graph, Observation, Plan};

pub(super) fn run(
    plan: &Plan,
    graph: &Graph,
    observations: &[(Observation, FileDigests)],
    notes: &mut Notes,
) {
    let mut named: BTreeMap<&TargetName, BTreeSet<SecretName>> = BTreeMap::new();
    for node in &graph.nodes {
        secret_text::names_in(&node.desired, &mut |name| {
            named.entry(&node.target).or_default().insert(name);
        });
    }
    for (name, target) in &plan.targets {
        let Some(info) = graph.targets.get(name) else { continue };
        let none = BTreeSet::new();
        let used = info.secrets.keys().eq(named.get(name).unwrap_or(&none));
        let message = "these are not the secrets that its steps name";
        notes.require(used, Invariant::Secrets, || format!("graph:/targets/{name}/secrets"), message);
        let Some((observation, _)) = observations.iter().find(|(seen, _)| seen.target == *name) else {
            continue;
        };
        let seen = observation.secrets.keys().eq(info.secrets.keys());
        let message = "these are not the secrets that the graph names";
        notes.require(seen, Invariant::Secrets, || format!("observation:{name}:/secrets"), message);
        let same = target.secrets.len() == info.secrets.len()
            && target.secrets.iter().all(|(name, secret)| {
                info.secrets.get(name) == Some(&secret.origin)
                    && (!seen || observation.secrets.get(name) == Some(&secret.digest))
            });
        let message = "neither the graph nor the observation says so";
        notes.require(same, Invariant::Secrets, || format!("/targets/{name}/secrets"), message);
    }
}
