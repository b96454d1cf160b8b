//! The published input: what a policy may know of a plan. It lists changes; what needs nothing
//! appears as a count. `schemas/policy-input.schema.json` describes it.

use crate::{
    Clock, Surroundings,
    commands::{self, Command},
    freeze::Freeze,
    surroundings::{History, ProviderVerdict},
};
use rectify_base::TypeName;
use rectify_model::{
    graph::{Access, RemediationInfo},
    plan::{Plan, PlanGate, Step},
    provider::LockedProvider,
};
use serde::Serialize;
use serde_json::Value;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

/// Format name of this version.
pub const FORMAT: &str = "rectify.policy-input/v2";

/// What a policy sees as `input`.
#[derive(Serialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "Input of Rectify policies"))]
struct PolicyInput<'a> {
    /// `rectify.policy-input/v2`.
    #[cfg_attr(test, schemars(extend("const" = FORMAT)))]
    format: &'a str,
    /// Name of the project.
    project: &'a str,
    /// The moment of the decision.
    now: &'a Clock,
    /// Sums over the plan.
    counts: Counts,
    /// Number of steps that the plan does not cover.
    deferred: u64,
    /// The targets of the plan, by name.
    targets: BTreeMap<&'a str, Target<'a>>,
    /// The providers of the plan that are not part of Rectify, by name; absent if there are none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(test, schemars(default))]
    providers: BTreeMap<&'a str, Provider<'a>>,
    /// What will be done, in the order of the plan.
    changes: Vec<Change<'a>>,
    /// What is asked afterwards, in the order of the plan.
    gates: Vec<Gate<'a>>,
    /// Targets that are changed at the same time, one wave after the other.
    waves: Vec<Vec<&'a str>>,
    /// Number of targets that the inventory has, by environment; of the plan's environments only.
    fleet: BTreeMap<&'a str, u64>,
    /// What the machine that decides applied lately.
    history: History,
    /// Rules that are overridden for this plan, sorted; whoever signed that was verified before.
    overrides: &'a BTreeSet<String>,
    /// What the calendars of the bundle say about the moment; absent if it has none. The process that
    /// evaluates adds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    freeze: Option<Freeze>,
}

/// Sums over the plan.
#[derive(Serialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Counts {
    /// Steps that create.
    create: u64,
    /// Steps that update.
    update: u64,
    /// Steps that replace.
    replace: u64,
    /// Steps that delete.
    delete: u64,
    /// Actions that run.
    run: u64,
    /// Steps that need nothing.
    unchanged: u64,
    /// Steps that would change something, but that no change triggers.
    not_triggered: u64,
}

/// One target.
#[derive(Serialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Target<'a> {
    /// Such as `prod`.
    environment: &'a str,
    /// Labels of the target.
    labels: &'a BTreeMap<String, String>,
}

/// One provider that is not part of Rectify, by its locked release.
#[derive(Serialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Provider<'a> {
    /// Its version.
    version: &'a str,
    /// Digest of the locked release.
    release: String,
    /// What the holder of the key that signed the release calls itself; absent if nobody signed. Whose
    /// name it is only the trust file can say.
    #[serde(skip_serializing_if = "Option::is_none")]
    publisher: Option<&'a str>,
    /// Fingerprint of that key.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    /// Whether nobody signed.
    unsigned: bool,
    /// What runs it, if it is a script.
    #[serde(skip_serializing_if = "Option::is_none")]
    interpreter: Option<&'a str>,
    /// Whether it is a script: the program that runs it is fixed by no digest.
    interpreter_unpinned: bool,
    /// What testers found of its executables; absent if there is nothing that counts.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[cfg_attr(test, schemars(default))]
    verdicts: &'a [ProviderVerdict],
}

