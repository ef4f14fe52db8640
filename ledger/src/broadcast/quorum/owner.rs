//! An owner shows its message, collects echoes, and makes the certificate.

use super::{Certified, EchoStatement, Message, Out, QuorumBroadcast, STUCK_MS, Started};
use crate::broadcast::{Admit, Effect, Evidence, Payload};
use crate::committee::Seal;
use crate::ids::Place;
use std::collections::BTreeMap;
use types::{Encode, Hash, Kind, Millis, Signed, Slot};

impl<A: Admit> QuorumBroadcast<A> {
    /// Shows a message to all, and to itself as a witness.
    pub(super) fn begin(&mut self, now: Millis, place: Place, payload: Payload, out: &mut Out) {
        if place.seq <= self.delivered(place.account) || self.started.contains_key(&place) {
            return;
        }
        let digest = self.above.name(place, &payload);
        let (echoes, again_at) = (BTreeMap::new(), now.plus(STUCK_MS));
        let started =
            Started { payload: payload.clone(), digest, echoes, certified: false, again_at };
        self.started.insert(place, started);
        out.send(self.others(), Message::Init { place, payload: payload.clone() });
        self.init(now, self.config.me, place, payload, out);
        self.finish(now, place, out);
    }

    /// A witness answers.
    pub(super) fn echo(
        &mut self,
        now: Millis,
        from: Slot,
        echo: Signed<EchoStatement>,
        out: &mut Out,
    ) {
        let EchoStatement { place, digest } = echo.payload;
        let committee = &self.config.committee;
        let Some(started) = self.started.get(&place) else { return };
        if started.certified || started.echoes.contains_key(&from) && digest == started.digest {
            return;
        }
        let seal = Seal { slot: from, ident: echo.header.ident, signature: echo.signature };
        if echo.header != committee.header(Kind::Echo, from)
            || !committee.verify(&echo.payload, &seal)
        {
            return out.fault(from, "an echo does not verify");
        }
        if digest == started.digest {
            self.collect(place, digest, seal);
            return self.finish(now, place, out);
        }
        match started.echoes.get(&from) {
            None => out.fault(from, "an echo names another message than the one it was shown"),
            // Under another identity it is no proof: whoever lost its records may honestly repeat itself.
            Some(before) if before.ident != seal.ident => {}
            Some(before) => {
                let payload = EchoStatement { place, digest: started.digest };
                let header = echo.header;
                let first = Signed { header, payload, signature: before.signature };
                let (first, second) = (first.to_bytes(), echo.to_bytes());
                let evidence = Evidence::TwoEchoes { witness: from, first, second };
                out.effects.push(Effect::Evidence(evidence));
            }
        }
    }

    /// Counts an echo whose signature holds.
    pub(super) fn collect(&mut self, place: Place, digest: Hash, seal: Seal) {
        if let Some(started) = self.started.get_mut(&place)
            && started.digest == digest
        {
            started.echoes.insert(seal.slot, seal);
        }
    }

    /// With a quorum of echoes the certificate is made, delivered here, and sent.
    pub(super) fn finish(&mut self, now: Millis, place: Place, out: &mut Out) {
        let quorum = self.config.committee.quorum();
        let Some(started) = self.started.get_mut(&place) else { return };
        if started.certified || started.echoes.len() < quorum {
            return;
        }
        started.certified = true;
        let echoes = started.echoes.values().take(quorum).copied().collect();
        let certified = Certified { place, payload: started.payload.clone(), echoes };
        self.accept(now, certified, true, out);
    }

    /// Shows again what has no certificate: a peer may have been down when it was shown.
    pub(super) fn repeat_started(&mut self, now: Millis, out: &mut Out) {
        let others = self.others();
        for (place, started) in &mut self.started {
            if started.certified || now < started.again_at {
                continue;
            }
            started.again_at = now.plus(STUCK_MS);
            let silent = others.iter().filter(|slot| !started.echoes.contains_key(slot)).copied();
            let payload = started.payload.clone();
            out.send(silent.collect(), Message::Init { place: *place, payload });
        }
    }

    /// A peer is back.
    pub(super) fn show_started(&mut self, peer: Slot, out: &mut Out) {
        for (place, started) in &self.started {
            if !started.certified && !started.echoes.contains_key(&peer) {
                let (place, payload) = (*place, started.payload.clone());
                out.send(vec![peer], Message::Init { place, payload });
            }
        }
    }
}
