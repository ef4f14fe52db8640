//! As a leader, shows a whole and valid proof of leadership as that of another turn (row RD-D1).

use super::{Board, Content, Entry, Outgoing, Strategy};
use bart_rsm::message::{Message, Pol, Read};
use std::sync::Arc;
use types::{Slot, Turn};

struct WrongTurnProof;

fn alter(board: &mut Board, honest: &Read) -> Option<Message> {
    let later = Turn(honest.pol.turn.0 + 1 + board.rng.between(0, 2) as u32);
    let pol = Pol { turn: later, ..(*honest.pol).clone() };
    let mut payload = honest.core.payload;
    payload.pol = pol.digest();
    let mut header = honest.core.header;
    if board.rng.once_in(2) {
        header.turn = later;
    }
    Some(Message::Read(Read { core: board.sign(header, payload)?, pol: Arc::new(pol) }))
}

impl Strategy for WrongTurnProof {
    fn outgoing(&mut self, board: &mut Board, _: Slot, mut out: Vec<Outgoing>) -> Vec<Outgoing> {
        for outgoing in &mut out {
            if let Content::Message(Message::Read(honest)) = &outgoing.content
                && let Some(message) = alter(board, honest)
            {
                outgoing.content = Content::Message(message);
            }
        }
        out
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "wrong-turn-proof",
    what: "as a leader, shows a valid proof as that of another turn (RD-D1)",
    make: |_: &mut Board, _: Slot| Box::new(WrongTurnProof),
};
