//! A2 and L3: a value is put forward, acceptors say they saw no other (specification 3.6; T2, T5, T29).

use crate::core::{Core, Outcome};
use crate::effect::Fault;
use crate::inst::AgreeStep;
use crate::message::*;
use crate::proposal::Proposal;
use std::sync::Arc;
use types::limits::UNTIMELY_MAX;
use types::{Decode, Hash, Instance, Kind, Signed, Slot, Turn};

impl Core {
    /// Checks that `value` is the sender's for this instance; its digest.
    pub(crate) fn check_value(
        &mut self,
        no: Instance,
        value: &Value,
    ) -> Result<Hash, &'static str> {
        let place = self.place(no);
        let header = &value.statement.header;
        let stated = &value.statement.payload;
        if header.inst != no || header.turn != Turn(0) {
            return Err("value of another place");
        }
        let len = value.body.len();
        if len > self.config.params.v_max || stated.len.0 != len as u64 {
            return Err("length of the proposal");
        }
        if stated.body != Hash::of(&value.body) {
            return Err("body does not match its digest");
        }
        if !self.verifier.signed(place.sender, &value.statement) {
            return Err("signature of the sender");
        }
        let roster = &self.epoch(no).roster;
        let digest = value_digest(roster.group(), roster.epoch(), no, place.sender, stated);
        self.note_second_value(no, digest, value);
        Ok(digest)
    }

    /// Two signed values of one sender for one instance are a proof (TR1).
    fn note_second_value(&mut self, no: Instance, digest: Hash, value: &Value) {
        let Some(inst) = self.insts.get(&no) else { return };
        if inst.values.contains_key(&digest) {
            return;
        }
        if let Some(first) = inst.values.values().next().cloned() {
            self.two_values(&first, value);
        }
    }

    /// Checks that statement and body are what `digest` names; none for NULL.
    pub(crate) fn check_outcome(
        &mut self,
        no: Instance,
        digest: Hash,
        statement: &Option<Signed<ValueStatement>>,
        body: &[u8],
    ) -> Result<Option<Arc<Value>>, &'static str> {
        match statement {
            None if digest == self.null(no) && body.is_empty() => Ok(None),
            None => Err("body is missing"),
            Some(statement) => {
                if let Some(known) = self.insts.get(&no).and_then(|i| i.values.get(&digest))
                    && *known.body == *body
                {
                    return Ok(Some(Arc::clone(known)));
                }
                let value = Value { statement: statement.clone(), body: body.into() };
                let got = self.check_value(no, &value)?;
                if got == digest { Ok(Some(Arc::new(value))) } else { Err("body of another value") }
            }
        }
    }

    /// A2 in turn 0.
    pub(crate) fn on_agree(&mut self, from: Slot, m: &Agree) -> Outcome {
        let no = m.core.header.inst;
        if !self.follows(from, no, 0) {
            return Outcome::Fault(Fault::Unexpected(Kind::Agree));
        }
        if self.config.rules.selfish().blind_acks && self.stage(no, 0) == Some(1) {
            return self.ack_blindly(from, no, 0, &m.core, Some(Arc::clone(&m.value)));
        }
        if m.core.payload.reads != Hash::ZERO {
            return Outcome::Fault(Fault::Malformed(Kind::Agree, "reads in turn 0"));
        }
        if !self.verifier.signed(from, &m.core) {
            return Outcome::Fault(Fault::BadSignature(Kind::Agree));
        }
        let digest = match self.check_value(no, &m.value) {
            Ok(digest) if digest == m.core.payload.value => digest,
            Ok(_) => return Outcome::Fault(Fault::Malformed(Kind::Agree, "value digest")),
            Err(why) => return Outcome::Fault(Fault::Malformed(Kind::Agree, why)),
        };
        if self.stage(no, 0) != Some(1) {
            return self.repeat_agree_ack(from, no, 0, &m.core);
        }
        if let Err(why) = self.check_format(no, from, &m.value) {
            return Outcome::Fault(Fault::Malformed(Kind::Value, why));
        }
        self.keep_value(no, digest, &m.value);
        if self.accept_agree(no, 0, digest, m.core.digest()) {
            self.send_agree_ack(from, no, 0);
        }
        Outcome::Done
    }

    /// The format predicate. The prefix part applies while we can vote; in a decided instance the
    /// answer only discharges a duty, and our log is already ahead of that prefix.
    fn check_format(
        &mut self,
        no: Instance,
        sender: Slot,
        value: &Value,
    ) -> Result<(), &'static str> {
        let proposal = Proposal::from_bytes(&value.body).map_err(|_| "undecodable proposal")?;
        if self.config.rules.lax().unlimited_untimely {
            let mut capped = proposal.clone();
            capped.untimely.iter_mut().for_each(|units| *units = (*units).min(UNTIMELY_MAX));
            capped.check_form(sender, self.slots(no))?;
        } else {
            proposal.check_form(sender, self.slots(no))?;
        }
        if self.is_decided(no) {
            return Ok(());
        }
        proposal.check_prefix(sender, &self.log)?;
        let now = self.now;
        self.layer.as_mut().map_or(Ok(()), |layer| layer.judge(now, value, &proposal))
    }

    pub(crate) fn stage(&self, no: Instance, turn: u32) -> Option<u8> {
        Some(self.insts.get(&no)?.turns.get(&turn)?.stage)
    }

    /// A2 in later turns.
    pub(crate) fn on_agree_later(&mut self, from: Slot, m: &AgreeLater) -> Outcome {
        let (no, turn) = (m.core.header.inst, m.core.header.turn.0);
        if turn == 0 || !self.follows(from, no, turn) {
            return Outcome::Fault(Fault::Unexpected(Kind::Agree));
        }
        match self.stage(no, turn) {
            None | Some(0) => return Outcome::Park,
            Some(1) => {}
            Some(_) if !self.verifier.signed(from, &m.core) => {
                return Outcome::Fault(Fault::BadSignature(Kind::Agree));
            }
            Some(_) => return self.repeat_agree_ack(from, no, turn, &m.core),
        }
        if self.config.rules.selfish().blind_acks {
            let body = m.body.body().into();
            let value = m.statement.clone().map(|statement| Arc::new(Value { statement, body }));
            return self.ack_blindly(from, no, turn, &m.core, value);
        }
        let key = PadKey { from, ..self.pad_key(Kind::Agree, no, turn, self.me) };
        if !m.body.is_padded(self.config.params.v_max, &key) {
            return Outcome::Fault(Fault::Malformed(Kind::Agree, "pad"));
        }
        if !self.verifier.signed(from, &m.core) {
            return Outcome::Fault(Fault::BadSignature(Kind::Agree));
        }
        let value = match self.check_forced(no, turn, m) {
            Ok(value) => value,
            Err(why) => return Outcome::Fault(Fault::Malformed(Kind::Agree, why)),
        };
        let digest = m.core.payload.value;
        if let Some(value) = value {
            self.keep_value(no, digest, &value);
        }
        if self.accept_agree(no, turn, digest, m.core.digest()) {
            self.send_agree_ack(from, no, turn);
        }
        Outcome::Done
    }

    /// AA-D3: acknowledges whatever it is told. For the deviation experiment only.
    fn ack_blindly(
        &mut self,
        from: Slot,
        no: Instance,
        turn: u32,
        core: &Signed<AgreeStatement>,
        value: Option<Arc<Value>>,
    ) -> Outcome {
        let digest = core.payload.value;
        if let Some(value) = value {
            self.keep_value(no, digest, &value);
        }
        if self.accept_agree(no, turn, digest, core.digest()) {
            self.send_agree_ack(from, no, turn);
        }
        Outcome::Done
    }

    /// The value must be the latest of the read quorum, NULL if there is none (issue T5).
    fn check_forced(
        &mut self,
        no: Instance,
        turn: u32,
        m: &AgreeLater,
    ) -> Result<Option<Arc<Value>>, &'static str> {
        let digest = m.core.payload.value;
        if m.reads.digest() != m.core.payload.reads {
            return Err("read quorum digest");
        }
        let place = self.place(no);
        if !self.verifier.reads(place, Turn(turn), &m.reads) {
            return Err("read quorum");
        }
        match latest(m.reads.signers.iter().map(|(_, entry)| entry)) {
            None if digest != self.null(no) || !m.cert.is_blank(self.q(no)) => {
                return Err("value is not the latest read");
            }
            None => {}
            Some(entry) => {
                let fits = entry.value == digest
                    && m.cert.turn == entry.val_turn
                    && m.cert.value == digest
                    && m.cert.digest() == entry.cert;
                if !fits || !self.verifier.agree_cert(place, &m.cert) {
                    return Err("value is not the latest read");
                }
            }
        }
        self.check_outcome(no, digest, &m.statement, m.body.body())
    }

    /// A leader that lost our answer with its memory gets it again, byte for byte.
    fn repeat_agree_ack(
        &mut self,
        from: Slot,
        no: Instance,
        turn: u32,
        core: &Signed<AgreeStatement>,
    ) -> Outcome {
        let agreed = self.insts.get(&no).and_then(|inst| inst.agreed(turn));
        if agreed == Some((core.payload.value, core.digest())) && self.repeat_allowed(from) {
            self.send_agree_ack(from, no, turn);
        }
        Outcome::Done
    }

    /// Signs that we saw only this value in this turn.
    fn accept_agree(&mut self, no: Instance, turn: u32, value: Hash, agree: Hash) -> bool {
        let Some(core) = self.sign(no, turn, AgreeAckStatement { value, agree }) else {
            return false;
        };
        let Some(inst) = self.insts.get_mut(&no) else { return false };
        let Some(state) = inst.turns.get_mut(&turn) else { return false };
        state.agree_ack = Some(core);
        state.stage = state.stage.max(2);
        true
    }

    pub(crate) fn send_agree_ack(&mut self, to: Slot, no: Instance, turn: u32) {
        let state = self.insts.get(&no).and_then(|inst| inst.turns.get(&turn));
        if let Some(core) = state.and_then(|state| state.agree_ack.clone()) {
            self.send(to, Message::AgreeAck(AgreeAck { core }));
        }
    }

    /// L2, second half: with q answers the value is forced.
    pub(crate) fn lead_agree(&mut self, no: Instance, turn: u32) {
        let q = self.q(no);
        let Some(lead) = self.lead(no, turn) else { return };
        let Some((read, _)) = &lead.read else { return };
        if lead.agree.is_some() || lead.reads_in.len() < q {
            return;
        }
        let chosen: Vec<_> = lead.reads_in.iter().take(q).collect();
        let signers = Signers::new(chosen.iter().map(|(slot, vote)| (**slot, vote.entry)));
        let best = latest(chosen.iter().map(|(_, vote)| &vote.entry)).copied();
        let vote = best.and_then(|best| chosen.iter().find(|(_, vote)| vote.entry == best));
        let (digest, cert, value) = match vote {
            Some((_, vote)) => (vote.entry.value, Arc::clone(&vote.cert), vote.value.clone()),
            None => (self.null(no), Arc::new(AgreeCert::blank(q)), None),
        };
        let reads = Arc::new(ReadQuorum { read: read.digest(), signers });
        let payload = AgreeStatement { value: digest, reads: reads.digest() };
        let Some(core) = self.sign(no, turn, payload) else { return };
        let agree = core.digest();
        if let Some(value) = value {
            self.keep_value(no, digest, &value);
        }
        if let Some(lead) = self.lead_mut(no, turn) {
            lead.agree = Some(AgreeStep { core, reads: Some(reads), cert });
            lead.reads_in.clear();
        }
        self.touch(no);
        // Our own vote, through the acceptor's code.
        if self.accept_agree(no, turn, digest, agree) && self.config.rules.leader_counts_itself() {
            let me = self.me;
            let state = self.insts.get(&no).and_then(|inst| inst.turns.get(&turn));
            let own = state.and_then(|state| state.agree_ack.as_ref()).map(|ack| ack.signature);
            if let (Some(own), Some(lead)) = (own, self.lead_mut(no, turn)) {
                lead.agree_acks.insert(me, own);
            }
            self.lead_write(no, turn);
        }
    }

    /// L3.
    pub(crate) fn on_agree_ack(&mut self, from: Slot, m: &AgreeAck) -> Outcome {
        let (no, turn) = (m.core.header.inst, m.core.header.turn.0);
        let place = self.place(no);
        let Some(lead) = self.lead(no, turn).filter(|_| from != place.sender) else {
            return Outcome::Fault(Fault::Unexpected(Kind::AgreeAck));
        };
        let own = lead.agree.as_ref().map(|step| (step.core.payload.value, step.core.digest()));
        if lead.conv(from).sent < 2 || own != Some((m.core.payload.value, m.core.payload.agree)) {
            return Outcome::Fault(Fault::Unexpected(Kind::AgreeAck));
        }
        if lead.conv(from).acked >= 2
            && (lead.write.is_some() || lead.agree_acks.contains_key(&from))
        {
            return Outcome::Done;
        }
        if !self.verifier.signed(from, &m.core) {
            return Outcome::Fault(Fault::BadSignature(Kind::AgreeAck));
        }
        self.note_answer(from, no, turn, 2);
        if let Some(lead) = self.lead_mut(no, turn) {
            lead.mark_acked(from, 2);
            if lead.write.is_none() {
                lead.agree_acks.insert(from, m.core.signature);
            }
        }
        self.lead_write(no, turn);
        Outcome::Done
    }
}

/// The answer with the latest accepted turn; none if nobody accepted anything. NONE is no number.
pub(crate) fn latest<'a>(entries: impl Iterator<Item = &'a ReadEntry>) -> Option<&'a ReadEntry> {
    entries.filter(|entry| entry.val_turn != TURN_NONE).max_by_key(|entry| entry.val_turn)
}
