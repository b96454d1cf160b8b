//! Laws over generated commands: what is planned is done once, changes only what it said, and then
//! there is nothing left to plan.

use crate::fixture::World;
use proptest::prelude::*;
use rectify_sdk::protocol::message::{ApplyStatus, Mode, PlanAnswer};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs};

const CASES: u32 = 100;

/// Everything in the directory that the commands work in.
fn files(world: &World) -> BTreeMap<String, String> {
    fs::read_dir(world.path("root"))
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

/// A command that appends to a file, said as words or as a script, with or without words of its own.
fn command(world: &World, name: &str, word: &str, script: bool, guarded: bool) -> Value {
    let path = world.path(&format!("root/{name}"));
    let mut desired = if script {
        json!({"script": format!("printf '%s\n' \"$WORD\" >> {path}"), "environment": {"WORD": word}})
    } else {
        json!({"argv": ["/bin/sh", "-c", "printf '%s\n' \"$1\" >> \"$0\"", path, word]})
    };
    if guarded {
        desired["creates"] = path.into();
    }
    desired
}

/// Whether a plan made now would run it.
fn changes(world: &World, desired: &Value) -> bool {
    matches!(world.session(Mode::Plan).plan(desired).unwrap(), PlanAnswer::Changed { .. })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_guarded_command_runs_once_and_leaves_nothing_to_plan(
        name in "[a-z]{1,8}", word in "[ -~]{0,12}", script in any::<bool>(), attempts in 1..4_usize,
    ) {
        let world = World::new();
        fs::write(world.path("root/bystander-0"), "untouched").unwrap();
        let desired = command(&world, &name, &word, script, true);
        prop_assert!(changes(&world, &desired));
        let before = files(&world);
        let mut session = world.session(Mode::Apply);
        let op = session.operation("op", &desired);
        for attempt in 0..attempts {
            let applied = session.apply(&op).unwrap();
            prop_assert!(attempt > 0 || applied.status == ApplyStatus::Applied);
        }
        let mut expected = before;
        expected.insert(name, format!("{word}\n"));
        prop_assert_eq!(files(&world), expected);
        prop_assert!(!changes(&world, &desired));
    }

    #[test]
    fn an_unguarded_command_runs_once_for_each_operation(
        name in "[a-z]{1,8}", word in "[ -~]{0,12}", script in any::<bool>(),
        operations in 1..4_usize, attempts in 1..3_usize,
    ) {
        let world = World::new();
        let desired = command(&world, &name, &word, script, false);
        for operation in 0..operations {
            prop_assert!(changes(&world, &desired));
            for _ in 0..attempts {
                // Also a fresh session must know of it.
                let mut session = world.session(Mode::Apply);
                let op = session.operation(&operation.to_string(), &desired);
                session.apply(&op).unwrap();
            }
        }
        let expected = BTreeMap::from([(name, format!("{word}\n").repeat(operations))]);
        prop_assert_eq!(files(&world), expected);
    }
}
