//! One wait for the disk that serves everybody who changed a directory before it began.
//!
//! Operations that are carried out at once often make names in the same directory, and each may only say
//! that its name is there once the directory is on the disk. A sync brings everything to the disk that was
//! done before it began, whoever did it; so who comes while one is under way waits for the next, and that
//! one serves all who came meanwhile.
//!
//! An operation that is about to make a name in a directory can say so ([`announce_sync`]). Who comes first then
//! waits a moment for those who were announced, so that a crowd needs one sync and a lone operation waits for
//! nobody.

use rustix::{
    fs::{self, Mode, OFlags},
    io::Errno,
};
use std::{
    collections::BTreeMap,
    os::fd::AsFd,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Longest time that those are waited for who were announced: about as long as a few syncs take.
const ANNOUNCED_MAX: Duration = Duration::from_millis(1);

/// Which directory: device and inode.
type Inode = (u64, u64);

/// The directories that somebody waits for.
static DIRECTORIES: Mutex<BTreeMap<Inode, Arc<Rounds>>> = Mutex::new(BTreeMap::new());

/// The syncs of one directory, one after the other.
#[derive(Default)]
struct Rounds {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// How many were announced and have not come.
    announced: usize,
    /// Somebody waits for them, and will sync for all who wait.
    gathering: bool,
    /// Number of the last sync that began.
    begun: u64,
    /// Number of the last one that ended.
    ended: u64,
    /// The last one that failed, and how. The system tells of a failure once, to whoever asks first.
    failed: Option<(u64, Errno)>,
}

impl Rounds {
    /// Returns when a sync that began after this call has ended. `announced`: this call was.
    fn wait(&self, announced: bool, sync: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
        let mut state = lock(&self.state);
        if announced {
            self.came(&mut state);
        }
        let wanted = state.begun + 1;
        while state.ended < wanted && (state.begun > state.ended || state.gathering) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.ended < wanted {
            let until = Instant::now() + ANNOUNCED_MAX;
            state.gathering = true;
            while state.announced > 0 {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            }
            state.gathering = false;
            state.begun += 1;
            let round = state.begun;
            drop(state);
            let end = End { rounds: self, round };
            let result = sync();
            end.with(result.err());
            return result;
        }
        match state.failed {
            Some((round, errno)) if round >= wanted => Err(errno),
            _ => Ok(()),
        }
    }

    /// One who was announced comes, or gave up.
    fn came(&self, state: &mut State) {
        state.announced = state.announced.saturating_sub(1);
        if state.announced == 0 && state.gathering {
            self.changed.notify_all();
        }
    }
}

/// Ends a round whatever becomes of it, so that nobody waits for ever.
struct End<'a> {
    rounds: &'a Rounds,
    round: u64,
}

impl End<'_> {
    fn with(self, error: Option<Errno>) {
        if let Some(errno) = error {
            lock(&self.rounds.state).failed = Some((self.round, errno));
        }
    }
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.rounds.state);
        if std::thread::panicking() {
            state.failed = Some((self.round, Errno::IO));
        }
        state.ended = self.round;
        drop(state);
        self.rounds.changed.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under these locks is a single step, so a panic elsewhere left nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Brings the names that were made in a directory before this call to the disk. It need not be open for
/// reading.
///
/// # Errors
/// When the directory cannot be looked at or opened, or the sync that served this call failed.
pub fn sync_directory(directory: impl AsFd) -> Result<(), Errno> {
    Known::of(&directory)?.sync(&directory, false)
}

/// Says that a name is about to be made in a directory, which [`Announced::sync`] then brings to the disk.
/// To be dropped where nothing came of it. For what takes no longer than writing a file.
///
/// # Errors
/// When the directory cannot be looked at.
pub fn announce_sync(directory: impl AsFd) -> Result<Announced, Errno> {
    let known = Known::of(&directory)?;
    lock(&known.rounds.state).announced += 1;
    Ok(Announced { known, came: false })
}

/// A directory that will be synced.
#[derive(Debug)]
pub struct Announced {
    known: Known,
    came: bool,
}

impl Announced {
    /// As [`sync_directory`], for the directory that was announced.
    ///
    /// # Errors
    /// As [`sync_directory`].
    pub fn sync(mut self, directory: impl AsFd) -> Result<(), Errno> {
        self.came = true;
        self.known.sync(&directory, true)
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        if !self.came {
            self.known.rounds.came(&mut lock(&self.known.rounds.state));
        }
    }
}

/// A directory that somebody changes; forgotten with the last of them, because another one may have its
/// inode later.
struct Known {
    inode: Inode,
    rounds: Arc<Rounds>,
}

