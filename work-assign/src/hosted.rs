//! Work of another machine, on the side that executes it (specification 6.2).
//!
//! Guarantees: (1) an order is brought in by every honest member of the overlap, the first at once and the others
//! after their rank, unless the log has it; (2) it is executed once, the same at all members, and each of them signs
//! one result (WR5); (3) `f + 1` equal shares are the certificate that goes back; (4) work for a third machine is
//! passed on while it has hops left, and its result comes in through the log, so that all members certify the same.

use crate::cert::Cert;
use crate::core::Core;
use crate::effect::{Crossing, Duty, Effect, Fault};
use crate::layout::{Blob, BySlot, Count, Flag};
use crate::message::{Got, Message};
use crate::pom::Evidence;
use crate::record::Key;
use crate::request::{Aid, Work};
use crate::role::{Bringing, Hosted, Verdict};
use crate::signer::Place;
use crate::state::{Fate, route};
use crate::statement::{ResultShare, WorkOrder};
use bart_rsm::message::SlotSet;
use std::collections::BTreeMap;
use types::{Encode, Epoch, GroupId, Hash, Kind, Signed, Slot, Stamp};

impl Core {
    /// Our core of another machine hands something over. A runner's mistake is no worse than a peer's.
    pub(crate) fn on_crossing(&mut self, from: GroupId, crossing: Crossing) {
        match crossing {
            Crossing::Order { order, work, home, rank } => {
                self.bring_in(from, *order, work, home, rank);
            }
            Crossing::Result { cert, result } => self.bring_back(from, *cert, result),
        }
    }

    fn bring_in(
        &mut self,
        from: GroupId,
        order: Cert<WorkOrder>,
        work: Work,
        home: GroupId,
        rank: u8,
    ) {
        let link = self.links.get(from);
        let genuine = link
            .and_then(|link| link.rosters.at(order.epoch))
            .is_some_and(|roster| order.verify(roster))
            && order.payload.machine == self.group
            && order.payload.request == work.root(home);
        if !genuine {
            return self.fault(self.slot, Fault::NotCertified);
        }
        let key = (from, order.aid);
        if self.bringing.contains_key(&key) {
            // Asked again: our answer may have been lost on the way back.
            let hosted = self.hosted.iter().find(|(_, one)| (one.origin, one.aid) == key);
            if let Some(place) = hosted.map(|(place, _)| *place) {
                self.send_back(place);
            }
            return;
        }
        let wait = u64::from(rank).saturating_mul(self.params.rotation_ms);
        let start = Stamp(self.now.wall.0.saturating_add(wait));
        let until = self.until();
        self.bringing.insert(key, Bringing { order, work, home, from: start, until });
        self.touch(Key::Bringing(key.0, key.1));
    }

    /// Orders whose turn has come are submitted, again every two rotations until the log has them.
    pub(crate) fn drive_bringing(&mut self) {
        let wall = self.now.wall;
        let mut submit = Vec::new();
        for ((origin, aid), entry) in &self.bringing {
            if !self.state.is_executed(*origin, *aid) && wall >= entry.from {
                submit.push((*origin, *aid, entry.clone()));
            }
        }
        for (origin, aid, entry) in submit {
            let Bringing { order, work, home, .. } = entry;
            let order = Box::new(order);
            let command = crate::Command::ForeignAssign { origin, order, work, home };
            if let Some(entry) = self.bringing.get_mut(&(origin, aid)) {
                entry.from = Stamp(wall.0.saturating_add(2 * self.params.rotation_ms));
            }
            self.touch(Key::Bringing(origin, aid));
            self.out.push(Effect::Submit(command.to_bytes()));
        }
    }

    /// The log has another machine's work.
    pub(crate) fn host(
        &mut self,
        epoch: Epoch,
        place: Aid,
        (origin, order): (GroupId, Cert<WorkOrder>),
        (work, home): (Work, GroupId),
        fate: Fate,
    ) {
        let brings = self.overlap(origin).contains(self.slot);
        let waits = self.others().into_iter().filter(|_| brings);
        let deadlines: BTreeMap<Slot, Count> =
            waits.map(|peer| (peer, self.deadline(peer, self.params.machine_ms()))).collect();
        let entry = Hosted {
            epoch,
            origin,
            aid: order.aid,
            request: order.payload.request,
            work: work.clone(),
            execute: Flag(fate == Fate::Execute),
            result: None,
            share: None,
            unshared: SlotSet::default(),
            shares: BySlot::default(),
            deadlines: BySlot(deadlines),
            listed: SlotSet::default(),
            cert: None,
            until: self.until(),
        };
        self.hosted.insert(place, entry);
        self.touch(Key::Hosted(place));
        match fate {
            Fate::Execute => self.out.push(Effect::Execute(place, Box::new(work))),
            Fate::OverQuota => self.result_of_hosted(place, Verdict::OverQuota.with(&[])),
            Fate::NoRoute => self.result_of_hosted(place, Verdict::NoRoute.with(&[])),
            Fate::PassOn => {
                let WorkOrder { request, requester, ttl, .. } = order.payload;
                let Ok(next) = route(&self.links, &work, self.group) else { return };
                let ttl = crate::role::hops(ttl.0.saturating_sub(1));
                let onward = WorkOrder { machine: next, request, requester, ttl };
                self.send_abroad(epoch, place, (next, onward), (work, home), false);
            }
        }
    }

