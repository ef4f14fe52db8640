//! Acknowledges writes with a proof of a later turn that nobody signed, or that is of another turn
//! (row WA-D2): the write would fail for nothing.

use super::{Board, Content, Entry, Outgoing, Strategy};
use bart_rsm::message::{Message, Pol, Signers, WriteAck, WriteAckStatement};
use std::sync::Arc;
use types::{Signature, Slot, Turn};

struct InventedProof;

fn invent(board: &mut Board, honest: &WriteAck) -> Option<WriteAck> {
    let later = Turn(honest.core.header.turn.0 + 1 + board.rng.between(0, 3) as u32);
    let pol = if honest.max_pol.is_null(board.q()) || board.rng.once_in(2) {
        let slots: Vec<Slot> = board.roster.all().take(board.q()).collect();
        let forged = slots.into_iter().map(|slot| {
            let bytes: [u8; 64] = board.rng.bytes(64).try_into().unwrap_or([0; 64]);
            (slot, Signature(bytes))
        });
        Pol { turn: later, signers: Signers::new(forged.collect::<Vec<_>>()) }
    } else {
        Pol { turn: later, ..(*honest.max_pol).clone() }
    };
    let payload =
        WriteAckStatement { max_turn: later, max_pol: pol.digest(), ..honest.core.payload };
    Some(WriteAck { core: board.sign(honest.core.header, payload)?, max_pol: Arc::new(pol) })
}

impl Strategy for InventedProof {
    fn outgoing(&mut self, board: &mut Board, _: Slot, mut out: Vec<Outgoing>) -> Vec<Outgoing> {
        for outgoing in &mut out {
            if let Content::Message(Message::WriteAck(honest)) = &outgoing.content
                && let Some(lie) = invent(board, honest)
            {
                outgoing.content = Content::Message(Message::WriteAck(lie));
            }
        }
        out
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "invented-proof",
    what: "acknowledges writes with a forged proof of a later turn (WA-D2)",
    make: |_: &mut Board, _: Slot| Box::new(InventedProof),
};
