//! Where the provider runs: behind a prefix that gives one argument to a shell, or on this machine.

use crate::{
    near,
    outcome::{Check, Stop, fail},
};
use std::{
    collections::BTreeSet,
    io::Write,
    process::{Command, Stdio},
};

/// A place with a shell: this machine, or whatever a prefix leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    prefix: Vec<String>,
    local: bool,
}

/// Quotes a word for a shell.
pub(crate) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Stands before what a script prints.
const MARK: &str = "rectify-conform-output";

/// Numbers of the processes of a session that have not ended.
const MEMBERS: &str = r#"sed -n 's/^\([0-9]*\) (.*) \(.\) [0-9]* [0-9]* \([0-9]*\) .*/\1 \2 \3/p' /proc/[0-9]*/stat 2>/dev/null | while read -r pid state sid; do if [ "$sid" = SID ] && [ "$state" != Z ]; then echo "$pid"; fi; done"#;

impl Host {
    /// This machine. `setsid` makes what the provider starts recognizable.
    #[must_use]
    pub fn local() -> Self {
        Self { prefix: ["setsid", "sh", "-c"].map(str::to_owned).to_vec(), local: true }
    }

    /// Behind a prefix, to which one argument is added: a line for a shell, as `ssh -T host` and
    /// `sh -c` take it. Words are separated by blanks.
    #[must_use]
    pub fn via(prefix: &str) -> Self {
        Self { prefix: prefix.split_whitespace().map(str::to_owned).collect(), local: false }
    }

