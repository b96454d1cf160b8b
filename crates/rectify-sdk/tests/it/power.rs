//! Power loss. What a real provider asks of the kernel is recorded, and states that a disk may be left
//! in are made of it: whatever was not synced may be there or not, in any combination.
//!
//! The model is harsher than ext4: the content of a file is on the disk only if that file was synced
//! since; an entry of a directory only if that directory was, and entries that were not survive each by
//! itself, whatever their order. `RECTIFY_POWER_STATES` says how many states are tried.

use crate::fixture::{Home, PROVIDER, map, operation, read};
use rectify_sdk::{
    base::Digest,
    protocol::{
        Mutated,
        message::{Apply, Configure, Mode, OpStatus, ReadItem},
    },
    testing::Client,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
};

const STATES: usize = 300;
/// Every so many states, a fresh provider is asked too.
const ASKED: usize = 25;

type Inode = usize;

/// What was asked of the kernel.
#[derive(Clone, Debug)]
enum Op {
    Write {
        inode: Inode,
        bytes: Vec<u8>,
    },
    Sync {
        inode: Inode,
    },
    /// An entry of a directory: `None` removes it.
    Entry {
        directory: String,
        name: String,
        inode: Option<Inode>,
    },
    /// Two entries that change together, of one directory.
    Rename {
        directory: String,
        from: String,
        to: String,
        inode: Inode,
    },
    SyncDirectory {
        directory: String,
    },
    /// The action did something.
    Effect,
    /// An answer left.
    Answer {
        id: u64,
    },
}

/// Reads the log of `strace -f -y -xx`.
struct Recorder {
    root: String,
    names: BTreeMap<String, Inode>,
    inodes: usize,
    ops: Vec<Op>,
}

impl Recorder {
    fn file(&self, path: &str) -> Option<(String, String)> {
        let path = path.strip_prefix(&self.root)?.strip_prefix('/')?;
        let (directory, name) = path.split_once('/')?;
        Some((directory.to_owned(), name.to_owned()))
    }

    fn line(&mut self, line: &str) {
        let Some((call, rest)) = line.split_once('(') else { return };
        let Some((arguments, result)) = rest.rsplit_once(" = ") else { return };
        if result.starts_with('-') {
            return;
        }
        let paths = paths(arguments);
        let first = paths.first().cloned().unwrap_or_default();
        match call {
            "openat" if arguments.contains("O_CREAT") => {
                let path = opened(result);
                if let Some((directory, name)) = self.file(&path)
                    && !self.names.contains_key(&path)
                {
                    self.inodes += 1;
                    self.names.insert(path, self.inodes);
                    self.ops.push(Op::Entry { directory, name, inode: Some(self.inodes) });
                }
            }
            "write" | "pwrite64" => {
                let bytes = text(arguments);
                if first == format!("{}/out", self.root) {
                    self.ops.push(Op::Effect);
                } else if let Some(inode) = self.names.get(&first) {
                    self.ops.push(Op::Write { inode: *inode, bytes });
                } else if first.starts_with("pipe:") {
                    for line in bytes.split(|b| *b == b'\n') {
                        let id = serde_json::from_slice::<Value>(line).ok().and_then(|v| v["id"].as_u64());
                        self.ops.extend(id.map(|id| Op::Answer { id }));
                    }
                }
            }
            "fsync" | "fdatasync" => {
                if let Some(inode) = self.names.get(&first) {
                    self.ops.push(Op::Sync { inode: *inode });
                } else if let Some(directory) = first.strip_prefix(&format!("{}/", self.root)) {
                    self.ops.push(Op::SyncDirectory { directory: directory.to_owned() });
                }
            }
            "link" | "linkat" => {
                let [from, to] = two(&paths);
                if let (Some(inode), Some((directory, name))) =
                    (self.names.get(&from).copied(), self.file(&to))
                {
                    self.names.insert(to, inode);
                    self.ops.push(Op::Entry { directory, name, inode: Some(inode) });
                }
            }
            "rename" | "renameat" | "renameat2" => {
                let [from, to] = two(&paths);
                if let (Some(inode), Some((directory, old)), Some((_, new))) =
                    (self.names.remove(&from), self.file(&from), self.file(&to))
                {
                    self.names.insert(to, inode);
                    self.ops.push(Op::Rename { directory, from: old, to: new, inode });
                }
            }
            "unlink" | "unlinkat" => {
                // Before a path stands the working directory, where the call names one.
                let path = paths.last().cloned().unwrap_or_default();
                if let Some((directory, name)) = self.file(&path)
                    && self.names.remove(&path).is_some()
                {
                    self.ops.push(Op::Entry { directory, name, inode: None });
                }
            }
            _ => {}
        }
    }
}

