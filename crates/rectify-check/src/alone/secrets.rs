//! Every secret that a step names is one of its target's.

use crate::{Invariant, notes::Notes};
use alloc::format;
use rectify_base::{Pointer, SecretText, secret_text};
use rectify_model::Plan;

pub(super) fn run(plan: &Plan, notes: &mut Notes) {
    for (at, step) in plan.steps.iter().enumerate() {
        let known = plan.targets.get(&step.target).map(|target| &target.secrets);
        for (property, value) in &step.desired {
            secret_text::each(value, &Pointer::root().child(property), &mut |place, value| {
                let place = || format!("/steps/{at}/desired{place}");
                let Some(text) = SecretText::read(value) else {
                    let message = "this is not the form of a text with secrets";
                    notes.add(Invariant::Secrets, place(), message);
                    return;
                };
                for name in text.names().filter(|name| known.is_none_or(|known| !known.contains_key(*name))) {
                    let message = format!("`{name}` is not among the secrets of `{}`", step.target);
                    notes.add(Invariant::Secrets, place(), message);
                }
            });
        }
    }
}
