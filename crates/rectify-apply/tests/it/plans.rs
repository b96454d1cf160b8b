//! Plans for tests: a short description, and a generator of random ones.

use crate::rng::Rng;
use rectify_base::{Address, Digest, FileDigests, RemediationName, TargetName, TypeName};
use rectify_model::{
    Plan,
    grade::{Prediction, Retry, TypeKind, UndoGrade},
    graph::{Access, Edge, EdgeKind, RemediationInfo, RunLimits, Touch, UndoMode},
    observation::Identity,
    plan::{Action, Counts, FORMAT, Inverse, PlanGate, PlanTarget, PlanType, Step, Undo},
};
use std::collections::BTreeMap;

/// A step in short. Its state is `version` of `thing`; what it expects is the version before.
#[derive(Clone, Debug)]
pub struct Short {
    pub target: String,
    pub address: String,
    pub retry: Retry,
    /// The thing that it changes, and the version that it makes; none for an unguarded command.
    pub thing: Option<(String, u32)>,
    pub edges: Vec<(String, EdgeKind)>,
    pub locks: Vec<(String, Access)>,
    /// Whether the plan has an inverse for it.
    pub inverse: bool,
}

/// Fingerprint of a version of a thing on a target.
pub fn version(target: &str, thing: &str, number: u32) -> Digest {
    Digest::of_bytes(format!("{target} {thing} {number}").as_bytes())
}

/// Fingerprint of the state of an unguarded command.
pub fn nothing() -> Digest {
    Digest::of_bytes(b"{}")
}

pub fn identity(target: &str) -> Identity {
    Identity::Root(Digest::of_bytes(target.as_bytes()))
}

pub fn type_name(retry: Retry, unguarded: bool) -> TypeName {
    let name = match (retry, unguarded) {
        (Retry::Converge, false) => "file.content",
        (Retry::Query, false) => "package.installed",
        (Retry::Once, false) => "command.guarded",
        (Retry::Converge, true) => "service.reload",
        (Retry::Query, true) => "service.restart",
        (Retry::Once, true) => "command.run",
    };
    TypeName::new(name).unwrap()
}

pub fn step(short: &Short) -> Step {
    let (expect, result) = match &short.thing {
        Some((thing, number)) => {
            (version(&short.target, thing, number - 1), Some(version(&short.target, thing, *number)))
        }
        None => (nothing(), None),
    };
    let own = short.thing.iter().map(|(thing, _)| (thing.clone(), Access::Write));
    let mut touches: Vec<Touch> = own
        .chain(short.locks.iter().cloned())
        .map(|(key, access)| Touch { key: format!("path:/{key}"), access })
        .collect();
    touches.sort();
    let mut edges: Vec<Edge> = short
        .edges
        .iter()
        .map(|(from, kind)| Edge { from: from.parse().unwrap(), kind: *kind, reason: None })
        .collect();
    edges.sort();
    let action = if short.thing.is_none() { Action::Run } else { Action::Update };
    let left = result.unwrap_or_else(nothing);
    let inverse = Inverse { action, expect: left, result: short.thing.as_ref().map(|_| expect) };
    Step {
        target: TargetName::new(short.target.clone()).unwrap(),
        address: Address::new(short.address.clone()).unwrap(),
        type_name: type_name(short.retry, short.thing.is_none()),
        action,
        desired: serde_json::Map::new(),
        changes: Vec::new(),
        expect,
        result,
        planned: None,
        touches,
        resolved: Vec::new(),
        prediction: if result.is_some() { Prediction::Exact } else { Prediction::Opaque },
        undo: if short.inverse {
            Undo { grade: UndoGrade::Exact, note: None, inverse: Some(inverse) }
        } else {
            Undo { grade: UndoGrade::None, note: None, inverse: None }
        },
        edges,
        disruption: Vec::new(),
    }
}

/// A gate: target, address, window in seconds.
pub type ShortGate = (String, String, u32);

