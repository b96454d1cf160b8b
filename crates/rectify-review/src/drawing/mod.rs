//! The graph of a project or a plan as a drawing: steps that are the same on several targets are one
//! box, and a graph with too many boxes is drawn coarser.

mod dot;
mod layout;
mod svg;

pub use dot::dot;
pub(crate) use svg::inline;
pub use svg::svg;

use rectify_base::{Address, TargetName};
use rectify_model::{
    Graph, Plan,
    graph::{Edge, EdgeKind},
    plan::Action,
};
use std::collections::{BTreeMap, BTreeSet};

/// Most boxes of one picture: more cannot be read.
pub const BOXES_MAX: usize = 150;
/// Most arrows of one picture.
pub const ARROWS_MAX: usize = 600;

/// What a box stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// A step of a graph, of which nothing is planned yet.
    Step,
    /// A step that acts in this way.
    Acts(Action),
    /// Several steps that act in different ways.
    Mixed,
    /// A check after the steps of a remediation.
    Gate,
}

/// How much of the graph a box stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every address.
    Addresses,
    /// Addresses without the keys of `for_each`.
    Families,
    /// Remediations.
    Remediations,
    /// Nothing: even remediations are too many.
    Nothing,
}

/// One box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// The address, or the part of it that the level keeps.
    pub name: String,
    /// The second line: type, or how many steps; and on how many targets.
    pub note: String,
    /// What it is.
    pub shape: Shape,
}

/// One arrow, from what comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    /// Index of the box that comes first.
    pub from: usize,
    /// Index of the box that waits.
    pub to: usize,
    /// Why it waits; of several reasons the first in the order of [`EdgeKind`]. A gate comes `After`.
    pub kind: EdgeKind,
}

/// A drawing without places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawing {
    /// What it is of, in one line.
    pub title: String,
    /// The boxes, in order of first appearance.
    pub boxes: Vec<Drawn>,
    /// The arrows, sorted. Never from a box to itself.
    pub arrows: Vec<Arrow>,
    /// How coarse it is.
    pub level: Level,
    /// How many steps and gates it stands for, over all targets.
    pub steps: usize,
}

/// One step or gate on one target.
struct Item<'a> {
    address: &'a Address,
    target: &'a TargetName,
    type_name: &'a str,
    shape: Shape,
    edges: &'a [Edge],
}

impl Drawing {
    /// What a plan does.
    #[must_use]
    pub fn of_plan(plan: &Plan) -> Self {
        let steps = plan.steps.iter().map(|step| Item {
            address: &step.address,
            target: &step.target,
            type_name: step.type_name.as_str(),
            shape: Shape::Acts(step.action),
            edges: &step.edges,
        });
        let gates = plan.gates.iter().map(|gate| Item {
            address: &gate.address,
            target: &gate.target,
            type_name: gate.type_name.as_str(),
            shape: Shape::Gate,
            edges: &[],
        });
        let items: Vec<Item<'_>> = steps.chain(gates).collect();
        bounded(&format!("What the plan for {} does, and in which order", plan.project), &items)
    }

    /// What a project means.
    #[must_use]
    pub fn of_graph(graph: &Graph) -> Self {
        let steps = graph.nodes.iter().map(|node| Item {
            address: &node.address,
            target: &node.target,
            type_name: node.type_name.as_str(),
            shape: Shape::Step,
            edges: &node.edges,
        });
        let gates = graph.gates.iter().map(|gate| Item {
            address: &gate.address,
            target: &gate.target,
            type_name: gate.type_name.as_str(),
            shape: Shape::Gate,
            edges: &[],
        });
        let items: Vec<Item<'_>> = steps.chain(gates).collect();
        bounded(&format!("The steps of {}, and their order", graph.project), &items)
    }

    /// How it was made smaller, in one sentence; nothing if every address is there.
    #[must_use]
    pub fn coarseness(&self) -> Option<&'static str> {
        match self.level {
            Level::Addresses => None,
            Level::Families => {
                Some("The steps that one for_each makes are one box: there are too many to draw.")
            }
            Level::Remediations => {
                Some("Each remediation is one box: there are too many steps, or too many orders, to draw.")
            }
            Level::Nothing => Some("Nothing is drawn: there are too many remediations."),
        }
    }
}

/// The finest drawing that can be read.
fn bounded(title: &str, items: &[Item<'_>]) -> Drawing {
    for level in [Level::Addresses, Level::Families, Level::Remediations] {
        let drawing = drawn(title, items, level);
        if drawing.boxes.len() <= BOXES_MAX && drawing.arrows.len() <= ARROWS_MAX {
            return drawing;
        }
    }
    Drawing {
        title: title.to_owned(),
        boxes: Vec::new(),
        arrows: Vec::new(),
        level: Level::Nothing,
        steps: items.len(),
    }
}

/// What is gathered about a box.
struct Gathered<'a> {
    name: String,
    shape: Shape,
    types: BTreeSet<&'a str>,
    addresses: BTreeSet<&'a Address>,
    targets: BTreeSet<&'a TargetName>,
}

