//! Messages that came before their place or gate (specification 4.4).
//!
//! Bounds: one message per (instance, turn, kind), [`PARKED_MAX`] messages and
//! `4 * V_MAX + 64 KiB` a peer, more only where one penance would not fit (three members);
//! instances up to `max(W, 2)` after the entered ones, turns up to `started + n`.
//! What does not fit is dropped and counted; RESUME asks for it again when the gate opens.

use crate::core::{Core, Outcome};
use crate::effect::Fault;
use crate::message::Message;
use std::collections::BTreeMap;
use types::{Instance, Kind, Slot, Turn};

/// Messages parked for one peer.
pub(crate) const PARKED_MAX: usize = 512;

/// One peer's parked messages in order of their place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parking {
    messages: BTreeMap<(Instance, Turn, Kind), (Message, usize)>,
    bytes: usize,
}

impl Parking {
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn put(&mut self, message: Message, budget: usize) -> bool {
        let key = (message.inst(), message.turn(), message.kind());
        if self.messages.contains_key(&key) {
            return true;
        }
        let size = message.size();
        if self.bytes + size > budget || self.messages.len() >= PARKED_MAX {
            return false;
        }
        self.bytes += size;
        self.messages.insert(key, (message, size));
        true
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Message> {
        self.messages.values().map(|(message, _)| message)
    }

    fn keys(&self) -> Vec<(Instance, Turn, Kind)> {
        self.messages.keys().copied().collect()
    }

    fn take(&mut self, key: &(Instance, Turn, Kind)) -> Option<(Message, usize)> {
        let (message, size) = self.messages.remove(key)?;
        self.bytes -= size;
        Some((message, size))
    }

    fn put_back(&mut self, key: (Instance, Turn, Kind), message: Message, size: usize) {
        self.bytes += size;
        self.messages.insert(key, (message, size));
    }
}

impl Core {
    /// Keeps a message for later, within the bounds.
    pub(crate) fn park(&mut self, from: Slot, message: Message) {
        let ahead = self.config.params.pipeline.max(2);
        let kind = message.kind();
        let started = self.insts.get(&message.inst()).map_or(0, |inst| inst.started);
        let turns = started.saturating_add(self.slots as u32);
        let near = message.inst().0 <= self.last_entered().0.saturating_add(ahead);
        let far_turn = message.turn().0 > turns && message.inst() >= self.current;
        let budget = self.parking_budget();
        let Some(peer) = self.peer(from) else { return };
        if !near || far_turn || !peer.parking.put(message, budget) {
            peer.dropped += 1;
            peer.need = true;
            self.fault(from, Fault::NotParked(kind));
        }
    }

    /// Bytes that one peer may have parked.
    pub(crate) fn parking_budget(&self) -> usize {
        (4 * self.config.params.v_max).max(self.costs.penance_max()) + 64 * 1024
    }

    /// Tries again everything that waits; what is still too early stays.
    pub(crate) fn retry_parked(&mut self) {
        for from in self.others() {
            let Some(peer) = self.peer(from) else { continue };
            if peer.parking.is_empty() {
                continue;
            }
            for key in peer.parking.keys() {
                let Some((message, size)) = self.peer(from).and_then(|p| p.parking.take(&key))
                else {
                    continue;
                };
                match self.accept(from, &message) {
                    Outcome::Done => self.heard_from(from),
                    Outcome::Park => {
                        if let Some(peer) = self.peer(from) {
                            peer.parking.put_back(key, message, size);
                        }
                    }
                    Outcome::Fault(fault) => self.fault(from, fault),
                }
            }
        }
    }
}
