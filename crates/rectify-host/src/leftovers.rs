//! Ends what still runs of operations whose provider cannot end it any more.
//!
//! Commands live in process groups of their own and are handed to `init` when their provider dies,
//! so the provider's own group does not reach them. They are found by the mark that the SDK gives
//! them ([`OPERATION_VARIABLE`]), and, as a command may clean its environment, by their descent
//! while that can still be seen, and by their process groups. What an earlier operation left behind
//! on purpose carries that operation's mark and is spared. What must not be broken off
//! ([`FINISHES_VARIABLE`]) is waited for, with what descends from it.
//!
//! Not found: what cleaned its environment, left its process group *and* lost its parent. Only a
//! control group would hold that, and an engine does not always have one to give.

use rectify_protocol::{FINISHES_VARIABLE, OPERATION_VARIABLE};
use rustix::process::{
    Pid, PidfdFlags, Signal, getpgrp, getpid, kill_process_group, pidfd_open, pidfd_send_signal,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::Read,
    thread::sleep,
    time::{Duration, Instant},
};

/// Between two looks. Longer than a process takes from `fork` to `exec`, while it has no mark yet.
const PAUSE: Duration = Duration::from_millis(15);
/// Looks in a row that must find nothing.
const QUIET: u32 = 2;
/// How long processes may take to end once they were killed.
const BOUND: Duration = Duration::from_secs(5);
/// How long what must not be broken off is waited for; then it is told that it still runs.
const FINISH_MAX: Duration = Duration::from_secs(600);
/// Longest environment that the kernel allows, and more.
const ENVIRONMENT_MAX_BYTES: u64 = 8 * 1024 * 1024;

/// A process as the table shows it. Number and start tell it from any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    pid: i32,
    parent: i32,
    group: i32,
    start: u64,
}

/// What is to be ended, and what is not.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    /// Operations of which nothing may run.
    operations: BTreeSet<String>,
    /// Operations that ended; what they left running is their business.
    spared: BTreeSet<String>,
    /// Processes that belong to them by descent, with their starts.
    known: BTreeMap<i32, u64>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    /// How many processes were ended.
    pub(crate) ended: usize,
    /// Those that could not be ended in time.
    pub(crate) left: Vec<u32>,
}

impl Leftovers {
    pub(crate) fn new(operations: BTreeSet<String>, spared: BTreeSet<String>) -> Self {
        Self { operations, spared, known: BTreeMap::new() }
    }

    /// Adds what another one knows.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.known.extend(other.known);
        self
    }

    /// Whether there is nothing to look for.
    pub(crate) fn is_empty(&self) -> bool {
        self.operations.is_empty() && self.known.is_empty()
    }

    /// Remembers what descends from the provider now. To be called before it is killed.
    pub(crate) fn note_descendants(&mut self, provider: Pid) {
        let table = table();
        let mut family = BTreeSet::from([provider.as_raw_nonzero().get()]);
        self.add_descendants(&table, &mut family);
    }

    /// Ends all of it: politely at first, and after `patience`, or as soon as `hurry` says so, in
    /// the way that cannot be refused. What must not be broken off is never ended, only waited for, and
    /// not in a hurry. Blocks until nothing is left, or a bound in time is reached.
    pub(crate) fn end(&mut self, patience: Duration, hurry: impl Fn() -> bool) -> Swept {
        let begin = Instant::now();
        let mut forced: Option<Instant> = None;
        let (mut asked, mut asked_groups) = (BTreeSet::new(), BTreeSet::new());
        let mut quiet = 0;
        loop {
            let table = table();
            let mut found = self.find(&table);
            let finishing = finishing(&table, &found);
            found.retain(|pid, _| !finishing.contains(pid));
            if found.is_empty() && !finishing.is_empty() {
                if begin.elapsed() >= FINISH_MAX || hurry() {
                    let left = finishing.iter().map(|pid| pid.unsigned_abs()).collect();
                    return Swept { ended: asked.len(), left };
                }
                quiet = 0;
                sleep(PAUSE);
                continue;
            }
            if found.is_empty() {
                quiet += 1;
                if quiet >= QUIET {
                    return Swept { ended: asked.len(), left: Vec::new() };
                }
                sleep(PAUSE);
                continue;
            }
            quiet = 0;
            if forced.is_none() && (begin.elapsed() >= patience || hurry()) {
                forced = Some(Instant::now());
            }
            if forced.is_some_and(|since| since.elapsed() >= BOUND) {
                let ended = asked.iter().filter(|(pid, _)| !found.contains_key(pid)).count();
                return Swept { ended, left: found.keys().map(|pid| pid.unsigned_abs()).collect() };
            }
            let with = if forced.is_some() { Signal::KILL } else { Signal::TERM };
            let mut again = BTreeSet::new();
            let groups = if forced.is_some() { &mut again } else { &mut asked_groups };
            for process in found.values() {
                if asked.insert((process.pid, process.start)) || forced.is_some() {
                    signal(process, &table, &found, groups, with);
                }
            }
            sleep(PAUSE);
        }
    }

    /// What is there of it now. Never this process or one that it descends from.
    fn find(&mut self, table: &BTreeMap<i32, Process>) -> BTreeMap<i32, Process> {
        let own = ancestors(table);
        self.known.retain(|pid, start| table.get(pid).is_some_and(|p| p.start == *start));
        if !self.operations.is_empty() {
            for (pid, process) in table {
                let marked = || operations_of(*pid).any(|op_id| self.operations.contains(&op_id));
                if !own.contains(pid) && marked() {
                    self.known.insert(*pid, process.start);
                }
            }
        }
        let mut family = self.known.keys().copied().collect();
        self.add_descendants(table, &mut family);
        self.known.keys().filter_map(|pid| Some((*pid, *table.get(pid)?))).collect()
    }

    /// Adds the descendants of a family to it and to what is known, but for those that are spared.
    fn add_descendants(&mut self, table: &BTreeMap<i32, Process>, family: &mut BTreeSet<i32>) {
        loop {
            let children: Vec<&Process> = table
                .values()
                .filter(|p| family.contains(&p.parent) && !family.contains(&p.pid))
                .filter(|p| !operations_of(p.pid).any(|op_id| self.spared.contains(&op_id)))
                .collect();
            if children.is_empty() {
                return;
            }
            for child in children {
                family.insert(child.pid);
                self.known.insert(child.pid, child.start);
            }
        }
    }
}

