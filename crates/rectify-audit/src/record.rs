//! One line of the log.

use core::fmt;
use rectify_base::{Address, Digest, TargetName};
use rectify_model::journal::{
    Because, GateState, How, Kept, Mutated, Record, RunId, RunMark, RunOutcome, StepState, TargetState,
    UndoState, Verdict,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A record, written as compact canonical JSON. What does not apply is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AuditRecord {
    /// Version of the format: [`crate::VERSION`].
    #[cfg_attr(feature = "schema", schemars(extend("const" = crate::VERSION)))]
    pub v: u32,
    /// The log.
    pub log_id: LogId,
    /// Place in the log: 1, 2, 3, … without gaps. Order is this, never time.
    pub seq: u64,
    /// When it was written, in milliseconds since 1970, by the clock of the machine. For reading only.
    pub time_ms: u64,
    /// The boot of the machine that wrote it.
    pub boot_id: BootId,
    /// Nanoseconds since that boot, in decimal digits: a machine runs longer than 2^53 of them.
    #[serde(with = "nanoseconds")]
    #[cfg_attr(feature = "schema", schemars(with = "String", extend("pattern" = "^(0|[1-9][0-9]{0,19})$")))]
    pub mono_ns: u64,
    /// Who did it.
    pub actor: Actor,
    /// What was done.
    pub action: Action,
    /// The run that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// BLAKE3 of the plan's bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_digest: Option<Digest>,
    /// Address of the step or gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_id: Option<Address>,
    /// The target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetName>,
    /// What the gate decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Digest of what there is to say in detail ([`crate::detail`]), which is kept apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail_digest: Option<Digest>,
    /// Digest of the record before ([`crate::chain`]).
    pub prev: Digest,
}

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// What it is.
    pub kind: ActorKind,
    /// Its name: a principal of the trust file, or `rectify`.
    pub id: String,
    /// Fingerprint of its key, if it has one and it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyid: Option<String>,
}

impl Actor {
    /// The executor of this machine, of which the key is not known.
    #[must_use]
    pub fn executor() -> Self {
        Self { kind: ActorKind::Executor, id: String::from("rectify"), keyid: None }
    }

    /// A person by name.
    #[must_use]
    pub fn person(id: impl Into<String>) -> Self {
        Self { kind: ActorKind::Person, id: id.into(), keyid: None }
    }
}

/// What an actor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// The program that carries plans out.
    Executor,
    /// A person.
    Person,
}

