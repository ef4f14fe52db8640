//! Waiting time between dial attempts (section 4.3): first, doubling, capped, with jitter.
//!
//! A burst of quick attempts comes before the first waiting time, so that members that start or
//! restart one after the other find each other soon; the doubling merely begins further down.
//!
//! Guarantees: a delay is between 3/4 and 5/4 of the nominal value and never 0, so that peers
//! that lost one member together do not all redial it in the same moment. Bounds: [`QUICK_STEPS`]
//! quick attempts, and a new burst no earlier than `first` after the last one began: a peer that
//! accepts and closes does not get more.

use std::time::{Duration, Instant};

/// Attempts before the waiting time reaches `first`.
const QUICK_STEPS: u32 = 6;

pub(crate) struct Backoff {
    first: Duration,
    max: Duration,
    nominal: Duration,
    burst: Instant,
}

impl Backoff {
    pub(crate) fn new(first: Duration, max: Duration, now: Instant) -> Self {
        let quick = first / 2u32.pow(QUICK_STEPS);
        Self { first, max, nominal: quick, burst: now }
    }

    /// To call after a finished handshake.
    pub(crate) fn reset(&mut self, now: Instant) {
        self.nominal = self.first;
        if now.duration_since(self.burst) >= self.first {
            *self = Self::new(self.first, self.max, now);
        }
    }

    /// The time to wait now; the next one is twice as long, up to the cap.
    pub(crate) fn next(&mut self) -> Duration {
        let nominal = self.nominal;
        self.nominal = nominal.saturating_mul(2).min(self.max);
        jittered(nominal, random_byte())
    }
}

fn jittered(nominal: Duration, random: u8) -> Duration {
    let share = 192 + u32::from(random) / 2;
    (nominal.saturating_mul(share) / 256).max(Duration::from_millis(1))
}

fn random_byte() -> u8 {
    let mut byte = [0u8; 1];
    // Without randomness the delay is merely not spread; that must not stop the dialling.
    match getrandom::fill(&mut byte) {
        Ok(()) => byte[0],
        Err(_) => 128,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(delay: Duration, nominal: Duration) {
        assert!(delay >= nominal * 3 / 4 && delay <= nominal * 5 / 4, "{delay:?} for {nominal:?}");
    }

    #[test]
    fn backoff_repeated_is_quick_first_then_doubles_to_the_cap() {
        let (first, max) = (Duration::from_secs(64), Duration::from_secs(600));
        let now = Instant::now();
        let mut backoff = Backoff::new(first, max, now);
        for nominal in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600] {
            check(backoff.next(), Duration::from_secs(nominal));
        }
    }

    #[test]
    fn backoff_reset_too_early_starts_at_the_first_step_without_a_burst() {
        let (first, max) = (Duration::from_secs(64), Duration::from_secs(600));
        let now = Instant::now();
        let mut backoff = Backoff::new(first, max, now);
        for _ in 0..10 {
            backoff.reset(now);
            check(backoff.next(), first);
        }
        backoff.reset(now + first);
        check(backoff.next(), Duration::from_secs(1));
        backoff.reset(now + first);
        check(backoff.next(), first);
    }

    #[test]
    fn jitter_extremes_stay_in_range() {
        let nominal = Duration::from_millis(1000);
        assert_eq!(jittered(nominal, 0), Duration::from_millis(750));
        assert!(jittered(nominal, 255) < Duration::from_millis(1250));
        assert_eq!(jittered(Duration::ZERO, 0), Duration::from_millis(1));
    }
}
