//! The observe walk of one target: which nodes can be asked about now, on which state, and the
//! observation that comes of it.
//!
//! A node can be asked about when it is known whether the earlier steps on the same thing change
//! it. So most nodes are ready at once, in one large batch, and chains follow link by link.

use crate::{
    PlanError, answer,
    chain::{self, Basis, Chains, leaves_directory},
    codes,
    index::{self, TargetNodes},
};
use rectify_base::{Digest, TargetName};
use rectify_model::{
    Graph, Observation,
    grade::TypeKind,
    observation::{self, Answer, Identity, Observed, Proposal},
};
use rectify_protocol::message::Predicted;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A node that can be asked about.
#[derive(Clone, Debug)]
pub struct WalkItem {
    /// Its place in the graph's nodes.
    pub node: usize,
    /// The state to start from, where an earlier step changes the same thing; absent: read it.
    pub prior: Option<Predicted>,
    /// Predicted states of the directories above it that earlier steps make or change, nearest
    /// first; absent if an earlier action may make some, too.
    pub directories: Option<Vec<Value>>,
}

/// The walk over the nodes of one target.
pub struct Walk<'g> {
    target: TargetName,
    nodes: TargetNodes<'g>,
    chains: Chains<'g>,
    progress: Vec<Progress>,
    /// Whether an action comes before each node.
    after_action: Vec<bool>,
    /// Local positions that became ready since [`Walk::ready`] was called.
    fresh: BTreeSet<usize>,
}

struct Progress {
    /// Whether it was handed out.
    asked: bool,
    answer: Option<Answer>,
    outcome: Option<Outcome>,
    /// Unsettled positions before it can be asked, and before its outcome is known.
    ask_waits: usize,
    settle_waits: usize,
    /// Positions that wait for this one's outcome, to be asked or to be settled.
    then_ask: Vec<usize>,
    then_settle: Vec<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Changes,
    Stays,
    Undecided,
}

impl<'g> Walk<'g> {
    /// Prepares the walk over a target's nodes.
    ///
    /// # Errors
    /// [`codes::PLAN_GRAPH_INVALID`] and [`codes::PLAN_NO_TARGETS`] where the graph is not one that
    /// can be planned, or does not name the target.
    pub fn new(graph: &'g Graph, target: &TargetName) -> Result<Self, PlanError> {
        index::verify_frame(graph)?;
        let range = index::ranges(graph)?.remove(target).ok_or_else(|| {
            PlanError::new(
                codes::PLAN_GRAPH_INVALID,
                "graph:/targets",
                format!("`{target}` is not a target of the graph"),
            )
        })?;
        let nodes = index::target_nodes(graph, range)?;
        let chains = Chains::new(&nodes);
        let mut progress: Vec<Progress> = nodes.nodes.iter().map(|_| Progress::new()).collect();
        let mut fresh = BTreeSet::new();
        for (position, node) in nodes.nodes.iter().enumerate() {
            let ask_on = chains.waits_for(position);
            let settle_on: BTreeSet<usize> = node.triggers().collect();
            if let Some(here) = progress.get_mut(position) {
                here.ask_waits = ask_on.len();
                // One more: its own answer.
                here.settle_waits = settle_on.len() + 1;
            }
            if ask_on.is_empty() {
                fresh.insert(position);
            }
            for source in ask_on {
                if let Some(source) = progress.get_mut(source) {
                    source.then_ask.push(position);
                }
            }
            for source in settle_on {
                if let Some(source) = progress.get_mut(source) {
                    source.then_settle.push(position);
                }
            }
        }
        let after_action = after_action(&nodes);
        Ok(Self { target: target.clone(), nodes, chains, progress, after_action, fresh })
    }

    /// The nodes that can be asked about now, in the graph's order. Each is handed out once.
    pub fn ready(&mut self) -> Vec<WalkItem> {
        let mut items = Vec::with_capacity(self.fresh.len());
        for position in std::mem::take(&mut self.fresh) {
            let prior = match self.chains.basis(&self.nodes, position, |at| self.proposal(at)) {
                Basis::Result(origin) => {
                    self.proposal(origin).map(|proposal| Predicted { state: proposal.planned.clone() })
                }
                Basis::Live | Basis::Unknown(..) => None,
            };
            let directories = self.directories(position);
            if let Some(progress) = self.progress.get_mut(position) {
                progress.asked = true;
                items.push(WalkItem { node: self.nodes.start + position, prior, directories });
            }
        }
        items
    }

