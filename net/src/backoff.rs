//! Waiting time between dial attempts (section 4.3): first, doubling, capped, with jitter.
//!
//! Guarantees: a delay is between 3/4 and 5/4 of the nominal value and never 0, so that peers
//! that lost one member together do not all redial it in the same moment.

use std::time::Duration;

pub(crate) struct Backoff {
    first: Duration,
    max: Duration,
    nominal: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, nominal: first }
    }

    /// To call after a finished handshake.
    pub(crate) fn reset(&mut self) {
        self.nominal = self.first;
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

    #[test]
    fn backoff_repeated_doubles_to_cap_and_resets() {
        let (first, max) = (Duration::from_secs(60), Duration::from_secs(600));
        let mut backoff = Backoff::new(first, max);
        for nominal in [60, 120, 240, 480, 600, 600] {
            let delay = backoff.next();
            assert!(delay >= Duration::from_secs(nominal) * 3 / 4, "{delay:?} for {nominal}");
            assert!(delay <= Duration::from_secs(nominal) * 5 / 4, "{delay:?} for {nominal}");
        }
        backoff.reset();
        assert!(backoff.next() <= first * 5 / 4);
    }

    #[test]
    fn jitter_extremes_stay_in_range() {
        let nominal = Duration::from_millis(1000);
        assert_eq!(jittered(nominal, 0), Duration::from_millis(750));
        assert!(jittered(nominal, 255) < Duration::from_millis(1250));
        assert_eq!(jittered(Duration::ZERO, 0), Duration::from_millis(1));
    }
}
