//! What the use cases refuse, by code: one damage each.

use rectify_attest::{PrincipalName, PublicKey, SignError, Signer};
use rectify_engine::{Engine, Helpers, Places, Providers, events::Silent, seal};
use rectify_tests::{Scratch, remediation};
use std::fs;

fn planned() -> Scratch {
    let scratch = Scratch::new();
    scratch.trust(1);
    scratch.write(
        "project/remediations/one.yaml",
        &remediation("one", "  a:\n    file.content: {path: /etc/a, content: \"1\\n\"}\n"),
    );
    scratch.ok(&["-C", "project", "plan", "--out", "a.plan.json"]);
    scratch
}

/// Calls `rectify`, expects the code and a page for it, and that nothing was changed.
fn refuses(scratch: &Scratch, code: &str, arguments: &[&str]) {
    let ran = scratch.run(arguments);
    assert_ne!(ran.code, 0, "{arguments:?}: {ran:?}");
    assert!(ran.stderr.contains(&format!("error[{code}]")), "{arguments:?}: expected {code}\n{}", ran.stderr);
    assert!(!scratch.path("root/etc/a").exists());
    assert!(scratch.ok(&["explain", code]).stdout.starts_with(&format!("# {code}\n")));
}

#[test]
fn projects() {
    let scratch = planned();
    refuses(&scratch, "project-not-found", &["-C", "root", "plan"]);
    refuses(&scratch, "project-exists", &["init", "project"]);
    fs::create_dir(scratch.path("---")).unwrap();
    refuses(&scratch, "project-name-unusable", &["init", "./---"]);
    fs::File::create(scratch.path("project/remediations/big.yaml")).unwrap().set_len(17 << 20).unwrap();
    refuses(&scratch, "file-too-large", &["-C", "project", "validate"]);
}

#[test]
fn files() {
    let scratch = planned();
    refuses(&scratch, "file-unreadable", &["show", "none.plan.json"]);
    refuses(&scratch, "file-unwritable", &["-C", "project", "plan", "--out", "keys-author/x.plan.json"]);
    refuses(&scratch, "plan-file-name", &["show", "trust.yaml"]);
    scratch.write("b.plan.json", "{}");
    refuses(&scratch, "document-invalid", &["show", "b.plan.json"]);
    // The same plan, spelt otherwise.
    let plan = scratch.read("a.plan.json");
    let spelt =
        plan.replacen("\n      \"observation\": {", "\n      \"labels\": {},\n      \"observation\": {", 1);
    let plain = plan.replacen("\n      \"labels\": {\n        \"role\": \"bastion\"\n      },", "", 1);
    assert!(spelt != plan && plain != plan);
    let spelt =
        plain.replacen("\n      \"observation\": {", "\n      \"labels\": {},\n      \"observation\": {", 1);
    scratch.write("c.plan.json", &spelt);
    refuses(&scratch, "document-invalid", &["show", "c.plan.json"]);
}

#[test]
fn targets() {
    let scratch = planned();
    refuses(&scratch, "target-unknown", &["-C", "project", "inventory", "adopt", "other"]);
    fs::remove_file(scratch.path("root/.rectify-root")).unwrap();
    refuses(&scratch, "root-not-adopted", &["-C", "project", "plan"]);
    scratch.write(
        "project/inventory/local.yaml",
        "apiVersion: rectify/v1\nkind: Inventory\ntargets:\n  here: {environment: dev, connection: local}\n",
    );
    refuses(&scratch, "target-not-a-root", &["-C", "project", "inventory", "adopt", "here"]);
}

#[test]
fn seals() {
    let scratch = planned();
    refuses(&scratch, "plan-not-sealed", &["approve", "a.plan.json", "--key", "keys-reviewer"]);
    scratch.ok(&["-C", "project", "seal", "a.plan.json", "--key", "keys-author"]);
    refuses(&scratch, "plan-sealed", &["-C", "project", "seal", "a.plan.json", "--key", "keys-author"]);
    scratch.write(
        "project/remediations/one.yaml",
        &remediation("one", "  a:\n    file.content: {path: /etc/a, content: \"2\\n\"}\n"),
    );
    refuses(&scratch, "plan-attested", &["-C", "project", "plan", "--out", "a.plan.json"]);
    scratch.ok(&["approve", "a.plan.json", "--key", "keys-reviewer"]);
    refuses(&scratch, "plan-approved", &["approve", "a.plan.json", "--key", "keys-reviewer"]);
    scratch.ok(&["approve", "a.plan.json", "--key", "keys-reviewer", "--expires-in", "1h"]);
    fs::remove_file(scratch.path("trust.yaml")).unwrap();
    refuses(&scratch, "trust-file-missing", &["-C", "project", "apply", "a.plan.json"]);
}

