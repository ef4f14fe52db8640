//! A small least-recently-used map with a bound on the sum of the weights.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Keeps values up to a total weight; a value heavier than half of it is not kept.
#[derive(Debug)]
pub(crate) struct Lru<K, V> {
    weight_max: u64,
    weight: u64,
    clock: u64,
    values: HashMap<K, (V, u64, u64)>,
    by_age: BTreeMap<u64, K>,
}

impl<K: Clone + Eq + Hash, V: Clone> Lru<K, V> {
    pub(crate) fn new(weight_max: u64) -> Self {
        Self { weight_max, weight: 0, clock: 0, values: HashMap::new(), by_age: BTreeMap::new() }
    }

    /// Whether a value of this weight would be kept.
    pub(crate) fn fits(&self, weight: u64) -> bool {
        weight <= self.weight_max / 2
    }

    pub(crate) fn get(&mut self, key: &K) -> Option<V> {
        self.clock += 1;
        let (value, _, used) = self.values.get_mut(key)?;
        if let Some(key) = self.by_age.remove(used) {
            self.by_age.insert(self.clock, key);
        }
        *used = self.clock;
        Some(value.clone())
    }

    pub(crate) fn put(&mut self, key: K, value: V, weight: u64) {
        self.remove(&key);
        if !self.fits(weight) {
            return;
        }
        while self.weight + weight > self.weight_max {
            let Some((_, oldest)) = self.by_age.pop_first() else {
                break;
            };
            self.forget(&oldest);
        }
        self.clock += 1;
        self.weight += weight;
        self.by_age.insert(self.clock, key.clone());
        self.values.insert(key, (value, weight, self.clock));
    }

    pub(crate) fn remove(&mut self, key: &K) {
        if let Some(used) = self.forget(key) {
            self.by_age.remove(&used);
        }
    }

    fn forget(&mut self, key: &K) -> Option<u64> {
        let (_, weight, used) = self.values.remove(key)?;
        self.weight -= weight;
        Some(used)
    }
}

#[cfg(test)]
mod tests {
    use super::Lru;

    #[test]
    fn lru_over_its_weight_drops_the_least_recently_used() {
        let mut lru = Lru::new(10);
        lru.put("a", 1, 4);
        lru.put("b", 2, 4);
        assert_eq!(lru.get(&"a"), Some(1));
        lru.put("c", 3, 4);
        assert_eq!(lru.get(&"b"), None);
        assert_eq!(lru.get(&"a"), Some(1));
        assert_eq!(lru.get(&"c"), Some(3));
        assert!(lru.weight <= 10 && lru.values.len() == lru.by_age.len());
    }

    #[test]
    fn lru_too_heavy_value_is_not_kept() {
        let mut lru = Lru::new(10);
        lru.put("a", 1, 6);
        assert_eq!(lru.get(&"a"), None);
        assert_eq!(lru.weight, 0);
    }
}
