//! A witness sees a message: echoes it, holds it, or keeps the conflict.

use super::{HELD_MAX, Message, Out, QuorumBroadcast, Record, STUCK_MS};
use crate::broadcast::quorum::EchoStatement;
use crate::broadcast::{Admit, Effect, Evidence, Payload};
use crate::ids::{Place, Seq};
use types::{Hash, Kind, Millis, Signed, Slot};

impl<A: Admit> QuorumBroadcast<A> {
    /// Somebody shows a message.
    pub(super) fn init(
        &mut self,
        now: Millis,
        from: Slot,
        place: Place,
        payload: Payload,
        out: &mut Out,
    ) {
        if !self.above.is_open(place.account) {
            // Its owner shows it again.
            return;
        }
        let lane = self.lanes.get(&place.account);
        let delivered = lane.map(|lane| lane.delivered).unwrap_or_default();
        if place.seq <= delivered {
            // Its sender missed the outcome.
            let kept = lane.and_then(|lane| lane.kept.get(&place.seq)).cloned();
            if let Some(kept) = kept {
                self.check_conflict(place, &kept.payload, &payload, out);
                out.send(vec![from], Message::Certified(kept));
            }
            return;
        }
        let digest = self.above.name(place, &payload);
        let echoed = lane.and_then(|lane| lane.echoed.clone());
        if let Some((of, first, known, _)) = echoed
            && of == place
        {
            if known == digest {
                self.answer(from, place, digest, out);
            } else {
                self.check_conflict(place, &first, &payload, out);
            }
            return;
        }
        match self.above.admit(place, &payload) {
            Err(refused) => out.fault(from, refused.0),
            Ok(()) => {
                let first = Seq(delivered.0 + 1) == place.seq;
                if first && self.above.ready(place, &payload) {
                    self.vouch(now, from, place, payload, digest, out);
                } else {
                    self.hold(from, place, payload, digest, out);
                }
            }
        }
    }

    /// Echoes a message that was admitted: the record first.
    pub(super) fn vouch(
        &mut self,
        now: Millis,
        from: Slot,
        place: Place,
        payload: Payload,
        digest: Hash,
        out: &mut Out,
    ) {
        let lane = self.lanes.entry(place.account).or_default();
        lane.echoed = Some((place, payload.clone(), digest, now.plus(STUCK_MS)));
        out.effects.push(Effect::Persist(Record::Echoed { place, payload }));
        self.answer(from, place, digest, out);
    }

    /// Signs the echo that is recorded. Signing twice gives the same bytes.
    fn answer(&mut self, to: Slot, place: Place, digest: Hash, out: &mut Out) {
        if !self.above.may_start(place, to) {
            return;
        }
        let (committee, me) = (&self.config.committee, self.config.me);
        let payload = EchoStatement { place, digest };
        let seal = committee.seal(&self.key, me, &payload);
        if to == me {
            self.collect(place, digest, seal);
        } else {
            let header = committee.header(Kind::Echo, me);
            let echo = Signed { header, payload, signature: seal.signature };
            out.send(vec![to], Message::Echo(echo));
        }
    }

    /// Keeps what cannot be echoed yet; two different ones for a place are evidence already.
    fn hold(&mut self, from: Slot, place: Place, payload: Payload, digest: Hash, out: &mut Out) {
        let held = &mut self.lanes.entry(place.account).or_default().held;
        let other = held.iter().find(|((seq, known), _)| *seq == place.seq && *known != digest);
        let other = other.map(|(_, (_, payload))| payload.clone());
        held.insert((place.seq, digest), (from, payload.clone()));
        if held.len() > HELD_MAX {
            // The nearest are the ones that can be echoed first.
            held.pop_last();
        }
        if let Some(other) = other {
            self.check_conflict(place, &other, &payload, out);
        }
    }

    /// Two admitted payloads for one place convict whoever signed them, once.
    pub(super) fn check_conflict(
        &mut self,
        place: Place,
        first: &Payload,
        second: &Payload,
        out: &mut Out,
    ) {
        let lane = self.lanes.entry(place.account).or_default();
        let same = self.above.name(place, first) == self.above.name(place, second);
        if same || lane.conflicted || self.above.admit(place, second).is_err() {
            return;
        }
        lane.conflicted = true;
        let (first, second) = (first.clone(), second.clone());
        let evidence = Evidence::TwoPayloads { place, first, second: second.clone() };
        out.effects.push(Effect::Evidence(evidence));
    }

    /// Something applied above, or time passed: echoes what has become possible.
    pub(super) fn retry_held(&mut self, now: Millis, out: &mut Out) {
        let mut ready = Vec::new();
        for (account, lane) in &self.lanes {
            if lane.echoed.is_some() {
                continue;
            }
            let next = Seq(lane.delivered.0 + 1);
            let place = Place { account: *account, seq: next };
            let first =
                lane.held.range((next, Hash::ZERO)..).take_while(|((seq, _), _)| *seq == next);
            let able = first.filter(|(_, (_, payload))| self.above.ready(place, payload));
            if let Some(((_, digest), (from, payload))) = able.into_iter().next() {
                ready.push((*from, place, payload.clone(), *digest));
            }
        }
        for (from, place, payload, digest) in ready {
            self.lanes.entry(place.account).or_default().held.remove(&(place.seq, digest));
            self.vouch(now, from, place, payload, digest, out);
        }
    }

    /// An outcome is overdue: its owner may have shown others something else.
    pub(super) fn show_stuck(&mut self, now: Millis, out: &mut Out) {
        let others = self.others();
        for lane in self.lanes.values_mut() {
            if let Some((place, payload, _, at)) = &mut lane.echoed
                && now >= *at
            {
                *at = now.plus(STUCK_MS);
                let (place, payload) = (*place, payload.clone());
                out.send(others.clone(), Message::Init { place, payload });
            }
        }
    }
}
