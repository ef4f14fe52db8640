//! Answers a read with a later turn than it accepted in, or with a value that nobody certified (row
//! RA-D2): the agree certificate is missing, or of another turn.

use super::{Board, Content, Entry, Outgoing, Strategy};
use bart_rsm::message::{AgreeCert, Message, ReadAck, ReadAckStatement, TURN_NONE};
use std::sync::Arc;
use types::{Hash, Slot, Turn};

struct InflatedRead;

fn inflate(board: &mut Board, honest: &ReadAck) -> Option<ReadAck> {
    let header = honest.core.header;
    let claim = honest.core.payload;
    let Turn(turn) = header.turn;
    let val_turn = Turn(board.rng.pick(&[0, turn.saturating_sub(1), turn + 3]).unwrap_or(0));
    let cert = match claim.val_turn {
        TURN_NONE => AgreeCert::blank(board.q()),
        // The real certificate, said to be of another turn.
        _ => AgreeCert { turn: val_turn, ..(*honest.cert).clone() },
    };
    let value = if claim.value == Hash::ZERO { Hash::of(b"nobody's value") } else { claim.value };
    let payload = ReadAckStatement { val_turn, value, cert: cert.digest(), ..claim };
    Some(ReadAck { core: board.sign(header, payload)?, cert: Arc::new(cert), ..honest.clone() })
}

impl Strategy for InflatedRead {
    fn outgoing(&mut self, board: &mut Board, _: Slot, mut out: Vec<Outgoing>) -> Vec<Outgoing> {
        for outgoing in &mut out {
            if let Content::Message(Message::ReadAck(honest)) = &outgoing.content
                && let Some(lie) = inflate(board, honest)
            {
                outgoing.content = Content::Message(Message::ReadAck(lie));
            }
        }
        out
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "inflated-read",
    what: "answers reads with a later turn than it can certify (RA-D2)",
    make: |_: &mut Board, _: Slot| Box::new(InflatedRead),
};
