//! Running commands: bounded in time and output, in a process group of their own, with an
//! environment that is made and not inherited.
//!
//! What leaves its process group (a daemon that starts a session of its own) is not followed while
//! the provider lives. All of it carries the mark of its operation, so that the engine can end it
//! where the provider cannot.

use crate::{Context, User};
use rectify_protocol::{ErrorCode, FINISHES_VARIABLE, ItemError, message::Output};
use rustix::{
    fs::{MemfdFlags, memfd_create},
    process::{Gid, Pid, Signal, Uid, WaitId, WaitIdOptions, kill_process_group, waitid},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};
use std::{
    collections::{BTreeMap, VecDeque},
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::{
        fs::{FileExt, PermissionsExt},
        process::{CommandExt, ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Where programs without a slash in their name are searched, and the `PATH` of every command.
pub const SEARCH_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// How much of each output stream is kept: its last bytes.
pub const OUTPUT_TAIL_BYTES: usize = 64 * 1024;
/// Time between the polite and the impolite end.
const TERMINATE_GRACE: Duration = Duration::from_secs(5);
/// How long output is awaited after the command ended, while something in the background may still
/// hold its pipe.
const OUTPUT_GRACE: Duration = Duration::from_millis(500);

/// A command to run.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// Program and arguments. The program is absolute, or a bare name in [`SEARCH_PATH`].
    pub argv: &'a [String],
    /// Variables beside `PATH`, `LANG=C.UTF-8`, `RECTIFY_ROOT` with a root directory, and
    /// `RECTIFY_OPERATION` in an operation ([`Context::mark`]), which cannot be replaced.
    pub environment: BTreeMap<String, String>,
    /// Working directory, a real path.
    pub directory: PathBuf,
    /// Who runs it. `None`: whoever the provider is.
    pub user: Option<User>,
    /// Standard input. `None`: empty.
    pub stdin: Option<&'a str>,
    /// When its process group is ended.
    pub deadline: Instant,
    /// Whether it comes to its end where the provider or the engine dies, and the next engine waits for it. For
    /// what would leave behind half of something. Who cancels the request ends it all the same.
    pub finishes: bool,
}

impl<'a> Run<'a> {
    /// A command with nothing on its standard input, in the directory that stands for `/`, until the request
    /// should have ended.
    #[must_use]
    pub fn new(cx: &Context, argv: &'a [String]) -> Self {
        Self {
            argv,
            environment: BTreeMap::new(),
            directory: cx.root().unwrap_or(Path::new("/")).to_owned(),
            user: None,
            stdin: None,
            deadline: cx.deadline(),
            finishes: false,
        }
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this exit code.
    Exited(i32),
    /// By a signal that we did not send.
    Signalled(i32),
    /// By us, at the deadline.
    TimedOut,
    /// By us, because the request was cancelled.
    Cancelled,
}

/// What came of a command that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub ended: Ended,
    /// What it printed. Texts that it was given on standard input are blotted out.
    pub output: Output,
}

impl Finished {
    /// What it printed, if it ended by itself with the exit code 0.
    ///
    /// # Errors
    /// `TIMEOUT`, `CANCELLED` or `FAILED`, with the end of what it printed; something may have been changed.
    pub fn success(self) -> Result<Output, ItemError> {
        let (code, how) = match self.ended {
            Ended::Exited(0) => return Ok(self.output),
            Ended::Exited(code) => (ErrorCode::Failed, format!("ended with the exit code {code}")),
            Ended::Signalled(signal) => (ErrorCode::Failed, format!("was ended by signal {signal}")),
            Ended::TimedOut => (ErrorCode::Timeout, "took too long".to_owned()),
            Ended::Cancelled => (ErrorCode::Cancelled, "was cancelled".to_owned()),
        };
        let said = [&self.output.stderr, &self.output.stdout]
            .into_iter()
            .find_map(|text| text.trim().lines().last());
        let said = said.map(|line| format!(": {line}")).unwrap_or_default();
        Err(ItemError::new(code, format!("the command {how}{said}"))
            .mutated(rectify_protocol::Mutated::Maybe))
    }
}

impl Context {
    /// Runs a command to its end, to its deadline, until the request is cancelled, or, unless it
    /// [`finishes`](Run::finishes), until the engine is gone; then its process group gets TERM, and KILL five
    /// seconds later.
    ///
    /// # Errors
    /// When it could not be started: `DEPENDENCY`, `PERMISSION`, `SCHEMA` or `FAILED`. It did
    /// nothing then.
    pub fn run(&self, run: &Run<'_>) -> Result<Finished, ItemError> {
        let outputs = if run.finishes { Some((unnamed()?, unnamed()?)) } else { None };
        let mut child = start(self, run, outputs.as_ref())?;
        self.touched();
        let input = child.stdin.take().map(|mut pipe| {
            let text = run.stdin.unwrap_or_default().to_owned();
            // A command that reads nothing breaks the pipe, as it may.
            thread::spawn(move || drop(pipe.write_all(text.as_bytes())))
        });
        let stdout = Tail::start(child.stdout.take());
        let stderr = Tail::start(child.stderr.take());
        let ended = self.attend(&mut child, run, &[&stdout, &stderr])?;
        let patience = Instant::now() + OUTPUT_GRACE;
        while !(stdout.ended() && stderr.ended()) && Instant::now() < patience {
            thread::sleep(Duration::from_millis(2));
        }
        // The writing thread ends with the pipe; a background process may hold it, so no join.
        drop(input);
        let ((stdout, cut_out), (stderr, cut_err)) = match outputs {
            None => (stdout.text(), stderr.text()),
            Some((out, err)) => (end_of(&out), end_of(&err)),
        };
        let output = Output {
            exit_code: match ended {
                Ended::Exited(code) => Some(code),
                Ended::Signalled(_) | Ended::TimedOut | Ended::Cancelled => None,
            },
            stdout: blot_out(stdout, cut_out, run.stdin),
            stderr: blot_out(stderr, cut_err, run.stdin),
            truncated: cut_out || cut_err,
        };
        Ok(Finished { ended, output })
    }

    /// Waits for the end, and makes one if it is due.
    fn attend(&self, child: &mut Child, run: &Run<'_>, pipes: &[&Tail]) -> Result<Ended, ItemError> {
        let lost = |e: io::Error| {
            ItemError::new(ErrorCode::UnknownOutcome, format!("the command cannot be waited for: {e}"))
                .mutated(rectify_protocol::Mutated::Maybe)
        };
        let group = Pid::from_child(child);
        let mut pause = Duration::from_millis(1);
        let reason = loop {
            if has_exited(group).map_err(lost)? {
                let status = child.wait().map_err(lost)?;
                return Ok(match (status.code(), status.signal()) {
                    (Some(code), _) => Ended::Exited(code),
                    (None, signal) => Ended::Signalled(signal.unwrap_or(0)),
                });
            }
            let stop = if run.finishes { self.stop.is_cancelled() } else { self.cancelled() };
            if stop {
                break Ended::Cancelled;
            }
            if Instant::now() >= run.deadline {
                break Ended::TimedOut;
            }
            thread::sleep(pause.min(run.deadline.saturating_duration_since(Instant::now())));
            pause = (pause * 2).min(Duration::from_millis(20));
        };
        // Until it is reaped below, the number of the group cannot be given to another.
        let _ = kill_process_group(group, Signal::TERM);
        let patience = Instant::now() + TERMINATE_GRACE;
        while Instant::now() < patience {
            if has_exited(group).map_err(lost)? && pipes.iter().all(|pipe| pipe.ended()) {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = kill_process_group(group, Signal::KILL);
        child.wait().map_err(lost)?;
        Ok(reason)
    }
}

/// Whether the process has ended, without reaping it.
fn has_exited(pid: Pid) -> io::Result<bool> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    Ok(waitid(WaitId::Pid(pid), options)?.is_some())
}

/// A file in memory for what a command prints that may outlive us: who writes to a pipe that nobody reads any
/// more is ended by that.
fn unnamed() -> Result<File, ItemError> {
    memfd_create("output", MemfdFlags::CLOEXEC)
        .map(File::from)
        .map_err(|e| ItemError::new(ErrorCode::Failed, format!("there is no place for its output: {e}")))
}

/// The end of what was printed into such a file, and whether there was more.
fn end_of(file: &File) -> (String, bool) {
    let length = file.metadata().map_or(0, |found| found.len());
    let from = length.saturating_sub(u64::try_from(OUTPUT_TAIL_BYTES).unwrap_or(u64::MAX));
    let mut bytes = vec![0; usize::try_from(length - from).unwrap_or(0)];
    let read = file.read_at(&mut bytes, from).unwrap_or(0);
    bytes.truncate(read);
    (String::from_utf8_lossy(&bytes).into_owned(), from > 0)
}

fn start(cx: &Context, run: &Run<'_>, outputs: Option<&(File, File)>) -> Result<Child, ItemError> {
    let (name, arguments) = run
        .argv
        .split_first()
        .ok_or_else(|| ItemError::new(ErrorCode::Schema, "an argv has at least the program").at("/argv"))?;
    let program = find_program(name)?;
    let mut command = Command::new(&program);
    command
        .args(arguments)
        .arg0(name)
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .env("LANG", "C.UTF-8")
        .envs(cx.root().map(|root| ("RECTIFY_ROOT", root)))
        .envs(&run.environment)
        // Last, so that no step can pass for another operation.
        .envs(cx.mark())
        // A step's own environment does not decide who may end it.
        .env_remove(FINISHES_VARIABLE)
        .envs(run.finishes.then_some((FINISHES_VARIABLE, "1")))
        .current_dir(&run.directory)
        .process_group(0)
        .stdin(if run.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
    let stream = |file: Option<&File>| match file {
        None => Ok(Stdio::piped()),
        Some(file) => file.try_clone().map(Stdio::from),
    };
    let lost =
        |e: io::Error| ItemError::new(ErrorCode::Failed, format!("there is no place for its output: {e}"));
    command.stdout(stream(outputs.map(|(out, _)| out)).map_err(lost)?);
    command.stderr(stream(outputs.map(|(_, err)| err)).map_err(lost)?);
    let spawned = match &run.user {
        None => command.spawn(),
        // In Linux a thread has credentials of its own, and its child inherits them. So this thread
        // becomes the user, starts the command, and is gone.
        Some(user) => thread::scope(|scope| {
            let child = scope.spawn(|| become_user(user).and_then(|()| command.spawn()));
            child.join().unwrap_or_else(|_| Err(io::Error::other("the starting thread failed")))
        }),
    };
    spawned.map_err(|e| {
        let code = match e.kind() {
            io::ErrorKind::PermissionDenied => ErrorCode::Permission,
            io::ErrorKind::NotFound => ErrorCode::Dependency,
            _ => ErrorCode::Failed,
        };
        ItemError::new(code, format!("`{}` cannot be started: {e}", program.display()))
    })
}

fn become_user(user: &User) -> io::Result<()> {
    let groups: Vec<Gid> = user.groups.iter().copied().map(Gid::from_raw).collect();
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    let already = rustix::process::getuid() == uid
        && rustix::process::getgid() == gid
        && !rustix::process::geteuid().is_root();
    if already {
        return Ok(());
    }
    set_thread_groups(&groups)?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

fn find_program(name: &str) -> Result<PathBuf, ItemError> {
    let path = Path::new(name);
    if path.is_absolute() {
        return Ok(path.into());
    }
    if name.is_empty() || name.contains('/') {
        let message = format!("the program `{name}` is neither absolute nor a bare name");
        return Err(ItemError::new(ErrorCode::Schema, message).at("/argv/0"));
    }
    let executable =
        |path: &PathBuf| fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    SEARCH_PATH.split(':').map(|dir| Path::new(dir).join(name)).find(executable).ok_or_else(|| {
        ItemError::new(ErrorCode::Dependency, format!("there is no program `{name}` in {SEARCH_PATH}"))
    })
}

/// The last bytes of a stream, gathered by a thread.
struct Tail {
    kept: Arc<Mutex<Kept>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Kept {
    bytes: VecDeque<u8>,
    cut: bool,
}

impl Tail {
    fn start(pipe: Option<impl Read + Send + 'static>) -> Self {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let sink = Arc::clone(&kept);
        let thread = pipe.map(|mut pipe| {
            thread::spawn(move || {
                let mut buffer = vec![0; 16 * 1024];
                loop {
                    match pipe.read(&mut buffer) {
                        Ok(0) => return,
                        Ok(n) => sink.lock().unwrap_or_else(PoisonError::into_inner).add(buffer.get(..n)),
                        Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                        Err(_) => return,
                    }
                }
            })
        });
        Self { kept, thread }
    }

    fn ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// What is kept, and whether there was or may be more.
    fn text(&self) -> (String, bool) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = kept.bytes.iter().copied().collect();
        (String::from_utf8_lossy(&bytes).into_owned(), kept.cut || !self.ended())
    }
}

impl Kept {
    fn add(&mut self, bytes: Option<&[u8]>) {
        self.bytes.extend(bytes.unwrap_or_default());
        let surplus = self.bytes.len().saturating_sub(OUTPUT_TAIL_BYTES);
        if surplus > 0 {
            self.bytes.drain(..surplus);
            self.cut = true;
        }
    }
}

/// Shortest text of standard input that is blotted out; shorter ones would blot out everything.
const BLOT_MIN_BYTES: usize = 6;

/// Standard input is the way for secrets to get into a command, so no line of it may come out.
fn blot_out(mut text: String, cut: bool, stdin: Option<&str>) -> String {
    let Some(stdin) = stdin else { return text };
    if cut {
        // The first line may be the end of a secret whose beginning was cut off.
        text = text.split_once('\n').map_or(String::new(), |(_, rest)| rest.to_owned());
    }
    for line in stdin.lines().map(str::trim) {
        if line.len() >= BLOT_MIN_BYTES {
            text = text.replace(line, "(standard input)");
        }
    }
    text
}
