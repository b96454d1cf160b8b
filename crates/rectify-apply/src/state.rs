//! The state of a run, and how it is made from a plan.

use crate::{
    effect::{Reason, Ticket},
    error::PlanError,
    undo::UndoPhase,
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
    graph::{Access, EdgeKind, UndoMode},
    journal::{Direction, How, StepState, StopCause, UndoState, UseId, operation_id},
    observation::Identity,
    plan::{Action, Inverse, Step},
};
use serde_json::{Map, Value};

/// Settings of a run that are not in the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Fence of the lease under which the run acts.
    pub fence: u64,
    /// Longest time that one operation may take, in milliseconds, where its type does not say.
    pub deadline_ms: u64,
    /// Why no new intent may start, if none may: the permission has expired, or the run would not be
    /// let in now. What is open is still resolved, and what has to be taken back still is.
    pub no_new: Option<Reason>,
}

impl Default for Options {
    /// Fence 0, ten minutes for an operation, new intents may start.
    fn default() -> Self {
        Self { fence: 0, deadline_ms: 600_000, no_new: None }
    }
}

/// A state that is written down, of a step or of taking it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entered {
    Step(StepState),
    Undo(UndoState),
}

/// Where a step stands, or taking it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not begun.
    Waiting,
    /// Begun by an engine that is gone, and not looked at yet. `recorded` says whether the journal
    /// calls it unknown already.
    Unresolved { recorded: bool },
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
    Committing(Entered),
    /// Its state is durable, and nothing more happens.
    Done,
}

/// One step. What says how it is done (`action`, `expect`, `result`, `op_id`, `phase`, `attempt` and
/// what follows from them) is about the step itself until the step is taken back, and then about its
/// inverse.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub node: NodeKey,
    pub target: usize,
    pub type_name: TypeName,
    pub direction: Direction,
    pub action: Action,
    pub desired: Map<String, Value>,
    pub expect: Digest,
    pub result: Option<Digest>,
    pub inverse: Option<Inverse>,
    pub retry: Retry,
    pub op_id: String,
    /// Interned keys that it touches.
    pub touches: Vec<(usize, Access)>,
    /// Steps that wait for it, and whether it triggers them.
    pub dependents: Vec<(usize, EdgeKind)>,
    /// Steps that it waits for.
    pub sources: Vec<usize>,
    /// Steps that it triggers, sorted.
    pub triggers: Vec<Address>,
    /// Number of steps that it still waits for.
    pub unmet: usize,
    /// Whether it is taken back after everything else: an action that something triggers.
    pub comes_last: bool,
    /// Whether nothing, or a trigger that came, lets it run.
    pub triggered: bool,
    pub phase: Phase,
    /// The last attempt, counted over all engines that had the run.
    pub attempt: u32,
    /// Attempts of this engine.
    pub tries: u32,
    /// A person said that its open operation did not happen and may be tried as a new one.
    pub granted: bool,
    /// Longest time that it may take, in milliseconds.
    pub deadline_ms: u64,
    /// How often its state was asked for; tells a late answer from the one that is waited for.
    pub asks: u32,
    pub before_image: Option<Digest>,
    /// An earlier attempt may have had an effect, and looking could not tell; or a part of it.
    pub unproven: bool,
    /// The state from which the next attempt goes on: an earlier one of this run was broken off there.
    pub partway: Option<Digest>,
    /// It is in flight, and holds what it touches.
    pub holds: bool,
    /// It is one of those that its target may have at once: from the first look to its end. That a
    /// success is being stored keeps no other from its turn.
    pub has_turn: bool,
    /// The last state of the step that is durable, but for intents.
    pub forward: Option<StepState>,
    /// The last state of taking it back that is durable, but for intents.
    pub back: Option<UndoState>,
    /// Steps that have to be dealt with before it is taken back.
    pub back_unmet: usize,
    /// A step that had to be taken back before it, and was not.
    pub blocked: Option<Address>,
}

impl Item {
    /// Whether something of this run may have stopped halfway: an attempt at the same, or, before it is taken
    /// back, at the step.
    pub fn was_broken_off(&self) -> bool {
        let forth = matches!(self.forward, Some(StepState::Failed(_) | StepState::Unknown(_)));
        self.attempt > 0 || (self.direction == Direction::Back && forth)
    }

