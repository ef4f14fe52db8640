//! A member of the overlap, on the side of the machine that assigns (specification 6.2 steps 1, 2, 4).
//!
//! Guarantees: (1) the order is handed to our core in the other machine as soon as `f + 1` have signed it, and again until
//! the result is back, because either core may have been down; (2) the certified result goes to every member of ours.

use crate::cert::Cert;
use crate::core::Core;
use crate::effect::{Crossing, Duty, Effect, Fault};
use crate::layout::{Blob, BySlot, Count};
use crate::message::{Got, Message};
use crate::record::Key;
use crate::request::Aid;
use crate::role::{Courier, Imported};
use crate::statement::{ResultShare, WorkOrder};
use bart_rsm::message::SlotSet;
use std::collections::BTreeMap;
use types::{GroupId, Kind, Signed, Slot, Stamp};

impl Core {
    pub(crate) fn open_courier(&mut self, aid: Aid) {
        let deadlines: BTreeMap<Slot, Count> = self
            .others()
            .into_iter()
            .map(|peer| (peer, self.deadline(peer, self.params.work_ms())))
            .collect();
        let entry = Courier {
            shares: BySlot::default(),
            deadlines: BySlot(deadlines),
            listed: SlotSet::default(),
            order: None,
            unbrought: SlotSet::default(),
            result: None,
            publish: Stamp(0),
        };
        self.couriers.insert(aid, entry);
        self.touch(Key::Courier(aid));
    }

    /// A member gives us its signature for the other machine.
    pub(crate) fn on_order(&mut self, peer: Slot, share: Signed<WorkOrder>) {
        let aid = Aid::of(&share.header);
        let Some(entry) = self.abroad.get(&aid) else {
            return self.tell(peer, Message::Got(Got::Order, aid));
        };
        let expected = share.payload == entry.order && share.header.epoch == entry.epoch;
        if share.header.slot != peer || !expected || self.rosters.placed(&share).is_none() {
            return self.fault(peer, Fault::NotGenuine(Kind::WorkOrder));
        }
        self.tell(peer, Message::Got(Got::Order, aid));
        let Some(courier) = self.couriers.get_mut(&aid) else { return };
        courier.shares.0.entry(peer).or_insert(share);
        let listed = courier.listed.contains(peer);
        courier.listed.remove(peer);
        self.touch(Key::Courier(aid));
        if listed {
            self.withdraw(Duty { peer, aid, kind: Kind::WorkOrder });
        }
        self.certify_order(aid);
    }

    /// Hands the order over, when `f + 1` have signed it.
    fn certify_order(&mut self, aid: Aid) {
        let (Some(entry), Some(courier)) = (self.abroad.get(&aid), self.couriers.get(&aid)) else {
            return;
        };
        if courier.order.is_some() {
            return;
        }
        let Some(roster) = self.rosters.at(entry.epoch) else { return };
        let shares = courier.shares.0.iter().map(|(slot, share)| (*slot, share.signature));
        let Some(order) = Cert::collect(roster, aid, entry.order.clone(), shares) else { return };
        if let Some(courier) = self.couriers.get_mut(&aid) {
            courier.order = Some(order);
        }
        self.touch(Key::Courier(aid));
        self.hand_over(aid);
    }

    fn hand_over(&mut self, aid: Aid) {
        let (Some(entry), Some(courier)) = (self.abroad.get(&aid), self.couriers.get(&aid)) else {
            return;
        };
        let Some(order) = &courier.order else { return };
        let order = Crossing::Order {
            order: Box::new(order.clone()),
            work: entry.work.clone(),
            home: entry.home,
            rank: self.rank(entry.machine, aid),
        };
        self.out.push(Effect::Cross(entry.machine, Box::new(order)));
    }

    /// Our place in the order of the overlap, which is rotated from assignment to assignment.
    fn rank(&self, machine: GroupId, aid: Aid) -> u8 {
        let members: Vec<Slot> = self.overlap(machine).iter().collect();
        let count = members.len().max(1);
        let place = members.iter().position(|slot| *slot == self.slot).unwrap_or(0);
        let lot = usize::from(aid.lot(self.group).as_bytes()[0]);
        ((place + lot) % count) as u8
    }

