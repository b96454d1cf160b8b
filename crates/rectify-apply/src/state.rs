//! The state of a run, and how it is made from a plan.

use crate::{
    effect::{Reason, Ticket},
    error::PlanError,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::{String, ToString},
    vec::Vec,
};
use rectify_base::{Address, Digest, NodeKey, TargetName, TypeName};
use rectify_model::{
    Plan,
    grade::Retry,
    graph::{Access, EdgeKind},
    journal::{How, StepState, UseId, operation_id},
    observation::Identity,
    plan::{Action, Step},
};
use serde_json::{Map, Value};

/// What happens when something fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Nothing new starts; what is under way is finished; everything stays as it is.
    #[default]
    Stop,
}

/// Settings of a run that are not in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// What happens when something fails.
    pub on_failure: OnFailure,
    /// Fence of the lease under which the run acts.
    pub fence: u64,
    /// Longest time that one operation may take, in milliseconds, where its type does not say.
    pub deadline_ms: u64,
}

impl Default for Options {
    /// Stop on failure, fence 0, ten minutes for an operation.
    fn default() -> Self {
        Self { on_failure: OnFailure::Stop, fence: 0, deadline_ms: 600_000 }
    }
}

/// Where a step stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not begun.
    Waiting,
    /// Read before acting.
    Looking,
    /// The intent is being stored.
    Intending,
    /// The provider is acting.
    Acting,
    /// Read after acting.
    LookingAgain(How),
    /// Its outcome is durably unknown; read, to find out.
    Resolving,
    /// Its outcome is durably unknown; the provider's ledger is asked.
    AskingStatus,
    /// A state is being stored.
    Committing(StepState),
    /// The state is durable, and nothing more happens.
    Done(StepState),
}

/// One step.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub node: NodeKey,
    pub target: usize,
    pub type_name: TypeName,
    pub action: Action,
    pub desired: Map<String, Value>,
    pub expect: Digest,
    pub result: Option<Digest>,
    pub retry: Retry,
    pub op_id: String,
    /// Interned keys that it touches.
    pub touches: Vec<(usize, Access)>,
    /// Steps that wait for it, and whether it triggers them.
    pub dependents: Vec<(usize, EdgeKind)>,
    /// Steps that it triggers, sorted.
    pub triggers: Vec<Address>,
    /// Number of steps that it still waits for.
    pub unmet: usize,
    /// Whether only a trigger makes it run, and whether one has.
    pub triggered: bool,
    pub phase: Phase,
    pub attempt: u32,
    /// Longest time that it may take, in milliseconds.
    pub deadline_ms: u64,
    /// How often its state was asked for; tells a late answer from the one that is waited for.
    pub asks: u32,
    pub before_image: Option<Digest>,
    /// An earlier attempt may have had an effect, and looking could not tell.
    pub unproven: bool,
}

/// Where a gate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GatePhase {
    /// Its steps are not done.
    Pending,
    /// It is being asked.
    Asking,
    /// It is asked again later.
    Sleeping,
    /// Its answer is being stored.
    Committing,
    /// Its answer is durable.
    Done,
}

/// One gate.
#[derive(Clone, Debug)]
pub(crate) struct GateItem {
    pub node: NodeKey,
    pub target: usize,
    pub within_ms: u64,
    pub phase: GatePhase,
    pub attempt: u32,
    /// Last moment at which it may be asked; set when it is first asked.
    pub until_ms: u64,
}

/// Whether a target may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Not asked yet.
    Unverified,
    /// Being asked.
    Verifying,
    /// It is what the plan says, and that is being stored.
    Storing,
    /// It is what the plan says.
    Verified,
    /// It is not.
    Refused,
}

/// One target.
#[derive(Clone, Debug)]
pub(crate) struct TargetItem {
    pub name: TargetName,
    pub identity: Identity,
    pub trust: Trust,
    /// Steps that wait for nothing but their turn.
    pub ready: BTreeSet<usize>,
    pub in_flight: usize,
    pub steps_left: usize,
    pub gates_left: usize,
}

/// How a touched thing is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Use {
    pub readers: usize,
    pub writers: usize,
}

/// What a commit was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Target(usize),
    Step(usize),
    Gate(usize, bool),
}

