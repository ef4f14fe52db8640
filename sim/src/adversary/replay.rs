//! Uses old signatures again: whole messages, quorum vectors under a new header, decision
//! certificates of an older instance in a new one (rows SQ-D1, RD-D3, AG-D7, WR-D1, MQ-8).
//!
//! With signatures that do not name the instance this makes two honest members decide differently.

use super::{Board, Content, Entry, Outgoing, Strategy};
use crate::view;
use bart_rsm::message::{
    Catchup, DecisionCert, Message, Read, ShowQuorum, Value, Write, null_digest,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{Epoch, Instance, Slot};

#[derive(Default)]
struct Replay {
    values: BTreeMap<Instance, Arc<Value>>,
    decisions: BTreeMap<Instance, Arc<DecisionCert>>,
    attacked: u64,
}

impl Replay {
    fn learn(&mut self, board: &mut Board, message: &Message) {
        if let Message::Agree(agree) = message {
            self.values.entry(message.inst()).or_insert_with(|| agree.value.clone());
        }
        if let Some(cert) = view::decision(message) {
            self.decisions.entry(message.inst()).or_insert_with(|| Arc::new(cert));
        }
        if board.rng.once_in(4) {
            board.keep(message);
        }
    }

    /// Claims that an instance was decided like an older one of the same sender.
    fn claim_old_decision(&mut self, board: &mut Board, me: Slot, inst: u64) {
        let n = board.roster.slots() as u64;
        let Some(old) = inst.checked_sub(n).map(Instance) else { return };
        let Some(cert) = self.decisions.get(&old).cloned() else { return };
        let (cert, value) = if board.rng.once_in(2) {
            (cert, self.values.get(&old).cloned())
        } else {
            // The old signatures, said to be about NULL in the new instance.
            let (group, sender) = (board.roster.group(), board.sender(inst));
            let value = null_digest(group, Epoch(0), Instance(inst), sender);
            (Arc::new(DecisionCert { value, ..(*cert).clone() }), None)
        };
        let honest = board.honest();
        if let Some(victim) = board.rng.pick(&honest) {
            let catchup = Catchup { epoch: Epoch(0), inst: Instance(inst), cert, value };
            board.send(me, Outgoing::now(victim, Message::Catchup(catchup)));
        }
    }

    fn attack(&mut self, board: &mut Board, me: Slot) {
        while self.attacked <= board.instance {
            self.claim_old_decision(board, me, self.attacked);
            self.attacked += 1;
        }
        self.claim_old_decision(board, me, board.instance);
        let (kept, others) = (board.kept.len(), board.others(me));
        if kept > 0
            && let Some(to) = board.rng.pick(&others)
        {
            let old = board.kept[board.rng.index(kept)].clone();
            board.send(me, Outgoing::now(to, old));
        }
    }

    /// The same step of the conversation, with the quorum vector of an older instance.
    fn with_old_vector(board: &mut Board, message: &Message) -> Option<Message> {
        let old = board.kept.iter().rev().find(|old| {
            old.kind() == message.kind()
                && old.turn() == message.turn()
                && old.inst() < message.inst()
                && board.sender(old.inst().0) == board.sender(message.inst().0)
        });
        match (message, old?) {
            (Message::Read(new), Message::Read(old)) => {
                Some(Message::Read(Read { pol: old.pol.clone(), ..new.clone() }))
            }
            (Message::Write(new), Message::Write(old)) => {
                Some(Message::Write(Write { cert: old.cert.clone(), ..new.clone() }))
            }
            (Message::ShowQuorum(new), Message::ShowQuorum(old)) => {
                let mut payload = new.core.payload;
                payload.acks = old.acks.digest();
                let core = board.sign(new.core.header, payload)?;
                let (acks, pol) = (old.acks.clone(), new.pol.clone());
                Some(Message::ShowQuorum(ShowQuorum { core, acks, pol }))
            }
            _ => None,
        }
    }
}

impl Strategy for Replay {
    fn incoming(&mut self, board: &mut Board, me: Slot, _: Slot, message: &Message) -> bool {
        self.learn(board, message);
        if self.attacked <= board.instance {
            self.attack(board, me);
        }
        true
    }

    fn outgoing(&mut self, board: &mut Board, _: Slot, out: Vec<Outgoing>) -> Vec<Outgoing> {
        let mut sent = Vec::with_capacity(out.len());
        for outgoing in out {
            if let Content::Message(message) = &outgoing.content {
                self.learn(board, message);
                if board.rng.once_in(4)
                    && let Some(old) = Self::with_old_vector(board, message)
                {
                    sent.push(Outgoing::now(outgoing.to, old));
                }
            }
            sent.push(outgoing);
        }
        sent
    }

    fn tick(&mut self, board: &mut Board, me: Slot) {
        self.attack(board, me);
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "replay",
    what: "uses old messages, vectors and certificates again in later instances (SQ-D1, RD-D3)",
    make: |_: &mut Board, _: Slot| Box::new(Replay::default()),
};
