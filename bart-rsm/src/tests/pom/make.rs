//! Statements, vectors and proofs as guilty members would leave them behind. Five members, f = 1,
//! q = 3; slot 0 is the sender of instance 0 and leads turn 0, slot 2 leads turn 1, slot 3 turn 2.

use super::super::harness::{roster, secret};
use crate::message::*;
use crate::pom::*;
use crate::proposal::{Accusation, Proposal};
use types::*;

pub(crate) const SENDER: u16 = 0;
/// Of turn 1 in instance 0.
pub(crate) const LEADER: u16 = 2;
/// The acceptors that sign in vectors.
pub(crate) const VOTERS: [u16; 3] = [1, 2, 3];

/// Where and as whom something is signed.
#[derive(Clone)]
pub(crate) struct By {
    pub(crate) group: GroupId,
    pub(crate) epoch: Epoch,
    pub(crate) ident: Ident,
    pub(crate) slot: u16,
    pub(crate) inst: u64,
    pub(crate) turn: u32,
}

pub(crate) fn by(slot: u16, inst: u64, turn: u32) -> By {
    let roster = roster(5);
    let (group, epoch) = (roster.group(), roster.epoch());
    By { group, epoch, ident: Ident(0), slot, inst, turn }
}

impl By {
    pub(crate) fn sign<P: SignedPayload>(&self, payload: P) -> Signed<P> {
        let header = Header {
            kind: P::KIND,
            epoch: self.epoch,
            inst: Instance(self.inst),
            turn: Turn(self.turn),
            slot: Slot(self.slot),
            ident: self.ident,
        };
        Signed::new(&secret(self.slot), &self.group, header, payload).into_inner()
    }

    pub(crate) fn slot(&self, slot: u16) -> Self {
        Self { slot, ..self.clone() }
    }
}

pub(crate) fn hash(seed: u8) -> Hash {
    Hash::of(&[seed])
}

/// A signed proposal with any body.
pub(crate) fn value(by: &By, body: Vec<u8>) -> Value {
    let stated = ValueStatement { body: Hash::of(&body), len: Size(body.len() as u64) };
    Value { statement: by.sign(stated), body: body.into() }
}

/// A well-formed proposal, changed.
pub(crate) fn proposal(stamp: u64, change: impl FnOnce(&mut Proposal)) -> Vec<u8> {
    let mut proposal = Proposal::plain(5, Stamp(stamp), vec![b"x".to_vec()]);
    change(&mut proposal);
    proposal.to_bytes()
}

pub(crate) fn digest_of(by: &By, value: &Value) -> Hash {
    let Header { inst, slot, epoch, .. } = value.statement.header;
    value_digest(by.group, epoch, inst, slot, &value.statement.payload)
}

pub(crate) fn null(by: &By) -> Hash {
    let sender = Slot((by.inst % 5) as u16);
    null_digest(by.group, by.epoch, Instance(by.inst), sender)
}

pub(crate) fn pol(by: &By, voters: &[u16]) -> Pol {
    let each = voters.iter().map(|v| (Slot(*v), by.slot(*v).sign(SetTurnStatement {}).signature));
    Pol { turn: Turn(by.turn), signers: Signers::new(each) }
}

pub(crate) fn cert(by: &By, value: Hash, agree: Hash, voters: &[u16]) -> AgreeCert {
    let ack = AgreeAckStatement { value, agree };
    let each = voters.iter().map(|v| (Slot(*v), by.slot(*v).sign(ack).signature));
    AgreeCert { turn: Turn(by.turn), value, agree, signers: Signers::new(each) }
}

/// A read quorum in which `said` is each voter's claim: turn, value, certificate.
pub(crate) fn reads(by: &By, said: &[(u16, Turn, Hash, Hash)]) -> ReadQuorum {
    let read = hash(200);
    let each = said.iter().map(|&(voter, val_turn, value, cert)| {
        let ack = ReadAckStatement { val_turn, value, cert, read };
        let signature = by.slot(voter).sign(ack).signature;
        (Slot(voter), ReadEntry { val_turn, value, cert, signature })
    });
    ReadQuorum { read, signers: Signers::new(each) }
}