/// What the gate decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It let the plan in.
    Allow,
    /// It did not.
    Deny,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $( $(#[$variant_doc:meta])* $variant:ident = $text:literal, )* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum $name {
            $( $(#[$variant_doc])* #[serde(rename = $text)] $variant, )*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word used in files and messages.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words!(
    /// Everything that can be done.
    Action {
        /// The log was begun; in detail, what was taken over from an older journal.
        LogStarted = "log_started",
        /// The gate refused a plan.
        AdmissionRefused = "admission_refused",
        /// The gate let a plan in, and a run of it began; in detail, the run record.
        RunAdmitted = "run_admitted",
        /// A target proved what it is.
        TargetVerified = "target_verified",
        /// A target is another one, or could not be asked.
        TargetRefused = "target_refused",
        /// A step may act from now on.
        StepIntent = "step_intent",
        /// The state is as planned.
        StepSucceeded = "step_succeeded",
        /// A step failed.
        StepFailed = "step_failed",
        /// Whether it happened is not known.
        StepUnknown = "step_unknown",
        /// What was found is neither as expected nor as planned.
        StepStale = "step_stale",
        /// A step was not tried.
        StepSkipped = "step_skipped",
        /// A gate holds.
        GatePassed = "gate_passed",
        /// A gate did not hold in time.
        GateFailed = "gate_failed",
        /// An inverse may act from now on.
        UndoIntent = "undo_intent",
        /// A step was taken back.
        UndoDone = "undo_done",
        /// Taking back failed.
        UndoFailed = "undo_failed",
        /// Whether it was taken back is not known.
        UndoUnknown = "undo_unknown",
        /// What was found is neither what the step left nor what was there before.
        UndoConflict = "undo_conflict",
        /// A step was not taken back.
        UndoKept = "undo_kept",
        /// Another engine went on with a run.
        RunResumed = "run_resumed",
        /// A run takes back what it did.
        RunUndoing = "run_undoing",
        /// Nothing new began in a run from here on; in detail, why.
        RunStopped = "run_stopped",
        /// A person said what became of an operation.
        RunResolved = "run_resolved",
        /// A run ended.
        RunEnded = "run_ended",
        /// The receipt of a run was kept. The digest is that of its bytes, as `b3sum` prints it.
        ReceiptKept = "receipt_kept",
        /// Targets were locked; in detail, which and by whom.
        LeaseAcquired = "lease_acquired",
        /// Targets were let go by who had locked them.
        LeaseReleased = "lease_released",
        /// A person broke the lock of a target.
        LeaseBroken = "lease_broken",
    }
);

words!(
    /// What came of it.
    Outcome {
        /// By this run.
        Applied = "applied",
        /// It was so already; nothing was written.
        Already = "already",
        /// The answer was lost; looking afterwards found it so.
        Observed = "observed",
        /// A person said so.
        Judged = "judged",
        /// Nothing was changed.
        Unchanged = "unchanged",
        /// The engine was stopped before the provider was asked; it may be begun again.
        NotBegun = "not_begun",
        /// Something may have been changed.
        MaybeChanged = "maybe_changed",
        /// Something was changed.
        Changed = "changed",
        /// A step that it waits for did not succeed, or was not taken back.
        Dependency = "dependency",
        /// Nothing triggered it.
        NotTriggered = "not_triggered",
        /// The plan has no inverse.
        NoInverse = "no_inverse",
        /// It happened, or: every step and every gate.
        Succeeded = "succeeded",
        /// It did not happen, or: something failed and nothing was changed.
        Failed = "failed",
        /// It may be tried again.
        Retry = "retry",
        /// Not everything was done.
        PartiallyApplied = "partially_applied",
        /// Asked to stop.
        Cancelled = "cancelled",
        /// Nothing was changed, because what was found is not what the plan expects.
        Stale = "stale",
        /// Stopped without waiting.
        Interrupted = "interrupted",
        /// Only a person may decide.
        NeedsOperator = "needs_operator",
        /// Everything was taken back.
        Undone = "undone",
        /// Not everything was taken back.
        UndoFailed = "undo_failed",
    }
);

impl From<RunOutcome> for Outcome {
    fn from(outcome: RunOutcome) -> Self {
        match outcome {
            RunOutcome::Succeeded => Self::Succeeded,
            RunOutcome::Failed => Self::Failed,
            RunOutcome::PartiallyApplied => Self::PartiallyApplied,
            RunOutcome::Cancelled => Self::Cancelled,
            RunOutcome::Stale => Self::Stale,
            RunOutcome::Interrupted => Self::Interrupted,
            RunOutcome::NeedsOperator => Self::NeedsOperator,
            RunOutcome::Undone => Self::Undone,
            RunOutcome::UndoFailed => Self::UndoFailed,
        }
    }
}

impl From<How> for Outcome {
    fn from(how: How) -> Self {
        match how {
            How::Applied => Self::Applied,
            How::Already => Self::Already,
            How::Observed => Self::Observed,
            How::Judged => Self::Judged,
        }
    }
}

impl From<Mutated> for Outcome {
    fn from(mutated: Mutated) -> Self {
        match mutated {
            Mutated::No => Self::Unchanged,
            Mutated::Maybe => Self::MaybeChanged,
            Mutated::Yes => Self::Changed,
        }
    }
}

impl Outcome {
    /// The end of a run with this word, if it is one.
    #[must_use]
    pub fn run_outcome(self) -> Option<RunOutcome> {
        RunOutcome::ALL.into_iter().find(|outcome| Self::from(*outcome) == self)
    }
}

/// What a record says that is not about where and when it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// What was done.
    pub action: Action,
    /// Who did it, if not who keeps the log.
    pub actor: Option<Actor>,
    /// See [`AuditRecord::run_id`].
    pub run_id: Option<RunId>,
    /// See [`AuditRecord::plan_digest`].
    pub plan_digest: Option<Digest>,
    /// See [`AuditRecord::step_id`].
    pub step_id: Option<Address>,
    /// See [`AuditRecord::target`].
    pub target: Option<TargetName>,
    /// See [`AuditRecord::decision`].
    pub decision: Option<Decision>,
    /// See [`AuditRecord::outcome`].
    pub outcome: Option<Outcome>,
    /// See [`AuditRecord::detail_digest`].
    pub detail_digest: Option<Digest>,
}

impl Act {
    /// An act with nothing said about it.
    #[must_use]
    pub const fn new(action: Action) -> Self {
        Self {
            action,
            actor: None,
            run_id: None,
            plan_digest: None,
            step_id: None,
            target: None,
            decision: None,
            outcome: None,
            detail_digest: None,
        }
    }

    /// What a record of the journal says in the log. The digest of its body is not filled in.
    #[must_use]
    pub fn of_record(record: &Record) -> Self {
        let mut act = match record {
            Record::Target(target) => Self {
                target: Some(target.target.clone()),
                ..Self::new(match target.state {
                    TargetState::Verified(_) => Action::TargetVerified,
                    TargetState::Refused(_) => Action::TargetRefused,
                })
            },
            Record::Step(step) => {
                let (action, outcome) = of_step(&step.state);
                Self { outcome, ..Self::new(action) }
            }
            Record::Gate(gate) => Self::new(match gate.state {
                GateState::Passed => Action::GatePassed,
                GateState::Failed(_) => Action::GateFailed,
            }),
            Record::Undo(undo) => {
                let (action, outcome) = of_undo(&undo.state);
                Self { outcome, ..Self::new(action) }
            }
            Record::Run(RunMark::Resumed { .. }) => Self::new(Action::RunResumed),
            Record::Run(RunMark::Undoing { .. }) => Self::new(Action::RunUndoing),
            Record::Run(RunMark::Stopped { .. }) => Self::new(Action::RunStopped),
            Record::Run(RunMark::Resolved(resolution)) => Self {
                actor: Some(Actor::person(resolution.by.clone())),
                outcome: Some(match resolution.verdict {
                    Verdict::Succeeded => Outcome::Succeeded,
                    Verdict::Failed => Outcome::Failed,
                    Verdict::Retry => Outcome::Retry,
                }),
                ..Self::new(Action::RunResolved)
            },
        };
        let node = match record {
            Record::Step(step) => Some(&step.node),
            Record::Gate(gate) => Some(&gate.node),
            Record::Undo(undo) => Some(&undo.node),
            Record::Run(RunMark::Resolved(resolution)) => Some(&resolution.node),
            Record::Target(_) | Record::Run(_) => None,
        };
        if let Some(node) = node {
            act.target = Some(node.target.clone());
            act.step_id = Some(node.address.clone());
        }
        act
    }
}

fn of_step(state: &StepState) -> (Action, Option<Outcome>) {
    match state {
        StepState::Intent(_) => (Action::StepIntent, None),
        StepState::Succeeded { how, .. } => (Action::StepSucceeded, Some((*how).into())),
        StepState::Failed(failure) if failure.not_begun() => (Action::StepFailed, Some(Outcome::NotBegun)),
        StepState::Failed(failure) => (Action::StepFailed, Some(failure.mutated.into())),
        StepState::Unknown(_) => (Action::StepUnknown, None),
        StepState::Stale { .. } => (Action::StepStale, None),
        StepState::Skipped { because: Because::Dependency(_) } => {
            (Action::StepSkipped, Some(Outcome::Dependency))
        }
        StepState::Skipped { because: Because::NotTriggered } => {
            (Action::StepSkipped, Some(Outcome::NotTriggered))
        }
    }
}

fn of_undo(state: &UndoState) -> (Action, Option<Outcome>) {
    match state {
        UndoState::Intent(_) => (Action::UndoIntent, None),
        UndoState::Undone { how, .. } => (Action::UndoDone, Some((*how).into())),
        UndoState::Failed(failure) if failure.not_begun() => (Action::UndoFailed, Some(Outcome::NotBegun)),
        UndoState::Failed(failure) => (Action::UndoFailed, Some(failure.mutated.into())),
        UndoState::Unknown(_) => (Action::UndoUnknown, None),
        UndoState::Conflict { .. } => (Action::UndoConflict, None),
        UndoState::Kept { because: Kept::NoInverse } => (Action::UndoKept, Some(Outcome::NoInverse)),
        UndoState::Kept { because: Kept::Dependent(_) } => (Action::UndoKept, Some(Outcome::Dependency)),
    }
}

mod nanoseconds {
    use super::{Deserialize, Deserializer, Serializer};
    use serde::de::Error as _;

    pub fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        let value: u64 = text.parse().map_err(D::Error::custom)?;
        // Neither a sign nor leading zeros.
        if value.to_string() == text { Ok(value) } else { Err(D::Error::custom("not plain decimal digits")) }
    }
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(
            feature = "schema",
            derive(schemars::JsonSchema),
            schemars(extend("pattern" = "^[0-9a-f]{32}$"))
        )]
        pub struct $name(String);

        impl $name {
            /// Checks the spelling and wraps it; `None` unless it is 32 lower-case hexadecimal digits.
            #[must_use]
            pub fn new(text: impl Into<String>) -> Option<Self> {
                let text = text.into();
                let plain =
                    text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                plain.then_some(Self(text))
            }

            /// Writes 128 bits.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(format!("{:032x}", u128::from_be_bytes(bytes)))
            }

            /// The digits.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::new(text).ok_or_else(|| {
                    D::Error::custom(concat!($kind, ": expected 32 lower-case hexadecimal digits"))
                })
            }
        }
    };
}

hex_id!(
    /// A log: 128 random bits.
    LogId,
    "log id"
);
hex_id!(
    /// A boot of a machine, as Linux names it, without hyphens; zeros where it is not known.
    BootId,
    "boot id"
);
