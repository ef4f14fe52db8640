//! Drops what goes to some peers and is of some kinds, and some of the rest at random (rows ST-N1,
//! RD-N2, AG-N3, WR-N2, RP-N1, PN-N1).

use super::{Board, Entry, Outgoing, Strategy};
use crate::view;
use std::collections::BTreeSet;
use types::{Kind, Slot};

struct SelectiveSilence {
    victims: BTreeSet<Slot>,
    kinds: BTreeSet<Kind>,
    loss_per_mille: u64,
}

impl Strategy for SelectiveSilence {
    fn outgoing(&mut self, board: &mut Board, _: Slot, mut out: Vec<Outgoing>) -> Vec<Outgoing> {
        out.retain(|outgoing| {
            let named = outgoing.kind().is_some_and(|kind| self.kinds.contains(&kind));
            let withheld = named && self.victims.contains(&outgoing.to);
            !withheld && !board.rng.per_mille(self.loss_per_mille)
        });
        out
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "selective-silence",
    what: "withholds some kinds of messages from some peers, and others at random",
    make: |board: &mut Board, me: Slot| {
        let others = board.others(me);
        let victims = board.rng.between(0, others.len() as u64 / 2 + 1) as usize;
        let kinds = board.rng.between(0, 7) as usize;
        Box::new(SelectiveSilence {
            victims: board.rng.sample(&others, victims),
            kinds: board.rng.sample(view::KINDS, kinds),
            loss_per_mille: board.rng.pick(&[0, 0, 100, 300, 600]).unwrap_or(0),
        })
    },
};
