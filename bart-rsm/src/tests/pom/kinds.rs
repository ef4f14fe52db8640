//! Every kind convicts the guilty one, and only as what it is.

use super::super::harness::roster;
use super::make::{By, all, by, pom};
use crate::config::Rules;
use crate::epoch::Schedule;
use crate::message::SetTurnStatement;
use crate::pom::*;
use std::collections::BTreeSet;
use types::*;

#[test]
fn every_kind_and_form_convicts_its_signer() {
    let roster = roster(5);
    for (name, pom) in all() {
        let conviction = verify(&pom, &roster).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!((conviction.accused, conviction.kind), (pom.accused, pom.kind()), "{name}");
        assert!(name.starts_with(&format!("TR{}", pom.kind() as u8)), "{name}");
        assert!(conviction.to_string().contains(pom.kind().words()), "{conviction}");
    }
    let shown: BTreeSet<_> = all().iter().map(|(_, pom)| pom.kind()).collect();
    assert_eq!(shown, PomKind::ALL.iter().copied().collect());
}

#[test]
fn proof_convicts_nobody_in_another_group_epoch_or_identity() {
    let good = roster(5);
    let members = || good.all().map(|slot| good.member(slot).unwrap().clone()).collect::<Vec<_>>();
    let (mode, f) = (good.quorum().mode(), good.quorum().f());
    let group = Roster::new(GroupId(Hash::of(b"other")), good.epoch(), f, mode, members()).unwrap();
    let epoch = Roster::new(good.group(), Epoch(4), f, mode, members()).unwrap();
    for (name, pom) in all() {
        let at = usize::from(pom.accused.0);
        let mut next = members();
        next[at].identities.push(SecretKey::from_seed(&[99; 32]).public());
        next[at].active = Ident(1);
        let next = Roster::new(good.group(), good.epoch(), f, mode, next).unwrap();
        let mut strangers = members();
        strangers[at].identities[0] = SecretKey::from_seed(&[98; 32]).public();
        let strangers = Roster::new(good.group(), good.epoch(), f, mode, strangers).unwrap();
        assert!(matches!(verify(&pom, &group), Err(PomError::OtherGroup { .. })), "{name}");
        assert!(matches!(verify(&pom, &epoch), Err(PomError::OtherEpoch { .. })), "{name}");
        assert!(matches!(verify(&pom, &next), Err(PomError::UnknownSigner { .. })), "{name}");
        assert!(matches!(verify(&pom, &strangers), Err(PomError::BadSignature { .. })), "{name}");
        // Nor does it convict anybody else.
        for slot in good.all().filter(|slot| *slot != pom.accused) {
            let other = Pom { accused: slot, ..pom.clone() };
            assert!(matches!(verify(&other, &good), Err(PomError::OtherSigner(_))), "{name}");
        }
    }
}

#[test]
fn proof_is_judged_by_the_epoch_of_its_instance() {
    let founding = roster(5);
    let mut members: Vec<_> =
        founding.all().filter_map(|slot| founding.member(slot).cloned()).collect();
    members[2].standing = Standing::Suspended;
    let (group, mode) = (founding.group(), founding.quorum().mode());
    let second = Roster::new(group, Epoch(4), 1, mode, members).unwrap();
    let mut schedule = Schedule::new(&founding);
    schedule.push(Instance(6), Instance(7), second.into());
    let mut judge = Judge::knowing(schedule, Rules::default());
    // Slot 1 sent in 6, slot 2 is suspended, so slot 3 is the sender of 7 and no acceptor.
    let starts = |slot, epoch| {
        let by = By { epoch: Epoch(epoch), ..by(slot, 7, 1) };
        let statement = by.sign(SetTurnStatement {}).into();
        pom(&by, Evidence::MalformedSigned(Malformed::Alone(statement)))
    };
    assert!(judge.verify(&starts(3, 4)).is_ok());
    let well_formed = Err(PomError::NotProven("the statement is well-formed"));
    assert_eq!(judge.verify(&starts(4, 4)), well_formed);
    assert!(matches!(judge.verify(&starts(3, 3)), Err(PomError::OtherEpoch { .. })));
    // Who knows the founding roster only convicts nobody of what happened later.
    assert!(matches!(verify(&starts(3, 4), &founding), Err(PomError::OtherEpoch { .. })));
}
