//! What a provider is told about the session and the request that it works for.

use crate::{
    blobs,
    files::Seen,
    ledger,
    output::Notifier,
    secrets::{self, Revealed},
    session::Settings,
    stop::Stop,
};
use rectify_base::{Digest, DigestKey, TypeName, fingerprint};
use rectify_protocol::{
    ErrorCode, ItemError, Manifest, OPERATION_VARIABLE,
    message::{self, Applied, Apply, Directories, Mode, OpStatus, method},
};
use serde_json::{Map, Value};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

/// How the state that was found compares with what an operation expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// As expected: act.
    Expected,
    /// As planned already: answer `already`, write nothing.
    Result,
}

/// The session and the request that a provider's function works for.
pub struct Context {
    pub(crate) settings: Arc<Settings>,
    pub(crate) notifier: Notifier,
    pub(crate) request: u64,
    pub(crate) operation: Option<String>,
    pub(crate) stop: Arc<Stop>,
    pub(crate) before_images: BeforeImages,
    pub(crate) deadline: Instant,
    pub(crate) seen: Seen,
    pub(crate) touched: AtomicBool,
}

/// Before-images that are not durable yet: those of a request that makes all of its own durable together, at
/// its end; `None` where each is at once.
pub(crate) type BeforeImages = Mutex<Option<Vec<blobs::Kept>>>;

