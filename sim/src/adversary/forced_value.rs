//! As a leader, puts forward another value than its read quorum forces: NULL instead of a value, its
//! own invention, or a value of another instance (rows AG-D2, AG-D7).

use super::{Board, Content, Entry, Outgoing, Strategy};
use bart_rsm::message::{
    AgreeCert, AgreeLater, AgreeStatement, Message, PadKey, Padded, Value, ValueStatement,
    null_digest, value_digest,
};
use std::sync::Arc;
use types::{Epoch, Hash, Header, Instance, Size, Slot};

struct ForcedValue;

/// A value that this member signed itself, said to be the sender's, or one of another instance.
fn foreign_value(board: &mut Board, header: &Header, body: &[u8]) -> Option<Value> {
    let body: Arc<[u8]> = if body.is_empty() { board.rng.bytes(64).into() } else { body.into() };
    let stated = ValueStatement { body: Hash::of(&body), len: Size(body.len() as u64) };
    let mut statement = board.sign(*header, stated)?;
    statement.header.slot = board.sender(header.inst.0);
    if board.rng.once_in(2) {
        let n = board.roster.slots() as u64;
        statement.header.inst = Instance(header.inst.0.saturating_sub(n));
    }
    Some(Value { statement, body })
}

fn invent(board: &mut Board, to: Slot, honest: &AgreeLater) -> Option<Message> {
    let header = honest.core.header;
    let (group, sender) = (board.roster.group(), board.sender(header.inst.0));
    let key = PadKey {
        group,
        inst: header.inst,
        turn: header.turn,
        kind: header.kind,
        from: header.slot,
        to,
    };
    let null = null_digest(group, Epoch(0), header.inst, sender);
    let total = honest.body.block_len();
    let (value, statement, body) = if honest.core.payload.value != null && board.rng.once_in(2) {
        (null, None, Padded::new(&[], total, &key))
    } else {
        let value = foreign_value(board, &header, honest.body.body())?;
        let stated = value.statement.payload;
        let digest = value_digest(group, Epoch(0), header.inst, sender, &stated);
        (digest, Some(value.statement), Padded::new(&value.body, total, &key))
    };
    let cert = match board.rng.once_in(2) {
        true => Arc::new(AgreeCert::blank(board.q())),
        false => honest.cert.clone(),
    };
    let payload = AgreeStatement { value, ..honest.core.payload };
    let core = board.sign(header, payload)?;
    Some(Message::AgreeLater(AgreeLater {
        core,
        reads: honest.reads.clone(),
        cert,
        statement,
        body,
    }))
}

impl Strategy for ForcedValue {
    fn outgoing(&mut self, board: &mut Board, _: Slot, mut out: Vec<Outgoing>) -> Vec<Outgoing> {
        for outgoing in &mut out {
            if let Content::Message(Message::AgreeLater(honest)) = &outgoing.content
                && let Some(message) = invent(board, outgoing.to, honest)
            {
                outgoing.content = Content::Message(message);
            }
        }
        out
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "forced-value",
    what: "as a leader, puts another value forward than its read quorum forces (AG-D2, AG-D7)",
    make: |_: &mut Board, _: Slot| Box::new(ForcedValue),
};
