//! What the faulty member can do with what it was sent: everything that honest members said to it.

use super::setting::{INSTANCE, key};
use super::system::{PostId, System};
use bart_rsm::message::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{Epoch, Hash, Header, Ident, Kind, Signature, Signed, SignedPayload, Slot, Turn};

/// Answers to one message of the faulty member, by the digest that they name.
type Answers<T> = BTreeMap<(u32, Hash), BTreeMap<Slot, T>>;

/// See the module.
pub struct Known {
    me: Slot,
    q: usize,
    group: types::GroupId,
    /// Set-turns of honest members, by turn.
    pub set_turns: BTreeMap<u32, BTreeMap<Slot, Signature>>,
    /// Answers to our READ.
    pub read_acks: Answers<ReadAck>,
    /// Answers to our AGREE, with the value.
    pub agree_acks: Answers<(Hash, Signature)>,
    /// Answers to our WRITE.
    pub write_acks: Answers<WriteAck>,
    /// What honest senders and leaders put before us, by author.
    pub steps: Vec<(Slot, Message)>,
    /// Proofs of leadership by turn.
    pub pols: BTreeMap<u32, Arc<Pol>>,
    /// Certified values by turn, with the sender's statement and the body unless it is NULL.
    pub certs: BTreeMap<u32, (Arc<AgreeCert>, Option<Arc<Value>>)>,
    /// Values by digest.
    pub values: BTreeMap<Hash, Arc<Value>>,
    /// Decisions by turn.
    pub decisions: BTreeMap<u32, Arc<DecisionCert>>,
}

impl Known {
    /// What follows from these messages.
    pub fn new(system: &System, me: Slot, inbox: &[PostId]) -> Self {
        let mut known = Self {
            me,
            q: system.vector(),
            group: system.roster.group(),
            set_turns: BTreeMap::new(),
            read_acks: BTreeMap::new(),
            agree_acks: BTreeMap::new(),
            write_acks: BTreeMap::new(),
            steps: Vec::new(),
            pols: BTreeMap::new(),
            certs: BTreeMap::new(),
            values: BTreeMap::new(),
            decisions: BTreeMap::new(),
        };
        for id in inbox {
            let post = system.post(*id);
            known.learn(post.from, &post.message);
        }
        for turn in (1..system.setting.turns).filter(|turn| system.setting.leader(*turn) == me) {
            if let Some(pol) = known.own_pol(turn) {
                known.prove(&pol);
            }
        }
        known
    }

    fn learn(&mut self, from: Slot, message: &Message) {
        let turn = message.turn().0;
        match message {
            Message::SetTurn(m) => {
                self.set_turns.entry(turn).or_default().insert(from, m.core.signature);
            }
            Message::ReadAck(m) => {
                if let Some(statement) = &m.statement {
                    let value = Value { statement: statement.clone(), body: m.body.body().into() };
                    self.values.insert(m.core.payload.value, Arc::new(value));
                }
                if m.core.payload.val_turn != TURN_NONE {
                    self.certify(&m.cert);
                }
                let answers = self.read_acks.entry((turn, m.core.payload.read)).or_default();
                answers.insert(from, m.clone());
            }
            Message::AgreeAck(m) => {
                let said = &m.core.payload;
                let answers = self.agree_acks.entry((turn, said.agree)).or_default();
                answers.insert(from, (said.value, m.core.signature));
            }
            Message::WriteAck(m) => {
                self.prove(&m.max_pol);
                let answers = self.write_acks.entry((turn, m.core.payload.write)).or_default();
                answers.insert(from, m.clone());
            }
            Message::Agree(m) => {
                self.values.insert(m.core.payload.value, Arc::clone(&m.value));
            }
            Message::AgreeLater(m) => {
                if let Some(statement) = &m.statement {
                    let value = Value { statement: statement.clone(), body: m.body.body().into() };
                    self.values.insert(m.core.payload.value, Arc::new(value));
                }
            }
            Message::Read(m) => self.prove(&m.pol),
            Message::Write(m) => self.certify(&m.cert),
            Message::ShowQuorum(m) => {
                self.prove(&m.pol);
            }
            _ => {}
        }
        if let Some(cert) = crate::view::decision(message) {
            self.decisions.entry(cert.turn.0).or_insert_with(|| Arc::new(cert));
        }
        let step = matches!(message, Message::Read(_) | Message::Agree(_) | Message::AgreeLater(_));
        if step || matches!(message, Message::Write(_)) {
            self.steps.push((from, message.clone()));
        }
    }

