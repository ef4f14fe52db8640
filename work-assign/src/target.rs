//! The target: performs, answers once, proves that it answered (specification 6.1; paper figure 13 l. 3-5, lemma 32).
//!
//! Guarantees: (1) one request has one answer for ever, whichever path asks and however often: it is cached by the
//! request's name, durable before it leaves, and forgotten only when nobody can ask again (decision 15, W4, WK-11);
//! (2) every live member but us gets the core, requester and designated witnesses the body; (3) who denies an answer
//! that it has acknowledged gives us a proof (W8).

use crate::core::Core;
use crate::effect::{Answer, Effect, Fault};
use crate::judge;
use crate::layout::{Blob, Body, BySlot, Code};
use crate::message::{Got, Message};
use crate::pom::Evidence;
use crate::record::Key;
use crate::request::{Aid, KIND_BATCH, Request, Work};
use crate::role::{Answered, Serving};
use crate::signer::Place;
use crate::statement::{ResponseCore, WorkAck};
use types::{Encode, Epoch, Hash, Signed, Size, Slot, Stamp};

impl Core {
    /// Work was assigned to us.
    pub(crate) fn serve(&mut self, epoch: Epoch, aid: Aid, work: Work) {
        let waiting = self.others().into_iter().collect();
        let (acks, until) = (BySlot::default(), self.until());
        self.serving.insert(aid, Serving { epoch, work: work.clone(), waiting, acks, until });
        self.touch(Key::Serving(aid));
        self.perform_missing(&work);
        self.answer_assigned(aid);
    }

    /// Has performed what is not answered yet.
    fn perform_missing(&mut self, work: &Work) {
        for request in work.requests() {
            self.perform(request);
        }
    }

    pub(crate) fn perform(&mut self, request: &Request) {
        let name = request.hash(self.group);
        if self.answers.contains_key(&name) || self.performing.contains_key(&name) {
            return;
        }
        self.performing.insert(name, request.clone());
        self.out.push(Effect::Perform(name, Box::new(request.clone())));
    }

    /// The performer has answered: signed once, durable before it leaves.
    pub(crate) fn on_performed(&mut self, name: Hash, answer: Answer) {
        let Some(request) = self.performing.get(&name).cloned() else {
            return self.out.push(Effect::Misuse("an answer to what was not asked"));
        };
        let Answer { kind, fields, body } = answer;
        let fits = request.kinds.allows(kind)
            && fields.len() <= request.fields_cap.0 as usize
            && body.len() <= request.body_cap.0 as usize;
        if !fits {
            // Sent, it would be no answer, and we should be listed for none.
            return self.out.push(Effect::Misuse("an answer that its request does not allow"));
        }
        self.performing.remove(&name);
        self.sign_answer(name, kind, fields, Body::new(&body), request.expires);
        let ready: Vec<Aid> = self
            .serving
            .iter()
            .filter(|(_, entry)| entry.work.leaves(self.group).contains(&name))
            .map(|(aid, _)| *aid)
            .collect();
        for aid in ready {
            self.answer_assigned(aid);
        }
        if let Some(peer) = self.direct_waiting.remove(&name) {
            self.answer_directly(peer, name);
        }
        self.close_ready();
    }

    fn sign_answer(&mut self, name: Hash, kind: u8, fields: Vec<u8>, body: Body, expires: Stamp) {
        let digest = if body.0.is_empty() { Hash::ZERO } else { Hash::of(&body.0) };
        let stamp = self.stamp();
        let said = ResponseCore {
            request: name,
            kind: Code(kind),
            body: digest,
            body_len: Size(body.0.len() as u64),
            stamp,
            fields: Blob(fields),
        };
        let Some(core) = self.signer.of(name, said) else {
            return self.out.push(Effect::Misuse("a second answer to one request"));
        };
        self.answers.insert(name, Answered { core, body, expires });
        self.touch(Key::Answer(name));
    }

    /// Makes the answer that stands for a batch, when each of its requests is answered.
    pub(crate) fn bundle(&mut self, leaves: &[Hash], expires: Stamp) -> Option<Hash> {
        let root = crate::request::root(leaves);
        if self.answers.contains_key(&root) {
            return Some(root);
        }
        let items: Option<Vec<_>> = leaves.iter().map(|leaf| self.answers.get(leaf)).collect();
        let items = items?;
        let body = judge::bundle(items.iter().map(|item| (&item.core, &item.body)));
        self.sign_answer(root, KIND_BATCH, Vec::new(), body, expires);
        Some(root)
    }

    /// Sends the answer to an assignment to everybody, if it is there.
    fn answer_assigned(&mut self, aid: Aid) {
        let Some(entry) = self.serving.get(&aid) else { return };
        let (leaves, expires) = (entry.work.leaves(self.group), entry.work.expires());
        let peers: Vec<Slot> = entry.waiting.iter().collect();
        if self.bundle(&leaves, expires).is_none() {
            return;
        }
        for peer in peers {
            if let Some(message) = self.response(aid, peer) {
                self.say(peer, message);
            }
        }
    }

