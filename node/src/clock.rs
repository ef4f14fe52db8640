//! The only place that reads the clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};
use types::{Millis, Stamp};

/// Both clocks: a monotonic one that starts with the daemon, and the wall clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts the monotonic clock at 0.
    #[allow(clippy::disallowed_methods)] // the effect runner is where clocks are read
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Milliseconds since the start.
    pub fn mono(&self) -> Millis {
        Millis(self.start.elapsed().as_millis() as u64)
    }

    /// Microseconds since the start, for measuring only.
    pub fn micros(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    /// Milliseconds since the Unix epoch; 0 if the machine's clock stands before it.
    #[allow(clippy::disallowed_methods)]
    pub fn wall(&self) -> Stamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Stamp(since.map_or(0, |duration| duration.as_millis() as u64))
    }

    /// The instant at which the monotonic clock shows `at`.
    pub fn instant(&self, at: Millis) -> Instant {
        self.start + std::time::Duration::from_millis(at.0)
    }
}
