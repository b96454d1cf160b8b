//! Policies in a child process. Rego can loop, exhaust memory and overflow the stack, and no limit
//! inside the interpreter catches all of it; so a bundle is only ever evaluated in a process that
//! may die. Whatever happens to it, the plan is denied and the engine lives on.
//!
//! The child is the engine's own executable, started for [`child_main`]. It limits itself before
//! it reads a byte of the request: from there on it holds nothing worth stealing (no environment,
//! no file, no argument of the user) and can open nothing.

mod child;
mod zones;

pub use child::child_main;
pub use zones::CompiledZones;

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use rectify_base::Code;
use rectify_model::Decision;
use rectify_policy::{
    Bundle, PolicyError, codes,
    report::{Explanation, TestReport},
    wire::{self, Outcome, Question},
};
use std::{
    ffi::OsString, io, os::unix::process::ExitStatusExt, path::Path, process::ExitStatus, process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
};

/// Most address space of the child, with its own code and stack.
pub const MEMORY_MAX_BYTES: u64 = 256 * 1024 * 1024;
/// Most processor time of the child.
pub const CPU_MAX_S: u64 = 2;
/// Most time from start to answer. It is for a child that waits instead of computing; one that computes
/// is stopped by its processor time, however much else the machine has to do.
pub const WALL_MAX: Duration = Duration::from_secs(10);
/// Largest stack of the child.
pub const STACK_MAX_BYTES: u64 = 8 * 1024 * 1024;
/// Largest request: half of what the child may have could not be evaluated anyway.
pub const REQUEST_MAX_BYTES: usize = 128 * 1024 * 1024;
/// Largest answer that is read.
pub const ANSWER_MAX_BYTES: u64 = 16 * 1024 * 1024;
/// How much of what the child says on its standard error is kept.
const COMPLAINT_MAX_BYTES: u64 = 16 * 1024;
/// How long a killed child may take to be gone.
const REAP_MAX: Duration = Duration::from_millis(250);

/// Why there is no decision. Each of these means: denied.
#[derive(Debug, thiserror::Error)]
pub enum PolicyHostError {
    /// The policy was refused, or ended in an error.
    #[error(transparent)]
    Refused(#[from] PolicyError),
    /// The process could not be started.
    #[error("the process that evaluates policies did not start")]
    Start(#[source] io::Error),
    /// It took too long.
    #[error("the policy did not finish within {CPU_MAX_S} s of processor time and {} s in all", WALL_MAX.as_secs())]
    Timeout,
    /// It wanted too much memory.
    #[error("the policy wanted more than {} MiB of memory", MEMORY_MAX_BYTES / 1024 / 1024)]
    Memory,
    /// It brought the process down.
    #[error("the policy brought its process down ({how})")]
    Crashed {
        /// The signal or exit code, and the last words.
        how: String,
    },
    /// The process did not answer as agreed.
    #[error("the process that evaluates policies did not answer as agreed: {0}")]
    Answer(String),
}

impl PolicyHostError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Refused(error) => error.code,
            Self::Start(_) => codes::POLICY_CHILD,
            Self::Timeout => codes::POLICY_TIMEOUT,
            Self::Memory => codes::POLICY_MEMORY,
            Self::Crashed { .. } => codes::POLICY_CRASHED,
            Self::Answer(_) => codes::POLICY_ANSWER,
        }
    }

    /// Where, if the policy itself was refused.
    #[must_use]
    pub fn place(&self) -> &str {
        match self {
            Self::Refused(error) => &error.place,
            _ => "",
        }
    }
}

/// Decides on an [input](rectify_policy::input()) by a bundle, in a child: `program arguments…` must
/// end up in [`child_main`].
///
/// # Errors
/// [`PolicyHostError`] for everything that is not a decision.
pub async fn evaluate(
    program: &Path,
    arguments: &[OsString],
    bundle: &Bundle,
    input: &serde_json::Value,
) -> Result<Decision, PolicyHostError> {
    let outcome = ask(program, arguments, wire::request(Question::Decide, bundle, Some(input))?).await?;
    let Outcome::Decided(decision) = outcome else {
        return Err(PolicyHostError::Answer("a check instead of a decision".to_owned()));
    };
    // The child is not trusted to know what it was asked, nor that a refusal wins.
    if decision.bundle != bundle.digest() {
        return Err(PolicyHostError::Answer("a decision by another bundle".to_owned()));
    }
    if decision.allowed && !decision.deny.is_empty() {
        return Err(PolicyHostError::Answer("allowed in spite of a refusal".to_owned()));
    }
    Ok(decision)
}

/// Checks a bundle without an input, in a child.
///
/// # Errors
/// As for [`evaluate`].
pub async fn check(program: &Path, arguments: &[OsString], bundle: &Bundle) -> Result<(), PolicyHostError> {
    match ask(program, arguments, wire::request(Question::Decide, bundle, None)?).await? {
        Outcome::Checked => Ok(()),
        _ => Err(PolicyHostError::Answer("something else than a check".to_owned())),
    }
}

