//! What a seal and an approval are permission for: the sources that were reviewed, one use, one run
//! at a time on a target.

use rectify_tests::{Scratch, remediation};
use std::{
    process::Stdio,
    time::{Duration, Instant},
};

const ONE: &str = "  a:\n    file.content: {path: /etc/a, content: \"1\\n\"}\n";

fn planned(approvals: u32) -> Scratch {
    let scratch = Scratch::new();
    scratch.trust(approvals);
    scratch.write("project/remediations/one.yaml", &remediation("one", ONE));
    scratch.ok(&["-C", "project", "plan", "--out", "a.plan.json"]);
    scratch
}

#[test]
fn sources_that_were_edited_since_the_plan_are_not_sealed() {
    let scratch = planned(1);
    let edited = ONE.replace("/etc/a", "/etc/b");
    scratch.write("project/remediations/one.yaml", &remediation("one", &edited));
    let refused = scratch.expect(1, &["-C", "project", "seal", "a.plan.json", "--key", "keys-author"]);
    assert!(refused.stderr.contains("error[not-reproduced]"), "{}", refused.stderr);
    scratch.write("project/remediations/one.yaml", &remediation("one", ONE));
    scratch.ok(&["-C", "project", "seal", "a.plan.json", "--key", "keys-author"]);
}

#[test]
fn nobody_approves_beside_a_seal_that_counts_for_nothing() {
    let scratch = planned(1);
    scratch.ok(&["keys", "new", "keys-stranger"]);
    scratch.ok(&["-C", "project", "seal", "a.plan.json", "--key", "keys-stranger", "--as", "author"]);
    let refused = scratch.expect(3, &["approve", "a.plan.json", "--key", "keys-reviewer"]);
    assert!(refused.stderr.contains("[trust-key-unknown]"), "{}", refused.stderr);
    scratch.ok(&["-C", "project", "seal", "a.plan.json", "--again", "--key", "keys-reviewer"]);
    let refused = scratch.expect(3, &["approve", "a.plan.json", "--key", "keys-reviewer"]);
    assert!(refused.stderr.contains("[seal-role]"), "{}", refused.stderr);
    scratch.ok(&["-C", "project", "seal", "a.plan.json", "--again", "--key", "keys-author"]);
    scratch.ok(&["approve", "a.plan.json", "--key", "keys-reviewer"]);
    assert!(scratch.path("a.plan.d/former/2/seal.dsse.json").exists(), "the old seals are kept");
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
}

#[test]
fn the_same_drift_again_is_planned_under_the_same_name_and_sealed_anew() {
    let scratch = planned(1);
    for _ in 0..2 {
        scratch.seal("a.plan.json");
        scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
        assert_eq!(scratch.read("root/etc/a"), "1\n");
        std::fs::remove_file(scratch.path("root/etc/a")).unwrap();
    }
    assert!(scratch.path("a.plan.d/former/1/receipts").is_dir());
}

#[test]
fn replacing_a_plan_leaves_alone_what_is_not_rectifys() {
    let scratch = planned(1);
    scratch.write("a.plan.d/notes/why.txt", "because");
    let other = ONE.replace("1\\n", "2\\n");
    scratch.write("project/remediations/one.yaml", &remediation("one", &other));
    scratch.ok(&["-C", "project", "plan", "--out", "a.plan.json"]);
    assert_eq!(scratch.read("a.plan.d/notes/why.txt"), "because");
}

#[test]
fn two_runs_never_change_one_target_at_the_same_time() {
    let scratch = Scratch::new();
    scratch.trust(1);
    let slow = "  a:\n    command.run: {argv: [/bin/sh, -c, 'touch \"$RECTIFY_ROOT/begun\"; sleep 3']}\n";
    scratch.write("project/remediations/slow.yaml", &remediation("slow", slow));
    scratch.seal("slow.plan.json");
    std::fs::remove_file(scratch.path("project/remediations/slow.yaml")).unwrap();
    scratch.write("project/remediations/one.yaml", &remediation("one", ONE));
    scratch.seal("one.plan.json");
    let mut first = scratch
        .command(&["-C", "project", "apply", "slow.plan.json"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    while !scratch.path("root/begun").exists() {
        assert!(Instant::now() < end, "the first run does not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    let refused = scratch.expect(8, &["-C", "project", "apply", "one.plan.json"]);
    assert!(refused.stderr.contains("error[target-locked]"), "{}", refused.stderr);
    assert!(refused.stderr.contains("run "), "it names the holder: {}", refused.stderr);
    assert!(!scratch.path("root/etc/a").exists());
    assert_eq!(first.wait().unwrap().code(), Some(0));
    // It was not begun, so the permission is still there.
    scratch.ok(&["-C", "project", "apply", "one.plan.json"]);
}

#[test]
fn what_fails_before_the_run_does_not_use_the_permission_up() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = planned(1);
    scratch.seal("b.plan.json");
    std::fs::create_dir(scratch.path("state")).unwrap();
    std::fs::set_permissions(scratch.path("state"), std::fs::Permissions::from_mode(0o700)).unwrap();
    scratch.ok(&["keys", "new", "state/executor_ed25519"]);
    let key = scratch.path("state/executor_ed25519");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    scratch.expect(1, &["-C", "project", "apply", "b.plan.json"]);
    assert!(!scratch.path("root/etc/a").exists());
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    scratch.ok(&["-C", "project", "apply", "b.plan.json"]);
}

#[test]
fn alone_one_may_do_what_policy_wants_approved_and_is_told() {
    let scratch = Scratch::new();
    scratch.trust(0);
    let trust = scratch.read("trust.yaml").replace("  approver: [reviewer]\n", "");
    scratch.write("trust.yaml", &trust);
    let step = "  a:\n    command.run: {argv: [/bin/sh, -c, 'touch \"$RECTIFY_ROOT/done\"']}\n";
    scratch.write("project/remediations/one.yaml", &remediation("one", step));
    scratch.ok(&["-C", "project", "plan", "--out", "a.plan.json"]);
    let sealed = scratch.ok(&["-C", "project", "seal", "a.plan.json", "--key", "keys-author"]);
    assert!(sealed.stderr.contains("asks for 1 approval"), "{}", sealed.stderr);
    let said = scratch.ok(&["-C", "project", "verify", "a.plan.json"]).stdout;
    assert!(said.contains("SOLO: policy asks for 1 approval"), "{said}");
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    assert!(scratch.path("root/done").exists());
}
