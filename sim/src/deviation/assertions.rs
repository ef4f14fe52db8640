//! The inequalities C1 to C11 (specification 10.2), computed from encoders and parameters before any run.
//!
//! Guarantees: an experiment whose premises do not hold does not start. C5 to C7 and C10, C11 are
//! about work assignment and the backup service; they are named and left to those levels.

use super::meter::Prices;
use super::sizes::Sizes;

/// Probability that a late set-turn is noticed times that the noticing member's next proposal is decided.
pub const DETECTED_AND_DECIDED: f64 = 0.25;
/// `B_p`: the benefit of a decided proposal, in worst-case rotations.
const BENEFIT_IN_ROTATIONS: f64 = 3.0;

/// The numbers of a group that the inequalities speak of.
#[derive(Debug, Clone, Copy)]
pub struct Premises {
    /// Members.
    pub n: usize,
    /// Byzantine members tolerated.
    pub f: usize,
    /// Quorum size.
    pub q: usize,
    /// Largest proposal.
    pub v_max: usize,
    /// Bytes of one unit of penance.
    pub late_fee: usize,
    /// Measured sizes.
    pub sizes: Sizes,
}

/// One inequality.
#[derive(Debug, Clone, PartialEq)]
pub struct Assertion {
    /// Its name in the specification.
    pub name: &'static str,
    /// In words, with the numbers.
    pub what: String,
    /// Whether it holds; none where it belongs to another level.
    pub holds: Option<bool>,
}

impl Premises {
    /// Cost of a rotation in which nothing goes wrong: once sender, otherwise acceptor.
    pub fn calm_rotation(&self, prices: &Prices) -> f64 {
        let others = (self.n - 1) as f64;
        let (sent, received) = self.sizes.turn_0();
        prices.bytes(others * (sent + received) as f64, others * (sent + received) as f64)
    }

    /// Cost of the worst rotation (10.2, C1): `f` silent senders, each costing `f + 1` turns of which
    /// this member leads `f` in all, and all the penance that `f` members can order.
    pub fn worst_rotation(&self, prices: &Prices) -> f64 {
        let (sent, received) = self.sizes.turn();
        let (sent, received) = (sent as f64, received as f64);
        let (f, peers) = (self.f as f64, (self.n - 2) as f64);
        let led = f * prices.bytes(peers * sent, peers * received);
        let others = f * f * prices.bytes(received, sent);
        let units = f * peers * self.sizes.penance as f64;
        self.calm_rotation(prices) + led + others + prices.bytes(units, units)
    }

    /// `B_p`.
    pub fn benefit(&self, prices: &Prices) -> f64 {
        BENEFIT_IN_ROTATIONS * self.worst_rotation(prices)
    }

    /// Bytes of penance that make lateness dearer than the turn it may save (C2).
    pub fn late_fee_needed(&self, prices: &Prices) -> f64 {
        let (received, sent) = self.sizes.turn();
        let saved = prices.bytes(sent as f64, received as f64);
        saved / (DETECTED_AND_DECIDED * prices.bytes((self.n - 2) as f64, 0.0))
    }

    /// All inequalities.
    pub fn check(&self, prices: &Prices) -> Vec<Assertion> {
        let s = &self.sizes;
        let say = |name, holds, what| Assertion { name, what, holds: Some(holds) };
        let (worst, benefit) = (self.worst_rotation(prices), self.benefit(prices));
        let needed = self.late_fee_needed(prices);
        let (sent, received) = s.turn();
        let peers = (self.n - 2) as f64;
        let full = prices.bytes(peers * sent as f64, peers * received as f64);
        let shown = (self.q - 1) as f64 * prices.bytes(s.show_decision as f64, 0.0);
        let calm = self.calm_rotation(prices);
        let pairs = [
            (s.read_ack, s.read_ack_none),
            (s.agree, s.agree_null),
            (s.write_ack, s.write_ack_null),
            (s.show_quorum, s.show_quorum_failed),
            (s.show_decision, s.show_decision_null),
        ];
        let n_f = format!("n = {}, f = {}, q = {}", self.n, self.f, self.q);
        let mut all = vec![
            say(
                "C1",
                benefit > worst && worst > calm,
                format!(
                    "benefit {benefit:.0} > worst rotation {worst:.0} > calm rotation {calm:.1} units"
                ),
            ),
            say(
                "C2",
                self.late_fee as f64 >= needed,
                format!("late fee {} >= {needed:.0} bytes", self.late_fee),
            ),
            say(
                "C3",
                s.read_ack == s.read_ack_none && s.read_ack > self.v_max,
                format!("read-ack {} = {} bytes", s.read_ack, s.read_ack_none),
            ),
            say(
                "C4",
                shown >= full,
                format!("q - 1 show-decisions {shown:.0} >= a full turn {full:.0} units"),
            ),
            say(
                "C8",
                pairs.iter().all(|(one, other)| one == other),
                format!("alternatives of each step have one size: {pairs:?}"),
            ),
            say("C9", self.n >= 3 * self.f + 2 && self.q < self.n - self.f, n_f),
        ];
        let later = [
            ("C5", "NOEV is dearer than to receive and forward: level 1, work assignment"),
            ("C6", "default dearer than slow path, dearer than fast path: level 1, vows"),
            ("C7", "size threshold of the fast path: level 1, vows"),
            ("C10", "challenges outpace identities: level 2, backup service"),
            ("C11", "a storer that is not full cannot reject: level 2, backup service"),
        ];
        all.extend(later.map(|(name, what)| Assertion { name, what: what.into(), holds: None }));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deviation::frame;

    #[test]
    fn inequalities_hold_for_the_default_groups_and_fail_where_they_should() {
        for n in [5, 8, 20] {
            let premises = frame::premises(n).unwrap();
            for assertion in premises.check(&Prices::FULL) {
                assert_ne!(assertion.holds, Some(false), "{assertion:?}");
            }
            let stingy = Premises { late_fee: premises.late_fee / 2, ..premises };
            let broken: Vec<_> = stingy.check(&Prices::FULL);
            assert!(broken.iter().any(|a| a.name == "C2" && a.holds == Some(false)));
            let mut unpadded = premises;
            unpadded.sizes.read_ack_none = 400;
            let broken = unpadded.check(&Prices::FULL);
            assert!(broken.iter().any(|a| a.name == "C3" && a.holds == Some(false)));
            assert!(broken.iter().any(|a| a.name == "C8" && a.holds == Some(false)));
        }
    }

    #[test]
    fn worst_rotation_is_of_the_size_that_the_specification_computes() {
        // 10.2: about 1.1, 3.1 and 19.9 MB for n = 5, 8 and 20.
        for (n, megabytes) in [(5, 1.1), (8, 3.1), (20, 19.9)] {
            let premises = frame::premises(n).unwrap();
            let got = premises.worst_rotation(&Prices::FULL) * 1024.0 / 1e6;
            assert!((got / megabytes - 1.0).abs() < 0.25, "n = {n}: {got:.2} MB");
        }
    }
}
