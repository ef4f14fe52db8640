//! Tails of the binomial and hypergeometric distributions, summed from logarithms.
//!
//! A tail is summed from its end that lies away from the mean, so that a tail of 1e-200 has as many
//! right digits as one of 0.1; what is below about 1e-300 is 0.

/// Natural logarithms of factorials up to some number.
#[derive(Debug, Clone)]
pub struct LnFactorials(Vec<f64>);

/// Below this logarithm a term counts as nothing.
const LN_NOTHING: f64 = -690.0;
/// A term smaller than this part of the sum ends the sum.
const NEGLIGIBLE: f64 = 1e-15;

impl LnFactorials {
    /// For arguments up to `max`.
    pub fn up_to(max: usize) -> Self {
        let mut table = Vec::with_capacity(max + 1);
        let mut sum = 0.0;
        table.push(0.0);
        for number in 1..=max {
            sum += (number as f64).ln();
            table.push(sum);
        }
        Self(table)
    }

    /// The logarithm of "n choose k", for `k <= n`.
    pub fn ln_choose(&self, n: usize, k: usize) -> f64 {
        self.0[n] - self.0[k] - self.0[n - k]
    }

    /// The chance that `n` draws, each a hit with chance `p`, hit at least `k` times.
    pub fn binomial_at_least(&self, n: usize, k: usize, p: f64) -> f64 {
        match k {
            0 => 1.0,
            _ if k > n || p <= 0.0 => 0.0,
            _ if p >= 1.0 => 1.0,
            _ if (k as f64) <= n as f64 * p => 1.0 - self.binomial_low(n, k - 1, p),
            _ => self.binomial_high(n, k, p),
        }
    }

    fn binomial_ln(&self, n: usize, k: usize, p: f64) -> f64 {
        self.ln_choose(n, k) + k as f64 * p.ln() + (n - k) as f64 * (-p).ln_1p()
    }

    fn binomial_high(&self, n: usize, k: usize, p: f64) -> f64 {
        let odds = p / (1.0 - p);
        sum_from(self.binomial_ln(n, k, p), k..n, |k| (n - k) as f64 / (k + 1) as f64 * odds)
    }

    fn binomial_low(&self, n: usize, k: usize, p: f64) -> f64 {
        let odds = (1.0 - p) / p;
        let down = (1..=k).rev();
        sum_from(self.binomial_ln(n, k, p), down, |k| k as f64 / (n - k + 1) as f64 * odds)
    }

    /// The chance that `draws` distinct ones of `total`, of which `marked` are marked, have at least `k`
    /// marked among them.
    pub fn hypergeometric_at_least(
        &self,
        total: usize,
        marked: usize,
        draws: usize,
        k: usize,
    ) -> f64 {
        let least = (draws + marked).saturating_sub(total);
        let most = draws.min(marked);
        if k <= least {
            return 1.0;
        }
        if k > most {
            return 0.0;
        }
        if (k as f64) <= draws as f64 * marked as f64 / total as f64 {
            return 1.0 - self.hypergeometric_low(total, marked, draws, k - 1);
        }
        let plain = total - marked;
        sum_from(self.hypergeometric_ln(total, marked, draws, k), k..most, |k| {
            (marked - k) as f64 * (draws - k) as f64
                / ((k + 1) as f64 * (plain + k + 1 - draws) as f64)
        })
    }

    fn hypergeometric_ln(&self, total: usize, marked: usize, draws: usize, k: usize) -> f64 {
        self.ln_choose(marked, k) + self.ln_choose(total - marked, draws - k)
            - self.ln_choose(total, draws)
    }

    fn hypergeometric_low(&self, total: usize, marked: usize, draws: usize, k: usize) -> f64 {
        let least = (draws + marked).saturating_sub(total);
        let plain = total - marked;
        let down = (least + 1..=k).rev();
        sum_from(self.hypergeometric_ln(total, marked, draws, k), down, |k| {
            k as f64 * (plain + k - draws) as f64
                / ((marked - k + 1) as f64 * (draws - k + 1) as f64)
        })
    }
}

/// The sum of a term and of those that follow it, each `ratio` times the one before.
fn sum_from(
    ln_first: f64,
    steps: impl Iterator<Item = usize>,
    ratio: impl Fn(usize) -> f64,
) -> f64 {
    if ln_first < LN_NOTHING {
        return 0.0;
    }
    let mut term = ln_first.exp();
    let mut sum = term;
    for step in steps {
        term *= ratio(step);
        sum += term;
        if term < sum * NEGLIGIBLE {
            break;
        }
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(one: f64, other: f64) -> bool {
        (one - other).abs() <= 1e-11 * one.abs().max(other.abs())
    }

    #[test]
    fn binomial_tail_equals_the_sum_of_its_terms() {
        let table = LnFactorials::up_to(60);
        for p in [0.01, 0.3, 0.5, 0.9] {
            for k in 0..=41_usize {
                let direct: f64 = (k..=40).map(|k| table.binomial_ln(40, k, p).exp()).sum();
                assert!(close(table.binomial_at_least(40, k, p), direct), "{k} {p}");
            }
        }
    }

    #[test]
    fn hypergeometric_tail_equals_the_counted_subsets() {
        let table = LnFactorials::up_to(12);
        // All subsets of 5 out of 12, the first 4 marked.
        for k in 0..=5_u32 {
            let sets = || (0_u32..1 << 12).filter(|set| set.count_ones() == 5);
            let hits = sets().filter(|set| (set & 0b1111).count_ones() >= k).count();
            let counted = hits as f64 / sets().count() as f64;
            let tail = table.hypergeometric_at_least(12, 4, 5, k as usize);
            assert!(close(tail, counted), "{k}: {tail} {counted}");
        }
    }

    #[test]
    fn deep_tail_keeps_its_digits() {
        let table = LnFactorials::up_to(2_000);
        // All of 100 draws hit: p^100 exactly.
        assert!(close(table.binomial_at_least(100, 100, 0.01), 1e-200));
        assert_eq!(table.binomial_at_least(2_000, 2_000, 0.01), 0.0);
    }
}
