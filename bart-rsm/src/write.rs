//! A3 and L3's second half: a certified value is stored (specification 3.6; T4, T17, T18).

use crate::core::{Core, Outcome};
use crate::effect::Fault;
use crate::message::*;
use std::sync::Arc;
use types::{Hash, Instance, Kind, Slot, Turn};

impl Core {
    /// With q agree-acks the value may be written.
    pub(crate) fn lead_write(&mut self, no: Instance, turn: u32) {
        let q = self.q;
        let Some(lead) = self.lead(no, turn) else { return };
        let Some(step) = &lead.agree else { return };
        if lead.write.is_some() || lead.agree_acks.len() < q {
            return;
        }
        let (value, agree) = (step.core.payload.value, step.core.digest());
        let signers = lead.agree_acks.iter().take(q).map(|(slot, signature)| (*slot, *signature));
        let signers = Signers::new(signers);
        let cert = Arc::new(AgreeCert { turn: Turn(turn), value, agree, signers });
        let payload = WriteStatement { value, agree, cert: cert.digest() };
        let Some(core) = self.sign(no, turn, payload) else { return };
        let write = core.digest();
        if let Some(lead) = self.lead_mut(no, turn) {
            lead.write = Some((core, Arc::clone(&cert)));
            lead.agree_acks.clear();
        }
        self.touch(no);
        if turn > 0 {
            self.vote_write(no, turn, write, &cert);
        }
    }

    /// The leader's own answer, through the acceptor's code.
    fn vote_write(&mut self, no: Instance, turn: u32, write: Hash, cert: &Arc<AgreeCert>) {
        if !self.accept_write(no, turn, write, cert) || !self.config.rules.leader_counts_itself() {
            return;
        }
        let me = self.me;
        let state = self.insts.get(&no).and_then(|inst| inst.turns.get(&turn));
        let Some((core, pol)) = state.and_then(|state| state.write_ack.clone()) else { return };
        let vote = (entry_of(&core.payload, core.signature), pol);
        if let Some(lead) = self.lead_mut(no, turn) {
            lead.write_acks.insert(me, vote);
        }
        self.lead_show(no, turn);
    }

    /// A3.
    pub(crate) fn on_write(&mut self, from: Slot, m: &Write) -> Outcome {
        let (no, turn) = (m.core.header.inst, m.core.header.turn.0);
        if !self.follows(from, no, turn) {
            return Outcome::Fault(Fault::Unexpected(Kind::Write));
        }
        let stage = self.stage(no, turn).unwrap_or(0);
        if stage < 2 {
            return Outcome::Park;
        }
        let payload = &m.core.payload;
        let agreed = self.insts.get(&no).and_then(|inst| inst.agreed(turn));
        if agreed != Some((payload.value, payload.agree)) {
            return Outcome::Fault(Fault::Unexpected(Kind::Write));
        }
        if !self.verifier.signed(from, &m.core) {
            return Outcome::Fault(Fault::BadSignature(Kind::Write));
        }
        let write = m.core.digest();
        if stage > 2 {
            let state = self.insts.get(&no).and_then(|inst| inst.turns.get(&turn));
            let answered = state.and_then(|state| state.write_ack.as_ref());
            let same = answered.is_some_and(|(ack, _)| ack.payload.write == write);
            if same && self.repeat_allowed(from) {
                self.send_write_ack(from, no, turn);
            }
            return Outcome::Done;
        }
        let cert = &m.cert;
        let fits = cert.turn == Turn(turn)
            && cert.value == payload.value
            && cert.agree == payload.agree
            && cert.digest() == payload.cert;
        let place = self.place(no);
        if !fits || !self.verifier.agree_cert(place, cert) {
            return Outcome::Fault(Fault::Malformed(Kind::Write, "agree certificate"));
        }
        if self.accept_write(no, turn, write, cert) {
            self.send_write_ack(from, no, turn);
        }
        Outcome::Done
    }