    fn prove(&mut self, pol: &Arc<Pol>) {
        if pol.turn > Turn(0) {
            self.pols.entry(pol.turn.0).or_insert_with(|| Arc::clone(pol));
        }
    }

    /// Remembers a certificate; the value's body is known by then.
    fn certify(&mut self, cert: &Arc<AgreeCert>) {
        let value = self.values.get(&cert.value).cloned();
        self.certs.entry(cert.turn.0).or_insert_with(|| (Arc::clone(cert), value));
    }

    /// A statement in our own name.
    pub fn sign<P: SignedPayload>(&self, turn: u32, payload: P) -> Signed<P> {
        let header = Header {
            kind: P::KIND,
            epoch: Epoch(0),
            inst: INSTANCE,
            turn: Turn(turn),
            slot: self.me,
            ident: Ident(0),
        };
        Signed::new(&key(self.me), &self.group, header, payload).into_inner()
    }

    /// A pad in our own name.
    pub fn pad(&self, kind: Kind, turn: u32, to: Slot, body: &[u8], total: usize) -> Padded {
        let (group, inst, turn, from) = (self.group, INSTANCE, Turn(turn), self.me);
        Padded::new(body, total, &PadKey { group, inst, turn, kind, from, to })
    }

    /// A proof of leadership for a turn of ours, with our own set-turn in it.
    pub fn own_pol(&self, turn: u32) -> Option<Arc<Pol>> {
        let own = (self.me, self.sign(turn, SetTurnStatement {}).signature);
        let others = self.set_turns.get(&turn)?.iter().map(|(slot, sign)| (*slot, *sign));
        let signers: Vec<_> = std::iter::once(own).chain(others).take(self.q).collect();
        let full = signers.len() == self.q;
        full.then(|| Arc::new(Pol { turn: Turn(turn), signers: Signers::new(signers) }))
    }

    /// The answers that we can give to a READ of `turn`: nothing, or any certified value.
    pub fn own_reads(&self, turn: u32, read: Hash, v_max: usize, to: Slot) -> Vec<ReadAck> {
        let mut answers = Vec::new();
        let none =
            ReadAckStatement { val_turn: TURN_NONE, value: Hash::ZERO, cert: Hash::ZERO, read };
        let blank = Arc::new(AgreeCert::blank(self.q));
        let choices =
            std::iter::once((none, blank, None)).chain(self.certs.values().map(|(cert, value)| {
                let (val_turn, digest) = (cert.turn, cert.digest());
                let said = ReadAckStatement { val_turn, value: cert.value, cert: digest, read };
                (said, Arc::clone(cert), value.clone())
            }));
        for (said, cert, value) in choices {
            let body = value.as_ref().map_or(&[][..], |value| &value.body);
            answers.push(ReadAck {
                core: self.sign(turn, said),
                cert,
                statement: value.as_ref().map(|value| value.statement.clone()),
                body: self.pad(Kind::ReadAck, turn, to, body, v_max),
            });
        }
        answers
    }

    /// The answers that we can give to a WRITE: every proof of a turn from `turn` on, the stale one
    /// first.
    pub fn own_writes(&self, turn: u32, value: Hash, write: Hash) -> Vec<WriteAck> {
        let null = (turn == 0).then(|| Arc::new(Pol::null(self.q)));
        let later = self.pols.range(turn..).map(|(_, pol)| Arc::clone(pol));
        let ack = |max_pol: Arc<Pol>| {
            let (max_turn, digest) = (max_pol.turn, max_pol.digest());
            let said = WriteAckStatement { value, max_turn, max_pol: digest, write };
            WriteAck { core: self.sign(turn, said), max_pol }
        };
        null.into_iter().chain(later).map(ack).collect()
    }
}