/// Runs the tests of a bundle, in a child.
///
/// # Errors
/// As for [`evaluate`].
pub async fn test(
    program: &Path,
    arguments: &[OsString],
    bundle: &Bundle,
) -> Result<TestReport, PolicyHostError> {
    match ask(program, arguments, wire::request(Question::Test, bundle, None)?).await? {
        Outcome::Tested(report) => Ok(report),
        _ => Err(PolicyHostError::Answer("something else than a report of tests".to_owned())),
    }
}

/// Decides as [`evaluate`] does, and says what each rule did.
///
/// # Errors
/// As for [`evaluate`].
pub async fn explain(
    program: &Path,
    arguments: &[OsString],
    bundle: &Bundle,
    input: &serde_json::Value,
) -> Result<Explanation, PolicyHostError> {
    match ask(program, arguments, wire::request(Question::Explain, bundle, Some(input))?).await? {
        Outcome::Explained(explanation) => Ok(explanation),
        _ => Err(PolicyHostError::Answer("something else than an explanation".to_owned())),
    }
}

/// What a child left behind.
struct Remains {
    status: ExitStatus,
    answer: Vec<u8>,
    complaint: Vec<u8>,
}

async fn ask(program: &Path, arguments: &[OsString], request: Vec<u8>) -> Result<Outcome, PolicyHostError> {
    if request.len() > REQUEST_MAX_BYTES {
        let message = format!("more than {REQUEST_MAX_BYTES} bytes of bundle and input");
        return Err(PolicyError::new(codes::POLICY_TOO_LARGE, "", message).into());
    }
    let remains = ask_one(program, arguments, &request).await?;
    if !ended_by_another(remains.status) {
        return judge(&remains);
    }
    tracing::warn!(status = %remains.status, "somebody ended the process that evaluates policies; asking another");
    judge(&ask_one(program, arguments, &request).await?)
}

/// Whether a process was ended by a signal that a policy can neither send nor get for what it does: somebody killed
/// it, or the machine had no memory left. That says nothing about a plan, and a run that is being resumed would be
/// taken back for it.
fn ended_by_another(status: ExitStatus) -> bool {
    const SENT: [Signal; 4] = [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];
    status.signal().is_some_and(|signal| SENT.iter().any(|sent| *sent as i32 == signal))
}

async fn ask_one(program: &Path, arguments: &[OsString], request: &[u8]) -> Result<Remains, PolicyHostError> {
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(PolicyHostError::Start)?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let talked = tokio::time::timeout(WALL_MAX, talk(&mut child, request)).await;
    if !matches!(talked, Ok(Ok(_))) {
        if let Some(group) = group {
            // It may be gone already, which is as good.
            let _ = killpg(group, Signal::SIGKILL);
        }
        // So that no zombie is left; `kill_on_drop` takes over if this takes too long.
        let _ = tokio::time::timeout(REAP_MAX, child.wait()).await;
    }
    match talked {
        Err(_) => Err(PolicyHostError::Timeout),
        Ok(Err(error)) => Err(PolicyHostError::Answer(error.to_string())),
        Ok(Ok(remains)) => Ok(remains),
    }
}

async fn talk(child: &mut Child, request: &[u8]) -> io::Result<Remains> {
    let missing = || io::Error::other("a standard stream is missing");
    let mut stdin = child.stdin.take().ok_or_else(missing)?;
    let stdout = child.stdout.take().ok_or_else(missing)?;
    let stderr = child.stderr.take().ok_or_else(missing)?;
    let write = async move {
        // A child that dies early breaks the pipe; how it died says more than that.
        let _ = stdin.write_all(request).await;
        drop(stdin);
    };
    let ((), answer, complaint) =
        tokio::join!(write, read(stdout, ANSWER_MAX_BYTES), read(stderr, COMPLAINT_MAX_BYTES));
    Ok(Remains { answer: answer?, complaint: complaint?, status: child.wait().await? })
}

/// Keeps the beginning and swallows the rest, so that the writer never has to wait.
async fn read(mut from: impl AsyncRead + Unpin, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    (&mut from).take(max_bytes).read_to_end(&mut kept).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(kept)
}

fn judge(remains: &Remains) -> Result<Outcome, PolicyHostError> {
    if remains.status.success() {
        return match wire::read(&remains.answer) {
            Err(error) if error.code == codes::POLICY_ANSWER => Err(PolicyHostError::Answer(error.message)),
            other => Ok(other?),
        };
    }
    let complaint = String::from_utf8_lossy(&remains.complaint);
    // How the standard library reports an allocation that failed, just before it aborts.
    let out_of_memory = complaint.lines().any(|line| line.starts_with("memory allocation of "));
    match remains.status.signal() {
        Some(signal) if signal == Signal::SIGXCPU as i32 => Err(PolicyHostError::Timeout),
        Some(signal) if signal == Signal::SIGABRT as i32 && out_of_memory => Err(PolicyHostError::Memory),
        _ => {
            let words: String = complaint
                .lines()
                .find(|line| !line.trim().is_empty())
                .unwrap_or("")
                .chars()
                .filter(|c| !c.is_control())
                .take(200)
                .collect();
            let how = if words.is_empty() {
                remains.status.to_string()
            } else {
                format!("{}: {words}", remains.status)
            };
            Err(PolicyHostError::Crashed { how })
        }
    }
}
