//! The journal of one run, folded: where each step stands, what is open, what is owed.

use super::{
    Because, Entry, Failure, GateState, How, Intent, Mutated, Record, Resolution, RunMark, RunRecord,
    StepRecord, StepState, StopCause, TargetState, UndoRecord, UndoState, Verdict,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
};
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
    /// A fence that is not higher than the one before.
    #[error("record {seq}: resumed with fence {got}, which is not above {before}")]
    Fence {
        /// The record.
        seq: u64,
        /// The fence so far.
        before: u64,
        /// The fence that came.
        got: u64,
    },
    /// An intent under another fence than that of the engine at work.
    #[error("record {seq}: {node} has an intent with fence {got}, and the lease has {expected}")]
    IntentFence {
        /// The record.
        seq: u64,
        /// The step.
        node: NodeKey,
        /// The fence of the lease.
        expected: u64,
        /// The fence that came.
        got: u64,
    },
    /// Something that may only come before, or only after, the run began to take back.
    #[error("record {seq}: {what} {}", if *.undoing { "after the run began to take back" } else { "while the run takes nothing back" })]
    Phase {
        /// The record.
        seq: u64,
        /// What came.
        what: &'static str,
        /// Whether the run takes back.
        undoing: bool,
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
    /// How often a person said that it may be tried as a new operation.
    pub retries: u32,
    /// A person said so, and it has not been tried since.
    pub granted: bool,
}

/// Where taking a step back stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndoProgress {
    /// Number of intents so far.
    pub attempts: u32,
    /// The last intent, whatever came after it.
    pub intent: Option<Intent>,
    /// The last state.
    pub state: UndoState,
    /// As in [`StepProgress`].
    pub retries: u32,
    /// As in [`StepProgress`].
    pub granted: bool,
}

/// A run as its records tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunView {
    run: RunRecord,
    seq: u64,
    targets: BTreeMap<TargetName, TargetState>,
    steps: BTreeMap<NodeKey, StepProgress>,
    gates: BTreeMap<NodeKey, GateState>,
    undo: BTreeMap<NodeKey, UndoProgress>,
    undoing: Option<(Failure, String)>,
    resolutions: u64,
    fence: u64,
    resumed: u64,
    stopped: BTreeSet<StopCause>,
}

const fn undo_name(state: &UndoState) -> &'static str {
    match state {
        UndoState::Intent(_) => "undo intent",
        UndoState::Undone { .. } => "undone",
        UndoState::Failed(_) => "undo failed",
        UndoState::Unknown(_) => "undo unknown",
        UndoState::Conflict { .. } => "undo conflict",
        UndoState::Kept { .. } => "kept",
    }
}