impl Known {
    fn of(directory: impl AsFd) -> Result<Self, Errno> {
        let stat = fs::fstat(&directory)?;
        let inode = (stat.st_dev, stat.st_ino);
        let rounds = Arc::clone(lock(&DIRECTORIES).entry(inode).or_default());
        Ok(Self { inode, rounds })
    }

    fn sync(&self, directory: impl AsFd, announced: bool) -> Result<(), Errno> {
        self.rounds.wait(announced, || {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            fs::fsync(fs::openat(&directory, c".", flags, Mode::empty())?)
        })
    }
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Known").field(&self.inode).finish()
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        let mut directories = lock(&DIRECTORIES);
        // One is the map's, one is ours.
        if Arc::strong_count(&self.rounds) <= 2 {
            directories.remove(&self.inode);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::{
        sync::{
            Barrier,
            atomic::{AtomicU32, Ordering},
        },
        thread,
        time::Duration,
    };

    #[test]
    fn whoever_comes_during_a_sync_is_served_by_the_next_one() {
        let rounds = Rounds::default();
        let (syncs, inside, leave) = (AtomicU32::new(0), Barrier::new(2), Barrier::new(2));
        thread::scope(|scope| {
            let first = scope.spawn(|| {
                rounds.wait(false, || {
                    inside.wait();
                    leave.wait();
                    Ok(())
                })
            });
            inside.wait();
            // Ten come while it is under way: it cannot serve them, one more sync serves them all.
            let late: Vec<_> = (0..10)
                .map(|_| {
                    scope.spawn(|| {
                        rounds.wait(false, || {
                            syncs.fetch_add(1, Ordering::SeqCst);
                            thread::sleep(Duration::from_millis(20));
                            Ok(())
                        })
                    })
                })
                .collect();
            thread::sleep(Duration::from_millis(50));
            assert_eq!(syncs.load(Ordering::SeqCst), 0, "one at a time");
            leave.wait();
            first.join().unwrap().unwrap();
            for waiter in late {
                waiter.join().unwrap().unwrap();
            }
        });
        let syncs = syncs.into_inner();
        assert!((1..10).contains(&syncs), "{syncs} syncs for ten who waited");
    }

    #[test]
    fn a_failed_sync_fails_everybody_whom_it_should_have_served() {
        let rounds = Rounds::default();
        let (inside, leave) = (Barrier::new(2), Barrier::new(2));
        thread::scope(|scope| {
            let first = scope.spawn(|| {
                rounds.wait(false, || {
                    inside.wait();
                    leave.wait();
                    Ok(())
                })
            });
            inside.wait();
            let late: Vec<_> =
                (0..4).map(|_| scope.spawn(|| rounds.wait(false, || Err(Errno::NOSPC)))).collect();
            thread::sleep(Duration::from_millis(50));
            leave.wait();
            first.join().unwrap().unwrap();
            for waiter in late {
                assert_eq!(waiter.join().unwrap(), Err(Errno::NOSPC));
            }
        });
        // What comes later stands for itself.
        rounds.wait(false, || Ok(())).unwrap();
    }

    #[test]
    fn who_was_announced_is_waited_for_a_moment() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = &std::fs::File::open(scratch.path()).unwrap();
        let known = Known::of(directory).unwrap();
        let rounds = &known.rounds;
        let syncs = AtomicU32::new(0);
        let count = || {
            syncs.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        lock(&rounds.state).announced = 3;
        thread::scope(|scope| {
            let all: Vec<_> = (0..3).map(|_| scope.spawn(|| rounds.wait(true, count))).collect();
            for one in all {
                one.join().unwrap().unwrap();
            }
        });
        assert!(syncs.load(Ordering::SeqCst) <= 3, "at most one each");
        assert_eq!(lock(&rounds.state).announced, 0);
        // Who does not come, or gives up, holds nobody up.
        let never = announce_sync(directory).unwrap();
        let began = Instant::now();
        rounds.wait(false, count).unwrap();
        assert!(began.elapsed() >= ANNOUNCED_MAX, "nobody was waited for");
        assert_eq!(lock(&rounds.state).announced, 1);
        drop(never);
        assert_eq!(lock(&rounds.state).announced, 0);
        let comes = announce_sync(directory).unwrap();
        comes.sync(directory).unwrap();
        assert_eq!(lock(&rounds.state).announced, 0);
        assert!(!lock(&rounds.state).gathering);
    }

    #[test]
    fn nothing_is_kept_of_directories_that_nobody_waits_for() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = std::fs::File::open(scratch.path()).unwrap();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..20).for_each(|_| sync_directory(&directory).unwrap()));
            }
        });
        let stat = fs::fstat(&directory).unwrap();
        assert!(!lock(&DIRECTORIES).contains_key(&(stat.st_dev, stat.st_ino)));
    }
}
