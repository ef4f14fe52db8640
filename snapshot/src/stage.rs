//! The bounded stage between rustic and the store: packs are handed over and uploaded by a few threads.
//!
//! rustic writes one pack after the other and waits for each; over a network that would be one round trip
//! at a time. Here [`Stage::hand_over`] returns as soon as there is room.
//! Guarantees: (1) at most `bytes_max` bytes are held, or one object if that is larger; (2) after an
//! upload failed, every later call returns that error until [`Stage::reset`]; (3) [`Stage::barrier`]
//! returns `Ok` only when everything handed over before is stored; (4) what is staged can be read.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::control::CancelToken;
use crate::error::BackendFailure;
use crate::object::{ObjectId, StoreError};

type Upload = dyn Fn(ObjectId, Bytes) -> Result<(), StoreError> + Send + Sync;

#[derive(Default)]
struct State {
    queue: VecDeque<ObjectId>,
    /// Queued or being uploaded.
    held: HashMap<ObjectId, Bytes>,
    bytes: u64,
    uploading: usize,
    failure: Option<BackendFailure>,
    closed: bool,
}

struct Shared {
    state: Mutex<State>,
    /// Something was queued, or the stage was closed.
    work: Condvar,
    /// Something was stored or failed.
    progress: Condvar,
    upload: Box<Upload>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the module's documentation.
pub(crate) struct Stage {
    shared: Arc<Shared>,
    threads: Mutex<usize>,
    threads_max: usize,
    bytes_max: u64,
    cancel: CancelToken,
}

/// How long the end of a stage waits for uploads that are under way.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Waiting is cut into steps, so that a cancelled operation is noticed.
const STEP: Duration = Duration::from_millis(100);

impl Stage {
    pub(crate) fn new(
        threads_max: usize,
        bytes_max: u64,
        cancel: CancelToken,
        upload: Box<Upload>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                work: Condvar::new(),
                progress: Condvar::new(),
                upload,
            }),
            threads: Mutex::default(),
            threads_max: threads_max.clamp(1, 64),
            bytes_max,
            cancel,
        }
    }

    /// Takes an object to upload; waits while the stage is full.
    pub(crate) fn hand_over(&self, id: ObjectId, bytes: Bytes) -> Result<(), BackendFailure> {
        self.start_thread();
        let size = bytes.len() as u64;
        let mut state = self.shared.lock();
        loop {
            if let Some(failure) = &state.failure {
                return Err(failure.clone());
            }
            if let Err(source) = self.cancel.check() {
                let what = format!("storing data/{id}");
                return Err(BackendFailure { what, source });
            }
            if state.held.contains_key(&id) {
                return Ok(());
            }
            if state.bytes == 0 || state.bytes + size <= self.bytes_max {
                break;
            }
            state = wait(&self.shared.progress, state);
        }
        state.bytes += size;
        state.held.insert(id, bytes);
        state.queue.push_back(id);
        self.shared.work.notify_one();
        Ok(())
    }

    /// Waits until everything handed over is stored.
    pub(crate) fn barrier(&self) -> Result<(), BackendFailure> {
        let mut state = self.shared.lock();
        loop {
            if let Some(failure) = &state.failure {
                return Err(failure.clone());
            }
            if state.held.is_empty() {
                return Ok(());
            }
            if let Err(source) = self.cancel.check() {
                let what = "waiting for packs to be stored".to_owned();
                return Err(BackendFailure { what, source });
            }
            state = wait(&self.shared.progress, state);
        }
    }

    /// The bytes of an object that is not known to be stored yet.
    pub(crate) fn peek(&self, id: &ObjectId) -> Option<Bytes> {
        self.shared.lock().held.get(id).cloned()
    }

    /// Drops what is queued and waits, but not for ever, for uploads that are under way: one that is
    /// completed need not be sent again by the next run.
    pub(crate) fn settle(&self, longest: Duration) {
        let end = Instant::now() + longest;
        let mut state = self.shared.lock();
        drop_queue(&mut state);
        while state.uploading > 0 && Instant::now() < end {
            state = wait(&self.shared.progress, state);
        }
    }

    /// Forgets an earlier failure and what was queued; waits for uploads that are under way.
    pub(crate) fn reset(&self) {
        let mut state = self.shared.lock();
        drop_queue(&mut state);
        while state.uploading > 0 {
            state = wait(&self.shared.progress, state);
        }
        state.failure = None;
    }

    /// Threads are started one by one as packs come, so that a restore or a small backup has none or few.
    fn start_thread(&self) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if *threads >= self.threads_max {
            return;
        }
        let shared = self.shared.clone();
        let spawned = std::thread::Builder::new()
            .name(format!("pib-upload-{threads}"))
            .spawn(move || upload_loop(&shared));
        match spawned {
            Ok(_) => *threads += 1,
            Err(error) if *threads == 0 => {
                let source = StoreError::Other(format!("cannot start an upload thread: {error}"));
                let what = "storing packs".to_owned();
                self.shared.lock().failure = Some(BackendFailure { what, source });
            }
            Err(error) => tracing::warn!(%error, "uploading with fewer threads"),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        {
            let mut state = self.shared.lock();
            state.closed = true;
            drop_queue(&mut state);
        }
        self.shared.work.notify_all();
        // Threads are not joined: one may wait for a store that never answers, and a person for the end.
        self.settle(LAST_WAIT);
    }
}

fn wait<'a>(condition: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    match condition.wait_timeout(state, STEP) {
        Ok((state, _)) => state,
        Err(poisoned) => poisoned.into_inner().0,
    }
}

fn drop_queue(state: &mut State) {
    while let Some(id) = state.queue.pop_front() {
        if let Some(bytes) = state.held.remove(&id) {
            state.bytes -= bytes.len() as u64;
        }
    }
}

fn upload_loop(shared: &Shared) {
    let mut state = shared.lock();
    loop {
        let Some(id) = state.queue.pop_front() else {
            if state.closed {
                return;
            }
            state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        let Some(bytes) = state.held.get(&id).cloned() else {
            continue;
        };
        state.uploading += 1;
        drop(state);
        let upload = std::panic::AssertUnwindSafe(|| (shared.upload)(id, bytes));
        let result = std::panic::catch_unwind(upload)
            .unwrap_or_else(|_| Err(StoreError::Other("the store panicked".to_owned())));
        state = shared.lock();
        state.uploading -= 1;
        if let Some(bytes) = state.held.remove(&id) {
            state.bytes -= bytes.len() as u64;
        }
        if let Err(source) = result {
            let what = format!("storing data/{id}");
            state.failure.get_or_insert(BackendFailure { what, source });
            // Nothing after a failure can end up in a snapshot; do not spend the network on it.
            drop_queue(&mut state);
        }
        shared.progress.notify_all();
    }
}
