//! The fence where the write lands: a run that lost its lease writes nothing after the run that came
//! after it began to, however long it was stopped in between.
//!
//! In the session's state directory, which is that of one target: `fence` holds the highest fence
//! seen. Whoever acts under fence N holds a shared lock on `acting-N` from before it reads `fence`
//! until it is done. A higher fence is recorded, durably, before anything is done under it; from then
//! on nobody begins anything under a lower one. What began before is waited for, by the exclusive lock
//! on each lower `acting-N`, which is then removed. Operations of one fence never wait for each other,
//! and an unchanged fence costs no write. The locks end with the process.

use crate::{Context, durable};
use rectify_protocol::{ErrorCode, ItemError};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Longest wait for what is still being done under a lower fence. An operation's own limit may be
/// shorter.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// How often it is looked whether that is done.
const POLL: Duration = Duration::from_millis(5);
/// The file with the highest fence.
const FENCE: &str = "fence";
/// Held while a higher fence is written.
const RAISING: &str = "fence.lock";
/// Begins the names of the files whose locks say that something is being done.
const ACTING: &str = "acting-";

/// The highest fence under which this session found nothing else going on. Beneath it nobody can
/// begin anything, so it need not look again.
#[derive(Debug, Default)]
pub(crate) struct Alone(AtomicU64);

/// The right to act; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Entered {
    _acting: File,
}

/// Begins an operation.
///
/// # Errors
/// `CONFLICT` where a higher fence was seen; `BUSY` where something is still being done under a lower
/// one; `UNSUPPORTED` without a state directory; `FAILED` when the fence cannot be read or recorded.
/// Nothing was done then.
pub(crate) fn enter(cx: &Context, fence: u64, limit: Duration) -> Result<Entered, ItemError> {
    let directory = &cx.dirs().state;
    if directory.is_empty() {
        return Err(ItemError::new(
            ErrorCode::Unsupported,
            "an operation needs a directory for its fence and its ledger, and this session has none",
        ));
    }
    let deadline = Instant::now() + limit.min(WAIT_MAX);
    let directory = Path::new(directory);
    let error = failed("the fence cannot be used");
    let acting = open(&directory.join(format!("{ACTING}{fence}"))).map_err(&error)?;
    loop {
        // First say that something is being done, then compare: whoever records a higher fence and
        // does not see this lock is seen here.
        let locked = match acting.try_lock_shared() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(e)) => return Err(error(e)),
        };
        let highest = highest(directory)?;
        if highest > fence {
            return Err(ItemError::new(
                ErrorCode::Conflict,
                format!("a run with fence {highest} came after this one, which has fence {fence}"),
            )
            .hint("another run took over; see what it did, and make a new plan if something is left to do"));
        }
        if highest < fence {
            raise(directory, fence, deadline)?;
        } else if locked {
            break;
        } else if Instant::now() >= deadline || cx.cancelled() {
            return Err(busy("another run is taking over from this one").hint("try again"));
        } else {
            // For a moment, by a process that is being made where a higher fence waited.
            thread::sleep(POLL);
        }
    }
    let alone = &cx.settings.alone.0;
    if alone.load(Ordering::Acquire) != fence {
        wait_for_lower(cx, directory, fence, deadline)?;
        alone.store(fence, Ordering::Release);
    }
    Ok(Entered { _acting: acting })
}

fn failed(what: &str) -> impl Fn(io::Error) -> ItemError + '_ {
    move |e| ItemError::new(ErrorCode::Failed, format!("{what}: {e}"))
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}

fn highest(directory: &Path) -> Result<u64, ItemError> {
    let bytes =
        durable::read_if_exists(&directory.join(FENCE)).map_err(failed("the fence cannot be read"))?;
    let Some(bytes) = bytes else { return Ok(0) };
    // A fence that cannot be read could be any, so nothing is done.
    let text = String::from_utf8_lossy(&bytes);
    text.trim()
        .parse()
        .map_err(|e| ItemError::new(ErrorCode::Failed, format!("the recorded fence cannot be read: {e}")))
}

/// Records a higher fence. Somebody else may have recorded a yet higher one meanwhile.
fn raise(directory: &Path, fence: u64, deadline: Instant) -> Result<(), ItemError> {
    let error = failed("the fence cannot be recorded");
    let lock = open(&directory.join(RAISING)).map_err(&error)?;
    exclusive(&lock, deadline, &|| false)
        .map_err(&error)?
        .then_some(())
        .ok_or_else(|| busy("another run is taking over").hint("try again"))?;
    if highest(directory)? < fence {
        durable::replace(directory, FENCE, format!("{fence}\n").as_bytes()).map_err(&error)?;
    }
    Ok(())
}

/// Waits until nothing is done under a lower fence.
fn wait_for_lower(cx: &Context, directory: &Path, fence: u64, deadline: Instant) -> Result<(), ItemError> {
    let error = failed("what another run is doing cannot be seen");
    for (lower, path) in lower(directory, fence).map_err(&error)? {
        let file = match OpenOptions::new().write(true).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(error(e)),
        };
        if !exclusive(&file, deadline, &|| cx.cancelled()).map_err(&error)? {
            return Err(busy(&format!(
                "an operation of an earlier run, with fence {lower}, is still being carried out"
            ))
            .hint("wait until it ends, or end its process"));
        }
        // Whoever opens or holds it from now on reads the higher fence.
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(error(e)),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn lower(directory: &Path, fence: u64) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(ACTING)?.parse().ok());
        if let Some(number) = number.filter(|number| *number < fence) {
            found.push((number, entry.path()));
        }
    }
    Ok(found)
}

/// Takes a lock that others may hold for a while. Whether it came true in time.
fn exclusive(file: &File, deadline: Instant, cancelled: &dyn Fn() -> bool) -> io::Result<bool> {
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline || cancelled() => return Ok(false),
            Err(TryLockError::WouldBlock) => thread::sleep(POLL),
            Err(TryLockError::Error(e)) => return Err(e),
        }
    }
}

fn busy(message: &str) -> ItemError {
    ItemError::new(ErrorCode::Busy, message)
}
