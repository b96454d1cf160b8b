//! A provider in Go, built as its author would, started, confined and spoken to as any other.

use crate::foreign::{Target, map, operation};
use crate::support::type_name;
use rectify_host::Executable;
use rectify_protocol::{
    ErrorCode, Manifest, Mutated,
    message::{ApplyStatus, ItemResult, Mode, OpStatus, PlanAnswer, PlanItem},
};
use serde_json::json;
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command, sync::OnceLock};

/// The example, and what it says of itself.
fn provider() -> &'static (Executable, Manifest) {
    static PROVIDER: OnceLock<(Executable, Manifest)> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        let place = tempfile::tempdir().unwrap();
        let program = place.path().join("lines");
        let building = Command::new("go")
            .args(["build", "-trimpath", "-o"])
            .arg(&program)
            .arg(".")
            .envs([("CGO_ENABLED", "0"), ("GOFLAGS", "-buildvcs=false"), ("GOPROXY", "off")])
            .envs([("GOTOOLCHAIN", "local"), ("GOWORK", "off")])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/providers/go-lines"))
            .status();
        assert!(building.unwrap().success());
        let printed = Command::new(&program).arg("manifest").output().unwrap().stdout;
        let manifest: Manifest = rectify_base::canonical::read_file(&printed).unwrap();
        assert_eq!(manifest.to_bytes().unwrap(), printed);
        (Executable::open(&program, None).unwrap(), manifest)
    })
}

#[tokio::test]
async fn a_provider_in_go_plans_confined_and_applies_and_takes_back() {
    let target = Target::new(provider());
    fs::write(target.root.join("allow"), "root\nroot\nadm").unwrap();
    fs::set_permissions(target.root.join("allow"), fs::Permissions::from_mode(0o644)).unwrap();
    let desired = json!({"path": "/allow", "lines": ["web", "adm"], "state": "present"});
    let item = || PlanItem {
        type_name: type_name("lines.file"),
        desired: map(desired.clone()),
        prior: None,
        directories: None,
    };
    let before = json!({"path": "/allow", "text": "root\nroot\nadm"});
    let after = json!({"path": "/allow", "text": "root\nroot\nadm\nweb\n"});
    let planning = target.session(Mode::Plan).await;
    assert!(planning.confinement().is_complete(), "{:?}", planning.confinement());
    for answer in planning.plan((0..200).map(|_| item()).collect()).await.unwrap() {
        let Ok(PlanAnswer::Changed { prior, planned, prediction, undo, .. }) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!((prior, planned), (Some(before.clone()), Some(after.clone())));
        assert_eq!((prediction.as_str(), undo.as_str()), ("exact", "exact"));
    }
    planning.shutdown().await.unwrap();
    assert_eq!(target.text("allow").as_deref(), Some("root\nroot\nadm"));

    let session = target.session(Mode::Apply).await;
    let op = operation("add", "lines.file", "update", desired.clone(), [Some(&before), Some(&after)]);
    let applied = session.apply(op.clone()).await.unwrap().unwrap();
    assert_eq!((applied.status, applied.state.as_ref()), (ApplyStatus::Applied, Some(&after)));
    assert_eq!(session.apply(op).await.unwrap().unwrap().status, ApplyStatus::Already);
    assert!(matches!(session.plan(vec![item()]).await.unwrap()[0], Ok(PlanAnswer::Unchanged { .. })));
    let back = json!({"path": "/allow", "$restore": {"state": before}});
    let back =
        |name: &str| operation(name, "lines.file", "update", back.clone(), [Some(&after), Some(&before)]);
    fs::write(target.root.join("allow"), "moved").unwrap();
    let stale = session.apply(back("stale")).await.unwrap().unwrap_err();
    assert_eq!((stale.code, stale.mutated), (ErrorCode::Stale, Mutated::No));
    fs::write(target.root.join("allow"), "root\nroot\nadm\nweb\n").unwrap();
    assert_eq!(session.apply(back("back")).await.unwrap().unwrap().status, ApplyStatus::Applied);
    assert_eq!(target.text("allow").as_deref(), Some("root\nroot\nadm"));
    session.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_action_in_go_runs_once_whoever_is_asked() {
    let target = Target::new(provider());
    let desired = json!({"path": "/log", "text": "deployed"});
    let op = operation("note", "lines.note", "run", desired, [Some(&json!({})), None]);
    for _ in 0..3 {
        let session = target.session(Mode::Apply).await;
        let applied = session.apply(op.clone()).await.unwrap().unwrap();
        assert_eq!(applied.status, ApplyStatus::Applied);
        let known = session.op_status(&op.op_id).await.unwrap();
        assert_eq!(known, OpStatus::Done(Box::new(ItemResult::Ok(applied))));
        session.shutdown().await.unwrap();
    }
    assert_eq!(target.text("log").as_deref(), Some("deployed\n"));
}
