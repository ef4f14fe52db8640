//! Forgets: its disk is rolled back to an earlier state, again and again (row MQ-11). It then signs
//! a second statement where it had signed a first.

use super::{Board, Entry, Request, Strategy};
use types::Slot;

struct Amnesia {
    saved: bool,
}

impl Strategy for Amnesia {
    fn tick(&mut self, board: &mut Board, me: Slot) {
        if !self.saved || board.rng.once_in(6) {
            self.saved = true;
            board.requests.push((me, Request::SaveDisk));
        } else if board.rng.once_in(4) {
            board.requests.push((me, Request::RollBack));
        }
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "amnesia",
    what: "its disk is rolled back again and again (MQ-11)",
    make: |_: &mut Board, _: Slot| Box::new(Amnesia { saved: false }),
};
