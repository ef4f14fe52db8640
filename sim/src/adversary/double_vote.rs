//! Two engines under one key that both talk with everybody: every peer sees two statements for
//! each key (rows AA-D1, RA-D6, MQ-8).

use super::{Board, Entry, Strategy};
use types::Slot;

struct DoubleVote;

impl Strategy for DoubleVote {
    fn seats(&self) -> usize {
        2
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "double-vote",
    what: "two engines under one key, both talking with everybody",
    make: |_: &mut Board, _: Slot| Box::new(DoubleVote),
};
