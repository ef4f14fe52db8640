//! A1 and L2: a leader asks what was accepted, acceptors answer (specification 3.6; T12, T18, T20).
//!
//! Deviation: L2 does not demand `val_t < t`. An honest acceptor that took part in a later turn
//! before a slow leader's READ(t) reached it truthfully answers with that later turn; refusing it
//! would leave a duty between two honest members for ever. It is safe: such an acceptor's max-pol
//! is later than t, so turn t fails at whoever collects it, and the value is a certified one.

use crate::core::{Core, Outcome};
use crate::effect::Fault;
use crate::inst::ReadVote;
use crate::message::*;
use std::sync::Arc;
use types::{Hash, Instance, Kind, Slot, Turn};

impl Core {
    /// Whether `from` leads `turn` of an instance in which we are an acceptor.
    pub(crate) fn follows(&self, from: Slot, no: Instance, turn: u32) -> bool {
        self.schedule.sender(no) != self.me && self.schedule.leader(no, turn) == from
    }

    /// A1.
    pub(crate) fn on_read(&mut self, from: Slot, m: &Read) -> Outcome {
        let (no, turn) = (m.core.header.inst, m.core.header.turn.0);
        if turn == 0 || turn > crate::inst::TURNS_MAX || !self.follows(from, no, turn) {
            return Outcome::Fault(Fault::Unexpected(Kind::Read));
        }
        if m.pol.turn != Turn(turn) || m.pol.digest() != m.core.payload.pol {
            return Outcome::Fault(Fault::Malformed(Kind::Read, "proof of leadership"));
        }
        let place = self.place(no);
        if !self.verifier.signed(from, &m.core) || !self.verifier.pol(place, &m.pol) {
            return Outcome::Fault(Fault::BadSignature(Kind::Read));
        }
        self.learn_proof(no, turn);
        let Some(state) = self.insts.get(&no).and_then(|inst| inst.turns.get(&turn)) else {
            return Outcome::Park;
        };
        let read = m.core.digest();
        if state.stage >= 1 {
            let same = state.read_ack.as_ref().is_some_and(|(ack, _)| ack.payload.read == read);
            if same && self.repeat_allowed(from) {
                self.send_read_ack(from, no, turn);
            }
            return Outcome::Done;
        }
        if !state.set_turn_sent {
            self.converse(from, no);
            let inst = self.insts.get(&no);
            let sent = inst.and_then(|inst| inst.turns.get(&turn)).is_some_and(|t| t.set_turn_sent);
            if !sent {
                return Outcome::Park;
            }
        }
        if self.accept_read(no, turn, read, &m.pol) {
            self.send_read_ack(from, no, turn);
        }
        Outcome::Done
    }

    /// Records the proof and signs the answer; whether that worked.
    fn accept_read(&mut self, no: Instance, turn: u32, read: Hash, pol: &Arc<Pol>) -> bool {
        let q = self.q;
        let Some(inst) = self.insts.get_mut(&no) else { return false };
        if pol.turn > inst.max_pol.turn {
            inst.max_pol = Arc::clone(pol);
        }
        let cert = inst.acc.clone().unwrap_or_else(|| Arc::new(AgreeCert::blank(q)));
        let accepted = inst.acc.is_some();
        let payload = ReadAckStatement {
            val_turn: inst.acc_turn(),
            value: cert.value,
            cert: if accepted { cert.digest() } else { Hash::ZERO },
            read,
        };
        let Some(core) = self.sign(no, turn, payload) else { return false };
        let Some(inst) = self.insts.get_mut(&no) else { return false };
        let Some(state) = inst.turns.get_mut(&turn) else { return false };
        state.read_ack = Some((core, cert));
        state.stage = state.stage.max(1);
        true
    }

    pub(crate) fn pad_key(&self, kind: Kind, no: Instance, turn: u32, to: Slot) -> PadKey {
        let group = self.config.roster.group();
        PadKey { group, inst: no, turn: Turn(turn), kind, from: self.me, to }
    }

