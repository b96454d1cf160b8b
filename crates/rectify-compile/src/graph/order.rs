//! Canonical order, and questions about who comes before whom.

use super::Links;
use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
};

/// What sorting found.
pub(super) enum Order {
    /// All items, in canonical order.
    Sorted(Vec<usize>),
    /// The items that wait for each other, or for those.
    Stuck(BTreeSet<usize>),
}

/// Kahn's algorithm; of several items that are ready the smallest address (that is, index) is first.
pub(super) fn sort(links: &Links, count: usize) -> Order {
    let after = successors(links, count);
    let mut waiting: Vec<usize> = (0..count).map(|i| links.before(i).count()).collect();
    let mut ready: BinaryHeap<Reverse<usize>> =
        waiting.iter().enumerate().filter(|(_, n)| **n == 0).map(|(i, _)| Reverse(i)).collect();
    let mut sorted = Vec::with_capacity(count);
    while let Some(Reverse(index)) = ready.pop() {
        sorted.push(index);
        for next in after.get(index).into_iter().flatten() {
            if let Some(n) = waiting.get_mut(*next) {
                *n -= 1;
                if *n == 0 {
                    ready.push(Reverse(*next));
                }
            }
        }
    }
    if sorted.len() == count {
        return Order::Sorted(sorted);
    }
    Order::Stuck(waiting.iter().enumerate().filter(|(_, n)| **n > 0).map(|(i, _)| i).collect())
}

fn successors(links: &Links, count: usize) -> Vec<Vec<usize>> {
    let mut after = vec![Vec::new(); count];
    for to in 0..count {
        for (from, _) in links.before(to) {
            if let Some(list) = after.get_mut(from) {
                list.push(to);
            }
        }
    }
    after
}

/// Answers whether explicit edges lead from one item to another.
pub(super) struct Reach {
    after: Vec<Vec<usize>>,
    position: Vec<usize>,
    seen: Vec<u32>,
    round: u32,
}

impl Reach {
    pub fn new(links: &Links, sorted: &[usize]) -> Self {
        let mut position = vec![0; sorted.len()];
        for (place, index) in sorted.iter().enumerate() {
            if let Some(p) = position.get_mut(*index) {
                *p = place;
            }
        }
        let after = successors(links, sorted.len());
        Self { after, position, seen: vec![0; sorted.len()], round: 0 }
    }

    /// Place in the order of explicit edges.
    pub fn position(&self, index: usize) -> usize {
        self.position.get(index).copied().unwrap_or(usize::MAX)
    }

    /// Whether edges lead from one to the other. Only items between the two are looked at.
    pub fn leads(&mut self, from: usize, to: usize) -> bool {
        let last = self.position(to);
        if self.position(from) >= last {
            return false;
        }
        self.round += 1;
        let mut stack = vec![from];
        while let Some(index) = stack.pop() {
            for next in self.after.get(index).into_iter().flatten() {
                if *next == to {
                    return true;
                }
                let near = self.position.get(*next).is_some_and(|p| *p < last);
                if let Some(seen) = self.seen.get_mut(*next).filter(|s| near && **s != self.round) {
                    *seen = self.round;
                    stack.push(*next);
                }
            }
        }
        false
    }
}
