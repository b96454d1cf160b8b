//! What 10,000 reads of 1 KB through the boundary cost, engine's and provider's side together: `cargo xtask
//! bench reads`. The provider is this program too, with the Rust SDK, and answers from memory; so is the line of
//! 40 ms there and back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "measures, for people")]

use nix::sys::resource::{UsageWho, getrusage};
use rectify_host::{Executable, Launcher, Session, SessionSpec};
use rectify_protocol::{
    Manifest, VERSION,
    manifest::{FORMAT, ProtocolRange, TypeDescriptor},
    message::{Directories, Mode, ReadItem},
};
use rectify_sdk::{
    Context, Provider,
    base::TypeName,
    protocol::{
        ItemError,
        message::{Applied, Apply, DesiredItem, PlanAnswer, PlanItem, ReadAnswer},
    },
};
use serde_json::{Map, Value, json};
use std::{
    env, fs,
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    process::{Command, ExitCode, Stdio},
    sync::{Arc, mpsc::channel},
    thread,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const READS: usize = 10_000;
const ROUNDS: usize = 7;
const IN_FLIGHT: usize = 64;
/// One way.
const DELAY: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve", "--stdio"] => rectify_sdk::serve(Memory),
        ["far"] => far(),
        ["launch", ..] => rectify_host::confine_main(env::args_os().skip(2)),
        _ => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            ExitCode::from(u8::from(!runtime.block_on(measure())))
        }
    }
}

/// Answers 1 KB for any number.
struct Memory;

fn manifest() -> Manifest {
    let schema = json!({"type": "object", "required": ["path"], "additionalProperties": false, "properties": {"path": {"type": "string"}}});
    Manifest {
        format: FORMAT.into(),
        name: "memory".into(),
        version: "0.1.0".into(),
        protocol: ProtocolRange { min: VERSION, max: VERSION },
        types: vec![TypeDescriptor {
            name: TypeName::new("memory.thing").unwrap(),
            version: 1,
            kind: "fact".into(),
            summary: "A kilobyte.".into(),
            schema,
            volatile: Vec::new(),
            touches: Vec::new(),
            prediction: "exact".into(),
            retry: "converge".into(),
            undo: "none".into(),
            compare_and_swap: false,
            read_timeout_ms: 30_000,
            apply_timeout_ms: 30_000,
        }],
    }
}

impl Provider for Memory {
    fn manifest(&self) -> Manifest {
        manifest()
    }
    fn validate(&self, _: &Context, _: &DesiredItem) -> Result<(), ItemError> {
        Ok(())
    }
    fn normalize(&self, _: &Context, item: &DesiredItem) -> Result<Map<String, Value>, ItemError> {
        Ok(item.desired.clone())
    }
    fn read(&self, _: &Context, item: &ReadItem) -> Result<ReadAnswer, ItemError> {
        let state =
            json!({"path": item.desired["path"], "mode": "0644", "owner": "root", "text": "x".repeat(940)});
        Ok(ReadAnswer { state: Some(state), before_image: None })
    }
    fn plan(&self, _: &Context, _: &PlanItem) -> Result<PlanAnswer, ItemError> {
        unreachable!("nothing is planned here")
    }
    fn apply(&self, _: &Context, _: &Apply) -> Result<Applied, ItemError> {
        unreachable!("nothing is done here")
    }
}

/// A line to the provider that holds every byte back for [`DELAY`], each way, as a wire does: what follows
/// need not wait for what is under way.
fn far() -> ExitCode {
    // This program was started from a descriptor and has no path of its own.
    let mut child = Command::new("/proc/self/exe")
        .args(["serve", "--stdio"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    thread::spawn(move || late(std::io::stdin(), input));
    late(output, std::io::stdout());
    let status = child.wait().unwrap();
    ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1))
}

fn late(mut from: impl Read + Send, mut to: impl Write) {
    thread::scope(|scope| {
        let (sender, pieces) = channel::<(Instant, Vec<u8>)>();
        scope.spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                sender.send((Instant::now() + DELAY, buffer[..count].to_vec())).unwrap();
            }
        });
        for (due, piece) in pieces {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).and_then(|()| to.flush()).is_err() {
                return;
            }
        }
    });
}

fn items() -> Vec<ReadItem> {
    let item = |number: usize| {
        let Value::Object(desired) = json!({"path": format!("/etc/file-{number}")}) else { unreachable!() };
        ReadItem { type_name: TypeName::new("memory.thing").unwrap(), desired, capture: false }
    };
    (0..READS).map(item).collect()
}

