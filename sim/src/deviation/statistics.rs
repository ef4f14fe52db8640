//! Bootstrap bounds that hold for all rows and all looks together (specification 10.3).
//!
//! Samples are added to a row until it is decided, so a row is judged several times, and there are many
//! rows. Each single judgement is therefore made at [`LEVEL`] divided by the number of rows and of looks
//! that are planned (Bonferroni): whatever the rule by which a row stops, the probability that any row is
//! judged wrongly is at most [`LEVEL`]. It is stricter than Holm's step-down, and a row can stop by itself.
//!
//! Limits: a bootstrap knows only what was sampled. A gain that shows in fewer than about 3 of a row's
//! samples in expectation can be missed altogether.

use crate::rng::{Random, Stream};

/// Resamples of a bootstrap whose bounds are one of many.
pub const RESAMPLES_SHARED: usize = 100_000;
/// Resamples of a bootstrap that stands for itself.
pub const RESAMPLES: usize = 2_000;
/// The level of all tests together.
pub const LEVEL: f64 = 0.05;

/// The distribution of a statistic over resampled seeds, sorted.
#[derive(Debug, Clone)]
pub struct Bootstrap(Vec<f64>);

impl Bootstrap {
    /// Resamples `count` seeds with replacement; `statistic` gets their indices.
    pub fn new(
        count: usize,
        resamples: usize,
        seed: u64,
        mut statistic: impl FnMut(&[usize]) -> f64,
    ) -> Self {
        let mut rng = Random::new(seed, Stream::Plan);
        let mut indices = vec![0; count];
        let mut values: Vec<f64> = (0..resamples)
            .map(|_| {
                indices.iter_mut().for_each(|index| *index = rng.index(count));
                statistic(&indices)
            })
            .collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// One-sided upper bound: the truth is above it with a probability of at most `level`.
    pub fn upper(&self, level: f64) -> f64 {
        let outside = self.outside(level);
        self.0.iter().rev().nth(outside).copied().unwrap_or(0.0)
    }

    /// One-sided lower bound.
    pub fn lower(&self, level: f64) -> f64 {
        self.0.get(self.outside(level)).copied().unwrap_or(0.0)
    }

    /// Resamples that may lie outside a bound; rounded down, so that a bound is never too tight.
    fn outside(&self, level: f64) -> usize {
        (level * self.0.len() as f64) as usize
    }
}

/// Arithmetic mean; 0 of nothing.
pub fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0u64);
    for value in values {
        sum += value;
        count += 1;
    }
    if count == 0 { 0.0 } else { sum / count as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_enclose_the_mean_and_tighten_with_the_sample() {
        let width = |count: usize| {
            let values: Vec<f64> = (0..count).map(|i| (i % 10) as f64).collect();
            let boot =
                Bootstrap::new(count, RESAMPLES, 1, |idx| mean(idx.iter().map(|i| values[*i])));
            assert!(boot.lower(LEVEL) < 4.5 && 4.5 < boot.upper(LEVEL));
            boot.upper(LEVEL) - boot.lower(LEVEL)
        };
        assert!(width(1000) < width(100) / 2.0);
    }

    #[test]
    fn bound_of_many_rows_is_wider_than_that_of_one() {
        let values: Vec<f64> = (0..50).map(|i| (i % 7) as f64).collect();
        let boot =
            Bootstrap::new(50, RESAMPLES_SHARED, 1, |idx| mean(idx.iter().map(|i| values[*i])));
        assert!(boot.upper(LEVEL / 1_200.0) > boot.upper(LEVEL));
        assert!(boot.lower(LEVEL / 1_200.0) < boot.lower(LEVEL));
        // Below its resolution a bootstrap has its extremes to offer.
        assert!(boot.upper(0.0) >= boot.upper(LEVEL / 1_200.0));
    }

    #[test]
    fn mean_above_the_threshold_is_rarely_taken_for_one_below() {
        // Samples of a gain of 10 in one run of ten, which is 1 on average; the threshold is 0.5.
        let mut rng = Random::new(3, Stream::Plan);
        let mut wrong = 0;
        for round in 0..200 {
            let values: Vec<f64> =
                (0..128).map(|_| if rng.once_in(10) { 10.0 } else { 0.0 }).collect();
            let boot =
                Bootstrap::new(128, RESAMPLES, round, |idx| mean(idx.iter().map(|i| values[*i])));
            wrong += u64::from(boot.upper(LEVEL) <= 0.5);
        }
        assert!(wrong <= 20, "{wrong} of 200");
    }
}