pub(crate) fn none(voter: u16) -> (u16, Turn, Hash, Hash) {
    (voter, TURN_NONE, Hash::ZERO, Hash::ZERO)
}

pub(crate) fn writes(by: &By, value: Hash, max_turn: u32, voters: &[u16]) -> WriteQuorum {
    let (write, max_turn, max_pol) = (hash(201), Turn(max_turn), hash(202));
    let ack = WriteAckStatement { value, max_turn, max_pol, write };
    let each = voters.iter().map(|v| {
        let signature = by.slot(*v).sign(ack).signature;
        (Slot(*v), WriteEntry { max_turn, max_pol, signature })
    });
    WriteQuorum { write, signers: Signers::new(each) }
}

pub(crate) fn decision(by: &By, value: Hash, voters: &[u16]) -> DecisionCert {
    let mut acks = writes(by, value, by.turn, voters);
    acks.write = hash(201);
    acks.decision(Turn(by.turn), value).unwrap()
}

pub(crate) fn pom(by: &By, evidence: Evidence) -> Pom {
    Pom::new(by.group, evidence)
}

pub(crate) fn write_ack(by: &By, max_turn: u32) -> Signed<WriteAckStatement> {
    let max_pol = if max_turn == 0 { Pol::null(3).digest() } else { hash(9) };
    by.sign(WriteAckStatement { value: hash(1), max_turn: Turn(max_turn), max_pol, write: hash(2) })
}

pub(crate) fn read_ack(by: &By, val_turn: Turn) -> Signed<ReadAckStatement> {
    let (value, cert) = match val_turn {
        TURN_NONE => (Hash::ZERO, Hash::ZERO),
        _ => (hash(1), hash(3)),
    };
    by.sign(ReadAckStatement { val_turn, value, cert, read: hash(4) })
}

/// An AGREE of turn 1 for `value` over `reads`.
pub(crate) fn agree(by: &By, value: Hash, reads: &ReadQuorum) -> Signed<AgreeStatement> {
    by.sign(AgreeStatement { value, reads: reads.digest() })
}

/// An AGREE over a quorum that read nothing, for a value that is not NULL.
pub(crate) fn bad_agree(by: &By) -> AgreeProof {
    let reads = reads(by, &VOTERS.map(none));
    AgreeProof { core: agree(by, hash(1), &reads), reads, cert: None }
}

/// An AGREE for a value of turn 0 whose certificate has a signer too few.
pub(crate) fn uncertified_agree(by: &By, voters: &[u16]) -> AgreeProof {
    let first = By { turn: 0, ..by.clone() };
    let cert = cert(&first, hash(1), hash(5), voters);
    let entry = (1, Turn(0), hash(1), cert.digest());
    let reads = reads(by, &[entry, none(2), none(3)]);
    AgreeProof { core: agree(by, hash(1), &reads), reads, cert: Some(cert) }
}

/// An AGREE of turn 0 for this body, and the acknowledgement of slot 1.
pub(crate) fn acked_first(body: Vec<u8>) -> (Signed<AgreeAckStatement>, NamedAgree) {
    let by = by(SENDER, 0, 0);
    let value = value(&by, body);
    let digest = digest_of(&by, &value);
    let core = by.sign(AgreeStatement { value: digest, reads: Hash::ZERO });
    let ack = by.slot(1).sign(AgreeAckStatement { value: digest, agree: core.digest() });
    (ack, NamedAgree::First { core, value: Some(value) })
}

pub(crate) fn acked_later(proof: AgreeProof) -> (Signed<AgreeAckStatement>, NamedAgree) {
    let (value, agree) = (proof.core.payload.value, proof.core.digest());
    let header = proof.core.header;
    let by = by(1, header.inst.0, header.turn.0);
    (by.sign(AgreeAckStatement { value, agree }), NamedAgree::Later(proof))
}

