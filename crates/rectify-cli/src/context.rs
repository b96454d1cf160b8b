//! What the command line reads from its surroundings: places, clock, logging.

use crate::{arguments::Arguments, builtin, listen::Listener, say};
use rectify_engine::{Engine, Helpers, Places, Providers};
use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};
use tracing_subscriber::fmt::format::FmtSpan;

/// Makes the engine for this process.
pub fn engine(arguments: &Arguments) -> Engine {
    let launcher = rectify_host::Launcher::default();
    Engine {
        providers: Providers::new(builtin::providers()),
        helpers: Helpers {
            policy: launcher.program.clone(),
            policy_arguments: vec!["policy-child".into()],
            launcher,
        },
        places: Places {
            trust: arguments.trust.clone().unwrap_or_else(|| configuration().join("trust.yaml")),
            state: arguments.state.clone().unwrap_or_else(state),
            project_key: arguments.project_key.clone(),
        },
        now_ms,
        environment: |name| std::env::var_os(name),
        redactor: say::redactor().clone(),
        events: Box::new(Listener { json: arguments.events, verbose: arguments.verbose > 0 }),
    }
}

fn configuration() -> PathBuf {
    base("XDG_CONFIG_HOME", ".config", "/etc")
}

fn state() -> PathBuf {
    base("XDG_STATE_HOME", ".local/state", "/var/lib")
}

/// Root's files have one place, whoever became root and however: with `sudo -E` the environment is
/// that of another user, and a second journal would let a permission be used twice.
fn base(variable: &str, below_home: &str, without_home: &str) -> PathBuf {
    if rectify_engine::is_root() {
        return Path::new(without_home).join("rectify");
    }
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set(variable)
        .or_else(|| set("HOME").map(|home| home.join(below_home)))
        .unwrap_or_else(|| without_home.into())
        .join("rectify")
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Sends log records to standard error.
pub fn start_tracing(verbose: u8, json: bool) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("RECTIFY_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| crate::say::Log)
        // Who asks for that much wants to know where the time goes.
        .with_span_events(if verbose > 1 { FmtSpan::CLOSE } else { FmtSpan::NONE })
        .with_ansi(std::io::stderr().is_terminal());
    if json { builder.json().init() } else { builder.init() }
}
