//! The requests that a worker carries out, and how: item by item, each behind a wall that a panic
//! does not pass.

use crate::{Context, Provider, blobs, crash, fence};
use rectify_base::TypeName;
use rectify_protocol::{
    ErrorCode, Frame, ItemError, Manifest, Mutated,
    error::rpc,
    frame::RpcError,
    message::{
        Applied, Apply, Batch, BatchResult, BlobGet, BlobPut, DesiredItem, ItemResult, Mode, PlanItem,
        ReadAnswer, ReadItem, method,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

/// Longest time that a request is granted, in milliseconds: a week.
const LIMIT_MAX_MS: u64 = 7 * 24 * 3_600_000;

/// A request with its parameters.
pub(crate) enum Work {
    Validate(Batch<DesiredItem>),
    Normalize(Batch<DesiredItem>),
    Read(Batch<ReadItem>),
    Plan(Batch<PlanItem>),
    Apply(Apply),
    BlobPut(BlobPut),
    BlobGet(BlobGet),
}

impl Work {
    /// Reads the parameters of a method. `None`: there is no such method.
    pub(crate) fn decode(name: &str, params: Value) -> Option<Result<Self, serde_json::Error>> {
        fn read<T: DeserializeOwned>(
            params: Value,
            wrap: fn(T) -> Work,
        ) -> Option<Result<Work, serde_json::Error>> {
            Some(serde_json::from_value(params).map(wrap))
        }
        match name {
            method::VALIDATE => read(params, Self::Validate),
            method::NORMALIZE => read(params, Self::Normalize),
            method::READ => read(params, Self::Read),
            method::PLAN => read(params, Self::Plan),
            method::APPLY => read(params, Self::Apply),
            method::BLOB_PUT => read(params, Self::BlobPut),
            method::BLOB_GET => read(params, Self::BlobGet),
            _ => None,
        }
    }

    /// The operation that it carries out, if it may change anything.
    pub(crate) fn operation(&self) -> Option<&str> {
        match self {
            Self::Apply(op) => Some(&op.op_id),
            _ => None,
        }
    }

    /// How long it may take: what the engine grants, or what the manifest promises of the slowest item.
    pub(crate) fn limit(&self, manifest: &Manifest) -> Duration {
        let slowest = || manifest.types.iter().map(|d| d.read_timeout_ms).max().unwrap_or(0);
        // Longer than anybody waits, and far from where clocks overflow.
        let within = |milliseconds: u64| Duration::from_millis(milliseconds.min(LIMIT_MAX_MS));
        match self {
            Self::Apply(op) => within(op.deadline_ms),
            _ => within(slowest()),
        }
    }

    /// Carries the request out and returns the line of its answer.
    pub(crate) fn run(self, provider: &impl Provider, cx: &Context) -> Vec<u8> {
        match self {
            Self::Validate(batch) => {
                answer(cx, &each(cx, batch, type_of_desired, |item| provider.validate(cx, item)))
            }
            Self::Normalize(batch) => {
                answer(cx, &each(cx, batch, type_of_desired, |item| provider.normalize(cx, item)))
            }
            Self::Read(batch) => answer(cx, &read(provider, cx, batch)),
            Self::Plan(batch) => answer(
                cx,
                &each(
                    cx,
                    batch,
                    |item| &item.type_name,
                    |item| {
                        if cx.mode() == Mode::Read {
                            return Err(mode_error(cx, "plan"));
                        }
                        provider.plan(cx, item)
                    },
                ),
            ),
            Self::Apply(op) => crash::operation(&op, || answer_apply(cx, apply(provider, cx, &op))),
            Self::BlobPut(request) => {
                let stored = if cx.mode() == Mode::Apply {
                    blobs::directory(cx.dirs()).and_then(|dir| blobs::put(&dir, &request))
                } else {
                    Err(mode_error(cx, "store a blob"))
                };
                answer(cx, &ItemResult::from(stored))
            }
            Self::BlobGet(request) => {
                let chunk =
                    blobs::directory(cx.dirs()).and_then(|dir| blobs::get(&dir, &request, cx.digest_key()));
                answer(cx, &ItemResult::from(chunk))
            }
        }
    }
}

/// Reads resources. Before-images of all of them share one wait for the disk.
fn read(provider: &impl Provider, cx: &Context, batch: Batch<ReadItem>) -> BatchResult<ReadAnswer> {
    let (mut answers, settled) = cx.gathering(|| {
        each(
            cx,
            batch,
            |item| &item.type_name,
            |item| {
                if item.capture && cx.mode() != Mode::Apply {
                    return Err(mode_error(cx, "keep a before-image"));
                }
                provider.read(cx, item)
            },
        )
    });
    if let Err(error) = settled {
        let kept = |item: &ItemResult<ReadAnswer>| matches!(item, ItemResult::Ok(read) if read.before_image.is_some());
        for item in answers.items.iter_mut().filter(|item| kept(item)) {
            *item = ItemResult::Error(error.clone());
        }
    }
    answers
}

fn type_of_desired(item: &DesiredItem) -> &TypeName {
    &item.type_name
}

fn mode_error(cx: &Context, what: &str) -> ItemError {
    let mode = match cx.mode() {
        Mode::Read => "read",
        Mode::Plan => "plan",
        Mode::Apply => "apply",
    };
    ItemError::new(ErrorCode::Mode, format!("a session in mode `{mode}` does not {what}"))
}

/// Does the items one after the other. Results are independent.
fn each<I, T>(
    cx: &Context,
    batch: Batch<I>,
    type_of: impl Fn(&I) -> &TypeName,
    call: impl Fn(&I) -> Result<T, ItemError>,
) -> BatchResult<T> {
    let one = |item: &I| {
        if cx.cancelled() {
            return Err(ItemError::new(ErrorCode::Cancelled, "cancelled before it began"));
        }
        known(cx, type_of(item))?;
        guarded(Mutated::No, || call(item))
    };
    BatchResult { items: batch.items.iter().map(|item| one(item).into()).collect() }
}

fn apply(provider: &impl Provider, cx: &Context, op: &Apply) -> Result<Applied, ItemError> {
    if cx.mode() != Mode::Apply {
        return Err(mode_error(cx, "change anything"));
    }
    if cx.cancelled() {
        return Err(ItemError::new(ErrorCode::Cancelled, "cancelled before it began"));
    }
    known(cx, &op.type_name)?;
    // Half of the time at most, so that the other half is left for the operation.
    let _entered = fence::enter(cx, op.fence, Duration::from_millis(op.deadline_ms / 2))?;
    guarded(Mutated::Maybe, || provider.apply(cx, op))
}

fn known(cx: &Context, type_name: &TypeName) -> Result<(), ItemError> {
    if cx.manifest().descriptor(type_name).is_some() {
        return Ok(());
    }
    let message = format!("the provider `{}` has no type `{type_name}`", cx.manifest().name);
    Err(ItemError::new(ErrorCode::Unsupported, message))
}

/// A panic ends the item, not the provider. Its text stays on standard error, where it is redacted.
fn guarded<T>(mutated: Mutated, call: impl FnOnce() -> Result<T, ItemError>) -> Result<T, ItemError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| {
        Err(ItemError::new(ErrorCode::Internal, "the provider failed; its standard error says where")
            .mutated(mutated))
    })
}

