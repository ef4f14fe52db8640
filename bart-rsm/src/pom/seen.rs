//! Which verified statements of each member the core has seen, to notice a second one for a key and an
//! answer that contradicts an earlier one, by whatever path they come: messages, quorum vectors,
//! certificates.
//!
//! Assumes: only statements whose signature verified are shown here.
//! Bounds: the newest [`SEEN_MAX`] statements of each slot, so nobody can push out what another
//! signed; [`CONFLICTS_MAX`] contradictions wait to be collected.

use crate::message::{ReadAckStatement, TURN_NONE, WriteAckStatement};
use std::collections::{BTreeMap, VecDeque};
use types::{Decode, Header, Instance, Kind, Reader, Signature, Slot, Turn, Writer};

/// Statements remembered of each slot: some dozens of instances.
pub(crate) const SEEN_MAX: usize = 256;
/// Contradictions that wait at most; one convicts.
pub(crate) const CONFLICTS_MAX: usize = 16;

type Key = (Instance, Turn, Kind);

#[derive(Debug, Clone, Default)]
struct Member {
    /// Encoded statements by key.
    said: BTreeMap<Key, Vec<u8>>,
    order: VecDeque<Key>,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    members: BTreeMap<Slot, Member>,
    conflicts: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Seen {
    /// Takes a verified statement.
    pub(crate) fn note(&mut self, header: &Header, payload: &[u8], signature: &Signature) {
        let key = (header.inst, header.turn, header.kind);
        let mut out = Writer::with_capacity(256);
        out.put(header);
        out.raw(payload);
        out.put(signature);
        let bytes = out.finish();
        let member = self.members.entry(header.slot).or_default();
        let signed = bytes.len() - signature.0.len();
        match member.said.get(&key) {
            Some(known) if known.get(..signed) == bytes.get(..signed) => {}
            Some(known) => {
                let pair = (known.clone(), bytes);
                if self.conflicts.len() < CONFLICTS_MAX {
                    self.conflicts.push(pair);
                }
            }
            None => {
                if let Some(pair) = member.contradiction(header, payload, &bytes)
                    && self.conflicts.len() < CONFLICTS_MAX
                {
                    self.conflicts.push(pair);
                }
                member.said.insert(key, bytes);
                member.order.push_back(key);
                if member.order.len() > SEEN_MAX
                    && let Some(oldest) = member.order.pop_front()
                {
                    member.said.remove(&oldest);
                }
            }
        }
    }

    /// Contradictions since the last call.
    pub(crate) fn take_conflicts(&mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        std::mem::take(&mut self.conflicts)
    }
}

impl Member {
    /// A write and a read of a later turn that cannot both be true (TR7): first the write.
    fn contradiction(
        &self,
        header: &Header,
        payload: &[u8],
        bytes: &[u8],
    ) -> Option<(Vec<u8>, Vec<u8>)> {
        let (inst, turn) = (header.inst, header.turn);
        match header.kind {
            Kind::WriteAck => {
                let write = WriteAckStatement::from_bytes(payload).ok()?;
                let later = (inst, turn.next()?, Kind::Value)..(inst.next()?, Turn(0), Kind::Value);
                let mut reads = self.said.range(later).filter(|(key, _)| key.2 == Kind::ReadAck);
                let (_, read) = reads.find(|(key, read)| {
                    payload_of::<ReadAckStatement>(read)
                        .is_some_and(|read| contradict(turn, &write, key.1, &read))
                })?;
                Some((bytes.to_vec(), read.clone()))
            }
            Kind::ReadAck => {
                let read = ReadAckStatement::from_bytes(payload).ok()?;
                let earlier = (inst, Turn(0), Kind::Value)..(inst, turn, Kind::Value);
                let mut writes =
                    self.said.range(earlier).filter(|(key, _)| key.2 == Kind::WriteAck);
                let (_, write) = writes.find(|(key, write)| {
                    payload_of::<WriteAckStatement>(write)
                        .is_some_and(|write| contradict(key.1, &write, turn, &read))
                })?;
                Some((write.clone(), bytes.to_vec()))
            }
            _ => None,
        }
    }
}

fn payload_of<P: Decode>(bytes: &[u8]) -> Option<P> {
    let mut input = Reader::new(bytes);
    input.get::<Header>().ok()?;
    input.get().ok()
}

/// The predicate of TR7.
fn contradict(
    earlier: Turn,
    write: &WriteAckStatement,
    later: Turn,
    read: &ReadAckStatement,
) -> bool {
    let forgot = read.val_turn == TURN_NONE || read.val_turn < earlier;
    earlier < later && write.max_turn < later && forgot
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{Epoch, Ident};

    fn header(slot: u16, inst: u64, kind: Kind) -> Header {
        let (inst, slot) = (Instance(inst), Slot(slot));
        Header { kind, epoch: Epoch(0), inst, turn: Turn(0), slot, ident: Ident(0) }
    }

    #[test]
    fn memory_is_bounded_for_each_signer_and_one_cannot_push_out_anothers() {
        let mut seen = Seen::default();
        let signature = Signature([1; 64]);
        seen.note(&header(1, 0, Kind::AgreeAck), &[1], &signature);
        for inst in 0..10 * SEEN_MAX as u64 {
            seen.note(&header(2, inst, Kind::AgreeAck), &[1], &signature);
        }
        assert_eq!(seen.members[&Slot(2)].said.len(), SEEN_MAX);
        assert_eq!(seen.members[&Slot(2)].order.len(), SEEN_MAX);
        // Another signature under the same words is no contradiction; other words are.
        seen.note(&header(1, 0, Kind::AgreeAck), &[1], &Signature([2; 64]));
        assert!(seen.take_conflicts().is_empty());
        for words in 2..100 {
            seen.note(&header(1, 0, Kind::AgreeAck), &[words], &signature);
        }
        assert_eq!(seen.take_conflicts().len(), CONFLICTS_MAX);
        assert!(seen.take_conflicts().is_empty());
    }
}
