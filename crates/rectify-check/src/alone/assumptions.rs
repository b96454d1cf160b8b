//! What is assumed of the targets, as lists.

use crate::{Invariant, notes::Notes};
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use rectify_base::TypeName;
use rectify_model::{Plan, fact, grade::TypeKind};

/// Checks the lists; answers with the types that tell what is assumed, and where that is first said.
pub(super) fn run(plan: &Plan, notes: &mut Notes) -> Vec<(TypeName, String)> {
    let mut told: Vec<(TypeName, String)> = Vec::new();
    for (name, target) in &plan.targets {
        let list = &target.assumptions;
        for (at, assumption) in list.iter().enumerate() {
            let place = || format!("/targets/{name}/assumptions/{at}");
            let before = at.checked_sub(1).and_then(|at| list.get(at));
            let sorted = before.is_none_or(|before| before.fact < assumption.fact);
            let message = "it stands after what should come later, or twice";
            notes.require(sorted, Invariant::Assumptions, place, message);
            let decides = &assumption.decides;
            let sound = !decides.is_empty() && decides.is_sorted_by(|a, b| a < b);
            let message = "it decides nothing, or not in order";
            notes.require(sound, Invariant::Assumptions, || format!("{}/decides", place()), message);
            let group = assumption.fact.tokens().first().map(ToString::to_string).unwrap_or_default();
            let Ok(ty) = TypeName::new(format!("{}.{group}", fact::FAMILY)) else {
                notes.add(Invariant::Assumptions, format!("{}/fact", place()), "it names no group of facts");
                continue;
            };
            if told.iter().any(|(known, _)| *known == ty) {
                continue;
            }
            let tells = plan.types.get(&ty).is_none_or(|facts| facts.kind == TypeKind::Fact);
            let message = "its type tells no facts";
            notes.require(tells, Invariant::Assumptions, || format!("{}/fact", place()), message);
            told.push((ty, format!("{}/fact", place())));
        }
    }
    told
}
