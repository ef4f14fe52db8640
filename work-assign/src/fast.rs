//! Between whom the direct path is credible (specification 6.3, decision 18; paper definition 4, lemma 34).
//!
//! Guarantees: (1) the result is the largest set of members each of which has at least `f + 1` counterparts of open
//! vows inside the set: the `(f+1)`-core of the graph; (2) it is equal at all members after the same instance, and
//! does not depend on the order of vows. Bounds: at most `MEMBERS_MAX` vertices, `n` rounds.

use bart_rsm::message::SlotSet;
use types::Slot;
use types::limits::MEMBERS_MAX;

/// The undirected simple graph of open vows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    neighbours: Vec<SlotSet>,
}

impl Default for Graph {
    fn default() -> Self {
        Self { neighbours: vec![SlotSet::default(); MEMBERS_MAX] }
    }
}

impl Graph {
    /// An open vow between two members, in whichever direction. One with oneself is none.
    pub fn join(&mut self, one: Slot, other: Slot) {
        let last = MEMBERS_MAX as u16;
        if one == other || one.0 >= last || other.0 >= last {
            return;
        }
        self.neighbours[usize::from(one.0)].insert(other);
        self.neighbours[usize::from(other.0)].insert(one);
    }

    /// With whom a member has open vows.
    pub fn neighbours(&self, slot: Slot) -> SlotSet {
        self.neighbours.get(usize::from(slot.0)).copied().unwrap_or_default()
    }

    /// The fast set: vertices of degree at most `f` are taken away until none is left.
    pub fn fast_set(&self, f: usize) -> SlotSet {
        let mut left: SlotSet = (0..MEMBERS_MAX as u16).map(Slot).collect();
        loop {
            let degree = |slot| SlotSet(self.neighbours(slot).0 & left.0).len();
            let weak: Vec<Slot> = left.iter().filter(|slot| degree(*slot) <= f).collect();
            if weak.is_empty() {
                return left;
            }
            for slot in weak {
                left.remove(slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Definition 4 word by word: the union of all sets in which everybody has `f + 1` counterparts.
    fn by_brute_force(graph: &Graph, n: u16, f: usize) -> SlotSet {
        let mut union = SlotSet::default();
        for bits in 0..1u64 << n {
            let set = SlotSet(bits);
            let sufficient =
                set.iter().all(|slot| SlotSet(graph.neighbours(slot).0 & bits).len() > f);
            if sufficient {
                union.0 |= bits;
            }
        }
        union
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        /// Acceptance test 8: equal to brute force over all subsets for n up to 10.
        #[test]
        fn fast_set_equals_brute_force_over_all_subsets(
            n in 2u16..=10,
            f in 0usize..=3,
            vows in proptest::collection::vec((0u16..10, 0u16..10), 0..45),
        ) {
            let mut graph = Graph::default();
            for (one, other) in &vows {
                graph.join(Slot(one % n), Slot(other % n));
            }
            let fast = graph.fast_set(f);
            prop_assert_eq!(fast, by_brute_force(&graph, n, f));
            // Each has f + 1 counterparts beside itself.
            prop_assert!(fast.is_empty() || fast.len() >= f + 2);
            let mut turned = Graph::default();
            for (one, other) in vows.iter().rev() {
                turned.join(Slot(other % n), Slot(one % n));
            }
            prop_assert_eq!(turned.fast_set(f), fast);
        }
    }

    #[test]
    fn one_vow_less_than_f_plus_1_opens_no_direct_path() {
        // f = 1: a triangle is its own 2-core, and without one side it falls apart altogether.
        let mut graph = Graph::default();
        graph.join(Slot(0), Slot(1));
        graph.join(Slot(1), Slot(2));
        graph.join(Slot(0), Slot(1));
        assert!(graph.fast_set(1).is_empty());
        graph.join(Slot(2), Slot(0));
        assert_eq!(graph.fast_set(1).iter().collect::<Vec<_>>(), [Slot(0), Slot(1), Slot(2)]);
        assert!(graph.fast_set(2).is_empty());
        graph.join(Slot(5), Slot(5));
        assert!(graph.neighbours(Slot(5)).is_empty());
    }
}
