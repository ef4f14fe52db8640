//! Wakes the group again and again without having a command (row RS-3).

use super::{Board, Entry, Outgoing, Strategy};
use bart_rsm::message::{Message, Wake, WakeStatement};
use types::{Kind, Slot};

struct WakeSpam;

impl Strategy for WakeSpam {
    fn tick(&mut self, board: &mut Board, me: Slot) {
        let inst = board.instance + board.rng.between(0, 1);
        let header = board.header(me, Kind::Wake, inst, 0);
        let Some(core) = board.sign(header, WakeStatement {}) else { return };
        for to in board.others(me) {
            board.send(me, Outgoing::now(to, Message::Wake(Wake { core: core.clone() })));
        }
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "wake-spam",
    what: "wakes the group all the time without a command (RS-3)",
    make: |_: &mut Board, _: Slot| Box::new(WakeSpam),
};
