//! Acknowledges a write as if it knew no later turn (row WA-D1).

use super::{Board, Content, Entry, Outgoing, Strategy};
use bart_rsm::message::{Message, Pol, WriteAck, WriteAckStatement};
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{Instance, Slot, Turn};

/// Proofs kept at most.
const KEPT_MAX: usize = 256;

#[derive(Default)]
struct StaleMaxPol {
    proofs: BTreeMap<(Instance, Turn), Arc<Pol>>,
}

impl StaleMaxPol {
    fn lie(&self, board: &Board, honest: &WriteAck) -> Option<WriteAck> {
        let header = honest.core.header;
        if honest.core.payload.max_turn == header.turn {
            return None;
        }
        let max_pol = match header.turn {
            Turn(0) => Arc::new(Pol::null(board.q())),
            turn => self.proofs.get(&(header.inst, turn))?.clone(),
        };
        let payload = WriteAckStatement {
            max_turn: header.turn,
            max_pol: max_pol.digest(),
            ..honest.core.payload
        };
        Some(WriteAck { core: board.sign(header, payload)?, max_pol })
    }
}

impl Strategy for StaleMaxPol {
    fn incoming(&mut self, _: &mut Board, _: Slot, _: Slot, message: &Message) -> bool {
        if let Message::Read(read) = message
            && self.proofs.len() < KEPT_MAX
        {
            self.proofs.insert((read.core.header.inst, read.core.header.turn), read.pol.clone());
        }
        true
    }

    fn outgoing(&mut self, board: &mut Board, _: Slot, mut out: Vec<Outgoing>) -> Vec<Outgoing> {
        for outgoing in &mut out {
            if let Content::Message(Message::WriteAck(honest)) = &outgoing.content
                && let Some(lie) = self.lie(board, honest)
            {
                outgoing.content = Content::Message(Message::WriteAck(lie));
            }
        }
        out
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "stale-max-pol",
    what: "acknowledges writes as if it knew no later turn (WA-D1)",
    make: |_: &mut Board, _: Slot| Box::new(StaleMaxPol::default()),
};
