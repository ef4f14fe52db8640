//! As a leader, composes its read quorum so that the outcome is NULL, or so that it is a value
//! (row AG-D3): answers of the other sort do not reach its engine for a while.

use super::{Board, Entry, Strategy};
use bart_rsm::message::{Message, TURN_NONE};
use std::collections::BTreeMap;
use types::{Instance, Slot, Turn};

struct FavourNull {
    null: bool,
    since_ms: BTreeMap<(Instance, Turn), u64>,
}

impl Strategy for FavourNull {
    fn incoming(&mut self, board: &mut Board, _: Slot, _: Slot, message: &Message) -> bool {
        let Message::ReadAck(answer) = message else { return true };
        let key = (answer.core.header.inst, answer.core.header.turn);
        let since_ms = *self.since_ms.entry(key).or_insert(board.now_ms);
        let wanted = (answer.core.payload.val_turn == TURN_NONE) == self.null;
        wanted || board.now_ms > since_ms + 4 * board.t0_min_ms
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "favour-null",
    what: "as a leader, composes its read quorum in favour of NULL or of a value (AG-D3)",
    make: |board: &mut Board, _: Slot| {
        let null = !board.rng.once_in(4);
        Box::new(FavourNull { null, since_ms: BTreeMap::new() })
    },
};
