//! Nothing about a sealed plan can be damaged, dropped, doubled or moved without being refused.

use crate::world::{World, plan_bytes};

/// Changes every byte twice: in one bit that rotates with the place, and in the bit that turns capital
/// letters into small ones. Not every bit of every byte; that would take four times as long.
fn every_flip(bytes: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..bytes.len()).flat_map(move |index| {
        [1_u8 << (index % 8), 0x20].into_iter().map(move |mask| {
            let mut flipped = bytes.to_vec();
            flipped[index] ^= mask;
            (index, flipped)
        })
    })
}

#[test]
fn every_flipped_byte_of_the_plan_is_refused() {
    let good = World::sealed();
    let trust = good.trust_file();
    for (index, plan) in every_flip(&good.plan) {
        let world = World { plan, ..good.clone() };
        assert!(world.admit_under(&trust).is_err(), "byte {index} of the plan");
    }
}

#[test]
fn every_flipped_byte_of_an_envelope_is_refused() {
    let good = World::sealed();
    let trust = good.trust_file();
    for (name, bytes) in &good.files {
        for (index, flipped) in every_flip(bytes) {
            let mut world = good.clone();
            world.files.insert(name.clone(), flipped);
            assert!(world.admit_under(&trust).is_err(), "byte {index} of {name}");
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    let good = World::sealed();
    let trust = good.trust_file();
    for (name, bytes) in &good.files {
        for length in 0..bytes.len() {
            let mut world = good.clone();
            world.files.insert(name.clone(), bytes[..length].to_vec());
            assert!(world.admit_under(&trust).is_err(), "{name} cut to {length}");
        }
    }
    for length in 0..good.plan.len() {
        let world = World { plan: good.plan[..length].to_vec(), ..good.clone() };
        assert!(world.admit_under(&trust).is_err(), "plan cut to {length}");
    }
}

#[test]
fn every_removed_doubled_moved_or_extended_envelope_is_refused() {
    let good = World::sealed();
    let other = World::about(plan_bytes("go away"));
    assert!(other.admit().is_ok());
    let trust = good.trust_file();
    for (name, bytes) in &good.files {
        let refused = |what: &str, change: &dyn Fn(&mut World)| {
            let mut world = good.clone();
            change(&mut world);
            assert!(world.admit_under(&trust).is_err(), "{name} {what}");
        };
        refused("removed", &|w| {
            w.files.remove(name);
        });
        refused("doubled", &|w| {
            w.files.insert(format!("copy-of-{name}"), bytes.clone());
        });
        refused("replaced by the other plan's", &|w| {
            w.files.insert(name.clone(), other.files[name].clone());
        });
        refused("joined by the other plan's", &|w| {
            w.files.insert(format!("other-{name}"), other.files[name].clone());
        });
        refused("extended", &|w| w.files.get_mut(name).unwrap().push(b'\n'));
    }
}

#[test]
fn the_names_of_the_files_mean_nothing() {
    let good = World::sealed();
    let mut world = good.clone();
    world.files = good.files.values().enumerate().map(|(i, b)| (format!("{i}"), b.clone())).collect();
    let (mut renamed, original) = (world.admit().unwrap(), good.admit().unwrap());
    for (after, before) in renamed.approvals.iter_mut().zip(&original.approvals) {
        after.file.clone_from(&before.file);
    }
    assert_eq!(renamed, original);
}
