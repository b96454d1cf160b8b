//! Commands of an operation that was lost do not go on running, whatever became of their provider.

use crate::{
    genuine::{run, spec},
    support::{Dirs, eventually, processes},
};
use rectify_host::{Effect, Fault, HostError, Session, codes};
use rectify_protocol::message::{Apply, Mode};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

/// A command in the foreground, one in the background, one whose parent is gone, one that leaves
/// its process group, and one that does so with children.
const SCRIPT: &str = "sleep 600 & (sleep 600 &); setsid sleep 600 & \
                      setsid sh -c 'sleep 600 & sleep 600; true' & sleep 600; true";
/// Its processes: two shells, and each `sleep`.
const PROCESSES: usize = 8;

/// Processes that run and carry the mark of an operation.
fn marked(op_id: &str) -> Vec<Pid> {
    let mark = format!("RECTIFY_OPERATION={op_id}");
    running(|path| {
        let environment = fs::read(path.join("environ")).unwrap_or_default();
        environment.split(|b| *b == 0).any(|variable| variable == mark.as_bytes())
    })
}

fn running(wanted: impl Fn(&std::path::Path) -> bool) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").unwrap().flatten().map(|e| e.path());
    let found = entries.filter(|path| wanted(path)).filter(|path| {
        let stat = fs::read_to_string(path.join("stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
    });
    found.filter_map(|path| Pid::from_raw(path.file_name()?.to_str()?.parse().ok()?)).collect()
}

/// Processes with this word on their command line.
fn named(word: &str) -> Vec<Pid> {
    running(|path| {
        let line = fs::read(path.join("cmdline")).unwrap_or_default();
        line.split(|b| *b == 0).any(|part| part == word.as_bytes())
    })
}

/// A session whose operation is under way.
struct Underway {
    _dirs: Dirs,
    session: Arc<Session>,
    provider: Pid,
    op_id: String,
    answer: tokio::task::JoinHandle<HostError>,
}

async fn begin(name: &str, script: &str, deadline_ms: u64, count: usize) -> Underway {
    let dirs = Dirs::new();
    let word = format!("{name}.{}", std::process::id());
    let session = Arc::new(Session::start(spec(&dirs, Mode::Apply, &word)).await.unwrap());
    let [provider] = named(&word)[..] else { panic!("{:?}", named(&word)) };
    let op = run(name, script, deadline_ms);
    let op_id = op.op_id.clone();
    let answer = apply(&session, op);
    assert!(eventually(|| marked(&op_id).len() == count).await, "{:?} are marked", marked(&op_id));
    Underway { _dirs: dirs, session, provider, op_id, answer }
}

fn apply(session: &Arc<Session>, op: Apply) -> tokio::task::JoinHandle<HostError> {
    let session = Arc::clone(session);
    tokio::spawn(async move { session.apply(op).await.unwrap_err() })
}

fn signal(pid: Pid, signal: Signal) {
    kill_process(pid, signal).unwrap();
}

impl Underway {
    /// The operation is reported as lost; nothing of it runs by then.
    async fn lost(self) -> HostError {
        let error = tokio::time::timeout(Duration::from_secs(30), self.answer).await.unwrap().unwrap();
        assert_eq!(marked(&self.op_id), [], "{error}");
        assert_eq!((error.code(), error.effect()), (codes::PROVIDER_UNKNOWN_OUTCOME, Effect::Unknown));
        assert_eq!(error.still_running(), [0_u32; 0]);
        assert!(self.session.is_over());
        error
    }
}

fn cause(error: &HostError) -> &Fault {
    match &*error.fault {
        Fault::UnknownOutcome { cause, .. } => cause,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_provider_that_stopped_answering_leaves_nothing() {
    let underway = begin("stopped", SCRIPT, 700, PROCESSES).await;
    assert!(!underway.session.is_over());
    signal(underway.provider, Signal::STOP);
    let error = underway.lost().await;
    assert!(matches!(cause(&error), Fault::Deadline { .. }), "{error}");
}

#[tokio::test]
async fn a_provider_that_was_killed_leaves_nothing() {
    let underway = begin("killed", SCRIPT, 60_000, PROCESSES).await;
    signal(underway.provider, Signal::KILL);
    let clock = Instant::now();
    let error = underway.lost().await;
    assert!(matches!(cause(&error), Fault::Exited(_)), "{error}");
    assert!(clock.elapsed() < Duration::from_secs(10), "{:?}", clock.elapsed());
}

#[tokio::test]
async fn a_session_is_killed_at_once_while_an_operation_is_under_way() {
    // Nothing of it cares for the polite signal, and nobody waits for its patience.
    let script = format!("trap '' TERM; {SCRIPT}");
    let underway = begin("session", &script, 60_000, PROCESSES).await;
    let clock = Instant::now();
    underway.session.kill().await;
    assert!(clock.elapsed() < Duration::from_secs(5), "{:?}", clock.elapsed());
    assert_eq!(marked(&underway.op_id), []);
    assert_eq!(running(|path| path.ends_with(underway.provider.as_raw_nonzero().to_string())), []);
    // Again, by whoever else holds it.
    underway.session.kill().await;
    let session = Arc::clone(&underway.session);
    let error = underway.lost().await;
    assert_eq!(*cause(&error), Fault::Killed);
    let next = session.apply(run("next", "true", 1000)).await.unwrap_err();
    assert_eq!((next.code(), next.effect()), (codes::HOST_SESSION_KILLED, Effect::Nothing));
}

#[tokio::test]
async fn a_session_that_is_dropped_leaves_nothing() {
    let Underway { _dirs, session, op_id, answer, .. } = begin("dropped", SCRIPT, 60_000, PROCESSES).await;
    answer.abort();
    assert!(answer.await.unwrap_err().is_cancelled());
    drop(session);
    assert_eq!(marked(&op_id), []);
}

#[tokio::test]
async fn what_cleans_its_environment_is_ended_with_its_ancestors() {
    let word = format!("6{}.5", std::process::id());
    let script = format!("env -i setsid sleep {word} & env -i sleep {word} & exec env -i sleep {word}");
    let underway = begin("clean", "exec sleep 600", 60_000, 1).await;
    let op = run("clean too", &script, 700);
    let second = apply(&underway.session, op);
    assert!(eventually(|| named(&word).len() == 3).await);
    signal(underway.provider, Signal::STOP);
    underway.lost().await;
    assert_eq!(second.await.unwrap().effect(), Effect::Unknown);
    assert_eq!(processes(&word), 0);
}

#[tokio::test]
async fn what_an_earlier_operation_started_on_purpose_goes_on() {
    let dirs = Dirs::new();
    let word = format!("earlier.{}", std::process::id());
    let session = Arc::new(Session::start(spec(&dirs, Mode::Apply, &word)).await.unwrap());
    let earlier = run("earlier", "sleep 600 > /dev/null 2>&1 &", 20_000);
    session.apply(earlier.clone()).await.unwrap().unwrap();
    let daemons = marked(&earlier.op_id);
    assert_eq!(daemons.len(), 1);
    let later = run("later", "exec sleep 600", 60_000);
    let answer = apply(&session, later.clone());
    assert!(eventually(|| marked(&later.op_id).len() == 1).await);
    signal(named(&word)[0], Signal::KILL);
    assert_eq!(answer.await.unwrap().effect(), Effect::Unknown);
    assert_eq!(marked(&later.op_id), []);
    assert_eq!(marked(&earlier.op_id), daemons);
    // Where nobody knows any more who started it, it can be ended by name.
    let fresh = Session::start(spec(&Dirs::new(), Mode::Apply, &word)).await.unwrap();
    assert_eq!(fresh.end_operation(&earlier.op_id).await, [0_u32; 0]);
    assert_eq!(marked(&earlier.op_id), []);
    assert!(!fresh.is_over());
    fresh.shutdown().await.unwrap();
    assert!(fresh.is_over());
}
