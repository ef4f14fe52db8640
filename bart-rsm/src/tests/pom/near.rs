//! Near misses: what an honest member signs looks like this, and convicts nobody.

use super::super::harness::roster;
use super::make::*;
use crate::message::*;
use crate::pom::*;
use crate::proposal::Accusation;
use types::*;

/// Refused, for this reason.
fn refused(evidence: Evidence, why: &str) {
    let pom = pom(&by(SENDER, 0, 0), evidence);
    let error = verify(&pom, &roster(5)).expect_err(why).to_string();
    assert!(error.contains(why), "`{error}` instead of `{why}`");
}

#[test]
fn two_statements_near_misses() {
    let ack = |by: &By, agree| by.sign(AgreeAckStatement { value: hash(1), agree });
    let double = |a, b| Evidence::DoubleAgreeAck(Pair::new(a, b));
    let me = by(1, 0, 0);
    refused(double(ack(&me, hash(2)), ack(&me, hash(2))), "both statements say the same");
    refused(double(ack(&me, hash(2)), ack(&by(1, 0, 1), hash(3))), "different turns");
    refused(double(ack(&me, hash(2)), ack(&by(1, 1, 0), hash(3))), "different instances");
    refused(double(ack(&me, hash(2)), ack(&by(3, 0, 0), hash(3))), "not the accused's");
    let restored = By { ident: Ident(1), ..me.clone() };
    refused(double(ack(&me, hash(2)), ack(&restored, hash(3))), "not the accused's");
    let old = By { epoch: Epoch(2), ..me.clone() };
    let error = double(ack(&me, hash(2)), ack(&old, hash(3)));
    let pom = Pom { epoch: Epoch(3), ..pom(&me, error) };
    assert!(matches!(verify(&pom, &roster(5)), Err(PomError::ObjectEpoch(_))));
    // The same words under two signatures, and a signature under other words.
    let mut forged = ack(&me, hash(3));
    forged.signature = ack(&me, hash(2)).signature;
    refused(double(ack(&me, hash(2)), forged), "does not verify");
    // Two rosters' proposals: the sender of the next instance may say something else.
    let value = |by: &By, stamp| value(by, proposal(stamp, |_| {})).statement;
    let pair = Pair::new(value(&by(SENDER, 0, 0), 1), value(&by(SENDER, 5, 0), 2));
    refused(Evidence::SenderEquivocation(pair), "different instances");
    let write = |max| write_ack(&me, max);
    refused(
        Evidence::DoubleWriteAck(Pair::new(write(1), write_ack(&by(1, 0, 1), 1))),
        "different turns",
    );
    refused(Evidence::DoubleWriteAck(Pair::new(write(1), write(1))), "say the same");
    // TR2 in turn 0 is TR8: the first AGREE belongs to the sender.
    let core =
        |seed| by(SENDER, 0, 0).sign(AgreeStatement { value: hash(seed), reads: Hash::ZERO });
    refused(Evidence::LeaderEquivocation(Pair::new(core(1), core(2))), "turn 0 has no leader");
    let (led, r) = (by(LEADER, 0, 1), reads(&by(LEADER, 0, 1), &VOTERS.map(none)));
    let next = by(LEADER, 0, 5);
    let pair = Pair::new(agree(&led, hash(1), &r), agree(&next, hash(2), &r));
    refused(Evidence::LeaderEquivocation(pair), "different turns");
}

#[test]
fn agree_near_misses() {
    let led = by(LEADER, 0, 1);
    let bad = |proof: AgreeProof| refused_agree(proof);
    // NULL where nobody accepted anything; a value with a full certificate.
    let r = reads(&led, &VOTERS.map(none));
    bad((agree(&led, null(&led), &r), r.clone(), None).into());
    bad(uncertified_agree(&led, &VOTERS));
    // An answer of an earlier turn decides nothing.
    let first = By { turn: 0, ..led.clone() };
    let good = cert(&led, hash(1), hash(5), &VOTERS);
    let weak = cert(&first, hash(2), hash(6), &[1, 2]);
    let entries =
        [(1, Turn(1), hash(1), good.digest()), (2, Turn(0), hash(2), weak.digest()), none(3)];
    let later = by(3, 0, 2);
    let r = reads(&later, &entries);
    bad((agree(&later, hash(1), &r), r.clone(), Some(good)).into());
    let proof: AgreeProof = (agree(&later, hash(1), &r), r.clone(), Some(weak)).into();
    refused(Evidence::BadAgree(proof), "is not the one that was signed for");
    // A read quorum that the AGREE does not name.
    let other = reads(&later, &[none(1), none(2), none(4)]);
    let proof: AgreeProof = (agree(&later, hash(1), &r), other, None).into();
    refused(Evidence::BadAgree(proof), "is not the one that was signed for");
    // More than is needed.
    let mut proof = bad_agree(&led);
    proof.cert = Some(AgreeCert::blank(3));
    refused(Evidence::BadAgree(proof), "without need");
}

