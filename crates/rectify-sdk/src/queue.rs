//! Requests that wait or run: bounded, and each of them cancellable.

use crate::{session::Settings, stop::Stop, work::Work};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, Thread},
    time::{Duration, Instant},
};

/// Requests that may wait for a worker.
const WAITING_REQUESTS_MAX: usize = 4_096;
/// Bytes of requests that may wait for a worker.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One request for a worker.
pub(crate) struct Job {
    pub(crate) id: u64,
    /// Length of its frame.
    pub(crate) bytes: usize,
    pub(crate) work: Work,
    pub(crate) settings: Arc<Settings>,
    pub(crate) stop: Arc<Stop>,
}

/// Why a job is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Overloaded,
    DuplicateId,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    bytes: usize,
    running: BTreeMap<u64, Arc<Stop>>,
    /// Workers with nothing to do. The one that came last is woken first: what it works with is still
    /// near its processor.
    workers: Vec<Thread>,
    closed: bool,
}

/// The queue between the reader and the workers.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    /// For who waits, once the queue is closed, until all is done.
    idle: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No provider code runs under this lock, so what a panic left behind is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, job: Job) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.running.contains_key(&job.id) || state.waiting.iter().any(|w| w.id == job.id) {
            return Err(Refused::DuplicateId);
        }
        let full = state.waiting.len() >= WAITING_REQUESTS_MAX
            || (state.bytes + job.bytes > WAITING_BYTES_MAX && !state.waiting.is_empty());
        if full || state.closed {
            return Err(Refused::Overloaded);
        }
        state.bytes += job.bytes;
        state.waiting.push_back(job);
        // Where all are at work, whoever is done first looks for more before it rests.
        let worker = state.workers.pop();
        drop(state);
        if let Some(worker) = worker {
            worker.unpark();
        }
        Ok(())
    }

    /// Waits for a job. `None`: there will be no more.
    pub(crate) fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.waiting.pop_front() {
                state.bytes -= job.bytes;
                state.running.insert(job.id, Arc::clone(&job.stop));
                return Some(job);
            }
            if state.closed {
                return None;
            }
            let own = thread::current();
            let id = own.id();
            state.workers.push(own);
            drop(state);
            thread::park();
            state = self.lock();
            // Still there if nobody woke it: `park` may return by itself.
            state.workers.retain(|worker| worker.id() != id);
        }
    }

    /// The job was answered.
    pub(crate) fn done(&self, id: u64) {
        let mut state = self.lock();
        state.running.remove(&id);
        // Nobody waits before that, and to tell nobody costs a system call.
        if state.closed {
            self.idle.notify_all();
        }
    }

    /// Cancels a request. If it has not begun, it is taken out, to be answered by the caller.
    pub(crate) fn cancel(&self, id: u64) -> Option<Job> {
        let mut state = self.lock();
        if let Some(stop) = state.running.get(&id) {
            stop.cancel();
            return None;
        }
        let at = state.waiting.iter().position(|job| job.id == id)?;
        let job = state.waiting.remove(at)?;
        state.bytes -= job.bytes;
        Some(job)
    }

    /// Cancels everything and takes no more. What has not begun is given back, to be answered.
    pub(crate) fn close(&self) -> VecDeque<Job> {
        let mut state = self.lock();
        state.closed = true;
        state.bytes = 0;
        for stop in state.running.values() {
            stop.engine_is_gone();
        }
        let waiting = std::mem::take(&mut state.waiting);
        let workers = std::mem::take(&mut state.workers);
        drop(state);
        workers.iter().for_each(Thread::unpark);
        self.idle.notify_all();
        waiting
    }

    /// Requests that wait or run.
    pub(crate) fn in_flight(&self) -> usize {
        let state = self.lock();
        state.waiting.len() + state.running.len()
    }

    /// Waits, after [`close`](Self::close), until nothing runs any more. Returns whether that came true in time.
    pub(crate) fn wait_idle(&self, longest: Duration) -> bool {
        let deadline = Instant::now() + longest;
        let mut state = self.lock();
        while !(state.waiting.is_empty() && state.running.is_empty()) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.idle.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}
