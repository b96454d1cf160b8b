//! Keys that are replaced and revoked, as `docs/trust.md` says.

use rectify_tests::{Scratch, ran, rectify, remediation};
use std::{fs, path::Path, process::Command};

/// The shell blocks below a heading of `docs/trust.md`, in order.
fn blocks(heading: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/trust.md");
    let page = fs::read_to_string(path).unwrap();
    let section = page.split(&format!("\n## {heading}\n")).nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    blocks.collect()
}

/// Runs a block as it stands, with `rectify` on the path.
fn shell(scratch: &Scratch, block: &str) -> rectify_tests::Ran {
    let plain = scratch.command(&[]);
    let mut command = Command::new("/bin/sh");
    command.args(["-euc", block]).env_clear().current_dir(plain.get_current_dir().unwrap());
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", format!("{}:/usr/bin:/bin", rectify().parent().unwrap().display()));
    let ran = ran(command);
    assert_eq!(ran.code, 0, "{block}\n{}{}", ran.stdout, ran.stderr);
    ran
}

#[test]
fn the_page_is_right() {
    let scratch = Scratch::new();
    scratch.ok(&["keys", "new", "id_2026"]);
    scratch.ok(&["trust", "init", "--solo", "--key", "id_2026.pub"]);
    let steps = "  a:\n    file.content: {path: /etc/a, content: \"1\\n\"}\n";
    scratch.write("project/remediations/one.yaml", &remediation("one", steps));
    scratch.ok(&["-C", "project", "plan", "--out", "a.plan.json"]);
    scratch.ok(&["-C", "project", "seal", "a.plan.json", "--key", "id_2026"]);
    let [rotate, revoke] = blocks("Changing keys").try_into().unwrap();

    let told = shell(&scratch, &rotate).stdout;
    assert_eq!(told.matches("me  person  seals").count(), 1, "{told}");
    assert_eq!(told.matches(" counts until 20").count(), 2, "{told}");
    // Both keys count: the seal by the old one stands, and the new one seals.
    scratch.ok(&["-C", "project", "verify", "a.plan.json"]);
    scratch.ok(&["-C", "project", "seal", "a.plan.json", "--again", "--key", "id_2027"]);
    scratch.ok(&["-C", "project", "seal", "a.plan.json", "--again", "--key", "id_2026"]);

    let told = shell(&scratch, &revoke).stdout;
    assert!(
        told.contains("is revoked (laptop stolen)") || told.contains("revoked (laptop stolen)"),
        "{told}"
    );
    let refused = scratch.expect(3, &["-C", "project", "apply", "a.plan.json"]).stderr;
    assert!(refused.contains("[trust-key-revoked]"), "{refused}");
    assert!(!scratch.path("root/etc/a").exists());
    scratch.ok(&["-C", "project", "seal", "a.plan.json", "--again", "--key", "id_2027"]);
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
}

#[test]
fn comments_are_kept_beside_and_what_is_lacking_is_told() {
    let scratch = Scratch::new();
    scratch.trust(1);
    let before = format!("# ours\n{}", scratch.read("trust.yaml"));
    scratch.write("trust.yaml", &before);
    fs::rename(scratch.path("trust.yaml"), scratch.path("real.yaml")).unwrap();
    std::os::unix::fs::symlink("real.yaml", scratch.path("trust.yaml")).unwrap();
    let told =
        scratch.ok(&["trust", "revoke", "--key", "keys-reviewer.pub", "--since", "2026-01-02T03:04:05Z"]);
    assert!(told.stderr.contains("real.yaml.old"), "{}", told.stderr);
    assert!(
        told.stderr.contains("warning: too few can approve: up to 1 must, and of those who may, 0 "),
        "{}",
        told.stderr
    );
    assert_eq!(scratch.read("real.yaml.old"), before);
    assert!(scratch.path("trust.yaml").is_symlink());
    assert!(scratch.read("trust.yaml").contains("2026-01-02T03:04:05Z"));
    // What we wrote ourselves is not worth a copy.
    fs::remove_file(scratch.path("real.yaml.old")).unwrap();
    scratch.ok(&["keys", "new", "fresh"]);
    scratch.ok(&["trust", "rotate", "--key", "keys-author.pub", "--new", "fresh.pub"]);
    assert!(!scratch.path("real.yaml.old").exists());
    let keys = scratch.ok(&["trust", "keys"]);
    assert!(keys.stdout.contains("author  person  seals\n"), "{}", keys.stdout);
    assert!(keys.stderr.contains("warning: "), "{}", keys.stderr);
}

#[test]
fn what_cannot_be_is_refused() {
    let scratch = Scratch::new();
    scratch.trust(1);
    let before = scratch.read("trust.yaml");
    scratch.ok(&["keys", "new", "fresh"]);
    let future = ["trust", "revoke", "--key", "keys-author.pub", "--since", "9999-01-01T00:00:00Z"];
    assert!(scratch.expect(64, &future).stderr.contains("revoked at once"));
    let vague = ["trust", "revoke", "--key", "keys-author.pub", "--since", "yesterday"];
    assert!(scratch.expect(64, &vague).stderr.contains("2026-11-21T09:00:00Z"));
    let unknown = scratch.expect(1, &["trust", "revoke", "--key", "fresh.pub"]).stderr;
    assert!(unknown.contains("[trust-key-unknown]"), "{unknown}");
    let unknown = scratch.expect(64, &["trust", "revoke", "--key", "SHA256:nobody"]).stderr;
    assert!(unknown.contains("`rectify trust keys`"), "{unknown}");
    let taken = ["trust", "rotate", "--key", "keys-author.pub", "--new", "keys-reviewer.pub"];
    assert!(scratch.expect(1, &taken).stderr.contains("[trust-key-duplicate]"));
    assert_eq!(scratch.read("trust.yaml"), before);
}