fn drawn(title: &str, items: &[Item<'_>], level: Level) -> Drawing {
    let mut index: BTreeMap<String, usize> = BTreeMap::new();
    let mut boxes: Vec<Gathered<'_>> = Vec::new();
    for item in items {
        let name = name_at(item.address, level);
        let at = *index.entry(name.clone()).or_insert_with(|| {
            boxes.push(Gathered {
                name,
                shape: item.shape,
                types: BTreeSet::new(),
                addresses: BTreeSet::new(),
                targets: BTreeSet::new(),
            });
            boxes.len() - 1
        });
        let Some(gathered) = boxes.get_mut(at) else { continue };
        if gathered.shape != item.shape {
            gathered.shape = Shape::Mixed;
        }
        gathered.types.insert(item.type_name);
        gathered.addresses.insert(item.address);
        gathered.targets.insert(item.target);
    }
    let arrows = arrows(items, level, &index);
    let several = items.iter().map(|item| item.target).collect::<BTreeSet<_>>().len() > 1;
    Drawing {
        title: title.to_owned(),
        boxes: boxes.into_iter().map(|gathered| finished(gathered, several)).collect(),
        arrows,
        level,
        steps: items.len(),
    }
}

fn finished(gathered: Gathered<'_>, several: bool) -> Drawn {
    let what = match (gathered.addresses.len(), gathered.types.first()) {
        (1, Some(name)) => (*name).to_owned(),
        (count, Some(name)) if gathered.types.len() == 1 => format!("{count} × {name}"),
        (count, _) => format!("{count} steps"),
    };
    let place = match (several, gathered.targets.len()) {
        (false, _) => String::new(),
        (true, 1) => " on 1 target".to_owned(),
        (true, count) => format!(" on {count} targets"),
    };
    Drawn { name: gathered.name, note: format!("{what}{place}"), shape: gathered.shape }
}

/// The arrows between boxes, and those that lead to gates: from each box of the remediation on that
/// target that nothing else of it waits for.
fn arrows(items: &[Item<'_>], level: Level, index: &BTreeMap<String, usize>) -> Vec<Arrow> {
    let mut kinds: BTreeMap<(usize, usize), EdgeKind> = BTreeMap::new();
    let mut add = |from: Option<&usize>, to: Option<&usize>, kind: EdgeKind| {
        if let (Some(&from), Some(&to)) = (from, to)
            && from != to
        {
            let known = kinds.entry((from, to)).or_insert(kind);
            *known = (*known).min(kind);
        }
    };
    let mut waited_for: BTreeSet<(&TargetName, &Address)> = BTreeSet::new();
    let mut ends: BTreeMap<(&TargetName, &str), Vec<&Address>> = BTreeMap::new();
    for item in items {
        for edge in item.edges {
            let (from, to) = (name_at(&edge.from, level), name_at(item.address, level));
            add(index.get(&from), index.get(&to), edge.kind);
            if edge.from.remediation() == item.address.remediation() {
                waited_for.insert((item.target, &edge.from));
            }
        }
    }
    for item in items.iter().filter(|item| item.shape != Shape::Gate) {
        if !waited_for.contains(&(item.target, item.address)) {
            ends.entry((item.target, item.address.remediation())).or_default().push(item.address);
        }
    }
    for gate in items.iter().filter(|item| item.shape == Shape::Gate) {
        for end in ends.get(&(gate.target, gate.address.remediation())).into_iter().flatten() {
            let (from, to) = (name_at(end, level), name_at(gate.address, level));
            add(index.get(&from), index.get(&to), EdgeKind::After);
        }
    }
    kinds.into_iter().map(|((from, to), kind)| Arrow { from, to, kind }).collect()
}

/// The part of an address that a level keeps.
fn name_at(address: &Address, level: Level) -> String {
    match level {
        Level::Addresses => address.as_str().to_owned(),
        Level::Families => without_keys(address.as_str()),
        Level::Remediations | Level::Nothing => address.remediation().to_owned(),
    }
}

/// An address with `[…]` for each key.
fn without_keys(address: &str) -> String {
    let mut out = String::new();
    let mut rest = address;
    while let Some((head, tail)) = rest.split_once("[\"") {
        out.push_str(head);
        out.push_str("[…]");
        // A key holds no quote.
        rest = tail.split_once("\"]").map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::without_keys;

    #[test]
    fn keys_are_left_out_whatever_they_hold() {
        assert_eq!(without_keys("web/site[\"a/b[]\"]/conf[\"x\"]"), "web/site[…]/conf[…]");
        assert_eq!(without_keys("web/site"), "web/site");
    }
}
