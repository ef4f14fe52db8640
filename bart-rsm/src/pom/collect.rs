//! What a running core does to notice provable wrongs (specification 8.2).
//!
//! Every statement whose signature verifies is compared with what its signer said before
//! (`seen.rs`). A message that is refused is looked at once more: whatever its author signed in it may
//! be a proof by itself. Nothing leaves that does not verify as a proof.
//!
//! Guarantees: (1) the honest path costs one comparison a verified statement; (2) a refused message
//! costs its sender's link no more checks than an accepted one. Bounds: [`EVIDENCE_MAX`] proofs a
//! kind and slot, [`BAD_AGREES_MAX`] refused AGREEs.
//! Not noticed: what nobody honest ever sees side by side (two proposals that split the group so
//! evenly that neither is certified: the instance becomes NULL), and what was seen before a restart.

use super::{
    AgreeProof, AnyStatement, BadVector, Evidence, Judge, Malformed, NamedAgree, Pair, Pom, PomKind,
};
use crate::config::Rules;
use crate::core::{Core, Outcome};
use crate::effect::{Effect, Fault};
use crate::message::*;
use crate::proposal::Proposal;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use types::{Decode, Hash, Header, Instance, Kind, Signature, Signed, Slot, Turn};

/// Proofs of one kind against one slot that leave: one convicts.
pub const EVIDENCE_MAX: usize = 4;
/// Refused AGREEs that are kept until somebody shows who acknowledged them.
const BAD_AGREES_MAX: usize = 8;
/// Earlier proposals of an accuser that are compared with a listing.
const LISTINGS_MAX: usize = 3;

/// What the core keeps for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Collector {
    left: BTreeMap<(PomKind, Slot), Vec<Hash>>,
    bad_agrees: VecDeque<NamedAgree>,
}

impl Core {
    /// Looks at a message that was handled, for what its author signed.
    pub(crate) fn inspect(&mut self, from: Slot, message: &Message, outcome: &Outcome) {
        match outcome {
            Outcome::Fault(Fault::Malformed(..) | Fault::BadSignature(_)) => {
                for evidence in attached(message) {
                    self.convict(evidence);
                }
                self.keep_bad_agree(message);
                self.stale_stamp(from, message);
                self.compare(from, message);
            }
            Outcome::Fault(Fault::Unexpected(_)) => {
                if let Some(statement) = own_statement(message) {
                    self.convict(Evidence::MalformedSigned(Malformed::Alone(statement)));
                }
                self.compare(from, message);
            }
            Outcome::Done => self.compare(from, message),
            Outcome::Park => {}
            Outcome::Fault(_) => {}
        }
        if let Message::Write(write) = message {
            self.lazy_acks(write);
        }
    }

    /// Shows the author's own statement to the verifier, which remembers it. A repetition is known
    /// and costs no check.
    fn compare(&mut self, from: Slot, message: &Message) {
        let verifier = &mut self.verifier;
        let _ = match message {
            Message::Read(m) => verifier.signed(from, &m.core),
            Message::ReadAck(m) => verifier.signed(from, &m.core),
            Message::Agree(m) => {
                let sender = m.value.statement.header.slot;
                verifier.signed(sender, &m.value.statement) && verifier.signed(from, &m.core)
            }
            Message::AgreeLater(m) => verifier.signed(from, &m.core),
            Message::AgreeAck(m) => verifier.signed(from, &m.core),
            Message::Write(m) => verifier.signed(from, &m.core),
            Message::WriteAck(m) => verifier.signed(from, &m.core),
            Message::ShowQuorum(m) => verifier.signed(from, &m.core),
            _ => true,
        };
    }

    fn keep_bad_agree(&mut self, message: &Message) {
        let named = match message {
            Message::Agree(m) => {
                let value = Some((*m.value).clone()).filter(|_| m.core.payload.reads == Hash::ZERO);
                NamedAgree::First { core: m.core.clone(), value }
            }
            Message::AgreeLater(m) => NamedAgree::Later(agree_proof(m)),
            _ => return,
        };
        let kept = &mut self.collector.bad_agrees;
        kept.push_back(named);
        if kept.len() > BAD_AGREES_MAX {
            kept.pop_front();
        }
    }

