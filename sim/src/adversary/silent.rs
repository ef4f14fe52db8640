//! Sends nothing, from the start or from some moment on (rows *-N*).

use super::{Board, Entry, Outgoing, Strategy};
use types::Slot;

struct Silent {
    from_ms: u64,
}

impl Strategy for Silent {
    fn outgoing(&mut self, board: &mut Board, _: Slot, out: Vec<Outgoing>) -> Vec<Outgoing> {
        if board.now_ms >= self.from_ms { Vec::new() } else { out }
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "silent",
    what: "sends nothing, from the start or from some moment on",
    make: |board: &mut Board, _: Slot| {
        let later = board.rng.between(0, 20_000);
        let from_ms = if board.rng.once_in(2) { 0 } else { later };
        Box::new(Silent { from_ms })
    },
};