    /// The application has executed it.
    pub(crate) fn on_executed(&mut self, place: Aid, result: Vec<u8>) {
        let Some(entry) = self.hosted.get(&place) else { return };
        if !entry.execute.0 || entry.result.is_some() {
            return;
        }
        let result = match result.len() <= entry.work.fields_cap() {
            true => Verdict::Done.with(&result),
            false => Verdict::TooLong.with(&[]),
        };
        self.result_of_hosted(place, result);
    }

    /// The result is known, the same at all members: our share, durable before it leaves.
    pub(crate) fn result_of_hosted(&mut self, place: Aid, result: Vec<u8>) {
        let Some(entry) = self.hosted.get(&place) else { return };
        if entry.result.is_some() {
            return;
        }
        let (origin, aid, request, epoch) = (entry.origin, entry.aid, entry.request, entry.epoch);
        let said = ResultShare { origin, aid, request, result: Hash::of(&result) };
        let share = self.signer.at(epoch, place, said);
        let overlap = self.overlap(origin);
        if let Some(entry) = self.hosted.get_mut(&place) {
            entry.result = Some(Blob(result));
            entry.share = share.clone();
            entry.unshared = overlap.iter().filter(|slot| *slot != self.slot).collect();
        }
        self.touch(Key::Hosted(place));
        let Some(share) = share else { return };
        for peer in overlap.iter() {
            self.say(peer, Message::Share(share.clone()));
        }
    }

    /// A member gives us its signature under a result.
    pub(crate) fn on_share(&mut self, peer: Slot, share: Signed<ResultShare>) {
        let place = Aid::of(&share.header);
        let Some(entry) = self.hosted.get(&place) else {
            return self.tell(peer, Message::Got(Got::Share, place));
        };
        let said = &share.payload;
        let about =
            (said.origin, said.aid, said.request) == (entry.origin, entry.aid, entry.request);
        if share.header.slot != peer || !about || self.rosters.placed(&share).is_none() {
            return self.fault(peer, Fault::NotGenuine(Kind::ResultShare));
        }
        let known = entry.shares.0.get(&peer).cloned();
        self.tell(peer, Message::Got(Got::Share, place));
        if let Some(known) = known
            && known.payload != share.payload
        {
            self.convict(Evidence::two_shares(known, share));
            return;
        }
        let Some(entry) = self.hosted.get_mut(&place) else { return };
        entry.shares.0.insert(peer, share);
        let listed = entry.listed.contains(peer);
        entry.listed.remove(peer);
        self.touch(Key::Hosted(place));
        if listed {
            self.withdraw(Duty { peer, aid: place, kind: Kind::ResultShare });
        }
        self.certify_result(place);
    }

    /// `f + 1` equal shares of the result that we have ourselves go back.
    fn certify_result(&mut self, place: Aid) {
        let Some(entry) = self.hosted.get(&place) else { return };
        let (Some(result), None) = (&entry.result, &entry.cert) else { return };
        let Some(roster) = self.rosters.at(entry.epoch) else { return };
        let (origin, aid, request) = (entry.origin, entry.aid, entry.request);
        let said = ResultShare { origin, aid, request, result: Hash::of(&result.0) };
        let equal = entry.shares.0.iter().filter(|(_, share)| share.payload == said);
        let shares = equal.map(|(slot, share)| (*slot, share.signature));
        let Some(cert) = Cert::collect(roster, place, said.clone(), shares) else { return };
        if let Some(entry) = self.hosted.get_mut(&place) {
            entry.cert = Some(cert);
        }
        self.touch(Key::Hosted(place));
        self.send_back(place);
    }

    fn send_back(&mut self, place: Aid) {
        let Some(entry) = self.hosted.get(&place) else { return };
        let (Some(cert), Some(result)) = (&entry.cert, &entry.result) else { return };
        let back = Crossing::Result { cert: Box::new(cert.clone()), result: result.0.clone() };
        self.out.push(Effect::Cross(entry.origin, Box::new(back)));
    }

    pub(crate) fn share_received(&mut self, peer: Slot, place: Aid) {
        if let Some(entry) = self.hosted.get_mut(&place) {
            entry.unshared.remove(peer);
            self.touch(Key::Hosted(place));
        }
    }

    pub(crate) fn outstanding_hosted(&self, peer: Slot, out: &mut Vec<Message>) {
        let waiting = self.hosted.values().filter(|entry| entry.unshared.contains(peer));
        out.extend(waiting.filter_map(|entry| entry.share.clone()).map(Message::Share));
    }