/// The line of an answer, or of the failure to make one.
fn answer<T: Serialize>(cx: &Context, result: &T) -> Vec<u8> {
    let failure = match Frame::response(cx.request, result).and_then(|frame| frame.to_line()) {
        Ok(line) if line.len() <= cx.settings.frame_max_bytes => return line,
        Ok(line) => RpcError {
            code: rpc::TOO_LARGE,
            message: format!(
                "the answer is {} bytes long; a frame is at most {}; ask for fewer items",
                line.len(),
                cx.settings.frame_max_bytes
            ),
            data: None,
        },
        Err(e) => RpcError {
            code: rpc::INTERNAL,
            message: format!("the answer cannot be written as JSON: {e}"),
            data: None,
        },
    };
    failure_line(Some(cx.request), failure)
}

/// An apply is never answered by "nothing was done" when something was: what is too long for a
/// frame is left out bit by bit.
fn answer_apply(cx: &Context, result: Result<Applied, ItemError>) -> Vec<u8> {
    let fits = |result: &ItemResult<Applied>| {
        let line = Frame::response(cx.request, result).and_then(|frame| frame.to_line()).ok()?;
        (line.len() <= cx.settings.frame_max_bytes).then_some(line)
    };
    let mut result = ItemResult::from(result);
    if let Some(line) = fits(&result) {
        return line;
    }
    if let ItemResult::Ok(applied) = &mut result
        && let Some(output) = &mut applied.output
    {
        (output.stdout, output.stderr, output.truncated) = (String::new(), String::new(), true);
        if let Some(line) = fits(&result) {
            return line;
        }
    }
    let mutated = match &result {
        ItemResult::Ok(_) => Mutated::Maybe,
        ItemResult::Error(e) => e.mutated,
    };
    let error = ItemError::new(ErrorCode::UnknownOutcome, "the answer is too long for a frame");
    answer(cx, &ItemResult::<Applied>::Error(error.mutated(mutated)))
}

/// The line of a failure of a request as a whole.
pub(crate) fn failure_line(id: Option<u64>, error: RpcError) -> Vec<u8> {
    // A number, a text and a JSON value can always be written.
    Frame::failure(id, error).to_line().unwrap_or_default()
}
