//! The numbers of a group that decide which answer is legal.

use types::{Ident, Size, Stamp};

/// Lease, clock difference and contribution: the same at every member, from the genesis
/// configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How long a storer keeps a chunk after the owner's stamp, milliseconds (default 30 days).
    pub lease_ms: u64,
    /// How far two honest clocks may differ, milliseconds (default 1 day).
    pub skew_ms: u64,
    /// `C`: bytes that a member contributes with its first identity.
    pub contribution_bytes: u64,
}

impl Rules {
    /// `C_j = 1.1^j * C`: what a member that acts under identity `j` must hold. Rounded down after
    /// every factor, so that every member computes the same number; at most `u64::MAX`.
    pub fn capacity(&self, ident: Ident) -> u64 {
        let mut capacity = u128::from(self.contribution_bytes);
        for _ in 0..ident.0 {
            capacity = (capacity * 11 / 10).min(u128::from(u64::MAX));
        }
        u64::try_from(capacity).unwrap_or(u64::MAX)
    }

    /// The last moment of a storer's own clock at which it must still hold what was stamped so
    /// (issue P6): `stamp + lease + skew`.
    pub fn held_until(&self, stamp: Stamp) -> Stamp {
        Stamp(stamp.0.saturating_add(self.lease_ms).saturating_add(self.skew_ms))
    }

    /// Whether a storer whose own clock (or signed stamp) says `now` may have let go.
    pub fn is_over(&self, stamp: Stamp, now: Stamp) -> bool {
        now > self.held_until(stamp)
    }

    /// The last moment of the owner's clock at which it may rely on the data.
    pub fn owner_relies_until(&self, stamp: Stamp) -> Stamp {
        Stamp(stamp.0.saturating_add(self.lease_ms))
    }

    /// From when on the owner renews: half of the lease leaves room for a slow path.
    pub fn renewal_due(&self, stamp: Stamp) -> Stamp {
        Stamp(stamp.0.saturating_add(self.lease_ms / 2))
    }

    /// After this reading of the owner's clock no honest storer holds the chunk, however the
    /// clocks differ: the owner's reservation may go.
    pub fn surely_gone_after(&self, stamp: Stamp) -> Stamp {
        Stamp(self.held_until(stamp).0.saturating_add(self.skew_ms))
    }

    /// How far a stamp lies beyond `now + skew`; `None` if it is acceptable (specification 7.4).
    pub fn too_far_ahead(&self, stamp: Stamp, now: Stamp) -> Option<u64> {
        stamp.0.checked_sub(now.0.saturating_add(self.skew_ms)).filter(|ahead| *ahead > 0)
    }

    /// Whether cited bytes and one more chunk exceed the capacity of an identity.
    pub fn exceeds(&self, ident: Ident, cited: u128, more: Size) -> bool {
        cited + u128::from(more.0) > u128::from(self.capacity(ident))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { lease_ms: 1000, skew_ms: 100, contribution_bytes: 1000 };

    #[test]
    fn capacity_grows_by_a_tenth_with_every_identity() {
        let got: Vec<u64> = (0..4).map(|ident| RULES.capacity(Ident(ident))).collect();
        assert_eq!(got, [1000, 1100, 1210, 1331]);
    }

    #[test]
    fn capacity_at_the_end_of_the_range_saturates() {
        let rules = Rules { contribution_bytes: u64::MAX, ..RULES };
        assert_eq!(rules.capacity(Ident(31)), u64::MAX);
    }

    #[test]
    fn lease_is_over_one_millisecond_after_lease_and_skew() {
        assert!(!RULES.is_over(Stamp(5), Stamp(1105)));
        assert!(RULES.is_over(Stamp(5), Stamp(1106)));
    }

    #[test]
    fn stamp_is_acceptable_up_to_the_skew() {
        assert_eq!(RULES.too_far_ahead(Stamp(1100), Stamp(1000)), None);
        assert_eq!(RULES.too_far_ahead(Stamp(1101), Stamp(1000)), Some(1));
    }
}
