//! The only place that reads the clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};
use types::{Millis, Stamp};

/// Both clocks: a monotonic one that starts with the daemon, and the wall clock.
///
/// The wall clock is checked against the machine's clock that also runs while it sleeps: after a jump
/// of more than `JUMP_MAX_MS` (a wrong time server, a hand that slipped) the time goes on as if there had
/// been none until the daemon is started again. One stamp from the far future would otherwise bind this
/// member for ever, and a jump would end leases that it must keep.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
    start_wall_ms: u64,
    start_boot_ms: u64,
}

/// A step of the wall clock that is still believed, milliseconds.
const JUMP_MAX_MS: u64 = 60 * 60 * 1000;

/// Milliseconds since the machine was started, sleep included.
fn boot_ms() -> u64 {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME);
    time.map_or(0, |time| time.tv_sec() as u64 * 1000 + time.tv_nsec() as u64 / 1_000_000)
}

#[allow(clippy::disallowed_methods)]
fn system_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |duration| duration.as_millis() as u64)
}

impl Clock {
    /// Starts the monotonic clock at 0.
    #[allow(clippy::disallowed_methods)] // the effect runner is where clocks are read
    pub fn start() -> Self {
        Self { start: Instant::now(), start_wall_ms: system_ms(), start_boot_ms: boot_ms() }
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
    pub fn wall(&self) -> Stamp {
        let expected = self.start_wall_ms + boot_ms().saturating_sub(self.start_boot_ms);
        Stamp(believed(system_ms(), expected))
    }

    /// The instant at which the monotonic clock shows `at`.
    pub fn instant(&self, at: Millis) -> Instant {
        self.start + std::time::Duration::from_millis(at.0)
    }
}

/// The reading of the wall clock, unless it lies far from what the running time leads to.
fn believed(system_ms: u64, expected_ms: u64) -> u64 {
    if system_ms.abs_diff(expected_ms) <= JUMP_MAX_MS { system_ms } else { expected_ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_that_jumps_is_not_believed_and_one_that_is_adjusted_is() {
        let expected = 1_000 * JUMP_MAX_MS;
        assert_eq!(believed(expected + 5_000, expected), expected + 5_000);
        assert_eq!(believed(expected + JUMP_MAX_MS + 1, expected), expected);
        assert_eq!(believed(0, expected), expected);
    }
}
