//! What a running operation listens to and reports: cancellation, rate limits, progress.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustic_core::{Progress as RusticHandle, ProgressBars, ProgressType, RusticProgress};

use crate::object::StoreError;

/// Set once to make running operations stop cleanly (Ctrl-C). Clones share the flag.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks to stop. Safe to call from a signal-handling thread, any number of times.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether somebody asked to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.is_cancelled() {
            return Err(StoreError::Cancelled);
        }
        Ok(())
    }
}

/// Spreads bytes over time: after `n` bytes the next may go `n / rate` seconds later.
#[derive(Debug)]
pub(crate) struct Limiter {
    bytes_per_second: Option<u64>,
    free_at: Mutex<Option<Instant>>,
}

impl Limiter {
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        Self {
            bytes_per_second: bytes_per_second.filter(|rate| *rate > 0),
            free_at: Mutex::new(None),
        }
    }

    /// Waits until `bytes` may pass, or until cancelled.
    pub(crate) fn pass(&self, bytes: u64, cancel: &CancelToken) -> Result<(), StoreError> {
        cancel.check()?;
        let Some(rate) = self.bytes_per_second else {
            return Ok(());
        };
        let cost = Duration::from_secs_f64(bytes as f64 / rate as f64);
        let start = {
            let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let start = free_at.map_or(now, |at| at.max(now));
            *free_at = Some(start + cost);
            start
        };
        // Small steps, so that a cancelled operation does not sit out its share.
        while let Some(left) = start.checked_duration_since(Instant::now()) {
            if left.is_zero() {
                break;
            }
            cancel.check()?;
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
        cancel.check()
    }
}

/// How far an operation has come. Counters only grow within a phase.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What is being done, in a few words.
    pub phase: String,
    /// Bytes to process, once known.
    pub bytes_total: Option<u64>,
    /// Bytes processed (read from disk in a backup, written in a restore).
    pub bytes_done: u64,
    /// Bytes safely stored in the group.
    pub bytes_stored: u64,
    /// Objects safely stored in the group.
    pub objects_stored: u64,
    /// Bytes fetched from the group.
    pub bytes_fetched: u64,
    /// Files processed.
    pub files_done: u64,
}

/// Where progress is shown. Called a few times a second from one thread, and once at the end.
pub trait ProgressSink: Sync {
    /// Shows the present state.
    fn update(&self, progress: &Progress);
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl ProgressSink for NoProgress {
    fn update(&self, _progress: &Progress) {}
}

/// The counters behind [`Progress`].
#[derive(Debug, Default)]
pub(crate) struct Meter {
    phase: Mutex<String>,
    total: AtomicU64,
    pub(crate) done: AtomicU64,
    pub(crate) stored: AtomicU64,
    pub(crate) objects: AtomicU64,
    pub(crate) fetched: AtomicU64,
    pub(crate) files: AtomicU64,
}

impl Meter {
    pub(crate) fn reset(&self) {
        self.phase("");
        for counter in
            [&self.total, &self.done, &self.stored, &self.objects, &self.fetched, &self.files]
        {
            counter.store(0, Ordering::Relaxed);
        }
    }

    pub(crate) fn phase(&self, name: &str) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        name.clone_into(&mut phase);
    }

    pub(crate) fn total(&self, bytes: u64) {
        self.total.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Progress {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Progress {
            phase: self.phase.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            bytes_total: Some(get(&self.total)).filter(|total| *total > 0),
            bytes_done: get(&self.done),
            bytes_stored: get(&self.stored),
            objects_stored: get(&self.objects),
            bytes_fetched: get(&self.fetched),
            files_done: get(&self.files),
        }
    }
}

/// Runs `work` while another thread shows the meter on the sink.
pub(crate) fn with_progress<T>(
    meter: &Meter,
    sink: &dyn ProgressSink,
    work: impl FnOnce() -> T,
) -> T {
    struct Stop<'a>(&'a (Mutex<bool>, std::sync::Condvar));
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
            self.0.1.notify_all();
        }
    }
    let stop = (Mutex::new(false), std::sync::Condvar::new());
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut stopped = stop.0.lock().unwrap_or_else(PoisonError::into_inner);
            while !*stopped {
                let step = Duration::from_millis(200);
                stopped = match stop.1.wait_timeout(stopped, step) {
                    Ok((guard, _)) => guard,
                    Err(poisoned) => poisoned.into_inner().0,
                };
                if !*stopped {
                    sink.update(&meter.read());
                }
            }
        });
        // Dropped also when `work` panics, or the scope would wait for the thread above for ever.
        let _stop = Stop(&stop);
        work()
    });
    sink.update(&meter.read());
    result
}

/// Feeds rustic's progress reports into the meter.
#[derive(Debug)]
pub(crate) struct MeterBars(pub(crate) Arc<Meter>);

#[derive(Debug)]
struct MeterBar {
    meter: Arc<Meter>,
    counts_bytes: bool,
}

impl ProgressBars for MeterBars {
    fn progress(&self, progress_type: ProgressType, prefix: &str) -> RusticHandle {
        let counts_bytes = matches!(progress_type, ProgressType::Bytes);
        if !prefix.is_empty() {
            self.0.phase(prefix.trim_end_matches('.'));
        }
        if counts_bytes {
            self.0.total(0);
            self.0.done.store(0, Ordering::Relaxed);
        }
        RusticHandle::new(MeterBar { meter: self.0.clone(), counts_bytes })
    }
}

impl RusticProgress for MeterBar {
    fn is_hidden(&self) -> bool {
        !self.counts_bytes
    }

    fn set_length(&self, len: u64) {
        if self.counts_bytes {
            self.meter.total(len);
        }
    }

    fn set_title(&self, title: &str) {
        self.meter.phase(title.trim_end_matches('.'));
    }

    fn inc(&self, inc: u64) {
        if self.counts_bytes {
            Meter::add(&self.meter.done, inc);
        }
    }

    fn finish(&self) {}
}
