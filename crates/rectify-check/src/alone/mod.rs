//! What the plan alone can tell.

mod assumptions;
mod lists;
mod names;
mod order;
mod secrets;
mod steps;

use crate::{notes::Notes, reach::Reach};
use rectify_model::Plan;

pub(crate) fn run(plan: &Plan, notes: &mut Notes) {
    lists::run(plan, notes);
    steps::run(plan, notes);
    secrets::run(plan, notes);
    order::run(plan, &Reach::new(plan), notes);
}
