//! Does not read what arrives: from one peer, or of some kinds (row MQ-13). It misses what it is
//! asked, and so its duties.

use super::{Board, Entry, Strategy};
use crate::view;
use bart_rsm::message::Message;
use std::collections::BTreeSet;
use types::{Kind, Slot};

struct Deaf {
    peers: BTreeSet<Slot>,
    kinds: BTreeSet<Kind>,
}

impl Strategy for Deaf {
    fn incoming(&mut self, _: &mut Board, _: Slot, from: Slot, message: &Message) -> bool {
        !self.peers.contains(&from) && !self.kinds.contains(&message.kind())
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "deaf",
    what: "does not read what one peer sends, or some kinds of messages (MQ-13)",
    make: |board: &mut Board, me: Slot| {
        let others = board.others(me);
        let (mut peers, mut kinds) = (BTreeSet::new(), BTreeSet::new());
        if board.rng.once_in(2) {
            peers = board.rng.sample(&others, 1);
        } else {
            let count = board.rng.between(1, 5) as usize;
            kinds = board.rng.sample(view::KINDS, count);
        }
        Box::new(Deaf { peers, kinds })
    },
};
