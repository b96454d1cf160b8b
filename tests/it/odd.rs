//! A provider that hangs, lies, dies and floods: a run ends with the truth, whatever it does.

use rectify_attest::PrincipalName;
use rectify_base::Digest;
use rectify_engine::{
    Engine, Event, Events, Helpers, Places, Provider, Providers, Redactor, apply, plan, seal,
};
use rectify_host::Executable;
use rectify_model::journal::RunOutcome;
use rectify_tests::{Scratch, remediation};
use std::{
    fs,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_rectify-test-odd");

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<String>>);

impl Events for Kept {
    fn on(&self, event: &Event) {
        self.0.lock().unwrap().push_str(&format!("{}\n", serde_json::to_string(event).unwrap()));
    }
}

fn engine(scratch: &Scratch, events: &Kept) -> Engine {
    let manifest = Command::new(PROGRAM).arg("manifest").output().unwrap().stdout;
    let provider = Provider {
        manifest: serde_json::from_slice(&manifest).unwrap(),
        program: Executable::open(Path::new(PROGRAM), None).unwrap().into(),
        arguments: ["serve", "--stdio"].map(Into::into).to_vec(),
        identity: Digest::of_bytes(&fs::read(PROGRAM).unwrap()).to_string(),
        locked: None,
    };
    let launcher =
        rectify_host::Launcher { program: rectify_tests::rectify().to_owned(), ..Default::default() };
    Engine {
        providers: Providers::new(vec![provider]),
        helpers: Helpers {
            policy: rectify_tests::rectify().to_owned(),
            policy_arguments: vec!["policy-child".into()],
            launcher,
        },
        places: Places { trust: scratch.path("trust.yaml"), state: scratch.path("state"), project_key: None },
        now_ms: || {
            let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
            u64::try_from(since.as_millis()).unwrap()
        },
        environment: |_| None,
        redactor: Redactor::default(),
        events: Box::new(events.clone()),
    }
}

/// Plans, seals, approves and applies a step for each name, one after the other, and answers how the run
/// ended and what was told.
async fn run(names: &[&str], undo: &str) -> (Scratch, RunOutcome, String) {
    let (scratch, events) = (Scratch::new(), Kept::default());
    let mut steps = String::new();
    let mut before = String::new();
    for (at, name) in names.iter().enumerate() {
        steps.push_str(&format!("  s{at}:\n    odd.thing: {{path: /etc/{name}, text: new}}\n{before}"));
        before = format!("    after: [s{at}]\n");
        scratch.write(&format!("root/etc/{name}"), "old");
    }
    scratch.write("project/remediations/a.yaml", &format!("{}undo: {undo}\n", remediation("a", &steps)));
    scratch.trust(1);
    let engine = engine(&scratch, &events);
    let (project, path) = (scratch.path("project"), scratch.path("a.plan.json"));
    let outcome = plan::plan(&engine, &project, None).await.unwrap();
    plan::write(&outcome, &path).unwrap();
    let signer = |name: &str| {
        rectify_keys::load_signer(&scratch.path(name), &mut rectify_keys::no_passphrase).unwrap()
    };
    let name = |name: &str| PrincipalName::new(name).unwrap();
    let request = seal::SealRequest {
        project: &project,
        plan: &path,
        signer: &signer("keys-author"),
        author: name("author"),
        requester: name("author"),
        lifetime_s: None,
        again: false,
        expecting: std::collections::BTreeSet::new(),
    };
    seal::seal(&engine, &request).await.unwrap();
    let request = seal::ApproveRequest {
        plan: &path,
        signer: &signer("keys-reviewer"),
        approver: name("reviewer"),
        reason: None,
        lifetime_s: None,
    };
    seal::approve(&engine, &request).unwrap();
    let (_stop, stopped) = tokio::sync::watch::channel(apply::Stop::No);
    let request = apply::ApplyRequest { project: &project, plan: &path, stop: stopped };
    let applied = apply::apply(&engine, request).await.unwrap();
    let told = events.0.lock().unwrap().clone();
    (scratch, applied.finished.outcome, told)
}

#[tokio::test]
async fn what_a_step_came_to_is_what_is_there() {
    for (way, outcome, text) in [
        ("well", RunOutcome::Succeeded, "new"),
        ("flood", RunOutcome::Succeeded, "new"),
        // The answer was lost, and the effect is there.
        ("late", RunOutcome::Succeeded, "new"),
        ("last", RunOutcome::Succeeded, "new"),
        // It said that all is well, and nothing is.
        ("lie", RunOutcome::PartiallyApplied, "old"),
        ("other", RunOutcome::PartiallyApplied, "something else"),
        ("refuse", RunOutcome::Failed, "old"),
    ] {
        let name = format!("{way}-well-it");
        let (scratch, ended, told) = run(&[&name], "manual").await;
        assert_eq!(ended, outcome, "{way}: {told}");
        assert_eq!(scratch.read(&format!("root/etc/{name}")), text, "{way}");
        assert!(told.len() < 4 * 1024 * 1024, "{way}: {} bytes were told", told.len());
    }
}

/// It never does anything, again and again: the run gives up, and says that nothing was done.
#[tokio::test]
async fn what_never_happens_is_given_up() {
    for way in ["hang", "die"] {
        let name = format!("{way}-well-it");
        let (scratch, ended, told) = run(&[&name], "manual").await;
        assert!(
            matches!(ended, RunOutcome::Failed | RunOutcome::PartiallyApplied),
            "{way}: {ended:?} {told}"
        );
        assert_eq!(scratch.read(&format!("root/etc/{name}")), "old", "{way}");
    }
}
