//! As an elected leader, reads from exactly one honest member, and helps no other leader with a
//! set-turn (row RD-N2): that one knows a proof that nobody else will ever see. A rule that lets it
//! demand the set-turns of earlier turns then asks members for what they cannot know they owe.

use super::{Board, Entry, Outgoing, Strategy};
use types::{Kind, Slot};

struct LonelyRead {
    reader: Option<Slot>,
}

impl Strategy for LonelyRead {
    fn outgoing(&mut self, _: &mut Board, _: Slot, mut out: Vec<Outgoing>) -> Vec<Outgoing> {
        out.retain(|outgoing| match outgoing.kind() {
            Some(Kind::SetTurn) => false,
            Some(Kind::Read) => Some(outgoing.to) == self.reader,
            _ => true,
        });
        out
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "lonely-read",
    what: "as a leader, reads from one honest member only, and sends no set-turns (RD-N2)",
    make: |board: &mut Board, _: Slot| {
        let honest = board.honest();
        Box::new(LonelyRead { reader: board.rng.pick(&honest) })
    },
};
