//! Algorithm 5 with its corrections.

use super::net::{Dice, pay, place, transfer};
use crate::accounts::Owner;
use crate::state::{Verdict, WAITING_MAX, WINDOW, Wait};
use crate::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use types::Slot;

pub fn ledger(balances: &[u64]) -> Ledger {
    let mut made = Ledger::new();
    for (at, balance) in balances.iter().enumerate() {
        let owner = Owner::One(Slot(at as u16));
        assert!(made.open(Account(at as u32), owner, Amount(*balance)).unwrap().is_empty());
    }
    made
}

fn seqs(applied: &[Transfer]) -> Vec<Place> {
    applied.iter().map(|transfer| transfer.place).collect()
}

#[test]
fn transfer_out_of_order_waits_for_the_one_before() {
    let mut ledger = ledger(&[10, 0]);
    assert!(ledger.deliver(transfer(0, 2, &[pay(1, 3)])).unwrap().is_empty());
    let applied = ledger.deliver(transfer(0, 1, &[pay(1, 4)])).unwrap();
    assert_eq!(seqs(&applied), [place(0, 1), place(0, 2)]);
    assert_eq!(ledger.balance(Account(1)), Some(Amount(7)));
}

#[test]
fn transfer_too_far_ahead_or_again_is_refused() {
    let mut ledger = ledger(&[10, 0]);
    assert!(ledger.deliver(transfer(0, WAITING_MAX + 1, &[pay(1, 1)])).is_err());
    ledger.deliver(transfer(0, 1, &[pay(1, 1)])).unwrap();
    assert!(ledger.deliver(transfer(0, 1, &[pay(1, 1)])).is_err());
    ledger.deliver(transfer(0, 3, &[pay(1, 1)])).unwrap();
    assert!(ledger.deliver(transfer(0, 3, &[pay(1, 2)])).is_err());
    assert_eq!(ledger.balance(Account(1)), Some(Amount(1)));
}

#[test]
fn form_that_no_owner_may_sign_is_never_valid() {
    let ledger = ledger(&[10, 0, 0]);
    let mut wrong = vec![
        transfer(0, 0, &[pay(1, 1)]),
        transfer(0, 1, &[]),
        transfer(0, 1, &[pay(0, 1)]),
        transfer(0, 1, &[pay(1, 0)]),
        transfer(0, 1, &[pay(2, 1), pay(1, 1)]),
        transfer(0, 1, &[pay(1, 1), pay(1, 1)]),
        transfer(0, 1, &[pay(1, u64::MAX), pay(2, 1)]),
    ];
    let mut own = transfer(0, 1, &[pay(1, 1)]);
    own.deps = vec![place(0, 1)];
    wrong.push(own);
    for transfer in wrong {
        assert!(matches!(ledger.judge(&transfer), Verdict::Never(_)), "{transfer:?}");
    }
}

#[test]
fn overspend_waits_and_holds_up_its_own_account_only() {
    let mut ledger = ledger(&[10, 10, 0]);
    assert!(ledger.deliver(transfer(0, 1, &[pay(2, 11)])).unwrap().is_empty());
    assert!(ledger.deliver(transfer(0, 2, &[pay(2, 1)])).unwrap().is_empty());
    assert_eq!(ledger.deliver(transfer(1, 1, &[pay(2, 5)])).unwrap().len(), 1);
    let applied = ledger.deliver(transfer(1, 2, &[pay(0, 2)])).unwrap();
    assert_eq!(seqs(&applied), [place(1, 2), place(0, 1), place(0, 2)]);
}

#[test]
fn dependency_is_waited_for_and_must_pay_the_account() {
    let mut ledger = ledger(&[10, 10, 10]);
    let mut spends = transfer(1, 1, &[pay(2, 5)]);
    spends.deps = vec![place(0, 1)];
    assert_eq!(ledger.judge(&spends), Verdict::Waits(Wait::Dependency(place(0, 1))));
    let mut elsewhere = ledger.clone();
    elsewhere.deliver(transfer(0, 1, &[pay(2, 1)])).unwrap();
    assert!(matches!(elsewhere.judge(&spends), Verdict::Never(_)));
    assert!(ledger.deliver(spends).unwrap().is_empty());
    assert_eq!(ledger.deliver(transfer(0, 1, &[pay(1, 1)])).unwrap().len(), 2);
}

#[test]
fn payment_to_an_account_that_is_not_open_waits_for_it() {
    let mut ledger = ledger(&[10]);
    assert!(ledger.deliver(transfer(0, 1, &[pay(1, 1)])).unwrap().is_empty());
    let applied = ledger.open(Account(1), Owner::One(Slot(1)), Amount(0)).unwrap();
    assert_eq!(seqs(&applied), [place(0, 1)]);
}

#[test]
fn account_without_checkpoint_stops_at_its_window() {
    let mut ledger = ledger(&[WINDOW + 5, 0]);
    for seq in 1..=WINDOW {
        assert_eq!(ledger.deliver(transfer(0, seq, &[pay(1, 1)])).unwrap().len(), 1);
    }
    let next = transfer(0, WINDOW + 1, &[pay(1, 1)]);
    assert_eq!(ledger.judge(&next), Verdict::Waits(Wait::Window));
    assert!(ledger.deliver(next).unwrap().is_empty());
    let (_, applied) = ledger.settle(&ledger.cut()).unwrap();
    assert_eq!(applied.len(), 1, "a checkpoint opens the window again");
}

#[test]
fn supply_above_64_bits_is_refused() {
    let mut ledger = ledger(&[u64::MAX]);
    assert_eq!(ledger.mint(Account(0), Amount(1)), Err(OpenError::Supply));
    let opened = ledger.open(Account(1), Owner::One(Slot(1)), Amount(1));
    assert_eq!(opened, Err(OpenError::Supply));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Guarantees 1 and 2, and the reference: some order of the specification explains what applied.
    #[test]
    fn deliveries_in_any_order_apply_the_same_and_as_the_specification_allows(
        seed in any::<u64>(), count in 1usize..40,
    ) {
        let mut dice = Dice(seed);
        let start = [10, 5, 0, 20];
        let mut next = [0u64; 4];
        let transfers: Vec<Transfer> = (0..count).map(|_| {
            let from = dice.below(4);
            next[from] += 1;
            let to = (from + 1 + dice.below(3)) % 4;
            transfer(from as u32, next[from], &[pay(to as u32, 1 + dice.below(12) as u64)])
        }).filter(|transfer| transfer.place.seq.0 <= WAITING_MAX).collect();
        let mut results = Vec::new();
        for _ in 0..3 {
            let mut shuffled = transfers.clone();
            for at in (1..shuffled.len()).rev() {
                shuffled.swap(at, dice.below(at + 1));
            }
            let mut ledger = ledger(&start);
            let accounts = (0..4).map(|at| {
                (Account(at), BTreeSet::from([Slot(at as u16)]), Amount(start[at as usize]))
            });
            let mut reference = AssetTransfer::new(accounts).unwrap();
            for transfer in shuffled {
                for applied in ledger.deliver(transfer).unwrap() {
                    let account = applied.place.account;
                    let done = reference.transfer(Slot(account.0 as u16), account, &applied.payments);
                    prop_assert!(done);
                }
                let total: u128 = ledger.balances().map(|(_, amount)| u128::from(amount.0)).sum();
                prop_assert_eq!(total, reference.supply());
            }
            for (account, balance) in ledger.balances() {
                prop_assert_eq!(reference.read(account), Some(balance));
            }
            results.push(ledger);
        }
        prop_assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