    /// Members that owe a share to a member of the overlap are listed.
    pub(crate) fn expire_hosted(&mut self) {
        let mut late = Vec::new();
        for (place, entry) in &self.hosted {
            // What we do not know ourselves, nobody owes yet: work that is passed on waits for the third machine.
            let known = entry.result.is_some();
            for (peer, deadline) in entry.deadlines.0.iter().filter(|_| known) {
                let given = entry.shares.0.contains_key(peer) || entry.listed.contains(*peer);
                if !given && self.is_over(*peer, *deadline) {
                    late.push((*place, *peer));
                }
            }
        }
        for (place, peer) in late {
            if let Some(entry) = self.hosted.get_mut(&place) {
                entry.listed.insert(peer);
            }
            self.touch(Key::Hosted(place));
            self.accuse(Duty { peer, aid: place, kind: Kind::ResultShare });
        }
    }

    /// After a crash: what was not executed is executed, what was certified goes back again.
    pub(crate) fn resume_hosted(&mut self) {
        let open: Vec<(Aid, Work)> = self
            .hosted
            .iter()
            .filter(|(_, entry)| entry.execute.0 && entry.result.is_none())
            .map(|(place, entry)| (*place, entry.work.clone()))
            .collect();
        for (place, work) in open {
            self.out.push(Effect::Execute(place, Box::new(work)));
        }
        let certified: Vec<Aid> = self.hosted.keys().copied().collect();
        for place in certified {
            self.send_back(place);
        }
        self.resume_abroad();
    }

    pub(crate) fn end_old_hosted(&mut self, tau: Stamp) {
        let ended: Vec<Aid> =
            self.hosted.iter().filter(|(_, e)| e.until < tau).map(|(place, _)| *place).collect();
        for place in ended {
            let listed = self.hosted.remove(&place).map(|entry| entry.listed).unwrap_or_default();
            for peer in listed.iter() {
                self.withdraw(Duty { peer, aid: place, kind: Kind::ResultShare });
            }
            self.signer.forget(Place::At(place));
            self.touch(Key::Hosted(place));
        }
        let done: Vec<(GroupId, Aid)> =
            self.bringing.iter().filter(|(_, e)| e.until < tau).map(|(key, _)| *key).collect();
        for key in done {
            self.bringing.remove(&key);
            self.touch(Key::Bringing(key.0, key.1));
        }
    }

    /// Everything that our records list somebody for.
    pub(crate) fn listed_duties(&self) -> Vec<Duty> {
        let mut duties = Vec::new();
        for (aid, entry) in &self.watched {
            if entry.listed.0 {
                let (peer, aid) = (entry.target, *aid);
                duties.push(Duty { peer, aid, kind: Kind::WorkResponse });
            }
        }
        for (aid, entry) in &self.asked {
            let kind = |peer| crate::requester::owed_by(&entry.work, peer);
            duties.extend(entry.listed.iter().map(|peer| Duty {
                peer,
                aid: *aid,
                kind: kind(peer),
            }));
        }
        let mut all = |aid: &Aid, listed: SlotSet, kind| {
            duties.extend(listed.iter().map(|peer| Duty { peer, aid: *aid, kind }));
        };
        self.abroad.iter().for_each(|(aid, one)| all(aid, one.listed, Kind::ResultShare));
        self.couriers.iter().for_each(|(aid, one)| all(aid, one.listed, Kind::WorkOrder));
        self.hosted.iter().for_each(|(place, one)| all(place, one.listed, Kind::ResultShare));
        duties
    }

    /// Members that are not live any more owe nothing and are owed nothing (specification 5.6).
    pub(crate) fn drop_members(&mut self, live: &[Slot]) {
        let set: SlotSet = live.iter().copied().collect();
        let keep = |slots: &mut SlotSet| slots.0 &= set.0;
        let keep_by = |by: &mut BySlot<Count>| by.0.retain(|slot, _| set.contains(*slot));
        let mut keys = Vec::new();
        for (aid, entry) in &mut self.serving {
            keep(&mut entry.waiting);
            keys.push(Key::Serving(*aid));
        }
        let gone = self.watched.iter().filter(|(_, entry)| !set.contains(entry.target));
        for aid in gone.map(|(aid, _)| *aid).collect::<Vec<_>>() {
            self.watched.remove(&aid);
            keys.push(Key::Watched(aid));
        }
        for (aid, entry) in &mut self.asked {
            keep(&mut entry.listed);
            keep_by(&mut entry.deadlines);
            keys.push(Key::Asked(*aid));
        }
        for (aid, entry) in &mut self.abroad {
            keep(&mut entry.unordered);
            keep(&mut entry.listed);
            keep_by(&mut entry.deadlines);
            keys.push(Key::Abroad(*aid));
        }
        for (aid, entry) in &mut self.couriers {
            keep(&mut entry.listed);
            keep(&mut entry.unbrought);
            keep_by(&mut entry.deadlines);
            keys.push(Key::Courier(*aid));
        }
        for (place, entry) in &mut self.hosted {
            keep(&mut entry.unshared);
            keep(&mut entry.listed);
            keep_by(&mut entry.deadlines);
            keys.push(Key::Hosted(*place));
        }
        keys.into_iter().for_each(|key| self.touch(key));
    }
}
