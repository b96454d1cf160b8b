//! Asking a program something outside of any session, such as `manifest`: it is started as for a session
//! that only looks, and what it prints is the answer.

use crate::{
    error::{Fault, HostError},
    handshake::{Failure, Handshake},
    launch,
    lines::{LineError, Lines},
    session,
    spec::SessionSpec,
};
use rectify_protocol::message::Mode;
use rustix::process::{Pid, Signal};
use std::{os::fd::OwnedFd, process::Child, time::Duration};
use tokio::{io::AsyncReadExt, net::unix::pipe, task::spawn_blocking, time::timeout};

/// Most that is kept of what it says on either stream, in bytes.
pub const OUTPUT_MAX_BYTES: usize = 8 * 1024 * 1024;

/// What a program answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its exit code; none if it was ended by a signal.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// Starts a program with the arguments of `spec`, confined, with nothing to read, and waits for its end.
/// Must be called in a tokio runtime with time and I/O.
///
/// # Errors
/// When it cannot be started or confined, does not end within `limit`, or says more than
/// [`OUTPUT_MAX_BYTES`]; no process is left then.
pub async fn ask(spec: &SessionSpec, limit: Duration) -> Result<Asked, HostError> {
    let error = |fault| HostError::new(&spec.manifest.name, "ask", fault);
    if spec.mode == Mode::Apply || !spec.confine {
        return Err(error(Fault::Launch("what is only asked must be confined".into())));
    }
    launch::check_directories(spec).map_err(error)?;
    let number = || session::number().map_err(error);
    let handshake = Handshake::new(spec, number()?, number()?).map_err(error)?;
    // The one place where it can write.
    let environment = [("TMPDIR", spec.dirs.work.as_str())];
    let child = launch::spawn_with(spec, handshake.launch(), &environment).map_err(error)?;
    let mut guard = Guard::new(child);
    drop(guard.child.stdin.take());
    let answer = timeout(limit, answer(&mut guard.child, &handshake)).await;
    let (stdout, stderr) = match answer {
        Ok(answer) => answer.map_err(error)?,
        Err(_) => return Err(error(Fault::Deadline { ms: limit.as_millis() })),
    };
    let waited = spawn_blocking(move || guard.wait()).await;
    let status = waited.map_err(std::io::Error::other).and_then(|status| status);
    let status = status.map_err(|e| error(Fault::System { what: "its end", reason: e.to_string() }))?;
    Ok(Asked { code: status.code(), stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() })
}

async fn answer(child: &mut Child, handshake: &Handshake) -> Result<(Vec<u8>, Vec<u8>), Fault> {
    let system =
        |e: std::io::Error| Fault::System { what: "the pipes to the program", reason: e.to_string() };
    let missing = || std::io::Error::other("it was not made");
    let stdout = child.stdout.take().ok_or_else(missing).map_err(system)?;
    let stderr = child.stderr.take().ok_or_else(missing).map_err(system)?;
    let stdout = pipe::Receiver::from_owned_fd(OwnedFd::from(stdout)).map_err(system)?;
    let stderr = pipe::Receiver::from_owned_fd(OwnedFd::from(stderr)).map_err(system)?;
    let said = async {
        let mut lines = Lines::new(stdout, || {});
        match handshake.launched(&mut lines).await {
            Ok(_) => {}
            Err(Failure::Fault(fault)) => return Err(fault),
            Err(Failure::End) => return Err(Fault::Exited("before it was started".into())),
        }
        lines.rest(OUTPUT_MAX_BYTES).await.map_err(|error| match error {
            LineError::TooLarge => Fault::FrameTooLarge { limit: OUTPUT_MAX_BYTES },
            LineError::Io(e) => system(e),
        })
    };
    let complained = async {
        let mut bytes = Vec::new();
        let limit = OUTPUT_MAX_BYTES as u64 + 1;
        stderr.take(limit).read_to_end(&mut bytes).await.map_err(system)?;
        if bytes.len() > OUTPUT_MAX_BYTES {
            return Err(Fault::FrameTooLarge { limit: OUTPUT_MAX_BYTES });
        }
        Ok(bytes)
    };
    tokio::try_join!(said, complained)
}

/// Ends the process and its group when dropped.
struct Guard {
    child: Child,
    group: Pid,
    over: bool,
}

impl Guard {
    fn new(child: Child) -> Self {
        Self { group: Pid::from_child(&child), child, over: false }
    }

    fn wait(&mut self) -> std::io::Result<std::process::ExitStatus> {
        let status = self.child.wait();
        // What it left running holds nothing of ours, and has nothing to do here.
        let _ = rustix::process::kill_process_group(self.group, Signal::KILL);
        self.over = true;
        status
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.over {
            let _ = rustix::process::kill_process_group(self.group, Signal::KILL);
            let _ = self.child.wait();
        }
    }
}
