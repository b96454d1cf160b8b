//! From what a run did to a graph that takes it back: each step that changed something becomes a node
//! that wants the state before, and the edges point the other way.

use super::inverse;
use crate::{EngineError, Providers, secrets};
use rectify_base::{Address, Digest, NodeKey, TargetName};
use rectify_model::{
    Graph, Plan,
    grade::TypeKind,
    graph::{Because, Edge, EdgeKind, FORMAT, Node, RemediationInfo, TargetInfo, TypeFacts, UndoMode},
    journal::{How, Mutated, RunId, RunView, StepState, UndoState},
    plan::Step,
};
use std::collections::{BTreeMap, BTreeSet};

/// A step that stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kept {
    /// The step.
    pub node: NodeKey,
    /// Why, in a sentence.
    pub why: String,
}

/// The graph, and what it does not cover.
#[derive(Debug)]
pub struct Inverses {
    /// What is wanted; absent if nothing can be taken back.
    pub graph: Option<Graph>,
    /// Fingerprints of what the run left, by the step that is taken back; a later change of somebody else is
    /// told from it by them.
    pub left: BTreeMap<NodeKey, Digest>,
    /// Steps that stay.
    pub kept: Vec<Kept>,
}

/// What ties a plan of inverses to its run, in the reason of its remediations.
#[must_use]
pub fn marker(run: &RunId) -> String {
    format!("undo:{}", short(run))
}

/// The beginning of a run's id, as people are shown it.
#[must_use]
pub fn short(run: &RunId) -> &str {
    run.as_str().get(..16).unwrap_or(run.as_str())
}

/// Whether the step left something that has not been taken back in the run itself.
fn stands(view: &RunView, node: &NodeKey) -> bool {
    let changed = view.steps().get(node).is_some_and(|progress| match &progress.state {
        StepState::Succeeded { how, .. } => how.changed(),
        StepState::Failed(failure) => failure.mutated != Mutated::No,
        _ => false,
    });
    let back = view.undo().get(node).is_some_and(|progress| {
        matches!(
            progress.state,
            UndoState::Undone { how: How::Applied | How::Already | How::Observed | How::Judged, .. }
        )
    });
    changed && !back
}

