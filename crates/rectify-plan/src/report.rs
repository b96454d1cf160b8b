//! The planning report: a typed reason for every no-op, deferral, degraded prediction, implied edge
//! and ordering choice. It lies beside the plan and is no part of it.

use rectify_base::{Address, TargetName};
use rectify_model::{grade::Prediction, plan::Action};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// Format name of this version.
pub const FORMAT: &str = "rectify.report/v1";

/// Why the plan is as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Name and version of the format: [`FORMAT`].
    #[cfg_attr(feature = "schema", schemars(extend("const" = FORMAT)))]
    pub format: String,
    /// Reasons, in the graph's order of targets and nodes; several of one node stand together.
    /// Those of gates come after the nodes.
    pub entries: Vec<Entry>,
    /// Why the targets are changed in this order.
    pub waves: Vec<WaveEntry>,
    /// Steps that are written and not taken on a target. The planner leaves it empty: it never sees
    /// them; whoever compiled the graph knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOutEntry>,
    /// What kept the providers from changing anything while they were asked. The planner leaves it
    /// empty: whoever asked them knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<SessionEntry>,
}

/// A step that is written and not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LeftOutEntry {
    /// The target on which it is not taken.
    pub target: TargetName,
    /// The step, without keys of its own.
    pub address: Address,
    /// Why, in words.
    pub why: String,
}

/// How a provider was confined while it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionEntry {
    /// The target that it was asked about.
    pub target: TargetName,
    /// The provider.
    pub provider: String,
    /// Whether everything that was asked for is in force.
    pub complete: bool,
    /// The layers, by name.
    pub layers: BTreeMap<String, Layer>,
}

/// Whether a layer of the confinement was in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Layer {
    /// It was.
    Achieved,
    /// It was not, for this reason.
    Unavailable(String),
    /// It was not asked for.
    NotRequested,
}

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Where.
    pub target: TargetName,
    /// The step or gate.
    pub address: Address,
    /// Why.
    pub reason: Reason,
}

/// Why something is in the plan as it is, or is not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Reason {
    /// No-op: the state is as desired, or the action has nothing to do.
    AsDesired,
    /// No-op: the steps that write this thing, one after the other, leave it as it was found.
    Converged {
        /// The first of them that finds something to change.
        first: Address,
        /// The last one.
        last: Address,
        /// How many they are.
        steps: u64,
    },
    /// No-op: none of the steps that trigger it changes anything.
    TriggerNotFired {
        /// Those steps.
        sources: Vec<Address>,
    },
    /// Deferred: the provider could not decide, or could not be asked.
    Undecided {
        /// The code of the answer.
        code: String,
        /// What it said.
        message: String,
    },
    /// Deferred: a step that comes before it is deferred.
    AfterDeferred {
        /// That step.
        source: Address,
    },
    /// It is done.
    Changes {
        /// What is done.
        action: Action,
        /// How sure that is.
        prediction: Prediction,
    },
    /// It is done because a step that triggers it changes something.
    Triggered {
        /// The steps that change something.
        sources: Vec<Address>,
    },
    /// The prediction is less sure than the provider's answer.
    Degraded {
        /// As the provider answered.
        from: Prediction,
        /// As the plan says.
        to: Prediction,
        /// What lowered it.
        cause: Cause,
    },
    /// It is predicted on the result of an earlier step.
    PredictedOn {
        /// That step.
        source: Address,
    },
    /// It was looked at before an earlier step of this plan changes what it reads.
    ReadsChanged {
        /// The thing.
        key: String,
        /// The earlier step.
        source: Address,
    },
    /// It waits for an earlier step because both touch one thing.
    ImpliedEdge {
        /// The earlier step.
        source: Address,
        /// What implied it.
        why: String,
    },
    /// It waits for an earlier step because a step between them, which needs nothing, does.
    WaitsThrough {
        /// The earlier step.
        source: Address,
        /// The step between them.
        via: Address,
    },
    /// It waits for an earlier step only to keep the plan small: many steps come before one that
    /// needs nothing, and they are done one after the other.
    Queued {
        /// The earlier step.
        source: Address,
        /// The step that they all come before.
        via: Address,
    },
    /// The gate is in the plan.
    GateKept,
    /// The gate is not in the plan: its remediation changes nothing on the target.
    GateNotNeeded,
    /// The gate may fail: this step of its remediation is deferred.
    GateDoubtful {
        /// The first such step.
        deferred: Address,
    },
}

