//! Sends everything just inside the timers, or as late as it can without being useless (rows
//! AG-T1, *-T*).

use super::{Board, Entry, Outgoing, Strategy};
use types::Slot;

struct Slow {
    delay_ms: u64,
}

impl Strategy for Slow {
    fn outgoing(&mut self, board: &mut Board, _: Slot, mut out: Vec<Outgoing>) -> Vec<Outgoing> {
        for outgoing in &mut out {
            outgoing.delay_ms += self.delay_ms + board.rng.between(0, self.delay_ms / 8);
        }
        out
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "slow",
    what: "sends everything just inside the timers, or a little outside",
    make: |board: &mut Board, _: Slot| {
        let part = board.rng.pick(&[2, 3, 6, 7, 9, 24]).unwrap_or(6);
        Box::new(Slow { delay_ms: board.t0_min_ms * part / 8 })
    },
};
