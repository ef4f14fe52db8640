//! The checkers catch what is wrong, and nothing else.

use super::history::{History, Operation, View};
use super::{Rules, Scenario, run_seed};
use ledger::{Account, Amount, Event, Owner, Payment, Place, Seq, Transfer};
use std::collections::BTreeMap;
use types::{Hash, Slot};

fn scenario(seed: u64, rules: Rules) -> Scenario {
    Scenario { nodes: 4, seed, rules }
}

#[test]
fn sound_members_violate_nothing_in_any_of_many_seeds() {
    for nodes in [4, 7] {
        for seed in 0..if nodes == 4 { 120 } else { 25 } {
            let outcome = run_seed(&Scenario { nodes, ..scenario(seed, Rules::Sound) });
            assert_eq!(outcome.violations, [], "{}", scenario(seed, Rules::Sound).replay());
        }
    }
}

#[test]
fn seed_gives_the_same_run_again() {
    for seed in 0..5 {
        let scenario = scenario(seed, Rules::Sound);
        assert_eq!(run_seed(&scenario), run_seed(&scenario));
    }
}

#[test]
fn every_broken_rule_is_caught() {
    for rules in Rules::CONTROLS {
        let caught = (0..1_000).any(|seed| !run_seed(&scenario(seed, rules)).violations.is_empty());
        assert!(caught, "{} is not caught", rules.name());
    }
}

fn transfer(account: u32, seq: u64, to: u32, amount: u64) -> Transfer {
    let place = Place { account: Account(account), seq: Seq(seq) };
    let payments = vec![Payment { to: Account(to), amount: Amount(amount) }];
    Transfer { place, payments, base: 0, deps: vec![], about: Hash::ZERO }
}

/// Three accounts of ten credits, and these transfers.
fn history(transfers: &[Transfer]) -> History {
    let open = |at: u32| Event::Open {
        account: Account(at),
        owner: Owner::One(Slot(at as u16)),
        credits: Amount(10),
    };
    History {
        operations: BTreeMap::new(),
        transfers: transfers.iter().map(|it| (it.place, it.clone())).collect(),
        log: (0..3).map(open).collect(),
    }
}

fn view(accounts: [(u64, u64); 3]) -> View {
    let of = |(at, (seq, balance)): (usize, &(u64, u64))| {
        (Account(at as u32), (Seq(*seq), Amount(*balance)))
    };
    View { log: 3, accounts: accounts.iter().enumerate().map(of).collect() }
}

fn made(of: &Transfer, invoked: u64, responded: u64) -> Operation {
    let (place, digest) = (of.place, of.digest());
    Operation::Transfer { place, digest, invoked, responded: Some(responded), durable: true }
}

fn checks(history: &History, last: &View) -> Vec<&'static str> {
    let found = history.check(last).into_iter().chain(history.unmade(last));
    found.map(|violation| violation.check).collect()
}

#[test]
fn legal_history_with_stale_reads_is_accepted() {
    let (one, two) = (transfer(0, 1, 1, 10), transfer(1, 1, 2, 20));
    let mut history = history(&[one.clone(), two.clone()]);
    let last = view([(1, 0), (1, 0), (0, 30)]);
    // Member 2 reads late what happened long ago, and fails on what it does not see yet.
    history.operations.insert(Slot(0), vec![made(&one, 1, 2)]);
    history.operations.insert(Slot(1), vec![made(&two, 3, 4)]);
    let payments = vec![Payment { to: Account(0), amount: Amount(15) }];
    let stale = view([(0, 10), (0, 10), (0, 10)]);
    let failed = Operation::Failed { from: Account(2), payments, view: stale.clone() };
    history
        .operations
        .insert(Slot(2), vec![Operation::Read(stale), failed, Operation::Read(last.clone())]);
    assert_eq!(checks(&history, &last), [""; 0]);
}

#[test]
fn transfers_that_no_order_pays_for_are_no_linearisation() {
    let (one, two) = (transfer(0, 1, 1, 10), transfer(1, 1, 0, 25));
    let history = history(&[one, two]);
    assert!(checks(&history, &view([(1, 25), (1, 0), (0, 10)])).contains(&"linearisability"));
}

#[test]
fn spending_before_the_payment_was_invoked_is_no_linearisation() {
    // Account 1 spends 20, of which 10 come from a transfer that is invoked after it responded.
    let (pays, spends) = (transfer(0, 1, 1, 10), transfer(1, 1, 2, 20));
    let mut history = history(&[pays.clone(), spends.clone()]);
    history.operations.insert(Slot(0), vec![made(&pays, 5, 6)]);
    history.operations.insert(Slot(1), vec![made(&spends, 1, 2)]);
    assert_eq!(checks(&history, &view([(1, 0), (1, 0), (0, 30)])), ["linearisability"]);
}

#[test]
fn wrong_read_going_back_forgotten_transfer_and_funded_failure_are_caught() {
    let one = transfer(0, 1, 1, 4);
    let last = view([(1, 6), (0, 14), (0, 10)]);
    let before = view([(0, 10), (0, 10), (0, 10)]);
    let reads =
        |views: &[&View]| views.iter().map(|it| Operation::Read((*it).clone())).collect::<Vec<_>>();
    let wrong = view([(1, 6), (0, 15), (0, 10)]);
    let payments = vec![Payment { to: Account(0), amount: Amount(10) }];
    let funded = Operation::Failed { from: Account(2), payments, view: before.clone() };
    let cases = [
        (Slot(2), reads(&[&wrong])),
        (Slot(2), reads(&[&last, &before])),
        (Slot(0), vec![made(&one, 1, 2), Operation::Read(before.clone())]),
        (Slot(2), vec![funded]),
    ];
    for (slot, operations) in cases {
        let mut history = history(std::slice::from_ref(&one));
        history.operations.insert(slot, operations);
        assert_eq!(checks(&history, &last), ["local consistency"]);
    }
}

#[test]
fn durable_transfer_that_is_never_made_breaks_liveness() {
    let lost = transfer(2, 1, 0, 1);
    let mut history = history(&[]);
    history.operations.insert(Slot(2), vec![made(&lost, 1, 2)]);
    assert_eq!(checks(&history, &view([(0, 10), (0, 10), (0, 10)])), ["liveness"]);
}
