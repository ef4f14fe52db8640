//! The requester: waits for everybody, takes the first sufficient evidence (specification 6.1; paper figure 13
//! l. 12-20, 28-34; issue W3).
//!
//! Guarantees: (1) the first well-formed answer from anyone completes; a denial by `f + 1` members is delivered, and
//! proven (WR1), but a later answer still completes; (2) every live member owes a word within `T_wit`, and the target
//! the answer itself within `T_work`, both in uptime; (3) a word of the wrong length is none.

use crate::cert::DenialCert;
use crate::core::Core;
use crate::effect::{Duty, Effect, Fault, Local, Outcome, Refusal};
use crate::judge;
use crate::layout::{Body, BySlot, Count, Flag};
use crate::message::{self, Got, Message};
use crate::pom::{DecidedProposal, Evidence};
use crate::quota::Charge;
use crate::record::Key;
use crate::request::{Aid, To, Work};
use crate::role::{Answered, Asked};
use crate::sizes;
use crate::statement::{NoEvidence, ResponseCore, WitnessStatement};
use crate::witness::name_of;
use bart_rsm::message::SlotSet;
use std::collections::BTreeMap;
use types::{Encode, Epoch, Hash, Kind, Signed, Slot, Stamp};

impl Core {
    /// The layer above asks for something.
    pub(crate) fn on_local(&mut self, local: Local) {
        match local {
            Local::Assign(work) => {
                let name = work.root(self.group);
                self.submit(name, &crate::Command::Assign(work));
            }
            Local::AssignMachine(work, ttl) => {
                let (name, ttl) = (work.root(self.group), crate::role::hops(ttl));
                self.submit(name, &crate::Command::AssignMachine { work, ttl });
            }
            Local::Vow(work, due, at_once) => self.threaten(work, due, at_once),
            Local::Release(root, place) => self.release(root, place),
            Local::Close(root) => self.close(root),
        }
    }

    /// Submits a command, if the quota bears it in this period and in the next (issue W13).
    pub(crate) fn submit(&mut self, name: Hash, command: &crate::Command) -> bool {
        let roster = self.rosters.current();
        let charge = Charge::of(command, roster.quorum().n());
        let under_way = self.under_way.values().fold(Charge::default(), |sum, (c, _)| sum.and(*c));
        let free = self.state.account(self.slot).free(&self.params, self.state.tau(), under_way);
        if charge.asked > free {
            self.refuse(name, Refusal::Quota { need: charge.asked, free });
            return false;
        }
        if self.is_full() {
            self.refuse(name, Refusal::TooMany);
            return false;
        }
        let bytes = command.to_bytes();
        let known = Hash::of(&bytes);
        if self.under_way.contains_key(&known) {
            return true;
        }
        let aid = Aid { inst: self.state.next(), index: 0 };
        self.under_way.insert(known, (charge, aid));
        self.out.push(Effect::Submit(bytes));
        true
    }

    /// Our assignment is decided.
    pub(crate) fn ask(&mut self, epoch: Epoch, aid: Aid, target: Slot, work: Work) {
        let (answer, word) = (self.params.work_ms(), self.params.witness_ms());
        self.open_asked(epoch, aid, work, |peer| if peer == target { answer } else { word });
    }

    /// Opens a requester's entry.
    pub(crate) fn open_asked(
        &mut self,
        epoch: Epoch,
        aid: Aid,
        work: Work,
        wait: impl Fn(Slot) -> u64,
    ) {
        let deadlines: BTreeMap<Slot, Count> =
            self.others().into_iter().map(|peer| (peer, self.deadline(peer, wait(peer)))).collect();
        let entry = Asked {
            epoch,
            work,
            deadlines: BySlot(deadlines),
            heard: SlotSet::default(),
            listed: SlotSet::default(),
            answer: None,
            core: None,
            denials: BySlot::default(),
            denied: Flag(false),
            done: Flag(false),
            until: self.until(),
        };
        self.asked.insert(aid, entry);
        self.touch(Key::Asked(aid));
    }

    /// The target answers us itself.
    pub(crate) fn on_answer_asked(
        &mut self,
        peer: Slot,
        aid: Aid,
        core: Signed<ResponseCore>,
        body: Body,
    ) {
        let Some(entry) = self.asked.get(&aid) else { return };
        if entry.work.to() != To::Member(peer) {
            return self.fault(peer, Fault::Unknown);
        }
        let (work, epoch) = (entry.work.clone(), entry.epoch);
        let judged = judge::core(&self.rosters, self.group, &work, peer, &core)
            .and_then(|()| judge::body(&self.rosters, self.group, &work, peer, &core, &body));
        if let Err(flaw) = judged {
            return self.fault(peer, Fault::IllFormed(flaw));
        }
        self.heard(peer, aid);
        self.learn(aid, core.clone(), Some(body));
        if self.asked.get(&aid).is_some_and(|entry| entry.core.as_ref() != Some(&core)) {
            return;
        }
        // The acknowledgement ends the target's repetition; it is the same however often it is given.
        let request = core.payload.request;
        let stamp = core.payload.stamp;
        let said = crate::statement::WorkAck { request, answer: core.digest(), stamp };
        if let Some(ack) = self.signer.at(epoch, aid, said) {
            self.tell(peer, Message::Ack(ack));
        }
    }

