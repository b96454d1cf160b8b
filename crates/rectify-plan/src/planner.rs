//! The planner: verified inputs in, one plan and one report out.

use crate::{
    PlanError, codes,
    frontier::{self, Contracted},
    index::{self, TargetNodes},
    outcome::{self, Outcome, Outcomes},
    report::{self, Entry, Reason, Report},
    step, waves,
};
use rectify_base::{Address, FileDigests, SecretName, TargetName, canonical};
use rectify_model::{
    Graph, Observation, Plan, fact,
    graph::{Gate, TargetInfo, TypeFacts},
    observation,
    plan::{self, Action, Counts, Deferred, Idle, PlanGate, PlanTarget, PlanType, PlannedSecret, Unchanged},
    provider::LockedProvider,
};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that a plan depends on.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// Digests of the graph's file.
    pub graph_digests: FileDigests,
    /// One observation for each target of the graph, in any order.
    pub observations: &'a [ObservedDocument<'a>],
}

/// An observation and the digests of its file.
#[derive(Clone, Copy, Debug)]
pub struct ObservedDocument<'a> {
    /// The observation.
    pub observation: &'a Observation,
    /// Digests of its file.
    pub digests: FileDigests,
}

/// A plan, and why it is as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// What will be done.
    pub plan: Plan,
    /// Why.
    pub report: Report,
}

/// Makes the plan. Equal inputs give equal plans, whatever the order of observations.
///
/// # Errors
/// [`PlanError`] for the first input that breaks a rule, and for a plan beyond the project's limit.
pub fn plan(input: &Input<'_>) -> Result<Planned, PlanError> {
    let graph = input.graph;
    index::verify_frame(graph)?;
    verify_values(graph)?;
    let ranges = index::ranges(graph)?;
    let observations = by_target(input)?;

    let mut draft = Draft::default();
    let mut targets = BTreeMap::new();
    for (name, range) in ranges {
        let Some(document) = observations.get(&name) else {
            return Err(PlanError::new(
                codes::PLAN_OBSERVATION_MISSING,
                format!("observation:{name}"),
                format!("target `{name}` was not observed"),
            ));
        };
        let nodes = index::target_nodes(graph, range)?;
        verify_entries(&nodes, document.observation)?;
        let outcomes = outcome::decide(&nodes, document.observation)?;
        let contracted = frontier::contract(&nodes, &outcomes);
        draft.add_target(&nodes, outcomes, contracted)?;
        if let Some(info) = graph.targets.get(&name) {
            verify_assumptions(info, document.observation)?;
            targets.insert(
                name,
                PlanTarget {
                    environment: info.environment.clone(),
                    labels: info.labels.clone(),
                    identity: document.observation.identity.clone(),
                    observation: document.digests,
                    assumptions: info.assumptions.clone(),
                    secrets: secrets(info, document.observation)?,
                },
            );
        }
    }
    let changes = draft.counts.changes();
    if changes > u64::from(graph.limits.changes_max) {
        return Err(PlanError::new(
            codes::PLAN_TOO_MANY_CHANGES,
            "plan:/counts",
            format!("{changes} changes, but the project allows {} in one plan", graph.limits.changes_max),
        ));
    }
    let gates = draft.gates(graph);
    let types = types(graph, &draft, &gates);
    let changing: BTreeSet<&TargetName> = draft.steps.iter().map(|step| &step.target).collect();
    let waves = waves::waves(graph.targets.keys(), &changing);
    Ok(Planned {
        plan: Plan {
            format: plan::FORMAT.into(),
            project: graph.project.clone(),
            graph: input.graph_digests,
            limits: graph.limits,
            remediations: graph.remediations.clone(),
            targets,
            providers: providers(graph, &types),
            types,
            steps: draft.steps,
            unchanged: draft.unchanged,
            deferred: draft.deferred,
            gates,
            waves: waves.iter().map(|wave| wave.targets.clone()).collect(),
            counts: draft.counts,
        },
        report: Report {
            format: report::FORMAT.into(),
            entries: draft.entries,
            waves,
            left_out: Vec::new(),
            sessions: Vec::new(),
        },
    })
}

/// Everything that goes into the plan as it is must have a canonical form.
fn verify_values(graph: &Graph) -> Result<(), PlanError> {
    let nodes =
        graph.nodes.iter().map(|node| &node.desired).enumerate().map(|(at, value)| ("nodes", at, value));
    let gates =
        graph.gates.iter().map(|gate| &gate.desired).enumerate().map(|(at, value)| ("gates", at, value));
    for (list, at, desired) in nodes.chain(gates) {
        for (name, value) in desired {
            canonical::check(value).map_err(|error| {
                PlanError::new(
                    codes::PLAN_GRAPH_INVALID,
                    format!("graph:/{list}/{at}/desired{}", rectify_base::Pointer::root().child(name)),
                    error.to_string(),
                )
            })?;
        }
    }
    Ok(())
}