/// Slot 0's proposals of instances 0 and 5 with these stamps, the first one decided.
pub(crate) fn stamps(earlier: u64, later: u64) -> Evidence {
    let (first, second) = (by(SENDER, 0, 0), by(SENDER, 5, 0));
    let decided = value(&first, proposal(earlier, |_| {}));
    let cert = decision(&first, digest_of(&first, &decided), &VOTERS);
    Evidence::BadProposal { late: value(&second, proposal(later, |_| {})), decided, cert }
}

pub(crate) fn overdue(inst: u64) -> Accusation {
    let kind = Kind::AgreeAck as u8;
    Accusation { reason: 1, inst: Instance(inst), turn: Turn(0), kind, message: Hash::ZERO }
}

/// Slot 0 closes everything below 4 in instance 5 and lists slot 3 for `inst` in instance 10.
pub(crate) fn listing(inst: u64, before: Accusation) -> Evidence {
    let close = |p: &mut Proposal| {
        p.closed_upto = Instance(4);
        p.accuse[3] = before;
    };
    Evidence::FalseList {
        closing: value(&by(SENDER, 5, 0), proposal(50, close)),
        listing: value(&by(SENDER, 10, 0), proposal(60, |p| p.accuse[3] = overdue(inst))),
        target: Slot(3),
    }
}

/// One guilty example of every kind, and of every form of a kind.
pub(crate) fn all() -> Vec<(&'static str, Pom)> {
    let mut all = Vec::new();
    let first = by(SENDER, 0, 0);
    let led = by(LEADER, 0, 1);
    let voter = |turn| by(1, 0, turn);
    let mut put = |name, evidence| all.push((name, pom(&first, evidence)));
    let two = |a: Value, b: Value| Pair::new(a.statement, b.statement);
    let (a, b) = (value(&first, proposal(1, |_| {})), value(&first, proposal(2, |_| {})));
    put("TR1", Evidence::SenderEquivocation(two(a.clone(), b)));
    let (r, s) = (reads(&led, &VOTERS.map(none)), reads(&led, &[none(1), none(2), none(4)]));
    let pair = Pair::new(agree(&led, null(&led), &r), agree(&led, null(&led), &s));
    put("TR2", Evidence::LeaderEquivocation(pair));
    put("TR3 value", Evidence::BadAgree(bad_agree(&led)));
    put("TR3 cert", Evidence::BadAgree(uncertified_agree(&led, &[1, 2])));
    let short = reads(&led, &[none(1), none(2)]);
    let core = agree(&led, null(&led), &short);
    put("TR3 reads", Evidence::BadAgree(AgreeProof { core, reads: short, cert: None }));
    let ack = |agree| voter(0).sign(AgreeAckStatement { value: hash(1), agree });
    put("TR4", Evidence::DoubleAgreeAck(Pair::new(ack(hash(2)), ack(hash(3)))));
    let mut lazy = |name, (ack, agree)| put(name, Evidence::LazyAck { ack, agree });
    lazy("TR5 first", acked_first(proposal(1, |p| p.untimely[1] = 255)));
    lazy("TR5 undecodable", acked_first(vec![1, 2, 3]));
    lazy("TR5 value", acked_later(bad_agree(&led)));
    lazy("TR5 cert", acked_later(uncertified_agree(&led, &[1, 2])));
    let core = first.sign(AgreeStatement { value: hash(1), reads: hash(2) });
    let ack = first.slot(1).sign(AgreeAckStatement { value: hash(1), agree: core.digest() });
    lazy("TR5 reads in turn 0", (ack, NamedAgree::First { core, value: None }));
    let pair = Pair::new(write_ack(&voter(0), 0), write_ack(&voter(0), 1));
    put("TR6", Evidence::DoubleWriteAck(pair));
    let (write, read) = (write_ack(&voter(1), 1), read_ack(&voter(2), TURN_NONE));
    put("TR7 none", Evidence::StaleMaxPol { write: write.clone(), read });
    put("TR7 older", Evidence::StaleMaxPol { write, read: read_ack(&voter(2), Turn(0)) });
    for (name, what) in malformed(&first, &led) {
        put(name, Evidence::MalformedSigned(what));
    }
    for (name, vector) in vectors(&first, &led) {
        put(name, Evidence::BadQuorumVector(vector));
    }
    put("TR10 equal", stamps(7, 7));
    put("TR10 back", stamps(7, 6));
    put("TR11", listing(3, Accusation::default()));
    all
}

