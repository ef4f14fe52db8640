//! The smallest samples whose every elementary bound is at most a third of epsilon.

use super::bounds::Model;

/// A sample's size and its threshold.
pub(super) type Sample = (usize, usize);

/// Looks for samples of at most `size_max` entries.
pub(super) struct Search<'a> {
    pub model: &'a Model,
    /// What each elementary bound may be.
    pub share: f64,
    pub size_max: usize,
}

/// The smallest number in `low..=high` for which `good` holds, if it stays good from there on.
fn first(low: usize, high: usize, good: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (low, high);
    while low < high {
        let middle = low.midpoint(high);
        if good(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

impl Search<'_> {
    /// G.
    pub fn gossip(&self) -> usize {
        first(1, self.model.members, |size| self.model.gossip(size) <= self.share)
    }

    /// The largest threshold that the honest entries of every sample reach; 0 is none.
    fn highest(&self, size: usize) -> usize {
        size - first(0, size, |less| self.model.starved(size, size - less) <= self.share)
    }

    fn echo_fits(&self, size: usize) -> Option<Sample> {
        let threshold = self.highest(size);
        let fits = threshold > 0
            && self.model.echo_consistency_least(size, threshold) <= self.share
            && self.model.echo_consistency(size, threshold) <= self.share;
        fits.then_some((size, threshold))
    }

    /// E and its threshold.
    pub fn echo(&self) -> Option<Sample> {
        (1..=self.size_max).find_map(|size| self.echo_fits(size))
    }

    /// The smallest threshold of a ready sample that Byzantine members alone do not reach.
    fn lowest(&self, size: usize) -> usize {
        first(1, size + 1, |threshold| self.model.captured(size, threshold) <= self.share / 2.0)
    }

    fn delivery_fits(&self, stuck: &[f64], size: usize) -> Option<Sample> {
        let threshold = self.highest(size);
        let fits = threshold > 0
            && self.model.captured(size, threshold) <= self.share / 2.0
            && self.model.totality(stuck, size, threshold, self.share) <= self.share;
        fits.then_some((size, threshold))
    }

    /// A small delivery sample for one ready sample, of at most `limit` entries. Bounds go up and down
    /// a little from size to size as the threshold jumps, so the neighbours below are tried too.
    fn delivery(&self, stuck: &[f64], limit: usize) -> Option<Sample> {
        let fits = |size: usize| self.delivery_fits(stuck, size).is_some();
        let top = (limit.saturating_sub(3).max(1)..=limit).rev().find(|size| fits(*size))?;
        let found = first(1, top, fits);
        (found - found / 14..=found).find_map(|size| self.delivery_fits(stuck, size))
    }

    /// R and D with their thresholds, of small sum.
    pub fn ready(&self) -> Option<(Sample, Sample)> {
        let mut best: Option<(Sample, Sample)> = None;
        let mut size = 1;
        while size <= self.size_max {
            let most = match best {
                None => self.size_max,
                Some(((ready, _), (delivery, _))) => {
                    if size * 5 > ready * 8 + 50 {
                        break;
                    }
                    (ready + delivery).saturating_sub(size + 1).min(self.size_max)
                }
            };
            let threshold = self.lowest(size);
            if threshold <= size && most > 0 {
                let stuck = self.model.stuck(size, threshold);
                if let Some(delivery) = self.delivery(&stuck, most) {
                    best = Some(((size, threshold), delivery));
                }
            }
            // Each size up to 100, then steps of one in a hundred.
            size += (size / 100).max(1);
        }
        best
    }
}
