//! Every proof that a set of signed objects yields, exhaustive for each kind: for checkers that look
//! at everything that was ever signed.
//!
//! Guarantees: a tuple of shown objects that verifies as a proof against a slot in question is among
//! [`Exhibits::candidates`]. Statements inside quorum vectors count like any others. Left
//! out is only what cannot verify: tuples of the wrong shape, and single statements that break no rule.
//! Bounds: none; memory grows with what is shown.

use super::collect::{attached, entry};
use super::malformed::alone_rule;
use super::{AnyStatement, Evidence, Judge, Malformed, NamedAgree, Pom};
use crate::message::*;
use crate::proposal::{Accusation, Proposal};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use types::{
    Decode, Encode, GroupId, Hash, Header, Ident, Instance, Kind, Roster, Signed, Slot, Turn,
};

/// Instance, turn and kind of a statement.
type Key = (Instance, Turn, Kind);

/// A proposal that is shown, taken apart once.
#[derive(Debug)]
struct Shown {
    value: Value,
    proposal: Option<Proposal>,
}

/// Signed objects, and the proofs that they yield.
#[derive(Debug)]
pub struct Exhibits {
    group: GroupId,
    judge: Judge,
    /// Statements of each signer by key; different ones only.
    said: BTreeMap<(Slot, Ident), BTreeMap<Key, Vec<AnyStatement>>>,
    known: BTreeSet<Hash>,
    /// What one message alone may show.
    alone: Vec<Evidence>,
    agrees: BTreeMap<Hash, NamedAgree>,
    values: BTreeMap<(Slot, Ident), BTreeMap<(Instance, Hash), Shown>>,
    decisions: BTreeMap<Hash, Arc<DecisionCert>>,
}

impl Exhibits {
    /// Nothing is shown yet, and the founding epoch is all that is known. What is shown from an epoch that
    /// is not known by then is left out.
    pub fn new(roster: &Roster) -> Self {
        Self {
            group: roster.group(),
            judge: Judge::new(roster),
            said: BTreeMap::new(),
            known: BTreeSet::new(),
            alone: Vec::new(),
            agrees: BTreeMap::new(),
            values: BTreeMap::new(),
            decisions: BTreeMap::new(),
        }
    }

    /// As [`Exhibits::new`]; signatures that this thread has verified before count as verified.
    #[cfg(feature = "broken-rules")]
    pub fn sharing_verdicts(roster: &Roster) -> Self {
        Self { judge: Judge::sharing_verdicts(roster), ..Self::new(roster) }
    }

    /// Says which roster holds from an instance on. What is known already, or does not follow the newest
    /// that is known, is ignored.
    pub fn learn_epoch(&mut self, first: Instance, roster: &Arc<Roster>) {
        self.judge.learn_epoch(first, roster);
    }

    /// Shows a message with everything that is signed in it.
    pub fn show(&mut self, message: &Message) {
        if !self.known.insert(Hash::tagged("exhibit", &message.to_bytes())) {
            return;
        }
        self.alone.extend(attached(message));
        match message {
            Message::SetTurn(m) => self.say(m.core.clone()),
            Message::Read(m) => {
                self.say(m.core.clone());
                self.show_pol(&m.core.header, &m.pol);
            }
            Message::ReadAck(m) => {
                self.say(m.core.clone());
                self.show_cert(&m.core.header, &m.cert);
                self.show_body(m.statement.as_ref(), m.body.body());
            }
            Message::Agree(m) => {
                self.say(m.core.clone());
                self.show_value(&m.value);
                let bare = NamedAgree::First { core: m.core.clone(), value: None };
                let bare = if m.core.payload.reads == Hash::ZERO {
                    NamedAgree::First { core: m.core.clone(), value: Some((*m.value).clone()) }
                } else {
                    bare
                };
                self.agrees.insert(m.core.digest(), bare);
            }
            Message::AgreeLater(m) => self.show_agree(m),
            Message::AgreeAck(m) => self.say(m.core.clone()),
            Message::Write(m) => {
                self.say(m.core.clone());
                self.show_cert(&m.core.header, &m.cert);
            }
            Message::WriteAck(m) => {
                self.say(m.core.clone());
                self.show_pol(&m.core.header, &m.max_pol);
            }
            Message::ShowQuorum(m) => {
                self.say(m.core.clone());
                self.show_writes(&m.core.header, m.core.payload.value, &m.acks);
                self.show_pol(&m.core.header, &m.pol);
                let decision = m.acks.decision(m.core.header.turn, m.core.payload.value);
                self.show_decision(&m.core.header, decision.map(Arc::new));
            }
            Message::ShowDecision(m) => {
                self.say(m.core.clone());
                self.show_decision(&m.core.header, Some(Arc::clone(&m.cert)));
                self.show_body(m.statement.as_ref(), m.body.body());
            }
            Message::ReportDecision(m) => {
                self.say(m.core.clone());
                self.show_decision(&m.core.header, Some(Arc::clone(&m.cert)));
            }
            Message::Penance(m) => self.say(m.core.clone()),
            Message::Catchup(m) => {
                let header = self.place(m.inst, Turn(0));
                self.show_decision(&header, Some(Arc::clone(&m.cert)));
                if let Some(value) = &m.value {
                    self.show_value(value);
                }
            }
            Message::Wake(_) | Message::Resume(_) | Message::Ping(_) | Message::Pong(_) => {}
        }
    }