/// Which of these must not be broken off: those that say so, and what descends from them.
fn finishing(table: &BTreeMap<i32, Process>, found: &BTreeMap<i32, Process>) -> BTreeSet<i32> {
    let says_so = |pid: &&i32| has_variable(&environment_of(**pid), FINISHES_VARIABLE);
    let mut all: BTreeSet<i32> = found.keys().filter(says_so).copied().collect();
    loop {
        let before = all.len();
        let children = table.values().filter(|p| found.contains_key(&p.pid) && all.contains(&p.parent));
        let children: Vec<i32> = children.map(|process| process.pid).collect();
        all.extend(children);
        if all.len() == before {
            return all;
        }
    }
}

/// This process and those that it descends from.
fn ancestors(table: &BTreeMap<i32, Process>) -> BTreeSet<i32> {
    let mut pid = getpid().as_raw_nonzero().get();
    let mut all = BTreeSet::from([1]);
    while all.insert(pid) {
        pid = table.get(&pid).map_or(1, |process| process.parent);
    }
    all
}

/// Sends a signal to the group of a process, once, if that is one of those to be ended: its leader
/// is, or is gone. Else to the process alone: any process may join a group of its session.
fn signal(
    process: &Process,
    table: &BTreeMap<i32, Process>,
    found: &BTreeMap<i32, Process>,
    groups: &mut BTreeSet<i32>,
    signal: Signal,
) {
    let Some(pid) = Pid::from_raw(process.pid) else { return };
    // The handle holds on to the process whatever becomes of its number.
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    let Some(now) = look(process.pid).filter(|now| now.start == process.start) else { return };
    let led_by_another = table.contains_key(&now.group) && !found.contains_key(&now.group);
    // Whatever cannot be ended shows at the next look.
    match Pid::from_raw(now.group).filter(|group| !led_by_another && *group != getpgrp()) {
        Some(group) => {
            if groups.insert(now.group) {
                let _ = kill_process_group(group, signal);
            }
        }
        None => drop(pidfd_send_signal(&handle, signal)),
    }
}

/// All processes that run.
fn table() -> BTreeMap<i32, Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter_map(|number| Some((number, look(number)?))).collect()
}

/// One process; `None` if it has ended, collected or not.
fn look(number: i32) -> Option<Process> {
    let text = fs::read(format!("/proc/{number}/stat")).ok()?;
    parse(number, &String::from_utf8_lossy(&text))
}

