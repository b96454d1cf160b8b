//! What changed between two plans: since it was approved, for instance.
//!
//! A plan is taken apart into its parts, each with a name; parts are compared by place. Nothing of a
//! plan is left out, so a comparison is empty if, and only if, the plans are equal.

mod markdown;
mod text;

pub use markdown::markdown;
pub use text::text;

use rectify_base::{Address, FileDigests, Pointer, TargetName};
use rectify_model::{Plan, plan::Change};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Format name of this version.
pub const FORMAT: &str = "rectify.comparison/v1";

/// What changed between two plans.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// Name and version of the format: [`FORMAT`].
    #[cfg_attr(feature = "schema", schemars(extend("const" = FORMAT)))]
    pub format: String,
    /// The file of the earlier plan.
    pub before: FileDigests,
    /// The file of the later plan.
    pub after: FileDigests,
    /// What differs, sorted by part, address and target. Empty if, and only if, the plans are equal.
    pub differences: Vec<Difference>,
}

/// A part of a plan that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// What kind of part.
    pub part: Part,
    /// Its name: an address, or that of a target, type or remediation; empty for the plan as a whole.
    pub name: String,
    /// On which target, where a part is on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetName>,
    /// Whether it is new, gone, or another.
    pub how: How,
    /// By place in the part, sorted; of one that is new or gone, all of it at the root.
    pub places: Vec<Change>,
}

/// Kinds of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The plan as a whole: project, graph, limits, waves, sums, order.
    Plan,
    /// A target.
    Target,
    /// A remediation.
    Remediation,
    /// A type.
    Type,
    /// A provider that is not part of Rectify.
    Provider,
    /// A change.
    Step,
    /// A check afterwards.
    Gate,
    /// What is not covered.
    Deferred,
    /// What needs nothing.
    Unchanged,
}

/// How a part differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// It is in the later plan only.
    Added,
    /// It is in the earlier plan only.
    Removed,
    /// It is in both.
    Changed,
}

/// The parts of a plan by kind, name and target.
type Parts = BTreeMap<(Part, String, Option<TargetName>), Value>;

/// Compares two plans, given with the digests of their files.
#[must_use]
pub fn compare(before: (&Plan, FileDigests), after: (&Plan, FileDigests)) -> Comparison {
    let (old, new) = (parts(before.0), parts(after.0));
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let mut differences = Vec::new();
    for key in keys {
        let (how, places) = match (old.get(key), new.get(key)) {
            (Some(old), Some(new)) => {
                let mut places = Vec::new();
                differ(&Pointer::root(), Some(old), Some(new), &mut places);
                (How::Changed, places)
            }
            (old, new) => {
                let place = Change { path: Pointer::root(), before: old.cloned(), after: new.cloned() };
                (if old.is_none() { How::Added } else { How::Removed }, vec![place])
            }
        };
        if !places.is_empty() {
            let (part, name, target) = key.clone();
            differences.push(Difference { part, name, target, how, places });
        }
    }
    order(before.0, after.0, &mut differences);
    Comparison { format: FORMAT.into(), before: before.1, after: after.1, differences }
}

fn differ(at: &Pointer, old: Option<&Value>, new: Option<&Value>, out: &mut Vec<Change>) {
    match (old, new) {
        (Some(old), Some(new)) if old == new => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for name in names {
                differ(&at.child(name), old.get(name), new.get(name), out);
            }
        }
        (old, new) => out.push(Change { path: at.clone(), before: old.cloned(), after: new.cloned() }),
    }
}