impl From<(Signed<AgreeStatement>, ReadQuorum, Option<AgreeCert>)> for AgreeProof {
    fn from((core, reads, cert): (Signed<AgreeStatement>, ReadQuorum, Option<AgreeCert>)) -> Self {
        Self { core, reads, cert }
    }
}

/// Neither its leader nor who acknowledged it is guilty.
fn refused_agree(proof: AgreeProof) {
    let (ack, agree) = acked_later(proof.clone());
    refused(Evidence::BadAgree(proof), "prove nothing");
    refused(Evidence::LazyAck { ack, agree }, "prove nothing");
}

#[test]
fn lazy_ack_near_misses() {
    let (ack, agree) = acked_first(proposal(1, |_| {}));
    refused(Evidence::LazyAck { ack: ack.clone(), agree }, "well-formed");
    // An outsider makes a bad AGREE that the acceptor never named.
    let (_, agree) = acked_first(vec![1, 2, 3]);
    refused(Evidence::LazyAck { ack, agree }, "is not the one that was signed for");
    // A bad AGREE that its leader never signed.
    let (ack, agree) = acked_later(bad_agree(&by(LEADER, 0, 1)));
    let NamedAgree::Later(mut proof) = agree else { unreachable!() };
    proof.core.signature = ack.signature;
    refused(Evidence::LazyAck { ack, agree: NamedAgree::Later(proof) }, "slot 2 under the Agree");
    // A body that is not the one acknowledged.
    let (ack, agree) = acked_first(proposal(1, |_| {}));
    let NamedAgree::First { core, value } = agree else { unreachable!() };
    let value = Value { body: [1, 2, 3].as_slice().into(), ..value.unwrap() };
    let agree = NamedAgree::First { core: core.clone(), value: Some(value) };
    refused(Evidence::LazyAck { ack: ack.clone(), agree }, "body of the proposal");
    let agree = NamedAgree::First { core, value: None };
    refused(Evidence::LazyAck { ack, agree }, "nothing is wrong");
}

#[test]
fn stale_max_pol_near_misses() {
    let voter = |turn| by(1, 0, turn);
    let tr7 = |write, read| Evidence::StaleMaxPol { write, read };
    let none = |turn| read_ack(&voter(turn), TURN_NONE);
    // It answered the read first and says so; or the write first and says so.
    refused(tr7(write_ack(&voter(1), 2), none(2)), "names the later turn");
    refused(tr7(write_ack(&voter(1), 1), read_ack(&voter(2), Turn(1))), "names the written value");
    refused(tr7(write_ack(&voter(1), 1), read_ack(&voter(2), Turn(2))), "names the written value");
    // In one turn the read comes first.
    refused(tr7(write_ack(&voter(2), 2), none(2)), "not of a later turn");
    refused(tr7(write_ack(&voter(3), 3), none(2)), "not of a later turn");
    refused(tr7(write_ack(&by(1, 1, 1), 1), none(2)), "different instances");
    refused(tr7(write_ack(&by(3, 0, 1), 1), none(2)), "not the accused's");
}

#[test]
fn malformed_near_misses() {
    let bad = |what: Malformed, why| refused(Evidence::MalformedSigned(what), why);
    let alone = |statement: AnyStatement| bad(Malformed::Alone(statement), "well-formed");
    let (first, led) = (by(SENDER, 0, 0), by(LEADER, 0, 1));
    alone(by(1, 0, 1).sign(SetTurnStatement {}).into());
    alone(write_ack(&by(1, 0, 2), 2).into());
    alone(write_ack(&by(1, 0, 0), 0).into());
    alone(read_ack(&by(1, 0, 1), TURN_NONE).into());
    // A slow leader is answered with a value of a later turn (deviation: L2).
    alone(read_ack(&by(1, 0, 1), Turn(3)).into());
    alone(value(&first, proposal(1, |_| {})).statement.into());
    alone(led.sign(ReadStatement { pol: hash(1) }).into());
    // The sender of this instance may start turns in the next.
    alone(By { inst: 1, turn: 1, ..first.clone() }.sign(SetTurnStatement {}).into());
    bad(Malformed::Proposal(value(&first, proposal(1, |p| p.untimely[1] = 1))), "well-formed");
    let body = value(&first, proposal(1, |_| {}));
    let wrong = Value { body: proposal(2, |p| p.untimely[1] = 9).into(), ..body };
    bad(Malformed::Proposal(wrong), "body of the proposal");
    let full = cert(&By { turn: 0, ..led.clone() }, hash(1), hash(5), &VOTERS);
    let claim =
        ReadAckStatement { val_turn: Turn(0), value: hash(1), cert: full.digest(), read: hash(4) };
    bad(Malformed::ReadAck(led.slot(1).sign(claim), full.clone()), "certificate is valid");
    let other = cert(&By { turn: 0, ..led.clone() }, hash(1), hash(5), &[1, 2]);
    bad(Malformed::ReadAck(led.slot(1).sign(claim), other), "is not the one");
    let later = pol(&By { turn: 3, ..led.clone() }, &VOTERS);
    let ack = WriteAckStatement {
        value: hash(1),
        max_turn: Turn(3),
        max_pol: later.digest(),
        write: hash(2),
    };
    bad(Malformed::WriteAck(led.slot(1).sign(ack), later), "proof of leadership is valid");
    let reads = |by: &By, seed| AnyStatement::from(by.sign(ReadStatement { pol: hash(seed) }));
    bad(Malformed::twice(reads(&led, 1), reads(&led, 1)), "say the same");
    bad(Malformed::twice(reads(&led, 1), reads(&by(LEADER, 0, 5), 2)), "different turns");
    let acks = |max| AnyStatement::from(write_ack(&by(1, 0, 0), max));
    bad(Malformed::twice(acks(0), acks(1)), "row of their own");
}

