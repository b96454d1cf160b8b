//! The order among the steps of a plan: which step surely comes before which.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec,
    vec::Vec,
};
use rectify_base::{Address, TargetName};
use rectify_model::Plan;

/// Edges of a plan as places in its list of steps. Those that name no earlier step are left out;
/// another check says so.
pub(crate) struct Reach<'p> {
    /// The place of each step. Addresses differ sooner than targets.
    pub places: BTreeMap<(&'p Address, &'p TargetName), usize>,
    before: Vec<Vec<usize>>,
}

impl<'p> Reach<'p> {
    pub fn new(plan: &'p Plan) -> Self {
        let mut places = BTreeMap::new();
        let mut before = Vec::with_capacity(plan.steps.len());
        for (place, step) in plan.steps.iter().enumerate() {
            before.push(
                step.edges
                    .iter()
                    .filter_map(|edge| places.get(&(&edge.from, &step.target)).copied())
                    .collect(),
            );
            places.entry((&step.address, &step.target)).or_insert(place);
        }
        Self { places, before }
    }

    /// Whether a step waits for another one by an edge.
    pub fn directly(&self, step: usize, earlier: usize) -> bool {
        self.before.get(step).is_some_and(|before| before.contains(&earlier))
    }

    /// Which of the wanted steps do not surely come before a step. Looks no further back than the
    /// first of them.
    pub fn missing(&self, step: usize, mut wanted: BTreeSet<usize>) -> BTreeSet<usize> {
        wanted.retain(|earlier| !self.directly(step, *earlier));
        let Some(floor) = wanted.first().copied() else { return wanted };
        let mut seen = BTreeSet::new();
        let mut open = vec![step];
        while let Some(here) = open.pop() {
            for earlier in self.before.get(here).into_iter().flatten() {
                if *earlier >= floor && seen.insert(*earlier) {
                    wanted.remove(earlier);
                    if wanted.is_empty() {
                        return wanted;
                    }
                    open.push(*earlier);
                }
            }
        }
        wanted
    }

    /// The last ones of a set of steps: those that no other one of the set waits for.
    pub fn last_of(&self, mut steps: BTreeSet<usize>) -> BTreeSet<usize> {
        let mut last = BTreeSet::new();
        while let Some(step) = steps.pop_last() {
            steps = self.missing(step, steps);
            last.insert(step);
        }
        last
    }
}
