//! The journal of one run, folded: where each step stands, what is open, what is owed.

use super::{
    Because, Entry, GateState, How, Intent, Mutated, Record, RunRecord, StepRecord, StepState, TargetState,
};
use alloc::collections::{BTreeMap, BTreeSet};
use rectify_base::{NodeKey, TargetName};

/// A sequence of records that no run can have written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrammarError {
    /// Sequence numbers must be 1, 2, 3, …
    #[error("record {got} where record {expected} was due")]
    Sequence {
        /// The number that was due.
        expected: u64,
        /// The number that came.
        got: u64,
    },
    /// The record is about a target that the run does not have.
    #[error("record {seq} is about target `{target}`, which is not part of the run")]
    Target {
        /// The record.
        seq: u64,
        /// The target.
        target: TargetName,
    },
    /// A step of a target before the target was verified.
    #[error("record {seq}: {node} has an intent before its target was verified")]
    Unverified {
        /// The record.
        seq: u64,
        /// The step.
        node: NodeKey,
    },
    /// An attempt that is not the one after the last.
    #[error("record {seq}: {node} has an intent for attempt {got}, expected {expected}")]
    Attempt {
        /// The record.
        seq: u64,
        /// The step.
        node: NodeKey,
        /// The attempt that was due.
        expected: u32,
        /// The attempt that came.
        got: u32,
    },
    /// A state that cannot follow the one before.
    #[error("record {seq}: {node} cannot become {to} after {from}")]
    Transition {
        /// The record.
        seq: u64,
        /// The step or gate.
        node: NodeKey,
        /// Name of the state before.
        from: &'static str,
        /// Name of the state of the record.
        to: &'static str,
    },
}

/// Where a step stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepProgress {
    /// Number of intents so far.
    pub attempts: u32,
    /// The last intent, whatever came after it.
    pub intent: Option<Intent>,
    /// The last state.
    pub state: StepState,
}

/// A run as its records tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunView {
    run: RunRecord,
    seq: u64,
    targets: BTreeMap<TargetName, TargetState>,
    steps: BTreeMap<NodeKey, StepProgress>,
    gates: BTreeMap<NodeKey, GateState>,
}

const fn name(state: &StepState) -> &'static str {
    match state {
        StepState::Intent(_) => "intent",
        StepState::Succeeded { .. } => "succeeded",
        StepState::Failed(_) => "failed",
        StepState::Unknown(_) => "unknown",
        StepState::Stale { .. } => "stale",
        StepState::Skipped { .. } => "skipped",
    }
}

/// Whether `to` may follow `from` (`None`: pending).
const fn may_follow(from: Option<&StepState>, to: &StepState) -> bool {
    match (from, to) {
        // Without an intent nothing was written, so only results that write nothing are possible.
        (None, StepState::Succeeded { how, .. }) => matches!(how, How::Already),
        (None, StepState::Failed(failure)) => matches!(failure.mutated, Mutated::No),
        (None, StepState::Unknown(_)) => false,
        (None, _) => true,
        (Some(StepState::Intent(_)), to) => !matches!(to, StepState::Intent(_) | StepState::Skipped { .. }),
        // What is unknown may be tried again, resolved, or found to be unknown still.
        (Some(StepState::Unknown(_)), to) => !matches!(to, StepState::Skipped { .. }),
        (Some(_), _) => false,
    }
}

impl RunView {
    /// A run of which nothing is recorded yet.
    #[must_use]
    pub const fn new(run: RunRecord) -> Self {
        Self { run, seq: 0, targets: BTreeMap::new(), steps: BTreeMap::new(), gates: BTreeMap::new() }
    }

