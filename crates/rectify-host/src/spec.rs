//! What a session is to be.

use crate::{executable::Executable, launch::Launcher, redactor::Redactor};
use rectify_base::{DigestKey, Secret, SecretName};
use rectify_protocol::{
    Manifest,
    message::{Directories, Mode},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fmt,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

/// How to start one provider session.
#[derive(Clone, Debug)]
pub struct SessionSpec {
    /// The program.
    pub program: Executable,
    /// Its arguments: `serve --stdio`, or `provider serve NAME` for a built-in.
    pub arguments: Vec<OsString>,
    /// The manifest that it must have.
    pub manifest: Manifest,
    /// What the session may do.
    pub mode: Mode,
    /// Directory that stands for `/`.
    pub root: Option<PathBuf>,
    /// Commands that may run in a plan session.
    pub plan_commands: Vec<Vec<String>>,
    /// Key of digests of what others may not read.
    pub digest_key: Option<DigestKey>,
    /// Values of the secrets that properties may name.
    pub secrets: BTreeMap<SecretName, Secret>,
    /// What is hidden in everything that comes from the provider.
    pub redactor: Redactor,
    /// Private directories: absolute paths, mode 0700; `work` is empty and becomes the working
    /// directory, `state` and `blobs` may be empty strings unless the mode is `apply`.
    pub dirs: Directories,
    /// Whether to keep the process from changing anything but its work directory. Not for `apply`.
    pub confine: bool,
    /// Whether to go on where the system offers no complete confinement.
    pub allow_unconfined: bool,
    /// Which ways of confinement may be used.
    pub methods: Methods,
    /// What applies the confinement.
    pub launcher: Launcher,
    /// Time limits.
    pub timings: Timings,
    /// Who hears of progress and log records; `tracing` hears of them anyway.
    pub observer: Option<Observer>,
}

impl SessionSpec {
    /// A session of an external provider; confined unless the mode is `apply`.
    #[must_use]
    pub fn new(program: Executable, manifest: Manifest, mode: Mode, dirs: Directories) -> Self {
        Self {
            program,
            arguments: ["serve", "--stdio"].map(OsString::from).to_vec(),
            manifest,
            mode,
            root: None,
            plan_commands: Vec::new(),
            digest_key: None,
            secrets: BTreeMap::new(),
            redactor: Redactor::default(),
            dirs,
            confine: mode != Mode::Apply,
            allow_unconfined: false,
            methods: Methods::default(),
            launcher: Launcher::default(),
            timings: Timings::default(),
            observer: None,
        }
    }

    /// A session of a provider that is part of this very program: `rectify provider serve NAME`.
    #[must_use]
    pub fn builtin(manifest: Manifest, mode: Mode, dirs: Directories) -> Self {
        let arguments = ["provider", "serve", &manifest.name].map(OsString::from).to_vec();
        Self { arguments, ..Self::new(Executable::current(), manifest, mode, dirs) }
    }
}

/// Ways of confinement. Both together are the default; each alone must hold too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Methods {
    /// A private mount namespace, read-only, and a process namespace. Needs root.
    pub mount_namespace: bool,
    /// Landlock, ABI 3 or later.
    pub landlock: bool,
}

impl Default for Methods {
    fn default() -> Self {
        Self { mount_namespace: true, landlock: true }
    }
}

/// Time limits of a session. The defaults are the protocol's; tests shorten them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// From the start to the greeting.
    pub handshake: Duration,
    /// Silence after which the provider is asked for a sign of life.
    pub ping: Duration,
    /// From the polite signal to the one that cannot be ignored.
    pub kill: Duration,
    /// From the deadline of an operation, when it is cancelled, to the end of patience.
    pub apply_grace: Duration,
    /// From the end of the stream to the exit.
    pub exit: Duration,
    /// Longest wait for one batch, whatever the manifest says.
    pub batch_max: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            ping: Duration::from_secs(5),
            kill: Duration::from_secs(5),
            apply_grace: Duration::from_secs(5),
            exit: Duration::from_secs(10),
            batch_max: Duration::from_secs(600),
        }
    }
}

/// Something that a provider said by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Progress of an operation.
    Progress {
        /// The operation, if it is one that changes something.
        op_id: Option<String>,
        /// What is going on.
        message: String,
    },
    /// A log record.
    Log {
        /// `error`, `warn`, `info`, `debug` or `trace`.
        level: String,
        /// The record.
        message: String,
    },
    /// It wrote the value of a secret where none belongs; the value was hidden.
    Leak {
        /// Whose value.
        secrets: BTreeSet<SecretName>,
        /// Where: `answer`, `log`, `progress` or `stderr`.
        place: &'static str,
    },
}

/// Hears what a provider says by itself. Called from the reading task; it must not block.
#[derive(Clone)]
pub struct Observer(pub Arc<dyn Fn(Notice) + Send + Sync>);

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}