/// Whether `to` may follow `from` (`None`: not begun).
fn undo_may_follow(from: Option<&UndoState>, to: &UndoState) -> bool {
    match (from, to) {
        (None, UndoState::Undone { how, .. }) => matches!(how, How::Already),
        (None, UndoState::Failed(failure)) => matches!(failure.mutated, Mutated::No),
        (None, UndoState::Unknown(_)) => false,
        (None, _) => true,
        (Some(UndoState::Intent(_)), to) => !matches!(to, UndoState::Intent(_) | UndoState::Kept { .. }),
        (Some(UndoState::Unknown(_)), to) => !matches!(to, UndoState::Kept { .. }),
        (Some(UndoState::Failed(failure)), to) => failure.not_begun() && !matches!(to, UndoState::Unknown(_)),
        (Some(_), _) => false,
    }
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
fn may_follow(from: Option<&StepState>, to: &StepState) -> bool {
    match (from, to) {
        // Without an intent nothing was written, so only results that write nothing are possible.
        (None, StepState::Succeeded { how, .. }) => matches!(how, How::Already),
        (None, StepState::Failed(failure)) => matches!(failure.mutated, Mutated::No),
        (None, StepState::Unknown(_)) => false,
        (None, _) => true,
        (Some(StepState::Intent(_)), to) => !matches!(to, StepState::Intent(_) | StepState::Skipped { .. }),
        // What is unknown may be tried again, resolved, or found to be unknown still.
        (Some(StepState::Unknown(_)), to) => !matches!(to, StepState::Skipped { .. }),
        // What was certainly not begun is begun anew.
        (Some(StepState::Failed(failure)), to) => failure.not_begun() && !matches!(to, StepState::Unknown(_)),
        (Some(_), _) => false,
    }
}

impl RunView {
    /// A run of which nothing is recorded yet.
    #[must_use]
    pub const fn new(run: RunRecord) -> Self {
        Self {
            fence: run.fence,
            run,
            seq: 0,
            targets: BTreeMap::new(),
            steps: BTreeMap::new(),
            gates: BTreeMap::new(),
            undo: BTreeMap::new(),
            undoing: None,
            resolutions: 0,
            resumed: 0,
            stopped: BTreeSet::new(),
        }
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
            Record::Target(record) => Some(&record.target),
            Record::Step(record) => Some(&record.node.target),
            Record::Gate(record) => Some(&record.node.target),
            Record::Undo(record) => Some(&record.node.target),
            Record::Run(RunMark::Resolved(resolution)) => Some(&resolution.node.target),
            Record::Run(RunMark::Resumed { .. } | RunMark::Undoing { .. } | RunMark::Stopped { .. }) => None,
        };
        if let Some(target) = target.filter(|target| !self.run.targets.contains(target)) {
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
            Record::Undo(record) => self.push_undo(seq, record)?,
            Record::Run(mark) => self.push_mark(seq, mark)?,
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
        let (mut attempts, mut granted) = before.map_or((0, false), |p| (p.attempts, p.granted));
        let retries = before.map_or(0, |progress| progress.retries);
        let mut intent = before.and_then(|progress| progress.intent.clone());
        if let StepState::Intent(new) = &record.state {
            if self.undoing.is_some() {
                return Err(GrammarError::Phase { seq, what: "an intent", undoing: true });
            }
            self.check_intent(seq, node, attempts, new)?;
            attempts = new.attempt;
            intent = Some(new.clone());
            granted = false;
        }
        let state = record.state.clone();
        self.steps.insert(node.clone(), StepProgress { attempts, intent, state, retries, granted });
        Ok(())
    }

    fn push_undo(&mut self, seq: u64, record: &UndoRecord) -> Result<(), GrammarError> {
        let node = &record.node;
        if self.undoing.is_none() {
            return Err(GrammarError::Phase { seq, what: undo_name(&record.state), undoing: false });
        }
        let before = self.undo.get(node);
        let began = before.map(|progress| &progress.state);
        if !self.may_be_undone(node) || !undo_may_follow(began, &record.state) {
            return Err(GrammarError::Transition {
                seq,
                node: node.clone(),
                from: began.map_or_else(
                    || self.steps.get(node).map_or("pending", |step| name(&step.state)),
                    undo_name,
                ),
                to: undo_name(&record.state),
            });
        }
        let (mut attempts, mut granted) = before.map_or((0, false), |p| (p.attempts, p.granted));
        let retries = before.map_or(0, |progress| progress.retries);
        let mut intent = before.and_then(|progress| progress.intent.clone());
        if let UndoState::Intent(new) = &record.state {
            self.check_intent(seq, node, attempts, new)?;
            attempts = new.attempt;
            intent = Some(new.clone());
            granted = false;
        }
        let state = record.state.clone();
        self.undo.insert(node.clone(), UndoProgress { attempts, intent, state, retries, granted });
        Ok(())
    }

    fn push_mark(&mut self, seq: u64, mark: &RunMark) -> Result<(), GrammarError> {
        match mark {
            RunMark::Resumed { fence } => {
                if *fence <= self.fence {
                    return Err(GrammarError::Fence { seq, before: self.fence, got: *fence });
                }
                self.fence = *fence;
                self.resumed += 1;
                // Whoever goes on must look for itself where it is, and has its own reasons to stop.
                self.targets.clear();
                self.stopped.clear();
            }
            RunMark::Undoing { because, place } => {
                if self.undoing.is_some() {
                    return Err(GrammarError::Phase { seq, what: "taking back", undoing: true });
                }
                self.undoing = Some((because.clone(), place.clone()));
            }
            RunMark::Resolved(resolution) => {
                self.resolve(seq, resolution)?;
                self.resolutions += 1;
            }
            RunMark::Stopped { cause, .. } => {
                self.stopped.insert(*cause);
            }
        }
        Ok(())
    }

    /// Takes in what a person said. What it means for the step's state is a record of its own, but for
    /// a new try.
    fn resolve(&mut self, seq: u64, resolution: &Resolution) -> Result<(), GrammarError> {
        let node = &resolution.node;
        let refused = |from| GrammarError::Transition { seq, node: node.clone(), from, to: "resolved" };
        let retry = resolution.verdict == Verdict::Retry;
        if resolution.undo {
            let progress = self.undo.get_mut(node).ok_or_else(|| refused("pending"))?;
            if !matches!(progress.state, UndoState::Unknown(_) | UndoState::Intent(_)) {
                return Err(refused(undo_name(&progress.state)));
            }
            progress.granted = retry;
            progress.retries += u32::from(retry);
        } else {
            let progress = self.steps.get_mut(node).ok_or_else(|| refused("pending"))?;
            if !matches!(progress.state, StepState::Unknown(_) | StepState::Intent(_)) {
                return Err(refused(name(&progress.state)));
            }
            progress.granted = retry;
            progress.retries += u32::from(retry);
        }
        Ok(())
    }

    fn check_intent(
        &self,
        seq: u64,
        node: &NodeKey,
        attempts: u32,
        new: &Intent,
    ) -> Result<(), GrammarError> {
        if !matches!(self.targets.get(&node.target), Some(TargetState::Verified(_))) {
            return Err(GrammarError::Unverified { seq, node: node.clone() });
        }
        if new.attempt != attempts + 1 {
            let (expected, got) = (attempts + 1, new.attempt);
            return Err(GrammarError::Attempt { seq, node: node.clone(), expected, got });
        }
        if new.fence != self.fence {
            let (expected, got) = (self.fence, new.fence);
            return Err(GrammarError::IntentFence { seq, node: node.clone(), expected, got });
        }
        Ok(())
    }

    /// Whether the step has come to an end that leaves, or may leave, something to take back.
    fn may_be_undone(&self, node: &NodeKey) -> bool {
        self.steps.get(node).is_some_and(|progress| match &progress.state {
            StepState::Succeeded { how, .. } => how.changed(),
            StepState::Failed(failure) => failure.mutated != Mutated::No,
            _ => false,
        })
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

    /// Fence of the lease under which the run was last at work.
    #[must_use]
    pub const fn fence(&self) -> u64 {
        self.fence
    }

    /// How often the run was taken up again.
    #[must_use]
    pub const fn resumed(&self) -> u64 {
        self.resumed
    }

    /// Why nothing new began since the run was last taken up, besides what its steps, gates and
    /// targets say.
    #[must_use]
    pub const fn stopped(&self) -> &BTreeSet<StopCause> {
        &self.stopped
    }

    /// What failed, and where, if the run takes back what it did.
    #[must_use]
    pub const fn undoing(&self) -> Option<&(Failure, String)> {
        self.undoing.as_ref()
    }

    /// Steps of which taking back has a record.
    #[must_use]
    pub const fn undo(&self) -> &BTreeMap<NodeKey, UndoProgress> {
        &self.undo
    }

    /// Inverses whose outcome is not known.
    pub fn open_undo(&self) -> impl Iterator<Item = (&NodeKey, &Intent)> {
        self.undo.iter().filter_map(|(node, progress)| match progress.state {
            UndoState::Intent(_) | UndoState::Unknown(_) => {
                progress.intent.as_ref().map(|intent| (node, intent))
            }
            _ => None,
        })
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
