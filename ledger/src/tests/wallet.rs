//! One outstanding transfer; a crash at any record never makes two.

use super::net::{Dice, Net, pay};
use crate::broadcast::quorum::Spread;
use crate::state::Wait;
use crate::*;
use types::Slot;

#[test]
fn second_transfer_while_one_is_under_way_is_refused() {
    let mut net = Net::new(4, 1, Spread::Owner);
    net.issue(0, &[pay(1, 1)]).unwrap();
    assert!(matches!(net.issue(0, &[pay(2, 1)]), Err(IssueError::Outstanding(_))));
    net.run(&mut Dice(1));
    net.issue(0, &[pay(2, 1)]).unwrap();
}

#[test]
fn transfer_above_the_balance_is_not_issued() {
    let mut net = Net::new(4, 1, Spread::Owner);
    let (has, needs) = (Amount(100), Amount(101));
    let refused = net.issue(0, &[pay(1, 101)]);
    assert_eq!(refused, Err(IssueError::NotNow(Wait::Funds { has, needs })));
    net.issue(0, &[pay(1, 100)]).unwrap();
}

#[test]
fn credits_are_declared_once_and_again_after_a_restart() {
    let mut net = Net::new(4, 1, Spread::Owner);
    net.issue(0, &[pay(1, 100)]).unwrap();
    net.run(&mut Dice(1));
    net.boot(Slot(1));
    net.issue(1, &[pay(2, 150)]).unwrap();
    let order = net.member(1).wallet().unwrap().outstanding().unwrap().clone();
    assert_eq!(order.transfer().deps, [super::net::place(0, 1)]);
    net.run(&mut Dice(2));
    net.issue(1, &[pay(2, 1)]).unwrap();
    let order = net.member(1).wallet().unwrap().outstanding().unwrap().clone();
    assert!(order.transfer().deps.is_empty());
}

/// Section 3.3: an honest crash must not look like a double spend.
#[test]
fn crash_before_any_record_never_makes_an_honest_double_spend() {
    for crash_after in 0..8 {
        for victim in 0..4 {
            let mut net = Net::new(4, 1, Spread::Owner);
            net.crash_after.insert(Slot(victim), crash_after);
            let _ = net.issue(0, &[pay(1, 60)]);
            net.run(&mut Dice(crash_after as u64));
            if net.members[usize::from(victim)].is_none() {
                net.boot(Slot(victim));
            }
            net.crash_after.clear();
            // Whatever it remembers, it may spend the rest, and no more.
            let _ = net.issue(0, &[pay(2, 60)]);
            net.run(&mut Dice(7));
            let _ = net.issue(0, &[pay(2, 40)]);
            net.run(&mut Dice(8));
            assert_eq!(net.evidence, [], "crash after {crash_after} records of {victim}");
            let balances = net.agreed(0..4);
            assert_eq!(balances.iter().map(|(_, it)| it.0).sum::<u64>(), 400);
            assert!(balances[0].1 == Amount(0) || balances[0].1 == Amount(40));
        }
    }
}
