//! Bootstrap bounds and Holm's correction (specification 10.3).

use crate::rng::{Random, Stream};

/// Resamples of one bootstrap.
pub const RESAMPLES: usize = 2_000;
/// The level of all tests together.
pub const LEVEL: f64 = 0.05;

/// The distribution of a statistic over resampled seeds, sorted.
#[derive(Debug, Clone)]
pub struct Bootstrap(Vec<f64>);

impl Bootstrap {
    /// Resamples `count` seeds with replacement; `statistic` gets their indices.
    pub fn new(count: usize, seed: u64, mut statistic: impl FnMut(&[usize]) -> f64) -> Self {
        let mut rng = Random::new(seed, Stream::Plan);
        let mut indices = vec![0; count];
        let mut values: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                indices.iter_mut().for_each(|index| *index = rng.index(count));
                statistic(&indices)
            })
            .collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    fn quantile(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get((share * last as f64).round() as usize).copied().unwrap_or(0.0)
    }

    /// One-sided upper bound at [`LEVEL`].
    pub fn upper(&self) -> f64 {
        self.quantile(1.0 - LEVEL)
    }

    /// One-sided lower bound at [`LEVEL`].
    pub fn lower(&self) -> f64 {
        self.quantile(LEVEL)
    }

    /// The share of resamples above a value: how likely it is that the truth is above it.
    pub fn above(&self, value: f64) -> f64 {
        let above = self.0.len() - self.0.partition_point(|x| *x <= value);
        above as f64 / self.0.len().max(1) as f64
    }
}

/// Holm's step-down: which of these p-values are small enough at [`LEVEL`] taken together.
pub fn holm(p_values: &[f64]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut accepted = vec![false; p_values.len()];
    for (rank, index) in order.iter().enumerate() {
        if p_values[*index] > LEVEL / (p_values.len() - rank) as f64 {
            break;
        }
        accepted[*index] = true;
    }
    accepted
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
            let boot = Bootstrap::new(count, 1, |idx| mean(idx.iter().map(|i| values[*i])));
            assert!(boot.lower() < 4.5 && 4.5 < boot.upper());
            boot.upper() - boot.lower()
        };
        assert!(width(1000) < width(100) / 2.0);
    }

    #[test]
    fn holm_stops_at_the_first_value_that_is_too_large() {
        assert_eq!(holm(&[0.001, 0.04, 0.02]), [true, true, true]);
        assert_eq!(holm(&[0.001, 0.04, 0.03]), [true, false, false]);
        assert_eq!(holm(&[0.2]), [false]);
        assert!(holm(&[]).is_empty());
    }
}