    /// A witness forwards an answer.
    pub(crate) fn on_witness(
        &mut self,
        peer: Slot,
        word: Signed<WitnessStatement>,
        core: Signed<ResponseCore>,
        body: Body,
        pad: Body,
    ) {
        let aid = Aid::of(&word.header);
        let genuine = word.header.slot == peer && self.rosters.placed(&word).is_some();
        if !genuine {
            return self.fault(peer, Fault::NotGenuine(Kind::WorkWitness));
        }
        let Some(entry) = self.asked.get(&aid) else {
            return self.tell(peer, Message::Got(Got::Word, aid));
        };
        let To::Member(target) = entry.work.to() else {
            return self.fault(peer, Fault::Unknown);
        };
        let (work, requester, epoch) = (entry.work.clone(), entry.work.requester(), entry.epoch);
        let root = work.root(self.group);
        let due = self.designated(epoch, aid, target, requester).contains(peer);
        let len = sizes::witness_pad(&work, due, core.payload.fields.0.len(), body.0.len());
        let between = (peer, self.slot);
        if pad != message::pad(self.group, aid, Kind::WorkWitness, between, len)
            || peer == target
            || (word.payload.target, word.payload.request) != (target, root)
            || word.payload.answer != name_of(&core)
        {
            return self.fault(peer, Fault::Padding);
        }
        let judged =
            judge::core(&self.rosters, self.group, &work, target, &core).and_then(|()| match due {
                true => judge::body(&self.rosters, self.group, &work, target, &core, &body),
                false => Ok(()),
            });
        if let Err(flaw) = judged {
            // What it vouches for with its own signature it must have checked (WR4).
            let answer = Box::new(core);
            self.convict(Evidence::BadWitness { word, answer });
            return self.fault(peer, Fault::IllFormed(flaw));
        }
        self.heard(peer, aid);
        self.learn(aid, core, due.then_some(body));
        self.tell(peer, Message::Got(Got::Word, aid));
    }

    /// A well-formed core, perhaps with its body.
    fn learn(&mut self, aid: Aid, core: Signed<ResponseCore>, body: Option<Body>) {
        let Some(entry) = self.asked.get_mut(&aid) else { return };
        let known = entry.core.get_or_insert_with(|| core.clone()).clone();
        let body = body.or_else(|| (core.payload.body_len.0 == 0).then(Body::default));
        let mut delivery = None;
        if let Some(body) = body
            && entry.answer.is_none()
        {
            let expires = entry.work.expires();
            let answered = Answered { core: core.clone(), body, expires };
            entry.answer = Some(answered.clone());
            delivery = Some((entry.work.root(self.group), answered));
        }
        self.touch(Key::Asked(aid));
        self.compare(&known, &core);
        if let Some((name, answered)) = delivery {
            let answer = Outcome::Answer(Box::new(answered.clone()));
            self.out.push(Effect::Deliver(name, aid, answer));
            self.vow_answered(name, answered);
        }
    }

    /// A witness waited in vain, or says so.
    pub(crate) fn on_no_evidence(&mut self, peer: Slot, word: Signed<NoEvidence>, pad: &Body) {
        let aid = Aid::of(&word.header);
        if word.header.slot != peer || self.rosters.placed(&word).is_none() {
            return self.fault(peer, Fault::NotGenuine(Kind::NoEvidence));
        }
        let Some(entry) = self.asked.get(&aid) else {
            return self.tell(peer, Message::Got(Got::Word, aid));
        };
        let target = target_slot(&entry.work);
        let said = &word.payload;
        let about = (said.target, said.requester, said.request)
            == (target, self.slot, entry.work.root(self.group));
        let between = (peer, self.slot);
        if !about || peer == target || *pad != self.denial_pad(aid, between, &entry.work) {
            return self.fault(peer, Fault::Padding);
        }
        if let Some(entry) = self.asked.get_mut(&aid) {
            entry.denials.0.entry(peer).or_insert(word);
        }
        self.heard(peer, aid);
        self.touch(Key::Asked(aid));
        self.tell(peer, Message::Got(Got::Word, aid));
        self.count_denials(aid);
    }