/// One change on one target.
#[derive(Serialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Change<'a> {
    /// Name of the target.
    target: &'a str,
    /// `remediation/step`.
    address: &'a str,
    /// Name of the remediation.
    remediation: &'a str,
    /// Such as `file.content`.
    #[serde(rename = "type")]
    type_name: &'a str,
    /// The provider of the type; absent if it is part of Rectify.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    /// `create`, `update`, `replace`, `delete` or `run`.
    action: &'a str,
    /// Absolute paths that are written, as far as they are known beforehand: those that the step names,
    /// and those that they lead to through links.
    paths: Vec<&'a str>,
    /// `exact`, `conditional` or `opaque`.
    prediction: Word,
    /// What may be done about an unknown outcome: `converge`, `query` or `once`.
    retry: Word,
    /// How well the step can be taken back: `exact`, `lossy` or `none`.
    undo: Word,
    /// What is interrupted: `reload`, `restart`, `reboot`.
    disruption: Vec<Word>,
    /// Permissions that the step sets, in octal as it writes them; absent if it sets none.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<Cow<'a, str>>,
    /// Owner that the step sets, a name or a number; absent if it sets none.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<Cow<'a, str>>,
    /// Group that the step sets, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<Cow<'a, str>>,
    /// Labels of the remediation.
    labels: &'a BTreeMap<String, String>,
    /// Why the remediation exists; absent if its author did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<Because<'a>>,
    /// Everything that the step executes, also in order to know whether it has to, or may.
    commands: Vec<Command<'a>>,
}

/// One check that must hold after the changes of its remediation on a target.
#[derive(Serialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Gate<'a> {
    /// Name of the target.
    target: &'a str,
    /// `remediation/verify:<index>`.
    address: &'a str,
    /// Name of the remediation.
    remediation: &'a str,
    /// Such as `tcp.connect`.
    #[serde(rename = "type")]
    type_name: &'a str,
    /// The provider of the type; absent if it is part of Rectify.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    /// How long it is asked again, in seconds.
    within_s: u32,
    /// Everything that it executes.
    commands: Vec<Command<'a>>,
}

/// A reason.
#[derive(Serialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Because<'a> {
    /// A reference, such as a CVE number or a ticket; may be empty.
    id: &'a str,
    /// One sentence; may be empty.
    text: &'a str,
}

/// A word of one of the grades of the plan, spelled as there.
type Word = String;

/// Spells a grade as it is spelled in the plan. The grades serialize as plain strings.
fn word(grade: impl Serialize) -> Word {
    match serde_json::to_value(grade) {
        Ok(Value::String(text)) => text,
        _ => String::from("unknown"),
    }
}

fn change<'a>(
    plan: &'a Plan,
    remediations: &BTreeMap<&str, &'a RemediationInfo>,
    step: &'a Step,
    no_labels: &'a BTreeMap<String, String>,
) -> Change<'a> {
    let info = remediations.get(step.address.remediation());
    let because = info.and_then(|info| info.because.as_ref());
    let written = step.touches.iter().filter(|touch| touch.access == Access::Write);
    // In order and once each: what a step names may also be where a link of another name leads.
    let paths: BTreeSet<&str> = written
        .map(|touch| &touch.key)
        .chain(&step.resolved)
        .filter_map(|key| key.strip_prefix("path:"))
        .collect();
    // An unknown type can be repeated least safely, and a plan that passed the checker has none.
    let retry = plan.types.get(&step.type_name).map_or("once".to_owned(), |info| word(info.retry));
    let given = |name: &str| step.desired.get(name).filter(|value| !value.is_null()).map(commands::text);
    Change {
        target: step.target.as_str(),
        address: step.address.as_str(),
        remediation: step.address.remediation(),
        type_name: step.type_name.as_str(),
        provider: provider_of(plan, &step.type_name),
        action: step.action.as_str(),
        paths: paths.into_iter().collect(),
        prediction: word(step.prediction),
        retry,
        undo: word(step.undo.grade),
        disruption: step.disruption.iter().map(word).collect(),
        mode: given("mode"),
        owner: given("owner"),
        group: given("group"),
        labels: info.map_or(no_labels, |info| &info.labels),
        because: because.map(|because| Because {
            id: because.id.as_deref().unwrap_or(""),
            text: because.text.as_deref().unwrap_or(""),
        }),
        commands: commands::of_step(&step.desired),
    }
}

