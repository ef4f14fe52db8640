//! Acknowledges every agree at once without looking at it (row AA-D3), and so what a friend puts
//! forward against its read quorum (row AG-D2) as well.

use super::{Board, Entry, Outgoing, Strategy};
use bart_rsm::message::{AgreeAck, AgreeAckStatement, Message};
use types::{Kind, Slot};

struct LazyAck;

impl Strategy for LazyAck {
    fn incoming(&mut self, board: &mut Board, me: Slot, from: Slot, message: &Message) -> bool {
        let (value, agree) = match message {
            Message::Agree(m) => (m.core.payload.value, m.core.digest()),
            Message::AgreeLater(m) => (m.core.payload.value, m.core.digest()),
            _ => return true,
        };
        let header = board.header(me, Kind::AgreeAck, message.inst().0, message.turn().0);
        if let Some(core) = board.sign(header, AgreeAckStatement { value, agree }) {
            board.send(me, Outgoing::now(from, Message::AgreeAck(AgreeAck { core })));
        }
        true
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "lazy-ack",
    what: "acknowledges every agree without verifying it (AA-D3)",
    make: |_: &mut Board, _: Slot| Box::new(LazyAck),
};
