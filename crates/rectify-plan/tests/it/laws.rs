//! Laws that hold for every project.

use crate::{fixture::Documents, generate};
use proptest::{
    prelude::*,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use rectify_base::canonical;
use rectify_model::{
    Plan,
    plan::{Action, Idle},
};
use rectify_plan::Report;

fn bytes(documents: &Documents) -> Vec<u8> {
    canonical::file_bytes(&documents.plan().unwrap().plan).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_observations_does_not_matter(seeds in generate::seeds(), turn in 0..3_usize) {
        let documents = generate::documents(&seeds);
        let mut turned = documents.clone();
        let count = turned.observations.len();
        turned.observations.rotate_left(turn % count);
        turned.observations.reverse();
        prop_assert_eq!(bytes(&documents), bytes(&turned));
    }

    #[test]
    fn plans_and_reports_survive_a_round_trip(seeds in generate::seeds()) {
        let planned = generate::documents(&seeds).plan().unwrap();
        let bytes = canonical::file_bytes(&planned.plan).unwrap();
        let again: Plan = canonical::read_file(&bytes).unwrap();
        prop_assert_eq!(&again, &planned.plan);
        let report: Report = canonical::read_file(&canonical::file_bytes(&planned.report).unwrap()).unwrap();
        prop_assert_eq!(&report, &planned.report);
    }

    #[test]
    fn recorded_observations_replay(seeds in generate::seeds()) {
        let documents = generate::documents(&seeds);
        let mut again = documents.clone();
        for (observation, digests) in &mut again.observations {
            let bytes = canonical::file_bytes(observation).unwrap();
            prop_assert_eq!(*digests, rectify_base::FileDigests::of_bytes(&bytes));
            *observation = canonical::read_file(&bytes).unwrap();
        }
        prop_assert_eq!(bytes(&documents), bytes(&again));
    }

    #[test]
    fn every_node_has_a_reason(seeds in generate::seeds()) {
        let documents = generate::documents(&seeds);
        let planned = documents.plan().unwrap();
        for node in &documents.graph.nodes {
            let why = planned.report.why(Some(&node.target), &node.address);
            prop_assert!(!why.is_empty(), "{} has no reason", node.address);
        }
        prop_assert_eq!(planned.report.waves.len(), planned.plan.waves.len());
    }

    #[test]
    fn a_plan_that_was_applied_leaves_nothing_to_plan(seeds in generate::seeds(), drift in 0..6_usize) {
        let seeds = generate::ending(seeds);
        let mut worlds = vec![generate::world(); seeds.len()];
        // Once from the beginning, and once more after something was changed by others.
        for round in 0..2 {
            let documents = generate::documents_in(&seeds, &worlds);
            let plan = documents.plan().unwrap().plan;
            prop_assume!(plan.deferred.is_empty());
            generate::carry_out(&documents, &plan, &mut worlds);
            let again = generate::documents_in(&seeds, &worlds).plan().unwrap();
            let why: Vec<_> = again.plan.steps.iter().map(|s| again.report.why(Some(&s.target), &s.address)).collect();
            prop_assert!(again.plan.steps.is_empty(), "round {round}: {why:#?}");
            for world in &mut worlds {
                let path = ["/d", "/d/x", "/d/x/y", "/e", "/f"].get(drift);
                path.and_then(|path| world.remove(*path));
            }
        }
    }

    #[test]
    fn every_step_finds_what_it_expects(seeds in generate::seeds(), drift in any::<u8>()) {
        let mut worlds = vec![generate::world(); seeds.len()];
        for _ in 0..3 {
            let documents = generate::documents_in(&seeds, &worlds);
            let plan = documents.plan().unwrap().plan;
            // What an opaque step leaves behind is not known.
            let known = plan.steps.iter().all(|step| step.result.is_some() || step.action == Action::Run);
            prop_assume!(known);
            generate::carry_out(&documents, &plan, &mut worlds);
            for (at, world) in worlds.iter_mut().enumerate() {
                if drift >> at & 1 == 1 {
                    world.remove("/d/x");
                }
            }
        }
    }
}

/// The generator reaches what the laws are about.
#[test]
fn chains_and_second_names_are_generated() {
    let mut runner = TestRunner::deterministic();
    let (mut converged, mut two_names, mut ended) = (0, 0, 0);
    for _ in 0..300 {
        let seeds = generate::seeds().new_tree(&mut runner).unwrap().current();
        let plan = generate::documents(&seeds).plan().unwrap().plan;
        two_names += plan.deferred.iter().filter(|entry| entry.code == "plan-two-names").count();
        let seeds = generate::ending(seeds);
        let mut worlds = vec![generate::world(); seeds.len()];
        let documents = generate::documents_in(&seeds, &worlds);
        let plan = documents.plan().unwrap().plan;
        ended += usize::from(plan.deferred.is_empty());
        generate::carry_out(&documents, &plan, &mut worlds);
        let again = generate::documents_in(&seeds, &worlds).plan().unwrap().plan;
        converged += again.unchanged.iter().filter(|entry| entry.why == Idle::Converged).count();
    }
    assert!(converged > 100 && two_names > 100 && ended > 200, "{converged} {two_names} {ended}");
}
