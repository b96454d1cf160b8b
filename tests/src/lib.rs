//! The chain through the real executable: scratch projects, throwaway keys, exit codes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a harness for tests")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};
use tempfile::TempDir;

/// What a call of `rectify` gave.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; -1 if it was ended by a signal.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A scratch area with a root directory, a project `project` and a trust file.
pub struct Scratch {
    directory: TempDir,
}

/// Where the executable under test lies on a node of `cargo xtask fleet test`, which has nothing to build it.
const ON_NODE: &str = "/usr/local/bin/rectify";

/// The executable under test, built once.
pub fn rectify() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        if Path::new("/etc/rectify-fleet-node").exists() {
            return ON_NODE.into();
        }
        let status = Command::new(env!("CARGO"))
            .args(["build", "--locked", "--quiet", "--package", "rectify-cli"])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap())
            .stdin(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "rectify does not build");
        let deps = std::env::current_exe().unwrap();
        deps.parent().unwrap().parent().unwrap().join("rectify")
    })
}

impl Scratch {
    /// An empty root, an adopted target `scratch` in environment `dev`, two identities.
    pub fn new() -> Self {
        let scratch = Self { directory: tempfile::tempdir().unwrap() };
        scratch.write(
            "project/rectify.yaml",
            "apiVersion: rectify/v1\nkind: Project\nmetadata: {name: demo}\npolicies: [standard]\n",
        );
        let root = scratch.path("root").display().to_string();
        scratch.write(
            "project/inventory/local.yaml",
            &format!("apiVersion: rectify/v1\nkind: Inventory\ntargets:\n  scratch:\n    environment: dev\n    labels: {{role: bastion}}\n    connection: local\n    root: {root}\n"),
        );
        fs::create_dir_all(scratch.path("root/etc")).unwrap();
        scratch.write(
            "project/remediations/none.yaml",
            &remediation("none", "  x:\n    file.directory: {path: /etc}\n"),
        );
        scratch.ok(&["-C", "project", "inventory", "adopt", "scratch"]);
        fs::remove_file(scratch.path("project/remediations/none.yaml")).unwrap();
        for name in ["author", "reviewer"] {
            scratch.ok(&["keys", "new", &format!("keys-{name}")]);
        }
        scratch
    }

    /// Writes the trust file: `author` seals, `reviewer` approves, `approvals` are needed.
    pub fn trust(&self, approvals: u32) {
        let bundle = self.ok(&["-C", "project", "policy", "digest"]).stdout;
        let key = |name: &str| fs::read_to_string(self.path(&format!("keys-{name}.pub"))).unwrap();
        let solo = if approvals == 0 { "solo: true\n" } else { "" };
        let text = format!(
            "format: rectify.trust/v1\n{solo}principals:\n  author: {{kind: person, keys: [{{public: '{}'}}]}}\n  reviewer: {{kind: person, keys: [{{public: '{}'}}]}}\nroles:\n  sealer: [author]\n  approver: [reviewer]\napprovals: {{default: {approvals}}}\npolicy_bundles: ['{}']\n",
            key("author").trim(),
            key("reviewer").trim(),
            bundle.trim()
        );
        self.write("trust.yaml", &text);
        fs::set_permissions(self.path("trust.yaml"), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// A path below the scratch area.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file, making its directory.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Reads a file.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// A call of the executable in the scratch area, with everything of the environment pinned.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(rectify());
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.directory.path())
            .env("RECTIFY_TRUST", self.path("trust.yaml"))
            .env("RECTIFY_STATE", self.path("state"))
            .stdin(Stdio::null());
        command
    }

    /// Calls it.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        ran(self.command(arguments))
    }

    /// Calls it and expects an exit code.
    pub fn expect(&self, code: i32, arguments: &[&str]) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(ran.code, code, "{arguments:?}\n{}\n{}", ran.stdout, ran.stderr);
        ran
    }

    /// Calls it and expects success.
    pub fn ok(&self, arguments: &[&str]) -> Ran {
        self.expect(0, arguments)
    }

    /// Plans, seals, approves.
    pub fn seal(&self, plan: &str) {
        self.ok(&["-C", "project", "plan", "--out", plan]);
        self.ok(&["-C", "project", "seal", plan, "--key", "keys-author"]);
        self.ok(&["approve", plan, "--key", "keys-reviewer"]);
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs a command to its end.
pub fn ran(mut command: Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A remediation for the target of [`Scratch`], from the lines below `steps:`.
pub fn remediation(name: &str, steps: &str) -> String {
    format!(
        "apiVersion: rectify/v1\nkind: Remediation\nmetadata: {{name: {name}}}\nbecause: {{text: a test}}\ntargets: {{select: target.labels.role == \"bastion\"}}\nsteps:\n{steps}"
    )
}
