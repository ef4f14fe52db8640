//! Bounds on what the adversary reaches, each for one broadcast and one set of sizes.
//!
//! Source: the arguments of sections 4.3.3, 4.4.3 and 4.5.3 of the thesis, written out; the exact
//! expressions of the paper behind it are not part of the thesis, so these are our own derivation. The
//! adversary is static and does not know who samples whom (assumption 5 of section 4.2).

use super::Sampling;
use super::tail::LnFactorials;

/// One system: members, Byzantine ones, how samples are drawn.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub members: usize,
    pub byzantine: usize,
    sampling: Sampling,
    table: LnFactorials,
}

impl Model {
    /// Samples drawn from it have at most `size_max` entries.
    pub fn new(members: usize, byzantine: usize, sampling: Sampling, size_max: usize) -> Self {
        let table = LnFactorials::up_to(members.max(size_max) + 1);
        Self { members, byzantine, sampling, table }
    }

    /// Honest members.
    pub fn honest(&self) -> usize {
        self.members - self.byzantine
    }

    /// The chance that a sample has at least `k` entries among `marked` members.
    pub fn at_least(&self, size: usize, k: usize, marked: usize) -> f64 {
        let (total, marked) = (self.members, marked.min(self.members));
        match self.sampling {
            Sampling::WithReplacement => {
                self.table.binomial_at_least(size, k, marked as f64 / total as f64)
            }
            Sampling::Distinct => self.table.hypergeometric_at_least(total, marked, size, k),
        }
    }

    /// The chance that a sample has fewer than `k` entries among `marked` members: the others have
    /// more than `size - k`.
    fn fewer(&self, size: usize, k: usize, marked: usize) -> f64 {
        self.at_least(size, size + 1 - k, self.members - marked.min(self.members))
    }

    /// The honest members' gossip graph falls apart: a part of `k` has no link to the rest.
    pub fn gossip(&self, size: usize) -> f64 {
        if size >= self.members {
            return 0.0;
        }
        let honest = self.honest();
        let ln_apart = 2.0 * (-(size as f64) / self.members as f64).ln_1p();
        let mut sum = 0.0;
        for part in 1..=honest / 2 {
            let ln =
                self.table.ln_choose(honest, part) + (part * (honest - part)) as f64 * ln_apart;
            sum += ln.min(1.0).exp();
            if sum >= 1.0 {
                return 1.0;
            }
        }
        sum
    }

    /// A certificate that each honest member hands to `fanout` others, when it first has it, does not reach all
    /// honest ones: some set with the owner in it hands nothing to the rest. Byzantine members hand nothing on.
    pub fn unreached(&self, fanout: usize) -> f64 {
        let (honest, others) = (self.honest(), self.members - 1);
        if fanout >= others {
            return 0.0;
        }
        let all = self.table.ln_choose(others, fanout);
        let mut sum = 0.0;
        for rest in 1..honest {
            if others - rest < fanout {
                // Nobody can choose so many without one of the rest.
                break;
            }
            let one = self.table.ln_choose(others - rest, fanout) - all;
            let ln = self.table.ln_choose(honest - 1, rest) + (honest - rest) as f64 * one;
            sum += ln.min(1.0).exp();
            if sum >= 1.0 {
                return 1.0;
            }
        }
        sum
    }

    /// Some honest member has so many Byzantine ones in its sample that the rest cannot reach the
    /// threshold: the validity of the echo layer, and of the delivery sample.
    pub fn starved(&self, size: usize, threshold: usize) -> f64 {
        self.honest() as f64 * self.at_least(size, size + 1 - threshold, self.byzantine)
    }

    /// The Byzantine members alone reach some honest member's threshold.
    pub fn captured(&self, size: usize, threshold: usize) -> f64 {
        self.honest() as f64 * self.at_least(size, threshold, self.byzantine)
    }

    /// The chance that one of `n` honest members that echo one message delivers it, the Byzantine
    /// ones helping.
    fn echo_delivered(&self, size: usize, threshold: usize, n: usize) -> f64 {
        if n == 0 {
            return 0.0;
        }
        let one = self.at_least(size, threshold, n + self.byzantine);
        if one >= 1.0 { 1.0 } else { -(n as f64 * (-one).ln_1p()).exp_m1() }
    }

    /// The echo layer delivers two messages: the adversary shows the first to one member after the
    /// other until somebody delivers it, and the second to all others.
    pub fn echo_consistency(&self, size: usize, threshold: usize) -> f64 {
        let honest = self.honest();
        let chance: Vec<f64> =
            (0..=honest).map(|n| self.echo_delivered(size, threshold, n)).collect();
        let step = |n: usize| (chance[n] - chance[n - 1]).max(0.0) * chance[honest - n];
        (1..=honest).map(step).sum()
    }

    /// Not more than [`Self::echo_consistency`], at a fraction of the work.
    pub fn echo_consistency_least(&self, size: usize, threshold: usize) -> f64 {
        const PARTS: usize = 48;
        let honest = self.honest();
        let (mut sum, mut before) = (0.0, 0.0);
        for part in 1..=PARTS {
            let end = honest * part / PARTS;
            let now = self.echo_delivered(size, threshold, end);
            sum += (now - before).max(0.0) * self.echo_delivered(size, threshold, honest - end);
            before = now;
        }
        sum
    }

    /// For each number of ready honest members, a bound on the chance that the contagion stops there,
    /// for some number of members that the adversary started it with.
    pub fn stuck(&self, size: usize, threshold: usize) -> Vec<f64> {
        let honest = self.honest();
        let at = |ready: usize| {
            let healthy = self.fewer(size, threshold, ready);
            if healthy <= 0.0 {
                return 0.0;
            }
            let missing = honest - ready + 1;
            let all = self.table.binomial_at_least(honest + 1, missing, healthy);
            (all / healthy).min(1.0)
        };
        (0..honest).map(at).collect()
    }

    /// Some honest member delivers where the contagion stopped short of all. Stops adding at `enough`.
    pub fn totality(&self, stuck: &[f64], size: usize, threshold: usize, enough: f64) -> f64 {
        let mut sum = 0.0;
        for (ready, stuck) in stuck.iter().enumerate().rev() {
            if *stuck < 1e-30 {
                continue;
            }
            let one = self.at_least(size, threshold, ready + self.byzantine);
            let some = (self.honest() as f64 * one).min(1.0);
            sum += stuck * some;
            // `some` falls with `ready`, and no more than `ready` terms are left.
            if sum > enough || some * (ready as f64) < 1e-30 {
                break;
            }
        }
        sum
    }
}
