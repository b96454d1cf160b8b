//! What the planner makes is sound, whatever the project.

use crate::{fixture::Documents, generate};
use proptest::prelude::*;
use rectify_check::{Note, check, check_alone};

fn notes(documents: &Documents) -> Vec<Note> {
    let plan = documents.plan().unwrap().plan;
    let mut notes = check(&plan, &documents.graph, &documents.observations, documents.graph_digests);
    notes.extend(check_alone(&plan));
    notes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_that_is_made_is_sound(seeds in generate::seeds()) {
        let notes = notes(&generate::documents(&seeds));
        prop_assert!(notes.is_empty(), "{notes:#?}");
    }
}

#[test]
fn large_plans_are_sound() {
    for (chained, changes) in [(false, true), (true, true), (true, false)] {
        assert_eq!(notes(&generate::large(2_000, chained, changes)), []);
    }
}
