//! Points at which a test kills a provider or its engine. Without the feature `crash-points`, which
//! no build for use has, nothing of this is compiled but empty calls.
//!
//! `RECTIFY_CRASH=POINT[/POINT][:NTH]:engine|provider` says where and whom, `RECTIFY_CRASH_FILE` names the
//! file in which all processes count together: a byte each time, `!` where somebody is killed.

/// What a provider is about to do, or has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Everything is prepared, and the effect is the next thing that happens.
    Prepared,
    /// The effect is there, and nothing says so yet.
    Done,
    /// What is to be answered is certain, and not sent.
    Answer,
}

/// Tells that a point is reached.
#[cfg(not(feature = "crash-points"))]
#[inline]
pub fn reached(_at: At) {}

/// Carries out an operation; points are only reached in one.
#[cfg(not(feature = "crash-points"))]
#[inline]
pub(crate) fn operation<T>(_op: &rectify_protocol::message::Apply, run: impl FnOnce() -> T) -> T {
    run()
}

#[cfg(feature = "crash-points")]
pub(crate) use imp::operation;
#[cfg(feature = "crash-points")]
pub use imp::reached;

#[cfg(feature = "crash-points")]
mod imp {
    use super::At;
    use rectify_protocol::message::{Apply, RESTORE};
    use rustix::process::{Signal, getppid, kill_current_process_group, kill_process};
    use std::{cell::Cell, env, fs::OpenOptions, io::Write};

    thread_local! {
        /// Whether the operation takes something back; `None` where there is no operation.
        static BACK: Cell<Option<bool>> = const { Cell::new(None) };
    }

    /// Carries out an operation; points are only reached in one.
    pub(crate) fn operation<T>(op: &Apply, run: impl FnOnce() -> T) -> T {
        BACK.set(Some(op.desired.contains_key(RESTORE) || op.desired.contains_key("$undo")));
        let result = run();
        reached(At::Answer);
        BACK.set(None);
        result
    }

    /// Tells that a point is reached.
    pub fn reached(at: At) {
        let Some(back) = BACK.get() else { return };
        let name = match (at, back) {
            (At::Prepared, false) => "C4",
            (At::Done, false) => "C4b",
            (At::Answer, false) => "C5",
            (At::Prepared, true) => "U4",
            (At::Done, true) => "U4b",
            (At::Answer, true) => "U5",
        };
        let Some(victim) = due(name) else { return };
        if victim == "engine" {
            // It goes on acting: nobody tells it that the one who asked is gone.
            if let Some(engine) = getppid() {
                let _ = kill_process(engine, Signal::KILL);
            }
        } else {
            let _ = kill_current_process_group(Signal::KILL);
        }
    }

    /// Who is to be killed here and now.
    fn due(name: &str) -> Option<String> {
        let asked = env::var("RECTIFY_CRASH").ok()?;
        let mut words = asked.split(':');
        let (point, second, third) = (words.next()?, words.next()?, words.next());
        let (nth, victim) = third.map_or(("1", second), |victim| (second, victim));
        if !point.split('/').any(|point| point == name) {
            return None;
        }
        let path = env::var_os("RECTIFY_CRASH_FILE")?;
        let mut file = OpenOptions::new().create(true).append(true).open(path).ok()?;
        file.lock().ok()?;
        let count = file.metadata().ok()?.len() + 1;
        let now = nth.parse() == Ok(count);
        file.write_all(if now { b"!" } else { b"." }).ok()?;
        now.then(|| victim.to_owned())
    }
}
