//! Holds its READ with a valid proof of leadership back until another turn of the instance has
//! begun to write, and shows it to some members then (row RD-T2): their max-pol rises, and if the
//! held turn is the later one, the other turn's write may fail once.

use super::{Board, Content, Entry, Outgoing, Strategy};
use bart_rsm::message::Message;
use std::collections::BTreeMap;
use types::{Instance, Slot, Turn};

#[derive(Default)]
struct HeldProof {
    held: BTreeMap<Instance, Vec<(Turn, Outgoing)>>,
}

/// Messages held of one instance at most.
const HELD_MAX: usize = 64;

impl Strategy for HeldProof {
    fn incoming(&mut self, board: &mut Board, me: Slot, _: Slot, message: &Message) -> bool {
        if let Message::AgreeLater(_) | Message::Write(_) = message
            && let Some(held) = self.held.get_mut(&message.inst())
        {
            let turn = message.turn();
            let (ready, still) = held.drain(..).partition(|(of, _)| *of != turn);
            *held = still;
            for (_, outgoing) in ready {
                if board.rng.once_in(2) {
                    board.send(me, outgoing);
                }
            }
        }
        true
    }

    fn outgoing(&mut self, _: &mut Board, _: Slot, out: Vec<Outgoing>) -> Vec<Outgoing> {
        let mut sent = Vec::with_capacity(out.len());
        for outgoing in out {
            match &outgoing.content {
                Content::Message(Message::Read(read)) => {
                    let held = self.held.entry(read.core.header.inst).or_default();
                    if held.len() < HELD_MAX {
                        held.push((read.core.header.turn, outgoing));
                    }
                }
                _ => sent.push(outgoing),
            }
        }
        sent
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "held-proof",
    what: "holds a proof of leadership back and shows it while another turn writes (RD-T2)",
    make: |_: &mut Board, _: Slot| Box::new(HeldProof::default()),
};
