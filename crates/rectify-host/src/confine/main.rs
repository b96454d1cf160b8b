//! `confine`: the step between the engine and a provider. It runs before anything else in a fresh
//! process, and must stay single-threaded until it has become the provider.

use super::{Confinement, Protection, capabilities, init, mounts, ruleset, syscalls};
use nix::sys::signal::{SigSet, Signal};
use serde::{Deserialize, Serialize};
use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Write},
    os::{fd::AsRawFd, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

/// What the engine tells the launcher. Holds no secrets: it is visible in the process list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LaunchSpec {
    /// To be echoed in the launcher's line.
    pub launch: String,
    /// The work directory; the working directory already.
    pub work: PathBuf,
    /// The program.
    pub program: Program,
    /// Whether to confine.
    pub confine: bool,
    /// Whether to go on if that cannot be done completely.
    pub allow_unconfined: bool,
    /// Whether namespaces may be used.
    pub mount_namespace: bool,
    /// Whether Landlock may be used.
    pub landlock: bool,
    /// What the outer launcher has achieved; the inner one gets this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outer: Option<Protection>,
}

/// The program to become.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Program {
    /// Open it before the confinement; execute what was opened.
    Open(String),
    /// Execute this path.
    Path(PathBuf),
}

/// The launcher's line on standard output, before any of the provider's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LaunchLine {
    /// Echo of [`LaunchSpec::launch`].
    pub launch: String,
    /// What was achieved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confinement: Option<Confinement>,
    /// Why the provider does not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Exit code where the provider could not be started.
const NOT_STARTED: u8 = 127;

/// Confines this process and becomes the provider: `--spec JSON -- NAME ARGUMENT…`. Programs that
/// serve as a [`Launcher`](crate::Launcher) call it with the arguments after their subcommand,
/// before they start any thread. Returns only if the provider could not be started or has ended.
#[must_use]
pub fn confine_main<I: IntoIterator<Item = OsString>>(arguments: I) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let Some((spec, rest)) = parse(&arguments) else {
        let _ = writeln!(
            io::stderr(),
            "This command is a step of the engine's own. It expects --spec JSON -- NAME ARGUMENT..."
        );
        return ExitCode::from(64);
    };
    match run(&spec, rest) {
        Ok(code) => ExitCode::from(code),
        Err(reason) => {
            let _ = say(&LaunchLine { launch: spec.launch, confinement: None, error: Some(reason) });
            ExitCode::from(NOT_STARTED)
        }
    }
}

fn parse(arguments: &[OsString]) -> Option<(LaunchSpec, &[OsString])> {
    match arguments {
        [flag, json, dashes, rest @ ..] if flag == "--spec" && dashes == "--" && !rest.is_empty() => {
            Some((serde_json::from_str(json.to_str()?).ok()?, rest))
        }
        _ => None,
    }
}

fn run(spec: &LaunchSpec, rest: &[OsString]) -> Result<u8, String> {
    if spec.outer.is_none() {
        close_inherited().map_err(|e| format!("/proc/self/fd: {e}"))?;
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    if !spec.confine {
        announce(spec, Confinement::none())?;
        return become_provider(&mut Provider::open(spec, rest)?.command);
    }
    match &spec.outer {
        Some(outer) => inner(spec, rest, outer.clone()),
        None if spec.mount_namespace => match mounts::enter(&spec.work) {
            Ok(()) => outer(spec, rest),
            Err(reason) => inner(spec, rest, Protection::Unavailable(reason)),
        },
        None => inner(spec, rest, Protection::NotRequested),
    }
}

/// Closes whatever the engine let slip through besides the standard streams: a descriptor that is
/// open for writing would get around every confinement of paths.
fn close_inherited() -> io::Result<()> {
    let entries = std::fs::read_dir("/proc/self/fd")?;
    let numbers: Vec<i32> = entries.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|n| *n > 2) {
        // The one of the listing itself is closed already.
        let _ = nix::unistd::close(number);
    }
    Ok(())
}

