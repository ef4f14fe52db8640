//! A member's clocks: the wall clock is off, drifts and jumps; the monotonic one starts anew with
//! each life and runs a little fast or slow.
//!
//! Guarantees: wall clocks of honest members differ by at most the permitted skew (specification 1);
//! the monotonic clock never runs backwards.

use bart_rsm::Now;
use types::{Millis, Stamp};

/// Wall clock of the run's start, milliseconds since the Unix epoch (2026-01-01).
const WALL_START_MS: u64 = 1_767_225_600_000;

/// How far wall clocks may differ, ms (specification 1, `skew`).
pub const SKEW_MAX_MS: u64 = 86_400_000;

/// What is wrong with a member's clocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clock {
    /// How far the wall clock is ahead at the start, ms.
    pub skew_ms: u64,
    /// How much it gains, in millionths.
    pub drift_ppm: u64,
    /// From when on it is set to how far ahead instead, in order of time.
    pub jumps: Vec<(u64, u64)>,
    /// How fast the monotonic clock runs, in thousandths.
    pub mono_per_mille: u64,
}

impl Clock {
    /// A clock that is only off.
    pub fn skewed(skew_ms: u64) -> Self {
        Self { skew_ms, drift_ppm: 0, jumps: Vec::new(), mono_per_mille: 1000 }
    }

    /// Both clocks, `life_ms` after the machine started with its monotonic clock at `mono_start_ms`.
    pub fn now(&self, now_ms: u64, mono_start_ms: u64, life_ms: u64) -> Now {
        let set = self.jumps.iter().rev().find(|(at_ms, _)| *at_ms <= now_ms);
        let skew_ms = set.map_or(self.skew_ms, |(_, skew_ms)| *skew_ms);
        let drift_ms = now_ms * self.drift_ppm / 1_000_000;
        Now {
            mono: Millis(mono_start_ms + life_ms * self.mono_per_mille / 1000),
            wall: Stamp(WALL_START_MS + now_ms + (skew_ms + drift_ms).min(SKEW_MAX_MS)),
        }
    }

    /// The least virtual time after which the monotonic clock shows so many more.
    pub fn until_mono(&self, elapsed_ms: u64) -> u64 {
        (elapsed_ms * 1000).div_ceil(self.mono_per_mille)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_clock_jumps_and_drifts_within_the_skew_and_monotonic_does_not_jump() {
        let clock = Clock {
            skew_ms: SKEW_MAX_MS,
            drift_ppm: 500,
            jumps: vec![(10_000, 0), (20_000, SKEW_MAX_MS / 2)],
            mono_per_mille: 1001,
        };
        let mut last_mono = Millis(0);
        for now_ms in (0..40_000).step_by(500) {
            let now = clock.now(now_ms, 7, now_ms);
            let ahead_ms = now.wall.0 - WALL_START_MS - now_ms;
            assert!(ahead_ms <= SKEW_MAX_MS);
            assert!(now.mono >= last_mono);
            last_mono = now.mono;
        }
        let wall = |now_ms| clock.now(now_ms, 0, now_ms).wall;
        assert!(wall(10_000) < wall(9_999), "set back by a day");
        assert!(wall(20_000).0 > wall(19_999).0 + SKEW_MAX_MS / 3);
    }

    #[test]
    fn waking_is_never_early() {
        for mono_per_mille in [999, 1000, 1001] {
            let clock = Clock { mono_per_mille, ..Clock::skewed(0) };
            for wait_ms in [1, 7, 999, 12_345] {
                let at_ms = clock.until_mono(wait_ms);
                assert!(clock.now(at_ms, 0, at_ms).mono >= Millis(wait_ms));
                assert!(clock.now(at_ms - 1, 0, at_ms - 1).mono < Millis(wait_ms));
            }
        }
    }
}