fn malformed(first: &By, led: &By) -> Vec<(&'static str, Malformed)> {
    let voter = led.slot(1);
    let stale = write_ack(&By { turn: 2, ..voter.clone() }, 1);
    let claim = ReadAckStatement { value: hash(1), ..read_ack(&voter, TURN_NONE).payload };
    let weak = cert(&By { turn: 0, ..led.clone() }, hash(1), hash(5), &[1, 2]);
    let named =
        ReadAckStatement { val_turn: Turn(0), value: hash(1), cert: weak.digest(), read: hash(4) };
    let later = pol(&By { turn: 3, ..led.clone() }, &[1, 2]);
    let ack = WriteAckStatement {
        value: hash(1),
        max_turn: Turn(3),
        max_pol: later.digest(),
        write: hash(2),
    };
    let reads = |seed| led.sign(ReadStatement { pol: hash(seed) });
    vec![
        ("TR8 sender starts a turn", Malformed::Alone(first_turn(first).into())),
        ("TR8 max-pol below the turn", Malformed::Alone(stale.into())),
        ("TR8 nothing accepted, something shown", Malformed::Alone(voter.sign(claim).into())),
        ("TR8 foreign proposal", Malformed::Alone(value(&led.slot(1), vec![1]).statement.into())),
        (
            "TR8 foreign turn",
            Malformed::Alone(led.slot(3).sign(ReadStatement { pol: hash(1) }).into()),
        ),
        ("TR8 two reads", Malformed::twice(reads(1).into(), reads(2).into())),
        ("TR8 certificate of a read-ack", Malformed::ReadAck(voter.sign(named), weak)),
        ("TR8 proof in a write-ack", Malformed::WriteAck(voter.sign(ack), later)),
        ("TR8 marks", Malformed::Proposal(value(first, proposal(1, |p| p.untimely[1] = 2)))),
        ("TR8 own entry", Malformed::Proposal(value(first, proposal(1, |p| p.untimely[0] = 1)))),
        ("TR8 lengths", Malformed::Proposal(value(first, proposal(1, |p| p.untimely.clear())))),
    ]
}

fn first_turn(first: &By) -> Signed<SetTurnStatement> {
    By { turn: 1, ..first.clone() }.sign(SetTurnStatement {})
}

fn vectors(first: &By, led: &By) -> Vec<(&'static str, BadVector)> {
    let short = pol(led, &[1, 2]);
    let read = led.sign(ReadStatement { pol: short.digest() });
    let with_sender = pol(led, &[0, 1, 2]);
    let second = led.sign(ReadStatement { pol: with_sender.digest() });
    let (value, agree) = (hash(1), hash(2));
    let other_turn = cert(&By { turn: 1, ..first.clone() }, value, agree, &VOTERS);
    let write = first.sign(WriteStatement { value, agree, cert: other_turn.digest() });
    let acks = writes(first, value, 0, &[1, 2]);
    let show = first.sign(ShowQuorumStatement { value, acks: acks.digest() });
    let foreign = decision(&By { inst: 5, ..first.clone() }, value, &VOTERS);
    let payload = ShowDecisionStatement { value, cert: foreign.digest() };
    let report = ReportStatement { value, cert: foreign.digest() };
    vec![
        ("TR9 q - 1 set-turns", BadVector::Read(read, short)),
        ("TR9 the sender in the vector", BadVector::Read(second, with_sender)),
        ("TR9 certificate of another turn", BadVector::Write(write, other_turn)),
        ("TR9 q - 1 write-acks", BadVector::ShowQuorum(show, acks)),
        (
            "TR9 decision of another instance",
            BadVector::ShowDecision(led.sign(payload), foreign.clone()),
        ),
        ("TR9 report", BadVector::Report(first.slot(1).sign(report), foreign)),
    ]
}
