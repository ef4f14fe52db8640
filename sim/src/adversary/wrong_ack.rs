//! Acknowledges what was not asked: another value, another agree or write (rows AA-D2, WA-D3), or a
//! write with a max-pol below its turn (row WA-D3).

use super::{Board, Content, Entry, Outgoing, Strategy};
use bart_rsm::message::{AgreeAck, AgreeAckStatement, Message, Pol, WriteAck, WriteAckStatement};
use std::sync::Arc;
use types::{Hash, Slot, Turn};

struct WrongAck;

fn alter(board: &mut Board, message: &Message) -> Option<Message> {
    let noise = Hash::of(&board.rng.bytes(8));
    Some(match message {
        Message::AgreeAck(m) => {
            let payload = match board.rng.once_in(2) {
                true => AgreeAckStatement { value: noise, ..m.core.payload },
                false => AgreeAckStatement { agree: noise, ..m.core.payload },
            };
            Message::AgreeAck(AgreeAck { core: board.sign(m.core.header, payload)? })
        }
        Message::WriteAck(m) => {
            let (mut payload, mut max_pol) = (m.core.payload, m.max_pol.clone());
            match board.rng.between(0, 2) {
                0 => payload.value = noise,
                1 => payload.write = noise,
                _ => {
                    max_pol = Arc::new(Pol::null(board.q()));
                    let max_turn = Turn(m.core.header.turn.0.saturating_sub(1));
                    let max_pol = max_pol.digest();
                    payload = WriteAckStatement { max_turn, max_pol, ..payload };
                }
            }
            let core = board.sign(m.core.header, payload)?;
            Message::WriteAck(WriteAck { core, max_pol })
        }
        _ => return None,
    })
}

impl Strategy for WrongAck {
    fn outgoing(&mut self, board: &mut Board, _: Slot, mut out: Vec<Outgoing>) -> Vec<Outgoing> {
        for outgoing in &mut out {
            if let Content::Message(message) = &outgoing.content
                && let Some(message) = alter(board, message)
            {
                outgoing.content = Content::Message(message);
            }
        }
        out
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "wrong-ack",
    what: "acknowledges another value, agree or write, or with too low a max-pol (AA-D2, WA-D3)",
    make: |_: &mut Board, _: Slot| Box::new(WrongAck),
};