/// The provider of a type, if it is not part of Rectify.
fn provider_of<'a>(plan: &'a Plan, type_name: &TypeName) -> Option<&'a str> {
    let manifest = plan.types.get(type_name)?.manifest;
    plan.providers.iter().find(|(_, p)| p.manifest == manifest).map(|(name, _)| name.as_str())
}

fn provider<'a>(locked: &'a LockedProvider, verdicts: &'a [ProviderVerdict]) -> Provider<'a> {
    let publisher = locked.publisher.as_ref();
    Provider {
        version: &locked.version,
        release: locked.release.to_string(),
        publisher: publisher.map(|publisher| publisher.name.as_str()),
        key: publisher.map(|publisher| publisher.key.as_str()),
        unsigned: publisher.is_none(),
        interpreter: locked.interpreter.as_deref(),
        interpreter_unpinned: locked.interpreter.is_some(),
        verdicts,
    }
}

fn gate<'a>(plan: &'a Plan, gate: &'a PlanGate) -> Gate<'a> {
    Gate {
        target: gate.target.as_str(),
        address: gate.address.as_str(),
        remediation: gate.address.remediation(),
        type_name: gate.type_name.as_str(),
        provider: provider_of(plan, &gate.type_name),
        within_s: gate.within_s,
        commands: commands::of_gate(&gate.desired),
    }
}

/// The view of a plan that policies decide on, in these surroundings.
#[must_use]
pub fn input(plan: &Plan, surroundings: &Surroundings) -> Value {
    let no_labels = BTreeMap::new();
    let remediations = plan.remediations.iter().map(|(name, info)| (name.as_str(), info)).collect();
    let environments: BTreeSet<&str> =
        plan.targets.values().map(|target| target.environment.as_str()).collect();
    let fleet = &surroundings.fleet;
    let input = PolicyInput {
        format: FORMAT,
        project: plan.project.as_str(),
        now: &surroundings.now,
        counts: Counts {
            create: plan.counts.create,
            update: plan.counts.update,
            replace: plan.counts.replace,
            delete: plan.counts.delete,
            run: plan.counts.run,
            unchanged: plan.counts.unchanged,
            not_triggered: plan.counts.not_triggered,
        },
        deferred: plan.counts.deferred,
        targets: plan
            .targets
            .iter()
            .map(|(name, target)| {
                (name.as_str(), Target { environment: &target.environment, labels: &target.labels })
            })
            .collect(),
        providers: plan
            .providers
            .iter()
            .map(|(name, locked)| {
                let verdicts = surroundings.verdicts.get(name).map_or(&[][..], Vec::as_slice);
                (name.as_str(), provider(locked, verdicts))
            })
            .collect(),
        changes: plan.steps.iter().map(|step| change(plan, &remediations, step, &no_labels)).collect(),
        gates: plan.gates.iter().map(|one| gate(plan, one)).collect(),
        waves: plan.waves.iter().map(|wave| wave.iter().map(|name| name.as_str()).collect()).collect(),
        fleet: environments.into_iter().filter_map(|name| Some((name, *fleet.get(name)?))).collect(),
        history: surroundings.history.of(plan.targets.keys()),
        overrides: &surroundings.overrides,
        freeze: None,
    };
    // Maps with string keys and no floats: serialization cannot fail. Were it to, `null` has no
    // field that any rule asks for, and it does not match the schema.
    serde_json::to_value(input).unwrap_or(Value::Null)
}

#[cfg(test)]
pub(crate) fn generated_schema() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12();
    settings.into_generator().into_root_schema_for::<PolicyInput<'static>>().to_value()
}