    /// Records the answer for a node that was handed out. An answer that breaks a rule of the
    /// protocol is recorded as undecided, so that nothing is done on it.
    ///
    /// # Errors
    /// [`codes::PLAN_WALK_ORDER`] for a node that was not handed out, or is answered already.
    pub fn record(&mut self, node: usize, answer: Answer) -> Result<(), PlanError> {
        let position = node.checked_sub(self.nodes.start);
        let open = position.filter(|at| {
            self.progress.get(*at).is_some_and(|progress| progress.asked && progress.answer.is_none())
        });
        let Some(position) = open else {
            return Err(PlanError::new(
                codes::PLAN_WALK_ORDER,
                format!("graph:/nodes/{node}"),
                "this node was not asked about, or is answered already",
            ));
        };
        let answer = self.sanitized(position, answer);
        self.accept(position, answer);
        Ok(())
    }

    /// Whether every node is answered.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.progress.iter().all(|progress| progress.answer.is_some())
    }

    /// The observation.
    ///
    /// # Errors
    /// [`codes::PLAN_WALK_UNFINISHED`] where a node is not answered.
    pub fn finish(self, identity: Identity, graph: Digest) -> Result<Observation, PlanError> {
        let mut entries = Vec::with_capacity(self.progress.len());
        for (progress, node) in self.progress.into_iter().zip(&self.nodes.nodes) {
            let address = node.node.address.clone();
            let Some(answer) = progress.answer else {
                return Err(PlanError::new(
                    codes::PLAN_WALK_UNFINISHED,
                    format!("observation:{}", self.target),
                    format!("`{address}` is not answered"),
                ));
            };
            entries.push(Observed { address, answer });
        }
        Ok(Observation {
            format: observation::FORMAT.into(),
            target: self.target,
            graph,
            identity,
            facts: BTreeMap::new(),
            secrets: BTreeMap::new(),
            entries,
        })
    }

    fn proposal(&self, position: usize) -> Option<&Proposal> {
        match self.progress.get(position)?.answer.as_ref()? {
            Answer::Changed(proposal) => Some(proposal),
            Answer::Unchanged { .. } | Answer::Undecided { .. } => None,
        }
    }

    fn directories(&self, position: usize) -> Option<Vec<Value>> {
        if self.after_action.get(position).copied().unwrap_or(true) {
            return None;
        }
        let above = self.chains.changed_above(position).collect::<BTreeSet<_>>();
        let planned =
            |at: usize| self.proposal(at).filter(|proposal| leaves_directory(proposal))?.planned.clone();
        Some(above.into_iter().rev().filter_map(planned).collect())
    }

    /// Drops what is only for display from an unchanged state, and refuses what a provider must
    /// not answer.
    fn sanitized(&self, position: usize, mut answer: Answer) -> Answer {
        let Some(node) = self.nodes.nodes.get(position) else { return answer };
        let checked = foreign(&answer)
            .and_then(|()| answer::check(node, &answer))
            .and_then(|()| self.check_prior(position, &answer));
        if let Err(message) = checked {
            return Answer::Undecided {
                code: codes::PLAN_ANSWER_INVALID.as_str().into(),
                message: format!(
                    "the provider of `{}` gave an invalid answer: {message}",
                    node.node.type_name
                ),
            };
        }
        if let Answer::Unchanged { state: Some(state), .. } = &mut answer {
            for pointer in &node.facts.volatile {
                pointer.remove(state);
            }
        }
        answer
    }

    /// Whether an answer stands on the state that the provider was given.
    fn check_prior(&self, position: usize, answer: &Answer) -> Result<(), String> {
        let basis = self.chains.basis(&self.nodes, position, |at| self.proposal(at));
        let (Basis::Result(origin), Some(node)) = (basis, self.nodes.nodes.get(position)) else {
            return Ok(());
        };
        let given = self.proposal(origin).and_then(|proposal| proposal.planned.as_ref());
        answer::check_stands_on(node, answer, given)
    }

    /// Stores an answer and follows what it makes known, without recursion.
    fn accept(&mut self, position: usize, answer: Answer) {
        let mut answers = vec![(position, answer)];
        while let Some((position, answer)) = answers.pop() {
            let mut settle = Vec::new();
            if let Some(progress) = self.progress.get_mut(position) {
                progress.asked = true;
                progress.answer = Some(answer);
                progress.settle_waits -= 1;
                if progress.settle_waits == 0 {
                    settle.push(position);
                }
            }
            while let Some(position) = settle.pop() {
                let outcome = self.outcome(position);
                self.chains.settle(position, outcome != Outcome::Stays);
                let Some(progress) = self.progress.get_mut(position) else { continue };
                progress.outcome = Some(outcome);
                let (then_ask, then_settle) =
                    (std::mem::take(&mut progress.then_ask), std::mem::take(&mut progress.then_settle));
                for next in then_settle {
                    if let Some(progress) = self.progress.get_mut(next) {
                        progress.settle_waits -= 1;
                        if progress.settle_waits == 0 {
                            settle.push(next);
                        }
                    }
                }
                for next in then_ask {
                    let Some(progress) = self.progress.get_mut(next) else { continue };
                    progress.ask_waits -= 1;
                    if progress.ask_waits > 0 {
                        continue;
                    }
                    match self.chains.basis(&self.nodes, next, |at| self.settled_proposal(at)) {
                        Basis::Live | Basis::Result(_) => {
                            self.fresh.insert(next);
                        }
                        Basis::Unknown(origin, why) => {
                            let message = chain::unknown(&self.nodes, origin, why);
                            let code = codes::PLAN_PRIOR_UNKNOWN.as_str().into();
                            answers.push((next, Answer::Undecided { code, message }));
                        }
                    }
                }
            }
        }
    }

    /// The proposal of a step that is known to change something.
    fn settled_proposal(&self, position: usize) -> Option<&Proposal> {
        let changes = self.progress.get(position)?.outcome == Some(Outcome::Changes);
        changes.then(|| self.proposal(position)).flatten()
    }

    /// Whether a node will change something, once its answer and its triggers' outcomes are known.
    fn outcome(&self, position: usize) -> Outcome {
        let answer = self.progress.get(position).and_then(|progress| progress.answer.as_ref());
        match answer {
            Some(Answer::Undecided { .. }) | None => return Outcome::Undecided,
            Some(Answer::Unchanged { .. }) => return Outcome::Stays,
            Some(Answer::Changed(_)) => {}
        }
        let Some(node) = self.nodes.nodes.get(position) else { return Outcome::Undecided };
        let mut triggered = node.triggers().peekable();
        if triggered.peek().is_none() {
            return Outcome::Changes;
        }
        let mut outcome = Outcome::Stays;
        for source in triggered {
            match self.progress.get(source).and_then(|progress| progress.outcome) {
                Some(Outcome::Undecided) | None => return Outcome::Undecided,
                Some(Outcome::Changes) => outcome = Outcome::Changes,
                Some(Outcome::Stays) => {}
            }
        }
        outcome
    }
}

/// Codes that begin like this crate's are not for providers: they say why a node was not asked.
fn foreign(answer: &Answer) -> Result<(), String> {
    match answer {
        Answer::Undecided { code, .. } if code.starts_with("plan-") => {
            Err(format!("`{code}` is not a code of a provider"))
        }
        Answer::Undecided { .. } | Answer::Unchanged { .. } | Answer::Changed(_) => Ok(()),
    }
}

/// Whether an action comes before each node.
fn after_action(nodes: &TargetNodes<'_>) -> Vec<bool> {
    let mut after: Vec<bool> = Vec::with_capacity(nodes.nodes.len());
    for node in &nodes.nodes {
        let says = |source: &usize| {
            let action = nodes.nodes.get(*source).is_some_and(|node| node.facts.kind == TypeKind::Action);
            action || after.get(*source).copied().unwrap_or(false)
        };
        after.push(node.sources.iter().any(says));
    }
    after
}

impl Progress {
    fn new() -> Self {
        Self {
            asked: false,
            answer: None,
            outcome: None,
            ask_waits: 0,
            settle_waits: 0,
            then_ask: Vec::new(),
            then_settle: Vec::new(),
        }
    }
}
