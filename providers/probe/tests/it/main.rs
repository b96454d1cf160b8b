//! The probes, with real sockets, files and processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod http;

use rectify_sdk::{
    Provider,
    base::{Digest, TypeName},
    protocol::{
        ErrorCode, ItemError, Mutated,
        message::{
            Apply, Cancel, Configure, DesiredItem, Directories, Mode, PlanAnswer, PlanItem, ReadItem, method,
        },
    },
    testing::{CallError, Client},
};
use serde_json::{Map, Value, json};
use std::{
    fs,
    net::TcpListener,
    process::Command,
    time::{Duration, Instant},
};

struct Session(Client);

fn session(mode: Mode, configure: &Configure) -> Session {
    let mut client = Client::in_process(rectify_provider_probe::provider()).unwrap();
    client.greet(mode, Directories::default(), configure).unwrap();
    Session(client)
}

fn plain(mode: Mode) -> Session {
    session(mode, &Configure::default())
}

fn allowing(argv: &[&str]) -> Configure {
    Configure { plan_commands: vec![argv.iter().map(ToString::to_string).collect()], ..Configure::default() }
}

fn map(desired: &Value) -> Map<String, Value> {
    desired.as_object().unwrap().clone()
}

fn item<T: std::fmt::Debug>(result: Result<T, CallError>) -> Result<T, ItemError> {
    result.map_err(|e| match e {
        CallError::Item(error) => error,
        other => panic!("{other:?}"),
    })
}

impl Session {
    fn ask(&mut self, name: &str, desired: &Value) -> Result<(bool, String), ItemError> {
        let type_name = TypeName::new(name).unwrap();
        let read = ReadItem { type_name, desired: map(desired), capture: false };
        let state = item(self.0.read(read))?.state.unwrap();
        assert_eq!(state.as_object().unwrap().len(), 2);
        Ok((state["ok"].as_bool().unwrap(), state["detail"].as_str().unwrap().into()))
    }

    fn plan(&mut self, name: &str, desired: &Value) -> Result<PlanAnswer, ItemError> {
        let type_name = TypeName::new(name).unwrap();
        item(self.0.plan(PlanItem { type_name, desired: map(desired), prior: None, directories: None }))
    }
}

#[test]
fn a_port_is_open_or_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut session = plain(Mode::Read);
    let yes = (true, format!("127.0.0.1:{port} accepts connections"));
    assert_eq!(session.ask("tcp.connect", &json!({"port": port})).unwrap(), yes);
    assert!(session.ask("tcp.connect", &json!({"port": port, "host": "localhost"})).unwrap().0);
    drop(listener);
    let (ok, detail) = session.ask("tcp.connect", &json!({"port": port})).unwrap();
    assert!(!ok && detail.contains("does not accept connections"), "{detail}");
    let (ok, detail) =
        session.ask("tcp.connect", &json!({"port": 1, "host": "no.such.host.invalid"})).unwrap();
    assert!(!ok && detail.contains("no.such.host.invalid"), "{detail}");
}

#[test]
fn a_port_that_never_answers_takes_no_longer_than_said() {
    // A listener whose queue is full accepts nothing more, and refuses nothing either.
    let listener = shortest_queue();
    let port = listener.local_addr().unwrap().port();
    let address = listener.local_addr().unwrap();
    let fill: Vec<_> = (0..64)
        .map_while(|_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok())
        .collect();
    assert!(fill.len() < 64, "the queue never fills here");
    let mut session = plain(Mode::Read);
    let begin = Instant::now();
    let (ok, detail) = session.ask("tcp.connect", &json!({"port": port, "timeout_ms": 300})).unwrap();
    assert!(!ok, "{detail}");
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());

    let desired = json!({"port": port, "timeout_ms": 60_000});
    let read = json!({"items": [{"type": "tcp.connect", "desired": desired}]});
    let id = session.0.send(method::READ, &read).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    session.0.notify(method::CANCEL, &Cancel { id }).unwrap();
    let answer: Value = session.0.answer(id).unwrap();
    assert_eq!(answer["items"][0]["error"]["code"], "CANCELLED");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

/// A listener with the shortest queue.
fn shortest_queue() -> TcpListener {
    use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    listen(&socket, 0).unwrap();
    TcpListener::from(socket)
}

