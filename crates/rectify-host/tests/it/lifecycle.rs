//! Processes: what they are given, how they end, and that nothing is left behind.

use crate::{
    manifest::THING,
    support::{Dirs, eventually, item, launcher, operation, processes, program, spec},
};
use rectify_base::FileDigests;
use rectify_host::{Executable, Session, codes};
use rectify_protocol::message::{Mode, PlanAnswer};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt, time::Duration, time::Instant};

async fn inspect(session: &Session) -> Value {
    let answers = session.plan(vec![item(THING, json!({}))]).await.unwrap();
    match answers.into_iter().next().unwrap().unwrap() {
        PlanAnswer::Unchanged { state: Some(state), .. } => state,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_process_gets_what_is_listed_and_nothing_else() {
    for confine in [false, true] {
        let dirs = Dirs::new();
        let mut spec = spec(&dirs, Mode::Plan, "inspects");
        spec.confine = confine;
        let session = Session::start(spec).await.unwrap();
        let state = inspect(&session).await;
        let environment = json!({
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8", "TZ": "UTC", "RECTIFY_PROVIDER": "1",
        });
        assert_eq!(state["environment"], environment);
        assert_eq!(state["umask"], "077");
        assert_eq!(state["directory"], fs::canonicalize(dirs.work()).unwrap().to_str().unwrap());
        assert_eq!(state["blocked"], "0000000000000000");
        // Standard streams only.
        assert_eq!(state["descriptors"], 3, "confine: {confine}");
        if confine {
            // The capability of reading what others may not, if we had it.
            let root = rustix::process::geteuid().is_root();
            assert_eq!(state["capabilities"], if root { "0000000000000004" } else { "0000000000000000" });
            assert_eq!((&state["no_new_privs"], &state["seccomp"]), (&json!("1"), &json!("2")));
        }
        session.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn dropping_a_session_leaves_no_process() {
    for (number, (mode, confine)) in
        [(Mode::Plan, true), (Mode::Plan, false), (Mode::Apply, false)].into_iter().enumerate()
    {
        let mark = format!("{}.{}", 3000 + number, std::process::id());
        let dirs = Dirs::new();
        let mut spec = spec(&dirs, mode, "leaves-children");
        spec.confine = confine;
        let session = Session::start(spec).await.unwrap();
        let contained = session.confinement().process_namespace.is_achieved();
        // A process namespace keeps even those that left the process group.
        let mut desired = json!({"mark": mark});
        if contained {
            desired["own_group"] = json!(true);
        }
        if mode == Mode::Apply {
            session.apply(operation(desired, 20_000)).await.unwrap().unwrap();
        } else {
            session.plan(vec![item(THING, desired)]).await.unwrap();
        }
        assert!(eventually(|| processes(&mark) == if contained { 2 } else { 1 }).await);
        drop(session);
        assert!(eventually(|| processes(&mark) == 0).await, "{mode:?}, confine: {confine}");
    }
}

#[tokio::test]
async fn a_session_that_ends_in_good_order_leaves_no_process() {
    let mark = format!("3100.{}", std::process::id());
    let dirs = Dirs::new();
    let mut spec = spec(&dirs, Mode::Plan, "leaves-children");
    spec.confine = false;
    let session = Session::start(spec).await.unwrap();
    session.plan(vec![item(THING, json!({"mark": mark}))]).await.unwrap();
    assert!(eventually(|| processes(&mark) == 1).await);
    session.shutdown().await.unwrap();
    assert!(eventually(|| processes(&mark) == 0).await);
}

#[tokio::test]
async fn a_process_that_ignores_the_polite_signal_is_killed() {
    for confine in [false, true] {
        let dirs = Dirs::new();
        let mut spec = spec(&dirs, Mode::Plan, "ignores-term");
        spec.confine = confine;
        spec.timings.ping = Duration::from_millis(100);
        let mark = format!("4{}.{}", u8::from(confine), std::process::id());
        spec.arguments.push(mark.clone().into());
        let kill = spec.timings.kill;
        let session = Session::start(spec).await.unwrap();
        assert!(processes(&mark) > 0);
        let clock = Instant::now();
        let error = session.plan(vec![item(THING, json!({}))]).await.unwrap_err();
        assert_eq!(error.code(), codes::PROVIDER_UNRESPONSIVE);
        // Three questions and the time between the signals have passed, and it is gone already.
        assert!(clock.elapsed() >= Duration::from_millis(300) + kill);
        assert_eq!(processes(&mark), 0);
    }
}

#[tokio::test]
async fn a_script_runs_from_a_private_copy() {
    let dirs = Dirs::new();
    let path = dirs.base().join("provider.sh");
    // Not a provider: it says where it runs and ends.
    let text = "#!/bin/sh\nprintf '%s %s\\n' \"$0\" \"$(stat -c %a \"$0\")\" >&2\nexit 4\n";
    fs::write(&path, text).unwrap();
    let mut spec = spec(&dirs, Mode::Plan, "none");
    spec.program = Executable::open(&path, Some(FileDigests::of_bytes(text.as_bytes()))).unwrap();
    assert_eq!(spec.program.interpreter(), Some("/bin/sh"));
    // What happens to the file afterwards does not matter.
    fs::write(&path, "#!/bin/false\n").unwrap();
    let error = Session::start(spec).await.unwrap_err();
    assert_eq!(error.code(), codes::PROVIDER_EXITED);
    let copy = fs::canonicalize(dirs.work()).unwrap().join(".rectify/provider");
    assert_eq!(error.stderr.trim(), format!("{} 500", copy.display()));
}

#[tokio::test]
async fn a_program_replaced_after_it_was_hashed_is_not_run() {
    let dirs = Dirs::new();
    let path = dirs.base().join("provider");
    fs::copy(crate::support::PROVIDER, &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let opened = Executable::open(&path, program().digests()).unwrap();
    assert_eq!(opened.digests(), program().digests());
    fs::remove_file(&path).unwrap();
    fs::write(&path, "#!/bin/false\n").unwrap();
    let mut spec = spec(&dirs, Mode::Plan, "none");
    spec.program = opened;
    let session = Session::start(spec).await.unwrap();
    session.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_built_in_is_the_running_program() {
    // This program is no provider, so it ends at once; what it says shows that it was started.
    let dirs = Dirs::new();
    let mut spec =
        rectify_host::SessionSpec::builtin(crate::manifest::manifest(), Mode::Plan, dirs.directories());
    assert_eq!(spec.arguments, ["provider", "serve", "test"]);
    spec.launcher = launcher();
    spec.arguments = vec!["--list".into(), "a_built_in_is_the_running_program".into()];
    spec.timings.handshake = Duration::from_secs(30);
    let error = Session::start(spec).await.unwrap_err();
    assert_eq!(error.code(), codes::PROVIDER_EXITED, "{error}");
    assert!(error.to_string().contains("exit status: 0"), "{error}");
}