    /// What a member gets of an answer.
    fn response(&self, aid: Aid, peer: Slot) -> Option<Message> {
        let entry = self.serving.get(&aid)?;
        let answered = self.answers.get(&entry.work.root(self.group))?;
        let bodies = self.designated(entry.epoch, aid, self.slot, entry.work.requester());
        let due = peer == entry.work.requester() || bodies.contains(peer);
        let body = if due { answered.body.clone() } else { Body::default() };
        Some(Message::Response { aid: Some(aid), core: Box::new(answered.core.clone()), body })
    }

    /// The designated witnesses of an assignment.
    pub(crate) fn designated(
        &self,
        epoch: Epoch,
        aid: Aid,
        target: Slot,
        requester: Slot,
    ) -> bart_rsm::message::SlotSet {
        let roster = self.rosters.at(epoch).unwrap_or(self.rosters.current());
        let count = self.params.body_witnesses(roster.quorum().f());
        judge::designated(roster, aid, target, requester, count)
    }

    /// A member took our answer over.
    pub(crate) fn on_ack(&mut self, peer: Slot, ack: Signed<WorkAck>) {
        if ack.header.slot != peer {
            return self.fault(peer, Fault::NotGenuine(types::Kind::WorkAck));
        }
        let aid = Aid::of(&ack.header);
        let Some(entry) = self.serving.get(&aid) else { return };
        let root = entry.work.root(self.group);
        let Some(answered) = self.answers.get(&root) else { return };
        let ours = ack.payload.request == root && ack.payload.answer == answered.core.digest();
        if !ours || self.rosters.placed(&ack).is_none() {
            return self.fault(peer, Fault::NotGenuine(types::Kind::WorkAck));
        }
        if let Some(entry) = self.serving.get_mut(&aid) {
            entry.waiting.remove(peer);
            entry.acks.0.entry(peer).or_insert(ack);
        }
        self.touch(Key::Serving(aid));
    }

    /// A member for whom the assignment has ended needs our answer no more.
    fn answer_received(&mut self, peer: Slot, aid: Aid) {
        if let Some(entry) = self.serving.get_mut(&aid) {
            entry.waiting.remove(peer);
            self.touch(Key::Serving(aid));
        }
    }

    /// Denials became public: whoever had acknowledged our answer before contradicts itself (WR3).
    pub(crate) fn compare_denials(&mut self, cert: &crate::cert::DenialCert) {
        let Some(entry) = self.serving.get(&cert.aid) else { return };
        let mut found = Vec::new();
        for (slot, denial) in cert.signers.iter() {
            let Some(ack) = entry.acks.0.get(&slot) else { continue };
            let said = crate::statement::NoEvidence {
                target: cert.target,
                requester: cert.requester,
                request: cert.request,
                stamp: denial.stamp,
            };
            let header = types::Header { kind: types::Kind::NoEvidence, ..ack.header };
            let denial = Signed { header, payload: said, signature: denial.signature };
            found.push(Evidence::FalseNoEvidence { denial, ack: ack.clone() });
        }
        for evidence in found {
            self.convict(evidence);
        }
    }

    pub(crate) fn outstanding_target(&self, peer: Slot, out: &mut Vec<Message>) {
        let waiting = self.serving.iter().filter(|(_, entry)| entry.waiting.contains(peer));
        out.extend(waiting.filter_map(|(aid, _)| self.response(*aid, peer)));
    }

    /// After a crash: what was not answered is performed again.
    pub(crate) fn resume_target(&mut self) {
        let works: Vec<Work> = self.serving.values().map(|entry| entry.work.clone()).collect();
        for work in works {
            let root = work.root(self.group);
            if !self.answers.contains_key(&root) {
                self.perform_missing(&work);
            }
        }
    }

    /// An answer is forgotten when state machine time has passed the end of its request, so that neither an assignment
    /// nor a direct request can ask again, and no assignment of it is being served.
    pub(crate) fn end_old_target(&mut self, tau: Stamp) {
        let ended: Vec<Aid> =
            self.serving.iter().filter(|(_, e)| e.until < tau).map(|(aid, _)| *aid).collect();
        for aid in ended {
            self.serving.remove(&aid);
            self.touch(Key::Serving(aid));
        }
        let old: Vec<Hash> =
            self.answers.iter().filter(|(_, one)| one.expires < tau).map(|(n, _)| *n).collect();
        for name in old {
            let serves = |entry: &Serving| {
                entry.work.root(self.group) == name || entry.work.leaves(self.group).contains(&name)
            };
            if !self.serving.values().any(serves) {
                self.answers.remove(&name);
                self.signer.forget(Place::Of(name));
                self.touch(Key::Answer(name));
            }
        }
        self.performing.retain(|_, request| request.expires >= tau);
        let state = &self.state;
        self.closing.retain(|_, (_, vow, _)| state.vow(*vow).is_some());
        let performing = &self.performing;
        self.direct_waiting.retain(|name, _| performing.contains_key(name));
    }

    /// A peer confirms something that was said to it.
    pub(crate) fn on_got(&mut self, peer: Slot, what: Got, aid: Aid) {
        match what {
            Got::Word => self.word_received(peer, aid),
            Got::Order => self.order_received(peer, aid),
            Got::Share => self.share_received(peer, aid),
            Got::Foreign => self.result_received(peer, aid),
            Got::Answer => self.answer_received(peer, aid),
        }
    }

    /// The encoded size of everything cached, for bounds.
    pub fn cached_bytes(&self) -> usize {
        self.answers.values().map(|one| one.to_bytes().len()).sum()
    }
}
