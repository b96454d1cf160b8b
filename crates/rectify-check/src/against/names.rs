//! Things with two names, of which one belongs to a node that needs nothing.

use super::{Case, Fate};
use crate::{Invariant, notes::Notes, value::above};
use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use rectify_base::TargetName;
use rectify_model::{
    graph::{Access, Node},
    observation::Answer,
};

fn named(node: &Node) -> impl Iterator<Item = &str> {
    node.touches.iter().filter(|touch| touch.access == Access::Write).map(|touch| touch.key.as_str())
}

fn resolved<'a>(case: &Case<'a>, node: &'a Node) -> &'a [String] {
    case.answer(node).map(Answer::resolved).unwrap_or_default()
}

/// Whether two nodes write a thing and do not both call it by one name.
fn two_names<'a>(case: &Case<'a>, a: &'a Node, b: &'a Node) -> bool {
    let (in_a, in_b) = (resolved(case, a), resolved(case, b));
    let calls = |node: &Node, key: &str| named(node).any(|name| name == key);
    in_a.iter().any(|key| calls(b, key))
        || in_b.iter().any(|key| calls(a, key))
        || (in_a.iter().any(|key| in_b.contains(key)) && !named(a).eq(named(b)))
}

/// Whether one node lies in what the other one writes, by other names than those that say so.
fn inside<'a>(case: &Case<'a>, inner: &'a Node, outer: &'a Node) -> bool {
    let within = |key: &str, directory: &str| above(key).any(|above| above == directory);
    let inner_resolved = resolved(case, inner).iter().map(String::as_str);
    let by_name = named(inner).any(|key| named(outer).any(|name| within(key, name)));
    let all_inner: Vec<&str> = named(inner).chain(inner_resolved).collect();
    let mut all_outer = named(outer).chain(resolved(case, outer).iter().map(String::as_str));
    !by_name && all_outer.any(|directory| all_inner.iter().any(|key| within(key, directory)))
}

/// Whether a node cannot be decided because of another one's names. One of the two has to change.
pub(super) fn has_two<'a>(case: &Case<'a>, node: &'a Node) -> bool {
    let changed = |node: &'a Node| matches!(case.answer(node), Some(Answer::Changed(_)));
    let conflict = |other: &'a Node| {
        (two_names(case, node, other) || inside(case, node, other) || inside(case, other, node))
            && (changed(node) || changed(other) || shares_with_change(case, node))
    };
    let others = case.graph.nodes.iter().filter(|other| other.target == node.target);
    others.filter(|other| other.address != node.address).any(conflict)
}

/// Whether some node that changes writes a thing that this node writes, under whatever name.
fn shares_with_change<'a>(case: &Case<'a>, node: &'a Node) -> bool {
    let keys: Vec<&str> = named(node).chain(resolved(case, node).iter().map(String::as_str)).collect();
    let others = case.graph.nodes.iter().filter(|other| other.target == node.target);
    others.filter(|other| matches!(case.answer(other), Some(Answer::Changed(_)))).any(|other| {
        named(other).chain(resolved(case, other).iter().map(String::as_str)).any(|key| keys.contains(&key))
    })
}

/// A step and a node that is called unchanged must not write one thing under two names.
pub(super) fn run(case: &Case<'_>, notes: &mut Notes) {
    if case.graph.nodes.iter().all(|node| resolved(case, node).is_empty()) {
        return;
    }
    let mut writers: BTreeMap<(&TargetName, &str), Vec<&Node>> = BTreeMap::new();
    for node in &case.graph.nodes {
        for key in named(node).chain(resolved(case, node).iter().map(String::as_str)) {
            writers.entry((&node.target, key)).or_default().push(node);
        }
    }
    for writers in writers.values().filter(|writers| writers.len() > 1) {
        let step = |node: &&&Node| matches!(case.fate(&node.target, &node.address), Some(Fate::Step(..)));
        for changing in writers.iter().filter(step) {
            for node in writers.iter().filter(|node| two_names(case, changing, node)) {
                if let Some(Fate::Unchanged(at, _)) = case.fate(&node.target, &node.address) {
                    let message = format!("`{}` changes it under another name", changing.address);
                    notes.add(Invariant::Names, format!("/unchanged/{at}"), message);
                }
            }
        }
    }
}
