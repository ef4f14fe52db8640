//! Starts turn 1 of every instance before its own timer, by one or ten punctuality windows (row
//! ST-T1). Without `f + 1` honest set-turns there is no proof of leadership, so nothing comes of it
//! but a mark.

use super::delay::WINDOW_MS;
use super::early_set_turn::set_turn;
use super::{Board, Entry, Outgoing, Strategy};
use bart_rsm::message::Message;
use types::Slot;

struct SetTurnEarly {
    next: u64,
    early_ms: u64,
}

impl Strategy for SetTurnEarly {
    fn incoming(&mut self, board: &mut Board, me: Slot, _: Slot, message: &Message) -> bool {
        let inst = message.inst().0;
        if self.next <= inst && inst <= board.instance {
            self.next = inst + 1;
            let wait_ms = board.t0_min_ms.saturating_sub(self.early_ms);
            if let Some((leader, message)) = set_turn(board, me, inst, 1) {
                board.send(me, Outgoing { delay_ms: wait_ms, ..Outgoing::now(leader, message) });
            }
        }
        true
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "set-turn-before-timer",
    what: "starts turn 1 earlier than its timer, by one or ten windows (ST-T1)",
    make: |board: &mut Board, _: Slot| {
        let early_ms = board.rng.pick(&[1, 10]).unwrap_or(1) * WINDOW_MS;
        Box::new(SetTurnEarly { next: 0, early_ms })
    },
};
