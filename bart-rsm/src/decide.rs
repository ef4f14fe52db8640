//! Deciding, SHOW_DECISION (A5), REPORT_DECISION (P1), CATCHUP (P3) and applying in order
//! (specification 3.9; pitfalls 5, 12).

use crate::core::{Core, Outcome};
use crate::effect::{Alarm, Effect, Fault};
use crate::message::*;
use crate::proposal::Proposal;
use std::sync::Arc;
use types::{Instance, Kind, Slot, Turn};

impl Core {
    /// Idempotent; a second, different decision raises the alarm and stops all signing. The value
    /// must be known.
    pub(crate) fn decide(&mut self, no: Instance, cert: Arc<DecisionCert>) {
        let turn = cert.turn.0;
        let Some(inst) = self.insts.get_mut(&no) else { return };
        if let Some(known) = &inst.decided {
            if known.value != cert.value {
                self.alarm(Alarm::TwoDecisions(no));
            }
            return;
        }
        inst.decided = Some(cert);
        inst.learn_fines();
        self.save.insert(no);
        self.touch(no);
        self.learn_proof(no, turn);
        if no >= self.current {
            self.timers.remove(&no);
            self.propose_at.take_if(|(own, _)| *own == no);
            self.propose(no);
            self.apply_decided();
        }
    }

    /// Hands the outcome to the application and folds it into the log's state.
    pub(crate) fn apply(&mut self, no: Instance) {
        let Some(inst) = self.insts.get(&no) else { return };
        let Some(digest) = inst.decided.as_ref().map(|cert| cert.value) else { return };
        let (sender, proposal) = (inst.sender, inst.decided_proposal().map(Arc::new));
        let tau_prefix = self.log.tau;
        self.fold(sender, proposal.as_deref());
        if let Some(inst) = self.insts.get_mut(&no) {
            inst.tau = self.log.tau;
        }
        self.save.insert(no);
        self.save_log = true;
        self.check_listings(no, sender, proposal.as_deref());
        let orders = proposal.clone();
        self.out.push(Effect::Apply { inst: no, sender, proposal, tau: self.log.tau });
        if let Some(proposal) = orders {
            self.execute_orders(no, sender, &proposal);
        }
        self.tell_layer(no, tau_prefix);
        self.settle_orders(no);
        for (index, ticket) in self.batch.decided(no, digest) {
            self.out.push(Effect::Committed { ticket, inst: no, index });
        }
        self.checkpoint_if_due(no);
    }

    /// Folds the outcome of the next instance into everything that follows from the log.
    pub(crate) fn fold(&mut self, sender: Slot, proposal: Option<&Proposal>) {
        let no = self.log.next;
        let live = self.schedule.live(no);
        let (senders, f) = (live.len(), self.schedule.quorum(no).f());
        self.log.apply(sender, proposal, live);
        self.log.checkpoints.apply(no, sender, proposal, live, f);
        self.log.timeout.note(proposal.is_none(), senders, f, &self.config.params);
        if let Some(proposal) = proposal {
            self.note_proposal(no, sender, proposal);
        }
    }

    /// A5.
    pub(crate) fn on_show_decision(&mut self, from: Slot, m: &ShowDecision) -> Outcome {
        let (no, turn) = (m.core.header.inst, m.core.header.turn.0);
        let kind = Kind::ShowDecision;
        if turn == 0 || !self.follows(from, no, turn) {
            return Outcome::Fault(Fault::Unexpected(kind));
        }
        let state = self.insts.get(&no).and_then(|inst| inst.turns.get(&turn));
        match state.map(|state| (state.set_turn_sent, state.stage)) {
            Some((true, 0)) => {}
            Some((true, 4)) => return Outcome::Done,
            _ => return Outcome::Fault(Fault::Unexpected(kind)),
        }
        let key = PadKey { from, ..self.pad_key(kind, no, turn, self.me) };
        if !m.body.is_padded(self.costs(no).show_block, &key) {
            return Outcome::Fault(Fault::Malformed(kind, "pad"));
        }
        let payload = &m.core.payload;
        if m.cert.digest() != payload.cert || m.cert.value != payload.value {
            return Outcome::Fault(Fault::Malformed(kind, "certificate digest"));
        }
        let place = self.place(no);
        if !self.verifier.signed(from, &m.core) || !self.verifier.decision(place, &m.cert) {
            return Outcome::Fault(Fault::BadSignature(kind));
        }
        let value = match self.check_outcome(no, payload.value, &m.statement, m.body.body()) {
            Ok(value) => value,
            Err(why) => return Outcome::Fault(Fault::Malformed(kind, why)),
        };
        if let Some(value) = value {
            self.keep_value(no, payload.value, &value);
        }
        if let Some(state) = self.insts.get_mut(&no).and_then(|inst| inst.turns.get_mut(&turn)) {
            state.stage = 4;
        }
        self.decide(no, Arc::clone(&m.cert));
        self.learn_proof(no, m.cert.turn.0);
        Outcome::Done
    }

