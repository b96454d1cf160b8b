//! How long before-images are kept: until the days of the trust file are over since the end of the last
//! run that names them. Nothing that an unfinished run names is ever deleted.
//!
//! A before-image is a file whose time of change is when it was kept last. So whatever is younger than
//! the days stays without a further look, and of the runs only those matter that began before and have
//! not ended, or ended since.

use crate::{Engine, EngineError, error::FileVerb};
use rectify_base::Digest;
use rectify_model::journal::{Record, StepState, UndoState};
use rectify_store::{Journal, LoadedRun, SqliteJournal};
use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::{Duration, SystemTime},
};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// Most files that one sweep looks at, and most that it deletes; the next one goes on.
const LOOKED_AT_MAX: usize = 200_000;
const DELETED_MAX: usize = 20_000;
/// Most runs that one sweep reads. If more could name something, nothing is deleted.
const RUNS_MAX: usize = 1_000;

/// How long nothing is swept at the end of a run after a sweep, so that runs do not each look at every
/// file.
const PAUSE: Duration = Duration::from_secs(60 * 60);
/// Name of the file that was written after the last sweep.
const SWEPT: &str = ".swept";

/// Name of the file whose lock keeps sweeping and keeping apart; the SDK has it too.
const LOCK: &str = ".lock";

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Before-images that were deleted.
    pub deleted: u64,
    /// Before-images that are old enough, and still named by a run that is not.
    pub named: u64,
    /// Whether something was left for the next sweep.
    pub more: bool,
}

/// Deletes the before-images of runs that ended so many days ago, unless a run that did not names them
/// too.
///
/// # Errors
/// When the journal or the directory cannot be read. What was deleted before stays so.
pub async fn sweep(engine: &Engine, store: &SqliteJournal, keep_days: u32) -> Result<Swept, EngineError> {
    let now_ms = (engine.now_ms)();
    let cutoff_ms = now_ms.saturating_sub(u64::from(keep_days).saturating_mul(DAY_MS));
    let mut named = BTreeSet::new();
    let mut read = 0;
    for summary in store.list_runs(u32::MAX).await? {
        let over = summary.outcome.is_some_and(|outcome| outcome.is_final());
        let ended_before = over && summary.finished_at_ms.is_some_and(|ended| ended < cutoff_ms);
        // What a later run kept is younger than the days.
        if ended_before || summary.run.started_at_ms >= cutoff_ms {
            continue;
        }
        read += 1;
        if read > RUNS_MAX {
            return Ok(Swept { more: true, ..Swept::default() });
        }
        named.extend(named_by(&store.load_run(&summary.run.run).await?));
    }
    let directory = engine.places.state.join("blobs");
    let cutoff = SystemTime::UNIX_EPOCH + Duration::from_millis(cutoff_ms);
    expire(&directory, cutoff, &named).map_err(|e| EngineError::file(FileVerb::Write, &directory, e))
}

/// The same at the end of a run, which no failure to tidy up may spoil.
pub(crate) async fn after_run(engine: &Engine, store: &SqliteJournal, keep_days: u32) {
    let stamp = engine.places.state.join("blobs").join(SWEPT);
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis((engine.now_ms)());
    if is_recent(&stamp, now) {
        return;
    }
    let stamped = match sweep(engine, store, keep_days).await {
        Ok(swept) => {
            tracing::debug!(deleted = swept.deleted, named = swept.named, "before-images");
            if swept.more {
                return;
            }
            File::options().create(true).truncate(true).write(true).mode(0o600).open(&stamp)
        }
        Err(error) => return tracing::warn!(%error, "old before-images could not be deleted"),
    };
    if let Err(error) = stamped.and_then(|file| file.set_modified(now)) {
        tracing::warn!(%error, "that before-images were looked through could not be noted");
    }
}

/// Whether the file says that a sweep ended a moment ago. One of the future, as after a clock that went
/// wrong, does not count.
fn is_recent(stamp: &Path, now: SystemTime) -> bool {
    let swept = fs::metadata(stamp).and_then(|metadata| metadata.modified());
    swept.is_ok_and(|swept| now.duration_since(swept).is_ok_and(|since| since < PAUSE))
}

