//! As a leader, shows a failing write quorum although it has a good one (row SQ-D2): it takes the
//! answer of a member that knew a later turn, if there is one, and else knows one itself.

use super::{Board, Content, Entry, Outgoing, Strategy};
use bart_rsm::message::{
    Message, Pol, ShowQuorum, ShowQuorumStatement, Signers, WriteAckStatement, WriteEntry,
    WriteQuorum,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{Hash, Instance, Kind, Slot, Turn};

/// Proofs and answers kept at most.
const KEPT_MAX: usize = 512;

#[derive(Default)]
struct FailingQuorum {
    /// The latest proof seen in each instance.
    proofs: BTreeMap<Instance, Arc<Pol>>,
    /// By WRITE: an answer that names a later turn.
    later: BTreeMap<Hash, (Slot, WriteEntry, Arc<Pol>)>,
}

impl FailingQuorum {
    fn fail(&self, board: &Board, me: Slot, honest: &ShowQuorum) -> Option<Message> {
        let header = honest.core.header;
        honest.acks.decision(header.turn, honest.core.payload.value)?;
        let (slot, entry, pol) = match self.later.get(&honest.acks.write) {
            Some((slot, entry, pol)) => (*slot, *entry, pol.clone()),
            None => self.own(board, me, honest)?,
        };
        let mut parts: BTreeMap<Slot, WriteEntry> =
            honest.acks.signers.iter().map(|(slot, entry)| (slot, *entry)).collect();
        if parts.insert(slot, entry).is_none() {
            let spare = parts.keys().copied().find(|other| *other != slot)?;
            parts.remove(&spare);
        }
        let acks = WriteQuorum { write: honest.acks.write, signers: Signers::new(parts) };
        let payload = ShowQuorumStatement { acks: acks.digest(), ..honest.core.payload };
        let core = board.sign(header, payload)?;
        Some(Message::ShowQuorum(ShowQuorum { core, acks: Arc::new(acks), pol }))
    }

    /// An answer of our own that names the latest turn that we know.
    fn own(
        &self,
        board: &Board,
        me: Slot,
        honest: &ShowQuorum,
    ) -> Option<(Slot, WriteEntry, Arc<Pol>)> {
        let place = honest.core.header;
        if place.turn == Turn(0) {
            return None;
        }
        let pol = self.proofs.get(&place.inst).filter(|pol| pol.turn > place.turn)?.clone();
        let header = board.header(me, Kind::WriteAck, place.inst.0, place.turn.0);
        let payload = WriteAckStatement {
            value: honest.core.payload.value,
            max_turn: pol.turn,
            max_pol: pol.digest(),
            write: honest.acks.write,
        };
        let signature = board.sign(header, payload)?.signature;
        let entry = WriteEntry { max_turn: pol.turn, max_pol: pol.digest(), signature };
        Some((me, entry, pol))
    }
}

impl Strategy for FailingQuorum {
    fn incoming(&mut self, _: &mut Board, _: Slot, from: Slot, message: &Message) -> bool {
        match message {
            Message::Read(m) if self.proofs.len() < KEPT_MAX => {
                let known = self.proofs.entry(m.core.header.inst).or_insert_with(|| m.pol.clone());
                if m.pol.turn > known.turn {
                    *known = m.pol.clone();
                }
            }
            Message::WriteAck(m)
                if m.core.payload.max_turn > m.core.header.turn && self.later.len() < KEPT_MAX =>
            {
                let WriteAckStatement { max_turn, max_pol, write, .. } = m.core.payload;
                let entry = WriteEntry { max_turn, max_pol, signature: m.core.signature };
                self.later.insert(write, (from, entry, m.max_pol.clone()));
            }
            _ => {}
        }
        true
    }

    fn outgoing(&mut self, board: &mut Board, me: Slot, mut out: Vec<Outgoing>) -> Vec<Outgoing> {
        for outgoing in &mut out {
            if let Content::Message(Message::ShowQuorum(honest)) = &outgoing.content
                && let Some(failing) = self.fail(board, me, honest)
            {
                outgoing.content = Content::Message(failing);
            }
        }
        out
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "failing-quorum",
    what: "as a leader, shows a failing write quorum although it has a good one (SQ-D2)",
    make: |_: &mut Board, _: Slot| Box::new(FailingQuorum::default()),
};