    fn place(&self, inst: Instance, turn: Turn) -> Header {
        let (epoch, kind) = (self.judge.roster(inst).epoch(), Kind::Value);
        Header { kind, epoch, inst, turn, slot: Slot(0), ident: Ident(0) }
    }

    /// Keeps a genuine statement; a forged one would only stand in its way.
    fn say<P: types::SignedPayload>(&mut self, signed: Signed<P>)
    where
        AnyStatement: From<Signed<P>>,
    {
        let header = signed.header;
        if self.judge.genuine(&signed).is_err() {
            return;
        }
        let statement = AnyStatement::from(signed);
        let all = self.said.entry((header.slot, header.ident)).or_default();
        let all = all.entry((header.inst, header.turn, header.kind)).or_default();
        if all.iter().all(|known| known.digest() != statement.digest()) {
            all.push(statement);
        }
    }

    /// The header of a vector's entry.
    fn entry_header(&self, near: &Header, turn: Turn, slot: Slot) -> Header {
        let roster = self.judge.roster(near.inst);
        let ident = roster.member(slot).map_or(Ident(0), |member| member.active);
        Header { turn, slot, ident, ..*near }
    }

    fn show_pol(&mut self, near: &Header, pol: &Pol) {
        for (slot, signature) in pol.signers.iter() {
            let header = self.entry_header(near, pol.turn, slot);
            self.say(entry(header, SetTurnStatement {}, *signature));
        }
    }

    fn show_cert(&mut self, near: &Header, cert: &AgreeCert) {
        let payload = AgreeAckStatement { value: cert.value, agree: cert.agree };
        for (slot, signature) in cert.signers.iter() {
            let header = self.entry_header(near, cert.turn, slot);
            self.say(entry(header, payload, *signature));
        }
    }

    fn show_agree(&mut self, m: &AgreeLater) {
        self.say(m.core.clone());
        self.show_cert(&m.core.header, &m.cert);
        self.show_body(m.statement.as_ref(), m.body.body());
        for (slot, it) in m.reads.signers.iter() {
            let header = self.entry_header(&m.core.header, m.core.header.turn, slot);
            let ReadEntry { val_turn, value, cert, signature } = *it;
            let payload = ReadAckStatement { val_turn, value, cert, read: m.reads.read };
            self.say(entry(header, payload, signature));
        }
        for evidence in attached(&Message::AgreeLater(m.clone())) {
            if let Evidence::BadAgree(proof) = evidence {
                self.agrees.insert(m.core.digest(), NamedAgree::Later(proof));
            }
        }
    }

    fn show_writes(&mut self, near: &Header, value: Hash, acks: &WriteQuorum) {
        for (slot, it) in acks.signers.iter() {
            let header = self.entry_header(near, near.turn, slot);
            let WriteEntry { max_turn, max_pol, signature } = *it;
            let payload = WriteAckStatement { value, max_turn, max_pol, write: acks.write };
            self.say(entry(header, payload, signature));
        }
    }

    fn show_decision(&mut self, near: &Header, cert: Option<Arc<DecisionCert>>) {
        let Some(cert) = cert else { return };
        for (slot, it) in cert.signers.iter() {
            let header = self.entry_header(near, cert.turn, slot);
            let (max_turn, max_pol) = (cert.turn, it.max_pol);
            let payload =
                WriteAckStatement { value: cert.value, max_turn, max_pol, write: cert.write };
            self.say(entry(header, payload, it.signature));
        }
        // A value names its instance, so a certificate that verifies is as good as any other.
        if !self.decisions.contains_key(&cert.value)
            && self.judge.verifier.decision(self.judge.place(near.inst), &cert)
        {
            self.decisions.insert(cert.value, cert);
        }
    }

    fn show_body(&mut self, statement: Option<&Signed<ValueStatement>>, body: &[u8]) {
        if let Some(statement) = statement {
            self.show_value(&Value { statement: statement.clone(), body: body.into() });
        }
    }