/// A run in progress. Made by [`RunState::new`], changed only by [`crate::step`].
#[derive(Clone, Debug)]
pub struct RunState {
    pub(crate) options: Options,
    pub(crate) expires_at_ms: u64,
    pub(crate) parallel: usize,
    pub(crate) now_ms: u64,
    pub(crate) started: bool,
    pub(crate) finished: bool,
    pub(crate) items: Vec<Item>,
    pub(crate) item_index: BTreeMap<NodeKey, usize>,
    pub(crate) gates: Vec<GateItem>,
    pub(crate) gate_index: BTreeMap<NodeKey, usize>,
    pub(crate) targets: Vec<TargetItem>,
    pub(crate) target_index: BTreeMap<TargetName, usize>,
    pub(crate) waves: Vec<Vec<usize>>,
    /// The wave that is under way, if one is.
    pub(crate) wave: Option<usize>,
    /// Targets of this wave that are not done.
    pub(crate) wave_left: usize,
    /// Steps left by target and remediation. A remediation without steps has no entry.
    pub(crate) remediation_left: BTreeMap<(usize, String), usize>,
    pub(crate) touched: BTreeMap<usize, Use>,
    pub(crate) sleeping: BTreeSet<(u64, usize)>,
    pub(crate) next_ticket: u64,
    pub(crate) commits: BTreeMap<Ticket, Purpose>,
    pub(crate) verifying: usize,
    pub(crate) asking: usize,
    pub(crate) in_flight: usize,
    pub(crate) steps_left: usize,
    pub(crate) gates_left: usize,
    pub(crate) stopping: bool,
    pub(crate) facts: crate::outcome::Facts,
    pub(crate) reasons: Vec<Reason>,
}

impl RunState {
    /// Gives operations of these types their own limit, in milliseconds.
    #[must_use]
    pub fn with_deadlines(mut self, deadlines: &BTreeMap<TypeName, u64>) -> Self {
        for item in &mut self.items {
            if let Some(deadline_ms) = deadlines.get(&item.type_name) {
                item.deadline_ms = *deadline_ms;
            }
        }
        self
    }

    /// Prepares a run of this plan under this permission.
    ///
    /// # Errors
    /// [`PlanError`] if the plan contradicts itself.
    pub fn new(plan: &Plan, use_id: &UseId, expires_at_ms: u64, options: Options) -> Result<Self, PlanError> {
        let mut targets = Vec::new();
        let mut target_index = BTreeMap::new();
        for (name, target) in &plan.targets {
            target_index.insert(name.clone(), targets.len());
            targets.push(TargetItem {
                name: name.clone(),
                identity: target.identity.clone(),
                trust: Trust::Unverified,
                ready: BTreeSet::new(),
                in_flight: 0,
                steps_left: 0,
                gates_left: 0,
            });
        }
        let waves = waves(plan, &target_index)?;
        let mut state = Self {
            options,
            expires_at_ms,
            parallel: usize::try_from(plan.limits.parallel_steps).unwrap_or(usize::MAX).max(1),
            now_ms: 0,
            started: false,
            finished: false,
            items: Vec::with_capacity(plan.steps.len()),
            item_index: BTreeMap::new(),
            gates: Vec::with_capacity(plan.gates.len()),
            gate_index: BTreeMap::new(),
            targets,
            target_index,
            waves,
            wave: None,
            wave_left: 0,
            remediation_left: BTreeMap::new(),
            touched: BTreeMap::new(),
            sleeping: BTreeSet::new(),
            next_ticket: 0,
            commits: BTreeMap::new(),
            verifying: 0,
            asking: 0,
            in_flight: 0,
            steps_left: plan.steps.len(),
            gates_left: plan.gates.len(),
            stopping: false,
            facts: crate::outcome::Facts::default(),
            reasons: Vec::new(),
        };
        state.add_steps(plan, use_id)?;
        state.add_edges(plan)?;
        state.refuse_cycles()?;
        state.add_gates(plan)?;
        Ok(state)
    }

