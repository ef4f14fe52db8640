//! Accounts with several owners (section 3.4).

use super::net::{Dice, Net, committee, key, pay, place, transfer};
use crate::accounts::Owner;
use crate::broadcast::quorum::{self, Spread};
use crate::member::Message;
use crate::shared::{Command, Desk, Outcome};
use crate::transfer::OwnerVote;
use crate::*;
use types::Slot;

const HOUSE: u32 = 50;

fn owner() -> Owner {
    Owner::Shared { owners: (0..5).map(Slot).collect(), f: 1 }
}

fn net() -> Net {
    let mut events: Vec<Event> = (0..7)
        .map(|slot| {
            let (account, owner) = (Account(slot.into()), Owner::One(Slot(slot)));
            Event::Open { account, owner, credits: Amount(100) }
        })
        .collect();
    events.push(Event::Open { account: Account(HOUSE), owner: owner(), credits: Amount(100) });
    Net::with(7, 2, Spread::Owner, events)
}

fn desks() -> Vec<Desk> {
    let desk = |slot| Desk::new(committee(7, 2), key(slot), Slot(slot), Account(HOUSE), owner());
    (0..5).map(desk).collect()
}

fn vote(by: u16, transfer: &Transfer) -> Seal {
    let committee = committee(7, 2);
    let vote = OwnerVote { place: transfer.place, transfer: transfer.digest() };
    committee.seal(&key(by), Slot(by), &vote)
}

/// Executes a command of the owners' log at every desk; what got its number, with all signatures.
fn execute(desks: &mut [Desk], by: u16, command: &Command) -> Option<Order> {
    let outcomes: Vec<Outcome> =
        desks.iter_mut().map(|desk| desk.execute(Slot(by), command.clone())).collect();
    let mut order = None;
    for outcome in &outcomes {
        if let Outcome::Numbered { transfer, seal } = outcome {
            order = desks[0].vote(transfer.place, *seal).or(order);
        }
    }
    order
}

#[test]
fn owners_log_numbers_a_transfer_and_the_group_applies_it() {
    let (mut net, mut desks) = (net(), desks());
    let wish = transfer(HOUSE, 0, &[pay(6, 30)]);
    assert!(execute(&mut desks, 1, &Command::Propose(wish)).is_none());
    let digest = {
        let Outcome::Proposed(digest) =
            desks[0].execute(Slot(1), Command::Propose(transfer(HOUSE, 0, &[pay(6, 30)])))
        else {
            panic!()
        };
        digest
    };
    let mut order = None;
    for by in 0..4 {
        order = execute(&mut desks, by, &Command::Second(digest)).or(order);
    }
    let order = order.expect("a quorum of four owners signed");
    assert_eq!(order.transfer().place, place(HOUSE, 1));
    let now = net.now;
    let effects = net.member(3).submit(now, &order);
    net.carry(Slot(3), effects);
    net.run(&mut Dice(1));
    assert_eq!(net.agreed(0..7)[7], (Account(HOUSE), Amount(70)));
}

#[test]
fn proposal_that_too_few_owners_second_gets_no_number() {
    let mut desks = desks();
    let Outcome::Proposed(digest) =
        desks[0].execute(Slot(4), Command::Propose(transfer(HOUSE, 0, &[pay(6, 1000)])))
    else {
        panic!()
    };
    for by in [4, 4, 4, 6, 0, 1] {
        // The one bad owner, a stranger, and two others: three of five owners.
        assert_eq!(desks[0].execute(Slot(by), Command::Second(digest)), Outcome::Noted);
    }
}

#[test]
fn order_without_a_quorum_of_owners_is_not_echoed() {
    let mut net = net();
    let transfer = transfer(HOUSE, 1, &[pay(6, 30)]);
    let votes = vec![vote(0, &transfer), vote(1, &transfer), vote(2, &transfer)];
    let stranger =
        vec![vote(0, &transfer), vote(1, &transfer), vote(2, &transfer), vote(6, &transfer)];
    let mut twice = votes.clone();
    twice.push(vote(2, &transfer));
    for votes in [votes, stranger, twice] {
        let order = Order::Shared { transfer: transfer.clone(), votes };
        let now = net.now;
        let effects = net.member(0).submit(now, &order);
        net.carry(Slot(0), effects);
        net.run(&mut Dice(1));
        assert_eq!(net.agreed(0..7)[7], (Account(HOUSE), Amount(100)));
        net.boot(Slot(0));
    }
}

#[test]
fn compromised_account_may_block_but_never_spends_twice_and_others_do_not_notice() {
    for seed in 0..30 {
        let mut net = net();
        net.members[0] = None;
        let sign = |to| {
            let transfer = transfer(HOUSE, 1, &[pay(to, 100)]);
            let votes = (0..4).map(|by| vote(by, &transfer)).collect();
            Order::Shared { transfer, votes }
        };
        let orders = [sign(5), sign(6)];
        let mut dice = Dice(seed);
        for to in 1..7 {
            let order = &orders[dice.below(2)];
            let (place, payload) = (order.transfer().place, order.payload());
            net.bag.push((
                Slot(0),
                Slot(to),
                Message::Broadcast(quorum::Message::Init { place, payload }),
            ));
        }
        net.issue(5, &[pay(6, 10)]).unwrap();
        net.run(&mut dice);
        let balances = net.agreed(1..7);
        assert_eq!(balances.iter().map(|(_, it)| it.0).sum::<u64>(), 800);
        assert!(net.applied[1].iter().any(|it| it.place == place(5, 1)), "others go on");
        let spent = net.applied[1].iter().filter(|it| it.place.account == Account(HOUSE)).count();
        assert!(spent <= 1);
        for evidence in &net.evidence {
            let accused = pom::Pom::of(&net.committee, evidence);
            assert_eq!(accused.len(), 4, "each owner that signed both");
            assert!(accused.iter().all(|pom| pom.kind() == pom::PomKind::DoubleVote));
        }
    }
}

/// Each honest owner may have got other owners' signatures first.
#[test]
fn one_transfer_with_two_quorums_of_signatures_applies_once_and_convicts_nobody() {
    for seed in 0..20 {
        let mut net = net();
        let transfer = transfer(HOUSE, 1, &[pay(6, 30)]);
        for (owner, skipped) in [(0, 4), (1, 3)] {
            let votes = (0..5).filter(|by| *by != skipped).map(|by| vote(by, &transfer)).collect();
            let order = Order::Shared { transfer: transfer.clone(), votes };
            let now = net.now;
            let effects = net.member(owner).submit(now, &order);
            net.carry(Slot(owner), effects);
        }
        net.run(&mut Dice(seed));
        assert_eq!(net.agreed(0..7)[7], (Account(HOUSE), Amount(70)));
        assert_eq!(net.evidence, []);
    }
}
