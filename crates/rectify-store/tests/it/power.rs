//! Power loss: what a process wrote is traced, and the disk is rebuilt as it may be after a power loss
//! at each moment, with writes that were not synced lost, kept in part, or in another order. Each must
//! open, hold what was acknowledged, and have an audit log that verifies. 60 of them, or as many as
//! `RECTIFY_POWER_LOSS` says.
//!
//! What is assumed of the disk: a sync is honest, a sector of 512 bytes is old or new, and what was
//! not synced may be there in any part and order. Names of files need a sync of their directory.

use crate::support::{intent, node, place, run, verified};
use rectify_audit::{Anchors, verify};
use rectify_store::{Journal as _, Options, SqliteJournal};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
    process::{Command, Stdio},
};

const CHILD: &str = "RECTIFY_STORE_TEST_POWER";
/// Enough that the write-ahead log is carried over into the database in between.
const APPENDS: u64 = 260;
const SECTOR: usize = 512;

async fn child(path: &Path) {
    let options = Options { reserve_bytes: 0, ..Options::default() };
    let journal = SqliteJournal::open_with(path, options).await.unwrap();
    let record = run(1, &["a"]);
    journal.begin_run(&record).await.unwrap();
    for n in 0..APPENDS {
        let step = node("a", &format!("web/s{n}"));
        let entry = if n == 0 { verified("a") } else { intent(&record, &step, 1) };
        let seq = journal.append(&record.run, n, vec![entry]).await.unwrap().seq;
        // One call of the system, so that it stands in the trace as one.
        use std::io::Write as _;
        std::io::stderr().write_all(format!("ack {seq}\n").as_bytes()).unwrap();
    }
    journal.close().await.unwrap();
}

/// What a process did to the files of the journal, and what it told the world.
#[derive(Debug)]
enum Call {
    Create(String),
    Remove(String),
    Write { file: String, at: usize, data: Vec<u8> },
    Truncate { file: String, length: usize },
    Sync(String),
    SyncDirectory,
    Acknowledge(u64),
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4);
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'\\', [b'x', high, low, tail @ ..]) => {
                let digits = [*high, *low];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    bytes
}

/// The lines of a trace with those that were interrupted by others put together.
fn whole_lines(trace: &str) -> Vec<String> {
    let mut begun: BTreeMap<&str, &str> = BTreeMap::new();
    let mut whole = Vec::new();
    for line in trace.lines() {
        let Some((pid, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if let Some(start) = call.strip_suffix(" <unfinished ...>") {
            begun.insert(pid, start);
        } else if let Some(end) = call.strip_prefix("<... ") {
            let end = end.split_once(" resumed>").map_or("", |(_, end)| end);
            if let Some(start) = begun.remove(pid) {
                whole.push(format!("{start}{end}"));
            }
        } else {
            whole.push(call.to_owned());
        }
    }
    whole
}

/// The calls that bear on files in a directory.
fn calls(trace: &str, directory: &Path) -> Vec<Call> {
    let directory = directory.to_str().unwrap();
    let name = |path: &str| {
        let path = String::from_utf8_lossy(&unescape(path)).into_owned();
        let rest = path.strip_prefix(directory)?;
        Some(rest.trim_start_matches('/').to_owned())
    };
    let mut calls = Vec::new();
    for line in whole_lines(trace) {
        let Some((call, rest)) = line.split_once('(') else { continue };
        let Some((arguments, result)) = rest.rsplit_once(" = ") else { continue };
        let arguments = arguments.trim_end();
        let arguments = arguments.strip_suffix(')').unwrap_or(arguments);
        if result.starts_with('-') {
            continue;
        }
        // `5<path>` is an open file; texts are in quotes.
        let file = arguments
            .split_once('<')
            .filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|(_, rest)| rest.split_once('>'))
            .map(|(path, _)| path);
        let quoted: Vec<&str> = arguments.split('"').skip(1).step_by(2).collect();
        let numbers: Vec<usize> =
            arguments.rsplit('"').next().unwrap().split(", ").filter_map(|word| word.parse().ok()).collect();
        match call {
            "openat" => {
                if let Some(name) = quoted.first().and_then(|path| name(path)).filter(|n| !n.is_empty())
                    && arguments.contains("O_CREAT")
                {
                    calls.push(Call::Create(name));
                }
            }
            "unlink" | "unlinkat" => {
                if let Some(name) = quoted.first().and_then(|path| name(path)) {
                    calls.push(Call::Remove(name));
                }
            }
            "pwrite64" => {
                if let Some(file) = file.and_then(name) {
                    let data = unescape(quoted[0]);
                    assert_eq!(data.len(), numbers[0], "the trace cuts data off");
                    calls.push(Call::Write { file, at: numbers[1], data });
                }
            }
            "write" => {
                let text = quoted.first().map(|text| unescape(text)).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                if let Some(seq) = text.strip_prefix("ack ").and_then(|seq| seq.trim().parse().ok()) {
                    calls.push(Call::Acknowledge(seq));
                }
            }
            "ftruncate" => {
                let length = arguments.rsplit(", ").next().and_then(|length| length.parse().ok());
                if let (Some(file), Some(length)) = (file.and_then(name), length) {
                    calls.push(Call::Truncate { file, length });
                }
            }
            "fsync" | "fdatasync" => match file.and_then(name) {
                Some(name) if name.is_empty() => calls.push(Call::SyncDirectory),
                Some(name) => calls.push(Call::Sync(name)),
                None => {}
            },
            _ => {}
        }
    }
    calls
}

#[derive(Clone, Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

/// A disk: what is on it for sure, and what may be.
#[derive(Clone, Default)]
struct Disk {
    files: BTreeMap<String, File>,
    /// Names that are in the directory for sure, and those that were made or removed since.
    names: BTreeMap<String, bool>,
    acknowledged: u64,
}

fn put(bytes: &mut Vec<u8>, at: usize, data: &[u8]) {
    if bytes.len() < at + data.len() {
        bytes.resize(at + data.len(), 0);
    }
    bytes[at..at + data.len()].copy_from_slice(data);
}

fn change(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(at, data) => put(bytes, *at, data),
        Change::Truncate(length) => bytes.resize(*length, 0),
    }
}