/// Texts among the arguments, and paths of descriptors, in angle brackets; all in hexadecimal.
fn paths(arguments: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = arguments;
    while let Some(at) = rest.find(['<', '"']) {
        let closing = if rest.as_bytes()[at] == b'<' { '>' } else { '"' };
        let Some(end) = rest[at + 1..].find(closing) else { break };
        let inner = &rest[at + 1..at + 1 + end];
        found.push(String::from_utf8_lossy(&unhex(inner)).into_owned());
        rest = &rest[at + 2 + end..];
    }
    found
}

fn two(paths: &[String]) -> [String; 2] {
    // A working directory may stand before a path that is absolute anyway.
    let mut last = paths.iter().rev().cloned();
    let (to, from) = (last.next().unwrap_or_default(), last.next().unwrap_or_default());
    let from = if paths.len() == 4 { paths[1].clone() } else { from };
    [from, to]
}

fn opened(result: &str) -> String {
    result
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .map_or(String::new(), |(path, _)| String::from_utf8_lossy(&unhex(path)).into_owned())
}

fn unhex(text: &str) -> Vec<u8> {
    text.split("\\x").skip(1).filter_map(|digits| u8::from_str_radix(digits.get(..2)?, 16).ok()).collect()
}

/// The text that is written.
fn text(arguments: &str) -> Vec<u8> {
    arguments
        .split_once('"')
        .and_then(|(_, rest)| rest.split_once('"'))
        .map_or(Vec::new(), |(hex, _)| unhex(hex))
}

/// Joins calls that were interrupted by those of other threads, and drops the numbers of threads.
fn calls(log: &str) -> Vec<String> {
    let mut open: BTreeMap<&str, String> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in log.lines() {
        let (thread, rest) = line.split_once(' ').unwrap_or(("", line));
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix(" <unfinished ...>") {
            open.insert(thread, begun.to_owned());
        } else if let Some((_, end)) =
            rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>"))
        {
            calls.push(open.remove(thread).unwrap_or_default() + end);
        } else {
            calls.push(rest.to_owned());
        }
    }
    calls
}

/// What was asked for, and what its answer promises.
enum Promise {
    Done { op: Apply },
    Failed { op: Apply },
    Kept { digest: String, bytes: Vec<u8> },
    Fenced(u64),
}

/// One run of the provider, and everything that it promised by answering.
fn record(home: &Home) -> (Vec<Op>, Vec<(u64, Promise)>) {
    let (log, program) = (home.path("strace.log"), home.path("provider.sh"));
    let traced =
        "trace=openat,write,pwrite64,fsync,fdatasync,link,linkat,rename,renameat,renameat2,unlink,unlinkat";
    let script =
        format!("#!/bin/sh\nexec strace -f -qq -y -xx -s 1000000 -e {traced} -o {log} {PROVIDER} \"$@\"\n");
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let mut client = Client::spawn(Path::new(&program)).expect("strace is needed");
    client.greet(Mode::Apply, home.dirs(), &Configure::default()).expect("strace is needed");
    let mut promises = Vec::new();
    // `greet` sends two requests.
    let mut id = 2;
    let run = |name: &str, fence, more: Value| {
        let mut desired = json!({"append": home.path("out")});
        desired.as_object_mut().unwrap().extend(map(more));
        Apply { fence, ..operation(name, "run", desired) }
    };
    let obstacle = home.path("obstacle");
    for round in 0..4_u64 {
        let fence = 1 + round / 2 * 3;
        for (name, more, promised) in [
            ("good", json!({}), true),
            ("bad", json!({"fail": true}), true),
            ("refused", json!({"refuse_if": obstacle}), false),
        ] {
            if name == "refused" {
                fs::write(&obstacle, "").unwrap();
            }
            let op = run(&format!("{name} {round}"), fence, more);
            id += 1;
            let result = client.apply(&op);
            promises.push((id, Promise::Fenced(fence)));
            if promised {
                promises
                    .push((id, if result.is_ok() { Promise::Done { op } } else { Promise::Failed { op } }));
                continue;
            }
            // It did nothing, so it may run after all.
            assert_eq!(result.unwrap_err().item().unwrap().mutated, Mutated::No);
            fs::remove_file(&obstacle).unwrap();
            id += 1;
            client.apply(&op).unwrap();
            promises.push((id, Promise::Done { op }));
        }
        for image in ["".to_owned(), "again and again".into(), format!("{round} {}", "x".repeat(9_000))] {
            let item = ReadItem { capture: true, ..read(json!({"image": image})) };
            id += 1;
            let answer = client.read(item).unwrap();
            let digest = answer.before_image.unwrap();
            assert_eq!(digest, Digest::of_bytes(image.as_bytes()));
            promises.push((id, Promise::Kept { digest: digest.hex(), bytes: image.into_bytes() }));
        }
    }
    client.close();
    client.wait_child().unwrap();
    let root = Path::new(&home.path("x")).parent().unwrap().display().to_string();
    let mut recorder = Recorder { root, names: BTreeMap::new(), inodes: 0, ops: Vec::new() };
    for call in calls(&fs::read_to_string(&log).unwrap()) {
        recorder.line(&call);
    }
    (recorder.ops, promises)
}

