//! A private key in an ssh-agent: it is asked to sign, and never gives the key away.
//!
//! For plain Ed25519 keys an agent signs any bytes as they are, so what it returns is the same
//! signature that the key's file would give. It is verified before it is used.

pub mod wire;

use crate::error::KeyError;
use core::fmt;
use rectify_attest::{PublicKey, SignError, Signer};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long the list of keys may take.
pub const LIST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a signature may take: an agent may ask its user first.
pub const SIGN_TIMEOUT: Duration = Duration::from_secs(120);

/// A key that an agent holds.
pub struct AgentSigner {
    socket: PathBuf,
    public: PublicKey,
    timeout: Duration,
}

impl AgentSigner {
    /// Finds a key in the agent at `socket`.
    ///
    /// # Errors
    /// [`KeyError::AgentMissing`], [`KeyError::AgentKey`] or [`KeyError::AgentAnswer`].
    pub fn with_key(socket: &Path, public: PublicKey) -> Result<Self, KeyError> {
        Self::find(socket, &public.fingerprint())
    }

    /// Finds a key by its fingerprint, `SHA256:…` as `ssh-add -l` prints it.
    ///
    /// # Errors
    /// As [`AgentSigner::with_key`].
    pub fn find(socket: &Path, fingerprint: &str) -> Result<Self, KeyError> {
        let keys = list(socket, LIST_TIMEOUT)?;
        let public = keys.iter().find(|key| key.fingerprint() == fingerprint).copied();
        let public = public.ok_or_else(|| KeyError::AgentKey {
            wanted: fingerprint.to_owned(),
            held_keys: keys.iter().map(PublicKey::fingerprint).collect(),
        })?;
        Ok(Self { socket: socket.to_owned(), public, timeout: SIGN_TIMEOUT })
    }

    /// Waits no longer than this for a signature.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }
}

impl Signer for AgentSigner {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, bytes: &[u8]) -> Result<[u8; 64], SignError> {
        let failed = |error: KeyError| SignError::Signer(error.to_string());
        let request = wire::sign_request(&self.public, bytes)
            .ok_or_else(|| SignError::Signer("there is more to sign than an ssh-agent takes".to_owned()))?;
        let answer = ask(&self.socket, &request, self.timeout).map_err(failed)?;
        let signature = match wire::read_signature(&answer) {
            Ok(Some(signature)) => signature,
            Ok(None) => {
                let why = "the ssh-agent refuses to sign: it may be locked, bound to other hosts, or its user said no";
                return Err(SignError::Signer(why.to_owned()));
            }
            Err(why) => return Err(failed(KeyError::AgentAnswer { why: why.to_owned() })),
        };
        if self.public.verifies(bytes, &signature) { Ok(signature) } else { Err(SignError::Inconsistent) }
    }
}

impl fmt::Debug for AgentSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgentSigner({})", self.public.fingerprint())
    }
}

/// The Ed25519 keys of an agent, in its order. Keys of other kinds are passed over.
///
/// # Errors
/// [`KeyError::AgentMissing`] or [`KeyError::AgentAnswer`].
pub fn list(socket: &Path, timeout: Duration) -> Result<Vec<PublicKey>, KeyError> {
    let answer = ask(socket, &wire::list_request(), timeout)?;
    wire::read_keys(&answer).map_err(|why| KeyError::AgentAnswer { why: why.to_owned() })
}

/// One request and its answer, without the answer's length. All in all it takes no longer than
/// `timeout`.
fn ask(socket: &Path, request: &[u8], timeout: Duration) -> Result<Vec<u8>, KeyError> {
    let end = Instant::now() + timeout;
    let mut stream =
        reach(socket).map_err(|e| KeyError::AgentMissing { why: format!("{}: {e}", socket.display()) })?;
    converse(&mut stream, request, end).map_err(|error| KeyError::AgentAnswer {
        why: match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("nothing came within {} s", timeout.as_secs())
            }
            io::ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
            _ => error.to_string(),
        },
    })
}

/// Connects without waiting: an agent whose queue is full is as good as none.
fn reach(socket: &Path) -> io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let descriptor = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&descriptor, &SocketAddrUnix::new(socket)?)?;
    let stream = UnixStream::from(descriptor);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn converse(stream: &mut UnixStream, request: &[u8], end: Instant) -> io::Result<Vec<u8>> {
    stream.set_write_timeout(Some(left(end)?))?;
    stream.write_all(request)?;
    let mut length = [0; 4];
    fill(stream, &mut length, end)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length == 0 || length > wire::MESSAGE_MAX_BYTES {
        return Err(io::Error::other(format!("an answer of {length} bytes")));
    }
    let mut answer = vec![0; length];
    fill(stream, &mut answer, end)?;
    Ok(answer)
}

/// Like `read_exact`, but with one deadline for all of it: an agent may answer byte by byte.
fn fill(stream: &mut UnixStream, mut into: &mut [u8], end: Instant) -> io::Result<()> {
    while !into.is_empty() {
        stream.set_read_timeout(Some(left(end)?))?;
        match stream.read(into) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => into = into.get_mut(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn left(end: Instant) -> io::Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}
