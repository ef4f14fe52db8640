//! Times what it sends so that one half of the honest members acts on it and the other half has
//! timed out already (row ST-T4): set-turns at any moment of the base timeout, and the steps of its
//! own turns a timeout later to one half.

use super::{Board, Entry, Outgoing, Strategy};
use std::collections::BTreeSet;
use types::{Kind, Slot};

struct Split {
    later: BTreeSet<Slot>,
}

impl Strategy for Split {
    fn outgoing(&mut self, board: &mut Board, _: Slot, mut out: Vec<Outgoing>) -> Vec<Outgoing> {
        let t0_ms = board.t0_min_ms;
        for outgoing in &mut out {
            match outgoing.kind() {
                Some(Kind::SetTurn) => outgoing.delay_ms += board.rng.between(0, t0_ms),
                Some(Kind::Read | Kind::Agree | Kind::Write | Kind::ShowQuorum)
                    if self.later.contains(&outgoing.to) =>
                {
                    outgoing.delay_ms += t0_ms + board.rng.between(0, t0_ms / 4);
                }
                _ => {}
            }
        }
        out
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "split-the-group",
    what: "times its steps so that half of the honest members has timed out (ST-T4)",
    make: |board: &mut Board, _: Slot| {
        let honest = board.honest();
        Box::new(Split { later: board.rng.sample(&honest, honest.len() / 2) })
    },
};
