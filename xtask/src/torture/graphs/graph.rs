//! A random graph of steps of one provider.

use super::{
    super::{area::Area, scenario::Provider},
    kinds::{self, CREATE, DIRECTORY, Failure, Kind},
};
use crate::{random::Random, run::Outcome};
use std::fmt::Write as _;

#[derive(Clone, Debug)]
pub struct Node {
    pub kind: &'static Kind,
    after: Vec<usize>,
    on_change: Vec<usize>,
    /// For a file: lies in the directory that this node makes.
    inside: Option<usize>,
}

/// A graph.
#[derive(Clone, Debug)]
pub struct Graph {
    provider: Provider,
    pub nodes: Vec<Node>,
}

impl Graph {
    /// One of five to seven nodes.
    pub fn random(provider: Provider, random: &mut Random) -> Self {
        let count = 5 + random.below(3);
        let kinds = kinds::of(provider);
        let mut nodes: Vec<Node> = Vec::new();
        for place in 0..count {
            let kind = kinds.get(random.below(kinds.len())).unwrap_or(&CREATE);
            let mut node = Node { kind, after: Vec::new(), on_change: Vec::new(), inside: None };
            for earlier in 0..place {
                if random.chance(25) {
                    // Only actions are triggered.
                    if provider == Provider::Command && random.chance(40) {
                        node.on_change.push(earlier);
                    } else {
                        node.after.push(earlier);
                    }
                }
            }
            let is_directory = |place: &usize| nodes.get(*place).is_some_and(|n| *n.kind == DIRECTORY);
            let directories: Vec<usize> = (0..place).filter(is_directory).collect();
            if *kind == CREATE && !directories.is_empty() && random.chance(70) {
                node.inside = directories.get(random.below(directories.len())).copied();
            }
            nodes.push(node);
        }
        Self { provider, nodes }
    }

    fn path(&self, place: usize) -> String {
        match self.nodes.get(place).and_then(|node| node.inside) {
            Some(parent) => format!("/etc/n{parent}/n{place}"),
            None => format!("/etc/n{place}"),
        }
    }

    /// Makes what is there before.
    pub fn begin(&self, area: &Area) -> Outcome {
        self.provider.ready(area)?;
        let begin = self.nodes.iter().enumerate().map(|(place, node)| node.kind.begin(place));
        area.shell(&begin.collect::<String>())
    }

    /// The steps, of which some fail.
    pub fn steps(&self, failing: &[(usize, Failure)], last_fails: bool) -> String {
        let mut text = String::new();
        for (place, node) in self.nodes.iter().enumerate() {
            let failure = failing.iter().find(|(at, _)| *at == place).map(|(_, failure)| *failure);
            let step = node.kind.step(place, &self.path(place), failure);
            let _ = writeln!(text, "  n{place}:\n    {step}");
            for (word, list) in [("after", &node.after), ("on_change", &node.on_change)] {
                if !list.is_empty() {
                    let names: Vec<String> = list.iter().map(|i| format!("n{i}")).collect();
                    let _ = writeln!(text, "    {word}: [{}]", names.join(", "));
                }
            }
        }
        if last_fails {
            let names: Vec<String> = (0..self.nodes.len()).map(|i| format!("n{i}")).collect();
            let _ = writeln!(
                text,
                "  fails:\n    file.content: {{path: /etc/fails, content: \"x\\n\", validate: [/bin/false, \"%s\"]}}\n    after: [{}]",
                names.join(", ")
            );
        }
        text
    }

    /// Makes a node fail that cannot be made to by its properties.
    pub fn disturb(&self, place: usize, area: &Area) -> Outcome {
        self.nodes.get(place).map_or(Ok(()), |node| area.shell(&node.kind.disturb(place)))
    }
}