#[test]
fn evidence() {
    let scratch = planned();
    let graph = scratch.read("a.plan.d/evidence/graph.json");
    scratch.write(
        "a.plan.d/evidence/graph.json",
        &graph.replace("\"parallel_steps\": 4", "\"parallel_steps\": 5"),
    );
    refuses(&scratch, "evidence-mismatch", &["-C", "project", "seal", "a.plan.json", "--key", "keys-author"]);
    scratch.write("a.plan.d/evidence/graph.json", &graph);
    let plan = scratch.read("a.plan.json");
    scratch.write("a.plan.json", &plan.replace("\"mode\": \"0644\"", "\"mode\": \"0666\""));
    let ran = scratch.run(&["-C", "project", "seal", "a.plan.json", "--key", "keys-author"]);
    assert_ne!(ran.code, 0, "{ran:?}");
    scratch.write("a.plan.json", &plan);
    scratch.write("root/etc/a", "1\n");
    fs::set_permissions(scratch.path("root/etc/a"), std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .unwrap();
    scratch.ok(&["-C", "project", "plan", "--out", "b.plan.json"]);
    let empty = scratch.run(&["-C", "project", "seal", "b.plan.json", "--key", "keys-author"]);
    let code = "plan-empty";
    assert!(empty.stderr.contains(&format!("error[{code}]")), "{}", empty.stderr);
}

/// A key that is out of reach.
struct Lost(PublicKey);

impl Signer for Lost {
    fn public_key(&self) -> PublicKey {
        self.0
    }

    fn sign(&self, _bytes: &[u8]) -> Result<[u8; 64], SignError> {
        Err(SignError::Signer("the agent is gone".into()))
    }
}

#[test]
fn a_key_that_does_not_sign_leaves_nothing_behind() {
    let scratch = planned();
    scratch.ok(&["-C", "project", "seal", "a.plan.json", "--key", "keys-author"]);
    let engine = engine(&scratch);
    let key = PublicKey::from_openssh(scratch.read("keys-reviewer.pub").trim()).unwrap();
    let before = fs::read_dir(scratch.path("a.plan.d")).unwrap().count();
    let request = seal::ApproveRequest {
        plan: &scratch.path("a.plan.json"),
        signer: &Lost(key),
        approver: PrincipalName::new("reviewer").unwrap(),
        reason: None,
        lifetime_s: None,
    };
    let error = seal::approve(&engine, &request).unwrap_err();
    assert_eq!(error.code(), rectify_engine::codes::SIGNING_FAILED);
    assert_eq!(fs::read_dir(scratch.path("a.plan.d")).unwrap().count(), before);
}

#[test]
fn a_type_without_a_provider_is_not_run() {
    let scratch = planned();
    scratch.ok(&["-C", "project", "seal", "a.plan.json", "--key", "keys-author"]);
    scratch.ok(&["approve", "a.plan.json", "--key", "keys-reviewer"]);
    let name = rectify_base::TypeName::new("file.content").unwrap();
    let error = engine(&scratch).providers.require(&name).unwrap_err();
    assert_eq!(error.code(), rectify_engine::codes::TYPE_UNAVAILABLE);
}

/// An engine without providers.
fn engine(scratch: &Scratch) -> Engine {
    Engine {
        providers: Providers::default(),
        helpers: Helpers {
            policy: rectify_tests::rectify().to_owned(),
            policy_arguments: vec!["policy-child".into()],
            launcher: rectify_host::Launcher::default(),
        },
        places: Places { trust: scratch.path("trust.yaml"), state: scratch.path("state"), project_key: None },
        now_ms: || {
            let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
            u64::try_from(since.as_millis()).unwrap()
        },
        environment: |_| None,
        redactor: rectify_engine::Redactor::default(),
        events: Box::new(Silent),
    }
}

#[test]
fn problems_for_programs() {
    let scratch = planned();
    let validate = |code, format| scratch.expect(code, &["-C", "project", "validate", "--format", format]);
    assert_eq!(validate(0, "json").stdout, "{\n  \"format\": \"rectify.diagnostics/v1\"\n}\n");
    let sound: serde_json::Value = serde_json::from_str(&validate(0, "sarif").stdout).unwrap();
    assert_eq!(sound["runs"][0]["results"], serde_json::json!([]));
    // One that the compiler finds, and, where there is none, one that a provider does.
    for (steps, code) in [
        ("  a:\n    file.content: {path: /etc/a, content: a, modus: '0644'}\n", "type-unknown-property"),
        ("  a:\n    file.line: {path: /etc/a, match: '(', line: x}\n", "property-refused"),
    ] {
        scratch.write("project/remediations/one.yaml", &remediation("one", steps));
        let told = validate(1, "text");
        assert!(told.stdout.is_empty() && told.stderr.contains(&format!("error[{code}]")), "{}", told.stderr);
        let ran = validate(1, "json");
        let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!((json["diagnostics"][0]["code"].as_str(), ran.stderr.as_str()), (Some(code), ""));
        let ran = validate(1, "sarif");
        let log: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let run = &log["runs"][0];
        assert_eq!((run["results"][0]["ruleId"].as_str(), ran.stderr.as_str()), (Some(code), ""));
        assert!(run["tool"]["driver"]["rules"][0]["help"]["markdown"].as_str().unwrap().contains("## Why"));
        assert!(!ran.stdout.contains(scratch.path("").to_str().unwrap()), "{}", ran.stdout);
    }
    // Where there is no project, there is no document.
    let ran = scratch.expect(1, &["-C", "nowhere", "validate", "--format", "sarif"]);
    assert!(ran.stdout.is_empty() && ran.stderr.contains("[project-not-found]"), "{}", ran.stderr);
}