    pub(crate) fn send_read_ack(&mut self, to: Slot, no: Instance, turn: u32) {
        let Some(inst) = self.insts.get(&no) else { return };
        let Some((core, cert)) = inst.turns.get(&turn).and_then(|t| t.read_ack.clone()) else {
            return;
        };
        let value = inst.values.get(&core.payload.value);
        let statement = value.map(|value| value.statement.clone());
        let body: &[u8] = value.map_or(&[], |value| &value.body);
        let key = self.pad_key(Kind::ReadAck, no, turn, to);
        let body = Padded::new(body, self.config.params.v_max, &key);
        self.send(to, Message::ReadAck(ReadAck { core, cert, statement, body }));
    }

    /// The leader's own answer, through the acceptor's code (pitfall 1).
    pub(crate) fn vote_read(&mut self, no: Instance, turn: u32, read: Hash, pol: &Arc<Pol>) {
        if !self.accept_read(no, turn, read, pol) {
            return;
        }
        if !self.config.rules.leader_counts_itself() {
            return;
        }
        let me = self.me;
        let Some(inst) = self.insts.get_mut(&no) else { return };
        let Some((core, cert)) = inst.turns.get(&turn).and_then(|t| t.read_ack.clone()) else {
            return;
        };
        let value = inst.values.get(&core.payload.value).cloned();
        if let Some(lead) = inst.leads.get_mut(&turn) {
            lead.reads_in.insert(me, ReadVote { entry: entry_of(&core), cert, value });
        }
        self.lead_agree(no, turn);
    }

    /// L2.
    pub(crate) fn on_read_ack(&mut self, from: Slot, m: &ReadAck) -> Outcome {
        let (no, turn) = (m.core.header.inst, m.core.header.turn.0);
        let place = self.place(no);
        let Some(lead) = self.lead(no, turn).filter(|_| from != place.sender && turn > 0) else {
            return Outcome::Fault(Fault::Unexpected(Kind::ReadAck));
        };
        let read = lead.read.as_ref().map(|(core, _)| core.digest());
        if lead.conv(from).sent < 1 || read != Some(m.core.payload.read) {
            return Outcome::Fault(Fault::Unexpected(Kind::ReadAck));
        }
        if lead.conv(from).acked >= 1 && (lead.agree.is_some() || lead.reads_in.contains_key(&from))
        {
            return Outcome::Done;
        }
        let key = PadKey { from, ..self.pad_key(Kind::ReadAck, no, turn, self.me) };
        if !m.body.is_padded(self.config.params.v_max, &key) {
            return Outcome::Fault(Fault::Malformed(Kind::ReadAck, "pad"));
        }
        if !self.verifier.signed(from, &m.core) {
            return Outcome::Fault(Fault::BadSignature(Kind::ReadAck));
        }
        let value = match self.check_accepted(no, m) {
            Ok(value) => value,
            Err(why) => return Outcome::Fault(Fault::Malformed(Kind::ReadAck, why)),
        };
        let vote = ReadVote { entry: entry_of(&m.core), cert: Arc::clone(&m.cert), value };
        self.note_answer(from, no, turn, 1);
        if let Some(lead) = self.lead_mut(no, turn) {
            lead.mark_acked(from, 1);
            if lead.agree.is_none() {
                lead.reads_in.insert(from, vote);
            }
        }
        self.lead_agree(no, turn);
        Outcome::Done
    }

    /// The certificate and body behind what a READ_ACK claims.
    fn check_accepted(
        &mut self,
        no: Instance,
        m: &ReadAck,
    ) -> Result<Option<Arc<Value>>, &'static str> {
        let claim = &m.core.payload;
        if claim.val_turn == TURN_NONE {
            let nothing = claim.value == Hash::ZERO
                && claim.cert == Hash::ZERO
                && m.cert.is_blank(self.q)
                && m.statement.is_none()
                && m.body.body().is_empty();
            return if nothing { Ok(None) } else { Err("claims nothing, shows something") };
        }
        let cert = &m.cert;
        let fits =
            cert.turn == claim.val_turn && cert.value == claim.value && cert.digest() == claim.cert;
        let place = self.place(no);
        if !fits || !self.verifier.agree_cert(place, cert) {
            return Err("agree certificate");
        }
        self.check_outcome(no, claim.value, &m.statement, m.body.body())
    }
}

/// The part of a READ_ACK that a read quorum repeats.
pub(crate) fn entry_of(core: &types::Signed<ReadAckStatement>) -> ReadEntry {
    let ReadAckStatement { val_turn, value, cert, .. } = core.payload;
    ReadEntry { val_turn, value, cert, signature: core.signature }
}
