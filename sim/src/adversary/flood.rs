//! Floods: set-turns of far-future turns, messages of far-future instances, endless resumes and
//! wakes (rows ST-D5, MQ-6, MQ-7, RS-3).

use super::early_set_turn::send_set_turn;
use super::{Board, Entry, Outgoing, Strategy};
use bart_rsm::message::{
    AgreeAck, AgreeAckStatement, Message, Resume, SetTurn, SetTurnStatement, Wake, WakeStatement,
};
use types::{Epoch, Hash, Instance, Kind, Slot};

/// Bursts of one run: enough to fill every queue that has no bound of its own.
const BURSTS: u32 = 40;

struct Flood {
    bursts: u32,
}

fn future_message(board: &mut Board, me: Slot) -> Option<Message> {
    let ahead = board.rng.pick(&[1, 2, 3, 100, 1 << 40]).unwrap_or(1);
    let inst = board.instance.saturating_add(ahead);
    let turn = board.rng.pick(&[0, 1, 5, 1_000, u32::MAX]).unwrap_or(0);
    Some(match board.rng.between(0, 3) {
        0 => {
            let header = board.header(me, Kind::SetTurn, inst, turn);
            Message::SetTurn(SetTurn { core: board.sign(header, SetTurnStatement {})? })
        }
        1 => {
            let header = board.header(me, Kind::AgreeAck, inst, turn);
            let noise = Hash::of(&board.rng.bytes(8));
            let payload = AgreeAckStatement { value: noise, agree: noise };
            Message::AgreeAck(AgreeAck { core: board.sign(header, payload)? })
        }
        2 => {
            let header = board.header(me, Kind::Wake, inst, 0);
            Message::Wake(Wake { core: board.sign(header, WakeStatement {})? })
        }
        _ => {
            let undecided = Instance(board.rng.pick(&[0, inst, u64::MAX]).unwrap_or(0));
            let frontier = Instance(board.rng.pick(&[0, inst, u64::MAX]).unwrap_or(0));
            Message::Resume(Resume { epoch: Epoch(0), undecided, frontier })
        }
    })
}

impl Strategy for Flood {
    fn tick(&mut self, board: &mut Board, me: Slot) {
        if self.bursts == 0 {
            return;
        }
        self.bursts -= 1;
        for _ in 0..40 {
            let others = board.others(me);
            let to = board.rng.pick(&others);
            if let (Some(to), Some(message)) = (to, future_message(board, me)) {
                board.send(me, Outgoing::now(to, message));
            }
        }
        for turn in [100, 10_000, u32::MAX - 1] {
            send_set_turn(board, me, board.instance, turn);
        }
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "flood",
    what: "floods with far-future turns and instances, resumes and wakes (ST-D5, MQ-6, MQ-7)",
    make: |_: &mut Board, _: Slot| Box::new(Flood { bursts: BURSTS }),
};
