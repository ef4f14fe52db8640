//! Integrity, agreement, validity, account order, each against somebody who works against it.

use super::net::{Dice, Net, key, pay, place, transfer};
use crate::broadcast::Admit as _;
use crate::broadcast::Evidence;
use crate::broadcast::quorum::{self, Spread};
use crate::member::Message;
use crate::*;
use types::Slot;

const SPREADS: [Spread; 2] = [Spread::Owner, Spread::Gossip { fanout: 3 }];

fn order(net: &Net, from: u16, seq: u64, payment: Payment) -> Order {
    Order::sign(&net.committee, &key(from), Slot(from), transfer(from.into(), seq, &[payment]))
}

fn show(net: &mut Net, from: u16, to: u16, order: &Order) {
    let (place, payload) = (order.transfer().place, order.payload());
    net.bag.push((
        Slot(from),
        Slot(to),
        Message::Broadcast(quorum::Message::Init { place, payload }),
    ));
}

#[test]
fn validity_what_an_honest_owner_pays_applies_everywhere() {
    for spread in SPREADS {
        for seed in 0..20 {
            let mut net = Net::new(7, 2, spread);
            for slot in 0..7 {
                net.issue(slot, &[pay((u32::from(slot) + 1) % 7, 10 + u64::from(slot))]).unwrap();
            }
            net.run(&mut Dice(seed));
            net.agreed(0..7);
            assert!(net.applied.iter().all(|applied| applied.len() == 7), "{spread:?} {seed}");
            assert_eq!(net.evidence, []);
        }
    }
}

#[test]
fn validity_holds_with_f_members_silent() {
    for spread in SPREADS {
        let mut net = Net::new(7, 2, spread);
        (net.members[5], net.members[6]) = (None, None);
        net.issue(0, &[pay(1, 10)]).unwrap();
        net.run(&mut Dice(3));
        assert_eq!(net.agreed(0..5)[1], (Account(1), Amount(110)));
    }
}

#[test]
fn agreement_holds_when_the_owner_hands_its_certificate_to_one_member_only() {
    for spread in SPREADS {
        for seed in 0..20 {
            let mut net = Net::new(4, 1, spread);
            net.issue(0, &[pay(1, 10)]).unwrap();
            let mut dice = Dice(seed);
            while !net.bag.is_empty() {
                let at = dice.below(net.bag.len());
                let (from, to, message) = &net.bag[at];
                let certified =
                    matches!(message, Message::Broadcast(quorum::Message::Certified(_)));
                if certified && *from == Slot(0) && *to != Slot(2) {
                    net.bag.swap_remove(at);
                } else {
                    net.hand(at);
                }
            }
            net.members[0] = None;
            net.run(&mut dice);
            assert_eq!(net.agreed(1..4)[1], (Account(1), Amount(110)), "{spread:?} {seed}");
        }
    }
}

#[test]
fn integrity_two_orders_for_one_place_never_both_apply_and_convict_their_owner() {
    for spread in SPREADS {
        for seed in 0..40 {
            let mut net = Net::new(7, 2, spread);
            net.members[0] = None;
            let (one, other) = (order(&net, 0, 1, pay(1, 100)), order(&net, 0, 1, pay(2, 100)));
            let mut dice = Dice(seed);
            let mut shown = [false; 2];
            for to in 1..7 {
                let second = dice.below(2) == 1;
                shown[usize::from(second)] = true;
                show(&mut net, 0, to, if second { &other } else { &one });
            }
            net.run(&mut dice);
            let applied: Vec<_> = net.applied.iter().flatten().map(Transfer::digest).collect();
            assert!(applied.windows(2).all(|pair| pair[0] == pair[1]), "{spread:?} {seed}");
            if shown == [true, true] {
                let found = net.evidence.iter().flat_map(|it| pom::Pom::of(&net.committee, it));
                assert!(found.into_iter().any(|it| it.kind() == pom::PomKind::DoubleSpend));
            }
            // The others go on.
            net.issue(3, &[pay(4, 50)]).unwrap();
            net.run(&mut dice);
            assert_eq!(net.agreed(1..7)[4], (Account(4), Amount(150)));
        }
    }
}

#[test]
fn integrity_forged_foreign_and_replayed_messages_change_nothing() {
    let mut net = Net::new(4, 1, Spread::Owner);
    // Signed by another, for another's account, for another place.
    let forged = Order::sign(&net.committee, &key(3), Slot(0), transfer(0, 1, &[pay(3, 100)]));
    let foreign = Order::sign(&net.committee, &key(3), Slot(3), transfer(0, 1, &[pay(3, 100)]));
    for order in [&forged, &foreign] {
        for to in 0..3 {
            show(&mut net, 3, to, order);
        }
    }
    let misplaced = order(&net, 3, 1, pay(1, 1)).payload();
    net.bag.push((
        Slot(3),
        Slot(1),
        Message::Broadcast(quorum::Message::Init { place: place(3, 2), payload: misplaced }),
    ));
    net.run(&mut Dice(1));
    assert!(net.applied.iter().all(Vec::is_empty));
    net.issue(0, &[pay(1, 10)]).unwrap();
    let copies: Vec<_> = net.bag.clone();
    net.run(&mut Dice(2));
    net.bag.extend(copies);
    net.run(&mut Dice(3));
    assert!(net.applied.iter().all(|applied| applied.len() == 1));
    assert_eq!(net.evidence, []);
}

