//! The witness: takes the answer over and forwards it, or says in writing that nothing came (specification 6.1;
//! paper figure 13 l. 7-11, 22-25).
//!
//! Guarantees: (1) the wait is `T_work` of uptime with the gate to the target open; (2) having acknowledged an answer it
//! never denies it, and what it signs after the denial has a later stamp (WR3); (3) it forwards only what it has judged
//! (WR4); (4) a late answer is acknowledged and forwarded as well.

use crate::core::Core;
use crate::effect::{Duty, Fault};
use crate::judge;
use crate::layout::{Body, Flag};
use crate::message::{self, Got, Message};
use crate::pom::Evidence;
use crate::record::Key;
use crate::request::{Aid, Work};
use crate::role::Watched;
use crate::signer::Place;
use crate::sizes;
use crate::statement::{NoEvidence, ResponseCore, WitnessStatement, WorkAck};
use types::{Encode, Epoch, Hash, Kind, Signed, Slot, Stamp};

/// Names an answer with its signature: a witness answers for both.
pub(crate) fn name_of<T: Encode>(answer: &T) -> Hash {
    Hash::tagged("forwarded answer", &answer.to_bytes())
}

impl Core {
    /// Somebody was asked by a third: its answer is due to us.
    pub(crate) fn watch(&mut self, epoch: Epoch, aid: Aid, target: Slot, work: Work) {
        let entry = Watched {
            epoch,
            target,
            work,
            deadline: self.deadline(target, self.params.work_ms()),
            core: None,
            body: Body::default(),
            ack: None,
            word: None,
            denial: None,
            received: Flag(false),
            listed: Flag(false),
            until: self.until(),
        };
        self.watched.insert(aid, entry);
        self.touch(Key::Watched(aid));
    }

    /// The target answers an assignment.
    pub(crate) fn on_response(
        &mut self,
        peer: Slot,
        aid: Aid,
        core: Signed<ResponseCore>,
        body: Body,
    ) {
        if self.asked.contains_key(&aid) {
            return self.on_answer_asked(peer, aid, core, body);
        }
        let Some(entry) = self.watched.get(&aid) else {
            // It has ended here, and the target may have lost our word in a crash.
            return self.tell(peer, Message::Got(Got::Answer, aid));
        };
        if peer != entry.target {
            return self.fault(peer, Fault::Unknown);
        }
        if let Some(known) = &entry.core {
            let (known, ack) = (known.clone(), entry.ack.clone());
            self.compare(&known, &core);
            if known == core
                && let Some(ack) = ack
            {
                self.tell(peer, Message::Ack(ack));
            }
            return;
        }
        let due = self
            .designated(entry.epoch, aid, entry.target, entry.work.requester())
            .contains(self.slot);
        let (target, work) = (entry.target, entry.work.clone());
        let judged =
            judge::core(&self.rosters, self.group, &work, target, &core).and_then(|()| match due {
                true => judge::body(&self.rosters, self.group, &work, target, &core, &body),
                false => Ok(()),
            });
        if let Err(flaw) = judged {
            return self.fault(peer, Fault::IllFormed(flaw));
        }
        let body = if due { body } else { Body::default() };
        self.take_over(aid, core, body);
    }

    /// The first well-formed answer: our word to the target and to the requester, durable together.
    fn take_over(&mut self, aid: Aid, core: Signed<ResponseCore>, body: Body) {
        let stamp = self.stamp();
        let Some(entry) = self.watched.get(&aid) else { return };
        let (epoch, target, request) = (entry.epoch, entry.target, core.payload.request);
        let requester = entry.work.requester();
        let said = WorkAck { request, answer: core.digest(), stamp };
        let word = WitnessStatement { target, request, answer: name_of(&core) };
        let (ack, word) = (self.signer.at(epoch, aid, said), self.signer.at(epoch, aid, word));
        let Some(entry) = self.watched.get_mut(&aid) else { return };
        (entry.core, entry.body) = (Some(core), body);
        (entry.ack, entry.word) = (ack.clone(), word);
        entry.received = Flag(false);
        let listed = std::mem::take(&mut entry.listed).0;
        self.touch(Key::Watched(aid));
        if listed {
            self.withdraw(Duty { peer: target, aid, kind: Kind::WorkResponse });
        }
        if let Some(ack) = ack {
            self.tell(target, Message::Ack(ack));
        }
        if let Some(message) = self.last_word(aid) {
            self.say(requester, message);
        }
    }

