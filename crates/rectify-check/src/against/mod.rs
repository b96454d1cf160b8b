//! The plan against what it was made from.

mod converged;
mod frame;
mod names;
mod nodes;
mod order;
mod secrets;
mod steps;

use crate::{notes::Notes, reach::Reach};
use alloc::collections::BTreeMap;
use rectify_base::{Address, FileDigests, TargetName};
use rectify_model::{
    Graph, Observation, Plan,
    graph::Node,
    observation::Answer,
    plan::{Deferred, Step, Unchanged},
};

pub(crate) fn run(
    plan: &Plan,
    graph: &Graph,
    observations: &[(Observation, FileDigests)],
    graph_digests: FileDigests,
    notes: &mut Notes,
) {
    frame::run(plan, graph, observations, graph_digests, notes);
    secrets::run(plan, graph, observations, notes);
    let mut case = Case::new(plan, graph, observations, notes);
    case.converged = converged::find(&case);
    converged::run(&case, notes);
    names::run(&case, notes);
    nodes::run(&case, notes);
    steps::run(&case, notes);
    order::run(&case, notes);
}

/// What became of a node, with its place in the plan's list.
#[derive(Clone, Copy)]
enum Fate<'a> {
    Step(usize, &'a Step),
    Unchanged(usize, &'a Unchanged),
    Deferred(usize, &'a Deferred),
}

/// The documents, joined by node. Addresses stand first in keys, because they differ sooner.
struct Case<'a> {
    plan: &'a Plan,
    graph: &'a Graph,
    reach: Reach<'a>,
    fates: BTreeMap<(&'a Address, &'a TargetName), Fate<'a>>,
    /// What was answered; nothing for targets whose observation does not fit.
    answers: BTreeMap<(&'a Address, &'a TargetName), &'a Answer>,
    /// The chains that are called converged.
    converged: converged::Converged<'a>,
}

impl<'a> Case<'a> {
    fn new(
        plan: &'a Plan,
        graph: &'a Graph,
        observations: &'a [(Observation, FileDigests)],
        notes: &mut Notes,
    ) -> Self {
        let mut fates = BTreeMap::new();
        for (at, entry) in plan.deferred.iter().enumerate() {
            fates.insert((&entry.address, &entry.target), Fate::Deferred(at, entry));
        }
        for (at, entry) in plan.unchanged.iter().enumerate() {
            fates.insert((&entry.address, &entry.target), Fate::Unchanged(at, entry));
        }
        for (at, step) in plan.steps.iter().enumerate() {
            fates.insert((&step.address, &step.target), Fate::Step(at, step));
        }
        Self {
            plan,
            graph,
            reach: Reach::new(plan),
            fates,
            answers: frame::answers(graph, observations, notes),
            converged: converged::Converged::default(),
        }
    }

    fn fate(&self, target: &'a TargetName, address: &'a Address) -> Option<Fate<'a>> {
        self.fates.get(&(address, target)).copied()
    }

    fn answer(&self, node: &'a Node) -> Option<&'a Answer> {
        self.answers.get(&(&node.address, &node.target)).copied()
    }

    fn step_at(&self, target: &'a TargetName, address: &'a Address) -> Option<usize> {
        match self.fate(target, address) {
            Some(Fate::Step(at, _)) => Some(at),
            Some(Fate::Unchanged(..) | Fate::Deferred(..)) | None => None,
        }
    }
}
