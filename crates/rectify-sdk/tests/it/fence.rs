//! Of two runs that both think that they hold a target, the later one wins, and nothing that the
//! earlier one does lands after it began.

use crate::fixture::{Home, operation};
use rectify_sdk::{
    protocol::{
        ErrorCode, Mutated,
        message::{Applied, Apply, ItemResult, Mode, method},
    },
    testing::Client,
};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    process::Command,
    sync::{Arc, Barrier},
    thread,
    time::Duration,
};

fn under(fence: u64, name: &str, desired: Value) -> Apply {
    Apply { fence, ..operation(name, "update", desired) }
}

fn refused(client: &mut Client, op: &Apply) -> (ErrorCode, Mutated) {
    let error = client.apply(op).unwrap_err().item().unwrap();
    (error.code, error.mutated)
}

/// Sends a signal to the provider's process.
fn signal(client: &mut Client, name: &str) {
    let pid = client.child().unwrap().id().to_string();
    assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
}

fn recorded(home: &Home) -> String {
    fs::read_to_string(home.path("state/fence")).unwrap()
}

#[test]
fn a_paused_provider_writes_nothing_after_a_later_run_began() {
    let home = Home::new();
    let (mut old, mut new) = (home.session(Mode::Apply), home.session(Mode::Apply));
    let out = home.path("out");
    // The old run is in the middle of a write when its machine stops for a while.
    let first = under(3, "first", json!({"append_after": out, "word": "first", "ms": 200}));
    let id = old.send(method::APPLY, &first).unwrap();
    assert_eq!(old.receive().unwrap().method.as_deref(), Some(method::PROGRESS));
    signal(&mut old, "STOP");
    // The new one waits for it, within bounds, and says that it could not.
    let impatient =
        Apply { deadline_ms: 400, ..under(4, "second", json!({"append_after": out, "word": "second"})) };
    assert_eq!(refused(&mut new, &impatient), (ErrorCode::Busy, Mutated::No));
    assert_eq!(recorded(&home), "4\n");
    assert_eq!(fs::read_to_string(&out).unwrap_or_default(), "");
    // What was begun ends; the new run waits for exactly that.
    let patient = under(4, "second", json!({"append_after": out, "word": "second"}));
    let waiting = new.send(method::APPLY, &patient).unwrap();
    signal(&mut old, "CONT");
    let done: ItemResult<Applied> = old.answer(id).unwrap();
    done.into_result().unwrap();
    let done: ItemResult<Applied> = new.answer(waiting).unwrap();
    done.into_result().unwrap();
    assert_eq!(fs::read_to_string(&out).unwrap(), "first\nsecond\n");
    // From now on the old one is refused, in this process and in a new one.
    let late = under(3, "late", json!({"append_after": out}));
    assert_eq!(refused(&mut old, &late), (ErrorCode::Conflict, Mutated::No));
    assert_eq!(refused(&mut home.session(Mode::Apply), &late), (ErrorCode::Conflict, Mutated::No));
    assert_eq!(fs::read_to_string(&out).unwrap(), "first\nsecond\n");
}

#[test]
fn a_killed_provider_is_not_waited_for() {
    let home = Home::new();
    let (mut old, mut new) = (home.session(Mode::Apply), home.session(Mode::Apply));
    let op = under(1, "a", json!({"append_after": home.path("out"), "ms": 60_000}));
    old.send(method::APPLY, &op).unwrap();
    assert_eq!(old.receive().unwrap().method.as_deref(), Some(method::PROGRESS));
    old.child().unwrap().kill().unwrap();
    old.wait_child().unwrap();
    new.apply(&under(2, "b", json!({}))).unwrap();
    let left: Vec<String> = fs::read_dir(home.path("state"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("acting-"))
        .collect();
    assert_eq!(left, ["acting-2"]);
}

#[test]
fn operations_of_one_run_do_not_wait_for_each_other() {
    let home = Home::new();
    let (mut slow, mut quick) = (home.session(Mode::Apply), home.session(Mode::Apply));
    slow.send(method::APPLY, &under(7, "slow", json!({"ms": 60_000}))).unwrap();
    assert_eq!(slow.receive().unwrap().method.as_deref(), Some(method::PROGRESS));
    quick.apply(&Apply { deadline_ms: 2_000, ..under(7, "quick", json!({})) }).unwrap();
    slow.child().unwrap().kill().unwrap();
    slow.wait_child().unwrap();
}

#[test]
fn an_unchanged_fence_is_not_written_again() {
    let home = Home::new();
    let inode = || fs::metadata(home.path("state/fence")).unwrap().ino();
    let mut client = home.session(Mode::Apply);
    client.apply(&under(5, "a", json!({}))).unwrap();
    let first = inode();
    for name in ["b", "c"] {
        client.apply(&under(5, name, json!({}))).unwrap();
        home.session(Mode::Apply).apply(&under(5, name, json!({}))).unwrap();
    }
    assert_eq!(inode(), first);
    client.apply(&under(6, "d", json!({}))).unwrap();
    assert_ne!(inode(), first);
}

#[test]
fn a_fence_that_cannot_be_read_stops_everything() {
    let home = Home::new();
    for text in ["", "x", "-1", "18446744073709551616"] {
        fs::write(home.path("state/fence"), text).unwrap();
        let op = under(u64::from(u32::MAX), "a", json!({"append_after": home.path("out")}));
        assert_eq!(refused(&mut home.session(Mode::Apply), &op), (ErrorCode::Failed, Mutated::No), "{text}");
    }
    assert!(!fs::exists(home.path("out")).unwrap());
}

/// Many processes, each with a fence of its own, all at once: what was written is in the order of the
/// fences, whoever was first, and the highest is recorded.
#[test]
fn what_is_written_follows_the_order_of_fences() {
    const RUNS: u64 = 6;
    const WRITES: u64 = 15;
    let home = Arc::new(Home::new());
    let barrier = Arc::new(Barrier::new(usize::try_from(RUNS).unwrap()));
    let runs = (1..=RUNS).map(|fence| {
        let (home, barrier) = (Arc::clone(&home), Arc::clone(&barrier));
        thread::spawn(move || {
            let mut client = home.session(Mode::Apply);
            barrier.wait();
            for write in 0..WRITES {
                let desired = json!({"append_after": home.path("out"), "word": fence.to_string(), "ms": 1});
                match client.apply(&under(fence, &format!("{fence} {write}"), desired)) {
                    Ok(_) => {}
                    Err(error) => {
                        let error = error.item().unwrap();
                        assert_eq!(
                            (error.code, error.mutated),
                            (ErrorCode::Conflict, Mutated::No),
                            "{error}"
                        );
                        return;
                    }
                }
                thread::sleep(Duration::from_millis(fence % 3));
            }
        })
    });
    for run in runs.collect::<Vec<_>>() {
        run.join().unwrap();
    }
    let text = fs::read_to_string(home.path("out")).unwrap();
    let written: Vec<u64> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert!(written.is_sorted(), "{written:?}");
    assert_eq!(written.iter().filter(|fence| **fence == RUNS).count() as u64, WRITES);
    assert_eq!(recorded(&home), format!("{RUNS}\n"));
}
