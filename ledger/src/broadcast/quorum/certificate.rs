//! Certificates: checked once, delivered in the account's order, handed on.

use super::{AHEAD_MAX, Certified, EchoStatement, Message, Out, QuorumBroadcast, Record, Spread};
use crate::broadcast::{Admit, Effect};
use crate::ids::{Account, Place};
use types::{Millis, Slot};

impl<A: Admit> QuorumBroadcast<A> {
    /// A certificate arrives from somebody.
    pub(super) fn certified(
        &mut self,
        now: Millis,
        from: Slot,
        certified: Certified,
        out: &mut Out,
    ) {
        let place = certified.place;
        let delivered = self.delivered(place.account);
        if place.seq <= delivered || !self.above.is_open(place.account) {
            return;
        }
        if place.seq.0 - delivered.0 > AHEAD_MAX {
            // Its sender has what is missing, or this one when it is its turn.
            return self.tell(now, from, out);
        }
        let lane = self.lanes.get(&place.account);
        if lane.is_some_and(|lane| lane.ahead.contains_key(&place.seq)) {
            return;
        }
        if let Err(what) = self.check_certificate(&certified) {
            return out.fault(from, what);
        }
        self.accept(now, certified, false, out);
        if self.lanes.get(&place.account).is_some_and(|lane| lane.has_gap()) {
            // Something before it is missing here, and its sender has it.
            self.ask(now);
            self.tell(now, from, out);
        }
    }

    /// The signatures of a quorum of distinct witnesses, over this payload at this place.
    fn check_certificate(&self, certified: &Certified) -> Result<(), &'static str> {
        let Certified { place, payload, echoes } = certified;
        let committee = &self.config.committee;
        if echoes.len() != committee.quorum() || !echoes.is_sorted_by(|a, b| a.slot < b.slot) {
            return Err("a certificate does not have a quorum of echoes in order");
        }
        let statement = EchoStatement { place: *place, digest: self.above.name(*place, payload) };
        let mine = self.lanes.get(&place.account).and_then(|lane| lane.echoed.as_ref());
        let known = mine.is_some_and(|(of, echoed, ..)| of == place && echoed == payload);
        // What this member echoed it has admitted already.
        if !known && self.above.admit_certified(*place, payload).is_err() {
            return Err("a certificate for what its owner did not say");
        }
        let fits = echoes.iter().all(|echo| committee.verify(&statement, echo));
        fits.then_some(()).ok_or("an echo in a certificate does not verify")
    }

    /// Takes a certificate that was checked, or made here; delivers what is now in order.
    pub(super) fn accept(&mut self, now: Millis, certified: Certified, own: bool, out: &mut Out) {
        let place = certified.place;
        let lane = self.lanes.entry(place.account).or_default();
        let echoed = lane.echoed.clone().filter(|(of, ..)| *of == place);
        if let Some((_, first, _, _)) = echoed {
            self.check_conflict(place, &first, &certified.payload, out);
        }
        let hand_on = own || matches!(self.config.spread, Spread::Gossip { .. });
        let lane = self.lanes.entry(place.account).or_default();
        lane.ahead.insert(place.seq, certified.clone());
        // First the records: who hears of it may hear that we delivered it.
        self.release(now, place.account, out);
        if hand_on {
            let to = match self.config.spread {
                Spread::Owner => self.others(),
                Spread::Gossip { .. } => {
                    self.chosen(place.seq.0 ^ u64::from(place.account.0) << 40)
                }
            };
            out.send(to, Message::Certified(certified));
        }
    }

    /// Delivers what is in order, as far as the layer above has room. The rest waits here; what does not
    /// fit into that bound is asked for again.
    pub(super) fn release(&mut self, now: Millis, account: Account, out: &mut Out) {
        let Some(lane) = self.lanes.get_mut(&account) else { return };
        let mut some = false;
        while let Some(seq) = lane.delivered.next()
            && self.above.room(Place { account, seq })
            && let Some(next) = lane.ahead.remove(&seq)
        {
            let (place, payload) = (next.place, next.payload.clone());
            out.effects.push(Effect::Persist(Record::Delivered(next.clone())));
            out.effects.push(Effect::Deliver { place, payload });
            lane.advance(seq);
            lane.kept.insert(seq, next);
            self.started.remove(&place);
            some = true;
        }
        if some && !self.news {
            self.ask(now);
        }
    }

    /// Something applied above, so that there may be room.
    pub(super) fn release_all(&mut self, now: Millis, out: &mut Out) {
        let waiting = self.lanes.iter().filter(|(_, lane)| !lane.ahead.is_empty());
        for account in waiting.map(|(account, _)| *account).collect::<Vec<_>>() {
            self.release(now, account, out);
        }
    }
}
