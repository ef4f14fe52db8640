//! As a leader with more set-turns than it needs, shows one valid proof of leadership to some and
//! another one to the others (row RD-D2), under two READ statements.

use super::{Board, Content, Entry, Outgoing, Strategy};
use bart_rsm::message::{Message, Pol, Read, Signers};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use types::{Instance, Signature, Slot, Turn};

struct TwoProofs {
    second: BTreeSet<Slot>,
    set_turns: BTreeMap<(Instance, Turn), BTreeMap<Slot, Signature>>,
}

/// Turns kept at most.
const KEPT_MAX: usize = 512;

impl TwoProofs {
    fn other(&self, board: &Board, read: &Read) -> Option<Message> {
        let header = read.core.header;
        let known = self.set_turns.get(&(header.inst, header.turn))?;
        // The latest slots instead of the earliest.
        let signers = known.iter().rev().take(board.q()).map(|(slot, s)| (*slot, *s));
        let pol = Pol { turn: header.turn, signers: Signers::new(signers) };
        if pol == *read.pol {
            return None;
        }
        let mut payload = read.core.payload;
        payload.pol = pol.digest();
        let core = board.sign(header, payload)?;
        Some(Message::Read(Read { core, pol: Arc::new(pol) }))
    }
}

impl Strategy for TwoProofs {
    fn incoming(&mut self, _: &mut Board, _: Slot, from: Slot, message: &Message) -> bool {
        if let Message::SetTurn(m) = message
            && self.set_turns.len() < KEPT_MAX
        {
            let turn = self.set_turns.entry((m.core.header.inst, m.core.header.turn));
            turn.or_default().insert(from, m.core.signature);
        }
        true
    }

    fn outgoing(&mut self, board: &mut Board, _: Slot, mut out: Vec<Outgoing>) -> Vec<Outgoing> {
        for outgoing in &mut out {
            if let Content::Message(Message::Read(read)) = &outgoing.content
                && self.second.contains(&outgoing.to)
                && let Some(other) = self.other(board, read)
            {
                outgoing.content = Content::Message(other);
            }
        }
        out
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "two-proofs",
    what: "as a leader, shows different valid proofs of leadership to different members (RD-D2)",
    make: |board: &mut Board, me: Slot| {
        let others = board.others(me);
        let second = board.rng.sample(&others, others.len() / 2);
        Box::new(TwoProofs { second, set_turns: BTreeMap::new() })
    },
};
