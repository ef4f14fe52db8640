//! What a running group notices (specification 8.2), and that it notices nothing among honest members.
//! Over every other run of these tests `Net::check_agreement` looks at all that was signed.

use super::super::harness::*;
use super::make::{self, By, by, hash, proposal, value};
use crate::message::*;
use crate::pom::*;
use crate::proposal::{Accusation, Proposal};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use types::*;

/// Who was convicted of what.
fn convicted(net: &Net) -> Vec<(Slot, PomKind)> {
    let verdicts = net.proofs.iter().map(|(_, pom)| verify(pom, &net.roster).unwrap());
    let mut all: Vec<_> = verdicts.map(|verdict| (verdict.accused, verdict.kind)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// A group whose instance 0 gets a turn 1, because its proposal is lost.
fn with_turn_1() -> Net {
    let mut net = Net::new(5);
    net.filter(|from, _, message| match message.kind() {
        Kind::Agree if from == Slot(0) && message.turn() == Turn(0) => Verdict::Drop,
        _ => Verdict::Pass,
    });
    net
}

/// Lets the turn run and gives the leader's AGREE to `to`.
fn agree_of_turn_1(net: &mut Net, to: Slot) -> AgreeLater {
    let found = Rc::new(RefCell::new(None));
    let keep = Rc::clone(&found);
    net.filter(move |from, at, message| match message {
        Message::Agree(m) if from == Slot(0) && m.core.header.inst == Instance(0) => Verdict::Drop,
        Message::AgreeLater(m) if at == to && m.core.header.inst == Instance(0) => {
            keep.borrow_mut().get_or_insert_with(|| m.clone());
            Verdict::Pass
        }
        _ => Verdict::Pass,
    });
    net.run(60_000);
    found.borrow_mut().take().expect("there was a turn 1")
}

#[test]
fn second_agree_of_a_leader_is_proven_tr2() {
    let mut net = with_turn_1();
    let first = agree_of_turn_1(&mut net, Slot(3));
    assert!(net.proofs.is_empty());
    let led = by(2, 0, 1);
    let reads = make::reads(&led, &[make::none(1), make::none(3), make::none(4)]);
    let reads = ReadQuorum { read: hash(7), ..reads };
    let core = make::agree(&led, first.core.payload.value, &reads);
    let second = AgreeLater { core, reads: Arc::new(reads), ..first };
    net.inject(Slot(2), Slot(3), &Message::AgreeLater(second));
    net.run(100);
    assert_eq!(convicted(&net), [(Slot(2), PomKind::LeaderEquivocation)]);
}

#[test]
fn bad_agree_and_who_acknowledged_it_are_proven_tr3_tr5() {
    let mut net = with_turn_1();
    let led = by(2, 0, 1);
    let bad = Rc::new(RefCell::new(None));
    let keep = Rc::clone(&bad);
    net.filter(move |from, to, message| match message {
        Message::Agree(m) if from == Slot(0) && m.core.header.inst == Instance(0) => Verdict::Drop,
        Message::AgreeLater(m) if from == Slot(2) && m.core.header.inst == Instance(0) => {
            if to != Slot(3) {
                return Verdict::Drop;
            }
            let core = make::agree(&led, hash(1), &m.reads);
            *keep.borrow_mut() = Some(core.clone());
            Verdict::Replace(vec![Message::AgreeLater(AgreeLater { core, ..m.clone() })])
        }
        _ => Verdict::Pass,
    });
    net.run(40_000);
    assert_eq!(convicted(&net), [(Slot(2), PomKind::BadAgree)]);
    let core = bad.borrow_mut().take().unwrap();
    let led = by(2, 0, 1);
    let cert = make::cert(&led, hash(1), core.digest(), &[1, 2, 4]);
    let payload = WriteStatement { value: hash(1), agree: core.digest(), cert: cert.digest() };
    let write = Write { core: led.sign(payload), cert: Arc::new(cert) };
    net.inject(Slot(2), Slot(3), &Message::Write(write));
    net.run(100);
    let lazy = [1, 2, 4].map(|slot| (Slot(slot), PomKind::LazyAck));
    let mut expected = vec![(Slot(2), PomKind::BadAgree)];
    expected.extend(lazy);
    expected.sort_unstable();
    let mut got = convicted(&net);
    // Its own WRITE contradicts the one that the leader's core had signed.
    got.retain(|(_, kind)| *kind != PomKind::MalformedSigned);
    assert_eq!(got, expected);
}

#[test]
fn second_answer_to_one_step_is_proven_tr4_tr6() {
    let mut net = Net::new(5);
    net.run(300);
    let voter = by(3, 0, 0);
    let ack = voter.sign(AgreeAckStatement { value: hash(1), agree: hash(2) });
    net.inject(Slot(3), Slot(0), &Message::AgreeAck(AgreeAck { core: ack }));
    net.run(100);
    assert_eq!(convicted(&net), [(Slot(3), PomKind::DoubleAgreeAck)]);
    let core = make::write_ack(&voter, 0);
    let max_pol = Arc::new(Pol::null(3));
    net.inject(Slot(3), Slot(0), &Message::WriteAck(WriteAck { core, max_pol }));
    net.run(100);
    let all = [PomKind::DoubleAgreeAck, PomKind::DoubleWriteAck].map(|kind| (Slot(3), kind));
    assert_eq!(convicted(&net), all);
    // The same again proves nothing new.
    let before = net.proofs.len();
    let ack = voter.sign(AgreeAckStatement { value: hash(1), agree: hash(2) });
    net.inject(Slot(3), Slot(0), &Message::AgreeAck(AgreeAck { core: ack }));
    net.run(100);
    assert_eq!(net.proofs.len(), before);
}

#[test]
fn forgotten_write_is_proven_tr7() {
    let mut net = Net::new(5);
    net.run(300);
    // Slot 3 answered the write of turn 0, as the certificate that everybody holds shows.
    let cert = net.core(2).insts[&Instance(0)].decided.clone().unwrap();
    let voter = cert.signers.slots().iter().next().unwrap();
    let core = make::read_ack(&by(voter.0, 0, 1), TURN_NONE);
    let key = PadKey {
        group: net.roster.group(),
        inst: Instance(0),
        turn: Turn(1),
        kind: Kind::ReadAck,
        from: voter,
        to: Slot(2),
    };
    let body = Padded::new(&[], net.params.v_max, &key);
    let cert = Arc::new(AgreeCert::blank(3));
    let to = if voter == Slot(2) { Slot(3) } else { Slot(2) };
    let lie = Message::ReadAck(ReadAck { core, cert, statement: None, body });
    net.inject(voter, to, &lie);
    net.run(100);
    assert_eq!(convicted(&net), [(voter, PomKind::StaleMaxPol)]);
}

#[test]
fn malformed_proposal_and_stamp_that_goes_back_are_proven_tr8_tr10() {
    for (body, kind) in [
        (proposal(EPOCH_MS * 2, |p| p.untimely[1] = 255), PomKind::MalformedSigned),
        (proposal(1, |_| {}), PomKind::BadProposal),
    ] {
        let mut net = Net::new(5);
        let sender = by(0, 5, 0);
        let value = Arc::new(value(&sender, body));
        let digest = make::digest_of(&sender, &value);
        let payload = AgreeStatement { value: digest, reads: Hash::ZERO };
        let core = sender.sign(payload);
        let bad = Message::Agree(Agree { core, value });
        net.filter(move |from, _, message| match message {
            Message::Agree(m) if from == Slot(0) && m.core.header.inst == Instance(5) => {
                Verdict::Replace(vec![bad.clone()])
            }
            _ => Verdict::Pass,
        });
        net.run(60_000);
        assert_eq!(convicted(&net), [(Slot(0), kind)]);
        let noticed: std::collections::BTreeSet<_> = net.proofs.iter().map(|(at, _)| *at).collect();
        assert_eq!(noticed.len(), 4, "every acceptor notices");
    }
}

#[test]
fn short_proof_of_leadership_is_proven_tr9() {
    let mut net = Net::new(5);
    net.run(300);
    let led = by(2, 0, 1);
    let pol = make::pol(&led, &[1, 2]);
    let core = led.sign(ReadStatement { pol: pol.digest() });
    net.inject(Slot(2), Slot(3), &Message::Read(Read { core, pol: Arc::new(pol) }));
    net.run(100);
    assert_eq!(convicted(&net), [(Slot(2), PomKind::BadQuorumVector)]);
}

#[test]
fn set_turn_of_the_sender_is_proven_tr8() {
    let mut net = Net::new(5);
    net.run(300);
    let core = by(0, 0, 1).sign(SetTurnStatement {});
    net.inject(Slot(0), Slot(2), &Message::SetTurn(SetTurn { core }));
    net.run(100);
    assert_eq!(convicted(&net), [(Slot(0), PomKind::MalformedSigned)]);
}

#[test]
fn listing_of_what_was_closed_is_proven_tr11() {
    let mut net = Net::new(5);
    net.run(300);
    let core = net.core_mut(1);
    let decided = core.insts.values().find(|inst| inst.is_decided()).unwrap().clone();
    let mut put = |inst: u64, body| {
        let sender = by(0, inst, 0);
        let value = value(&sender, body);
        let digest = make::digest_of(&sender, &value);
        let mut like = decided.clone();
        (like.no, like.sender) = (Instance(inst), Slot(0));
        like.values = [(digest, Arc::new(value))].into();
        let cert = (**like.decided.as_ref().unwrap()).clone();
        like.decided = Some(Arc::new(DecisionCert { value: digest, ..cert }));
        core.insts.insert(Instance(inst), like);
    };
    put(5, proposal(50, |p| p.closed_upto = Instance(4)));
    let listing = proposal(60, |p| p.accuse[3] = make::overdue(3));
    put(10, listing.clone());
    let listing = Proposal::from_bytes(&listing).unwrap();
    core.check_listings(Instance(10), Slot(0), Some(&listing));
    let proven = |core: &crate::Core| {
        core.out.iter().filter(|effect| matches!(effect, crate::Effect::Evidence(_))).count()
    };
    assert_eq!(proven(core), 1);
    let mut other = listing;
    other.accuse[3] = Accusation { inst: Instance(4), ..other.accuse[3] };
    core.check_listings(Instance(10), Slot(0), Some(&other));
    assert_eq!(proven(core), 1);
}

#[test]
fn honest_members_yield_no_proof_over_crashes_lost_links_and_later_turns() {
    for k in [2, 5, 9, 14, 20, 33] {
        let mut net = Net::new(5);
        net.exhibits_left = 4_000;
        net.crash_after = Some((Slot(1), k));
        // A proposal is lost at first, so that a later turn reads and writes.
        let mut lost = 0;
        net.filter(move |_, _, message| {
            let first = message.kind() == Kind::Agree && message.turn() == Turn(0);
            match first && message.inst() == Instance(2) && lost < 4 {
                true => {
                    lost += 1;
                    Verdict::Drop
                }
                false => Verdict::Pass,
            }
        });
        for slot in 0..5 {
            net.submit(slot, 1, b"command");
        }
        net.run_until(30_000, |net| net.crashed);
        net.run(3_000);
        if net.crashed {
            net.boot(Slot(1));
        }
        for pair in [(0, 4), (2, 3)] {
            net.link(Slot(pair.0), Slot(pair.1), false);
        }
        net.run(5_000);
        net.connect();
        net.run(600_000);
        assert!(net.check_agreement(0..5) > 6, "crash after {k}");
        assert!(net.proofs.is_empty(), "{:?}", net.proofs);
        assert!(net.sent.keys().any(|(_, kind)| *kind == Kind::ReadAck), "no later turn");
    }
}

#[test]
fn flood_of_contradictions_leaves_a_bounded_number_of_proofs() {
    let mut net = Net::new(5);
    net.run(300);
    for seed in 0..200 {
        let payload = AgreeAckStatement { value: hash(seed), agree: hash(2) };
        let core = by(3, 0, 0).sign(payload);
        net.inject(Slot(3), Slot(0), &Message::AgreeAck(AgreeAck { core }));
    }
    net.run(100);
    assert_eq!(net.proofs.len(), EVIDENCE_MAX);
    assert_eq!(convicted(&net), [(Slot(3), PomKind::DoubleAgreeAck)]);
}

#[test]
fn exhibits_yield_every_proof_that_the_messages_of_a_guilty_member_hold() {
    let mut net = with_turn_1();
    let first = agree_of_turn_1(&mut net, Slot(3));
    let led = by(2, 0, 1);
    let bad = AgreeLater { core: make::agree(&led, hash(1), &first.reads), ..first.clone() };
    let named = bad.core.digest();
    let cert = make::cert(&led, hash(1), named, &[1, 2, 4]);
    let payload = WriteStatement { value: hash(1), agree: named, cert: cert.digest() };
    let write = Write { core: led.sign(payload), cert: Arc::new(cert) };
    let messages = [Message::AgreeLater(first), Message::AgreeLater(bad), Message::Write(write)];
    let all = convictions(&net.roster, &messages, |_| true);
    let kinds = |slot| -> std::collections::BTreeSet<_> {
        all.iter().filter(|(pom, _)| pom.accused == Slot(slot)).map(|(pom, _)| pom.kind()).collect()
    };
    let led = [PomKind::LeaderEquivocation, PomKind::BadAgree, PomKind::LazyAck];
    assert_eq!(kinds(2), led.into_iter().collect());
    assert_eq!(kinds(1), [PomKind::LazyAck].into_iter().collect());
    assert!(kinds(0).is_empty() && kinds(3).is_empty());
    assert!(convictions(&net.roster, &messages, |slot| slot == Slot(3)).is_empty());
}

#[test]
fn statements_of_a_later_epoch_convict_once_the_epoch_is_known() {
    let founding = roster(5);
    let member = |slot: u16| Member {
        identities: vec![secret(slot).public()],
        active: Ident(0),
        standing: if slot == 4 { Standing::Expelled } else { Standing::Live },
    };
    let (old, new) = (founding.epoch(), Epoch(founding.epoch().0 + 1));
    let members = (0..5).map(member).collect();
    let later = Roster::new(founding.group(), new, 0, Mode::QuasiSync, members).unwrap();
    let later = std::sync::Arc::new(later);
    let acks = |epoch| {
        [1, 2].map(|seed| {
            let by = By { epoch, ..by(1, 12, 0) };
            let payload = AgreeAckStatement { value: hash(seed), agree: hash(9) };
            Message::AgreeAck(AgreeAck { core: by.sign(payload) })
        })
    };
    let convicted = |known: bool, epoch| {
        let mut exhibits = Exhibits::new(&founding);
        if known {
            exhibits.learn_epoch(Instance(10), &later);
        }
        acks(epoch).iter().for_each(|message| exhibits.show(message));
        exhibits.convictions(|_| true).len()
    };
    assert_eq!(convicted(true, new), 1);
    // Not known yet; and a statement of the old epoch after its end is no statement.
    assert_eq!(convicted(false, new), 0);
    assert_eq!(convicted(true, old), 0);
    assert_eq!(convicted(false, old), 1);
}
