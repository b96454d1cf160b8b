//! Values of secrets: fetched from where a graph or plan says, held in memory, given to the sessions
//! that need them, and hidden from everything else.

use crate::{Engine, EngineError, files::read_regular};
use rectify_attest::TrustFile;
use rectify_base::{
    DigestKey, Secret, SecretName,
    limits::{SECRET_MAX_BYTES, SECRET_MIN_BYTES},
    secret_text,
};
use rectify_model::{
    graph::{SecretOrigin, SecretSource},
    plan::{Plan, PlanTarget},
};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Read},
    os::unix::{ffi::OsStringExt, fs::PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use zeroize::Zeroizing;

/// How long a command may take that prints a value; a person may have to unlock something first.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(20);

/// Values by name, as one session gets them.
pub type Values = BTreeMap<SecretName, Secret>;

/// Why a secret has no value. Nothing of what was found is in it.
#[derive(Debug, thiserror::Error)]
pub enum SecretProblem {
    #[error("{} cannot be read: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("others may read {} (mode {mode:04o})", path.display())]
    Readable { path: PathBuf, mode: u32 },
    #[error("the variable `{variable}` is not set")]
    Unset { variable: String },
    #[error("descriptor {fd} cannot be read: {source}")]
    Descriptor { fd: u32, source: io::Error },
    #[error("the trust file does not list the command `{command}`")]
    Untrusted { command: String },
    #[error("`{program}` {what}")]
    Command { program: String, what: String },
    #[error("its value {what}")]
    Unusable { what: String },
}

/// Fetches values, each source once.
pub struct Secrets<'e> {
    engine: &'e Engine,
    directory: &'e Path,
    commands: BTreeSet<Vec<String>>,
    /// Variables that hold secrets, which no command needs to see.
    variables: BTreeSet<String>,
    known: BTreeMap<SecretOrigin, Secret>,
}

impl<'e> Secrets<'e> {
    /// Nothing is fetched yet. Relative paths are below `directory`; without a trust file no command
    /// runs. `all` are the origins of whatever may be asked for.
    pub fn new<'o>(
        engine: &'e Engine,
        directory: &'e Path,
        trust: Option<&TrustFile>,
        all: impl IntoIterator<Item = &'o SecretOrigin>,
    ) -> Self {
        let commands = trust.map(|trust| trust.data().secret_commands.clone()).unwrap_or_default();
        let variable = |origin: &SecretOrigin| match &origin.from {
            SecretSource::Env(variable) => Some(variable.clone()),
            _ => None,
        };
        let variables = all.into_iter().filter_map(variable).collect();
        Self { engine, directory, commands, variables, known: BTreeMap::new() }
    }

    /// The values of these secrets. From now on they are hidden in whatever the engine lets out.
    ///
    /// # Errors
    /// [`EngineError::Secret`] for the first one without a usable value.
    pub fn values<'o>(
        &mut self,
        origins: impl IntoIterator<Item = (&'o SecretName, &'o SecretOrigin)>,
    ) -> Result<Values, EngineError> {
        let mut values = Values::new();
        for (name, origin) in origins {
            let value = match self.known.get(origin) {
                Some(value) => value.clone(),
                None => {
                    let value = self.fetch(origin).map_err(|problem| EngineError::Secret {
                        name: name.clone(),
                        problem: Box::new(problem),
                    })?;
                    self.known.insert(origin.clone(), value.clone());
                    value
                }
            };
            self.engine.redactor.hold(name, &value);
            values.insert(name.clone(), value);
        }
        Ok(values)
    }

    fn fetch(&self, origin: &SecretOrigin) -> Result<Secret, SecretProblem> {
        let bytes = match &origin.from {
            SecretSource::File(path) => file(&self.directory.join(path))?,
            SecretSource::Env(variable) => {
                let value = (self.engine.environment)(variable);
                let value = value.ok_or_else(|| SecretProblem::Unset { variable: variable.clone() })?;
                Zeroizing::new(value.into_vec())
            }
            SecretSource::Fd(fd) => descriptor(*fd)?,
            SecretSource::Command(argv) => {
                if !self.commands.contains(argv) {
                    return Err(SecretProblem::Untrusted { command: argv.join(" ") });
                }
                command(argv, &self.variables)?
            }
        };
        usable(bytes, origin.keep_newline)
    }
}

/// Checks and trims a value.
fn usable(bytes: Zeroizing<Vec<u8>>, keep_newline: bool) -> Result<Secret, SecretProblem> {
    let unusable = |what: String| Err(SecretProblem::Unusable { what });
    let Ok(text) = std::str::from_utf8(&bytes) else { return unusable("is not UTF-8".into()) };
    let trimmed = text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text));
    let text = trimmed.filter(|_| !keep_newline).unwrap_or(text);
    if text.len() > SECRET_MAX_BYTES {
        return unusable(format!("has more than {SECRET_MAX_BYTES} bytes"));
    }
    if text.len() < SECRET_MIN_BYTES {
        return unusable(format!(
            "has fewer than {SECRET_MIN_BYTES} bytes, too few to be hidden or to be a secret"
        ));
    }
    if text.contains('\0') {
        return unusable("holds a NUL".into());
    }
    Ok(Secret::new(text.to_owned()))
}

