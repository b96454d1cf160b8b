//! One wait for the disk that serves everybody who changed a directory before it began.
//!
//! Operations that are carried out at once often make names in the same directory, and each may only say
//! that its name is there once the directory is on the disk. A sync brings everything to the disk that was
//! done before it began, whoever did it; so who comes while one is under way waits for the next, and that
//! one serves all who came meanwhile.

use rustix::{
    fs::{self, Mode, OFlags},
    io::Errno,
};
use std::{
    collections::BTreeMap,
    os::fd::AsFd,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

/// Which directory: device and inode.
type Inode = (u64, u64);

/// The directories that somebody waits for.
static DIRECTORIES: Mutex<BTreeMap<Inode, Arc<Rounds>>> = Mutex::new(BTreeMap::new());

/// The syncs of one directory, one after the other.
#[derive(Default)]
struct Rounds {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    /// Number of the last sync that began.
    begun: u64,
    /// Number of the last one that ended.
    ended: u64,
    /// The last one that failed, and how. The system tells of a failure once, to whoever asks first.
    failed: Option<(u64, Errno)>,
}

impl Rounds {
    /// Returns when a sync that began after this call has ended.
    fn wait(&self, sync: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
        let mut state = lock(&self.state);
        let wanted = state.begun + 1;
        while state.ended < wanted && state.begun > state.ended {
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.ended < wanted {
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
        self.rounds.ended.notify_all();
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
    let stat = fs::fstat(&directory)?;
    let inode = (stat.st_dev, stat.st_ino);
    let rounds = Arc::clone(lock(&DIRECTORIES).entry(inode).or_default());
    let result = rounds.wait(|| {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        fs::fsync(fs::openat(&directory, c".", flags, Mode::empty())?)
    });
    drop(rounds);
    let mut directories = lock(&DIRECTORIES);
    // Another directory may have this inode later.
    if directories.get(&inode).is_some_and(|rounds| Arc::strong_count(rounds) == 1) {
        directories.remove(&inode);
    }
    result
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
                rounds.wait(|| {
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
                        rounds.wait(|| {
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
                rounds.wait(|| {
                    inside.wait();
                    leave.wait();
                    Ok(())
                })
            });
            inside.wait();
            let late: Vec<_> = (0..4).map(|_| scope.spawn(|| rounds.wait(|| Err(Errno::NOSPC)))).collect();
            thread::sleep(Duration::from_millis(50));
            leave.wait();
            first.join().unwrap().unwrap();
            for waiter in late {
                assert_eq!(waiter.join().unwrap(), Err(Errno::NOSPC));
            }
        });
        // What comes later stands for itself.
        rounds.wait(|| Ok(())).unwrap();
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