impl Disk {
    fn take(&mut self, call: &Call) {
        // The index of the log is not kept: it is made anew from the log.
        match call {
            Call::Create(name) | Call::Remove(name) | Call::Sync(name) if name.ends_with("-shm") => {}
            Call::Write { file, .. } | Call::Truncate { file, .. } if file.ends_with("-shm") => {}
            Call::Create(name) => {
                let known = self.names.contains_key(name);
                let file = self.files.entry(name.clone()).or_default();
                if !known {
                    // Another file of the name, which is empty; the one that was removed may come back.
                    file.pending.push(Change::Truncate(0));
                    self.names.insert(name.clone(), false);
                }
            }
            // Without a sync of the directory it may come back, as it was.
            Call::Remove(name) => drop(self.names.remove(name)),
            Call::Write { file, at, data } => {
                self.files.entry(file.clone()).or_default().pending.push(Change::Write(*at, data.clone()));
            }
            Call::Truncate { file, length } => {
                self.files.entry(file.clone()).or_default().pending.push(Change::Truncate(*length));
            }
            Call::Sync(name) => {
                let file = self.files.entry(name.clone()).or_default();
                for pending in std::mem::take(&mut file.pending) {
                    change(&mut file.durable, &pending);
                }
            }
            Call::SyncDirectory => {
                self.names.values_mut().for_each(|sure| *sure = true);
                self.files.retain(|name, _| self.names.contains_key(name));
            }
            Call::Acknowledge(seq) => self.acknowledged = *seq,
        }
    }

    /// One of the states in which the disk may be found.
    fn crash(&self, seed: &mut u64, directory: &Path) {
        let mut random = |end: u64| splitmix64(seed) % end;
        fs::DirBuilder::new().mode(0o700).create(directory).unwrap();
        // How much of what was not synced is there, in this state.
        let luck = random(5);
        for (name, file) in &self.files {
            let sure = self.names.get(name).copied().unwrap_or(false);
            if !sure && random(2) == 0 {
                continue;
            }
            let mut bytes = file.durable.clone();
            let mut order: Vec<&Change> = file.pending.iter().collect();
            if random(4) == 0 {
                for at in (1..order.len()).rev() {
                    order.swap(at, usize::try_from(random(at as u64 + 1)).unwrap());
                }
            }
            for pending in order {
                match random(4).cmp(&luck) {
                    std::cmp::Ordering::Less => change(&mut bytes, pending),
                    std::cmp::Ordering::Greater => {}
                    std::cmp::Ordering::Equal => match pending {
                        // Torn: some sectors are new.
                        Change::Write(at, data) => {
                            let mut from = 0;
                            while from < data.len() {
                                let to = (((at + from) / SECTOR + 1) * SECTOR - at).min(data.len());
                                if random(2) == 0 {
                                    put(&mut bytes, at + from, &data[from..to]);
                                }
                                from = to;
                            }
                        }
                        Change::Truncate(_) => {}
                    },
                }
            }
            let mut options = fs::OpenOptions::new();
            let mut out =
                options.write(true).create_new(true).mode(0o600).open(directory.join(name)).unwrap();
            std::io::Write::write_all(&mut out, &bytes).unwrap();
        }
    }
}

fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_power_loss_at_any_moment() {
    if let Ok(path) = std::env::var(CHILD) {
        return child(Path::new(&path)).await;
    }
    let wanted: usize = std::env::var("RECTIFY_POWER_LOSS").ok().map_or(60, |text| text.parse().unwrap());
    let place = place();
    let state = place.path.parent().unwrap();
    let trace = state.with_file_name("trace");
    let status = Command::new("strace")
        .args(["-f", "-y", "-xx", "-s", "1000000", "-e", "signal=none"])
        .args(["-e", "trace=pwrite64,write,fsync,fdatasync,ftruncate,openat,unlink,unlinkat", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "power::what_was_acknowledged_survives_a_power_loss_at_any_moment", "--nocapture"])
        .env(CHILD, &place.path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("strace is installed");
    assert!(status.success());
    let calls = calls(&fs::read_to_string(&trace).unwrap(), state);
    let count = |wanted: fn(&Call) -> bool| calls.iter().filter(|call| wanted(call)).count();
    assert_eq!(count(|call| matches!(call, Call::Acknowledge(_))) as u64, APPENDS);
    assert!(count(|call| matches!(call, Call::Sync(_))) as u64 > APPENDS, "each append is synced");
    assert!(count(|call| matches!(call, Call::Write { .. })) as u64 > 4 * APPENDS);
    let carried = calls.iter().rposition(|call| matches!(call, Call::Acknowledge(_))).unwrap();
    let database = |call: &Call| matches!(call, Call::Sync(name) if name == "journal.db");
    assert!(calls[..carried].iter().any(database), "the log was never carried over");

    // The whole trace gives the files that are there.
    let mut disk = Disk::default();
    calls.iter().for_each(|call| disk.take(call));
    let database = disk.files.get("journal.db").unwrap();
    assert!(database.pending.is_empty(), "closing syncs");
    assert_eq!(database.durable, fs::read(&place.path).unwrap(), "the model is the disk");

    let (lost, broken) = states(&calls, state, wanted, true).await;
    assert_eq!(broken, Vec::<String>::new());
    println!(
        "{wanted} states of {} calls; in {lost} nothing was there but what was acknowledged",
        calls.len()
    );
    // The same must show a disk that does not do what it is told, or it would show nothing.
    let (_, broken) = states(&calls, state, 20, false).await;
    assert!(broken.len() > 5, "a disk that lies about syncs goes unnoticed: {broken:?}");
}

/// Tries states at random moments. Answers in how many only what was acknowledged was there, and what
/// was wrong.
async fn states(calls: &[Call], state: &Path, wanted: usize, honest: bool) -> (u64, Vec<String>) {
    // Moments in order, so that the disk need only go forward.
    let mut seed = 0x706f_7765_7221;
    let mut moments: Vec<usize> = (0..wanted)
        .map(|_| usize::try_from(splitmix64(&mut seed) % (calls.len() as u64 + 1)).unwrap())
        .collect();
    moments.sort_unstable();
    let mut disk = Disk::default();
    let mut done = 0;
    let (mut lost, mut broken) = (0, Vec::new());
    for (number, moment) in moments.into_iter().enumerate() {
        let heard = calls[done..moment].iter().filter(|call| honest || !matches!(call, Call::Sync(_)));
        heard.for_each(|call| disk.take(call));
        done = moment;
        let found = state.with_file_name("found");
        disk.crash(&mut seed, &found);
        match look(&found, disk.acknowledged).await {
            Ok(entries) => lost += u64::from(entries == disk.acknowledged),
            Err(problem) => broken.push(format!("state {number} at call {moment}: {problem}")),
        }
        fs::remove_dir_all(&found).unwrap();
    }
    (lost, broken)
}

/// Opens what was found after the power came back. Answers with the number of records of the run.
async fn look(found: &Path, acknowledged: u64) -> Result<u64, String> {
    let options = Options { reserve_bytes: 0, ..Options::default() };
    let journal = SqliteJournal::open_with(&found.join("journal.db"), options)
        .await
        .map_err(|error| error.to_string())?;
    let record = run(1, &["a"]);
    let entries = match journal.load_run(&record.run).await {
        Ok(loaded) => loaded.entries,
        Err(error) if acknowledged > 0 => return Err(error.to_string()),
        Err(_) => Vec::new(),
    };
    let count = entries.len() as u64;
    // One more than was acknowledged may have been stored.
    if count < acknowledged || count > acknowledged + 1 {
        return Err(format!("{count} records, and {acknowledged} were acknowledged"));
    }
    for (n, entry) in (0_u64..).zip(&entries).skip(1) {
        if entry.record != intent(&record, &node("a", &format!("web/s{n}")), 1) {
            return Err(format!("record {} is another one", entry.seq));
        }
    }
    let mut bytes = Vec::new();
    let mut sink = |line: &[u8]| {
        bytes.extend_from_slice(line);
        Ok(())
    };
    journal.export(None, true, &mut sink).await.map_err(|error| error.to_string())?;
    let report = verify(&bytes, Anchors::default());
    journal.close().await.map_err(|error| error.to_string())?;
    // The log is of the same moment as the journal.
    if report.finding.is_some() || report.records != 1 + report.runs + count {
        return Err(format!("{report:?}"));
    }
    Ok(count)
}
