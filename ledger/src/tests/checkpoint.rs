//! Cuts, checkpoints, and what is forgotten.

use super::net::{pay, place, transfer};
use super::state::ledger;
use crate::accounts::Owner;
use crate::*;
use types::{Decode, Encode, Hash, Slot};

#[test]
fn checkpoint_at_a_cut_is_the_same_whatever_applied_since() {
    let mut early = ledger(&[10, 10, 0]);
    early.deliver(transfer(0, 1, &[pay(1, 5)])).unwrap();
    let cut = early.cut();
    let at_once = early.at(&cut).unwrap();
    let mut late = early.clone();
    late.deliver(transfer(1, 1, &[pay(2, 15)])).unwrap();
    late.mint(Account(0), Amount(7)).unwrap();
    late.open(Account(3), Owner::One(Slot(3)), Amount(9)).unwrap();
    late.deliver(transfer(2, 1, &[pay(3, 1)])).unwrap();
    assert_eq!(late.at(&cut), Ok(at_once.clone()));
    assert_eq!(late.at(&cut).unwrap().root(), at_once.root());
    let (settled, _) = late.settle(&cut).unwrap();
    assert_eq!(settled, at_once);
    assert_eq!(late.at(&late.cut()).unwrap().accounts.len(), 4);
}

#[test]
fn cut_that_takes_a_spending_without_what_paid_for_it_is_refused() {
    let mut ledger = ledger(&[10, 0, 0]);
    ledger.deliver(transfer(0, 1, &[pay(1, 10)])).unwrap();
    ledger.deliver(transfer(1, 1, &[pay(2, 10)])).unwrap();
    let mut cut = ledger.cut();
    cut.seqs.insert(Account(0), Seq(0));
    assert_eq!(ledger.at(&cut), Err(CutError::Open(Account(1))));
    assert_eq!(ledger.clone().settle(&cut).unwrap_err(), CutError::Open(Account(1)));
}

#[test]
fn cut_beyond_what_applied_or_before_the_last_is_refused() {
    let mut ledger = ledger(&[10, 0]);
    let mut ahead = ledger.cut();
    ahead.seqs.insert(Account(0), Seq(1));
    assert_eq!(ledger.at(&ahead), Err(CutError::Behind(Account(0))));
    ledger.deliver(transfer(0, 1, &[pay(1, 1)])).unwrap();
    let (first, _) = ledger.settle(&ledger.cut()).unwrap();
    let mut back = ledger.cut();
    back.seqs.insert(Account(0), Seq(0));
    assert_eq!(ledger.at(&back), Err(CutError::Backwards(Account(0))));
    let again = Cut { number: first.number, ..ledger.cut() };
    assert_eq!(ledger.at(&again), Err(CutError::NotNext(1)));
}

#[test]
fn member_that_starts_from_a_checkpoint_goes_on_like_the_others() {
    let mut old = ledger(&[10, 0]);
    old.deliver(transfer(0, 1, &[pay(1, 4)])).unwrap();
    let (checkpoint, _) = old.settle(&old.cut()).unwrap();
    let checkpoint = Checkpoint::from_bytes(&checkpoint.to_bytes()).unwrap();
    let mut new = Ledger::from_checkpoint(&checkpoint).unwrap();
    for ledger in [&mut old, &mut new] {
        let mut next = transfer(1, 1, &[pay(0, 4)]);
        (next.base, next.deps) = (1, vec![place(0, 1)]);
        assert_eq!(ledger.deliver(next).unwrap().len(), 1, "a settled dependency needs no record");
    }
    assert_eq!(old, new);
}

#[test]
fn cut_takes_effect_with_f_plus_1_equal_votes() {
    let cut = ledger(&[1]).cut();
    let (right, wrong) = (Hash::of(b"right"), Hash::of(b"wrong"));
    let mut votes = Endorsements::default();
    assert!(!votes.vote(Slot(0), 1, &cut, right));
    assert!(!votes.vote(Slot(0), 1, &cut, right), "one member counts once");
    assert!(!votes.vote(Slot(1), 1, &cut, wrong));
    assert!(votes.vote(Slot(2), 1, &cut, right));
}

#[test]
fn encoding_of_accounts_out_of_order_is_refused() {
    let cut = ledger(&[1, 1]).cut();
    let mut bytes = cut.to_bytes();
    let at = bytes.len() - 24;
    bytes[at..].rotate_left(12);
    assert!(Cut::from_bytes(&bytes).is_err());
}
