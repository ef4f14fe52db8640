//! Figures of several runs and their medians.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Named figures of one run.
#[derive(Debug, Clone, Default)]
pub struct Figures(BTreeMap<&'static str, f64>);

impl Figures {
    /// Adds a figure.
    pub fn set(&mut self, name: &'static str, value: f64) {
        self.0.insert(name, value);
    }

    /// A figure, if it was measured.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// Adds `name` as the ratio of two others, if both were measured.
    pub fn ratio(&mut self, name: &'static str, over: &str, under: &str) {
        if let (Some(over), Some(under)) = (self.get(over), self.get(under))
            && under > 0.0
        {
            self.set(name, over / under);
        }
    }

    /// As JSON numbers with three decimals.
    pub fn json(&self) -> Map<String, Value> {
        let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
        self.0.iter().map(|(name, value)| ((*name).to_owned(), rounded(*value).into())).collect()
    }

    /// As words.
    pub fn words(&self) -> String {
        let words: Vec<String> =
            self.0.iter().map(|(name, value)| format!("{name} {value:.2}")).collect();
        words.join(", ")
    }
}

/// The median of each figure.
pub fn medians(runs: &[Figures]) -> Figures {
    let mut all: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    for run in runs {
        for (name, value) in &run.0 {
            all.entry(name).or_default().push(*value);
        }
    }
    Figures(all.into_iter().map(|(name, values)| (name, percentile(values, 50.0))).collect())
}

/// A percentile by the nearest rank; of nothing it is 0. The median of an even number is the mean
/// of the middle two.
pub fn percentile(mut values: Vec<f64>, percent: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let len = values.len();
    if len == 0 {
        return 0.0;
    }
    if percent == 50.0 && len.is_multiple_of(2) {
        return f64::midpoint(values[len / 2 - 1], values[len / 2]);
    }
    let rank = (percent / 100.0 * len as f64).ceil() as usize;
    values[rank.clamp(1, len) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_few_values() {
        assert_eq!(percentile(vec![3.0, 1.0, 2.0], 50.0), 2.0);
        assert_eq!(percentile(vec![4.0, 1.0, 2.0, 3.0], 50.0), 2.5);
        assert_eq!(percentile((1..=200).map(f64::from).collect(), 99.0), 198.0);
        assert_eq!(percentile(vec![], 50.0), 0.0);
    }

    #[test]
    fn medians_take_each_figure_by_itself() {
        let mut runs = vec![Figures::default(), Figures::default(), Figures::default()];
        for (run, value) in runs.iter_mut().zip([1.0, 9.0, 5.0]) {
            run.set("a", value);
        }
        runs[1].set("b", 7.0);
        let mut medians = medians(&runs);
        medians.ratio("r", "a", "b");
        medians.ratio("none", "a", "c");
        assert_eq!((medians.get("a"), medians.get("b")), (Some(5.0), Some(7.0)));
        assert_eq!(medians.get("r"), Some(5.0 / 7.0));
        assert_eq!(medians.get("none"), None);
    }
}
