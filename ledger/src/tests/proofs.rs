//! What convicts, and what does not.

use super::net::{committee, key, pay, place, transfer};
use crate::broadcast::Evidence;
use crate::pom::{Pom, PomError, PomKind, verify};
use crate::*;
use types::{Encode, Ident, Member, Mode, Roster, Slot, Standing};

fn roster() -> Roster {
    let group = committee(5, 1).group();
    let members = (0..5).map(|slot| Member {
        identities: vec![key(slot).public()],
        active: Ident(0),
        standing: Standing::Live,
    });
    Roster::new(group, types::Epoch(0), 1, Mode::QuasiSync, members.collect()).unwrap()
}

fn double_spend() -> Pom {
    let committee = committee(5, 1);
    let sign =
        |to| Order::sign(&committee, &key(2), Slot(2), transfer(2, 1, &[pay(to, 9)])).payload();
    let (place, first, second) = (place(2, 1), sign(0), sign(1));
    Pom::of(&committee, &Evidence::TwoPayloads { place, first, second }).remove(0)
}

#[test]
fn double_spend_convicts_and_comes_back_from_its_file() {
    let pom = double_spend();
    let again = Pom::from_bytes(&pom.to_bytes()).unwrap();
    assert_eq!(again, pom);
    let found = verify(&again, &roster()).unwrap();
    assert_eq!(
        (found.kind, found.accused, found.place),
        (PomKind::DoubleSpend, Slot(2), place(2, 1))
    );
}

#[test]
fn one_transfer_twice_or_two_places_convict_nobody() {
    let committee = committee(5, 1);
    let sign = |seq, to| {
        Order::sign(&committee, &key(2), Slot(2), transfer(2, seq, &[pay(to, 9)])).payload()
    };
    for (first, second) in [(sign(1, 0), sign(1, 0)), (sign(1, 0), sign(2, 0))] {
        let evidence = Evidence::TwoPayloads { place: place(2, 1), first, second };
        let pom = Pom::of(&committee, &evidence).remove(0);
        assert!(matches!(verify(&pom, &roster()), Err(PomError::NotProven(_))));
    }
}

#[test]
fn every_changed_byte_of_a_proof_is_refused() {
    let bytes = double_spend().to_bytes();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let verdict = Pom::from_bytes(&changed).and_then(|pom| verify(&pom, &roster()));
        assert!(verdict.is_err(), "byte {at}");
    }
}

#[test]
fn objects_in_the_other_order_are_not_canonical() {
    let pom::Objects::DoubleSpend(a, b) = double_spend().objects else { panic!() };
    let pom = Pom { group: roster().group(), objects: pom::Objects::DoubleSpend(b, a) };
    assert!(matches!(verify(&pom, &roster()), Err(PomError::NotCanonical(_))));
}
