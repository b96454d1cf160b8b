//! What the planner makes is sound, whatever the project.

use crate::{fixture::Documents, generate};
use proptest::prelude::*;
use rectify_check::{Note, check, check_alone};
use rectify_model::plan::Action;

fn notes(documents: &Documents) -> Vec<Note> {
    let plan = documents.plan().unwrap().plan;
    let mut notes = check(&plan, &documents.graph, &documents.observations, documents.graph_digests);
    notes.extend(check_alone(&plan));
    notes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_that_is_made_is_sound(seeds in generate::seeds()) {
        let notes = notes(&generate::documents(&seeds));
        prop_assert!(notes.is_empty(), "{notes:#?}");
    }

    /// Also where chains come to nothing, because an earlier plan was carried out.
    #[test]
    fn every_plan_after_another_one_is_sound(seeds in generate::seeds(), ends in any::<bool>(), drift in any::<u8>()) {
        let seeds = if ends { generate::ending(seeds) } else { seeds };
        let mut worlds = vec![generate::world(); seeds.len()];
        for round in 0..4 {
            let documents = generate::documents_in(&seeds, &worlds);
            let notes = notes(&documents);
            prop_assert!(notes.is_empty(), "{notes:#?}");
            let plan = documents.plan().unwrap().plan;
            prop_assume!(plan.steps.iter().all(|step| step.result.is_some() || step.action == Action::Run));
            generate::carry_out(&documents, &plan, &mut worlds);
            for world in &mut worlds {
                let path = ["/d", "/d/x", "/d/x/y", "/e", "/f"].get(usize::from(drift >> round & 7));
                path.and_then(|path| world.remove(*path));
            }
        }
    }
}

#[test]
fn large_plans_are_sound() {
    for (chained, changes) in [(false, true), (true, true), (true, false)] {
        assert_eq!(notes(&generate::large(2_000, chained, changes)), []);
    }
}
