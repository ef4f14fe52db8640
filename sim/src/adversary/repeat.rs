//! Repeats what it sent, unasked, now and much later (rows MQ-1, MQ-8).

use super::{Board, Content, Entry, Outgoing, Strategy};
use types::Slot;

struct Repeat {
    sent: Vec<Outgoing>,
}

/// Messages kept for repetition.
const KEPT_MAX: usize = 200;

impl Strategy for Repeat {
    fn outgoing(&mut self, board: &mut Board, _: Slot, out: Vec<Outgoing>) -> Vec<Outgoing> {
        let mut sent = Vec::with_capacity(2 * out.len());
        for outgoing in out {
            if let Content::Message(_) = &outgoing.content {
                let delay_ms = board.rng.pick(&[0, 1_000, 30_000]).unwrap_or(0);
                sent.push(Outgoing { delay_ms, ..outgoing.clone() });
                if self.sent.len() < KEPT_MAX {
                    self.sent.push(outgoing.clone());
                } else {
                    let at = board.rng.index(KEPT_MAX);
                    self.sent[at] = outgoing.clone();
                }
            }
            sent.push(outgoing);
        }
        sent
    }

    fn tick(&mut self, board: &mut Board, me: Slot) {
        for _ in 0..3 {
            if let Some(outgoing) = board.rng.pick(&self.sent) {
                board.send(me, outgoing);
            }
        }
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "repeat",
    what: "repeats what it sent, at once and much later (MQ-1, MQ-8)",
    make: |_: &mut Board, _: Slot| Box::new(Repeat { sent: Vec::new() }),
};