impl Context {
    /// What the session may do.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.settings.mode
    }

    /// Directory that stands for `/`, absolute. Every path of a resource is resolved beneath it.
    #[must_use]
    pub fn root(&self) -> Option<&Path> {
        self.settings.root.as_deref()
    }

    /// Commands (whole argv) that may run while planning. Everything may run in mode `apply`.
    #[must_use]
    pub fn plan_commands(&self) -> &[Vec<String>] {
        &self.settings.plan_commands
    }

    /// Whether a guard or probe may execute this argv in this session.
    #[must_use]
    pub fn may_execute(&self, argv: &[String]) -> bool {
        self.mode() == Mode::Apply || self.plan_commands().iter().any(|allowed| allowed == argv)
    }

    /// Key for the digests of what others may not read; `None` where the engine gave none.
    #[must_use]
    pub fn digest_key(&self) -> Option<&DigestKey> {
        self.settings.digest_key.as_ref()
    }

    /// The digest of what others may not read, under the session's key, for a state.
    #[must_use]
    pub fn private_digest(&self, bytes: &[u8]) -> Digest {
        self.digest_key().map_or_else(|| Digest::of_bytes(bytes), |key| key.digest(bytes))
    }

    /// Properties with the texts that they mean, and whether there is a secret among them. Properties
    /// hold secrets by name, so that they can be shown and kept; ask for the texts only where they are
    /// used, and keep them out of states, messages, logs, arguments and environments. What is made of
    /// a secret is as private as it is.
    ///
    /// # Errors
    /// `SCHEMA` at the property for a secret without a value in this session.
    pub fn reveal<'p>(&self, properties: &'p Map<String, Value>) -> Result<Revealed<'p>, ItemError> {
        secrets::reveal(properties, &self.settings.secrets)
    }

    /// Private directories of the session; a member is empty where the session has no such one.
    #[must_use]
    pub fn dirs(&self) -> &Directories {
        &self.settings.dirs
    }

    /// The manifest of the provider.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.settings.manifest
    }

    /// Number of the request, never used twice in a session. The items of one batch share it, so
    /// what was looked up for one of them may serve the others.
    #[must_use]
    pub fn request(&self) -> u64 {
        self.request
    }

    /// The id of the operation that this request carries out; `None` where it only looks.
    #[must_use]
    pub fn operation(&self) -> Option<&str> {
        self.operation.as_deref()
    }

    /// Name and value of the environment variable that marks what runs for the operation. Every
    /// command that a provider starts without [`Context::run`] needs it, or it may outlive a
    /// provider that is killed.
    #[must_use]
    pub fn mark(&self) -> Option<(&'static str, &str)> {
        self.operation().map(|op_id| (OPERATION_VARIABLE, op_id))
    }

    /// When the request should have ended.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the request was cancelled, or the engine is gone. Finish the atomic step at hand,
    /// then tell the truth.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.stop.is_asked()
    }

    /// Says that something was changed, or may have been, without [`Context::run`] and the functions for files,
    /// which say so themselves: an error of a typed resource or action that comes afterwards never claims that
    /// nothing was done.
    pub fn touched(&self) {
        self.touched.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_touched(&self) -> bool {
        self.touched.load(Ordering::Relaxed)
    }

    /// Tells the engine what is going on.
    pub fn progress(&self, message: impl Into<String>) {
        self.notifier
            .send(method::PROGRESS, &message::Progress { id: self.request, message: message.into() });
    }

    /// Sends a log record. `level` is `error`, `warn`, `info`, `debug` or `trace`. A flood is cut.
    pub fn log(&self, level: &str, message: impl Into<String>) {
        self.notifier.log(level, message.into());
    }

    /// The fingerprint of a state (`None`: it does not exist), without the members that the
    /// manifest declares volatile.
    ///
    /// # Errors
    /// `INTERNAL` when the state breaks the profile of canonical JSON.
    pub fn fingerprint(
        &self,
        type_name: &TypeName,
        version: u32,
        state: Option<&Value>,
    ) -> Result<Digest, ItemError> {
        let volatile = self.manifest().descriptor(type_name).map_or(&[][..], |d| d.volatile.as_slice());
        fingerprint::fingerprint(type_name, version, state, volatile)
            .map_err(|e| ItemError::new(ErrorCode::Internal, format!("the state has no fingerprint: {e}")))
    }

    /// Compares the state that was found right before acting with what the operation expects.
    ///
    /// # Errors
    /// `STALE` when it is neither the expected nor the planned one; then nothing may be written.
    pub fn compare(&self, op: &Apply, state: Option<&Value>) -> Result<Found, ItemError> {
        let version = self.manifest().descriptor(&op.type_name).map_or(1, |d| d.version);
        let found = self.fingerprint(&op.type_name, version, state)?;
        if found == op.expect {
            Ok(Found::Expected)
        } else if Some(found) == op.result {
            Ok(Found::Result)
        } else {
            Err(ItemError::new(
                ErrorCode::Stale,
                "the state is neither the one that the plan expects nor the one that it leads to",
            )
            .hint("make a new plan"))
        }
    }

    /// Keeps a before-image in the blob directory (mode 0600) and names it. It is durable when this
    /// returns, or, while resources are read, before any of them is answered for.
    ///
    /// # Errors
    /// `UNSUPPORTED` without a blob directory; `FAILED` when it cannot be written.
    pub fn keep_before_image(&self, bytes: &[u8]) -> Result<Digest, ItemError> {
        let dir = self.blob_dir()?;
        self.settle(&dir, blobs::keep(&dir, bytes)?)
    }

    /// Keeps what a reader gives as a before-image, of which little is in memory at a time. What is
    /// `secret` gets its keyed digest as its name, if the session has a key.
    ///
    /// # Errors
    /// As [`Context::keep_before_image`]; `UNSUPPORTED` for more than a content may have.
    pub fn keep_before_image_from(
        &self,
        reader: &mut dyn std::io::Read,
        secret: bool,
    ) -> Result<Digest, ItemError> {
        let dir = self.blob_dir()?;
        self.settle(&dir, blobs::keep_from(&dir, reader, self.digest_key().filter(|_| secret))?)
    }

    /// Reads a blob and checks that it has its digest.
    ///
    /// # Errors
    /// `DEPENDENCY` when it is not there; `FAILED` when it cannot be read or was damaged.
    pub fn read_blob(&self, digest: &Digest) -> Result<Vec<u8>, ItemError> {
        blobs::read(self.blob_dir()?, digest, None)
    }

    /// Reads a blob that was kept as a secret, and checks that it has its digest: the keyed one, or the plain one
    /// where the session has no key, as when it was kept.
    ///
    /// # Errors
    /// As [`Context::read_blob`]; `DEPENDENCY` for one that was kept under a key that the session lacks.
    pub fn read_secret_blob(&self, digest: &Digest) -> Result<Vec<u8>, ItemError> {
        let key = self.digest_key();
        blobs::read(self.blob_dir()?, digest, key).map_err(|error| match (key, error.code) {
            (None, ErrorCode::Failed) => {
                let message = "a secret blob cannot be checked without the digest key";
                ItemError::new(ErrorCode::Dependency, message)
            }
            _ => error,
        })
    }

    /// Runs an action at most once per operation id, over crashes and redeliveries.
    ///
    /// A claim is durable before `run` is called, its result before this returns. A redelivery gets
    /// the stored result; only a result that says `mutated: no` is run again.
    ///
    /// # Errors
    /// What `run` answered, now or then; `UNKNOWN_OUTCOME` where a claim has no result; `BUSY`
    /// while another process runs it; `OP_MISMATCH` where the claim was for other parameters;
    /// `UNSUPPORTED` without a state directory.
    pub fn once(
        &self,
        op: &Apply,
        run: impl FnOnce() -> Result<Applied, ItemError>,
    ) -> Result<Applied, ItemError> {
        let (result, note) = ledger::Ledger::open(&self.settings.dirs.state)?.once(op, || {
            // The ledger is kept: what a command printed of a secret must not be in it.
            secrets::hide(run(), &self.settings.secrets)
        })?;
        if let Some(note) = note {
            self.log("error", note);
        }
        result
    }

    /// What the ledger knows of an operation.
    ///
    /// # Errors
    /// `UNSUPPORTED` without a state directory; `UNKNOWN_OUTCOME` where the ledger is damaged.
    pub fn op_status(&self, op_id: &str) -> Result<OpStatus, ItemError> {
        ledger::Ledger::open(&self.settings.dirs.state)?.status(op_id)
    }

    fn settle(&self, dir: &Path, (digest, kept): (Digest, blobs::Kept)) -> Result<Digest, ItemError> {
        match &mut *self.before_images() {
            Some(gathered) => gathered.push(kept),
            None => blobs::settle(dir, &[kept])?,
        }
        Ok(digest)
    }

    /// Does work whose before-images become durable all together, at its end. The second part is the error
    /// of that: then none of them may be relied on.
    pub(crate) fn gathering<T>(&self, work: impl FnOnce() -> T) -> (T, Result<(), ItemError>) {
        *self.before_images() = Some(Vec::new());
        let done = work();
        let gathered = self.before_images().take().unwrap_or_default();
        if gathered.is_empty() {
            return (done, Ok(()));
        }
        (done, self.blob_dir().and_then(|dir| blobs::settle(&dir, &gathered)))
    }

    fn before_images(&self) -> MutexGuard<'_, Option<Vec<blobs::Kept>>> {
        self.before_images.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn blob_dir(&self) -> Result<PathBuf, ItemError> {
        blobs::directory(&self.settings.dirs)
    }
}
