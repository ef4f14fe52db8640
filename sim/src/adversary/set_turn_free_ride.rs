//! Sends a set-turn only when the turn is known to be elected: after its leader's READ (row ST-N4),
//! or after any proof of a turn at least as late (row ST-N3).

use super::{Board, Content, Entry, Outgoing, Strategy};
use bart_rsm::message::Message;
use std::collections::BTreeMap;
use types::{Instance, Slot, Turn};

struct FreeRide {
    /// Whether the proof of any later turn is enough.
    any_proof: bool,
    held: BTreeMap<(Instance, Turn), Outgoing>,
    proven: BTreeMap<Instance, Turn>,
}

/// Set-turns held at most.
const HELD_MAX: usize = 256;

impl FreeRide {
    fn is_free(&self, inst: Instance, turn: Turn) -> bool {
        self.proven
            .get(&inst)
            .is_some_and(|proven| if self.any_proof { *proven >= turn } else { *proven == turn })
    }
}

impl Strategy for FreeRide {
    fn incoming(&mut self, board: &mut Board, me: Slot, _: Slot, message: &Message) -> bool {
        let Message::Read(read) = message else { return true };
        let (inst, turn) = (read.core.header.inst, read.core.header.turn);
        let proven = self.proven.entry(inst).or_default();
        *proven = turn.max(*proven);
        let ready: Vec<_> = self
            .held
            .keys()
            .copied()
            .filter(|(at, held)| *at == inst && (*held == turn || self.is_free(inst, *held)))
            .collect();
        for key in ready {
            if let Some(outgoing) = self.held.remove(&key) {
                board.send(me, outgoing);
            }
        }
        true
    }

    fn outgoing(&mut self, _: &mut Board, _: Slot, out: Vec<Outgoing>) -> Vec<Outgoing> {
        let mut sent = Vec::with_capacity(out.len());
        for outgoing in out {
            match &outgoing.content {
                Content::Message(Message::SetTurn(m))
                    if !self.is_free(m.core.header.inst, m.core.header.turn) =>
                {
                    let key = (m.core.header.inst, m.core.header.turn);
                    if self.held.len() < HELD_MAX {
                        self.held.insert(key, outgoing);
                    }
                }
                _ => sent.push(outgoing),
            }
        }
        sent
    }
}

fn make(any_proof: bool) -> Box<dyn Strategy> {
    Box::new(FreeRide { any_proof, held: BTreeMap::new(), proven: BTreeMap::new() })
}

pub(super) const AFTER_POL: Entry = Entry {
    name: "set-turn-after-proof",
    what: "sends set-turns only after it saw a proof that the turn exists (ST-N3)",
    make: |_: &mut Board, _: Slot| make(true),
};

pub(super) const IF_ELECTED: Entry = Entry {
    name: "set-turn-if-elected",
    what: "sends set-turns only to leaders that were elected without it (ST-N4)",
    make: |_: &mut Board, _: Slot| make(false),
};