fn cpu_s() -> f64 {
    [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN]
        .into_iter()
        .map(|who| {
            let usage = getrusage(who).unwrap();
            [usage.user_time(), usage.system_time()]
                .map(|t| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6)
                .iter()
                .sum::<f64>()
        })
        .sum()
}

async fn session(words: &[&str]) -> (tempfile::TempDir, Session) {
    let base = tempfile::tempdir().unwrap();
    let work = base.path().join("work");
    fs::create_dir(&work).unwrap();
    fs::set_permissions(&work, fs::Permissions::from_mode(0o700)).unwrap();
    let dirs =
        Directories { work: work.to_str().unwrap().into(), state: String::new(), blobs: String::new() };
    let program = env::current_exe().unwrap();
    let mut spec = SessionSpec::new(Executable::open(&program, None).unwrap(), manifest(), Mode::Read, dirs);
    spec.arguments = words.iter().map(Into::into).collect();
    spec.confine = false;
    spec.launcher = Launcher { program, arguments: vec!["launch".into()] };
    (base, Session::start(spec).await.unwrap())
}

/// Wall and processor time of the reads of one session, without its start and end.
async fn round(words: &[&str], single: bool) -> (f64, f64) {
    let (_base, session) = session(words).await;
    let session = Arc::new(session);
    let items = items();
    let (wall, cpu) = (Instant::now(), cpu_s());
    let provider = children_cpu_s();
    if single {
        let (mut tasks, mut left) = (JoinSet::new(), items.into_iter());
        for item in left.by_ref().take(IN_FLIGHT) {
            let session = Arc::clone(&session);
            tasks.spawn(async move { session.read(vec![item]).await.unwrap().pop().unwrap().unwrap() });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
            if let Some(item) = left.next() {
                let session = Arc::clone(&session);
                tasks.spawn(async move { session.read(vec![item]).await.unwrap().pop().unwrap().unwrap() });
            }
        }
    } else {
        let answers = session.read(items).await.unwrap();
        assert!(answers.iter().all(Result::is_ok) && answers.len() == READS);
    }
    let wall = wall.elapsed().as_secs_f64();
    let cpu = (cpu_s() - cpu) + (children_cpu_s() - provider);
    Arc::into_inner(session).unwrap().shutdown().await.unwrap();
    (wall, cpu)
}

/// Processor time of what still runs beneath this process; [`getrusage`] counts it only when it has ended.
fn children_cpu_s() -> f64 {
    let mut ticks = 0;
    let me = std::process::id().to_string();
    let mut parents = vec![me];
    while let Some(parent) = parents.pop() {
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
            let Some((_, rest)) = stat.rsplit_once(") ") else { continue };
            let words: Vec<&str> = rest.split(' ').collect();
            if words[1] == parent {
                ticks += words[11].parse::<u64>().unwrap() + words[12].parse::<u64>().unwrap();
                parents.push(entry.file_name().into_string().unwrap());
            }
        }
    }
    ticks as f64 / 100.0
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Says whether the bars hold.
async fn measure() -> bool {
    println!("{READS} reads of 1 KB, Rust SDK; medians of {ROUNDS} rounds\n");
    println!("| how | wall ms | CPU ms, both sides | at most |\n|---|---|---|---|");
    let (here, far) = (&["serve", "--stdio"][..], &["far"][..]);
    let mut holds = true;
    for (what, words, single, bar) in [
        ("single reads, 64 under way", here, true, Bar::CpuMs(250.0)),
        ("batches, as the engine asks", here, false, Bar::CpuMs(250.0)),
        ("batches, 40 ms there and back", far, false, Bar::WallMs(500.0)),
    ] {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push(round(words, single).await);
        }
        let wall = median(rounds.iter().map(|(wall, _)| wall * 1e3).collect());
        let cpu = median(rounds.iter().map(|(_, cpu)| cpu * 1e3).collect());
        let (bar, good) = match bar {
            Bar::CpuMs(most) => (format!("{most} ms CPU"), cpu <= most),
            Bar::WallMs(most) => (format!("{most} ms wall"), wall <= most),
        };
        println!("| {what} | {wall:.0} | {cpu:.0} | {bar} |");
        holds &= good;
    }
    holds
}

/// The most that something may cost.
enum Bar {
    CpuMs(f64),
    WallMs(f64),
}
