//! Stays away when it suits: for some instances it neither sends nor hears anything, and then comes
//! back and catches up (row MQ-10).

use super::{Board, Entry, Outgoing, Strategy};
use bart_rsm::message::Message;
use types::Slot;

struct Absent {
    period: u64,
    away: u64,
}

impl Absent {
    fn is_away(&self, board: &Board) -> bool {
        board.instance % self.period < self.away
    }
}

impl Strategy for Absent {
    fn outgoing(&mut self, board: &mut Board, _: Slot, out: Vec<Outgoing>) -> Vec<Outgoing> {
        if self.is_away(board) { Vec::new() } else { out }
    }

    fn incoming(&mut self, board: &mut Board, _: Slot, _: Slot, _: &Message) -> bool {
        !self.is_away(board)
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "absent",
    what: "stays away for some instances in every few and catches up afterwards (MQ-10)",
    make: |board: &mut Board, _: Slot| {
        let period = board.rng.between(2, 10);
        let away = board.rng.between(1, period - 1);
        Box::new(Absent { period, away })
    },
};