#[test]
fn a_text_matches_by_lines() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sshd_config").display().to_string();
    fs::write(&path, "# comment\nLoginGraceTime 0\nPort 22\n").unwrap();
    let mut session = plain(Mode::Read);
    let missing = dir.path().join("missing").display().to_string();
    for (path, pattern, absent, ok, detail) in [
        (&path, "^LoginGraceTime 0$", false, true, "matches in line 2"),
        (&path, "^GraceTime", false, false, "does not match"),
        (&path, "^Port", true, false, "matches in line 3"),
        (&path, "PermitRoot", true, true, "does not match"),
        (&missing, "x", false, false, "does not exist"),
        (&missing, "x", true, true, "does not exist"),
    ] {
        let desired = json!({"path": path, "pattern": pattern, "absent": absent});
        let answer = session.ask("file.matches", &desired).unwrap();
        assert_eq!(answer, (ok, format!("{path} {detail}")), "{pattern}");
    }
    let error = session
        .ask("file.matches", &json!({"path": dir.path().display().to_string(), "pattern": "x"}))
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported);
    let pipe = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let desired = json!({"path": pipe.display().to_string(), "pattern": "x"});
    assert_eq!(session.ask("file.matches", &desired).unwrap_err().code, ErrorCode::Unsupported);
}

#[test]
fn a_text_is_looked_for_beneath_the_root_only() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    fs::write(root.path().join("etc/hostname"), "inside\n").unwrap();
    std::os::unix::fs::symlink("/etc/hostname", root.path().join("absolute")).unwrap();
    std::os::unix::fs::symlink("../../../etc/hostname", root.path().join("etc/up")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", root.path().join("out")).unwrap();
    let configure = Configure { root: Some(root.path().display().to_string()), ..Configure::default() };
    let mut session = session(Mode::Read, &configure);
    for path in ["/etc/hostname", "/absolute", "/etc/up", "/../etc/hostname"] {
        let desired = json!({"path": path, "pattern": "^inside$"});
        assert!(session.ask("file.matches", &desired).unwrap().0, "{path}");
    }
    let (ok, detail) = session.ask("file.matches", &json!({"path": "/out", "pattern": "."})).unwrap();
    assert_eq!((ok, detail.as_str()), (false, "/out does not exist"));
}

#[test]
fn a_link_of_proc_that_is_none_is_refused() {
    let mut session = plain(Mode::Read);
    let file = tempfile::NamedTempFile::new().unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(file.as_file());
    let desired = json!({"path": format!("/proc/self/fd/{number}"), "pattern": "x"});
    assert_eq!(session.ask("file.matches", &desired).unwrap_err().code, ErrorCode::Failed);
}

#[test]
fn a_pattern_that_explodes_elsewhere_is_linear_here() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "a".repeat(100_000)).unwrap();
    let mut session = plain(Mode::Read);
    let begin = Instant::now();
    let desired = json!({"path": file.path().display().to_string(), "pattern": "^(a+)+$b"});
    assert!(!session.ask("file.matches", &desired).unwrap().0);
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

#[test]
fn a_command_says_yes_or_no() {
    let mut session = plain(Mode::Apply);
    for (argv, exit_codes, ok, detail) in [
        (json!(["true"]), json!([0]), true, "`true` exited with 0"),
        (json!(["false"]), json!([0]), false, "`false` exited with 1"),
        (json!(["false"]), json!([1, 2]), true, "`false` exited with 1"),
        (json!(["sh", "-c", "kill -KILL $$"]), json!([0]), false, "`sh` was ended by signal 9"),
        (json!(["sleep", "600"]), json!([0]), false, "`sleep` did not end within 1 s"),
    ] {
        let desired = json!({"argv": argv, "exit_codes": exit_codes, "timeout_s": 1});
        let answer = session.ask("command.succeeds", &desired).unwrap();
        assert_eq!(answer, (ok, detail.to_owned()), "{argv}");
    }
    let error = session.ask("command.succeeds", &json!({"argv": ["no-such-program"]})).unwrap_err();
    assert_eq!(error.code, ErrorCode::Dependency);
}

#[test]
fn a_command_runs_while_planning_only_if_it_is_listed() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("mark").display().to_string();
    let desired = json!({"argv": ["touch", mark]});
    for mode in [Mode::Read, Mode::Plan] {
        let mut session = session(mode, &allowing(&["touch"]));
        let error = session.ask("command.succeeds", &desired).unwrap_err();
        assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Unsupported, Some("/argv")));
        assert!(!fs::exists(&mark).unwrap());
    }
    let mut listed = session(Mode::Plan, &allowing(&["touch", &mark]));
    assert!(listed.ask("command.succeeds", &desired).unwrap().0);
    assert!(fs::exists(&mark).unwrap());
}

#[test]
fn a_plan_is_unchanged_or_undecided() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "yes\n").unwrap();
    let path = file.path().display().to_string();
    let mut session = plain(Mode::Plan);
    let answer = session.plan("file.matches", &json!({"path": path, "pattern": "yes"})).unwrap();
    let state = json!({"ok": true, "detail": format!("{path} matches in line 1")});
    assert_eq!(answer, PlanAnswer::Unchanged { state: Some(state), resolved: vec![] });
    let error = session.plan("file.matches", &json!({"path": path, "pattern": "no"})).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Failed, Mutated::No));
    assert_eq!(error.message, format!("{path} does not match"));
}