/// Builds the graph. `taken_back` are actions that a later plan of inverses took back: nothing shows that
/// on the target.
///
/// # Errors
/// When a type is not at hand any more, or has another version.
pub fn inverses(
    providers: &Providers,
    plan: &Plan,
    view: &RunView,
    taken_back: &BTreeSet<NodeKey>,
) -> Result<Inverses, EngineError> {
    let key = |step: &Step| NodeKey { target: step.target.clone(), address: step.address.clone() };
    let standing: BTreeMap<NodeKey, &Step> = plan
        .steps
        .iter()
        .map(|step| (key(step), step))
        .filter(|(node, _)| stands(view, node) && !taken_back.contains(node))
        .collect();
    let mut types: BTreeMap<_, TypeFacts> = BTreeMap::new();
    let (mut nodes, mut left, mut kept) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for (node, step) in &standing {
        let Some(planned) = plan.types.get(&step.type_name) else { continue };
        let provider = providers.require(&step.type_name)?;
        let unavailable = |message: &str| EngineError::TypeUnavailable {
            name: step.type_name.to_string(),
            message: message.to_owned(),
        };
        let descriptor = provider.manifest.descriptor(&step.type_name);
        let descriptor = descriptor.ok_or_else(|| unavailable("no provider at hand has it"))?;
        if descriptor.version != planned.version {
            return Err(unavailable("its states are read in another way now than when the run was planned"));
        }
        let desired = match &step.undo.inverse {
            Some(inverse) => {
                let desired = inverse::desired(step, planned, descriptor, inverse.result);
                if desired.is_none() {
                    kept.push(Kept {
                        node: node.clone(),
                        why: "the plan does not hold what was there before".into(),
                    });
                } else if planned.kind == TypeKind::Resource {
                    left.insert(node.clone(), inverse.expect);
                }
                desired
            }
            // Whatever it was triggered by comes back, so it is owed once more.
            None if planned.kind == TypeKind::Action && triggers(step, &standing).next().is_some() => {
                Some(step.desired.clone())
            }
            None => {
                let note = step.undo.note.clone();
                let why = note.unwrap_or_else(|| "there is no way back for this kind of step".into());
                kept.push(Kept { node: node.clone(), why });
                None
            }
        };
        let Some(desired) = desired else { continue };
        let digest = provider.manifest.digest();
        let digest =
            digest.map_err(|source| EngineError::Document { path: std::path::PathBuf::new(), source })?;
        let facts = rectify_compile::type_facts(descriptor, digest);
        let facts = facts.ok_or_else(|| unavailable("its manifest says something unknown"))?;
        types.insert(step.type_name.clone(), facts);
        nodes.insert(node.clone(), desired);
    }
    kept.sort();
    // A trigger of nothing that comes back has nothing to do.
    let idle: Vec<NodeKey> = nodes
        .keys()
        .filter(|node| {
            standing.get(*node).is_some_and(|step| {
                step.undo.inverse.is_none()
                    && !triggers(step, &standing).any(|from| nodes.contains_key(&from))
            })
        })
        .cloned()
        .collect();
    for node in idle {
        nodes.remove(&node);
    }
    if nodes.is_empty() {
        return Ok(Inverses { graph: None, left, kept });
    }
    let edges = edges(plan, &standing, &nodes.keys().cloned().collect());
    let nodes: Vec<Node> = nodes
        .into_iter()
        .filter_map(|(node, desired)| {
            let step = standing.get(&node)?;
            Some(Node {
                target: node.target.clone(),
                address: node.address.clone(),
                type_name: step.type_name.clone(),
                desired,
                edges: edges.get(&node).cloned().unwrap_or_default(),
                touches: step.touches.clone(),
            })
        })
        .collect();
    let used: BTreeSet<_> = nodes.iter().map(|node| node.type_name.clone()).collect();
    types.retain(|name, _| used.contains(name));
    let manifests: BTreeSet<Digest> = types.values().map(|facts| facts.manifest).collect();
    let mut locked = providers.locked();
    locked.retain(|_, provider| manifests.contains(&provider.manifest));
    let graph = Graph {
        format: FORMAT.into(),
        project: plan.project.clone(),
        limits: plan.limits,
        remediations: remediations(plan, view, &nodes),
        targets: targets(plan, &nodes),
        types,
        providers: locked,
        nodes: ordered(nodes),
        gates: Vec::new(),
    };
    Ok(Inverses { graph: Some(graph), left, kept })
}

/// The steps that triggered a step, of those that left something.
fn triggers<'s>(
    step: &'s Step,
    standing: &'s BTreeMap<NodeKey, &Step>,
) -> impl Iterator<Item = NodeKey> + 's {
    let on_change = step.edges.iter().filter(|edge| edge.kind == EdgeKind::OnChange);
    let sources = on_change.map(|edge| NodeKey { target: step.target.clone(), address: edge.from.clone() });
    sources.filter(|node| standing.contains_key(node))
}

/// What each node waits for. What was done later is taken back earlier, also where steps that changed
/// nothing lie between; what was triggered comes last, in its own order, because it makes others take
/// notice.
fn edges(
    plan: &Plan,
    standing: &BTreeMap<NodeKey, &Step>,
    nodes: &BTreeSet<NodeKey>,
) -> BTreeMap<NodeKey, Vec<Edge>> {
    let steps: BTreeMap<(&TargetName, &Address), &Step> =
        plan.steps.iter().map(|step| ((&step.target, &step.address), step)).collect();
    let triggered =
        |node: &NodeKey| standing.get(node).is_some_and(|step| triggers(step, standing).next().is_some());
    let mut found: BTreeMap<NodeKey, BTreeMap<Address, Edge>> = BTreeMap::new();
    for node in nodes {
        let Some(step) = standing.get(node) else { continue };
        let mut open: Vec<&Address> = step.edges.iter().map(|edge| &edge.from).collect();
        let mut seen = BTreeSet::new();
        while let Some(address) = open.pop() {
            if !seen.insert(address) {
                continue;
            }
            let from = NodeKey { target: node.target.clone(), address: address.clone() };
            if !nodes.contains(&from) {
                if let Some(between) = steps.get(&(&node.target, address)) {
                    open.extend(between.edges.iter().map(|edge| &edge.from));
                }
                continue;
            }
            let forward = triggered(node);
            let (later, earlier) = if forward { (node, &from) } else { (&from, node) };
            let direct = step.edges.iter().find(|edge| edge.from == *address);
            let again = forward && step.undo.inverse.is_none();
            let kind = match direct {
                Some(edge) if again && edge.kind == EdgeKind::OnChange => EdgeKind::OnChange,
                _ => EdgeKind::Implied,
            };
            let reason = (kind == EdgeKind::Implied).then(|| match forward {
                true => "it was triggered, so it comes after what is taken back".to_owned(),
                false => format!("`{}` was done after it, and is taken back before it", earlier.address),
            });
            let edge = Edge { from: earlier.address.clone(), kind, reason };
            found.entry(later.clone()).or_default().insert(earlier.address.clone(), edge);
        }
    }
    found.into_iter().map(|(node, edges)| (node, edges.into_values().collect())).collect()
}