/// Starts this program again as the first process of the new process namespace, and waits for it.
fn outer(spec: &LaunchSpec, rest: &[OsString]) -> Result<u8, String> {
    // The polite signals are for the provider; we end when it does.
    signals().thread_block().map_err(|e| format!("signal mask: {e}"))?;
    let spec = LaunchSpec { outer: Some(Protection::Achieved), ..spec.clone() };
    let json = serde_json::to_string(&spec).map_err(|e| e.to_string())?;
    let own = std::env::args_os().skip(1).take_while(|a| a != "--spec");
    let child = Command::new("/proc/self/exe")
        .args(own)
        .args([OsStr::new("--spec"), OsStr::new(&json), OsStr::new("--")])
        .args(rest)
        .spawn()
        .map_err(|e| format!("the first process of the namespace: {e}"))?;
    // From here on the other process speaks on standard output.
    let code = init::release_streams().and_then(|()| init::wait_for(&child));
    Ok(code.unwrap_or(NOT_STARTED))
}

fn signals() -> SigSet {
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect()
}

fn inner(spec: &LaunchSpec, rest: &[OsString], namespaces: Protection) -> Result<u8, String> {
    let first = spec.outer.is_some();
    if first {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
            .map_err(|e| format!("death signal: {e}"))?;
        signals().thread_unblock().map_err(|e| format!("signal mask: {e}"))?;
    }
    let mut provider = Provider::open(spec, rest)?;
    let confinement = confine(spec, namespaces);
    if !confinement.is_complete() && !spec.allow_unconfined {
        return announce(spec, confinement).map(|()| NOT_STARTED);
    }
    announce(spec, confinement)?;
    if first {
        return init::run(&mut provider.command).map_err(|e| provider.failure(&e));
    }
    become_provider(&mut provider.command)
}

/// Applies every layer that there is; each is reported, none is taken for granted.
fn confine(spec: &LaunchSpec, namespaces: Protection) -> Confinement {
    let no_new_privs = Protection::of(rustix::thread::set_no_new_privs(true));
    let dropped = Protection::of(capabilities::drop_all());
    let abi = ruleset::version();
    let landlock = match (spec.landlock, &abi) {
        (false, _) => Protection::NotRequested,
        (true, Ok(abi)) => Protection::of(ruleset::restrict(*abi, &spec.work)),
        (true, Err(reason)) => Protection::Unavailable(reason.clone()),
    };
    let abi = abi.ok();
    let kept =
        namespaces.is_achieved() || (landlock.is_achieved() && abi.is_some_and(ruleset::keeps_signals));
    let signals = if kept { syscalls::Signals::KeptElsewhere } else { syscalls::Signals::OwnGroupOnly };
    let seccomp = Protection::of(syscalls::install(signals));
    Confinement {
        process_namespace: namespaces.clone(),
        mount_namespace: namespaces,
        landlock,
        landlock_abi: abi.and_then(|abi| u32::try_from(abi as i32).ok()),
        seccomp,
        no_new_privs,
        capabilities: dropped,
    }
}

fn announce(spec: &LaunchSpec, confinement: Confinement) -> Result<(), String> {
    let line = LaunchLine { launch: spec.launch.clone(), confinement: Some(confinement), error: None };
    say(&line).map_err(|e| format!("standard output: {e}"))
}

fn say(line: &LaunchLine) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&bytes)?;
    out.flush()
}

struct Provider {
    command: Command,
    shown: String,
    /// Keeps the program open until it is executed.
    _file: Option<File>,
}

impl Provider {
    fn open(spec: &LaunchSpec, rest: &[OsString]) -> Result<Self, String> {
        let (name, arguments) = rest.split_first().ok_or("no program")?;
        let shown = Path::new(name).display().to_string();
        let (mut command, file) = match &spec.program {
            Program::Open(path) => {
                let file = File::open(path).map_err(|e| format!("{shown}: {e}"))?;
                (Command::new(format!("/proc/self/fd/{}", file.as_raw_fd())), Some(file))
            }
            Program::Path(path) => (Command::new(path), None),
        };
        command.arg0(name).args(arguments);
        Ok(Self { command, shown, _file: file })
    }

    fn failure(&self, error: &io::Error) -> String {
        format!("{}: {error}", self.shown)
    }
}

fn become_provider(command: &mut Command) -> Result<u8, String> {
    Err(command.exec().to_string())
}
