//! Asking a command whether a new content is good, before it replaces the old one.

use crate::errors::conflict;
use rectify_sdk::{
    Context,
    protocol::{ErrorCode, ItemError},
};
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    io::{self, PipeReader, Read},
    os::{
        fd::{AsFd, AsRawFd},
        unix::{
            ffi::{OsStrExt, OsStringExt},
            fs::MetadataExt,
            process::{CommandExt, ExitStatusExt},
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

/// Longest time for the command.
pub(crate) const TIME_MAX: Duration = Duration::from_secs(60);
/// How much of what it prints is kept.
const OUTPUT_MAX_BYTES: usize = 4096;
/// How long its last words may take to arrive once it has ended.
const OUTPUT_GRACE: Duration = Duration::from_millis(500);
/// The only variables of its environment, beside the mark of the operation.
const ENVIRONMENT: [(&str, &str); 2] = [("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("LC_ALL", "C")];

/// The path by which a child process finds a file that we hold open, in a directory that we hold
/// open.
pub(crate) fn path_of(dir: impl AsFd, name: &str, file: impl AsFd) -> Result<PathBuf, ItemError> {
    let lost = |why: String| conflict(format!("the candidate has no path that can be checked: {why}"));
    let dir = std::fs::read_link(format!("/proc/self/fd/{}", dir.as_fd().as_raw_fd()))
        .map_err(|e| lost(e.to_string()))?;
    let path = dir.join(name);
    let named = std::fs::symlink_metadata(&path).map_err(|e| lost(e.to_string()))?;
    let held = rustix::fs::fstat(file).map_err(|e| lost(e.to_string()))?;
    #[expect(clippy::useless_conversion, reason = "the widths differ between architectures")]
    let same = (named.dev(), named.ino()) == (held.st_dev.into(), held.st_ino.into());
    if same { Ok(path) } else { Err(lost("the directory was moved".into())) }
}

/// Runs the command on the candidate. `private`: what it prints is not shown, because it may quote
/// a content that others may not read.
///
/// # Errors
/// When it cannot be run, ends with another code than 0, or takes too long. Nothing was changed.
pub(crate) fn check(
    cx: &Context,
    argv: &[String],
    candidate: &Path,
    private: bool,
    limit: Duration,
) -> Result<(), ItemError> {
    let Some((program, arguments)) = argv.split_first() else { return Ok(()) };
    let failed = |what: &str, e: io::Error| {
        ItemError::new(ErrorCode::Dependency, format!("`{program}` cannot be {what}: {e}")).at("/validate")
    };
    cx.progress(format!("asking `{program}` about the new content"));
    let (reader, writer) = io::pipe().map_err(|e| failed("started", e))?;
    let again = writer.try_clone().map_err(|e| failed("started", e))?;
    let mut command = Command::new(program);
    command
        .args(arguments.iter().map(|argument| fill(argument, candidate)))
        .env_clear()
        .envs(ENVIRONMENT)
        .envs(cx.mark())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(again)
        .process_group(0);
    let mut child = command.spawn().map_err(|e| failed("started", e))?;
    // It holds our ends of the pipe, without which the end of the output would never come.
    drop(command);
    let output = tail(reader);
    let ended = wait(cx, &mut child, limit.min(TIME_MAX)).map_err(|e| failed("waited for", e))?;
    let said = || {
        if private {
            return "; what it printed is not shown, because others may not read the file".to_owned();
        }
        let bytes = output.recv_timeout(OUTPUT_GRACE).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        if text.trim().is_empty() { String::new() } else { format!(": {}", text.trim()) }
    };
    let error = |code, message: String| Err(ItemError::new(code, message).at("/validate"));
    match ended {
        Ended::Status(status) if status.success() => Ok(()),
        Ended::Status(status) => {
            let how = match (status.code(), status.signal()) {
                (Some(code), _) => format!("ended with code {code}"),
                (None, Some(signal)) => format!("was ended by signal {signal}"),
                (None, None) => "failed".into(),
            };
            error(ErrorCode::Failed, format!("the new content is refused: `{program}` {how}{}", said()))
        }
        Ended::Late => error(
            ErrorCode::Timeout,
            format!(
                "`{program}` took longer than {} s about the new content{}",
                limit.min(TIME_MAX).as_secs(),
                said()
            ),
        ),
        Ended::Cancelled => error(ErrorCode::Cancelled, format!("cancelled while `{program}` was asked")),
    }
}

fn fill(argument: &str, candidate: &Path) -> OsString {
    let mut parts = argument.split("%s");
    let mut out = parts.next().unwrap_or("").as_bytes().to_vec();
    for part in parts {
        out.extend_from_slice(OsStr::as_bytes(candidate.as_os_str()));
        out.extend_from_slice(part.as_bytes());
    }
    OsString::from_vec(out)
}

/// Reads to the end on a thread of its own and sends the last bytes.
fn tail(mut reader: PipeReader) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut kept: VecDeque<u8> = VecDeque::new();
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = reader.read(&mut buffer) {
            kept.extend(buffer.iter().take(length));
            kept.drain(..kept.len().saturating_sub(OUTPUT_MAX_BYTES));
        }
        // Nobody listens any more where the command was ended; that is fine.
        let _ = sender.send(kept.into());
    });
    receiver
}

enum Ended {
    Status(ExitStatus),
    Late,
    Cancelled,
}

fn wait(cx: &Context, child: &mut Child, limit: Duration) -> io::Result<Ended> {
    let begin = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ended::Status(status));
        }
        let cancelled = cx.cancelled();
        if cancelled || begin.elapsed() >= limit {
            // The group: a shell's children are ended with it. It was not waited for, so the number
            // still belongs to it.
            kill_process_group(Pid::from_child(child), Signal::KILL)?;
            child.wait()?;
            return Ok(if cancelled { Ended::Cancelled } else { Ended::Late });
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_placeholder_is_filled() {
        assert_eq!(fill("a%sb%s", Path::new("/x")), OsString::from("a/xb/x"));
        assert_eq!(fill("plain", Path::new("/x")), OsString::from("plain"));
    }
}
