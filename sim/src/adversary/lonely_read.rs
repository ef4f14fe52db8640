//! As an elected leader, reads from the honest leader of an earlier turn only, and helps no other
//! leader with a set-turn (row RD-N2): that one knows a proof that nobody else will ever see. A rule
//! that lets it demand the set-turns of its own turn then asks members for what they cannot know
//! that they owe.

use super::{Board, Content, Entry, Outgoing, Strategy};
use bart_rsm::message::Message;
use types::{Instance, Slot, Turn};

struct LonelyRead {
    /// As the sender, shows its write quorum to this member only (row SQ-N2).
    shown: Option<Slot>,
}

/// The honest leader of the latest turn before this one.
fn reader(board: &Board, inst: Instance, turn: Turn) -> Option<Slot> {
    let earlier = (1..turn.0).rev().map(|turn| board.leader(inst.0, turn));
    earlier.take(board.roster.slots()).find(|slot| !board.keys.contains_key(slot))
}

impl Strategy for LonelyRead {
    fn outgoing(&mut self, board: &mut Board, _: Slot, mut out: Vec<Outgoing>) -> Vec<Outgoing> {
        out.retain(|outgoing| match &outgoing.content {
            Content::Message(Message::SetTurn(_)) => false,
            Content::Message(Message::Read(m)) => {
                reader(board, m.core.header.inst, m.core.header.turn) == Some(outgoing.to)
            }
            Content::Message(Message::ShowQuorum(m)) if m.core.header.turn == Turn(0) => {
                self.shown.is_none_or(|shown| shown == outgoing.to)
            }
            _ => true,
        });
        out
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "lonely-read",
    what: "as a leader, reads from the leader of an earlier turn only, and sends no set-turns (RD-N2)",
    make: |_: &mut Board, _: Slot| Box::new(LonelyRead { shown: None }),
};

pub(super) const HIDDEN: Entry = Entry {
    name: "hidden-proof",
    what: "as lonely-read, and as the sender shows its write quorum to one honest member (RD-N2, SQ-N2)",
    make: |board: &mut Board, _: Slot| {
        let honest = board.honest();
        Box::new(LonelyRead { shown: board.rng.pick(&honest) })
    },
};