/// The before-images that a run names.
fn named_by(run: &LoadedRun) -> BTreeSet<Digest> {
    let mut named = BTreeSet::new();
    for entry in &run.entries {
        let intent = match &entry.record {
            Record::Step(step) => match &step.state {
                StepState::Intent(intent) => Some(intent),
                _ => None,
            },
            Record::Undo(undo) => match &undo.state {
                UndoState::Intent(intent) => Some(intent),
                _ => None,
            },
            _ => None,
        };
        named.extend(intent.and_then(|intent| intent.before_image));
    }
    named
}

/// Deletes files of the directory for before-images that were kept before the cut-off and are not named;
/// what was begun and never finished, too.
fn expire(directory: &Path, cutoff: SystemTime, named: &BTreeSet<Digest>) -> io::Result<Swept> {
    let named: BTreeSet<String> = named.iter().map(Digest::hex).collect();
    let mut swept = Swept::default();
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(swept),
        Err(e) => return Err(e),
    };
    // A provider that finds a content kept already makes it younger under this lock, so it cannot be
    // taken away between the two.
    let lock =
        File::options().create(true).truncate(false).write(true).mode(0o600).open(directory.join(LOCK))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Swept { more: true, ..swept }),
        Err(TryLockError::Error(e)) => return Err(e),
    }
    for (looked_at, entry) in entries.enumerate() {
        if looked_at >= LOOKED_AT_MAX || swept.deleted >= DELETED_MAX as u64 {
            swept.more = true;
            break;
        }
        let entry = entry?;
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            // A provider of another run finished it.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        };
        if !metadata.is_file() || metadata.modified()? >= cutoff {
            continue;
        }
        let name = entry.file_name();
        if name == LOCK {
            continue;
        }
        let name = name.to_str().unwrap_or_default();
        let image = name.len() == 64 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if image && named.contains(name) {
            swept.named += 1;
        } else if image || name.starts_with(".tmp-") {
            match fs::remove_file(entry.path()) {
                Ok(()) => swept.deleted += u64::from(image),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
    }
    Ok(swept)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_sweep_rests_for_an_hour() {
        let home = tempfile::tempdir().unwrap();
        let stamp = home.path().join(SWEPT);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        assert!(!is_recent(&stamp, now));
        File::create(&stamp).unwrap().set_modified(now).unwrap();
        assert!(is_recent(&stamp, now) && is_recent(&stamp, now + PAUSE / 2));
        assert!(!is_recent(&stamp, now + PAUSE));
        assert!(!is_recent(&stamp, now - Duration::from_secs(1)), "the clock went back");
    }

    #[test]
    fn only_what_is_old_and_not_named_is_deleted() {
        let home = tempfile::tempdir().unwrap();
        let cutoff = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let digest = |text: &str| Digest::of_bytes(text.as_bytes());
        let at = |name: &str| home.path().join(name);
        let make = |name: &str, seconds: u64| {
            let file = File::create(at(name)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        };
        let (old, named, young) = (digest("old"), digest("named"), digest("young"));
        make(&old.hex(), 999_999);
        make(&named.hex(), 5);
        make(&young.hex(), 1_000_000);
        make(".tmp-abc", 5);
        make(".tmp-young", 1_000_001);
        make("something of somebody", 5);
        fs::create_dir(at(&digest("a directory").hex())).unwrap();
        let swept = expire(home.path(), cutoff, &BTreeSet::from([named])).unwrap();
        assert_eq!(swept, Swept { deleted: 1, named: 1, more: false });
        assert!(!at(&old.hex()).exists() && !at(".tmp-abc").exists());
        for kept in [&named.hex(), &young.hex(), ".tmp-young", "something of somebody"] {
            assert!(at(kept).exists(), "{kept}");
        }
        assert_eq!(expire(&at("nowhere"), cutoff, &BTreeSet::new()).unwrap(), Swept::default());
    }
}