/// What lowered a prediction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Cause {
    /// The type never predicts better, or an action's result is not known.
    Type,
    /// The step that triggers it is not certain to change anything.
    Trigger {
        /// That step.
        source: Address,
    },
    /// The step whose result it starts from is not certain.
    Chain {
        /// That step.
        source: Address,
    },
    /// It reads what an earlier step changes.
    Read {
        /// That step.
        source: Address,
    },
}

/// One wave, and why it is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WaveEntry {
    /// The targets.
    pub targets: Vec<TargetName>,
    /// Why.
    pub reason: WaveReason,
}

/// Why targets are in a wave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum WaveReason {
    /// There is only one target.
    Only,
    /// The first target that changes goes alone, so that a bad plan is seen on one.
    First,
    /// All others, once the first wave is done.
    Rest,
}

impl Report {
    /// Explains one step or gate in plain sentences, a line each; for every target, or for one.
    /// Empty where the report says nothing of it.
    #[must_use]
    pub fn why(&self, target: Option<&TargetName>, address: &Address) -> String {
        let wanted =
            |entry: &&Entry| &entry.address == address && target.is_none_or(|target| target == &entry.target);
        let left_out = self
            .left_out
            .iter()
            .filter(|entry| &entry.address == address && target.is_none_or(|target| target == &entry.target));
        let reasons = self.entries.iter().filter(wanted);
        reasons
            .map(|entry| format!("{}:{}: {}\n", entry.target, entry.address, entry.reason))
            .chain(
                left_out
                    .map(|entry| format!("{}:{}: left out: {}\n", entry.target, entry.address, entry.why)),
            )
            .collect()
    }
}

fn list(addresses: &[Address]) -> String {
    let quoted: Vec<String> = addresses.iter().map(|address| format!("`{address}`")).collect();
    quoted.join(", ")
}

const fn sure(prediction: Prediction) -> &'static str {
    match prediction {
        Prediction::Opaque => "opaque",
        Prediction::Conditional => "conditional",
        Prediction::Exact => "exact",
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsDesired => f.write_str("nothing to do: it is as desired"),
            Self::Converged { first, last, steps } => write!(
                f,
                "nothing to do: converged by its chain; the {steps} steps on it from `{first}` to `{last}` leave it as it was found"
            ),
            Self::TriggerNotFired { sources } => {
                write!(f, "nothing to do: what triggers it does not change ({})", list(sources))
            }
            Self::Undecided { code, message } => write!(f, "deferred ({code}): {message}"),
            Self::AfterDeferred { source } => {
                write!(f, "deferred: it comes after `{source}`, which is deferred")
            }
            Self::Changes { action, prediction } => {
                write!(f, "in the plan: {}, prediction {}", action.as_str(), sure(*prediction))
            }
            Self::Triggered { sources } => write!(f, "triggered by {}", list(sources)),
            Self::Degraded { from, to, cause } => {
                write!(f, "prediction lowered from {} to {}: {cause}", sure(*from), sure(*to))
            }
            Self::PredictedOn { source } => write!(f, "predicted on the result of `{source}`"),
            Self::ReadsChanged { key, source } => {
                write!(f, "it reads {key}, which `{source}` changes first; what was seen may no longer hold")
            }
            Self::ImpliedEdge { source, why } => write!(f, "waits for `{source}`: {why}"),
            Self::WaitsThrough { source, via } => {
                write!(f, "waits for `{source}`, because `{via}` stands between them and needs nothing")
            }
            Self::Queued { source, via } => {
                write!(f, "waits for `{source}`: many steps come before `{via}` and are done one by one")
            }
            Self::GateKept => f.write_str("asked after the steps of its remediation"),
            Self::GateNotNeeded => f.write_str("not asked: its remediation changes nothing here"),
            Self::GateDoubtful { deferred } => {
                write!(f, "may fail: `{deferred}` of its remediation is deferred")
            }
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type => f.write_str("its type cannot know more"),
            Self::Trigger { source } => write!(f, "`{source}`, which triggers it, is not certain to change"),
            Self::Chain { source } => {
                write!(f, "it starts from the result of `{source}`, which is not certain")
            }
            Self::Read { source } => write!(f, "it reads what `{source}` changes"),
        }
    }
}