#[test]
fn vector_near_misses() {
    let bad = |vector| refused(Evidence::BadQuorumVector(vector), "the vector is a quorum");
    let (first, led) = (by(SENDER, 0, 0), by(LEADER, 0, 1));
    let proof = pol(&led, &VOTERS);
    bad(BadVector::Read(led.sign(ReadStatement { pol: proof.digest() }), proof.clone()));
    let short = pol(&led, &[1, 2]);
    let vector = BadVector::Read(led.sign(ReadStatement { pol: proof.digest() }), short);
    refused(Evidence::BadQuorumVector(vector), "the vector is not the one");
    let (value, agree) = (hash(1), hash(2));
    let acked = cert(&first, value, agree, &VOTERS);
    let write = first.sign(WriteStatement { value, agree, cert: acked.digest() });
    bad(BadVector::Write(write, acked));
    // A failed outcome is one, too: somebody knew a later turn.
    for max in [0, 4] {
        let acks = writes(&first, value, max, &VOTERS);
        let show = first.sign(ShowQuorumStatement { value, acks: acks.digest() });
        bad(BadVector::ShowQuorum(show, acks));
    }
    // A decision of any turn may be shown in any turn.
    let decided = decision(&By { turn: 3, ..first.clone() }, value, &VOTERS);
    let show = ShowDecisionStatement { value, cert: decided.digest() };
    bad(BadVector::ShowDecision(led.sign(show), decided.clone()));
    let report = ReportStatement { value, cert: decided.digest() };
    bad(BadVector::Report(first.slot(1).sign(report), decided));
}

#[test]
fn proposal_near_misses() {
    refused(stamps(7, 8), "above the earlier one");
    let Evidence::BadProposal { late, decided, cert } = stamps(7, 7) else { unreachable!() };
    // Not decided: one signer too few, another value, another instance.
    let first = by(SENDER, 0, 0);
    let short = decision(&first, cert.value, &[1, 2]);
    let with = |cert| Evidence::BadProposal { late: late.clone(), decided: decided.clone(), cert };
    refused(with(short), "not shown to be decided");
    refused(with(decision(&first, hash(1), &VOTERS)), "is not the one that was signed for");
    let elsewhere = decision(&By { inst: 5, ..first }, cert.value, &VOTERS);
    refused(with(elsewhere), "not shown to be decided");
    let turned = Evidence::BadProposal { late: decided.clone(), decided: late.clone(), cert };
    refused(turned, "not the earlier one");
}

#[test]
fn listing_near_misses() {
    refused(listing(4, Accusation::default()), "had not been declared closed");
    refused(listing(3, overdue(2)), "was listed when the place was declared closed");
    let Evidence::FalseList { listing, closing, target } = listing(3, Accusation::default()) else {
        unreachable!()
    };
    let with = |listing: &Value, closing: &Value, target| Evidence::FalseList {
        listing: listing.clone(),
        closing: closing.clone(),
        target,
    };
    refused(with(&listing, &closing, Slot(2)), "lists no overdue duty");
    refused(with(&listing, &closing, Slot(9)), "no such entry");
    refused(with(&closing, &listing, target), "not in a later instance");
    // A clock that was set back: the order in time is not proven.
    let late = value(&by(SENDER, 10, 0), proposal(50, |p| p.accuse[3] = overdue(3)));
    refused(with(&late, &closing, target), "later stamp");
    // A malformed message names no place.
    let other = Accusation { reason: 2, message: hash(1), ..overdue(3) };
    let other = value(&by(SENDER, 10, 0), proposal(60, |p| p.accuse[3] = other));
    refused(with(&other, &closing, target), "lists no overdue duty");
}
