//! The ledger of operations: what makes an action run at most once.
//!
//! In the session's state directory, per operation id: `<op_id>.claim`, made exclusively and
//! durable **before** the action runs, with the digest of the parameters; `<op_id>.done`, durable
//! after it, with the result. A claim without a result means that nobody knows, and is never run
//! again. The process that runs an action holds a lock on the claim, so that a redelivery to
//! another process can tell "still running" from "broken off". The fence beside it is the business of
//! `fence.rs`: it was compared before anything here is asked.

use crate::{crash, durable};
use rectify_base::{Digest, canonical};
use rectify_protocol::{
    ErrorCode, ItemError, Mutated,
    message::{Applied, Apply, ItemResult, OpStatus},
};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

/// Context of the digest of an operation's parameters.
const PARAMETERS: &str = "rectify 2026 v1 ledger parameters";

/// A claim, written before an action runs. Unknown members are refused: a newer provider's ledger
/// must not be misread by an older one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    format: ClaimFormat,
    parameters: Digest,
    fence: u64,
}

#[derive(Debug, Serialize, Deserialize)]
enum ClaimFormat {
    #[serde(rename = "rectify.ledger-claim/v1")]
    V1,
}

/// The ledger in one state directory.
#[derive(Debug)]
pub(crate) struct Ledger {
    dir: PathBuf,
}

/// What [`Ledger::once`] came to: the action's result, and what went wrong in recording it.
pub(crate) type Outcome = (Result<Applied, ItemError>, Option<String>);

/// Whether a result says that nothing was done.
fn may_run_again(result: &ItemResult<Applied>) -> bool {
    matches!(result, ItemResult::Error(error) if error.mutated == Mutated::No)
}

impl Ledger {
    /// The ledger in this directory, which exists.
    pub(crate) fn open(state: &str) -> Result<Self, ItemError> {
        if state.is_empty() {
            return Err(ItemError::new(
                ErrorCode::Unsupported,
                "an action needs a directory for its ledger, and this session has none",
            ));
        }
        Ok(Self { dir: PathBuf::from(state) })
    }

    /// What became of an operation.
    pub(crate) fn status(&self, op_id: &str) -> Result<OpStatus, ItemError> {
        check_id(op_id)?;
        let error = failed("the ledger cannot be read");
        // The result first: it appears after the claim and is never removed while a claim is free.
        if let Some(result) = self.result(op_id)? {
            return Ok(OpStatus::Done(Box::new(result)));
        }
        let claimed = self.path(op_id, "claim").try_exists().map_err(error)?;
        Ok(if claimed { OpStatus::Started } else { OpStatus::NeverSeen })
    }

    /// See [`crate::Context::once`].
    pub(crate) fn once(
        &self,
        op: &Apply,
        run: impl FnOnce() -> Result<Applied, ItemError>,
    ) -> Result<Outcome, ItemError> {
        check_id(&op.op_id)?;
        let Some(_lock) = self.claim(op)? else {
            return Ok((self.stored(&op.op_id)?, None));
        };
        crash::reached(crash::At::Prepared);
        let result = run();
        crash::reached(crash::At::Done);
        let stored = ItemResult::from(result.clone());
        let note = serde_json::to_vec(&stored)
            .map_err(io::Error::from)
            .and_then(|bytes| durable::replace(&self.dir, &format!("{}.done", op.op_id), &bytes))
            .err()
            .map(|e| format!("the result of operation {} could not be recorded: {e}", op.op_id));
        Ok((result, note))
    }