    /// A WRITE shows who acknowledged an AGREE that we refused (TR5).
    fn lazy_acks(&mut self, write: &Write) {
        let named = write.core.payload.agree;
        let Some(agree) = self.collector.bad_agrees.iter().find(|agree| agree.digest() == named)
        else {
            return;
        };
        let agree = agree.clone();
        let cert = &write.cert;
        let payload = AgreeAckStatement { value: cert.value, agree: cert.agree };
        let Header { epoch, inst, .. } = write.core.header;
        for (slot, signature) in cert.signers.iter() {
            let Some(ident) = self.epoch(inst).roster.member(slot).map(|m| m.active) else {
                continue;
            };
            let kind = Kind::AgreeAck;
            let header = Header { kind, epoch, inst, turn: cert.turn, slot, ident };
            let ack = Signed { header, payload, signature: *signature };
            self.convict(Evidence::LazyAck { ack, agree: agree.clone() });
        }
    }

    /// A proposal whose stamp goes back (TR10), if the decided one is at hand.
    fn stale_stamp(&mut self, from: Slot, message: &Message) {
        let Message::Agree(m) = message else { return };
        let no = m.value.statement.header.inst;
        let Ok(late) = Proposal::from_bytes(&m.value.body) else { return };
        let earlier = self.insts.range(..no).rev().filter(|(_, inst)| inst.sender == from);
        let found = earlier.take(LISTINGS_MAX).find_map(|(_, inst)| {
            let (value, cert) = (inst.decided_value()?, inst.decided.as_ref()?);
            let decided = Proposal::from_bytes(&value.body).ok()?;
            (late.stamp <= decided.stamp).then(|| (Arc::clone(value), Arc::clone(cert)))
        });
        if let Some((decided, cert)) = found {
            let (decided, cert) = ((*decided).clone(), (*cert).clone());
            self.convict(Evidence::BadProposal { late: (*m.value).clone(), decided, cert });
        }
    }

    /// A decided proposal that lists somebody, against earlier ones of its sender (TR11).
    pub(crate) fn check_listings(
        &mut self,
        no: Instance,
        sender: Slot,
        proposal: Option<&Proposal>,
    ) {
        let Some(proposal) = proposal else { return };
        if proposal.accuse.iter().all(|entry| entry.reason != 1) {
            return;
        }
        let Some(listing) = self.insts.get(&no).and_then(|inst| inst.decided_value()).cloned()
        else {
            return;
        };
        let earlier = self.insts.range(..no).rev().filter(|(_, inst)| inst.sender == sender);
        let earlier: Vec<_> = earlier
            .flat_map(|(_, inst)| inst.values.values())
            .take(LISTINGS_MAX)
            .cloned()
            .collect();
        for closing in earlier {
            let Ok(before) = Proposal::from_bytes(&closing.body) else { continue };
            for (at, entry) in proposal.accuse.iter().enumerate() {
                let listed = before.accuse.get(at).is_none_or(|entry| entry.reason != 0);
                if entry.reason == 1 && entry.inst < before.closed_upto && !listed {
                    self.convict(Evidence::FalseList {
                        listing: (*listing).clone(),
                        closing: (*closing).clone(),
                        target: Slot(at as u16),
                    });
                }
            }
        }
    }

    /// A second signed proposal beside one that is kept (TR1).
    pub(crate) fn two_values(&mut self, first: &Value, second: &Value) {
        let pair = Pair::new(first.statement.clone(), second.statement.clone());
        self.convict(Evidence::SenderEquivocation(pair));
    }

    /// Contradictions that the verifier came upon.
    pub(crate) fn collect_evidence(&mut self) {
        for (first, second) in self.verifier.take_conflicts() {
            if let Some(evidence) = contradiction(&first, &second) {
                self.convict(evidence);
            }
        }
    }

    /// Lets a proof out, once, if it is one.
    fn convict(&mut self, evidence: Evidence) {
        let pom = Pom::new(self.config.roster.group(), evidence);
        let left = self.collector.left.entry((pom.kind(), pom.accused)).or_default();
        if left.len() >= EVIDENCE_MAX || left.contains(&pom.digest()) {
            return;
        }
        let mut judge = Judge::knowing(self.schedule.clone(), Rules::default());
        if pom.accused == self.me || judge.verify(&pom).is_err() {
            return;
        }
        left.push(pom.digest());
        self.propose_proof(&pom);
        self.out.push(Effect::Evidence(Box::new(pom)));
    }
}

impl NamedAgree {
    fn digest(&self) -> Hash {
        match self {
            Self::First { core, .. } | Self::Later(AgreeProof { core, .. }) => core.digest(),
        }
    }
}

/// The certificate is attached only where the value is that of the latest answer: then it alone can be
/// what is wrong.
fn agree_proof(m: &AgreeLater) -> AgreeProof {
    let decisive = crate::agree::latest(m.reads.signers.iter().map(|(_, entry)| entry))
        .is_some_and(|entry| entry.value == m.core.payload.value && entry.cert == m.cert.digest());
    let cert = decisive.then(|| (*m.cert).clone());
    AgreeProof { core: m.core.clone(), reads: (*m.reads).clone(), cert }
}

