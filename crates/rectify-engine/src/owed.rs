//! Triggers that are still owed: a run changed what others must take notice of, and ended before they did.
//! No later plan sees that on the target, because the change itself is as desired by then.

use crate::{Engine, EngineError, history};
use rectify_base::NodeKey;
use rectify_model::{
    Graph,
    journal::{RunId, RunOutcome, StepState, UndoState},
};
use std::collections::{BTreeMap, BTreeSet};

/// Runs that are looked back on.
const RUNS_MAX: u32 = 100;

/// A step that a run owes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    /// The step, as the sources call it.
    pub node: NodeKey,
    /// The run.
    pub run: RunId,
}

/// What ended runs owe of the steps of a graph. A run that can be resumed owes nothing yet.
///
/// # Errors
/// When the journal cannot be read.
pub async fn of_graph(engine: &Engine, graph: &Graph) -> Result<Vec<Owed>, EngineError> {
    let nodes: BTreeSet<NodeKey> = graph
        .nodes
        .iter()
        .map(|node| NodeKey { target: node.target.clone(), address: node.address.clone() })
        .collect();
    let mut owed: BTreeMap<NodeKey, RunId> = BTreeMap::new();
    // From the earliest to the latest: what ran since is owed no more. Most runs leave nothing undone, and
    // are not read.
    let may_owe = |outcome| matches!(outcome, Some(RunOutcome::PartiallyApplied | RunOutcome::UndoFailed));
    let runs = history::list(engine, RUNS_MAX).await?.into_iter().rev();
    for summary in runs.skip_while(|summary| !may_owe(summary.outcome)) {
        let here = summary.run.targets.iter().any(|target| graph.targets.contains_key(target));
        if !here || !summary.outcome.is_some_and(RunOutcome::is_final) {
            continue;
        }
        let run = summary.run.run;
        let view = history::run(engine, &run).await?.view;
        for (node, progress) in view.steps() {
            if matches!(progress.state, StepState::Succeeded { .. }) {
                owed.remove(node);
            }
        }
        for node in view.owed() {
            // What was taken back needs no notice.
            let stands = view.steps().iter().any(|(by, progress)| {
                let owes = matches!(&progress.state, StepState::Succeeded { owes, .. } if owes.contains(&node.address));
                let back = view.undo().get(by).map(|undo| &undo.state);
                by.target == node.target && owes && !matches!(back, Some(UndoState::Undone { .. }))
            });
            if stands && nodes.contains(&node) {
                owed.insert(node, run.clone());
            }
        }
    }
    Ok(owed.into_iter().map(|(node, run)| Owed { node, run }).collect())
}