    /// The answer of a leader that decided before its turn was proven (issue T15).
    pub(crate) fn send_show_decision(&mut self, to: Slot, no: Instance, turn: u32) {
        let Some(cert) = self.insts.get(&no).and_then(|inst| inst.decided.clone()) else { return };
        let payload = ShowDecisionStatement { value: cert.value, cert: cert.digest() };
        let Some(core) = self.sign(no, turn, payload) else { return };
        let key = self.pad_key(Kind::ShowDecision, no, turn, to);
        let total = self.costs(no).show_block;
        let value = self.insts.get(&no).and_then(|inst| inst.decided_value());
        let body = Padded::new(value.map_or(&[], |value| &value.body), total, &key);
        let statement = value.map(|value| value.statement.clone());
        if let Some(inst) = self.insts.get_mut(&no) {
            inst.shown.insert(to);
            if let Some(lead) = inst.leads.get_mut(&turn) {
                lead.told.insert(to);
            }
        }
        self.send(to, Message::ShowDecision(ShowDecision { core, cert, statement, body }));
    }

    pub(crate) fn send_report(&mut self, to: Slot, no: Instance) {
        let Some(cert) = self.insts.get(&no).and_then(|inst| inst.decided.clone()) else { return };
        let payload = ReportStatement { value: cert.value, cert: cert.digest() };
        let Some(core) = self.sign(no, 0, payload) else { return };
        if let Some(inst) = self.insts.get_mut(&no) {
            inst.report_sent = true;
        }
        self.send(to, Message::ReportDecision(ReportDecision { core, cert }));
    }

    /// P1.
    pub(crate) fn on_report(&mut self, from: Slot, m: &ReportDecision) -> Outcome {
        let no = m.core.header.inst;
        let kind = Kind::ReportDecision;
        let Some(inst) = self.insts.get(&no).filter(|inst| inst.sender == self.me) else {
            return Outcome::Fault(Fault::Unexpected(kind));
        };
        if m.core.header.turn != Turn(0) {
            return Outcome::Fault(Fault::Malformed(kind, "turn"));
        }
        let value = m.cert.value;
        let decided = inst.decided.as_ref().map(|cert| cert.value);
        if inst.reports.contains(from) && decided.is_none_or(|decided| decided == value) {
            return Outcome::Done;
        }
        if m.cert.digest() != m.core.payload.cert || m.core.payload.value != value {
            return Outcome::Fault(Fault::Malformed(kind, "certificate digest"));
        }
        let known = inst.decided.as_ref().is_some_and(|cert| **cert == *m.cert);
        let have = inst.values.contains_key(&value) || value == self.null(no);
        let place = self.place(no);
        if !self.verifier.signed(from, &m.core)
            || !(known || self.verifier.decision(place, &m.cert))
        {
            return Outcome::Fault(Fault::BadSignature(kind));
        }
        if let Some(inst) = self.insts.get_mut(&no) {
            inst.reports.insert(from);
        }
        if have || decided.is_some() {
            // Raises the alarm if the outcome is another one.
            self.decide(no, Arc::clone(&m.cert));
        } else {
            // A value of ours that our own disk lost: get it back from whoever reports it.
            self.note_evidence(from, self.entered_at_least(Instance(no.0 + 1)));
        }
        Outcome::Done
    }

    /// P3: accepted from anybody, ungated, for instances under way.
    pub(crate) fn on_catchup(&mut self, from: Slot, m: &Catchup) -> Outcome {
        let no = m.inst;
        self.note_evidence(from, self.entered_at_least(Instance(no.0.saturating_add(1))));
        if no >= self.entered {
            return Outcome::Fault(Fault::NotParked(Kind::Catchup));
        }
        let known = self.insts.get(&no).and_then(|inst| inst.decided.as_ref());
        if no < self.current || known.is_some() {
            let other = known.is_some_and(|cert| cert.value != m.cert.value);
            let place = self.place(no);
            if other && !self.verifier.decision(place, &m.cert) {
                return Outcome::Fault(Fault::BadSignature(Kind::Catchup));
            }
            if other {
                self.decide(no, Arc::clone(&m.cert));
            }
            return Outcome::Done;
        }
        let place = self.place(no);
        if !self.verifier.decision(place, &m.cert) {
            return Outcome::Fault(Fault::BadSignature(Kind::Catchup));
        }
        let digest = m.cert.value;
        match &m.value {
            None if digest == self.null(no) => {}
            None => return Outcome::Fault(Fault::Malformed(Kind::Catchup, "body is missing")),
            Some(value) => match self.check_value(no, value) {
                Ok(got) if got == digest => self.keep_value(no, digest, value),
                Ok(_) => return Outcome::Fault(Fault::Malformed(Kind::Catchup, "other value")),
                Err(why) => return Outcome::Fault(Fault::Malformed(Kind::Catchup, why)),
            },
        }
        self.decide(no, Arc::clone(&m.cert));
        self.ask_on(from);
        Outcome::Done
    }
}
