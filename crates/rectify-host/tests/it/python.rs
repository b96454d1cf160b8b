//! A provider in Python, bundled into one file as its author would, started, confined and spoken to as
//! any other.

use crate::foreign::{Target, map, operation};
use crate::support::{eventually, type_name};
use rectify_host::Executable;
use rectify_protocol::{
    ErrorCode, Manifest, Mutated,
    message::{ApplyStatus, Mode, OpStatus, PlanAnswer, PlanItem, ReadItem},
};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The bundled example, and what it says of itself.
fn provider() -> &'static (Executable, Manifest) {
    static PROVIDER: OnceLock<(Executable, Manifest)> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        let place = tempfile::tempdir().unwrap();
        let bundled = place.path().join("motd");
        let bundling = Command::new("python3")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .arg(repository().join("sdk/python/rectify_provider.py"))
            .arg("bundle")
            .arg(repository().join("examples/providers/python-motd/motd.py"))
            .arg("-o")
            .arg(&bundled)
            .status();
        assert!(bundling.unwrap().success());
        let printed = Command::new(&bundled).arg("manifest").output().unwrap().stdout;
        let manifest: Manifest = rectify_base::canonical::read_file(&printed).unwrap();
        assert_eq!(manifest.to_bytes().unwrap(), printed);
        let executable = Executable::open(&bundled, None).unwrap();
        assert_eq!(executable.interpreter(), Some("/usr/bin/env python3"));
        (executable, manifest)
    })
}

#[tokio::test]
async fn a_provider_in_python_plans_confined_and_applies_and_takes_back() {
    let target = Target::new(provider());
    let desired = json!({"path": "/motd", "text": "hello\n", "mode": "0644", "state": "present"});
    let item = || PlanItem {
        type_name: type_name("motd.file"),
        desired: map(desired.clone()),
        prior: None,
        directories: None,
    };
    let planning = target.session(Mode::Plan).await;
    assert!(planning.confinement().is_complete(), "{:?}", planning.confinement());
    let answers = planning.plan((0..200).map(|_| item()).collect()).await.unwrap();
    let planned = json!({"path": "/motd", "text": "hello\n", "mode": "0644"});
    for answer in answers {
        let Ok(PlanAnswer::Changed { prior: None, planned: Some(state), .. }) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(state, planned);
    }
    planning.shutdown().await.unwrap();
    assert_eq!(target.text("motd"), None);

    let session = target.session(Mode::Apply).await;
    let op = operation("create", "motd.file", "create", desired.clone(), [None, Some(&planned)]);
    let applied = session.apply(op.clone()).await.unwrap().unwrap();
    assert_eq!((applied.status, applied.state.as_ref()), (ApplyStatus::Applied, Some(&planned)));
    assert_eq!(target.text("motd").as_deref(), Some("hello\n"));
    assert_eq!(session.apply(op.clone()).await.unwrap().unwrap().status, ApplyStatus::Already);
    assert!(matches!(session.plan(vec![item()]).await.unwrap()[0], Ok(PlanAnswer::Unchanged { .. })));
    let read = ReadItem { type_name: type_name("motd.file"), desired: map(desired), capture: true };
    assert_eq!(session.read(vec![read]).await.unwrap()[0].as_ref().unwrap().state, Some(planned.clone()));
    fs::write(target.root.join("motd"), "moved").unwrap();
    let back = json!({"path": "/motd", "$restore": {}});
    let back = |name: &str| operation(name, "motd.file", "delete", back.clone(), [Some(&planned), None]);
    let stale = session.apply(back("stale")).await.unwrap().unwrap_err();
    assert_eq!((stale.code, stale.mutated), (ErrorCode::Stale, Mutated::No));
    fs::write(target.root.join("motd"), "hello\n").unwrap();
    assert_eq!(session.apply(back("back")).await.unwrap().unwrap().status, ApplyStatus::Applied);
    assert_eq!(target.text("motd"), None);
    session.shutdown().await.unwrap();
}

#[tokio::test]
async fn of_a_killed_provider_in_python_nothing_runs_and_its_ledger_is_believed() {
    let target = Target::new(provider());
    let desired = json!({"log": "/log", "message": "once", "program": ["sleep", "300"]});
    let op = operation("announce", "motd.announce", "run", desired, [Some(&json!({})), None]);
    let session = target.session(Mode::Apply).await;
    let (lost, ()) = tokio::join!(session.apply(op.clone()), async {
        assert!(eventually(|| target.text("log").is_some()).await);
        session.kill().await;
    });
    assert!(lost.is_err());
    let fresh = target.session(Mode::Apply).await;
    assert_eq!(fresh.op_status(&op.op_id).await.unwrap(), OpStatus::Started);
    let unknown = fresh.apply(op.clone()).await.unwrap().unwrap_err();
    assert_eq!((unknown.code, unknown.mutated), (ErrorCode::UnknownOutcome, Mutated::Maybe));
    assert_eq!(target.text("log").as_deref(), Some("once\n"));
    // Nothing of it is left: whoever carried the mark was ended with the session.
    assert_eq!(fresh.end_operation(&op.op_id).await, Vec::<u32>::new());
    fresh.shutdown().await.unwrap();
}
