//! The file: canonical, pinned, bounded; hostile bytes convict nobody.

use super::super::harness::roster;
use super::make;
use crate::pom::*;
use proptest::prelude::*;
use std::sync::OnceLock;
use types::*;

fn all() -> &'static [(&'static str, Pom)] {
    static ALL: OnceLock<Vec<(&str, Pom)>> = OnceLock::new();
    ALL.get_or_init(make::all)
}

#[test]
fn files_read_back_to_the_same_bytes() {
    for (name, pom) in all() {
        let bytes = pom.to_bytes();
        assert_eq!(Pom::from_bytes(&bytes).as_ref(), Ok(pom), "{name}");
        assert!(bytes.len() < POM_LEN_MAX);
    }
}

#[test]
fn files_are_pinned() {
    let all: Vec<u8> = all().iter().flat_map(|(_, pom)| pom.to_bytes()).collect();
    let (_, first) = &self::all()[0];
    assert_eq!(first.to_bytes().len(), 298);
    assert_eq!(
        Hash::of(&all).to_hex(),
        "c048af6db4b11af1b75e00f078fed7cced813a601cbcb0ce5d6db40ffcf2a4df"
    );
}

#[test]
fn file_with_any_changed_byte_convicts_nobody() {
    let roster = roster(5);
    for (name, pom) in all() {
        let bytes = pom.to_bytes();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            let verdict = Pom::from_bytes(&changed).and_then(|pom| verify(&pom, &roster));
            assert!(verdict.is_err(), "{name}, byte {at} of {}: {verdict:?}", bytes.len());
        }
    }
}

#[test]
fn file_cut_or_extended_convicts_nobody() {
    for (name, pom) in all() {
        let bytes = pom.to_bytes();
        for len in 0..bytes.len() {
            assert!(Pom::from_bytes(&bytes[..len]).is_err(), "{name} cut at {len}");
        }
        assert!(Pom::from_bytes(&[&bytes[..], &[0]].concat()).is_err(), "{name}");
    }
}

#[test]
fn other_files_are_named() {
    let bytes = all()[0].1.to_bytes();
    assert_eq!(Pom::from_bytes(b"hello"), Err(EnvelopeError::OtherFile.into()));
    assert_eq!(Pom::from_bytes(b""), Err(EnvelopeError::OtherFile.into()));
    let mut newer = bytes.clone();
    newer[6] = 2;
    assert_eq!(Pom::from_bytes(&newer), Err(EnvelopeError::Form(2).into()));
    let long = vec![b'P'; POM_LEN_MAX + 1];
    assert_eq!(
        Pom::from_bytes(&long),
        Err(EnvelopeError::TooLong { len: long.len(), max: POM_LEN_MAX }.into())
    );
    let mut kind = bytes.clone();
    kind[6 + 1 + 32 + 4 + 2 + 2] = 12;
    let damaged = DecodeError::Malformed("kind of proof");
    assert_eq!(Pom::from_bytes(&kind), Err(PomError::Damaged(damaged)));
}

proptest! {
    #[test]
    fn hostile_files_are_refused_without_panic(
        pick in 0usize..30,
        changes in proptest::collection::vec((0usize..4096, any::<u8>()), 1..6),
        cut in 0usize..64,
    ) {
        let all = all();
        let (_, pom) = &all[pick % all.len()];
        let mut bytes = pom.to_bytes();
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len() - cut % bytes.len());
        if let Ok(read) = Pom::from_bytes(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
            if let Ok(conviction) = verify(&read, &roster(5)) {
                prop_assert_eq!(&read, pom);
                prop_assert_eq!(conviction.accused, pom.accused);
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_without_panic(tail in proptest::collection::vec(any::<u8>(), 0..600)) {
        let bytes = [&all()[0].1.to_bytes()[..7], &tail].concat();
        if let Ok(pom) = Pom::from_bytes(&bytes) {
            prop_assert!(verify(&pom, &roster(5)).is_err());
        }
    }
}
