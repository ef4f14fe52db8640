//! Starts turns 1..n of every instance at once, and also in the sender's name (rows ST-T1, ST-T3,
//! ST-D2).

use super::{Board, Entry, Outgoing, Strategy};
use bart_rsm::message::{Message, SetTurn, SetTurnStatement};
use types::{Kind, Slot};

struct EarlySetTurn {
    next: u64,
}

/// A set-turn and the leader of its turn, as far as that is somebody else.
pub(super) fn set_turn(board: &Board, me: Slot, inst: u64, turn: u32) -> Option<(Slot, Message)> {
    let leader = board.leader(inst, turn);
    let header = board.header(me, Kind::SetTurn, inst, turn);
    let core = board.sign(header, SetTurnStatement {})?;
    (leader != me).then_some((leader, Message::SetTurn(SetTurn { core })))
}

/// Sends a set-turn at once.
pub(super) fn send_set_turn(board: &mut Board, me: Slot, inst: u64, turn: u32) {
    if let Some((leader, message)) = set_turn(board, me, inst, turn) {
        board.send(me, Outgoing::now(leader, message));
    }
}

impl EarlySetTurn {
    fn catch_up(&mut self, board: &mut Board, me: Slot) {
        let n = board.roster.slots() as u32;
        while self.next <= board.instance + 1 {
            for turn in 1..=n {
                send_set_turn(board, me, self.next, turn);
            }
            self.next += 1;
        }
    }
}

impl Strategy for EarlySetTurn {
    fn incoming(&mut self, board: &mut Board, me: Slot, _: Slot, _: &Message) -> bool {
        self.catch_up(board, me);
        true
    }

    fn tick(&mut self, board: &mut Board, me: Slot) {
        self.catch_up(board, me);
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "early-set-turn",
    what: "starts turns 1..n of every instance before anybody else (ST-T3, ST-D2)",
    make: |_: &mut Board, _: Slot| Box::new(EarlySetTurn { next: 0 }),
};
