//! What is applied in the kill matrix: a few steps of each kind that a built-in provider can change.

use crate::run::{Outcome, write};
use std::{
    fmt, fs,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
};

/// A built-in provider that changes things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    File,
    Command,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::File, Self::Command];

    /// The steps, as they stand below `steps:`.
    pub fn steps(self) -> &'static str {
        match self {
            Self::File => FILE,
            Self::Command => COMMAND,
        }
    }

    /// How many of them change something.
    pub fn count(self) -> usize {
        match self {
            Self::File => 9,
            Self::Command => 5,
        }
    }

    /// Names of the steps, for a step that comes after all of them.
    pub fn names(self) -> &'static str {
        match self {
            Self::File => "updated, created, line, directory, inside, link, gone, mode, access",
            Self::Command => "first, second, third, fourth, fifth",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Command => "command",
        })
    }
}

const FILE: &str = r#"  updated:
    file.content: {path: /etc/updated, content: "new\nnew\n", mode: "0600"}
  created:
    file.content: {path: /etc/created, content: "created\n", mode: "0640"}
  line:
    file.line: {path: /etc/line, match: '^b=', line: "b=22"}
    after: [created]
  directory:
    file.directory: {path: /etc/made, mode: "0750"}
  inside:
    file.content: {path: /etc/made/inside, content: "inside\n", mode: "0644"}
  link:
    file.link: {path: /etc/link, target: updated}
    after: [updated]
  gone:
    file.absent: {path: /etc/gone}
  mode:
    file.content: {path: /etc/mode, content: "same\n", mode: "0700"}
    after: [line]
  access:
    file.directory: {path: /etc/access, mode: "0711"}
"#;

/// Each adds a line to a counter outside the target, and can be taken back, which is counted too. What
/// the fourth creates is its counter.
const COMMAND: &str = r#"  first:
    command.run:
      argv: [/bin/sh, -c, 'echo x >> "$RECTIFY_ROOT/../../counters/first"']
      undo: [/bin/sh, -c, 'echo x >> "$RECTIFY_ROOT/../../counters/first.undo"']
  second:
    command.run:
      argv: [/bin/sh, -c, 'echo x >> "$RECTIFY_ROOT/../../counters/second"']
      undo: [/bin/sh, -c, 'echo x >> "$RECTIFY_ROOT/../../counters/second.undo"']
    after: [first]
  third:
    command.run:
      argv: [/bin/sh, -c, 'echo x >> "$RECTIFY_ROOT/../../counters/third"']
      undo: [/bin/sh, -c, 'echo x >> "$RECTIFY_ROOT/../../counters/third.undo"']
    on_change: [first]
  fourth:
    command.run:
      argv: [/bin/sh, -c, 'echo x >> "$RECTIFY_ROOT/etc/fourth"']
      creates: /etc/fourth
      undo: [/bin/sh, -c, 'rm "$RECTIFY_ROOT/etc/fourth"']
  fifth:
    command.run:
      argv: [/bin/sh, -c, 'echo x >> "$RECTIFY_ROOT/../../counters/fifth"']
      undo: [/bin/sh, -c, 'echo x >> "$RECTIFY_ROOT/../../counters/fifth.undo"']
"#;

/// A step that fails after all others, before it changed anything.
pub fn failing(provider: Provider) -> String {
    format!(
        "  fails:\n    file.content: {{path: /etc/fails, content: \"x\\n\", validate: [/bin/false, \"%s\"]}}\n    after: [{}]\n",
        provider.names()
    )
}

/// A probe that does not hold.
pub const GATE: &str = "verify:\n  - file.matches: {path: /etc/hosts, pattern: nothing-like-this}\n";

/// The root directory before anything is applied.
pub fn root(root: &Path) -> Outcome {
    let at = |name: &str| root.join("etc").join(name);
    let mode = |name: &str, mode| {
        fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).map_err(|e| e.to_string())
    };
    write(&at("hosts"), "127.0.0.1 localhost\n")?;
    write(&at("updated"), "old\n")?;
    mode("updated", 0o644)?;
    write(&at("line"), "a=1\nb=2\nc=3\n")?;
    mode("line", 0o640)?;
    write(&at("gone"), "to be removed\n")?;
    mode("gone", 0o604)?;
    write(&at("mode"), "same\n")?;
    mode("mode", 0o644)?;
    fs::create_dir(at("access")).map_err(|e| e.to_string())?;
    mode("access", 0o755)?;
    // Only root can give files away; what belongs to somebody else must go on doing so.
    if is_root() {
        write(&at("passwd"), "root:x:0:0::/root:/bin/sh\napp:x:4321:4322::/:/bin/sh\n")?;
        write(&at("group"), "root:x:0:\napp:x:4322:\n")?;
        for name in ["line", "gone"] {
            chown(at(name), Some(4321), Some(4322)).map_err(|e| e.to_string())?;
        }
    }
    Ok(())
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}
