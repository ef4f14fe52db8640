//! Work for another machine, on the side that assigns it (specification 6.2; paper 6.2, figure 13 l. 37-59, lemma 33).
//!
//! Every member signs an order and gives it to each member of the overlap; `f + 1` signatures are the certificate with
//! which one of them brings the work in, in an order that only avoids duplicates (B.11). Every member of the overlap owes every
//! member of ours the certified result within `T_sm`; who gets it first forwards it to the requester, once.
//!
//! Guarantees: (1) no member of the overlap can invent a result or an order: both are believed with `f + 1` signatures
//! only (WK-13, WK-14); (2) the last honest member of the overlap suffices (WK-15); (3) a denial needs the whole overlap
//! to be silent, and is no proof against one member: all silent ones are listed.

use crate::cert::Cert;
use crate::core::Core;
use crate::effect::{Duty, Effect, Fault, Outcome};
use crate::layout::{Blob, Body, BySlot, Count, Flag};
use crate::message::{self, Got, Message};
use crate::record::Key;
use crate::request::{Aid, Work};
use crate::requester::target_slot;
use crate::role::{Abroad, Imported};
use crate::signer::Place;
use crate::sizes;
use crate::statement::{NoEvidence, ResultShare, WitnessStatement, WorkOrder};
use crate::witness::name_of;
use bart_rsm::message::SlotSet;
use std::collections::BTreeMap;
use types::{Epoch, GroupId, Hash, Kind, Signed, Slot, Stamp};

impl Core {
    /// Work for another machine is decided.
    pub(crate) fn send_abroad(
        &mut self,
        epoch: Epoch,
        aid: Aid,
        (machine, order): (GroupId, WorkOrder),
        (work, home): (Work, GroupId),
        local: bool,
    ) {
        let overlap = self.overlap(machine);
        let share = self.signer.at(epoch, aid, order.clone());
        let waits = overlap.iter().filter(|slot| *slot != self.slot);
        let deadlines: BTreeMap<Slot, Count> =
            waits.map(|peer| (peer, self.deadline(peer, self.params.machine_ms()))).collect();
        if local && work.requester() == self.slot {
            let wait =
                self.params.machine_ms() + self.params.max_response_ms + self.params.margin_ms;
            self.open_asked(epoch, aid, work.clone(), |_| wait);
        }
        let entry = Abroad {
            epoch,
            machine,
            order,
            work: work.clone(),
            home,
            local: Flag(local),
            share: share.clone(),
            unordered: overlap.iter().filter(|slot| *slot != self.slot).collect(),
            deadlines: BySlot(deadlines),
            from: SlotSet::default(),
            listed: SlotSet::default(),
            result: None,
            word: None,
            denial: None,
            received: Flag(false),
            until: self.until(),
        };
        self.abroad.insert(aid, entry);
        self.touch(Key::Abroad(aid));
        if overlap.contains(self.slot) {
            self.open_courier(aid);
        }
        let Some(share) = share else { return };
        for peer in overlap.iter() {
            self.say(peer, Message::Order(share.clone()));
        }
    }

    /// Our slots that also belong to another machine.
    pub(crate) fn overlap(&self, machine: GroupId) -> SlotSet {
        let link = self.links.get(machine);
        link.map(|link| link.overlap.iter().map(|(own, _)| *own).collect()).unwrap_or_default()
    }

    /// Whether a result is what an assignment of ours waits for.
    pub(crate) fn is_result(
        &self,
        entry: &Abroad,
        aid: Aid,
        (machine, cert, result): (GroupId, &Cert<ResultShare>, &[u8]),
    ) -> bool {
        let said = &cert.payload;
        let about = (said.origin, said.aid, said.request) == (self.group, aid, entry.order.request);
        let link = self.links.get(machine).filter(|_| machine == entry.machine);
        about
            && said.result == Hash::of(result)
            && result.len() <= entry.work.fields_cap() + 1
            && link
                .and_then(|link| link.rosters.at(cert.epoch))
                .is_some_and(|roster| cert.verify(roster))
    }

    /// A member of the overlap brings the result.
    pub(crate) fn on_foreign(
        &mut self,
        peer: Slot,
        aid: Aid,
        machine: GroupId,
        cert: Cert<ResultShare>,
        result: Vec<u8>,
    ) {
        let Some(entry) = self.abroad.get(&aid) else {
            return self.tell(peer, Message::Got(Got::Foreign, aid));
        };
        let brings = self.overlap(entry.machine).contains(peer);
        if !brings || !self.is_result(entry, aid, (machine, &cert, &result)) {
            return self.fault(peer, Fault::NotCertified);
        }
        self.tell(peer, Message::Got(Got::Foreign, aid));
        self.take_result(peer, aid, cert, result);
    }