    /// Two different answers of one identity to one request convict it (WR2).
    pub(crate) fn compare(&mut self, one: &Signed<ResponseCore>, other: &Signed<ResponseCore>) {
        let same_author = one.header == other.header;
        let same_request = one.payload.request == other.payload.request;
        if same_author && same_request && one.payload != other.payload {
            self.convict(Evidence::two_answers(one.clone(), other.clone()));
        }
    }

    /// What the requester is to have of us: the answer if we hold it, the denial otherwise.
    fn last_word(&self, aid: Aid) -> Option<Message> {
        let entry = self.watched.get(&aid)?;
        let requester = entry.work.requester();
        let between = (self.slot, requester);
        if let (Some(word), Some(core)) = (&entry.word, &entry.core) {
            let due =
                self.designated(entry.epoch, aid, entry.target, requester).contains(self.slot);
            let (fields, body) = (core.payload.fields.0.len(), entry.body.0.len());
            let len = sizes::witness_pad(&entry.work, due, fields, body);
            let pad = message::pad(self.group, aid, Kind::WorkWitness, between, len);
            let (word, core, body) = (word.clone(), Box::new(core.clone()), entry.body.clone());
            return Some(Message::Witness { word, core, body, pad });
        }
        let word = entry.denial.clone()?;
        Some(Message::NoEvidence { word, pad: self.denial_pad(aid, between, &entry.work) })
    }

    /// The pad of a denial.
    pub(crate) fn denial_pad(&self, aid: Aid, between: (Slot, Slot), work: &Work) -> Body {
        let len = sizes::denial_pad(work, self.params.rx_per_mille);
        message::pad(self.group, aid, Kind::NoEvidence, between, len)
    }

    /// Waits that have ended: the denial to the requester, and the target is listed.
    pub(crate) fn expire_witness(&mut self) {
        let over: Vec<Aid> = self
            .watched
            .iter()
            .filter(|(_, entry)| entry.core.is_none() && entry.denial.is_none())
            .filter(|(_, entry)| self.is_over(entry.target, entry.deadline))
            .map(|(aid, _)| *aid)
            .collect();
        for aid in over {
            let stamp = self.stamp();
            let Some(entry) = self.watched.get(&aid) else { continue };
            let (epoch, target, requester) = (entry.epoch, entry.target, entry.work.requester());
            let request = entry.work.root(self.group);
            let said = NoEvidence { target, requester, request, stamp };
            let denial = self.signer.at(epoch, aid, said);
            if let Some(entry) = self.watched.get_mut(&aid) {
                (entry.denial, entry.listed) = (denial, Flag(true));
            }
            self.touch(Key::Watched(aid));
            self.accuse(Duty { peer: target, aid, kind: Kind::WorkResponse });
            if let Some(message) = self.last_word(aid) {
                self.say(requester, message);
            }
        }
    }

    /// The requester has our last word. An answered entry ends with that; its acknowledgement is remembered by the
    /// target, who needs nothing more from us.
    pub(crate) fn word_received(&mut self, peer: Slot, aid: Aid) {
        if let Some(entry) = self.watched.get_mut(&aid)
            && entry.work.requester() == peer
        {
            entry.received = Flag(true);
            self.touch(Key::Watched(aid));
        }
        self.foreign_word_received(peer, aid);
    }

    pub(crate) fn outstanding_witness(&self, peer: Slot, out: &mut Vec<Message>) {
        for (aid, entry) in &self.watched {
            if entry.work.requester() == peer && !entry.received.0 {
                out.extend(self.last_word(*aid));
            }
        }
    }

    pub(crate) fn end_old_witness(&mut self, tau: Stamp) {
        let ended: Vec<Aid> =
            self.watched.iter().filter(|(_, e)| e.until < tau).map(|(aid, _)| *aid).collect();
        for aid in ended {
            if let Some(entry) = self.watched.remove(&aid) {
                self.withdraw(Duty { peer: entry.target, aid, kind: Kind::WorkResponse });
            }
            self.signer.forget(Place::At(aid));
            self.touch(Key::Watched(aid));
        }
    }
}
