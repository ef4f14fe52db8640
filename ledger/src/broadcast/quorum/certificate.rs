//! Certificates: checked once, delivered in the account's order, handed on.

use super::{
    AHEAD_MAX, CATCHUP_MAX, Certified, EchoStatement, Message, Out, QuorumBroadcast, Record,
};
use super::{STATUS_MS, Spread};
use crate::broadcast::{Admit, Effect, payload_digest};
use crate::ids::{Account, Seq};
use types::{Encode, Hash, Millis, Slot};

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
        if place.seq <= delivered {
            return;
        }
        if place.seq.0 - delivered.0 > AHEAD_MAX {
            return out.send(vec![from], self.status());
        }
        let lane = self.lanes.get(&place.account);
        if lane.is_some_and(|lane| lane.ahead.contains_key(&place.seq)) {
            return;
        }
        if let Err(what) = self.check_certificate(&certified) {
            return out.fault(from, what);
        }
        self.accept(now, certified, false, out);
        if self.delivered(place.account) < place.seq {
            // Something before it is missing here, and its sender has it.
            out.send(vec![from], self.status());
        }
    }

    /// The signatures of a quorum of distinct witnesses, over this payload at this place.
    fn check_certificate(&self, certified: &Certified) -> Result<(), &'static str> {
        let Certified { place, payload, echoes } = certified;
        let committee = &self.config.committee;
        if echoes.len() != committee.quorum() || !echoes.is_sorted_by(|a, b| a.0 < b.0) {
            return Err("a certificate does not have a quorum of echoes in order");
        }
        let statement = EchoStatement { place: *place, digest: payload_digest(*place, payload) };
        let mine = self.lanes.get(&place.account).and_then(|lane| lane.echoed.as_ref());
        let known =
            mine.is_some_and(|(of, _, digest, _)| of == place && *digest == statement.digest);
        // What this member echoed it has admitted already.
        if !known && self.above.admit(*place, payload).is_err() {
            return Err("a certificate for what its owner did not say");
        }
        let fits = echoes.iter().all(|(slot, echo)| committee.verify(*slot, &statement, echo));
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
        if own || matches!(self.config.spread, Spread::Gossip { .. }) {
            let to = match self.config.spread {
                Spread::Owner => self.others(),
                Spread::Gossip { .. } => {
                    self.chosen(place.seq.0 ^ u64::from(place.account.0) << 40)
                }
            };
            // After the records: who hears of it may hear that we delivered it.
            self.deliver_in_order(now, certified.clone(), out);
            return out.send(to, Message::Certified(certified));
        }
        self.deliver_in_order(now, certified, out);
    }

    fn deliver_in_order(&mut self, now: Millis, certified: Certified, out: &mut Out) {
        let account = certified.place.account;
        let lane = self.lanes.entry(account).or_default();
        lane.ahead.insert(certified.place.seq, certified);
        while let Some(next) = lane.ahead.remove(&Seq(lane.delivered.0 + 1)) {
            let (place, payload) = (next.place, next.payload.clone());
            out.effects.push(Effect::Persist(Record::Delivered(next.clone())));
            out.effects.push(Effect::Deliver { place, payload });
            lane.delivered = place.seq;
            lane.conflicted = false;
            lane.echoed.take_if(|(echoed, ..)| echoed.seq <= place.seq);
            lane.held.retain(|(seq, _), _| *seq > place.seq);
            lane.kept.insert(place.seq, next);
            self.started.remove(&place);
            if !self.news {
                self.news = true;
                self.status_at = self.status_at.max(now.plus(STATUS_MS));
            }
        }
    }

    /// A peer says how far it is; what it lacks it gets, a bounded part at a time.
    pub(super) fn behind(&mut self, from: Slot, seqs: &[(Account, Seq)], out: &mut Out) {
        if !seqs.is_sorted_by(|a, b| a.0 < b.0) {
            return out.fault(from, "a status is not in order");
        }
        let mut room = CATCHUP_MAX;
        let mut behind = false;
        for (account, lane) in &self.lanes {
            let at = seqs.binary_search_by_key(account, |(account, _)| *account);
            let theirs = at.map(|at| seqs[at].1).unwrap_or_default();
            behind |= theirs > lane.delivered;
            for (_, kept) in lane.kept.range(Seq(theirs.0.saturating_add(1))..).take(room) {
                room -= 1;
                out.send(vec![from], Message::Certified(kept.clone()));
            }
        }
        behind |= seqs.iter().any(|(account, _)| !self.lanes.contains_key(account));
        // Ask back once: the answer is certificates, never another status.
        if behind && !seqs.is_empty() {
            self.news = true;
        }
    }

    /// Who hears of something: all others, or as many as the fan-out, chosen by the secret seed.
    pub(super) fn chosen(&self, salt: u64) -> Vec<Slot> {
        let others = self.others();
        let Spread::Gossip { fanout } = self.config.spread else { return others };
        if fanout >= others.len() {
            return others;
        }
        let rank = |slot: &Slot| {
            let mut input = self.config.seed.to_vec();
            input.extend_from_slice(&salt.to_le_bytes());
            input.extend_from_slice(&slot.to_bytes());
            Hash::tagged("ledger gossip", &input)
        };
        let mut ranked: Vec<(Hash, Slot)> = others.iter().map(|slot| (rank(slot), *slot)).collect();
        ranked.select_nth_unstable(fanout);
        ranked.truncate(fanout);
        ranked.into_iter().map(|(_, slot)| slot).collect()
    }
}