/// Takes a plan apart. Lists whose entries have names become maps.
fn parts(plan: &Plan) -> Parts {
    let mut parts = Parts::new();
    parts.insert(
        (Part::Plan, String::new(), None),
        json!({"format": plan.format, "project": plan.project, "graph": value(&plan.graph),
            "limits": value(&plan.limits), "waves": plan.waves, "counts": value(&plan.counts)}),
    );
    for (name, target) in &plan.targets {
        parts.insert((Part::Target, name.to_string(), None), value(target));
    }
    for (name, info) in &plan.remediations {
        parts.insert((Part::Remediation, name.to_string(), None), value(info));
    }
    for (name, known) in &plan.types {
        parts.insert((Part::Type, name.to_string(), None), value(known));
    }
    for (name, provider) in &plan.providers {
        parts.insert((Part::Provider, name.clone(), None), value(provider));
    }
    let mut add = |part: Part, address: &Address, target: &TargetName, value: Value| {
        parts.insert((part, address.to_string(), Some(target.clone())), value);
    };
    for step in &plan.steps {
        let mut value = value(step);
        named(&mut value, "changes", "path");
        named(&mut value, "edges", "from");
        add(Part::Step, &step.address, &step.target, value);
    }
    for gate in &plan.gates {
        add(Part::Gate, &gate.address, &gate.target, value(gate));
    }
    for entry in &plan.deferred {
        add(Part::Deferred, &entry.address, &entry.target, value(entry));
    }
    for entry in &plan.unchanged {
        add(Part::Unchanged, &entry.address, &entry.target, value(entry));
    }
    parts
}

/// A part as JSON. A plan that was read can always be written.
fn value<T: Serialize>(part: &T) -> Value {
    serde_json::to_value(part).unwrap_or_default()
}

/// Turns a list of objects into a map by one of their members. A list that is not sorted by it stays, as
/// its order would be lost.
fn named(part: &mut Value, list: &str, by: &str) {
    let Some(Value::Array(entries)) = part.get(list) else { return };
    let mut map = Map::new();
    let mut last = None;
    for entry in entries {
        let Some(name) = entry.get(by).and_then(Value::as_str) else { return };
        if last.replace(name).is_some_and(|last| last >= name) {
            return;
        }
        let mut entry = entry.clone();
        if let Value::Object(members) = &mut entry {
            members.remove(by);
        }
        map.insert(name.to_owned(), entry);
    }
    if let Some(part) = part.as_object_mut() {
        part.insert(list.to_owned(), Value::Object(map));
    }
}

/// Where the same entries stand in another order, says which is the first that does.
fn order(before: &Plan, after: &Plan, differences: &mut Vec<Difference>) {
    fn first<'p, T>(
        before: &'p [T],
        after: &'p [T],
        key: impl Fn(&'p T) -> (&'p TargetName, &'p Address),
    ) -> Option<(String, String)> {
        let known = |list: &'p [T]| list.iter().map(&key).collect::<BTreeSet<_>>();
        let (old, new) = (known(before), known(after));
        let common = |list: &'p [T], other: &BTreeSet<_>| {
            list.iter().map(&key).filter(|key| other.contains(key)).collect::<Vec<_>>()
        };
        let (old, new) = (common(before, &new), common(after, &old));
        let (old, new) = old.into_iter().zip(new).find(|(old, new)| old != new)?;
        Some((format!("{}:{}", old.0, old.1), format!("{}:{}", new.0, new.1)))
    }
    let orders = [
        ("steps", first(&before.steps, &after.steps, |step| (&step.target, &step.address))),
        ("gates", first(&before.gates, &after.gates, |gate| (&gate.target, &gate.address))),
        ("deferred", first(&before.deferred, &after.deferred, |entry| (&entry.target, &entry.address))),
        ("unchanged", first(&before.unchanged, &after.unchanged, |entry| (&entry.target, &entry.address))),
    ];
    let places: Vec<Change> = orders
        .into_iter()
        .filter_map(|(list, first)| {
            let (old, new) = first?;
            let path = Pointer::root().child("order").child(list);
            Some(Change { path, before: Some(old.into()), after: Some(new.into()) })
        })
        .collect();
    if places.is_empty() {
        return;
    }
    match differences.first_mut().filter(|difference| difference.part == Part::Plan) {
        Some(whole) => {
            whole.places.extend(places);
            whole.places.sort_by(|a, b| a.path.cmp(&b.path));
        }
        None => differences.insert(
            0,
            Difference { part: Part::Plan, name: String::new(), target: None, how: How::Changed, places },
        ),
    }
}