fn parse(pid: i32, stat: &str) -> Option<Process> {
    // The name before may hold anything, parentheses too.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    if matches!(fields.next()?, "Z" | "X" | "x") {
        return None;
    }
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let start = fields.nth(16)?.parse().ok()?;
    Some(Process { pid, parent, group, start })
}

/// The operations whose mark a process carries: at most one, unless it was tampered with.
fn operations_of(pid: i32) -> impl Iterator<Item = String> {
    marks(&environment_of(pid)).into_iter()
}

/// The environment of a process; nothing if it is gone, or not ours to read: then it is not one of ours.
fn environment_of(pid: i32) -> Vec<u8> {
    let mut environment = Vec::new();
    if let Ok(file) = File::open(format!("/proc/{pid}/environ")) {
        let _ = file.take(ENVIRONMENT_MAX_BYTES).read_to_end(&mut environment);
    }
    environment
}

fn has_variable(environment: &[u8], name: &str) -> bool {
    let begins = |variable: &[u8]| {
        variable.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'='))
    };
    environment.split(|byte| *byte == 0).any(begins)
}

/// The marks in an environment as the kernel shows it: variables that end with a zero byte each.
pub(crate) fn marks(environment: &[u8]) -> Vec<String> {
    environment
        .split(|byte| *byte == 0)
        .filter_map(|variable| std::str::from_utf8(variable).ok()?.split_once('='))
        .filter(|(name, _)| *name == OPERATION_VARIABLE)
        .map(|(_, op_id)| op_id.to_owned())
        .collect()
}

/// Parent, process group and start of a line of `/proc/PID/stat`.
pub(crate) fn stat(line: &str) -> Option<(i32, i32, u64)> {
    parse(0, line).map(|process| (process.parent, process.group, process.start))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::{
        os::unix::process::CommandExt,
        process::{Child, Command},
    };

    fn sleeper(op_id: &str) -> Child {
        Command::new("sleep").arg("600").env(OPERATION_VARIABLE, op_id).process_group(0).spawn().unwrap()
    }

    fn of(op_id: &str) -> Leftovers {
        Leftovers { operations: [op_id.to_owned()].into(), ..Leftovers::default() }
    }

    #[test]
    fn a_line_of_the_table_is_read_whatever_the_name_is() {
        let rest = "7 8 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 777 8 9";
        let process = Process { pid: 5, parent: 7, group: 8, start: 777 };
        assert_eq!(parse(5, &format!("5 (a) Z (b) S {rest}\n")), Some(process));
        assert_eq!(parse(5, &format!("5 (a) Z {rest}\n")), None);
        let own = table().remove(&getpid().as_raw_nonzero().get()).unwrap();
        assert_eq!(own.group, getpgrp().as_raw_nonzero().get());
    }

    #[test]
    fn only_what_carries_the_mark_is_ended() {
        let name = |what: &str| format!("{what} of {}", std::process::id());
        let (mut one, mut other) = (sleeper(&name("one")), sleeper(&name("other")));
        let swept = of(&name("one")).end(BOUND, || false);
        assert_eq!(swept, Swept { ended: 1, left: Vec::new() });
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&one.wait().unwrap()), Some(15));
        assert!(other.try_wait().unwrap().is_none());
        assert_eq!(of(&name("other")).end(Duration::ZERO, || false).ended, 1);
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&other.wait().unwrap()), Some(9));
        assert_eq!(of(&name("none")).end(Duration::ZERO, || false), Swept::default());
    }

    #[test]
    fn what_must_not_be_broken_off_is_waited_for() {
        let op_id = format!("finishes of {}", std::process::id());
        let start = |script: &str| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", script]).env(OPERATION_VARIABLE, &op_id).env(FINISHES_VARIABLE, "1");
            command.process_group(0).spawn().unwrap()
        };
        let mut short = start("sleep 0.4 & wait; exit 7");
        let mut ordinary = sleeper(&op_id);
        let begin = Instant::now();
        let swept = of(&op_id).end(Duration::ZERO, || false);
        assert_eq!(swept, Swept { ended: 1, left: Vec::new() });
        assert!(begin.elapsed() >= Duration::from_millis(300), "it was not waited for");
        assert_eq!(short.wait().unwrap().code(), Some(7));
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ordinary.wait().unwrap()), Some(9));
        let mut long = start("exec sleep 600");
        let swept = of(&op_id).end(Duration::ZERO, || true);
        assert_eq!(swept, Swept { ended: 0, left: vec![long.id()] });
        assert!(long.try_wait().unwrap().is_none());
        long.kill().unwrap();
        long.wait().unwrap();
    }
}
