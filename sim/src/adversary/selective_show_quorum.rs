//! Shows its write quorum to exactly one honest member (row SQ-N2): that one decides and never
//! starts a turn by its own timer, while all others need it. The printed protocol stops here.

use super::{Board, Entry, Outgoing, Strategy};
use types::{Kind, Slot};

struct SelectiveShowQuorum {
    chosen: Option<Slot>,
}

impl Strategy for SelectiveShowQuorum {
    fn outgoing(&mut self, _: &mut Board, _: Slot, mut out: Vec<Outgoing>) -> Vec<Outgoing> {
        out.retain(|outgoing| {
            outgoing.kind() != Some(Kind::ShowQuorum) || Some(outgoing.to) == self.chosen
        });
        out
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "selective-show-quorum",
    what: "shows its write quorum to exactly one honest member (SQ-N2)",
    make: |board: &mut Board, _: Slot| {
        let honest = board.honest();
        Box::new(SelectiveShowQuorum { chosen: board.rng.pick(&honest) })
    },
};