    /// Folds a whole journal.
    ///
    /// # Errors
    /// The first record that cannot stand where it stands.
    pub fn fold<'a>(
        run: RunRecord,
        entries: impl IntoIterator<Item = &'a Entry>,
    ) -> Result<Self, GrammarError> {
        let mut view = Self::new(run);
        for entry in entries {
            view.push(entry)?;
        }
        Ok(view)
    }

    /// Takes in the next record.
    ///
    /// # Errors
    /// If it cannot stand here; then nothing is taken in.
    pub fn push(&mut self, entry: &Entry) -> Result<(), GrammarError> {
        let seq = entry.seq;
        if seq != self.seq + 1 {
            return Err(GrammarError::Sequence { expected: self.seq + 1, got: seq });
        }
        let target = match &entry.record {
            Record::Target(record) => &record.target,
            Record::Step(record) => &record.node.target,
            Record::Gate(record) => &record.node.target,
        };
        if !self.run.targets.contains(target) {
            return Err(GrammarError::Target { seq, target: target.clone() });
        }
        match &entry.record {
            Record::Target(record) => {
                self.targets.insert(record.target.clone(), record.state.clone());
            }
            Record::Step(record) => self.push_step(seq, record)?,
            Record::Gate(record) => {
                if self.gates.contains_key(&record.node) {
                    let node = record.node.clone();
                    return Err(GrammarError::Transition { seq, node, from: "answered", to: "answered" });
                }
                self.gates.insert(record.node.clone(), record.state.clone());
            }
        }
        self.seq = seq;
        Ok(())
    }

    fn push_step(&mut self, seq: u64, record: &StepRecord) -> Result<(), GrammarError> {
        let node = &record.node;
        let before = self.steps.get(node);
        if !may_follow(before.map(|progress| &progress.state), &record.state) {
            return Err(GrammarError::Transition {
                seq,
                node: node.clone(),
                from: before.map_or("pending", |progress| name(&progress.state)),
                to: name(&record.state),
            });
        }
        let mut attempts = before.map_or(0, |progress| progress.attempts);
        let mut intent = before.and_then(|progress| progress.intent.clone());
        if let StepState::Intent(new) = &record.state {
            if !matches!(self.targets.get(&node.target), Some(TargetState::Verified(_))) {
                return Err(GrammarError::Unverified { seq, node: node.clone() });
            }
            if new.attempt != attempts + 1 {
                return Err(GrammarError::Attempt {
                    seq,
                    node: node.clone(),
                    expected: attempts + 1,
                    got: new.attempt,
                });
            }
            attempts = new.attempt;
            intent = Some(new.clone());
        }
        self.steps.insert(node.clone(), StepProgress { attempts, intent, state: record.state.clone() });
        Ok(())
    }

    /// The run.
    #[must_use]
    pub const fn run(&self) -> &RunRecord {
        &self.run
    }

    /// Number of records.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.seq
    }

    /// Whether nothing is recorded yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.seq == 0
    }

    /// What the targets proved.
    #[must_use]
    pub const fn targets(&self) -> &BTreeMap<TargetName, TargetState> {
        &self.targets
    }

    /// The steps that have a record. The others are pending.
    #[must_use]
    pub const fn steps(&self) -> &BTreeMap<NodeKey, StepProgress> {
        &self.steps
    }

    /// The gates that were answered for good.
    #[must_use]
    pub const fn gates(&self) -> &BTreeMap<NodeKey, GateState> {
        &self.gates
    }

    /// Steps whose outcome is not known: an intent without a result, or one recorded as unknown.
    pub fn open(&self) -> impl Iterator<Item = (&NodeKey, &Intent)> {
        self.steps.iter().filter_map(|(node, progress)| match progress.state {
            StepState::Intent(_) | StepState::Unknown(_) => {
                progress.intent.as_ref().map(|intent| (node, intent))
            }
            _ => None,
        })
    }

    /// Steps that a recorded success obliges to run and that have not come to a result.
    #[must_use]
    pub fn owed(&self) -> BTreeSet<NodeKey> {
        let triggered = self.steps.iter().flat_map(|(node, progress)| {
            let owes = match &progress.state {
                StepState::Succeeded { owes, .. } => owes.as_slice(),
                _ => &[],
            };
            owes.iter().map(|address| NodeKey { target: node.target.clone(), address: address.clone() })
        });
        triggered
            .filter(|node| {
                self.steps.get(node).is_none_or(|progress| match &progress.state {
                    StepState::Succeeded { .. } => false,
                    StepState::Skipped { because } => !matches!(because, Because::NotTriggered),
                    _ => true,
                })
            })
            .collect()
    }

    /// Whether the run may have changed anything.
    #[must_use]
    pub fn changed(&self) -> bool {
        self.steps.values().any(|progress| match &progress.state {
            StepState::Succeeded { how, .. } => how.changed(),
            StepState::Failed(failure) => failure.mutated != Mutated::No,
            StepState::Intent(_) | StepState::Unknown(_) => true,
            StepState::Stale { .. } | StepState::Skipped { .. } => false,
        })
    }
}
