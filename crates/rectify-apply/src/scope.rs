//! What is taken back when a run fails. One rule, for the run and for the reader of its journal.

use alloc::{collections::BTreeSet, vec::Vec};

/// One step, as far as the rule needs it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    /// Its remediation is not complete on its target, and is to be taken back.
    pub due: bool,
    /// It changed something, or may have.
    pub changed: bool,
    /// Steps that wait for it.
    pub dependents: Vec<usize>,
}

/// The steps to take back: those that are due and changed something, and whatever changed something
/// after them and through them, because it was built on what goes away.
pub(crate) fn taken_back(nodes: &[Node]) -> BTreeSet<usize> {
    let changed = |index: usize| nodes.get(index).is_some_and(|node| node.changed);
    let mut reached: BTreeSet<usize> = nodes
        .iter()
        .enumerate()
        .filter(|(_, node)| node.due && node.changed)
        .map(|(index, _)| index)
        .collect();
    let mut left: Vec<usize> = reached.iter().copied().collect();
    while let Some(index) = left.pop() {
        for dependent in nodes.get(index).map_or(&[][..], |node| &node.dependents) {
            if reached.insert(*dependent) {
                left.push(*dependent);
            }
        }
    }
    reached.into_iter().filter(|index| changed(*index)).collect()
}