    fn show_value(&mut self, value: &Value) {
        let header = value.statement.header;
        self.say(value.statement.clone());
        let all = self.values.entry((header.slot, header.ident)).or_default();
        let key = (header.inst, value.statement.payload.body);
        if all.contains_key(&key) || Hash::of(&value.body) != key.1 {
            return;
        }
        let proposal = Proposal::from_bytes(&value.body).ok();
        all.insert(key, Shown { value: value.clone(), proposal });
        self.alone.push(Evidence::MalformedSigned(Malformed::Proposal(value.clone())));
    }

    /// Every candidate against a slot in question. Most of them do not verify.
    pub fn candidates(&self, accused: impl Fn(Slot) -> bool) -> Vec<Pom> {
        let mut found = Vec::new();
        for ((slot, ident), said) in self.said.iter().filter(|((slot, _), _)| accused(*slot)) {
            self.of_statements(said, &mut found);
            if let Some(values) = self.values.get(&(*slot, *ident)) {
                self.of_values(values, &mut found);
            }
        }
        let alone = self.alone.iter().filter(|evidence| accused(evidence.header().slot));
        found.extend(alone.filter(|evidence| self.may_be_alone(evidence)).cloned());
        found.into_iter().map(|evidence| Pom::new(self.group, evidence)).collect()
    }

    /// Candidates that verify.
    pub fn convictions(&mut self, accused: impl Fn(Slot) -> bool) -> Vec<(Pom, super::Conviction)> {
        let all = self.candidates(accused);
        let verified = all.into_iter().filter_map(|pom| {
            let conviction = self.judge.verify(&pom).ok()?;
            Some((pom, conviction))
        });
        verified.collect()
    }

    fn may_be_alone(&self, evidence: &Evidence) -> bool {
        match evidence {
            Evidence::MalformedSigned(Malformed::Alone(statement)) => {
                alone_rule(&self.judge, statement).is_some()
            }
            _ => true,
        }
    }

    /// TR1, TR2, TR4, TR6, TR8 (two statements; one that breaks a rule), TR5, TR7.
    fn of_statements(&self, said: &BTreeMap<Key, Vec<AnyStatement>>, out: &mut Vec<Evidence>) {
        for (key, all) in said {
            for (at, first) in all.iter().enumerate() {
                for second in &all[at + 1..] {
                    out.push(first.clone().against(second.clone()));
                }
                if alone_rule(&self.judge, first).is_some() {
                    out.push(Evidence::MalformedSigned(Malformed::Alone(first.clone())));
                }
                if let AnyStatement::AgreeAck(ack) = first
                    && let Some(agree) = self.agrees.get(&ack.payload.agree)
                {
                    out.push(Evidence::LazyAck { ack: ack.clone(), agree: agree.clone() });
                }
                if key.2 == Kind::WriteAck {
                    let (inst, turn) = (key.0, key.1);
                    let later = said.range((inst, turn, Kind::ReadAck)..);
                    let later = later.take_while(|(key, _)| key.0 == inst);
                    let reads = later.filter(|(key, _)| key.1 > turn && key.2 == Kind::ReadAck);
                    for read in reads.flat_map(|(_, reads)| reads) {
                        out.push(first.clone().against(read.clone()));
                    }
                }
            }
        }
    }

    /// TR10 and TR11.
    fn of_values(&self, values: &BTreeMap<(Instance, Hash), Shown>, out: &mut Vec<Evidence>) {
        for ((no, _), late) in values {
            let Some(later) = &late.proposal else { continue };
            for (_, early) in values.range(..(*no, Hash::ZERO)) {
                let Some(earlier) = &early.proposal else { continue };
                let digest = self.judge.value_digest(&early.value.statement);
                if later.stamp <= earlier.stamp
                    && let Some(cert) = self.decisions.get(&digest)
                {
                    out.push(Evidence::BadProposal {
                        late: late.value.clone(),
                        decided: early.value.clone(),
                        cert: (**cert).clone(),
                    });
                }
                for (at, entry) in later.accuse.iter().enumerate() {
                    if *entry != Accusation::default() && entry.inst < earlier.closed_upto {
                        out.push(Evidence::FalseList {
                            listing: late.value.clone(),
                            closing: early.value.clone(),
                            target: Slot(at as u16),
                        });
                    }
                }
            }
        }
    }
}

/// Every proof against a slot in question that these messages yield and that verifies.
pub fn convictions<'a>(
    roster: &Roster,
    messages: impl IntoIterator<Item = &'a Message>,
    accused: impl Fn(Slot) -> bool,
) -> Vec<(Pom, super::Conviction)> {
    let mut exhibits = Exhibits::new(roster);
    for message in messages {
        exhibits.show(message);
    }
    exhibits.convictions(accused)
}