    /// A certified result: everybody who brings it has done its duty, and the first one is forwarded.
    pub(crate) fn take_result(
        &mut self,
        peer: Slot,
        aid: Aid,
        cert: Cert<ResultShare>,
        result: Vec<u8>,
    ) {
        let Some(entry) = self.abroad.get_mut(&aid) else { return };
        entry.from.insert(peer);
        let listed = entry.listed.contains(peer);
        entry.listed.remove(peer);
        let first = entry.result.is_none();
        if first {
            let (cert, result) = (cert.clone(), Blob(result.clone()));
            entry.result = Some(Imported { cert, result });
        }
        let (local, epoch, request, requester) =
            (entry.local.0, entry.epoch, entry.order.request, entry.work.requester());
        let target = target_slot(&entry.work);
        self.touch(Key::Abroad(aid));
        if listed {
            self.withdraw(Duty { peer, aid, kind: Kind::ResultShare });
        }
        if !local || !first {
            return;
        }
        if requester == self.slot {
            return self.deliver_foreign(aid, result);
        }
        let said = WitnessStatement { target, request, answer: name_of(&cert) };
        let word = self.signer.at(epoch, aid, said);
        if let Some(entry) = self.abroad.get_mut(&aid) {
            (entry.word, entry.received) = (word, Flag(false));
        }
        if let Some(message) = self.last_foreign_word(aid) {
            self.say(requester, message);
        }
    }

    fn deliver_foreign(&mut self, aid: Aid, result: Vec<u8>) {
        let Some(entry) = self.asked.get_mut(&aid) else { return };
        if std::mem::replace(&mut entry.done, Flag(true)).0 {
            return;
        }
        let name = entry.work.root(self.group);
        self.touch(Key::Asked(aid));
        self.out.push(Effect::Deliver(name, aid, Outcome::Foreign(result)));
    }

    /// What the requester is to have of us.
    fn last_foreign_word(&self, aid: Aid) -> Option<Message> {
        let entry = self.abroad.get(&aid)?;
        let between = (self.slot, entry.work.requester());
        if let (Some(word), Some(Imported { cert, result })) = (&entry.word, &entry.result) {
            let len = (entry.work.fields_cap() + 1).saturating_sub(result.0.len());
            let pad = message::pad(self.group, aid, Kind::WorkWitness, between, len);
            let (word, cert, result) = (word.clone(), Box::new(cert.clone()), result.clone());
            return Some(Message::ForeignWitness {
                word,
                machine: entry.machine,
                cert,
                result,
                pad,
            });
        }
        let word = entry.denial.clone()?;
        Some(Message::NoEvidence { word, pad: self.denial_pad(aid, between, &entry.work) })
    }

    /// A witness forwards another machine's result.
    pub(crate) fn on_foreign_witness(
        &mut self,
        peer: Slot,
        word: Signed<WitnessStatement>,
        (machine, cert, result): (GroupId, Cert<ResultShare>, Vec<u8>),
        pad: &Body,
    ) {
        let aid = Aid::of(&word.header);
        if word.header.slot != peer || self.rosters.placed(&word).is_none() {
            return self.fault(peer, Fault::NotGenuine(Kind::WorkWitness));
        }
        let (Some(asked), Some(entry)) = (self.asked.get(&aid), self.abroad.get(&aid)) else {
            return self.tell(peer, Message::Got(Got::Word, aid));
        };
        let len = (asked.work.fields_cap() + 1).saturating_sub(result.len());
        let expected = message::pad(self.group, aid, Kind::WorkWitness, (peer, self.slot), len);
        if *pad != expected || word.payload.answer != name_of(&cert) {
            return self.fault(peer, Fault::Padding);
        }
        if !self.is_result(entry, aid, (machine, &cert, &result)) {
            return self.fault(peer, Fault::NotCertified);
        }
        self.heard(peer, aid);
        self.deliver_foreign(aid, result);
        self.tell(peer, Message::Got(Got::Word, aid));
    }

    /// The log has the result: for work that is passed on this is the only way in which it counts.
    pub(crate) fn on_foreign_done(&mut self, cert: Cert<ResultShare>, result: Vec<u8>) {
        let aid = cert.payload.aid;
        let Some(entry) = self.abroad.get_mut(&aid) else { return };
        let passes_on = !entry.local.0;
        if result.len() > entry.work.fields_cap() + 1 || cert.payload.request != entry.order.request
        {
            return;
        }
        if entry.result.is_none() {
            let result = Blob(result.clone());
            entry.result = Some(Imported { cert, result });
            self.touch(Key::Abroad(aid));
        }
        if passes_on {
            self.result_of_hosted(aid, result);
        }
    }