    /// Whether it is this machine without a prefix.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.local
    }

    /// A command that runs a line of shell there, in a session of its own.
    pub(crate) fn command(&self, line: &str) -> Command {
        let (program, arguments) =
            self.prefix.split_first().map_or(("sh", &[][..]), |(p, a)| (p.as_str(), a));
        let mut command = Command::new(program);
        command.args(arguments).arg(line);
        command
    }

    /// [`Host::command`], where the session does not matter.
    fn script(&self, line: &str) -> Command {
        if !self.local {
            return self.command(line);
        }
        let mut command = Command::new("sh");
        command.arg("-c").arg(line);
        command
    }

    /// Runs a script there to its end and gives its standard output. A script that fails is an error.
    pub(crate) fn sh(&self, script: &str) -> Check<String> {
        String::from_utf8(self.bytes(script, b"")?)
            .map_err(|e| Stop::Fail(format!("the kit could not go on: a script printed no UTF-8: {e}")))
    }

    /// [`Host::sh`], with standard input, and bytes as they are.
    pub(crate) fn bytes(&self, script: &str, input: &[u8]) -> Check<Vec<u8>> {
        let mut child = self
            .script(&format!("printf '\\n%s\\n' {MARK}; set -eu; {script}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut pipe) = child.stdin.take() {
            // A script that reads nothing breaks the pipe, as it may.
            let _ = pipe.write_all(input);
        }
        let output = child.wait_with_output()?;
        // What a login prints comes before the mark.
        let mark = format!("\n{MARK}\n").into_bytes();
        let start = output.stdout.windows(mark.len()).position(|window| window == mark);
        if let Some(start) = start
            && output.status.success()
        {
            return Ok(output.stdout.get(start + mark.len()..).unwrap_or_default().to_vec());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(Stop::Fail(format!("the kit could not go on: `{script}` ended with {}: {said}", output.status)))
    }

    // What the kit looks at. On this machine [`near`] answers, elsewhere a shell.

    /// A sandbox with the directories `root`, `state` and `blobs`.
    pub(crate) fn sandbox(&self) -> Check<String> {
        if self.local {
            return near::sandbox();
        }
        self.sh("umask 077; d=$(mktemp -d \"${TMPDIR:-/tmp}/rectify-conform-XXXXXXXX\"); mkdir \"$d/root\" \"$d/state\" \"$d/blobs\"; chmod 755 \"$d/root\"; printf %s \"$d\"")
    }

    /// Removes a directory with everything in it, as far as that is possible.
    pub(crate) fn remove(&self, path: &str) {
        if self.local {
            return near::remove(path);
        }
        // There is nobody to tell.
        let _ = self.sh(&format!("rm -rf {}", quote(path)));
    }

    /// A file; `None` where there is none.
    pub(crate) fn read(&self, path: &str) -> Check<Option<Vec<u8>>> {
        if self.local {
            return near::read(path);
        }
        let path = quote(path);
        let bytes = self.bytes(&format!("if [ -e {path} ]; then printf x; cat {path}; fi"), b"")?;
        Ok(bytes.split_first().map(|(_, rest)| rest.to_vec()))
    }

    /// Writes a file; a new one gets mode 0600.
    pub(crate) fn write(&self, path: &str, bytes: &[u8]) -> Check {
        if self.local {
            return near::write(path, bytes);
        }
        self.bytes(&format!("umask 077; cat >{}", quote(path)), bytes).map(drop)
    }

    /// Everything about a directory: names, kinds, modes, owners, sizes, times, links, contents. Of
    /// directories only mode and owner unless `times` is set.
    pub(crate) fn snapshot(&self, top: &str, times: bool) -> Check<String> {
        if self.local {
            return near::snapshot(top, times);
        }
        let find = if times {
            "find . -printf '%p %y %m %U:%G %s %T@ %l\\n' | sort"
        } else {
            "find . -type d -printf '%p %m %U:%G\\n' | sort; find . ! -type d -printf '%p %y %m %U:%G %s %T@ %l\\n' | sort"
        };
        self.sh(&format!("cd {}; {find}; find . -type f -exec sha256sum {{}} + | sort", quote(top)))
    }

    /// What of a session is alive.
    pub(crate) fn members(&self, session: u32) -> Check<Vec<u32>> {
        if self.local {
            return Ok(near::members(session));
        }
        let said = self.sh(&MEMBERS.replace("SID", &session.to_string()))?;
        Ok(said.lines().filter_map(|line| line.trim().parse().ok()).collect())
    }

    /// Arguments and environments of processes, as far as they are still there.
    pub(crate) fn shown(&self, pids: &[u32]) -> Check<Vec<u8>> {
        if self.local {
            return Ok(near::shown(pids));
        }
        let files: Vec<String> = pids
            .iter()
            .flat_map(|pid| [format!("/proc/{pid}/cmdline"), format!("/proc/{pid}/environ")])
            .collect();
        self.bytes(&format!("cat {} /dev/null 2>/dev/null || true", files.join(" ")), b"")
    }

    /// Ends the sessions whose numbers stand in the `*.pid` files of a directory.
    pub(crate) fn end_sessions(&self, base: &str) {
        if self.local {
            return near::end_sessions(base);
        }
        let members = MEMBERS.replace("\"$sid\" = SID", "\"${sids#* $sid }\" != \"$sids\"");
        // What is gone already cannot be told from what could not be ended; there is no more to do.
        let _ = self.sh(&format!(
            "sids=\" $(cat {}/*.pid 2>/dev/null | tr '\\n' ' ') \"; kill -KILL $({members}) 2>/dev/null || true",
            quote(base)
        ));
    }

    /// Ends a session, whatever it is doing.
    pub(crate) fn kill(&self, session: u32) {
        if self.local {
            return near::kill(&BTreeSet::from([session]));
        }
        let members = MEMBERS.replace("SID", &session.to_string());
        let _ = self.sh(&format!("kill -KILL $({members}) 2>/dev/null || true"));
    }

    /// Resident memory of a process in KiB, its open descriptors, and its processor time in ticks.
    pub(crate) fn usage(&self, pid: u32) -> Check<[u64; 3]> {
        if self.local {
            let gone = || Stop::Fail(format!("the kit could not go on: no usage of process {pid}"));
            return near::usage(pid).ok_or_else(gone);
        }
        let said = self.sh(&format!(
            "sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\).*/\\1/p' /proc/{pid}/status; ls /proc/{pid}/fd | wc -l; \
             sed 's/.*) //' /proc/{pid}/stat | {{ read -r a b c d e f g h i j k utime stime rest; echo $((utime + stime)); }}"
        ))?;
        let mut numbers = said.lines().map(|line| line.trim().parse::<u64>());
        match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(memory)), Some(Ok(files)), Some(Ok(ticks))) => Ok([memory, files, ticks]),
            _ => fail(format!("the kit could not go on: no usage in {said:?}")),
        }
    }
}
