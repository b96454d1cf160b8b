//! Points at which a test kills the engine or its providers. Without the feature `crash-points`,
//! which no build for use has, nothing of this is compiled but empty calls.
//!
//! `RECTIFY_CRASH=POINT[/POINT][:NTH]:engine|provider` says where and whom, `RECTIFY_CRASH_FILE` names the
//! file in which all processes count together: a byte each time, `!` where somebody is killed. The
//! points are those of `docs/reliability.md`.

/// A point on the engine's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Before the run is in the journal.
    BeforeRun,
    /// The run is in the journal, and holds no lease yet.
    Begun,
    /// The leases are held, and there is no intent.
    Leased,
    /// An intent is durable, and its request not sent. `true`: of taking back.
    Intended(bool),
    /// The answer is here, and nothing of it in the journal.
    Answered(bool),
    /// The result is durable, and what follows from it not begun.
    Recorded(bool),
    /// The last step is done, and there is no final row.
    Finished,
    /// The final row is durable, and there is no receipt.
    Ended,
}

/// Tells that a point is reached.
#[cfg(not(feature = "crash-points"))]
#[inline]
pub fn reached(_point: Point) {}

#[cfg(feature = "crash-points")]
pub use imp::reached;
#[cfg(feature = "crash-points")]
pub(crate) use imp::variables;

#[cfg(feature = "crash-points")]
mod imp {
    use super::Point;
    use rustix::process::{Pid, Signal, getpgid, getpid, kill_process, kill_process_group};
    use std::{env, ffi::OsString, fs, fs::OpenOptions, io::Write};

    const WHERE: &str = "RECTIFY_CRASH";
    const COUNT: &str = "RECTIFY_CRASH_FILE";

    /// What a provider must be told to have points too.
    pub(crate) fn variables() -> impl Iterator<Item = (&'static str, OsString)> {
        [WHERE, COUNT].into_iter().filter_map(|name| Some((name, env::var_os(name)?)))
    }

    /// Tells that a point is reached.
    pub fn reached(point: Point) {
        let name = match point {
            Point::BeforeRun => "C0",
            Point::Begun => "C1",
            Point::Leased => "C2",
            Point::Intended(false) => "C3",
            Point::Intended(true) => "U3",
            // The provider's own point of this name is a little earlier.
            Point::Answered(false) => "C5b",
            Point::Answered(true) => "U5b",
            Point::Recorded(false) => "C6",
            Point::Recorded(true) => "U6",
            Point::Finished => "C8",
            Point::Ended => "C9",
        };
        match due(name).as_deref() {
            Some("engine") => {
                let _ = kill_process(getpid(), Signal::KILL);
            }
            Some(_) => kill_providers(),
            None => {}
        }
    }

    /// Each of our children that leads a process group is one.
    fn kill_providers() {
        for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            for child in children.split_whitespace().filter_map(|word| Pid::from_raw(word.parse().ok()?)) {
                if getpgid(Some(child)) == Ok(child) {
                    let _ = kill_process_group(child, Signal::KILL);
                }
            }
        }
    }

    /// Who is to be killed here and now.
    fn due(name: &str) -> Option<String> {
        let asked = env::var(WHERE).ok()?;
        let mut words = asked.split(':');
        let (point, second, third) = (words.next()?, words.next()?, words.next());
        let (nth, victim) = third.map_or(("1", second), |victim| (second, victim));
        if !point.split('/').any(|point| point == name) {
            return None;
        }
        let mut file = OpenOptions::new().create(true).append(true).open(env::var_os(COUNT)?).ok()?;
        file.lock().ok()?;
        let count = file.metadata().ok()?.len() + 1;
        let now = nth.parse() == Ok(count);
        file.write_all(if now { b"!" } else { b"." }).ok()?;
        now.then(|| victim.to_owned())
    }
}