    /// Claims the operation. The lock is held until the result is recorded. `None`: it has a result
    /// already, which stands.
    fn claim(&self, op: &Apply) -> Result<Option<File>, ItemError> {
        let error = failed("the ledger cannot be written");
        let parameters = parameters(op)?;
        let claim = Claim { format: ClaimFormat::V1, parameters, fence: op.fence };
        let bytes = serde_json::to_vec(&claim).map_err(|e| error(e.into()))?;
        let fresh = durable::unfinished(&self.dir, &bytes).map_err(&error)?;
        fresh.as_file().try_lock().map_err(|e| error(e.into()))?;
        // A link to a whole file: exclusive, and no reader ever sees half a claim.
        match fs::hard_link(fresh.path(), self.path(&op.op_id, "claim")) {
            Ok(()) => {
                durable::sync_directory(&self.dir).map_err(&error)?;
                // A result without a claim is none of ours, but somebody's word that it ran.
                if self.result(&op.op_id)?.is_some_and(|result| !may_run_again(&result)) {
                    return Ok(None);
                }
                // The temporary name goes when `keep` does; the lock lives on the duplicate, which
                // shares the open file.
                return fresh.as_file().try_clone().map(Some).map_err(&error);
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(error(e)),
        }
        self.reclaim(&op.op_id, &parameters)
    }

    /// A claim exists already.
    fn reclaim(&self, op_id: &str, parameters: &Digest) -> Result<Option<File>, ItemError> {
        let error = failed("the ledger cannot be read");
        let path = self.path(op_id, "claim");
        let bytes = fs::read(&path).map_err(&error)?;
        let claim: Claim = serde_json::from_slice(&bytes)
            .map_err(|e| unknown(format!("the claim of operation {op_id} cannot be read: {e}")))?;
        if claim.parameters != *parameters {
            return Err(ItemError::new(
                ErrorCode::OpMismatch,
                format!("operation {op_id} was claimed before with other parameters"),
            ));
        }
        let lock = OpenOptions::new().read(true).write(true).open(&path).map_err(&error)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                // A result that stands needs no lock. It may seem to be held a moment longer: by a
                // process that is just being made, until it becomes another program.
                if self.result(op_id)?.is_some_and(|result| !may_run_again(&result)) {
                    return Ok(None);
                }
                return Err(ItemError::new(
                    ErrorCode::Busy,
                    format!("operation {op_id} is being run by another request"),
                )
                .hint("ask `op.status` until it ends"));
            }
            Err(TryLockError::Error(e)) => return Err(error(e)),
        }
        match self.result(op_id)? {
            Some(result) if may_run_again(&result) => {
                // It is known to have done nothing, so it may run; without this removal a crash
                // during the new attempt would look like the old, harmless result.
                fs::remove_file(self.path(op_id, "done")).map_err(&error)?;
                durable::sync_directory(&self.dir).map_err(&error)?;
                Ok(Some(lock))
            }
            Some(_) => Ok(None),
            None => {
                Err(unknown(format!("operation {op_id} was begun before, and nothing says how it ended"))
                    .hint("find out what it did; then resolve the step, or seal a new plan"))
            }
        }
    }

    fn stored(&self, op_id: &str) -> Result<Result<Applied, ItemError>, ItemError> {
        let stored = self.result(op_id)?;
        stored
            .map(ItemResult::into_result)
            .ok_or_else(|| unknown(format!("the result of operation {op_id} disappeared from the ledger")))
    }

    fn result(&self, op_id: &str) -> Result<Option<ItemResult<Applied>>, ItemError> {
        let bytes = durable::read_if_exists(&self.path(op_id, "done"))
            .map_err(failed("the ledger cannot be read"))?;
        bytes
            .map(|bytes| {
                serde_json::from_slice(&bytes)
                    .map_err(|e| unknown(format!("the result of operation {op_id} cannot be read: {e}")))
            })
            .transpose()
    }

    fn path(&self, op_id: &str, kind: &str) -> PathBuf {
        Path::new(&self.dir).join(format!("{op_id}.{kind}"))
    }
}

/// What identifies an operation beside its id: all but the deadline and the fence, which a retry
/// may change.
fn parameters(op: &Apply) -> Result<Digest, ItemError> {
    let desired = canonical::compact(&op.desired).map_err(|e| {
        ItemError::new(ErrorCode::Schema, format!("the properties have no canonical form: {e}"))
    })?;
    let result = op.result.map_or(String::new(), |d| d.to_string());
    Ok(Digest::derive(
        PARAMETERS,
        &[
            op.type_name.as_str().as_bytes(),
            op.action.as_bytes(),
            &desired,
            op.expect.to_string().as_bytes(),
            result.as_bytes(),
        ],
    ))
}

/// An id becomes part of a file's name, so nothing but its one spelling is let through.
fn check_id(op_id: &str) -> Result<(), ItemError> {
    let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if op_id.len() == 64 && op_id.bytes().all(digit) {
        return Ok(());
    }
    Err(ItemError::new(ErrorCode::Schema, "an operation id is 64 lower-case hexadecimal digits").at("/op_id"))
}

fn unknown(message: String) -> ItemError {
    ItemError::new(ErrorCode::UnknownOutcome, message).mutated(Mutated::Maybe)
}

fn failed(what: &str) -> impl Fn(io::Error) -> ItemError + '_ {
    move |e| ItemError::new(ErrorCode::Failed, format!("{what}: {e}"))
}
