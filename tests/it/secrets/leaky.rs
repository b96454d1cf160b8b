//! A provider that shows secrets wherever it can: they are hidden, and it is caught.

use super::canaries::{COUNT, Canaries};
use rectify_attest::PrincipalName;
use rectify_base::Digest;
use rectify_engine::{
    Engine, EngineError, Event, Events, Helpers, Places, Provider, Providers, Redactor, apply, plan, seal,
};
use rectify_host::Executable;
use rectify_tests::{Scratch, remediation};
use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

/// Keeps every event as the JSON line that it is shown as.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<String>>);

impl Kept {
    /// Log records of every level go here, too, until the guard is dropped.
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let kept = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || kept.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Events for Kept {
    fn on(&self, event: &Event) {
        let mut kept = self.0.lock().unwrap();
        kept.push_str(&serde_json::to_string(event).unwrap());
        kept.push('\n');
    }
}

struct Case {
    scratch: Scratch,
    canaries: Canaries,
    events: Kept,
    engine: Engine,
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_rectify-test-leaky");

impl Case {
    /// A step for each of so many secrets.
    fn new(ending: &str, count: usize) -> Self {
        let (scratch, canaries) = (Scratch::new(), Canaries::new());
        let (mut secrets, mut steps) = (String::new(), String::new());
        for number in 0..count {
            let source = format!("project/secrets/s{number}");
            scratch.write(&source, canaries.value(number));
            fs::set_permissions(scratch.path(&source), fs::Permissions::from_mode(0o600)).unwrap();
            secrets.push_str(&format!("  s{number}: {{from: {{file: secrets/s{number}}}}}\n"));
            steps.push_str(&format!(
                "  s{number}:\n    leaky.write: {{path: /etc/s{number}, text: '${{{{ secrets.s{number} }}}}', ending: {ending}}}\n"
            ));
        }
        scratch.write(
            "project/rectify.yaml",
            &format!("apiVersion: rectify/v1\nkind: Project\nmetadata: {{name: demo}}\nlimits: {{parallel_steps: 64}}\npolicies: [standard]\nsecrets:\n{secrets}"),
        );
        scratch.write("project/remediations/a.yaml", &remediation("a", &steps));
        scratch.trust(1);
        let manifest = Command::new(PROGRAM).arg("manifest").output().unwrap().stdout;
        let bytes = fs::read(PROGRAM).unwrap();
        let provider = Provider {
            manifest: serde_json::from_slice(&manifest).unwrap(),
            program: Executable::open(Path::new(PROGRAM), None).unwrap().into(),
            arguments: ["serve", "--stdio"].map(Into::into).to_vec(),
            identity: Digest::of_bytes(&bytes).to_string(),
            locked: None,
        };
        let events = Kept::default();
        let launcher =
            rectify_host::Launcher { program: rectify_tests::rectify().to_owned(), ..Default::default() };
        let engine = Engine {
            providers: Providers::new(vec![provider]),
            helpers: Helpers {
                policy: rectify_tests::rectify().to_owned(),
                policy_arguments: vec!["policy-child".into()],
                launcher,
            },
            places: Places {
                trust: scratch.path("trust.yaml"),
                state: scratch.path("state"),
                project_key: None,
            },
            now_ms: || {
                let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
                u64::try_from(since.as_millis()).unwrap()
            },
            environment: |_| None,
            redactor: Redactor::default(),
            events: Box::new(events.clone()),
        };
        Self { scratch, canaries, events, engine }
    }

    async fn planned(&self) -> Result<plan::PlanOutcome, EngineError> {
        plan::plan(&self.engine, &self.scratch.path("project"), None).await
    }