    /// `f + 1` denials and no answer (WR1).
    fn count_denials(&mut self, aid: Aid) {
        let Some(entry) = self.asked.get(&aid) else { return };
        if entry.answer.is_some() || entry.denied.0 || entry.done.0 {
            return;
        }
        let Some(roster) = self.rosters.at(entry.epoch) else { return };
        let Some(cert) = DenialCert::collect(roster, entry.denials.0.values()) else { return };
        let name = entry.work.root(self.group);
        let for_member = matches!(entry.work.to(), To::Member(_));
        if let Some(entry) = self.asked.get_mut(&aid) {
            entry.denied = Flag(true);
        }
        self.touch(Key::Asked(aid));
        if for_member {
            self.vow_denied(name, cert.clone());
            self.out.push(Effect::Deliver(name, aid, Outcome::Denied(Box::new(cert))));
            self.out.push(Effect::NeedDecision(aid.inst));
        } else {
            self.out.push(Effect::Deliver(name, aid, Outcome::Unanswered));
        }
    }

    /// The certificate of an instance: with it, denials become a proof.
    pub(crate) fn on_decision(&mut self, proof: DecidedProposal) {
        let inst = proof.value.statement.header.inst;
        let denied: Vec<(Aid, DenialCert)> = self
            .asked
            .iter()
            .filter(|(aid, entry)| aid.inst == inst && entry.denied.0 && entry.answer.is_none())
            .filter_map(|(aid, entry)| {
                let roster = self.rosters.at(entry.epoch)?;
                Some((*aid, DenialCert::collect(roster, entry.denials.0.values())?))
            })
            .collect();
        for (_, cert) in denied {
            let assigned = Box::new(proof.clone());
            self.convict(Evidence::NoEvidence { assigned, denials: Box::new(cert) });
        }
    }

    /// After a crash: denials that were not turned into a proof yet.
    pub(crate) fn resume_requester(&mut self) {
        for (aid, entry) in &self.asked {
            if entry.denied.0 && entry.answer.is_none() {
                self.out.push(Effect::NeedDecision(aid.inst));
            }
        }
    }

    /// A member has said what it owes.
    pub(crate) fn heard(&mut self, peer: Slot, aid: Aid) {
        let Some(entry) = self.asked.get_mut(&aid) else { return };
        entry.heard.insert(peer);
        let listed = entry.listed.contains(peer);
        entry.listed.remove(peer);
        let kind = owed_by(&entry.work, peer);
        self.touch(Key::Asked(aid));
        if listed {
            self.withdraw(Duty { peer, aid, kind });
        }
    }

    /// Waits that have ended: whoever owes a word is listed.
    pub(crate) fn expire_requester(&mut self) {
        let mut over = Vec::new();
        for (aid, entry) in &self.asked {
            for (peer, deadline) in &entry.deadlines.0 {
                let owes = !entry.heard.contains(*peer) && !entry.listed.contains(*peer);
                if owes && self.is_over(*peer, *deadline) {
                    over.push((*aid, *peer, owed_by(&entry.work, *peer)));
                }
            }
        }
        for (aid, peer, kind) in over {
            if let Some(entry) = self.asked.get_mut(&aid) {
                entry.listed.insert(peer);
            }
            self.touch(Key::Asked(aid));
            self.accuse(Duty { peer, aid, kind });
        }
    }

    /// An entry ends when all have spoken and the outcome is delivered, or long after its deadlines.
    pub(crate) fn end_old_requester(&mut self, tau: Stamp) {
        let done = |entry: &Asked| {
            let all = entry.deadlines.0.keys().all(|peer| entry.heard.contains(*peer));
            all && (entry.answer.is_some() || entry.done.0)
        };
        let ended: Vec<Aid> = self
            .asked
            .iter()
            .filter(|(_, entry)| entry.until < tau || done(entry))
            .map(|(aid, _)| *aid)
            .collect();
        for aid in ended {
            let Some(entry) = self.asked.remove(&aid) else { continue };
            for peer in entry.listed.iter() {
                self.withdraw(Duty { peer, aid, kind: owed_by(&entry.work, peer) });
            }
            self.touch(Key::Asked(aid));
        }
    }
}

/// What a member owes the requester of some work.
pub(crate) fn owed_by(work: &Work, peer: Slot) -> Kind {
    match work.to() {
        To::Member(target) if target == peer => Kind::WorkResponse,
        _ => Kind::WorkWitness,
    }
}

/// The target as a denial names it; no slot stands for another machine.
pub(crate) fn target_slot(work: &Work) -> Slot {
    match work.to() {
        To::Member(target) => target,
        To::Machine(_) => Slot(u16::MAX),
    }
}