/// xorshift: the same states each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound.max(1) as u64).unwrap()
    }
}

type Files = BTreeMap<(String, String), Vec<u8>>;

/// A state that the disk may be in if the power goes after the first `count` operations.
fn lose(ops: &[Op], count: usize, random: &mut Random) -> Files {
    // Of a few crashes nothing at all survives that was not synced; of a few, everything does.
    let odds = random.below(5);
    let mut survives = || match odds {
        0 => false,
        1 => true,
        odds => random.below(4) < odds - 1,
    };
    let ops = &ops[..count];
    let synced = |at: usize, wanted: &dyn Fn(&Op) -> bool| ops[at..].iter().any(wanted);
    let mut contents: BTreeMap<Inode, Vec<u8>> = BTreeMap::new();
    let mut entries: BTreeMap<(String, String), Inode> = BTreeMap::new();
    for (at, op) in ops.iter().enumerate() {
        match op {
            Op::Write { inode, bytes } => {
                let kept =
                    synced(at, &|op| matches!(op, Op::Sync { inode: other } if other == inode)) || survives();
                // Lost content of a file that has its length is zeros, or the file is short.
                let content = contents.entry(*inode).or_default();
                match kept {
                    true => content.extend(bytes),
                    false if survives() => content.extend(vec![0; bytes.len()]),
                    false => {}
                }
            }
            Op::Entry { directory, name, inode } => {
                let there =
                    |op: &Op| matches!(op, Op::SyncDirectory { directory: other } if other == directory);
                if synced(at, &there) || survives() {
                    let key = (directory.clone(), name.clone());
                    match inode {
                        Some(inode) => drop(entries.insert(key, *inode)),
                        None => drop(entries.remove(&key)),
                    }
                }
            }
            Op::Rename { directory, from, to, inode } => {
                let there =
                    |op: &Op| matches!(op, Op::SyncDirectory { directory: other } if other == directory);
                if synced(at, &there) || survives() {
                    entries.remove(&(directory.clone(), from.clone()));
                    entries.insert((directory.clone(), to.clone()), *inode);
                }
            }
            Op::Sync { .. } | Op::SyncDirectory { .. } | Op::Effect | Op::Answer { .. } => {}
        }
    }
    entries.into_iter().map(|(key, inode)| (key, contents.get(&inode).cloned().unwrap_or_default())).collect()
}

fn whole(files: &Files, directory: &str, name: &str) -> bool {
    let bytes = files.get(&(directory.to_owned(), name.to_owned()));
    bytes.is_some_and(|bytes| serde_json::from_slice::<Value>(bytes).is_ok())
}