fn by_target<'a>(input: &Input<'a>) -> Result<BTreeMap<TargetName, ObservedDocument<'a>>, PlanError> {
    let mut map = BTreeMap::new();
    let mut identities = BTreeMap::new();
    let mut documents = input.observations.to_vec();
    documents.sort_by(|a, b| (&a.observation.target, a.digests).cmp(&(&b.observation.target, b.digests)));
    for document in documents {
        let observation = document.observation;
        let target = &observation.target;
        let refuse = |code, field: &str, message: String| {
            Err(PlanError::new(code, format!("observation:{target}:{field}"), message))
        };
        if observation.format != observation::FORMAT {
            let message = format!("expected `{}`, got `{}`", observation::FORMAT, observation.format);
            return refuse(codes::PLAN_OBSERVATION_FORMAT, "/format", message);
        }
        if observation.graph != input.graph_digests.blake3 {
            let message = format!(
                "it was made from graph {}, not from {}",
                observation.graph, input.graph_digests.blake3
            );
            return refuse(codes::PLAN_GRAPH_DIGEST, "/graph", message);
        }
        if !input.graph.targets.contains_key(target) {
            let message = format!("`{target}` is not a target of the graph");
            return refuse(codes::PLAN_OBSERVATION_EXTRA, "/target", message);
        }
        if map.insert(target.clone(), document).is_some() {
            let message = format!("`{target}` was observed twice");
            return refuse(codes::PLAN_OBSERVATION_EXTRA, "/target", message);
        }
        if let Some(other) = identities.insert(observation.identity.clone(), target) {
            let message = format!("`{other}` and `{target}` are one machine or directory");
            return refuse(codes::PLAN_IDENTITY_SHARED, "/identity", message);
        }
    }
    Ok(map)
}

/// Refuses a graph that was made with other facts than the observation holds.
fn verify_assumptions(info: &TargetInfo, observation: &Observation) -> Result<(), PlanError> {
    let other = info.assumptions.iter().find(|assumption| {
        // A group that was not asked about says nothing, not even that something is absent.
        !observation.facts.contains_key(&assumption.group())
            || assumption.found(&observation.facts) != assumption.is
    });
    other.map_or(Ok(()), |assumption| {
        Err(PlanError::new(
            codes::PLAN_ASSUMPTION,
            format!("observation:{}:/facts{}", observation.target, assumption.fact),
            format!("the graph was made with another `{}` than was observed", assumption.named()),
        ))
    })
}

/// The secrets of a target with the digests that were observed.
fn secrets(
    info: &TargetInfo,
    observation: &Observation,
) -> Result<BTreeMap<SecretName, PlannedSecret>, PlanError> {
    if !observation.secrets.keys().eq(info.secrets.keys()) {
        return Err(PlanError::new(
            codes::PLAN_SECRETS,
            format!("observation:{}:/secrets", observation.target),
            "these are not the secrets that the graph names for this target",
        ));
    }
    let planned = info.secrets.iter().zip(observation.secrets.values()).map(|((name, origin), digest)| {
        (name.clone(), PlannedSecret { origin: origin.clone(), digest: *digest })
    });
    Ok(planned.collect())
}

fn verify_entries(nodes: &TargetNodes<'_>, observation: &Observation) -> Result<(), PlanError> {
    let refuse = |at: usize, message: String| {
        Err(PlanError::new(
            codes::PLAN_ENTRIES_MISMATCH,
            format!("observation:{}:/entries/{at}", observation.target),
            message,
        ))
    };
    for (at, (node, entry)) in nodes.nodes.iter().zip(&observation.entries).enumerate() {
        if node.node.address != entry.address {
            return refuse(at, format!("expected `{}`, got `{}`", node.node.address, entry.address));
        }
    }
    let (expected, got) = (nodes.nodes.len(), observation.entries.len());
    if expected != got {
        return refuse(
            expected.min(got),
            format!("the graph has {expected} nodes there, {got} were observed"),
        );
    }
    Ok(())
}

fn types(graph: &Graph, draft: &Draft, gates: &[PlanGate]) -> BTreeMap<rectify_base::TypeName, PlanType> {
    let used: BTreeSet<_> = draft
        .steps
        .iter()
        .map(|step| &step.type_name)
        .chain(gates.iter().map(|gate| &gate.type_name))
        .collect();
    let assumptions = graph.targets.values().flat_map(|target| &target.assumptions);
    let told: BTreeSet<_> = assumptions.filter_map(|assumption| fact::type_of(&assumption.group())).collect();
    let plan_type = |facts: &TypeFacts| PlanType {
        version: facts.version,
        manifest: facts.manifest,
        kind: facts.kind,
        retry: facts.retry,
        volatile: facts.volatile.clone(),
    };
    used.into_iter()
        .chain(&told)
        .filter_map(|name| graph.types.get(name).map(|facts| (name.clone(), plan_type(facts))))
        .collect()
}

