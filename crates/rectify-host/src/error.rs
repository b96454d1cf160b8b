//! What can go wrong with a provider as a process. Failures of single items are not here: they are
//! [`rectify_protocol::ItemError`].

use crate::codes;
use rectify_base::{Code, Digest, FileDigests};
use rectify_protocol::{frame::RpcError, message::ProtocolVersion};

/// A provider's failure: who, while doing what, and why.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("provider `{provider}`, {place}: {fault}")]
pub struct HostError {
    /// Name of the provider, as its manifest has it.
    pub provider: String,
    /// `launch`, or the method under way.
    pub place: String,
    /// What happened.
    pub fault: Box<Fault>,
    /// The last lines that the provider wrote to standard error, for a person; may be empty.
    pub stderr: String,
}

/// What a [`HostError`] says of the effect of what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing was done: the request was not sent, or it only looks, or the provider refused it as a
    /// whole ([`Fault::Refused`]) before it began.
    Nothing,
    /// It may have been done, in whole or in part ([`Fault::UnknownOutcome`]).
    Unknown,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The program cannot be used.
    #[error("the program `{path}` cannot be used: {reason}")]
    Program {
        /// Its path.
        path: String,
        /// Why.
        reason: String,
    },
    /// The program is not the locked one.
    #[error("the program `{path}` is not the locked one: expected {}, found {}", .expected.blake3, .found.blake3)]
    DigestMismatch {
        /// Its path.
        path: String,
        /// The locked digests.
        expected: Box<FileDigests>,
        /// The digests of what is there.
        found: Box<FileDigests>,
    },
    /// It could not be started.
    #[error("it could not be started: {0}")]
    Launch(String),
    /// It could not be confined.
    #[error("it cannot be kept from changing things here: {0}")]
    Confinement(String),
    /// No greeting in time.
    #[error("no greeting within {ms} ms")]
    HandshakeTimeout {
        /// The limit, in milliseconds.
        ms: u128,
    },
    /// Too much noise.
    #[error("more than {bytes} bytes or {lines} lines of other output before the greeting")]
    Preamble {
        /// The limit, in bytes.
        bytes: usize,
        /// The limit, in lines.
        lines: usize,
    },
    /// The nonce of another session.
    #[error("its greeting does not echo this session's number")]
    Nonce,
    /// No common version.
    #[error("no common protocol version: {0}")]
    Version(String),
    /// A version that was not offered.
    #[error("it speaks protocol {0}, which was not offered")]
    ForeignVersion(ProtocolVersion),
    /// Another manifest.
    #[error("it is not what its manifest says: {what} is `{found}`, expected `{expected}`")]
    ManifestMismatch {
        /// `name`, `version` or `manifest digest`.
        what: &'static str,
        /// As the manifest has it.
        expected: String,
        /// As the greeting has it.
        found: String,
    },
    /// Not JSON.
    #[error("a line is not JSON: {0}")]
    Garbage(String),
    /// Too long.
    #[error("a line is longer than {limit} bytes")]
    FrameTooLarge {
        /// The limit.
        limit: usize,
    },
    /// Never asked.
    #[error("an answer to request {0}, which was never made")]
    AnswerUnknown(u64),
    /// Asked once, answered twice.
    #[error("a second answer to request {0}")]
    AnswerTwice(u64),
    /// Another number of answers.
    #[error("{found} answers to {expected} items")]
    AnswerCount {
        /// Items sent.
        expected: usize,
        /// Answers received.
        found: usize,
    },
    /// Another shape.
    #[error("an answer has another shape: {0}")]
    AnswerShape(String),
    /// More than it can do.
    #[error("it promises {what} `{found}`, but the manifest allows `{best}` at best for `{type_name}`")]
    Overclaim {
        /// `prediction` or `undo`.
        what: &'static str,
        /// The type.
        type_name: String,
        /// As the answer has it.
        found: String,
        /// As the manifest has it.
        best: String,
    },
    /// A request to the engine.
    #[error("it sent the request `{0}`; providers only answer")]
    Request(String),
    /// A refusal.
    #[error("it refused the request: {0}")]
    Refused(RpcError),
    /// It ended.
    #[error("it ended ({0})")]
    Exited(String),
    /// Too slow.
    #[error("no answer within {ms} ms")]
    Deadline {
        /// The limit, in milliseconds.
        ms: u128,
    },
    /// Silent.
    #[error("no sign of life after {pings} questions in {ms} ms")]
    Unresponsive {
        /// Pings that got no answer.
        pings: u32,
        /// Length of the silence, in milliseconds.
        ms: u128,
    },
    /// An operation whose answer was lost. It must be treated as if it may have happened.
    #[error("what operation {op_id} did is not known: {cause}")]
    UnknownOutcome {
        /// The operation.
        op_id: String,
        /// How the answer was lost.
        cause: Box<Self>,
    },
    /// A private directory.
    #[error("the directory `{path}` cannot serve a session: {reason}")]
    Directories {
        /// Its path.
        path: String,
        /// Why.
        reason: String,
    },
    /// Not in this mode.
    #[error("`{method}` is not allowed in a {mode} session")]
    Mode {
        /// The method.
        method: &'static str,
        /// The session's mode.
        mode: &'static str,
    },
    /// Not in the manifest.
    #[error("the manifest has no type `{0}`")]
    UnknownType(String),
    /// Longer than a frame.
    #[error("item {index} is {size} bytes long; a frame holds {limit}")]
    ItemTooLarge {
        /// Its place in the list.
        index: usize,
        /// Its length in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// More than its receiver takes.
    #[error("a blob of {size} bytes; at most {limit} are taken")]
    BlobTooLarge {
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// Other bytes than were asked for.
    #[error("the blob {expected} came with bytes that have the digest {found}")]
    BlobDigest {
        /// The digest that names it.
        expected: Digest,
        /// That of what came.
        found: Digest,
    },
    /// After the end.
    #[error("the session has ended")]
    SessionOver,
    /// [`Session::kill`](crate::Session::kill) was called.
    #[error("the engine ended it")]
    Killed,
    /// It ended, but what it had started could not be ended with it.
    #[error("{cause}; these of its processes could not be ended and may still run: {}", numbers(.processes))]
    StillRuns {
        /// Their numbers.
        processes: Vec<u32>,
        /// Why the session ended.
        cause: Box<Self>,
    },
    /// The system.
    #[error("{what}: {reason}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        reason: String,
    },
}