pub fn plan(steps: &[Short], gates: &[ShortGate], waves: &[Vec<String>], parallel: u32) -> Plan {
    let digests = FileDigests::of_bytes(b"document");
    let plan_type = |retry, kind| PlanType {
        version: 1,
        manifest: Digest::of_bytes(b"manifest"),
        kind,
        retry,
        volatile: Vec::new(),
    };
    let mut types = BTreeMap::new();
    for retry in [Retry::Converge, Retry::Query, Retry::Once] {
        types.insert(type_name(retry, false), plan_type(retry, TypeKind::Resource));
        types.insert(type_name(retry, true), plan_type(retry, TypeKind::Action));
    }
    let probe = TypeName::new("tcp.connect").unwrap();
    types.insert(probe.clone(), plan_type(Retry::Converge, TypeKind::Probe));
    let targets = waves
        .iter()
        .flatten()
        .map(|name| {
            let target = PlanTarget {
                environment: "test".into(),
                labels: BTreeMap::new(),
                identity: identity(name),
                observation: digests,
                assumptions: Vec::new(),
                secrets: BTreeMap::new(),
            };
            (TargetName::new(name.clone()).unwrap(), target)
        })
        .collect();
    Plan {
        format: FORMAT.into(),
        project: "simulated".parse().unwrap(),
        graph: digests,
        limits: RunLimits { parallel_steps: parallel, changes_max: 1_000 },
        remediations: BTreeMap::<RemediationName, _>::new(),
        targets,
        types,
        providers: BTreeMap::new(),
        steps: steps.iter().map(step).collect(),
        unchanged: Vec::new(),
        deferred: Vec::new(),
        gates: gates
            .iter()
            .map(|(target, address, within_s)| PlanGate {
                target: target.parse().unwrap(),
                address: address.parse().unwrap(),
                type_name: probe.clone(),
                desired: serde_json::Map::new(),
                within_s: *within_s,
            })
            .collect(),
        waves: waves
            .iter()
            .map(|wave| wave.iter().map(|name| TargetName::new(name.clone()).unwrap()).collect())
            .collect(),
        counts: Counts::default(),
    }
}

/// Has these remediations taken back when something fails.
pub fn undo_auto(plan: &mut Plan, names: &[&str]) {
    for name in names {
        let info = RemediationInfo { because: None, labels: BTreeMap::new(), undo: UndoMode::Auto };
        plan.remediations.insert(RemediationName::new(*name).unwrap(), info);
    }
}

/// How large random plans are.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub targets_max: usize,
    pub steps_max: usize,
    /// Percentage of steps that have an inverse.
    pub inverses: u64,
}

pub const SMALL: Size = Size { targets_max: 3, steps_max: 10, inverses: 0 };

/// A random plan: one to three targets in waves, each with a random graph.
pub fn random(rng: &mut Rng) -> Plan {
    random_of(rng, SMALL)
}

/// A random plan of this size at most.
pub fn random_of(rng: &mut Rng, size: Size) -> Plan {
    let names: Vec<String> = (0..1 + rng.below(size.targets_max)).map(|n| format!("t{n}")).collect();
    let mut waves: Vec<Vec<String>> = vec![Vec::new()];
    for name in &names {
        if rng.chance(50) && !waves[waves.len() - 1].is_empty() {
            waves.push(Vec::new());
        }
        waves.last_mut().unwrap().push(name.clone());
    }
    let (mut steps, mut gates) = (Vec::new(), Vec::new());
    for target in &names {
        random_target(rng, target, size, &mut steps);
        for remediation in 0..3 {
            if rng.chance(25) {
                let within_s = u32::try_from(rng.below(4)).unwrap();
                gates.push((target.clone(), format!("r{remediation}/verify:0"), within_s));
            }
        }
    }
    let parallel = 1 + u32::try_from(rng.below(4)).unwrap();
    plan(&steps, &gates, &waves, parallel)
}

fn random_target(rng: &mut Rng, target: &str, size: Size, steps: &mut Vec<Short>) {
    let mut things: Vec<(String, u32, String)> = Vec::new();
    let mut addresses: Vec<String> = Vec::new();
    for number in 0..rng.below(size.steps_max + 1) {
        let address = format!("r{}/s{number}", rng.below(3));
        let retry = [Retry::Converge, Retry::Converge, Retry::Query, Retry::Once][rng.below(4)];
        let mut edges: BTreeMap<String, EdgeKind> = BTreeMap::new();
        for from in &addresses {
            if rng.chance(20) {
                let kind = if rng.chance(40) { EdgeKind::OnChange } else { EdgeKind::After };
                edges.insert(from.clone(), kind);
            }
        }
        let thing = if rng.chance(25) {
            None
        } else if !things.is_empty() && rng.chance(20) {
            // A second step on the same thing comes after the first, and expects what it left.
            let index = rng.below(things.len());
            let (name, version, last) = &mut things[index];
            edges.entry(last.clone()).or_insert(EdgeKind::Implied);
            *version += 1;
            *last = address.clone();
            Some((name.clone(), *version))
        } else {
            let name = format!("thing{number}");
            things.push((name.clone(), 1, address.clone()));
            Some((name, 1))
        };
        let mut locks: BTreeMap<String, Access> = BTreeMap::new();
        for lock in 0..3 {
            if rng.chance(15) {
                let access = if rng.chance(50) { Access::Read } else { Access::Write };
                locks.insert(format!("lock{lock}"), access);
            }
        }
        steps.push(Short {
            target: target.into(),
            address: address.clone(),
            retry,
            thing,
            edges: edges.into_iter().collect(),
            locks: locks.into_iter().collect(),
            inverse: size.inverses > 0 && rng.chance(size.inverses),
        });
        addresses.push(address);
    }
}