/// What must hold of a state in which these answers had left, and this many effects were there.
fn judge(files: &Files, answered: &BTreeSet<u64>, effects: usize, promises: &[(u64, Promise)]) {
    let mut highest = 0;
    for (id, promise) in promises.iter().filter(|(id, _)| answered.contains(id)) {
        match promise {
            Promise::Done { op } | Promise::Failed { op } => {
                assert!(whole(files, "state", &format!("{}.claim", op.op_id)), "claim of answer {id}");
                assert!(whole(files, "state", &format!("{}.done", op.op_id)), "result of answer {id}");
            }
            Promise::Kept { digest, bytes } => {
                let kept = files.get(&("blobs".to_owned(), digest.clone()));
                assert_eq!(kept, Some(bytes), "before-image of answer {id}");
            }
            Promise::Fenced(fence) => highest = highest.max(*fence),
        }
    }
    let mut claims = 0;
    for (directory, name) in files.keys().filter(|(directory, _)| directory == "state") {
        if let Some(op) = name.strip_suffix(".done") {
            assert!(whole(files, directory, &format!("{op}.claim")), "a result without its claim");
            assert!(whole(files, directory, name), "a result that is not whole");
        } else if name.ends_with(".claim") {
            assert!(whole(files, directory, name), "a claim that is not whole");
            claims += 1;
        }
    }
    assert!(claims >= effects, "{effects} effects, and {claims} claims");
    let fence = files.get(&("state".to_owned(), "fence".to_owned()));
    let fence =
        fence.map_or(0, |bytes| String::from_utf8_lossy(bytes).trim().parse::<u64>().expect("a fence"));
    assert!(fence >= highest, "the fence fell from {highest} to {fence}");
    assert!(effects == 0 || fence > 0, "an effect without a fence");
}

/// A fresh provider on the state: what was answered is known, and nothing runs a second time.
fn ask(files: &Files, answered: &BTreeSet<u64>, promises: &[(u64, Promise)]) {
    let home = Home::new();
    for ((directory, name), bytes) in files {
        fs::write(home.path(&format!("{directory}/{name}")), bytes).unwrap();
    }
    let mut client = home.session(Mode::Apply);
    for (_, promise) in promises.iter().filter(|(id, _)| answered.contains(id)) {
        if let Promise::Done { op } | Promise::Failed { op } = promise {
            assert!(matches!(client.op_status(&op.op_id).unwrap(), OpStatus::Done(_)));
            let again = Apply { fence: 1_000_000, ..op.clone() };
            assert_eq!(client.apply(&again).is_ok(), matches!(promise, Promise::Done { .. }));
        }
    }
    assert!(!fs::exists(home.path("out")).unwrap(), "something ran a second time");
    client.finish().unwrap();
}

#[test]
fn what_was_answered_survives_a_power_cut() {
    let home = Home::new();
    let (ops, promises) = record(&home);
    let count = |wanted: fn(&Op) -> bool| ops.iter().filter(|op| wanted(op)).count();
    // Twelve actions ran, four more were refused first; twelve before-images were kept.
    assert_eq!(count(|op| matches!(op, Op::Effect)), 12);
    assert!(count(|op| matches!(op, Op::Answer { .. })) >= 30, "{ops:?}");
    assert!(count(|op| matches!(op, Op::SyncDirectory { .. })) >= 40);
    let states = std::env::var("RECTIFY_POWER_STATES").map_or(STATES, |text| text.parse().unwrap());
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for state in 0..states {
        let cut = random.below(ops.len() + 1);
        let files = lose(&ops, cut, &mut random);
        let answered: BTreeSet<u64> = ops[..cut]
            .iter()
            .filter_map(|op| match op {
                Op::Answer { id } => Some(*id),
                _ => None,
            })
            .collect();
        let effects = ops[..cut].iter().filter(|op| matches!(op, Op::Effect)).count();
        judge(&files, &answered, effects, &promises);
        if state % ASKED == 0 {
            ask(&files, &answered, &promises);
        }
    }
}

/// The model finds what it is made for: without its syncs, the same record breaks its promises.
#[test]
fn without_syncs_promises_break() {
    let home = Home::new();
    let (ops, promises) = record(&home);
    type Kind = fn(&Op) -> bool;
    let kinds: [Kind; 2] = [|op| matches!(op, Op::Sync { .. }), |op| matches!(op, Op::SyncDirectory { .. })];
    for kind in kinds {
        let ops: Vec<Op> = ops.iter().filter(|op| !kind(op)).cloned().collect();
        let answered: BTreeSet<u64> = promises.iter().map(|(id, _)| *id).collect();
        let mut random = Random(1);
        let broken = (0..200).filter(|_| {
            let files = lose(&ops, ops.len(), &mut random);
            std::panic::catch_unwind(|| judge(&files, &answered, 12, &promises)).is_err()
        });
        assert!(broken.count() > 50);
    }
}
