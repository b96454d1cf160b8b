//! The tasks that serve one process: writing, reading, standard error, supervision.

use crate::{
    confine::Confinement,
    error::Fault,
    handshake::{Failure, Handshake},
    launch,
    lines::{LineError, Lines},
    link::Shared,
    process::supervise,
    spec::SessionSpec,
    stderr,
};
use rectify_base::limits::FRAME_MAX_BYTES;
use rectify_protocol::message::{Mode, method};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use std::{
    os::fd::OwnedFd,
    sync::{Arc, atomic::Ordering},
};
use tokio::{
    io::{AsyncRead, AsyncWriteExt, Interest, unix::AsyncFd},
    net::unix::pipe,
    sync::{mpsc, oneshot},
};

/// Becomes ready with the greeting; fails where there is none.
pub(crate) type Greeted = oneshot::Receiver<Confinement>;

/// Starts the process and the tasks that serve it.
pub(crate) fn run(spec: &SessionSpec, handshake: Handshake) -> Result<(Arc<Shared>, Greeted), Fault> {
    let system = |what| move |e: std::io::Error| Fault::System { what, reason: e.to_string() };
    let mut child = launch::spawn(spec, handshake.launch())?;
    let group = Pid::from_child(&child);
    let mut plumb = || {
        let missing = || std::io::Error::other("it was not made");
        let stdin = OwnedFd::from(child.stdin.take().ok_or_else(missing)?);
        let stdout = OwnedFd::from(child.stdout.take().ok_or_else(missing)?);
        let stderr = OwnedFd::from(child.stderr.take().ok_or_else(missing)?);
        let process = pidfd_open(group, PidfdFlags::empty())?;
        Ok((
            pipe::Sender::from_owned_fd(stdin)?,
            pipe::Receiver::from_owned_fd(stdout)?,
            pipe::Receiver::from_owned_fd(stderr)?,
            watch(process)?,
        ))
    };
    let (stdin, stdout, stderr, process) = match plumb().map_err(system("the pipes to the provider")) {
        Ok(parts) => parts,
        Err(fault) => {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
            let _ = child.wait();
            return Err(fault);
        }
    };
    let (outgoing, lines) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared::new(
        spec.manifest.name.clone(),
        Some(group),
        outgoing.clone(),
        spec.observer.clone(),
        spec.redactor.clone(),
        spec.mode == Mode::Apply,
    ));
    let (greet, greeted) = oneshot::channel();
    tokio::spawn(write(stdin, lines));
    let reader = tokio::spawn(read(stdout, Arc::clone(&shared), handshake, outgoing, greet));
    let errors = tokio::spawn(stderr::forward(stderr, Arc::clone(&shared)));
    tokio::spawn(supervise(Arc::clone(&shared), child, process, [reader, errors], spec.timings));
    Ok((shared, greeted))
}

/// Serves what somebody says who is no process: reads as [`run`] does, and what is to be sent goes
/// nowhere.
pub(crate) fn listen(
    spec: &SessionSpec,
    handshake: Handshake,
    said: impl AsyncRead + Send + Unpin + 'static,
) -> (Arc<Shared>, Greeted) {
    let (outgoing, mut lines) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared::new(
        spec.manifest.name.clone(),
        None,
        outgoing.clone(),
        spec.observer.clone(),
        spec.redactor.clone(),
        spec.mode == Mode::Apply,
    ));
    let (greet, greeted) = oneshot::channel();
    tokio::spawn(async move { while lines.recv().await.is_some() {} });
    let reader = tokio::spawn(read(said, Arc::clone(&shared), handshake, outgoing, greet));
    let over = Arc::clone(&shared);
    tokio::spawn(async move {
        over.stop.notified().await;
        let _ = reader.await;
        over.finish("gone".into(), Vec::new());
    });
    (shared, greeted)
}

#[expect(
    deprecated,
    reason = "deprecated for types that may name another descriptor later; an OwnedFd cannot, and the \
              replacement is unsafe"
)]
fn watch(process: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(process, Interest::READABLE)
}

/// Writes lines until nobody can send any more; then closes the pipe. While this waits for a full
/// pipe, the reading goes on.
async fn write(mut pipe: pipe::Sender, mut lines: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(line) = lines.recv().await {
        // The reader notices why.
        if pipe.write_all(&line).await.is_err() {
            break;
        }
    }
}

/// Reads until the end: the greeting, then answers. After a fault it only drains.
async fn read(
    pipe: impl AsyncRead + Unpin,
    shared: Arc<Shared>,
    handshake: Handshake,
    outgoing: mpsc::UnboundedSender<Vec<u8>>,
    greet: oneshot::Sender<Confinement>,
) {
    let mut lines = Lines::new(pipe, || shared.hear());
    let launched = handshake.launched(&mut lines).await;
    let (place, greeted) = match launched {
        Ok(confinement) => {
            let greeted = handshake.greet(&mut lines, &outgoing).await;
            (method::INITIALIZE, greeted.map(|()| confinement))
        }
        Err(failure) => ("launch", Err(failure)),
    };
    // Only the session's own sender must keep the pipe open.
    drop(outgoing);
    match greeted {
        Ok(confinement) => {
            shared.greeted.store(true, Ordering::Relaxed);
            let _ = greet.send(confinement);
        }
        Err(Failure::Fault(fault)) => {
            let place = if matches!(fault, Fault::Launch(_)) { "launch" } else { place };
            shared.fail(Some(place), fault);
            drop(greet);
            return lines.drain().await;
        }
        Err(Failure::End) => return shared.hang_up(),
    }
    let mut line = Vec::new();
    let fault = loop {
        match lines.next(&mut line, FRAME_MAX_BYTES).await {
            Ok(true) => {
                if let Err(fault) = shared.dispatch(&line) {
                    break fault;
                }
            }
            Ok(false) => return shared.hang_up(),
            Err(LineError::TooLarge) => break Fault::FrameTooLarge { limit: FRAME_MAX_BYTES },
            Err(LineError::Io(e)) => break Fault::System { what: "the pipe failed", reason: e.to_string() },
        }
    };
    shared.fail(None, fault);
    lines.drain().await;
}