/// What the author signed for, as one statement.
fn own_statement(message: &Message) -> Option<AnyStatement> {
    Some(match message {
        Message::SetTurn(m) => m.core.clone().into(),
        Message::Read(m) => m.core.clone().into(),
        Message::ReadAck(m) => m.core.clone().into(),
        Message::Agree(m) => m.core.clone().into(),
        Message::AgreeLater(m) => m.core.clone().into(),
        Message::AgreeAck(m) => m.core.clone().into(),
        Message::Write(m) => m.core.clone().into(),
        Message::WriteAck(m) => m.core.clone().into(),
        Message::ShowQuorum(m) => m.core.clone().into(),
        Message::ShowDecision(m) => m.core.clone().into(),
        Message::ReportDecision(m) => m.core.clone().into(),
        Message::Penance(_)
        | Message::Wake(_)
        | Message::Resume(_)
        | Message::Ping(_)
        | Message::Pong(_)
        | Message::Catchup(_) => {
            return None;
        }
    })
}

/// Every proof that one message alone may be.
pub(super) fn attached(message: &Message) -> Vec<Evidence> {
    let form = Evidence::MalformedSigned;
    let mut all: Vec<Evidence> = own_statement(message)
        .map(|statement| form(Malformed::Alone(statement)))
        .into_iter()
        .collect();
    match message {
        Message::Read(m) => all.push(vector(BadVector::Read(m.core.clone(), (*m.pol).clone()))),
        Message::ReadAck(m) => {
            all.push(form(Malformed::ReadAck(m.core.clone(), (*m.cert).clone())))
        }
        Message::Agree(m) => {
            all.push(form(Malformed::Alone(m.value.statement.clone().into())));
            all.push(form(Malformed::Proposal((*m.value).clone())));
        }
        Message::AgreeLater(m) => all.push(Evidence::BadAgree(agree_proof(m))),
        Message::Write(m) => all.push(vector(BadVector::Write(m.core.clone(), (*m.cert).clone()))),
        Message::WriteAck(m) => {
            all.push(form(Malformed::WriteAck(m.core.clone(), (*m.max_pol).clone())));
        }
        Message::ShowQuorum(m) => {
            all.push(vector(BadVector::ShowQuorum(m.core.clone(), (*m.acks).clone())));
        }
        Message::ShowDecision(m) => {
            all.push(vector(BadVector::ShowDecision(m.core.clone(), (*m.cert).clone())));
        }
        Message::ReportDecision(m) => {
            all.push(vector(BadVector::Report(m.core.clone(), (*m.cert).clone())));
        }
        Message::SetTurn(_)
        | Message::AgreeAck(_)
        | Message::Penance(_)
        | Message::Wake(_)
        | Message::Ping(_)
        | Message::Pong(_)
        | Message::Resume(_)
        | Message::Catchup(_) => {}
    }
    all
}

fn vector(vector: BadVector) -> Evidence {
    Evidence::BadQuorumVector(vector)
}

/// Two encoded statements of one signer that cannot both stand.
pub(super) fn contradiction(first: &[u8], second: &[u8]) -> Option<Evidence> {
    let first = AnyStatement::from_bytes(first).ok()?;
    let second = AnyStatement::from_bytes(second).ok()?;
    Some(first.against(second))
}

impl AnyStatement {
    /// The proof that two statements may be, by their kinds.
    pub(super) fn against(self, other: Self) -> Evidence {
        match (self, other) {
            (Self::Value(a), Self::Value(b)) => Evidence::SenderEquivocation(Pair::new(a, b)),
            (Self::Agree(a), Self::Agree(b)) if a.header.turn > Turn(0) => {
                Evidence::LeaderEquivocation(Pair::new(a, b))
            }
            (Self::AgreeAck(a), Self::AgreeAck(b)) => Evidence::DoubleAgreeAck(Pair::new(a, b)),
            (Self::WriteAck(a), Self::WriteAck(b)) => Evidence::DoubleWriteAck(Pair::new(a, b)),
            (Self::WriteAck(write), Self::ReadAck(read)) => Evidence::StaleMaxPol { write, read },
            (a, b) => Evidence::MalformedSigned(Malformed::twice(a, b)),
        }
    }
}

/// A vector's entry as the statement that its signer made.
pub(super) fn entry<P: types::SignedPayload>(
    header: Header,
    payload: P,
    signature: Signature,
) -> Signed<P> {
    Signed { header: Header { kind: P::KIND, ..header }, payload, signature }
}
