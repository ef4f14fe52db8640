//! Right statements with the wrong body: another body than the digest names, or none (rows RA-D5,
//! AG-D8, SD-D1).

use super::{Board, Content, Entry, Outgoing, Strategy};
use bart_rsm::message::{
    Agree, AgreeLater, Catchup, Message, PadKey, Padded, ReadAck, ShowDecision, Value,
};
use std::sync::Arc;
use types::Slot;

struct WrongBody;

/// Another body in a block of the same length, correctly padded.
fn other(board: &mut Board, key: &PadKey, honest: &Padded) -> Padded {
    let mut body = honest.body().to_vec();
    match (board.rng.once_in(2), body.len()) {
        (true, 1..) => {
            let at = board.rng.index(body.len());
            body[at] ^= 1;
        }
        (false, 1..) => body.clear(),
        (_, 0) => body = board.rng.bytes(40),
    }
    Padded::new(&body, honest.block_len(), key)
}

fn other_value(board: &mut Board, honest: &Value) -> Arc<Value> {
    let mut body = honest.body.to_vec();
    if board.rng.once_in(2) {
        body.clear();
    } else if let Some(last) = body.last_mut() {
        *last ^= 1;
    }
    Arc::new(Value { statement: honest.statement.clone(), body: body.into() })
}

fn alter(board: &mut Board, to: Slot, message: &Message) -> Option<Message> {
    if let Message::Catchup(m) = message {
        let value = other_value(board, m.value.as_ref()?);
        return Some(Message::Catchup(Catchup { value: Some(value), ..m.clone() }));
    }
    let header = message.header()?;
    let key = PadKey {
        group: board.roster.group(),
        inst: header.inst,
        turn: header.turn,
        kind: header.kind,
        from: header.slot,
        to,
    };
    Some(match message {
        Message::Agree(m) => {
            Message::Agree(Agree { value: other_value(board, &m.value), ..m.clone() })
        }
        Message::ReadAck(m) => {
            Message::ReadAck(ReadAck { body: other(board, &key, &m.body), ..m.clone() })
        }
        Message::AgreeLater(m) => {
            Message::AgreeLater(AgreeLater { body: other(board, &key, &m.body), ..m.clone() })
        }
        Message::ShowDecision(m) => {
            Message::ShowDecision(ShowDecision { body: other(board, &key, &m.body), ..m.clone() })
        }
        _ => return None,
    })
}

impl Strategy for WrongBody {
    fn outgoing(&mut self, board: &mut Board, _: Slot, mut out: Vec<Outgoing>) -> Vec<Outgoing> {
        for outgoing in &mut out {
            if let Content::Message(message) = &outgoing.content
                && let Some(message) = alter(board, outgoing.to, message)
            {
                outgoing.content = Content::Message(message);
            }
        }
        out
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "wrong-body",
    what: "sends right statements with another body, or without one (RA-D5, AG-D8, SD-D1)",
    make: |_: &mut Board, _: Slot| Box::new(WrongBody),
};
