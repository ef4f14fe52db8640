//! Signs two answers to one question: read-acks with a value and without (row RA-D6), agree-acks to
//! two agrees (row AA-D1), write-acks with two max-pols (TR6). Both leave, the second one first or
//! last.

use super::{Board, Content, Entry, Outgoing, Strategy};
use bart_rsm::message::{AgreeAck, AgreeAckStatement, Message, Pol, WriteAck, WriteAckStatement};
use std::sync::Arc;
use types::{Hash, Slot, Turn};

struct TwoAnswers;

fn second(board: &mut Board, to: Slot, message: &Message) -> Option<Message> {
    Some(match message {
        Message::ReadAck(m) => Message::ReadAck(super::lying_read::nothing(board, to, m)?),
        Message::AgreeAck(m) => {
            let noise = Hash::of(&board.rng.bytes(8));
            let payload = match board.rng.once_in(2) {
                true => AgreeAckStatement { value: noise, ..m.core.payload },
                false => AgreeAckStatement { agree: noise, ..m.core.payload },
            };
            Message::AgreeAck(AgreeAck { core: board.sign(m.core.header, payload)? })
        }
        Message::WriteAck(m) => {
            let max_turn = match m.core.payload.max_turn {
                Turn(0) => Turn(1),
                _ => Turn(0),
            };
            let pol = Arc::new(Pol { turn: max_turn, ..Pol::null(board.q()) });
            let payload = WriteAckStatement { max_turn, max_pol: pol.digest(), ..m.core.payload };
            let core = board.sign(m.core.header, payload)?;
            Message::WriteAck(WriteAck { core, max_pol: pol })
        }
        _ => return None,
    })
}

impl Strategy for TwoAnswers {
    fn outgoing(&mut self, board: &mut Board, _: Slot, out: Vec<Outgoing>) -> Vec<Outgoing> {
        let mut sent = Vec::with_capacity(out.len());
        for outgoing in out {
            let Content::Message(message) = &outgoing.content else {
                sent.push(outgoing);
                continue;
            };
            let other = second(board, outgoing.to, message);
            let other = other.map(|message| Outgoing::now(outgoing.to, message));
            let first = board.rng.once_in(2);
            let at = sent.len();
            sent.push(outgoing);
            if let Some(other) = other {
                sent.insert(if first { at } else { at + 1 }, other);
            }
        }
        sent
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "two-answers",
    what: "signs two answers to one read, agree or write, and sends both (RA-D6, AA-D1)",
    make: |_: &mut Board, _: Slot| Box::new(TwoAnswers),
};