    /// Stores the value unless a later one is stored, and signs which turn we know.
    fn accept_write(
        &mut self,
        no: Instance,
        turn: u32,
        write: Hash,
        cert: &Arc<AgreeCert>,
    ) -> bool {
        let Some(inst) = self.insts.get_mut(&no) else { return false };
        if inst.acc.as_ref().is_none_or(|acc| cert.turn > acc.turn) {
            inst.acc = Some(Arc::clone(cert));
        }
        let max_pol = Arc::clone(&inst.max_pol);
        let payload = WriteAckStatement {
            value: cert.value,
            max_turn: max_pol.turn,
            max_pol: max_pol.digest(),
            write,
        };
        let Some(core) = self.sign(no, turn, payload) else { return false };
        let Some(inst) = self.insts.get_mut(&no) else { return false };
        let Some(state) = inst.turns.get_mut(&turn) else { return false };
        state.write_ack = Some((core, max_pol));
        state.stage = state.stage.max(3);
        true
    }

    pub(crate) fn send_write_ack(&mut self, to: Slot, no: Instance, turn: u32) {
        let state = self.insts.get(&no).and_then(|inst| inst.turns.get(&turn));
        if let Some((core, max_pol)) = state.and_then(|state| state.write_ack.clone()) {
            self.send(to, Message::WriteAck(WriteAck { core, max_pol }));
        }
    }

    /// L4, first half.
    pub(crate) fn on_write_ack(&mut self, from: Slot, m: &WriteAck) -> Outcome {
        let (no, turn) = (m.core.header.inst, m.core.header.turn.0);
        let place = self.place(no);
        let Some(lead) = self.lead(no, turn).filter(|_| from != place.sender) else {
            return Outcome::Fault(Fault::Unexpected(Kind::WriteAck));
        };
        let payload = &m.core.payload;
        let own = lead.write.as_ref().map(|(core, _)| (core.payload.value, core.digest()));
        if lead.conv(from).sent < 3 || own != Some((payload.value, payload.write)) {
            return Outcome::Fault(Fault::Unexpected(Kind::WriteAck));
        }
        if lead.conv(from).acked >= 3
            && (lead.show.is_some() || lead.write_acks.contains_key(&from))
        {
            // Nothing answers the last step: who still answers the one before did not get it.
            if lead.conv(from).sent == 4
                && self.repeat_allowed(from)
                && let Some(message) = self.step_message(from, no, turn, 4)
            {
                self.send(from, message);
            }
            return Outcome::Done;
        }
        let max = payload.max_turn;
        if max < Turn(turn) || max == TURN_NONE || m.max_pol.digest() != payload.max_pol {
            return Outcome::Fault(Fault::Malformed(Kind::WriteAck, "latest turn"));
        }
        let null = max == Turn(0) && m.max_pol.is_null(self.q);
        if !null && m.max_pol.turn != max {
            return Outcome::Fault(Fault::Malformed(Kind::WriteAck, "latest turn"));
        }
        if max > Turn(turn) && !self.verifier.pol(place, &m.max_pol) {
            return Outcome::Fault(Fault::Malformed(Kind::WriteAck, "proof of leadership"));
        }
        if !self.verifier.signed(from, &m.core) {
            return Outcome::Fault(Fault::BadSignature(Kind::WriteAck));
        }
        let vote = (entry_of(payload, m.core.signature), Arc::clone(&m.max_pol));
        self.note_answer(from, no, turn, 3);
        if let Some(lead) = self.lead_mut(no, turn) {
            lead.mark_acked(from, 3);
            if lead.show.is_none() {
                lead.write_acks.insert(from, vote);
            }
        }
        self.lead_show(no, turn);
        Outcome::Done
    }
}

/// The part of a WRITE_ACK that a write quorum repeats.
pub(crate) fn entry_of(payload: &WriteAckStatement, signature: types::Signature) -> WriteEntry {
    WriteEntry { max_turn: payload.max_turn, max_pol: payload.max_pol, signature }
}