#[test]
fn integrity_certificate_with_too_few_repeated_or_false_echoes_is_refused() {
    let mut net = Net::new(4, 1, Spread::Owner);
    net.issue(0, &[pay(1, 10)]).unwrap();
    let mut certificate = None;
    while let Some((_, to, message)) = net.bag.last().cloned() {
        match message {
            Message::Broadcast(quorum::Message::Certified(it)) => {
                certificate = Some(it);
                net.bag.pop();
            }
            _ if to == Slot(3) => drop(net.bag.pop()),
            _ => net.hand(net.bag.len() - 1),
        }
    }
    let good = certificate.unwrap();
    let mut few = good.clone();
    few.echoes.pop();
    let mut twice = good.clone();
    twice.echoes[1] = twice.echoes[0];
    let mut false_echo = good.clone();
    false_echo.echoes[2].signature = false_echo.echoes[0].signature;
    let mut other = good.clone();
    other.payload = order(&net, 0, 1, pay(3, 100)).payload();
    for bad in [few, twice, false_echo, other] {
        net.bag.push((Slot(0), Slot(3), Message::Broadcast(quorum::Message::Certified(bad))));
        net.hand(net.bag.len() - 1);
        assert!(net.applied[3].is_empty());
        net.bag.clear();
    }
    net.bag.push((Slot(0), Slot(3), Message::Broadcast(quorum::Message::Certified(good))));
    net.hand(net.bag.len() - 1);
    assert_eq!(net.applied[3].len(), 1);
}

#[test]
fn order_later_message_is_neither_echoed_nor_delivered_before_the_earlier() {
    let mut net = Net::new(4, 1, Spread::Owner);
    net.members[0] = None;
    let second = order(&net, 0, 2, pay(1, 1));
    for to in 1..4 {
        show(&mut net, 0, to, &second);
    }
    while !net.bag.is_empty() {
        net.hand(0);
    }
    assert!(net.disks.iter().flatten().all(|record| {
        !matches!(record, member::Record::Broadcast(broadcast::quorum::Record::Echoed { .. }))
    }));
    net.boot(Slot(0));
    net.issue(0, &[pay(1, 1)]).unwrap();
    net.run(&mut Dice(1));
    for applied in &net.applied {
        assert!(applied.iter().map(|it| it.place.seq.0).is_sorted(), "{applied:?}");
    }
}

#[test]
fn overspend_is_never_certified_and_others_do_not_notice() {
    let mut net = Net::new(4, 1, Spread::Owner);
    net.members[0] = None;
    let much = order(&net, 0, 1, pay(1, 101));
    for to in 1..4 {
        show(&mut net, 0, to, &much);
    }
    net.issue(1, &[pay(2, 5)]).unwrap();
    net.run(&mut Dice(1));
    assert_eq!(net.agreed(1..4)[0], (Account(0), Amount(100)));
    assert_eq!(net.agreed(1..4)[2], (Account(2), Amount(105)));
    // Once somebody pays it, it is no overspend any more.
    net.issue(1, &[pay(0, 5)]).unwrap();
    net.boot(Slot(0));
    let now = net.now;
    let effects = net.member(0).submit(now, &much);
    net.carry(Slot(0), effects);
    net.run(&mut Dice(2));
    assert_eq!(net.agreed(0..4)[0], (Account(0), Amount(4)));
}

#[test]
fn witness_that_echoes_twice_is_convicted() {
    use crate::broadcast::quorum::EchoStatement;
    use types::{Hash, Kind, Signed};
    let mut net = Net::new(4, 1, Spread::Owner);
    net.members[3] = None;
    net.issue(0, &[pay(1, 1)]).unwrap();
    let place = place(0, 1);
    let right = net.member(0).wallet().unwrap().outstanding().unwrap().payload();
    let right = net.member(0).below.above().name(place, &right);
    net.bag.clear();
    for digest in [right, Hash::of(b"other")] {
        let header = net.committee.header(Kind::Echo, Slot(3));
        let statement = EchoStatement { place, digest };
        let echo = Signed::new(&key(3), &net.committee.group(), header, statement).into_inner();
        net.bag.push((Slot(3), Slot(0), Message::Broadcast(quorum::Message::Echo(echo))));
        net.hand(net.bag.len() - 1);
    }
    assert!(matches!(net.evidence[..], [Evidence::TwoEchoes { witness: Slot(3), .. }]));
    let proofs = pom::Pom::of(&net.committee, &net.evidence[0]);
    assert_eq!(proofs[0].kind(), pom::PomKind::DoubleEcho);
}

#[test]
fn checkpoint_forgets_certificates_and_a_compacted_member_goes_on() {
    let mut net = Net::new(4, 1, Spread::Owner);
    for round in 0..5 {
        net.issue(0, &[pay(1, 1)]).unwrap();
        net.run(&mut Dice(round));
    }
    let cut = net.member(0).ledger().cut();
    let root = net.member(0).vote_for(&cut).unwrap();
    for voter in [0, 1] {
        for slot in 0..4 {
            let (member, cut) = (Slot(voter), cut.clone());
            net.decide(Slot(slot), Event::Vote { member, cut, root });
        }
    }
    let checkpoint = {
        let ledger = net.member(2).ledger();
        assert_eq!(ledger.checkpoint(), 1);
        Checkpoint {
            number: 1,
            events: 4,
            accounts: ledger
                .balances()
                .map(|(account, amount)| {
                    let owner = ledger.owner(account).unwrap().clone();
                    (account, (owner, ledger.seq(account).unwrap(), amount))
                })
                .collect(),
        }
    };
    assert_eq!(checkpoint.root(), root);
    let records = net.member(2).compact(&checkpoint);
    assert_eq!(records.len(), 1, "{records:?}");
    net.disks[2] = records;
    net.boot(Slot(2));
    net.issue(2, &[pay(0, 7)]).unwrap();
    net.run(&mut Dice(9));
    assert_eq!(net.agreed(0..4)[0], (Account(0), Amount(102)));
}