    /// Plans, seals, approves, applies, and answers what came of the step.
    async fn applied(&self) -> String {
        let outcome = self.planned().await.unwrap();
        assert_eq!(outcome.undecided(), []);
        let path = self.scratch.path("a.plan.json");
        plan::write(&outcome, &path).unwrap();
        let signer = |name: &str| {
            rectify_keys::load_signer(&self.scratch.path(name), &mut rectify_keys::no_passphrase).unwrap()
        };
        let name = |name: &str| PrincipalName::new(name).unwrap();
        let request = seal::SealRequest {
            project: &self.scratch.path("project"),
            plan: &path,
            signer: &signer("keys-author"),
            author: name("author"),
            requester: name("author"),
            lifetime_s: None,
            again: false,
            expecting: std::collections::BTreeSet::new(),
        };
        seal::seal(&self.engine, &request).await.unwrap();
        let request = seal::ApproveRequest {
            plan: &path,
            signer: &signer("keys-reviewer"),
            approver: name("reviewer"),
            reason: None,
            lifetime_s: None,
        };
        seal::approve(&self.engine, &request).unwrap();
        let (_stop, stopped) = tokio::sync::watch::channel(apply::Stop::No);
        let request =
            apply::ApplyRequest { project: &self.scratch.path("project"), plan: &path, stop: stopped };
        let applied = apply::apply(&self.engine, request).await.unwrap();
        format!("{applied:?}")
    }

    /// Nothing but the source and the destination holds the value; no text that came out does.
    fn nowhere_else(&self, said: &str) {
        for text in [said, &self.events.0.lock().unwrap()] {
            let found = self.canaries.found(text.as_bytes());
            assert!(found.is_empty(), "{found:?} in {text}");
        }
        let found = self.canaries.below(&self.scratch.path(""), &|path| {
            path.starts_with(self.scratch.path("project/secrets"))
                || path.starts_with(self.scratch.path("root/etc"))
        });
        assert!(found.is_empty(), "{found:#?}");
    }
}

#[tokio::test]
async fn each_ending_of_an_operation_shows_none() {
    for (ending, result) in [
        ("success", "applied"),
        ("failure", "failed"),
        ("panic", "observed"),
        ("kill", "observed"),
        ("hang", "observed"),
        ("state", "applied"),
    ] {
        let case = Case::new(ending, COUNT);
        let _listening = case.events.listen();
        let said = case.applied().await;
        case.nowhere_else(&said);
        let events = case.events.0.lock().unwrap().clone();
        assert!(events.contains(&format!("\"result\":\"{result}\"")), "{ending}: {events}");
        let mut written = 0;
        for number in 0..COUNT {
            if let Ok(text) = fs::read_to_string(case.scratch.path(&format!("root/etc/s{number}"))) {
                assert!(case.canaries.value(number).starts_with(&text), "{ending}: another secret");
                written += usize::from(text == case.canaries.value(number));
            }
        }
        assert!(written >= if result == "applied" { COUNT } else { 1 }, "{ending}: {written} are written");
        for shown in ["log (secret s", "progress (secret s", "the secret is (secret s"] {
            assert!(events.contains(shown), "{ending}: {events}");
        }
        assert!(events.contains("a provider wrote the value of a secret; it was hidden"), "{events}");
        if ending == "failure" {
            assert!(events.contains("not with (secret s"), "{events}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_shows_one_is_not_used() {
    let case = Case::new("plan-state", 1);
    let outcome = case.planned().await.unwrap();
    let undecided = format!("{:?}", outcome.undecided());
    assert!(undecided.contains("provider-secret-leak"), "{undecided}");
    plan::write(&outcome, &case.scratch.path("a.plan.json")).unwrap();
    case.nowhere_else(&undecided);
}

#[tokio::test]
async fn planning_that_fails_shows_none() {
    for ending in ["plan-error", "plan-panic"] {
        let case = Case::new(ending, 1);
        let _listening = case.events.listen();
        let outcome = case.planned().await.unwrap();
        let undecided = format!("{:?}", outcome.undecided());
        assert_eq!(undecided.contains("(secret s0)"), ending == "plan-error", "{undecided}");
        plan::write(&outcome, &case.scratch.path("a.plan.json")).unwrap();
        case.nowhere_else(&undecided);
    }
}
