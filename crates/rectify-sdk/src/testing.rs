//! For the tests of providers: an engine's side of the protocol that is as small as possible. It
//! talks to a provider in this process over pipes, or to a child process.

pub use crate::exercise::{Exercise, Planned};

use crate::{End, Provider, serve_streams};
use rectify_base::limits::FRAME_MAX_BYTES;
use rectify_protocol::{
    COOKIE_VARIABLE, Frame, ItemError, VERSION,
    frame::{RpcError, read_line},
    manifest::ProtocolRange,
    message::{
        Applied, Apply, Batch, BatchResult, Configure, Directories, Initialize, Initialized, ItemResult,
        Mode, OpStatus, OpStatusQuery, PlanAnswer, PlanItem, ReadAnswer, ReadItem, method,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    io::{self, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread::{self, JoinHandle},
    time::Duration,
};

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The request as a whole failed.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The item failed.
    #[error(transparent)]
    Item(#[from] ItemError),
    /// The stream failed, or what came was no answer.
    #[error("{0}")]
    Stream(String),
}

impl CallError {
    /// The item's error, if it is one.
    #[must_use]
    pub fn item(self) -> Option<ItemError> {
        match self {
            Self::Item(error) => Some(error),
            Self::Rpc(_) | Self::Stream(_) => None,
        }
    }
}

impl From<io::Error> for CallError {
    fn from(error: io::Error) -> Self {
        Self::Stream(error.to_string())
    }
}

impl From<serde_json::Error> for CallError {
    fn from(error: serde_json::Error) -> Self {
        Self::Stream(error.to_string())
    }
}

enum Peer {
    Thread(JoinHandle<io::Result<End>>),
    Process(Child),
}

/// An engine's side of one session.
pub struct Client {
    writer: Option<Box<dyn Write + Send>>,
    lines: Receiver<Vec<u8>>,
    peer: Peer,
    next_id: u64,
}

impl Client {
    /// Serves a provider in this process.
    ///
    /// # Errors
    /// When no pipe can be made.
    pub fn in_process(provider: impl Provider) -> io::Result<Self> {
        let (reader, to_provider) = io::pipe()?;
        let (from_provider, writer) = io::pipe()?;
        let peer = Peer::Thread(thread::spawn(move || serve_streams(provider, reader, writer)));
        Ok(Self::new(Box::new(to_provider), from_provider, peer))
    }

    /// Starts a provider as a child process with `serve --stdio`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(program: &Path) -> io::Result<Self> {
        let mut child = Command::new(program)
            .args(["serve", "--stdio"])
            .env(COOKIE_VARIABLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let missing = || io::Error::other("the child has no pipe");
        let writer = child.stdin.take().ok_or_else(missing)?;
        let reader = child.stdout.take().ok_or_else(missing)?;
        Ok(Self::new(Box::new(writer), reader, Peer::Process(child)))
    }

    fn new(writer: Box<dyn Write + Send>, reader: impl Read + Send + 'static, peer: Peer) -> Self {
        let (sender, lines) = channel();
        thread::spawn(move || {
            let mut reader = BufReader::new(reader);
            let mut line = Vec::new();
            while let Ok(true) = read_line(&mut reader, &mut line, 2 * FRAME_MAX_BYTES) {
                if sender.send(line.clone()).is_err() {
                    return;
                }
            }
        });
        Self { writer: Some(writer), lines, peer, next_id: 1 }
    }

    /// Greets the provider and configures it.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn greet(
        &mut self,
        mode: Mode,
        dirs: Directories,
        configure: &Configure,
    ) -> Result<Initialized, CallError> {
        let greeting = Initialize {
            protocol: ProtocolRange { min: VERSION, max: VERSION },
            session: "00112233445566778899aabbccddeeff".into(),
            mode,
            frame_max_bytes: FRAME_MAX_BYTES,
            dirs,
        };
        let initialized: Initialized = self.call(method::INITIALIZE, &greeting)?;
        if initialized.session != greeting.session {
            return Err(CallError::Stream("the nonce was not echoed".into()));
        }
        let _: serde_json::Value = self.call(method::CONFIGURE, configure)?;
        Ok(initialized)
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the pipe is closed.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        let writer = self.writer.as_mut().ok_or_else(|| io::Error::other("closed"))?;
        writer.write_all(bytes)?;
        writer.flush()
    }

    /// Sends a request and returns its id.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn send<T: Serialize>(&mut self, method: &str, params: &T) -> Result<u64, CallError> {
        let id = self.next_id;
        self.next_id += 1;
        let line = Frame::request(id, method, params)?.to_line()?;
        self.send_raw(&line)?;
        Ok(id)
    }

    /// Sends a notification.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn notify<T: Serialize>(&mut self, method: &str, params: &T) -> Result<(), CallError> {
        let line = Frame::notification(method, params)?.to_line()?;
        Ok(self.send_raw(&line)?)
    }

    /// The next frame, whatever it is.
    ///
    /// # Errors
    /// When none comes in 30 s, the stream ended, or it is not a frame.
    pub fn receive(&mut self) -> Result<Frame, CallError> {
        let line = self.lines.recv_timeout(ANSWER_TIMEOUT).map_err(|e| {
            CallError::Stream(match e {
                RecvTimeoutError::Timeout => "no frame in 30 s".into(),
                RecvTimeoutError::Disconnected => "the stream ended".into(),
            })
        })?;
        Ok(serde_json::from_slice(&line)?)
    }

    /// Sends a request and waits for its answer, passing over notifications.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn call<T: Serialize, R: DeserializeOwned>(
        &mut self,
        method: &str,
        params: &T,
    ) -> Result<R, CallError> {
        let id = self.send(method, params)?;
        self.answer(id)
    }

    /// Waits for the answer to a request, passing over notifications.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn answer<R: DeserializeOwned>(&mut self, id: u64) -> Result<R, CallError> {
        loop {
            let frame = self.receive()?;
            if frame.method.is_some() {
                continue;
            }
            if let Some(error) = frame.error {
                return Err(error.into());
            }
            if frame.id != Some(id) {
                return Err(CallError::Stream(format!("expected answer {id}, got {:?}", frame.id)));
            }
            return Ok(Frame::decode(frame.result.as_deref())?);
        }
    }

    /// `resource.read` of one item.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn read(&mut self, item: ReadItem) -> Result<ReadAnswer, CallError> {
        self.single(method::READ, item)
    }

    /// `resource.plan` of one item.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn plan(&mut self, item: PlanItem) -> Result<PlanAnswer, CallError> {
        self.single(method::PLAN, item)
    }

    /// `resource.apply`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn apply(&mut self, op: &Apply) -> Result<Applied, CallError> {
        let result: ItemResult<Applied> = self.call(method::APPLY, op)?;
        Ok(result.into_result()?)
    }

    /// `op.status`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn op_status(&mut self, op_id: &str) -> Result<OpStatus, CallError> {
        self.call(method::OP_STATUS, &OpStatusQuery { op_id: op_id.into() })
    }

    /// A call with a batch of one item.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn single<I: Serialize, R: DeserializeOwned>(
        &mut self,
        method: &str,
        item: I,
    ) -> Result<R, CallError> {
        let mut results: BatchResult<R> = self.call(method, &Batch { items: vec![item] })?;
        let result = results.items.pop().ok_or_else(|| CallError::Stream("an empty answer".into()))?;
        Ok(result.into_result()?)
    }

    /// Closes the provider's input.
    pub fn close(&mut self) {
        self.writer = None;
    }

    /// The child process, to be killed.
    pub fn child(&mut self) -> Option<&mut Child> {
        match &mut self.peer {
            Peer::Process(child) => Some(child),
            Peer::Thread(_) => None,
        }
    }

    /// Closes the provider's input and waits for its end. `Ok(None)` for a child process, whose
    /// status [`Client::wait_child`] gives.
    ///
    /// # Errors
    /// When serving failed.
    pub fn finish(mut self) -> io::Result<Option<End>> {
        self.close();
        match self.peer {
            Peer::Thread(thread) => {
                thread.join().map_err(|_| io::Error::other("the session panicked"))?.map(Some)
            }
            Peer::Process(mut child) => child.wait().map(|_| None),
        }
    }

    /// Waits for the end of the child process.
    ///
    /// # Errors
    /// When there is none.
    pub fn wait_child(&mut self) -> io::Result<ExitStatus> {
        self.child().ok_or_else(|| io::Error::other("there is no child"))?.wait()
    }
}