fn numbers(processes: &[u32]) -> String {
    processes.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

impl Fault {
    /// With other words in place of what the provider said.
    pub(crate) fn clean(self, words: impl Fn(String) -> String) -> Self {
        match self {
            Self::Garbage(text) => Self::Garbage(words(text)),
            Self::AnswerShape(text) => Self::AnswerShape(words(text)),
            Self::Request(text) => Self::Request(words(text)),
            other => other,
        }
    }

    /// Adds the processes that could not be ended, if there are any.
    pub(crate) fn still_runs(self, processes: Vec<u32>) -> Self {
        if processes.is_empty() { self } else { Self::StillRuns { processes, cause: Box::new(self) } }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Program { .. } => codes::PROVIDER_PROGRAM,
            Self::DigestMismatch { .. } => codes::PROVIDER_DIGEST_MISMATCH,
            Self::Launch(_) => codes::PROVIDER_LAUNCH,
            Self::Confinement(_) => codes::PROVIDER_CONFINEMENT,
            Self::HandshakeTimeout { .. } => codes::PROVIDER_HANDSHAKE_TIMEOUT,
            Self::Preamble { .. } => codes::PROVIDER_PREAMBLE,
            Self::Nonce => codes::PROVIDER_NONCE,
            Self::Version(_) | Self::ForeignVersion(_) => codes::PROVIDER_VERSION,
            Self::ManifestMismatch { .. } => codes::PROVIDER_MANIFEST_MISMATCH,
            Self::Garbage(_) => codes::PROVIDER_GARBAGE,
            Self::FrameTooLarge { .. } => codes::PROVIDER_FRAME_TOO_LARGE,
            Self::AnswerUnknown(_) => codes::PROVIDER_ANSWER_UNKNOWN,
            Self::AnswerTwice(_) => codes::PROVIDER_ANSWER_TWICE,
            Self::AnswerCount { .. } => codes::PROVIDER_ANSWER_COUNT,
            Self::AnswerShape(_) => codes::PROVIDER_ANSWER_SHAPE,
            Self::Overclaim { .. } => codes::PROVIDER_OVERCLAIM,
            Self::Request(_) => codes::PROVIDER_REQUEST,
            Self::Refused(_) => codes::PROVIDER_REFUSED,
            Self::Exited(_) => codes::PROVIDER_EXITED,
            Self::Deadline { .. } => codes::PROVIDER_DEADLINE,
            Self::Unresponsive { .. } => codes::PROVIDER_UNRESPONSIVE,
            Self::UnknownOutcome { .. } => codes::PROVIDER_UNKNOWN_OUTCOME,
            Self::Directories { .. } => codes::HOST_DIRECTORIES,
            Self::Mode { .. } => codes::HOST_MODE,
            Self::UnknownType(_) => codes::HOST_UNKNOWN_TYPE,
            Self::ItemTooLarge { .. } => codes::HOST_ITEM_TOO_LARGE,
            Self::BlobTooLarge { .. } => codes::HOST_BLOB_TOO_LARGE,
            Self::BlobDigest { .. } => codes::PROVIDER_BLOB_DIGEST,
            Self::SessionOver => codes::HOST_SESSION_OVER,
            Self::Killed => codes::HOST_SESSION_KILLED,
            Self::StillRuns { cause, .. } => cause.code(),
            Self::System { .. } => codes::HOST_SYSTEM,
        }
    }

    pub(crate) fn manifest(what: &'static str, expected: &Digest, found: &Digest) -> Self {
        Self::ManifestMismatch { what, expected: expected.to_string(), found: found.to_string() }
    }
}

impl HostError {
    pub(crate) fn new(provider: &str, place: &str, fault: Fault) -> Self {
        Self { provider: provider.into(), place: place.into(), fault: Box::new(fault), stderr: String::new() }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.fault.code()
    }

    /// What is known of the effect. Only an operation whose answer was lost may have had one.
    #[must_use]
    pub const fn effect(&self) -> Effect {
        if self.is_unknown_outcome() { Effect::Unknown } else { Effect::Nothing }
    }

    /// Processes of operations under way that could not be ended and may still change something.
    /// Empty for any other error: when an operation is reported as lost, nothing of it runs.
    #[must_use]
    pub fn still_running(&self) -> &[u32] {
        match &*self.fault {
            Fault::StillRuns { processes, .. } => processes,
            Fault::UnknownOutcome { cause, .. } => match &**cause {
                Fault::StillRuns { processes, .. } => processes,
                _ => &[],
            },
            _ => &[],
        }
    }

    /// Whether an operation was under way whose effect is not known.
    #[must_use]
    pub const fn is_unknown_outcome(&self) -> bool {
        matches!(*self.fault, Fault::UnknownOutcome { .. })
    }
}