    /// Whether [`crate::Effect::Finish`] was given.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.finished
    }

    fn add_steps(&mut self, plan: &Plan, use_id: &UseId) -> Result<(), PlanError> {
        let mut keys: BTreeMap<(usize, &str), usize> = BTreeMap::new();
        for step in &plan.steps {
            let node = key(step);
            let target =
                *self.target_index.get(&step.target).ok_or_else(|| PlanError::Target(node.clone()))?;
            let facts = plan.types.get(&step.type_name).ok_or_else(|| PlanError::Type {
                node: node.clone(),
                type_name: step.type_name.to_string(),
            })?;
            let touches = step
                .touches
                .iter()
                .map(|touch| {
                    let next = keys.len();
                    (*keys.entry((target, touch.key.as_str())).or_insert(next), touch.access)
                })
                .collect();
            let index = self.items.len();
            if self.item_index.insert(node.clone(), index).is_some() {
                return Err(PlanError::Twice(node));
            }
            let remediation = (target, step.address.remediation().to_string());
            *self.remediation_left.entry(remediation).or_insert(0) += 1;
            if let Some(item) = self.targets.get_mut(target) {
                item.steps_left += 1;
            }
            self.items.push(Item {
                op_id: operation_id(use_id, &step.target, &step.address),
                node,
                target,
                type_name: step.type_name.clone(),
                action: step.action,
                desired: step.desired.clone(),
                expect: step.expect,
                result: step.result,
                retry: facts.retry,
                touches,
                dependents: Vec::new(),
                triggers: Vec::new(),
                unmet: step.edges.len(),
                triggered: !step.edges.iter().any(|edge| edge.kind == EdgeKind::OnChange),
                phase: Phase::Waiting,
                attempt: 0,
                deadline_ms: self.options.deadline_ms,
                asks: 0,
                before_image: None,
                unproven: false,
            });
        }
        Ok(())
    }

    fn add_edges(&mut self, plan: &Plan) -> Result<(), PlanError> {
        for (index, step) in plan.steps.iter().enumerate() {
            for edge in &step.edges {
                let from = NodeKey { target: step.target.clone(), address: edge.from.clone() };
                let source = self.item_index.get(&from).and_then(|source| self.items.get_mut(*source));
                let Some(source) = source else {
                    return Err(PlanError::Edge { node: key(step), from: edge.from.to_string() });
                };
                source.dependents.push((index, edge.kind));
                if edge.kind == EdgeKind::OnChange {
                    source.triggers.push(step.address.clone());
                    source.triggers.sort();
                }
            }
        }
        Ok(())
    }

    fn refuse_cycles(&self) -> Result<(), PlanError> {
        let mut unmet: Vec<usize> = self.items.iter().map(|item| item.unmet).collect();
        let mut free: Vec<usize> =
            unmet.iter().enumerate().filter(|(_, n)| **n == 0).map(|(index, _)| index).collect();
        while let Some(index) = free.pop() {
            for (dependent, _) in self.items.get(index).map_or(&[][..], |item| &item.dependents) {
                if let Some(left) = unmet.get_mut(*dependent) {
                    *left -= 1;
                    if *left == 0 {
                        free.push(*dependent);
                    }
                }
            }
        }
        let stuck = self.items.iter().zip(&unmet).find(|(_, left)| **left > 0);
        stuck.map_or(Ok(()), |(item, _)| Err(PlanError::Cycle(item.node.clone())))
    }

    fn add_gates(&mut self, plan: &Plan) -> Result<(), PlanError> {
        for gate in &plan.gates {
            let node = NodeKey { target: gate.target.clone(), address: gate.address.clone() };
            let target =
                *self.target_index.get(&gate.target).ok_or_else(|| PlanError::Target(node.clone()))?;
            if !plan.types.contains_key(&gate.type_name) {
                return Err(PlanError::Type { node, type_name: gate.type_name.to_string() });
            }
            if self.gate_index.insert(node.clone(), self.gates.len()).is_some() {
                return Err(PlanError::Twice(node));
            }
            if let Some(item) = self.targets.get_mut(target) {
                item.gates_left += 1;
            }
            self.gates.push(GateItem {
                node,
                target,
                within_ms: u64::from(gate.within_s) * 1_000,
                phase: GatePhase::Pending,
                attempt: 0,
                until_ms: 0,
            });
        }
        Ok(())
    }
}

fn key(step: &Step) -> NodeKey {
    NodeKey { target: step.target.clone(), address: step.address.clone() }
}

fn waves(plan: &Plan, index: &BTreeMap<TargetName, usize>) -> Result<Vec<Vec<usize>>, PlanError> {
    let mut seen = BTreeSet::new();
    let mut waves = Vec::new();
    for wave in &plan.waves {
        let mut members = Vec::new();
        for name in wave {
            let target = index.get(name).filter(|target| seen.insert(**target));
            members.push(*target.ok_or_else(|| PlanError::Wave(name.clone()))?);
        }
        waves.push(members);
    }
    match index.iter().find(|(_, target)| !seen.contains(target)) {
        Some((name, _)) => Err(PlanError::Wave(name.clone())),
        None => Ok(waves),
    }
}