fn remediations(
    plan: &Plan,
    view: &RunView,
    nodes: &[Node],
) -> BTreeMap<rectify_base::RemediationName, RemediationInfo> {
    let run = &view.run().run;
    let taken = |name: &str| nodes.iter().any(|node| node.address.remediation() == name);
    let named = plan.remediations.iter().filter(|(name, _)| taken(name.as_str()));
    named
        .map(|(name, info)| {
            let because = Because {
                id: Some(marker(run)),
                text: Some(format!("takes back what run {} did", short(run))),
            };
            let labels = info.labels.clone();
            (name.clone(), RemediationInfo { because: Some(because), labels, undo: UndoMode::Manual })
        })
        .collect()
}

fn targets(plan: &Plan, nodes: &[Node]) -> BTreeMap<TargetName, TargetInfo> {
    let mut targets = BTreeMap::new();
    for (name, target) in &plan.targets {
        let here: Vec<&Node> = nodes.iter().filter(|node| node.target == *name).collect();
        if here.is_empty() {
            continue;
        }
        let wanted = secrets::named(here.iter().map(|node| &node.desired));
        let secrets = target.secrets.iter().filter(|(secret, _)| wanted.contains(*secret));
        targets.insert(
            name.clone(),
            TargetInfo {
                environment: target.environment.clone(),
                labels: target.labels.clone(),
                assumptions: Vec::new(),
                secrets: secrets.map(|(secret, planned)| (secret.clone(), planned.origin.clone())).collect(),
            },
        );
    }
    targets
}

/// The canonical order: by target, then topologically, the smallest address first.
fn ordered(nodes: Vec<Node>) -> Vec<Node> {
    let mut waiting: BTreeMap<(TargetName, Address), Node> =
        nodes.into_iter().map(|node| ((node.target.clone(), node.address.clone()), node)).collect();
    let mut ordered: Vec<Node> = Vec::with_capacity(waiting.len());
    // Reversed edges of a plan without circles have none; should that be wrong, planning refuses what is
    // out of order.
    let mut unmet: BTreeMap<(TargetName, Address), usize> =
        waiting.iter().map(|(key, node)| (key.clone(), node.edges.len())).collect();
    let mut dependents: BTreeMap<(TargetName, Address), Vec<(TargetName, Address)>> = BTreeMap::new();
    for (key, node) in &waiting {
        for edge in &node.edges {
            dependents.entry((node.target.clone(), edge.from.clone())).or_default().push(key.clone());
        }
    }
    let mut ready: BTreeSet<(TargetName, Address)> =
        unmet.iter().filter(|(_, left)| **left == 0).map(|(key, _)| key.clone()).collect();
    while let Some(key) = ready.pop_first() {
        for dependent in dependents.remove(&key).unwrap_or_default() {
            if let Some(left) = unmet.get_mut(&dependent) {
                *left -= 1;
                if *left == 0 {
                    ready.insert(dependent);
                }
            }
        }
        ordered.extend(waiting.remove(&key));
    }
    ordered.extend(waiting.into_values());
    ordered.sort_by(|a, b| a.target.cmp(&b.target));
    ordered
}