    /// Our core in the other machine has the certified result.
    pub(crate) fn bring_back(
        &mut self,
        machine: GroupId,
        cert: Cert<ResultShare>,
        result: Vec<u8>,
    ) {
        let aid = cert.payload.aid;
        let Some(entry) = self.abroad.get(&aid) else { return };
        if !self.is_result(entry, aid, (machine, &cert, &result)) {
            return self.fault(self.slot, Fault::NotCertified);
        }
        let rank = u64::from(self.rank(machine, aid));
        let publish = self.now.wall.0.saturating_add(rank * self.params.rotation_ms);
        let others: SlotSet = self.others().into_iter().collect();
        let Some(courier) = self.couriers.get_mut(&aid) else { return };
        if courier.result.is_some() {
            return;
        }
        courier.result = Some(Imported { cert: cert.clone(), result: Blob(result.clone()) });
        (courier.unbrought, courier.publish) = (others, Stamp(publish));
        self.touch(Key::Courier(aid));
        for peer in others.iter() {
            if let Some(message) = self.brought(aid) {
                self.say(peer, message);
            }
        }
        self.take_result(self.slot, aid, cert, result);
    }

    pub(crate) fn brought(&self, aid: Aid) -> Option<Message> {
        let (entry, courier) = (self.abroad.get(&aid)?, self.couriers.get(&aid)?);
        let Imported { cert, result } = courier.result.clone()?;
        Some(Message::Foreign { aid, machine: entry.machine, cert: Box::new(cert), result })
    }

    /// Results that go into our log: work that was passed on, by our rank.
    pub(crate) fn drive_abroad(&mut self) {
        let wall = self.now.wall;
        // The other core may have been down when it was handed the order: it gets it again until the result is back.
        let unanswered = |courier: &&Courier| courier.order.is_some() && courier.result.is_none();
        let again: Vec<Aid> = self
            .couriers
            .iter()
            .filter(|(_, courier)| unanswered(courier) && wall >= courier.publish)
            .map(|(aid, _)| *aid)
            .collect();
        for aid in again {
            let next = Stamp(wall.0.saturating_add(2 * self.params.rotation_ms));
            if let Some(courier) = self.couriers.get_mut(&aid) {
                courier.publish = next;
            }
            self.touch(Key::Courier(aid));
            self.hand_over(aid);
        }
        let mut publish = Vec::new();
        for (aid, courier) in &self.couriers {
            let (Some(entry), Some(imported)) = (self.abroad.get(aid), &courier.result) else {
                continue;
            };
            let waits = self.hosted.get(aid).is_some_and(|hosted| hosted.result.is_none());
            if !entry.local.0 && waits && wall >= courier.publish {
                publish.push((*aid, entry.machine, imported.clone()));
            }
        }
        for (aid, machine, Imported { cert, result }) in publish {
            let cert = Box::new(cert);
            let command = crate::Command::ForeignResult { machine, cert, result };
            let again = wall.0.saturating_add(2 * self.params.rotation_ms);
            if let Some(courier) = self.couriers.get_mut(&aid) {
                courier.publish = Stamp(again);
            }
            self.touch(Key::Courier(aid));
            self.out.push(Effect::Submit(types::Encode::to_bytes(&command)));
        }
        self.drive_bringing();
    }

    pub(crate) fn result_received(&mut self, peer: Slot, aid: Aid) {
        if let Some(courier) = self.couriers.get_mut(&aid) {
            courier.unbrought.remove(peer);
            self.touch(Key::Courier(aid));
        }
    }

    /// After a crash the other core may not have got what was certified.
    pub(crate) fn resume_abroad(&mut self) {
        let open: Vec<Aid> = self
            .couriers
            .iter()
            .filter(|(_, courier)| courier.result.is_none() && courier.order.is_some())
            .map(|(aid, _)| *aid)
            .collect();
        for aid in open {
            self.hand_over(aid);
        }
    }
}