    /// Waits that have ended.
    pub(crate) fn expire_abroad(&mut self) {
        let mut silent = Vec::new();
        for (aid, entry) in &self.abroad {
            for (peer, deadline) in &entry.deadlines.0 {
                let owes = !entry.from.contains(*peer) && !entry.listed.contains(*peer);
                if owes && self.is_over(*peer, *deadline) {
                    silent.push((*aid, *peer));
                }
            }
        }
        for (aid, peer) in silent {
            if let Some(entry) = self.abroad.get_mut(&aid) {
                entry.listed.insert(peer);
            }
            self.touch(Key::Abroad(aid));
            self.accuse(Duty { peer, aid, kind: Kind::ResultShare });
            self.deny_machine(aid);
        }
        let mut late = Vec::new();
        for (aid, courier) in &self.couriers {
            for (peer, deadline) in &courier.deadlines.0 {
                let given = courier.shares.0.contains_key(peer) || courier.listed.contains(*peer);
                if !given && self.is_over(*peer, *deadline) {
                    late.push((*aid, *peer));
                }
            }
        }
        for (aid, peer) in late {
            if let Some(courier) = self.couriers.get_mut(&aid) {
                courier.listed.insert(peer);
            }
            self.touch(Key::Courier(aid));
            self.accuse(Duty { peer, aid, kind: Kind::WorkOrder });
        }
    }

    /// The whole overlap is silent: our word to the requester.
    fn deny_machine(&mut self, aid: Aid) {
        let Some(entry) = self.abroad.get(&aid) else { return };
        let all = entry.deadlines.0.keys().all(|peer| entry.listed.contains(*peer));
        let (epoch, requester) = (entry.epoch, entry.work.requester());
        if !all || !entry.local.0 || entry.result.is_some() || entry.denial.is_some() {
            return;
        }
        if requester == self.slot || self.couriers.contains_key(&aid) {
            return;
        }
        let (target, request) = (target_slot(&entry.work), entry.order.request);
        let stamp = self.stamp();
        let said = NoEvidence { target, requester, request, stamp };
        let denial = self.signer.at(epoch, aid, said);
        if let Some(entry) = self.abroad.get_mut(&aid) {
            entry.denial = denial;
        }
        if let Some(message) = self.last_foreign_word(aid) {
            self.say(requester, message);
        }
    }

    pub(crate) fn foreign_word_received(&mut self, peer: Slot, aid: Aid) {
        if let Some(entry) = self.abroad.get_mut(&aid)
            && entry.work.requester() == peer
        {
            entry.received = Flag(true);
            self.touch(Key::Abroad(aid));
        }
    }

    pub(crate) fn order_received(&mut self, peer: Slot, aid: Aid) {
        if let Some(entry) = self.abroad.get_mut(&aid) {
            entry.unordered.remove(peer);
            self.touch(Key::Abroad(aid));
        }
    }

    pub(crate) fn outstanding_abroad(&self, peer: Slot, out: &mut Vec<Message>) {
        for (aid, entry) in &self.abroad {
            if entry.unordered.contains(peer) {
                out.extend(entry.share.clone().map(Message::Order));
            }
            let word = entry.local.0 && entry.work.requester() == peer && !entry.received.0;
            if word {
                out.extend(self.last_foreign_word(*aid));
            }
        }
        for (aid, courier) in &self.couriers {
            if courier.unbrought.contains(peer) {
                out.extend(self.brought(*aid));
            }
        }
    }

    pub(crate) fn end_old_abroad(&mut self, tau: Stamp) {
        let ended: Vec<Aid> =
            self.abroad.iter().filter(|(_, e)| e.until < tau).map(|(aid, _)| *aid).collect();
        for aid in ended {
            let listed = self.abroad.remove(&aid).map(|entry| entry.listed).unwrap_or_default();
            for peer in listed.iter() {
                self.withdraw(Duty { peer, aid, kind: Kind::ResultShare });
            }
            let late = self.couriers.remove(&aid).map(|entry| entry.listed).unwrap_or_default();
            for peer in late.iter() {
                self.withdraw(Duty { peer, aid, kind: Kind::WorkOrder });
            }
            self.signer.forget(Place::At(aid));
            self.touch(Key::Abroad(aid));
            self.touch(Key::Courier(aid));
        }
    }

    /// The size of a forwarded result, for the group's cost model.
    pub fn foreign_word_len(&self, work: &Work, cert: &Cert<ResultShare>) -> usize {
        sizes::foreign_len(work, types::Encode::to_bytes(cert).len())
    }
}
