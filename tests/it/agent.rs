//! The whole chain with keys that only an ssh-agent holds.

use rectify_tests::{Scratch, ran, remediation};
use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// OpenSSH's agent with these keys of the scratch area, whose files are then gone.
fn agent(scratch: &Scratch, keys: &[&str]) -> Agent {
    let socket = scratch.path("socket");
    let mut command = Command::new("ssh-agent");
    command.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).stderr(Stdio::null());
    let agent = Agent(command.spawn().unwrap());
    let end = Instant::now() + Duration::from_secs(10);
    while !socket.exists() {
        assert!(Instant::now() < end, "ssh-agent does not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    for key in keys {
        let mut add = Command::new("ssh-add");
        add.arg("-q").arg(scratch.path(key)).env("SSH_AUTH_SOCK", &socket);
        assert!(add.status().unwrap().success());
        fs::remove_file(scratch.path(key)).unwrap();
    }
    agent
}

fn with(scratch: &Scratch, socket: &str, arguments: &[&str]) -> rectify_tests::Ran {
    let mut command = scratch.command(arguments);
    command.env("SSH_AUTH_SOCK", scratch.path(socket));
    ran(command)
}

#[test]
fn sealed_and_approved_through_an_agent() {
    let scratch = Scratch::new();
    scratch.trust(1);
    let steps = "  a:\n    file.content: {path: /etc/a, content: \"1\\n\"}\n";
    scratch.write("project/remediations/one.yaml", &remediation("one", steps));
    scratch.ok(&["-C", "project", "plan", "--out", "a.plan.json"]);
    let _agent = agent(&scratch, &["keys-author", "keys-reviewer"]);
    let sealed =
        with(&scratch, "socket", &["-C", "project", "seal", "a.plan.json", "--key", "keys-author.pub"]);
    assert_eq!(sealed.code, 0, "{}", sealed.stderr);
    // By its fingerprint, as `ssh-add -l` prints it.
    let mut list = Command::new("ssh-keygen");
    list.arg("-lf").arg(scratch.path("keys-reviewer.pub"));
    let printed = ran(list).stdout;
    let name = printed.split_whitespace().nth(1).unwrap();
    let approved = with(&scratch, "socket", &["approve", "a.plan.json", "--key", name]);
    assert_eq!(approved.code, 0, "{}", approved.stderr);
    assert!(approved.stdout.starts_with("approved by reviewer until "), "{}", approved.stdout);
    // Who verifies and applies needs no agent, and sees no difference.
    let verified = scratch.ok(&["-C", "project", "verify", "a.plan.json"]).stdout;
    assert!(verified.contains("approvals: 1 of 1") && verified.contains(name), "{verified}");
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    assert_eq!(scratch.read("root/etc/a"), "1\n");
}

#[test]
fn what_is_missing_is_told() {
    let scratch = Scratch::new();
    scratch.trust(1);
    let steps = "  a:\n    file.content: {path: /etc/a, content: \"1\\n\"}\n";
    scratch.write("project/remediations/one.yaml", &remediation("one", steps));
    scratch.ok(&["-C", "project", "plan", "--out", "a.plan.json"]);
    let seal = ["-C", "project", "seal", "a.plan.json", "--key", "keys-author.pub"];
    let told = scratch.expect(1, &seal).stderr;
    assert!(told.contains("error[key-agent-missing]") && told.contains("SSH_AUTH_SOCK is not set"), "{told}");
    assert!(told.contains("  help: start one"), "{told}");
    let told = with(&scratch, "nowhere", &seal).stderr;
    assert!(told.contains("error[key-agent-missing]") && told.contains("nowhere"), "{told}");
    let _agent = agent(&scratch, &["keys-reviewer"]);
    let told = with(&scratch, "socket", &seal).stderr;
    assert!(told.contains("error[key-agent-key]") && told.contains("`ssh-add -l`"), "{told}");
    let by_name = ["-C", "project", "seal", "a.plan.json", "--key", "SHA256:nobody"];
    let told = with(&scratch, "socket", &by_name).stderr;
    assert!(told.contains("error[key-agent-key]"), "{told}");
    assert!(!scratch.path("a.plan.d/seal.dsse.json").exists());
}
