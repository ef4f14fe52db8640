//! A rate limit for bulk bytes, shared by all peers.
//!
//! Guarantees: over any time `t` at most `rate * (t + BURST)` bytes plus one piece pass. Pieces
//! are served in the order of the calls, so connections share the rate piece by piece.

use std::num::NonZeroU64;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::lock;

/// Bytes of this much time may pass at once after an idle time.
const BURST: Duration = Duration::from_millis(250);

pub(crate) struct RateLimiter {
    bytes_per_second: NonZeroU64,
    /// When everything taken so far will have passed at the set rate.
    paid_until: Mutex<Instant>,
}

impl RateLimiter {
    pub(crate) fn new(bytes_per_second: NonZeroU64) -> Self {
        Self { bytes_per_second, paid_until: Mutex::new(Instant::now()) }
    }

    /// Waits until `bytes` more may pass.
    pub(crate) async fn take(&self, bytes: usize) {
        let wait_until = {
            let now = Instant::now();
            let mut paid_until = lock(&self.paid_until);
            let nanos = bytes as u128 * 1_000_000_000 / u128::from(self.bytes_per_second.get());
            let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 4));
            let earliest = now.checked_sub(BURST).unwrap_or(now);
            *paid_until = (*paid_until).max(earliest) + cost;
            *paid_until
        };
        tokio::time::sleep_until(wait_until).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn limiter_over_rate_makes_wait() {
        let limiter = RateLimiter::new(NonZeroU64::new(100_000).expect("not 0"));
        let started = Instant::now();
        for _ in 0..6 {
            limiter.take(10_000).await;
        }
        // 60 kB at 100 kB/s is 600 ms; at most 250 ms of it may be burst.
        assert!(started.elapsed() >= Duration::from_millis(340), "{:?}", started.elapsed());
    }
}