/// The providers of these types that are not part of Rectify.
fn providers(
    graph: &Graph,
    types: &BTreeMap<rectify_base::TypeName, PlanType>,
) -> BTreeMap<String, LockedProvider> {
    let used: BTreeSet<_> = types.values().map(|known| known.manifest).collect();
    let taken = graph.providers.iter().filter(|(_, provider)| used.contains(&provider.manifest));
    taken.map(|(name, provider)| (name.clone(), provider.clone())).collect()
}

/// The lists of a plan while they are filled, target by target.
#[derive(Default)]
struct Draft {
    steps: Vec<plan::Step>,
    unchanged: Vec<Unchanged>,
    deferred: Vec<Deferred>,
    counts: Counts,
    entries: Vec<Entry>,
}

impl Draft {
    fn add_target(
        &mut self,
        nodes: &TargetNodes<'_>,
        outcomes: Outcomes<'_>,
        contracted: Contracted,
    ) -> Result<(), PlanError> {
        let parts = nodes.nodes.iter().zip(outcomes.outcomes).zip(contracted.edges).enumerate();
        self.unchanged.reserve(nodes.nodes.len());
        self.entries.reserve(outcomes.reasons.len() + nodes.nodes.len());
        let mut all_reasons = outcomes.reasons.into_iter().peekable();
        let mut order = contracted.reasons;
        for (position, ((node, outcome), edges)) in parts {
            let (target, address) = (node.node.target.clone(), node.node.address.clone());
            let refuse = |error: canonical::CanonicalError| {
                let place = format!("observation:{target}:/entries/{position}/answer");
                PlanError::new(codes::PLAN_ANSWER_INVALID, place, error.to_string())
            };
            let mut done = None;
            match outcome {
                Outcome::Stays { why, state } => {
                    let fingerprint = crate::answer::print_of(node, state).map_err(refuse)?;
                    match why {
                        Idle::AsDesired | Idle::Converged => self.counts.unchanged += 1,
                        Idle::NotTriggered => self.counts.not_triggered += 1,
                    }
                    self.unchanged.push(Unchanged {
                        target: target.clone(),
                        address: address.clone(),
                        fingerprint,
                        why,
                    });
                }
                Outcome::Deferred { cause, code, message } => {
                    self.counts.deferred += 1;
                    self.deferred.push(Deferred {
                        target: target.clone(),
                        address: address.clone(),
                        cause,
                        code,
                        message,
                    });
                }
                Outcome::Changes { proposal, prediction } => {
                    let mut edges: Vec<_> = edges.into_values().collect();
                    edges.sort();
                    let step = step::build(node, proposal, prediction, edges).map_err(refuse)?;
                    *match step.action {
                        Action::Create => &mut self.counts.create,
                        Action::Update => &mut self.counts.update,
                        Action::Replace => &mut self.counts.replace,
                        Action::Delete => &mut self.counts.delete,
                        Action::Run => &mut self.counts.run,
                    } += 1;
                    done = Some(Reason::Changes { action: step.action, prediction });
                    self.steps.push(step);
                }
            }
            let reasons = std::iter::from_fn(|| {
                all_reasons.next_if(|(at, _)| *at == position).map(|(_, reason)| reason)
            });
            let order = order.remove(&position).into_iter().flatten();
            let all = done.into_iter().chain(reasons).chain(order);
            self.entries.extend(all.map(|reason| Entry {
                target: target.clone(),
                address: address.clone(),
                reason,
            }));
        }
        Ok(())
    }

    /// The gates of remediations that change something on their target; the report names all.
    fn gates(&mut self, graph: &Graph) -> Vec<PlanGate> {
        let key = |target: &TargetName, address: &Address| (target.clone(), address.remediation().to_owned());
        let changing: BTreeSet<_> = self.steps.iter().map(|step| key(&step.target, &step.address)).collect();
        let mut deferred: BTreeMap<_, Address> = BTreeMap::new();
        for entry in &self.deferred {
            deferred.entry(key(&entry.target, &entry.address)).or_insert_with(|| entry.address.clone());
        }
        let mut kept = Vec::new();
        for gate in &graph.gates {
            let Gate { target, address, type_name, desired, within_s } = gate;
            let here = key(target, address);
            let mut say = |reason| {
                self.entries.push(Entry { target: target.clone(), address: address.clone(), reason });
            };
            if !changing.contains(&here) {
                say(Reason::GateNotNeeded);
                continue;
            }
            say(Reason::GateKept);
            if let Some(step) = deferred.get(&here) {
                say(Reason::GateDoubtful { deferred: step.clone() });
            }
            kept.push(PlanGate {
                target: target.clone(),
                address: address.clone(),
                type_name: type_name.clone(),
                desired: desired.clone(),
                within_s: *within_s,
            });
        }
        kept
    }
}
