//! Steps of one target as nodes with edges, in canonical order.

mod cycle;
mod implied;
mod order;
pub(crate) mod touch;

use crate::{
    codes,
    report::{Cx, Report},
    tree::Span,
};
use order::{Order, Reach};
use rectify_base::{Address, TargetName, TypeName};
use rectify_model::graph::{Edge, EdgeKind, Node};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, rc::Rc};
use touch::TouchAt;

/// What is known of a step before it has edges.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub desired: Map<String, Value>,
    pub touches: Vec<TouchAt>,
}

/// A step on the target at hand. Items are sorted by address, and named by their index.
#[derive(Debug)]
pub(crate) struct Item<'t> {
    pub address: Address,
    pub file: &'t str,
    pub span: Span,
    pub type_name: &'t TypeName,
    pub prepared: Rc<Prepared>,
}

/// An edge, with the place where it was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Link {
    pub kind: EdgeKind,
    pub reason: Option<String>,
    pub span: Option<Span>,
}

/// For each item, what comes before it.
#[derive(Debug, Default)]
pub(crate) struct Links(pub Vec<BTreeMap<usize, Link>>);

impl Links {
    /// Adds an edge; of several between two items the strongest is kept.
    pub fn add(&mut self, from: usize, to: usize, link: Link) {
        if self.0.len() <= to {
            self.0.resize_with(to + 1, BTreeMap::new);
        }
        if let Some(links) = self.0.get_mut(to) {
            let kept = links.entry(from).or_insert_with(|| link.clone());
            if link < *kept {
                *kept = link;
            }
        }
    }

    /// What comes before an item.
    pub fn before(&self, to: usize) -> impl Iterator<Item = (usize, &Link)> {
        self.0.get(to).into_iter().flatten().map(|(from, link)| (*from, link))
    }
}

/// Orders the items of a target and computes what their touches imply.
pub(crate) fn arrange(
    target: &TargetName,
    items: &[Item<'_>],
    mut links: Links,
    report: &mut Report,
) -> Option<Vec<Node>> {
    links.0.resize_with(items.len(), BTreeMap::new);
    let explicit = match order::sort(&links, items.len()) {
        Order::Sorted(sorted) => sorted,
        Order::Stuck(rest) => {
            cycle::report(items, &links, &rest, report);
            return None;
        }
    };
    let mut reach = Reach::new(&links, &explicit);
    let touched = implied::by_key(items, &reach);
    if !conflicts(items, &touched, &mut reach, report) {
        return None;
    }
    implied::add(items, &touched, &mut reach, &mut links);
    let sorted = match order::sort(&links, items.len()) {
        Order::Sorted(sorted) => sorted,
        Order::Stuck(rest) => {
            cycle::report(items, &links, &rest, report);
            return None;
        }
    };
    let node = |index: &usize| {
        let item = items.get(*index)?;
        let edges = links.before(*index).filter_map(|(from, link)| {
            let from = items.get(from)?.address.clone();
            Some(Edge { from, kind: link.kind, reason: link.reason.clone() })
        });
        Some(Node {
            target: target.clone(),
            address: item.address.clone(),
            type_name: item.type_name.clone(),
            desired: item.prepared.desired.clone(),
            edges: edges.collect(),
            touches: item.prepared.touches.iter().map(|t| t.touch.clone()).collect(),
        })
    };
    Some(sorted.iter().filter_map(node).collect())
}

/// Reports writers of one thing that nothing orders.
fn conflicts(
    items: &[Item<'_>],
    touched: &BTreeMap<&str, implied::Touched>,
    reach: &mut Reach,
    report: &mut Report,
) -> bool {
    let mut sound = true;
    for (key, users) in touched {
        for pair in users.writers.windows(2) {
            let [first, second] = pair else { continue };
            if reach.leads(*first, *second) {
                continue;
            }
            sound = false;
            let (low, high) = (first.min(second), first.max(second));
            let (Some(low), Some(high)) = (items.get(*low), items.get(*high)) else { continue };
            let place = |item: &Item<'_>| {
                item.prepared.touches.iter().find(|t| t.touch.key == *key).map_or(item.span, |t| t.span)
            };
            let (low_at, high_at) = (place(low).range(), place(high));
            let thing = key.split_once(':').map_or(*key, |(_, name)| name);
            let cx = &mut Cx::new(high.file, report);
            let diagnostic = cx.error(
                codes::GRAPH_CONFLICT,
                high_at,
                format!(
                    "`{}` and `{}` both write `{thing}`, and nothing orders them",
                    low.address, high.address
                ),
            );
            diagnostic.labels.push(rectify_base::Label {
                file: low.file.into(),
                start: low_at.start,
                end: low_at.end,
                text: "also written here".into(),
            });
            diagnostic.help = Some(format!(
                "say which comes first with `after: [{}]`, or let one step do both",
                if low.address.remediation() == high.address.remediation() {
                    low.address.step()
                } else {
                    low.address.as_str()
                }
            ));
        }
    }
    sound
}
