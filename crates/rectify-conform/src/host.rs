//! Where the provider runs: behind a prefix that gives one argument to a shell.

use crate::outcome::{Check, Stop};
use std::{
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

    /// What of a session is alive.
    pub(crate) fn members(&self, session: u32) -> Check<Vec<u32>> {
        let said = self.sh(&MEMBERS.replace("SID", &session.to_string()))?;
        Ok(said.lines().filter_map(|line| line.trim().parse().ok()).collect())
    }

    /// A script that ends the sessions whose numbers another script prints.
    pub(crate) fn ending(sessions: &str) -> String {
        let members = MEMBERS.replace("\"$sid\" = SID", "\"${sids#* $sid }\" != \"$sids\"");
        format!("sids=\" $({sessions} | tr '\\n' ' ') \"; kill -KILL $({members}) 2>/dev/null || true")
    }

    /// Ends a session, whatever it is doing.
    pub(crate) fn kill(&self, session: u32) {
        let members = MEMBERS.replace("SID", &session.to_string());
        // What is gone already cannot be told from what could not be ended; there is no more to do.
        let _ = self.sh(&format!("kill -KILL $({members}) 2>/dev/null || true"));
    }
}
