//! Answers a read with "accepted nothing" although it accepted, or with an older value (rows RA-D1, RA-D3); after its own write-ack that is a write it did not store (row WA-D4).

use super::{Board, Content, Entry, Outgoing, Strategy};
use bart_rsm::message::{AgreeCert, Message, PadKey, Padded, ReadAck, ReadAckStatement, TURN_NONE};
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{Hash, Header, Instance, Slot};

#[derive(Default)]
struct LyingRead {
    /// The first answer given in an instance.
    first: BTreeMap<Instance, ReadAck>,
}

impl LyingRead {
    fn lie(&mut self, board: &Board, to: Slot, honest: &ReadAck) -> Option<ReadAck> {
        let header = honest.core.header;
        let old = self.first.entry(header.inst).or_insert_with(|| honest.clone()).clone();
        if old.core.payload.val_turn != TURN_NONE
            && old.core.payload.val_turn != honest.core.payload.val_turn
        {
            return rewrite(board, to, honest, &old);
        }
        nothing(board, to, honest)
    }
}

/// "I accepted nothing", well formed.
pub(super) fn nothing(board: &Board, to: Slot, honest: &ReadAck) -> Option<ReadAck> {
    let header = honest.core.header;
    let payload = ReadAckStatement {
        val_turn: TURN_NONE,
        value: Hash::ZERO,
        cert: Hash::ZERO,
        read: honest.core.payload.read,
    };
    Some(ReadAck {
        core: board.sign(header, payload)?,
        cert: Arc::new(AgreeCert::blank(board.q())),
        statement: None,
        body: pad(board, to, &header, &[], honest.body.block_len()),
    })
}

/// The answer of an earlier turn, given again under the present header.
fn rewrite(board: &Board, to: Slot, honest: &ReadAck, old: &ReadAck) -> Option<ReadAck> {
    let header = honest.core.header;
    let payload = ReadAckStatement { read: honest.core.payload.read, ..old.core.payload };
    Some(ReadAck {
        core: board.sign(header, payload)?,
        cert: old.cert.clone(),
        statement: old.statement.clone(),
        body: pad(board, to, &header, old.body.body(), honest.body.block_len()),
    })
}

fn pad(board: &Board, to: Slot, header: &Header, body: &[u8], total: usize) -> Padded {
    let key = PadKey {
        group: board.roster.group(),
        inst: header.inst,
        turn: header.turn,
        kind: header.kind,
        from: header.slot,
        to,
    };
    Padded::new(body, total, &key)
}

impl Strategy for LyingRead {
    fn outgoing(&mut self, board: &mut Board, _: Slot, mut out: Vec<Outgoing>) -> Vec<Outgoing> {
        for outgoing in &mut out {
            if let Content::Message(Message::ReadAck(honest)) = &outgoing.content
                && let Some(lie) = self.lie(board, outgoing.to, honest)
            {
                outgoing.content = Content::Message(Message::ReadAck(lie));
            }
        }
        out
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "lying-read",
    what: "answers reads with \"accepted nothing\" or an older value (RA-D1, RA-D3, WA-D4)",
    make: |_: &mut Board, _: Slot| Box::new(LyingRead::default()),
};
