//! The use cases: init, validate, plan, diff, seal, approve, apply, verify, history.
//!
//! Nothing here prints, prompts, or reads the environment or the home directory: places, clock,
//! providers and entropy come in through [`Engine`], and what happens goes out as [`Event`]s and
//! return values.

pub mod apply;
pub mod artifact;
pub mod audit;
pub mod codes;
pub mod error;
pub mod events;
pub mod facts;
pub mod files;
pub mod gate;
pub mod history;
pub mod identity;
pub mod init;
pub mod lease;
pub mod lock;
pub mod observe;
pub mod owed;
pub mod plan;
pub mod project;
pub mod project_key;
pub mod providers;
pub mod resolve;
pub mod retention;
pub mod review;
pub mod rundir;
pub mod seal;
pub mod secrets;
pub mod show;
pub mod undo;
pub mod validate;
pub mod verify;

pub use rectify_compile as compiler;

pub use error::EngineError;
pub use events::{Event, Events};
pub use providers::{Provider, Providers};

pub use rectify_host::Redactor;

use rectify_host::Launcher;
use std::{ffi::OsString, path::PathBuf};

/// What every use case needs from outside.
pub struct Engine {
    /// The providers that can be started.
    pub providers: Providers,
    /// How the confining launcher and the policy child are started.
    pub helpers: Helpers,
    /// Where trust and state live.
    pub places: Places,
    /// Wall clock: milliseconds since 1970-01-01 UTC. Only ever used to refuse.
    pub now_ms: fn() -> u64,
    /// A variable of the environment, for secrets that come from there.
    pub environment: fn(&str) -> Option<OsString>,
    /// Holds the values of secrets that this process has seen. Whoever shows or keeps texts for it hides
    /// them.
    pub redactor: Redactor,
    /// Who listens.
    pub events: Box<dyn Events>,
}

/// Children of the engine that are not providers.
pub struct Helpers {
    /// The program that evaluates policy when called with `policy_arguments`.
    pub policy: PathBuf,
    /// See `policy`.
    pub policy_arguments: Vec<OsString>,
    /// What confines providers.
    pub launcher: Launcher,
}

/// Places outside any project.
#[derive(Clone, Debug)]
pub struct Places {
    /// The trust file.
    pub trust: PathBuf,
    /// Journal, ledgers and before-images.
    pub state: PathBuf,
    /// The project's key, where it is not in the project.
    pub project_key: Option<PathBuf>,
}

/// Whether this process may do everything.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
