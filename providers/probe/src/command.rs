//! `command.succeeds`: whether a command says so. It must change nothing; nobody can check that,
//! so while planning only commands run that trusted policy lists.

use crate::{Answer, properties};
use rectify_sdk::{
    Context, Ended, Run,
    protocol::{ErrorCode, ItemError},
    real_path_beneath,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

/// Longest time for one attempt, in seconds.
const TIMEOUT_MAX_S: u64 = 60;

/// The properties.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Succeeds {
    argv: Vec<String>,
    #[serde(default = "zero")]
    exit_codes: Vec<i32>,
    #[serde(default = "ten_seconds")]
    timeout_s: u64,
}

fn zero() -> Vec<i32> {
    vec![0]
}

fn ten_seconds() -> u64 {
    10
}

impl Succeeds {
    pub(crate) fn read(desired: &Map<String, Value>) -> Result<Self, ItemError> {
        let this: Self = properties(desired)?;
        let wrong = |path: &str, message: &str| Err(ItemError::new(ErrorCode::Schema, message).at(path));
        let Some(program) = this.argv.first() else {
            return wrong("/argv", "an argv has at least the program");
        };
        if this.argv.iter().any(|word| word.contains('\0')) {
            return wrong("/argv", "a NUL character cannot be passed on");
        }
        if program.is_empty() || (program.contains('/') && !program.starts_with('/')) {
            return wrong("/argv/0", "the program is neither absolute nor a bare name");
        }
        if this.exit_codes.is_empty() {
            return wrong("/exit_codes", "without an exit code the answer could never be yes");
        }
        if let Some(at) = this.exit_codes.iter().position(|code| !(0..=255).contains(code)) {
            return wrong(&format!("/exit_codes/{at}"), "an exit code is between 0 and 255");
        }
        if !(1..=TIMEOUT_MAX_S).contains(&this.timeout_s) {
            return wrong("/timeout_s", "the time is between 1 and 60 seconds");
        }
        Ok(this)
    }

    pub(crate) fn ask(&self, cx: &Context) -> Answer {
        let name = self.argv.first().map_or("", String::as_str);
        if !cx.may_execute(&self.argv) {
            let message = format!("`{name}` may not be executed in this session");
            return Err(ItemError::new(ErrorCode::Unsupported, message)
                .at("/argv")
                .hint("let the policy list this argv among the commands that may run while planning"));
        }
        let directory = real_path_beneath(cx.root(), Path::new("/"))
            .map_err(|e| ItemError::new(ErrorCode::Failed, format!("/ cannot be entered: {e}")))?;
        let run = Run {
            argv: &self.argv,
            environment: BTreeMap::new(),
            directory,
            user: None,
            stdin: None,
            deadline: Instant::now() + Duration::from_secs(self.timeout_s),
            finishes: false,
        };
        match cx.run(&run)?.ended {
            Ended::Exited(code) => {
                Ok((self.exit_codes.contains(&code), format!("`{name}` exited with {code}")))
            }
            Ended::Signalled(signal) => Ok((false, format!("`{name}` was ended by signal {signal}"))),
            Ended::TimedOut => Ok((false, format!("`{name}` did not end within {} s", self.timeout_s))),
            Ended::Cancelled => {
                Err(ItemError::new(ErrorCode::Cancelled, format!("`{name}` was cancelled and ended")))
            }
        }
    }
}