#[test]
fn a_probe_changes_nothing_in_any_mode() {
    let mut session = plain(Mode::Apply);
    let op = Apply {
        op_id: "ab".repeat(32),
        type_name: TypeName::new("tcp.connect").unwrap(),
        action: "run".into(),
        desired: map(&json!({"port": 1})),
        expect: Digest::of_bytes(b""),
        result: None,
        deadline_ms: 1_000,
        fence: 1,
    };
    let error = item(session.0.apply(&op)).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Unsupported, Mutated::No));
}

#[test]
fn wrong_properties_are_refused() {
    let mut session = plain(Mode::Plan);
    for (name, desired, place) in [
        ("tcp.connect", json!({}), ""),
        ("tcp.connect", json!({"port": 0}), ""),
        ("tcp.connect", json!({"port": 65536}), ""),
        ("tcp.connect", json!({"port": 1, "extra": 1}), ""),
        ("tcp.connect", json!({"port": 1, "host": ""}), "/host"),
        ("tcp.connect", json!({"port": 1, "host": "http://x"}), "/host"),
        ("tcp.connect", json!({"port": 1, "timeout_ms": 0}), "/timeout_ms"),
        ("tcp.connect", json!({"port": 1, "timeout_ms": 60_001}), "/timeout_ms"),
        ("file.matches", json!({"path": "relative", "pattern": "x"}), "/path"),
        ("file.matches", json!({"path": "/x", "pattern": ""}), "/pattern"),
        ("file.matches", json!({"path": "/x", "pattern": "("}), "/pattern"),
        ("file.matches", json!({"path": "/x", "pattern": "(?=x)"}), "/pattern"),
        ("file.matches", json!({"path": "/x", "pattern": "(((a{100}){100}){100}){100}"}), "/pattern"),
        ("http.get", json!({"url": "ftp://x"}), "/url"),
        ("http.get", json!({"url": "http://"}), "/url"),
        ("http.get", json!({"url": "http://a b"}), "/url"),
        ("http.get", json!({"url": "http://me:secret@x/"}), "/url"),
        ("http.get", json!({"url": "http://x/#y"}), "/url"),
        ("http.get", json!({"url": "http://x:0/"}), "/url"),
        ("http.get", json!({"url": "http://x:/"}), "/url"),
        ("http.get", json!({"url": "/x"}), "/url"),
        ("http.get", json!({"url": "http://x", "status": []}), "/status"),
        ("http.get", json!({"url": "http://x", "status": [200, 99]}), "/status/1"),
        ("http.get", json!({"url": "http://x", "status": ["300-200"]}), "/status/0"),
        ("http.get", json!({"url": "http://x", "headers": {"a b": "x"}}), "/headers/a b"),
        ("http.get", json!({"url": "http://x", "headers": {"a": "("}}), "/headers/a"),
        ("http.get", json!({"url": "http://x", "body": ""}), "/body"),
        ("http.get", json!({"url": "http://x", "timeout_ms": 0}), "/timeout_ms"),
        ("http.get", json!({"url": "http://x", "redirects": 11}), "/redirects"),
        ("http.get", json!({"url": "http://x", "address": "a:0"}), "/address"),
        ("http.get", json!({"url": "http://x", "address": "http://a"}), "/address"),
        ("http.get", json!({"url": "https://x", "ca_file": "ca.pem"}), "/ca_file"),
        ("http.get", json!({"url": "http://x", "ca_file": "/ca.pem"}), "/ca_file"),
        ("command.succeeds", json!({"argv": []}), "/argv"),
        ("command.succeeds", json!({"argv": ["a\u{0}"]}), "/argv"),
        ("command.succeeds", json!({"argv": ["./a"]}), "/argv/0"),
        ("command.succeeds", json!({"argv": ["a"], "exit_codes": []}), "/exit_codes"),
        ("command.succeeds", json!({"argv": ["a"], "exit_codes": [-1]}), "/exit_codes/0"),
        ("command.succeeds", json!({"argv": ["a"], "timeout_s": 61}), "/timeout_s"),
    ] {
        let wrong = DesiredItem { type_name: TypeName::new(name).unwrap(), desired: map(&desired) };
        let error = item(session.0.single::<_, ()>(method::VALIDATE, wrong)).unwrap_err();
        assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Schema, Some(place)), "{name} {desired}");
        assert_eq!(session.ask(name, &desired).unwrap_err(), error, "{name} {desired}");
    }
}

#[test]
fn the_manifest_is_sorted_and_printed_by_the_executable() {
    let manifest = rectify_provider_probe::provider().manifest();
    let names: Vec<_> = manifest.types.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["command.succeeds", "file.matches", "http.get", "tcp.connect"]);
    let output = Command::new(env!("CARGO_BIN_EXE_rectify-provider-probe")).arg("manifest").output().unwrap();
    assert_eq!(output.stdout, manifest.to_bytes().unwrap());
}
