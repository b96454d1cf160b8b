//! Starting the process: the private directories, the environment, the launcher.

use crate::{
    confine::{LaunchSpec, Program},
    error::Fault,
    executable::Source,
    spec::SessionSpec,
};
use rectify_protocol::{COOKIE_VARIABLE, message::Mode};
use std::{
    ffi::OsString,
    fs,
    io::{self, Write},
    os::unix::{
        fs::{MetadataExt, OpenOptionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Search path of providers and of the commands that they run. Not the engine's own, so that
/// everybody gets the same.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Directory in the work directory for a script's copy.
const SCRIPT_DIRECTORY: &str = ".rectify";

/// A program that passes its arguments to [`confine_main`](crate::confine_main).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launcher {
    /// The program.
    pub program: PathBuf,
    /// The arguments that make it do so.
    pub arguments: Vec<OsString>,
}

impl Default for Launcher {
    /// The program that is running now, with its hidden subcommand `confine`.
    fn default() -> Self {
        Self { program: PathBuf::from("/proc/self/exe"), arguments: vec!["confine".into()] }
    }
}

/// Checks that the private directories are there and private.
pub(crate) fn check_directories(spec: &SessionSpec) -> Result<(), Fault> {
    let refuse = |path: &str, reason: &str| Fault::Directories { path: path.into(), reason: reason.into() };
    let dirs = &spec.dirs;
    for (path, optional) in [
        (&dirs.work, false),
        (&dirs.state, spec.mode != Mode::Apply),
        (&dirs.blobs, spec.mode != Mode::Apply),
    ] {
        if path.is_empty() && optional {
            continue;
        }
        if !Path::new(path).is_absolute() {
            return Err(refuse(path, "it is not an absolute path"));
        }
        let metadata = fs::symlink_metadata(path).map_err(|e| refuse(path, &e.to_string()))?;
        if !metadata.is_dir() {
            return Err(refuse(path, "it is not a directory"));
        }
        if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o077 != 0 {
            return Err(refuse(path, "others than the engine's user may use it; mode 0700 is expected"));
        }
    }
    let mut entries = fs::read_dir(&dirs.work).map_err(|e| refuse(&dirs.work, &e.to_string()))?;
    if entries.next().is_some() {
        return Err(refuse(&dirs.work, "it is not empty"));
    }
    Ok(())
}

/// Starts the launcher, in a process group of its own.
pub(crate) fn spawn(spec: &SessionSpec, launch: &str) -> Result<Child, Fault> {
    spawn_with(spec, launch, &[])
}

/// The same with more in its environment.
pub(crate) fn spawn_with(
    spec: &SessionSpec,
    launch: &str,
    environment: &[(&str, &str)],
) -> Result<Child, Fault> {
    if spec.confine && spec.mode == Mode::Apply {
        return Err(Fault::Launch("a session that applies cannot be confined".into()));
    }
    let work = fs::canonicalize(&spec.dirs.work)
        .map_err(|e| Fault::Directories { path: spec.dirs.work.clone(), reason: e.to_string() })?;
    let failed = |e: io::Error| Fault::Launch(format!("{}: {e}", spec.launcher.program.display()));
    let program = match spec.program.source() {
        Source::Open(path) => Program::Open(path),
        Source::Write(bytes) => Program::Path(write_script(&work, &bytes).map_err(failed)?),
    };
    let launch_spec = LaunchSpec {
        launch: launch.into(),
        work: work.clone(),
        program,
        confine: spec.confine,
        allow_unconfined: spec.allow_unconfined,
        mount_namespace: spec.methods.mount_namespace,
        landlock: spec.methods.landlock,
        outer: None,
    };
    let json = serde_json::to_string(&launch_spec).map_err(|e| Fault::Launch(e.to_string()))?;
    let name = spec.program.path().file_name().unwrap_or(spec.program.path().as_os_str());
    let mut command = Command::new(&spec.launcher.program);
    command
        .args(&spec.launcher.arguments)
        .arg("--spec")
        .arg(json)
        .arg("--")
        .arg(name)
        .args(&spec.arguments)
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .env("LANG", "C.UTF-8")
        .env("TZ", "UTC")
        .env(COOKIE_VARIABLE, "1")
        .envs(environment.iter().copied())
        .current_dir(work)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    #[cfg(feature = "crash-points")]
    command.envs(crate::crash::variables());
    command.spawn().map_err(failed)
}

fn write_script(work: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let directory = work.join(SCRIPT_DIRECTORY);
    fs::create_dir(&directory)?;
    let path = directory.join("provider");
    let mut file = fs::File::options().write(true).create_new(true).mode(0o500).open(&path)?;
    file.write_all(bytes)?;
    Ok(path)
}
