//! Threads for operations that may wait for the store.
//!
//! Guarantees: a job starts at once while fewer than the maximum of threads are busy.
//! Bounds: `threads_max` threads, [`QUEUE_MAX`] waiting jobs; a job beyond that is refused.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

type Job = Box<dyn FnOnce() + Send>;

pub(crate) const QUEUE_MAX: usize = 4096;
/// A thread without work ends after this time.
const IDLE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    threads: usize,
    idle: usize,
    closed: bool,
}

struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

/// See the module's documentation.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    name: &'static str,
    threads_max: usize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    pub(crate) fn new(name: &'static str, threads_max: usize) -> Self {
        Self {
            shared: Arc::new(Shared { state: Mutex::default(), work: Condvar::new() }),
            name,
            threads_max: threads_max.max(1),
        }
    }

    /// Runs a job; `false` when there is no room for it.
    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) -> bool {
        let mut state = self.shared.lock();
        if state.closed || state.queue.len() >= QUEUE_MAX {
            return false;
        }
        state.queue.push_back(Box::new(job));
        if state.idle >= state.queue.len() {
            self.shared.work.notify_one();
            return true;
        }
        if state.threads < self.threads_max {
            let shared = self.shared.clone();
            let thread = std::thread::Builder::new().name(self.name.to_owned());
            match thread.spawn(move || work(&shared)) {
                Ok(_) => state.threads += 1,
                Err(error) if state.threads == 0 => {
                    tracing::error!(%error, "no thread for a file system operation");
                    state.queue.pop_back();
                    return false;
                }
                Err(error) => tracing::warn!(%error, "fewer threads than allowed"),
            }
        }
        true
    }

    /// Drops waiting jobs and lets threads end when their jobs do.
    pub(crate) fn close(&self) {
        let mut state = self.shared.lock();
        state.closed = true;
        let dropped = std::mem::take(&mut state.queue);
        drop(state);
        drop(dropped);
        self.shared.work.notify_all();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}

fn work(shared: &Shared) {
    let mut state = shared.lock();
    loop {
        if let Some(job) = state.queue.pop_front() {
            drop(state);
            // A bug in one operation must not take the thread's place away from others.
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
                tracing::error!("a file system operation panicked");
            }
            state = shared.lock();
            continue;
        }
        if state.closed {
            break;
        }
        state.idle += 1;
        let (guard, waited) = match shared.work.wait_timeout(state, IDLE) {
            Ok(result) => result,
            Err(poisoned) => poisoned.into_inner(),
        };
        state = guard;
        state.idle -= 1;
        if waited.timed_out() && state.queue.is_empty() {
            break;
        }
    }
    state.threads -= 1;
}
