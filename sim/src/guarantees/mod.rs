//! The guarantees of storing, on the real cores (specification 7.10; paper section 7).
//!
//! Purpose: many members, each an owner and a storer with the cores of `pib`, in virtual time, with clocks apart
//! by up to the permitted difference and crashes at durable writes. Exactly `f` of them lie in every way that
//! [`lies`] knows, as storers and as owners.
//!
//! | guarantee | oracle |
//! | --- | --- |
//! | (i) what `x` storers receipted comes back | every read of it in every run returns its bytes; with `f + 1` silent storers every read fails and says so |
//! | (ii) nobody who follows the protocol is convicted | [`innocence`]: every predicate of the catalogue over what honest members signed |
//! | (iii) over-use is found | not here: members do not audit yet |
//! | (iv) a lost disk loses nothing | not here: coming back as the next identity is not there yet |
//!
//! Assumes: the runner keeps the order that `pib` asks for; [`Setting::durable_first`] breaks it, as a control.
//! Bounds: a run has [`group::ROUNDS`] rounds.

pub mod group;
pub mod innocence;
pub mod lies;
pub mod member;
pub mod table;

use std::sync::atomic::{AtomicU64, Ordering};
use table::Table;

/// What a run is played with.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Members.
    pub nodes: usize,
    /// Of them, liars.
    pub faulty: usize,
    /// False for the control in which an answer leaves before what it promises is on disk.
    pub durable_first: bool,
    /// True for runs in which one more is bad than the group tolerates.
    pub one_too_many: bool,
}

impl Setting {
    /// With as many liars as the group tolerates.
    pub fn new(nodes: usize) -> Self {
        let faulty = types::Quorum::largest_f(nodes);
        Self { nodes, faulty, durable_first: true, one_too_many: false }
    }
}

/// In one seed of so many every tuple of signed objects is judged, not only those that speak of one thing.
pub const EXHAUSTIVE_EVERY: u64 = 64;
/// In one seed of so many, one more is bad than the group tolerates.
const TEETH_EVERY: u64 = 8;

/// Plays seeds on so many threads and adds up.
pub fn run(setting: &Setting, from: u64, seeds: u64, jobs: usize) -> Table {
    let (next, end) = (AtomicU64::new(from), from.saturating_add(seeds));
    let work = || {
        let mut sum = Table::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return sum;
            }
            sum.add(group::play(setting, seed));
            if seed.is_multiple_of(TEETH_EVERY) && setting.durable_first {
                sum.add(group::play(&Setting { one_too_many: true, ..*setting }, seed));
            }
        }
    };
    let mut sum = Table::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            match thread.join() {
                Ok(found) => sum.add(found),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    sum.violations.sort();
    sum
}

/// The control: the first seed in which an honest member that answers too early is convicted.
pub fn control(setting: &Setting, seeds: u64) -> Option<u64> {
    let broken = Setting { durable_first: false, ..*setting };
    let convicts = |seed: &u64| {
        group::play(&broken, *seed).violations.iter().any(|wrong| wrong.contains("(ii) honest"))
    };
    (0..seeds).find(convicts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guarantees_hold_in_some_seeds_and_the_control_is_caught() {
        let table = run(&Setting::new(5), 0, 24, 2);
        assert_eq!(table.violations, Vec::<String>::new());
        assert!(table.reads > 100 && table.too_many > 0 && table.tuples > 1000, "{table:?}");
        assert!(table.convictions.len() >= 3, "{:?}", table.convictions);
        assert!(control(&Setting::new(5), 400).is_some());
    }

    #[test]
    fn seed_gives_the_same_run_again() {
        let setting = Setting::new(8);
        assert_eq!(group::play(&setting, 7), group::play(&setting, 7));
    }
}
