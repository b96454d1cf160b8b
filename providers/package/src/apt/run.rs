//! Running apt's and dpkg's tools: nothing is asked, nothing is translated, and complaints get codes.

use super::parse::{Complaint, complaint};
use rectify_sdk::{
    Context, Ended, Run,
    protocol::{ErrorCode, ItemError, Mutated},
};
use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

/// No file of a cache is written by a look.
pub(super) const QUIET_CACHE: [&str; 4] = ["-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="];
/// Pause before somebody who holds the package database is asked again.
pub(super) const PAUSE: Duration = Duration::from_millis(200);
/// Longest time for a look.
const LOOK_TIMEOUT: Duration = Duration::from_secs(50);
/// Variables of the tools and of the scripts of packages: nobody answers, and nothing is restarted that
/// no package asks for.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("APT_LISTBUGS_FRONTEND", "none"),
    ("APT_LISTCHANGES_FRONTEND", "none"),
    ("DEBCONF_NONINTERACTIVE_SEEN", "true"),
    ("DEBIAN_FRONTEND", "noninteractive"),
    ("DEBIAN_PRIORITY", "critical"),
    ("LC_ALL", "C"),
    ("NEEDRESTART_MODE", "l"),
    ("UCF_FORCE_CONFFOLD", "1"),
];

/// A tool, and until when it may run.
pub(super) struct Tool<'c> {
    cx: &'c Context,
    deadline: Instant,
    /// What is known of the effect of one that failed: of a look none, of a change what the next look
    /// tells.
    effect: Mutated,
}

impl<'c> Tool<'c> {
    /// One that only looks.
    pub(super) fn look(cx: &'c Context) -> Self {
        Self { cx, deadline: Instant::now() + LOOK_TIMEOUT, effect: Mutated::No }
    }

    /// One that changes something.
    pub(super) fn change(cx: &'c Context, deadline: Instant) -> Self {
        Self { cx, deadline, effect: Mutated::Maybe }
    }

    /// Runs it, and gives its standard output. It must end with one of these codes.
    pub(super) fn run(&self, argv: &[&str], good: &[i32]) -> Result<String, ItemError> {
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut environment: BTreeMap<String, String> = ENVIRONMENT.iter().map(own).collect();
        let work = &self.cx.dirs().work;
        // While planning nothing else can be written, and apt copies what it checks. Scripts of packages
        // run as others, too, who cannot enter it.
        if self.effect == Mutated::No && !work.is_empty() {
            environment.insert("TMPDIR".into(), work.clone());
        }
        let run = Run {
            argv: &argv,
            environment,
            directory: "/".into(),
            user: None,
            stdin: None,
            deadline: self.deadline,
            // dpkg that is broken off leaves packages half installed.
            finishes: self.effect != Mutated::No,
        };
        let finished = self.cx.run(&run)?;
        let name = argv.first().map_or("", String::as_str);
        let said = &finished.output;
        let (code, what) = match finished.ended {
            Ended::Exited(code) if good.contains(&code) && said.truncated => {
                (ErrorCode::Unsupported, "printed more than is read".to_owned())
            }
            Ended::Exited(code) if good.contains(&code) => return Ok(finished.output.stdout),
            Ended::Exited(_) => {
                return Err(refused(name, complaint(&said.stdout, &said.stderr)).mutated(self.effect));
            }
            Ended::Signalled(signal) => (ErrorCode::Failed, format!("was ended by signal {signal}")),
            Ended::TimedOut => (ErrorCode::Timeout, "did not end in time and was ended".to_owned()),
            Ended::Cancelled => (ErrorCode::Cancelled, "was cancelled and ended".to_owned()),
        };
        Err(ItemError::new(code, format!("`{name}` {what}")).mutated(self.effect))
    }

    /// Runs a tool that does not wait for the package database by itself.
    pub(super) fn patiently(&self, argv: &[&str]) -> Result<(), ItemError> {
        loop {
            match self.run(argv, &[0]) {
                Err(error)
                    if error.code == ErrorCode::Transient
                        && Instant::now() + PAUSE < self.deadline
                        && !self.cx.cancelled() =>
                {
                    thread::sleep(PAUSE);
                }
                other => return other.map(drop),
            }
        }
    }
}

fn refused(name: &str, complaint: Complaint) -> ItemError {
    let error = |code, message: String| ItemError::new(code, message);
    match complaint {
        Complaint::Locked(holder) => {
            let holder = holder.unwrap_or_else(|| "another process".into());
            super::lock::held(&holder)
        }
        Complaint::Interrupted => {
            error(ErrorCode::Failed, "dpkg was interrupted earlier".into()).hint(super::CONFIGURE)
        }
        Complaint::Unknown(package) => error(ErrorCode::Failed, format!("no repository has {package}"))
            .at("/name")
            .hint("compare the spelling, and refresh the target's lists with `apt-get update`"),
        Complaint::NoVersion(version) => {
            error(ErrorCode::Failed, format!("no repository has {version}")).at("/version").hint(
                "refresh the target's lists with `apt-get update`, or name a version of `apt-cache madison`",
            )
        }
        Complaint::NotFetched(what) => {
            error(ErrorCode::Transient, format!("a package could not be fetched: {what}"))
                .hint("see whether the repository is reached, and refresh the target's lists")
        }
        Complaint::Unsolvable(why) => {
            error(ErrorCode::Conflict, format!("it cannot be installed with what is there: {why}"))
                .hint("see what is held, and what other packages depend on")
        }
        Complaint::Script(what) => error(ErrorCode::Failed, what).hint(super::CONFIGURE),
        Complaint::Other(what) => error(ErrorCode::Failed, format!("`{name}` failed: {what}")),
    }
}
