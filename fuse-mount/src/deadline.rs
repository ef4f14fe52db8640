//! Answers that are given in time, by whoever is first: the worker with a result, or the clock with `EIO`.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fuser::{Errno, ReplyData, ReplyEntry, ReplyOpen};

/// A reply that can be an error.
pub(crate) trait Fail: Send + 'static {
    fn fail(self, errno: Errno);
}

macro_rules! fail {
    ($($reply:ty),*) => { $(impl Fail for $reply {
        fn fail(self, errno: Errno) {
            self.error(errno);
        }
    })* };
}

fail!(ReplyData, ReplyEntry, ReplyOpen);

type Key = (Instant, u64);
type Alarm = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    alarms: BTreeMap<Key, Alarm>,
    next: u64,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    change: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The clock: one thread that fires alarms.
pub(crate) struct Deadlines {
    shared: Arc<Shared>,
    timeout: Duration,
}

impl Deadlines {
    pub(crate) fn new(timeout: Duration) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let watched = shared.clone();
        std::thread::Builder::new()
            .name("pib-mount-clock".to_owned())
            .spawn(move || watch(&watched))?;
        Ok(Self { shared, timeout })
    }

    /// From now on the reply is given within the timeout.
    pub(crate) fn guard<R: Fail>(&self, reply: R) -> Guarded<R> {
        let slot = Arc::new(Mutex::new(Some(reply)));
        let late = slot.clone();
        let alarm = Box::new(move || {
            if let Some(reply) = take(&late) {
                tracing::warn!("the store did not answer a file system operation in time");
                reply.fail(Errno::EIO);
            }
        });
        let mut state = self.shared.lock();
        state.next += 1;
        let key = (Instant::now() + self.timeout, state.next);
        // Timeouts are all equal, so that only an alarm that becomes the first changes the waiting.
        let first = state.alarms.is_empty();
        state.alarms.insert(key, alarm);
        drop(state);
        if first {
            self.shared.change.notify_one();
        }
        Guarded { slot, key, shared: self.shared.clone() }
    }

    pub(crate) fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.change.notify_all();
    }
}

impl Drop for Deadlines {
    fn drop(&mut self) {
        self.close();
    }
}

fn take<R>(slot: &Mutex<Option<R>>) -> Option<R> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn watch(shared: &Shared) {
    let mut state = shared.lock();
    loop {
        let now = Instant::now();
        let wait = match state.alarms.first_key_value() {
            Some((key, _)) => key.0.saturating_duration_since(now),
            // After the end, open replies still get their answers.
            None if state.closed => return,
            None => Duration::from_secs(60),
        };
        if wait.is_zero() {
            if let Some((_, alarm)) = state.alarms.pop_first() {
                drop(state);
                alarm();
                state = shared.lock();
            }
            continue;
        }
        state = match shared.change.wait_timeout(state, wait) {
            Ok((state, _)) => state,
            Err(poisoned) => poisoned.into_inner().0,
        };
    }
}

/// A reply under a deadline.
pub(crate) struct Guarded<R: Fail> {
    slot: Arc<Mutex<Option<R>>>,
    key: Key,
    shared: Arc<Shared>,
}

impl<R: Fail> Guarded<R> {
    /// Gives the answer, unless the clock was faster.
    pub(crate) fn answer(self, give: impl FnOnce(R)) {
        if let Some(reply) = take(&self.slot) {
            give(reply);
        }
    }

    /// Whether the clock was faster: then the work can be left undone.
    pub(crate) fn is_late(&self) -> bool {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

impl<R: Fail> Drop for Guarded<R> {
    fn drop(&mut self) {
        let alarm = self.shared.lock().alarms.remove(&self.key);
        drop(alarm);
        // A job that was dropped or panicked.
        if let Some(reply) = take(&self.slot) {
            reply.fail(Errno::EIO);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    struct Told(Sender<&'static str>);

    impl Fail for Told {
        fn fail(self, _errno: Errno) {
            let _ = self.0.send("failed");
        }
    }

    #[test]
    fn reply_too_late_is_an_error_and_given_once() {
        let deadlines = Deadlines::new(Duration::from_millis(50)).unwrap();
        let (sender, told) = channel();
        let guarded = deadlines.guard(Told(sender));
        assert_eq!(told.recv_timeout(Duration::from_secs(5)), Ok("failed"));
        assert!(guarded.is_late());
        guarded.answer(|reply| reply.0.send("answered").unwrap_or_default());
        assert!(told.recv().is_err());
    }

    #[test]
    fn reply_in_time_is_the_answer_and_leaves_no_alarm() {
        let deadlines = Deadlines::new(Duration::from_secs(60)).unwrap();
        let (sender, told) = channel();
        let guarded = deadlines.guard(Told(sender));
        guarded.answer(|reply| reply.0.send("answered").unwrap_or_default());
        assert_eq!(told.recv(), Ok("answered"));
        assert!(deadlines.shared.lock().alarms.is_empty());
        let (sender, told) = channel();
        drop(deadlines.guard(Told(sender)));
        assert_eq!(told.recv(), Ok("failed"));
    }
}