    /// The next attempt begins where an earlier one was broken off, so that something was changed by then.
    pub fn goes_on_from(&mut self, found: Digest) {
        self.partway = Some(found);
        self.unproven = true;
    }
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
    pub passed: bool,
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
    /// Steps that have their turn.
    pub turns: usize,
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
    Stop,
    Undoing,
}

/// A run in progress. Made by [`RunState::new`] or [`RunState::resume`], changed only by [`crate::step`].
#[derive(Clone, Debug)]
pub struct RunState {
    pub(crate) options: Options,
    pub(crate) use_id: UseId,
    /// Another engine had the run before.
    pub(crate) resumed: bool,
    /// All targets were verified, and nobody took the run up since.
    pub(crate) was_verified: bool,
    /// Steps that another engine had begun and that wait to be resolved.
    pub(crate) unresolved: BTreeSet<usize>,
    /// Remediations that are taken back when something fails.
    pub(crate) auto: BTreeSet<String>,
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
    pub(crate) stopped: BTreeSet<StopCause>,
    pub(crate) facts: crate::outcome::Facts,
    pub(crate) reasons: Vec<Reason>,
    /// Reasons that the journal gives, told when the run begins.
    pub(crate) known: Vec<Reason>,
    pub(crate) undo: UndoPhase,
    /// What is taken back, once that is decided.
    pub(crate) members: BTreeSet<usize>,
    /// Things that keep the state of a step that was not taken back, and that step.
    pub(crate) held_keys: BTreeMap<usize, Address>,
    /// Steps that have not had their turn, or been passed by, in taking back.
    pub(crate) back_left: usize,
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
                turns: 0,
                steps_left: 0,
                gates_left: 0,
            });
        }
        let waves = waves(plan, &target_index)?;
        let auto = plan.remediations.iter().filter(|(_, info)| info.undo == UndoMode::Auto);
        let mut state = Self {
            options,
            use_id: use_id.clone(),
            resumed: false,
            was_verified: false,
            unresolved: BTreeSet::new(),
            auto: auto.map(|(name, _)| name.to_string()).collect(),
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
            stopped: BTreeSet::new(),
            facts: crate::outcome::Facts::default(),
            reasons: Vec::new(),
            known: Vec::new(),
            undo: UndoPhase::Not,
            members: BTreeSet::new(),
            held_keys: BTreeMap::new(),
            back_left: 0,
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
                direction: Direction::Forward,
                action: step.action,
                desired: step.desired.clone(),
                expect: step.expect,
                result: step.result,
                inverse: step.undo.inverse.clone(),
                retry: facts.retry,
                touches,
                dependents: Vec::new(),
                sources: Vec::new(),
                triggers: Vec::new(),
                unmet: step.edges.len(),
                comes_last: step.action == Action::Run
                    && step.edges.iter().any(|edge| edge.kind == EdgeKind::OnChange),
                triggered: !step.edges.iter().any(|edge| edge.kind == EdgeKind::OnChange),
                phase: Phase::Waiting,
                attempt: 0,
                tries: 0,
                granted: false,
                deadline_ms: self.options.deadline_ms,
                asks: 0,
                before_image: None,
                unproven: false,
                partway: None,
                holds: false,
                has_turn: false,
                forward: None,
                back: None,
                back_unmet: 0,
                blocked: None,
            });
        }
        Ok(())
    }

    fn add_edges(&mut self, plan: &Plan) -> Result<(), PlanError> {
        for (index, step) in plan.steps.iter().enumerate() {
            for edge in &step.edges {
                let from = NodeKey { target: step.target.clone(), address: edge.from.clone() };
                let known = self.item_index.get(&from).copied();
                let Some((place, source)) = known.and_then(|place| Some((place, self.items.get_mut(place)?)))
                else {
                    return Err(PlanError::Edge { node: key(step), from: edge.from.to_string() });
                };
                source.dependents.push((index, edge.kind));
                if edge.kind == EdgeKind::OnChange {
                    source.triggers.push(step.address.clone());
                    source.triggers.sort();
                }
                if let Some(item) = self.items.get_mut(index) {
                    item.sources.push(place);
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
                passed: false,
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
