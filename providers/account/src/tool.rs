//! Running the target's own tools for accounts.
//!
//! What one step changes may take several tools, and whoever started them may be killed between two. So all
//! of them are given to one shell, as a script on its standard input, which finishes whatever happens to us, in
//! a moment, with everything done or with nothing; the engine waits for it before it looks again. A machine that
//! loses its power between two tools is not covered.

use rectify_sdk::{
    Context, Ended, Run,
    protocol::{ErrorCode, ItemError, Mutated},
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Longest time for a change: tools wait for others who hold the files.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Ends what a tool is given to read; no line of it is this one.
const END: &str = "RECTIFY_END_OF_INPUT";

/// Tools that are run one after the other. Where one fails, what those before it did is taken back.
#[derive(Debug, Default)]
pub(crate) struct Change {
    script: String,
    /// What takes back the tools so far, the last one first.
    back: Vec<String>,
}

impl Change {
    /// Adds a tool, which is searched in fixed directories. `input` is a line that it reads.
    pub(crate) fn then(&mut self, argv: &[&str], input: Option<&str>) -> &mut Self {
        let name = quoted(argv.first().copied().unwrap_or_default());
        let back: String = self.back.iter().map(|line| format!("{line} >/dev/null 2>&1; ")).collect();
        // Its status is that of the script, its name what the script prints.
        let otherwise = format!("|| {{ code=$?; {back}echo {name} >&3; exit $code; }}");
        let (from, text) = match input {
            None => ("</dev/null".to_owned(), String::new()),
            Some(line) => (format!("<<'{END}'"), format!("{line}\n{END}\n")),
        };
        self.script.push_str(&format!("{} {from} {otherwise}\n{text}", words(argv)));
        self
    }

    /// Says what takes back the tool that was added last, if a later one fails.
    pub(crate) fn or_back(&mut self, argv: &[&str]) -> &mut Self {
        self.back.insert(0, format!("{} </dev/null", words(argv)));
        self
    }

    /// Runs them.
    ///
    /// # Errors
    /// Where one failed, with the end of what it said. What is known of the effect is seen by looking again.
    pub(crate) fn run(&self, cx: &Context) -> Result<(), ItemError> {
        if self.script.is_empty() {
            return Ok(());
        }
        // A shell that gets only a part of this does nothing: the function has no end then, or is not called.
        let script = format!("change() {{\n{}}}\nchange 3>&1 >/dev/null\n", self.script);
        let argv = ["/bin/sh", "-s"].map(str::to_owned);
        let finished = cx.run(&Run {
            argv: &argv,
            environment: BTreeMap::new(),
            directory: "/".into(),
            user: None,
            stdin: Some(&script),
            deadline: Instant::now() + TIMEOUT,
            finishes: true,
        })?;
        let (code, what) = match finished.ended {
            Ended::Exited(0) => return Ok(()),
            Ended::Exited(code) => (ErrorCode::Failed, format!("ended with exit code {code}")),
            Ended::Signalled(signal) => (ErrorCode::Failed, format!("was ended by signal {signal}")),
            Ended::TimedOut => (ErrorCode::Timeout, format!("took more than {} s", TIMEOUT.as_secs())),
            Ended::Cancelled => (ErrorCode::Cancelled, "was ended, because the step was cancelled".into()),
        };
        let name = finished.output.stdout.lines().next_back().unwrap_or("a tool for accounts");
        let said = finished.output.stderr.lines().rfind(|line| !line.trim().is_empty());
        let said = said.map(|line| format!(": {}", line.trim())).unwrap_or_default();
        Err(ItemError::new(code, format!("`{name}` {what}{said}")).mutated(Mutated::Maybe))
    }
}

fn words(argv: &[&str]) -> String {
    argv.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A word as the shell reads it back.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}
