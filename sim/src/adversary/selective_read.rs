//! As a leader, reads from some acceptors only (row RD-N2).

use super::{Board, Entry, Outgoing, Strategy};
use std::collections::BTreeSet;
use types::{Kind, Slot};

struct SelectiveRead {
    chosen: BTreeSet<Slot>,
}

impl Strategy for SelectiveRead {
    fn outgoing(&mut self, _: &mut Board, _: Slot, mut out: Vec<Outgoing>) -> Vec<Outgoing> {
        out.retain(|outgoing| {
            outgoing.kind() != Some(Kind::Read) || self.chosen.contains(&outgoing.to)
        });
        out
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "selective-read",
    what: "as a leader, reads from some acceptors only (RD-N2)",
    make: |board: &mut Board, me: Slot| {
        let others = board.others(me);
        let size = board.rng.between(1, others.len() as u64 - 1) as usize;
        Box::new(SelectiveRead { chosen: board.rng.sample(&others, size) })
    },
};