fn file(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretProblem> {
    let error = |source| SecretProblem::File { path: path.to_owned(), source };
    let mode = fs::metadata(path).map_err(error)?.permissions().mode() & 0o7777;
    if mode & 0o007 != 0 {
        return Err(SecretProblem::Readable { path: path.to_owned(), mode });
    }
    let bytes = read_regular(path, SECRET_MAX_BYTES + 2).map_err(error)?;
    Ok(Zeroizing::new(bytes.unwrap_or_else(|| vec![b'x'; SECRET_MAX_BYTES + 1])))
}

/// Reads a descriptor that was there from the start. Through its name, because only whoever opened
/// it may say that it is open.
fn descriptor(fd: u32) -> Result<Zeroizing<Vec<u8>>, SecretProblem> {
    let error = |source| SecretProblem::Descriptor { fd, source };
    let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_MAX_BYTES + 2));
    let file = fs::File::open(format!("/proc/self/fd/{fd}")).map_err(error)?;
    file.take(SECRET_MAX_BYTES as u64 + 2).read_to_end(&mut bytes).map_err(error)?;
    Ok(bytes)
}

/// What a command prints. It runs in the surroundings of whoever called us, as a password manager
/// needs; what it says on standard error is not kept, because it may be anything.
fn command(argv: &[String], without: &BTreeSet<String>) -> Result<Zeroizing<Vec<u8>>, SecretProblem> {
    let (program, arguments) = argv.split_first().map_or(("", argv), |(p, a)| (p.as_str(), a));
    let failed = |what: String| SecretProblem::Command { program: program.to_owned(), what };
    let mut command = Command::new(program);
    for variable in without {
        command.env_remove(variable);
    }
    let mut child = command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| failed(format!("cannot be started: {e}")))?;
    let reader = child.stdout.take().map(|mut stdout| {
        thread::spawn(move || {
            let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_MAX_BYTES + 2));
            let read = stdout.by_ref().take(SECRET_MAX_BYTES as u64 + 2).read_to_end(&mut bytes);
            read.map(|_| bytes)
        })
    });
    let status = wait(&mut child).map_err(&failed)?;
    if !status.success() {
        return Err(failed(format!("ended with {status}; run it by hand to see why")));
    }
    match reader.map(thread::JoinHandle::join) {
        Some(Ok(Ok(bytes))) => Ok(bytes),
        _ => Err(failed("printed nothing that can be read".into())),
    }
}

fn wait(child: &mut Child) -> Result<std::process::ExitStatus, String> {
    let begin = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if begin.elapsed() < COMMAND_TIME_MAX => thread::sleep(PAUSE),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("did not end within {} s", COMMAND_TIME_MAX.as_secs()));
            }
            Err(error) => return Err(format!("cannot be waited for: {error}")),
        }
    }
}

/// The secrets that properties name.
pub fn named<'p>(properties: impl IntoIterator<Item = &'p Map<String, Value>>) -> BTreeSet<SecretName> {
    let mut names = BTreeSet::new();
    for desired in properties {
        secret_text::names_in(desired, &mut |name| {
            names.insert(name);
        });
    }
    names
}

/// The values that the steps of a plan need on each of its targets, if they are those that it was
/// planned with. `key` gives the key of a target's digests.
///
/// # Errors
/// [`EngineError::Secret`] for one without a value; [`EngineError::SecretChanged`] for another value.
pub fn of_plan(
    secrets: &mut Secrets<'_>,
    plan: &Plan,
    mut key: impl FnMut(&rectify_base::TargetName, &PlanTarget) -> Result<DigestKey, EngineError>,
) -> Result<BTreeMap<rectify_base::TargetName, Values>, EngineError> {
    let mut all = BTreeMap::new();
    for (name, target) in &plan.targets {
        let steps = plan.steps.iter().filter(|step| step.target == *name);
        let wanted = named(steps.map(|step| &step.desired));
        if wanted.is_empty() {
            continue;
        }
        let planned = target.secrets.iter().filter(|(secret, _)| wanted.contains(*secret));
        let values = secrets.values(planned.clone().map(|(secret, planned)| (secret, &planned.origin)))?;
        let key = key(name, target)?;
        for (secret, planned) in planned {
            if values.get(secret).is_none_or(|value| key.digest(value.expose().as_bytes()) != planned.digest)
            {
                return Err(EngineError::SecretChanged { name: secret.clone(), target: name.clone() });
            }
        }
        all.insert(name.clone(), values);
    }
    Ok(all)
}

/// Refuses a document in which the value of a secret stands, before it is written anywhere.
///
/// # Errors
/// [`EngineError::SecretShown`].
pub fn none_in(engine: &Engine, what: &str, bytes: &[u8]) -> Result<(), EngineError> {
    match engine.redactor.now().found(bytes).into_iter().next() {
        None => Ok(()),
        Some(name) => Err(EngineError::SecretShown { name, what: what.to_owned() }),
    }
}
