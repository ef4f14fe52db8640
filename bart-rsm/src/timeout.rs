//! The base timeout of turns, derived from the log (specification 3.7; paper 5.1.2 and theorem 4).
//!
//! Guarantees: (1) equal at all members that applied the same instances; (2) between `t0_min` and
//! `t0_max`; (3) it doubles only for more than `f` NULL decisions within one rotation, so silent
//! Byzantine senders alone never move it, and a group that is slower than its timers grows them
//! until its proposals pass.
//! Deviation: while a NULL lingers in the rotation a later value leaves the base as it is instead
//! of doubling it again, so that one burst of NULLs costs a doubling each and not the maximum.

use crate::config::Params;
use types::limits::{MEMBERS_MAX, TURN_EXPONENT_MAX};
use types::{Decode, DecodeError, Encode, Reader, Writer};

/// What the last outcomes say about the timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct BaseTimeout {
    /// The last outcomes, the latest in bit 0; a NULL is 1.
    nulls: u64,
    /// The base, ms; 0 before the first outcome.
    base_ms: u64,
}

const _: () = assert!(MEMBERS_MAX <= 64);

impl BaseTimeout {
    /// `T0` of the next instance, ms.
    pub(crate) fn base_ms(&self, params: &Params) -> u64 {
        self.base_ms.clamp(params.t0_min_ms, params.t0_max_ms)
    }

    /// Takes one outcome in; a rotation has `senders` members, `f` of them may be Byzantine.
    pub(crate) fn note(&mut self, null: bool, senders: usize, f: usize, params: &Params) {
        let base = self.base_ms(params);
        let rotation = u64::MAX >> (64 - senders.clamp(1, 64));
        self.nulls = self.nulls << 1 | u64::from(null);
        let slow = (self.nulls & rotation).count_ones() as usize > f;
        self.base_ms = match (slow, null) {
            (true, true) => base.saturating_mul(2).min(params.t0_max_ms),
            (true, false) => base,
            (false, _) => (base - base / 16).max(params.t0_min_ms),
        };
    }

    /// How long `turn` may take before the next starts, without the pace of idle senders.
    pub(crate) fn turn_ms(&self, params: &Params, turn: u32) -> u64 {
        self.base_ms(params).saturating_mul(1 << turn.min(TURN_EXPONENT_MAX))
    }
}

impl Encode for BaseTimeout {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.nulls);
        out.u64(self.base_ms);
    }
}

impl Decode for BaseTimeout {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { nulls: input.u64()?, base_ms: input.u64()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(outcomes: &[bool], n: usize, f: usize) -> u64 {
        let params = Params::default();
        let mut base = BaseTimeout::default();
        for null in outcomes {
            base.note(*null, n, f, &params);
        }
        base.base_ms(&params)
    }

    #[test]
    fn base_doubles_only_for_more_than_f_nulls_in_a_rotation() {
        // One silent sender of five, for ever.
        let silent: Vec<bool> = (0..100).map(|no| no % 5 == 3).collect();
        assert_eq!(after(&silent, 5, 1), 10_000);
        // Two senders of five: one of them is honest and was cut off.
        assert_eq!(after(&[true, false, false, true], 5, 1), 20_000);
        assert_eq!(after(&[true, false, false, false, false, true], 5, 1), 10_000);
        assert_eq!(after(&[true, true, false, false], 5, 1), 20_000);
        assert_eq!(after(&[true], 4, 0), 20_000);
    }

    #[test]
    fn base_stays_within_its_bounds_and_comes_down_again() {
        assert_eq!(after(&[true; 64], 5, 1), 600_000);
        let mut outcomes = vec![true; 64];
        outcomes.extend([false; 3]);
        assert_eq!(after(&outcomes, 5, 1), 600_000);
        outcomes.push(false);
        assert_eq!(after(&outcomes, 5, 1), 562_500);
        outcomes.extend([false; 64]);
        assert_eq!(after(&outcomes, 5, 1), 10_000);
    }

    #[test]
    fn turn_timeout_doubles_up_to_the_cap() {
        let (params, base) = (Params::default(), BaseTimeout::default());
        assert_eq!(base.turn_ms(&params, 0), 10_000);
        assert_eq!(base.turn_ms(&params, 3), 80_000);
        assert_eq!(base.turn_ms(&params, 60), 10_240_000);
    }

    #[test]
    fn largest_group_counts_all_its_outcomes() {
        assert_eq!(after(&[true; 20], 64, 20), 10_000);
        assert_eq!(after(&[true; 21], 64, 20), 20_000);
    }
}
