//! Somebody swaps things while we work. Nothing may land outside the root, and nothing of theirs
//! may be lost.

use crate::world::{World, print_of, snapshot};
use rectify_sdk::protocol::message::ApplyStatus;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::json;
use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::symlink,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

const RACE: Duration = Duration::from_secs(4);

/// Writes, edits and removals under a directory that a racer swaps for a link that leads out of the
/// root; the link is one that may be followed (`shared` false) or not.
fn swap_race(shared: bool) {
    let mut world = World::new();
    let outside = world.outside();
    fs::write(outside.join("f"), "keep").unwrap();
    fs::create_dir(outside.join("tree")).unwrap();
    fs::write(outside.join("tree/f"), "keep").unwrap();
    let kept = snapshot(&outside);
    fs::create_dir_all(world.at("/p/d/tree")).unwrap();
    symlink("../../outside", world.at("/p/l")).unwrap();
    if shared {
        world.chmod("/p", 0o777);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let swaps = Arc::new(AtomicU64::new(0));
    let racer = {
        let (stop, swaps) = (Arc::clone(&stop), Arc::clone(&swaps));
        let (a, b) = (world.at("/p/d"), world.at("/p/l"));
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE).unwrap();
                swaps.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let begin = Instant::now();
    let (mut done, mut refused) = (0, 0);
    let mut round = 0;
    while begin.elapsed() < RACE {
        round += 1;
        for (name, desired) in [
            ("file.content", json!({"path": "/p/d/f", "content": format!("{round}")})),
            ("file.line", json!({"path": "/p/d/f", "line": format!("line {round}")})),
            ("file.directory", json!({"path": "/p/d/new"})),
            ("file.absent", json!({"path": "/p/d/new"})),
            ("file.absent", json!({"path": "/p/d/f"})),
            ("file.absent", json!({"path": "/p/d/tree", "recursive": true})),
        ] {
            let Ok(Some(planned)) = world.plan(name, &desired) else {
                refused += 1;
                continue;
            };
            let op = world.operation(name, &desired, &planned);
            match world.apply(&op) {
                // `Already` where the racer put something else there that is as planned.
                Ok(applied) => done += u32::from(applied.status == ApplyStatus::Applied),
                Err(_) => refused += 1,
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    racer.join().unwrap();
    assert_eq!(snapshot(&outside), kept, "nothing outside the root was touched");
    world.nothing_left_behind();
    assert!(swaps.load(Ordering::Relaxed) > 1000, "the racer ran");
    assert!(done > 0 && refused > 0, "{done} done, {refused} refused");
}

#[test]
fn a_directory_swapped_for_a_link_never_leads_out() {
    swap_race(false);
}

#[test]
fn a_directory_swapped_for_a_link_by_somebody_else_never_leads_out() {
    swap_race(true);
}

/// A racer makes the file with exclusive creation. If that succeeds, it is theirs and must stay.
#[test]
fn a_file_that_appears_meanwhile_is_never_overwritten() {
    let mut world = World::new();
    let (mut ours, mut theirs) = (0, 0);
    let mut usual = Duration::from_millis(1);
    for round in 0..600_u32 {
        let path = format!("/f{round}");
        let desired = json!({"path": path, "content": "ours"});
        let planned = world.changed("file.content", &desired);
        let op = world.operation("file.content", &desired, &planned);
        let file = world.at(&path);
        // From the beginning of what an apply usually takes to well after its end.
        let pause = usual * (round % 40) / 25;
        let racer = thread::spawn(move || {
            thread::sleep(pause);
            let made = OpenOptions::new().write(true).create_new(true).open(file);
            made.map(|mut file| file.write_all(b"theirs").unwrap()).is_ok()
        });
        let begin = Instant::now();
        let applied = world.apply(&op);
        usual = (usual * 7 + begin.elapsed()) / 8;
        let made = racer.join().unwrap();
        assert_ne!(applied.is_ok(), made, "exactly one of the two made the file");
        assert_eq!(world.bytes(&path), if made { b"theirs".to_vec() } else { b"ours".to_vec() });
        if made { theirs += 1 } else { ours += 1 }
    }
    world.nothing_left_behind();
    assert!(ours > 0 && theirs > 0, "{ours} ours, {theirs} theirs");
}

/// A racer replaces the file by rename all the time. Whatever an answer says was found must have
/// been one of the contents that were there whole.
#[test]
fn a_file_that_is_replaced_all_the_time_is_read_whole() {
    let mut world = World::new();
    let contents: Vec<String> = (0..4).map(|n| n.to_string().repeat(3000 + n * 1000)).collect();
    world.write("/f", &contents[0], 0o644);
    let desired = json!({"path": "/f", "content": contents[0]});
    let mut known = Vec::new();
    for content in &contents {
        world.write("/f", content, 0o644);
        known.push(print_of(
            "file.content",
            world.read("file.content", &desired, false).unwrap().state.as_ref(),
        ));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let racer = {
        let (stop, file, next) = (Arc::clone(&stop), world.at("/f"), world.outside().join("next"));
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                for content in &contents {
                    fs::write(&next, content).unwrap();
                    fs::rename(&next, &file).unwrap();
                }
            }
        })
    };
    let mut whole = 0;
    for _ in 0..500 {
        if let Ok(answer) = world.read("file.content", &desired, false) {
            assert!(known.contains(&print_of("file.content", answer.state.as_ref())));
            whole += 1;
        }
    }
    stop.store(true, Ordering::Relaxed);
    racer.join().unwrap();
    assert!(whole > 0);
}
