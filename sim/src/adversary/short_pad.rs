//! Saves on the padding: a shorter block, a block of zeros, or the stream of another message (rows
//! RA-D4, AG-D5, SD-D2, PN-D1).

use super::{Board, Content, Entry, Outgoing, Strategy};
use bart_rsm::message::{AgreeLater, Message, PadKey, Padded, Penance, ReadAck, ShowDecision};
use types::{Instance, Slot};

struct ShortPad;

/// The same body in a cheaper block.
fn cheaper(board: &mut Board, honest: &Padded, key: &PadKey) -> Padded {
    let (body, total) = (honest.body(), honest.block_len());
    match board.rng.between(0, 2) {
        0 => Padded::new(body, body.len(), key),
        1 => Padded::new(body, total.saturating_sub(1).max(body.len()), key),
        // One stream for all instances compresses.
        _ => Padded::new(body, total, &PadKey { inst: Instance(0), ..*key }),
    }
}

fn shorten(board: &mut Board, to: Slot, message: &Message) -> Option<Message> {
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
        Message::ReadAck(m) => {
            Message::ReadAck(ReadAck { body: cheaper(board, &m.body, &key), ..m.clone() })
        }
        Message::AgreeLater(m) => {
            Message::AgreeLater(AgreeLater { body: cheaper(board, &m.body, &key), ..m.clone() })
        }
        Message::ShowDecision(m) => {
            Message::ShowDecision(ShowDecision { body: cheaper(board, &m.body, &key), ..m.clone() })
        }
        Message::Penance(m) => {
            let pad = match board.rng.once_in(2) {
                true => m.pad[..m.pad.len() / 2].to_vec(),
                false => vec![0; m.pad.len()],
            };
            Message::Penance(Penance { core: m.core.clone(), pad: pad.into() })
        }
        _ => return None,
    })
}

impl Strategy for ShortPad {
    fn outgoing(&mut self, board: &mut Board, _: Slot, mut out: Vec<Outgoing>) -> Vec<Outgoing> {
        for outgoing in &mut out {
            if let Content::Message(message) = &outgoing.content
                && let Some(cheap) = shorten(board, outgoing.to, message)
            {
                outgoing.content = Content::Message(cheap);
            }
        }
        out
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "short-pad",
    what: "pads too little, with zeros, or with another message's stream (RA-D4, AG-D5, SD-D2, PN-D1)",
    make: |_: &mut Board, _: Slot| Box::new(ShortPad),
};
