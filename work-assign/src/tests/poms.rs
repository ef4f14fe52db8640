//! Each kind of proof: one that convicts, near misses that do not, and every byte of the file (acceptance test 9).

use super::world::*;
use crate::cert::{Cert, DenialCert};
use crate::pom::*;
use crate::statement::*;
use crate::*;
use types::*;

fn aid(inst: u64) -> Aid {
    Aid { inst: Instance(inst), index: 0 }
}

fn core(fields: &[u8]) -> ResponseCore {
    ResponseCore {
        request: Hash::of(b"w"),
        kind: Code(1),
        body: Hash::ZERO,
        body_len: Size(0),
        stamp: Stamp(5),
        fields: Blob(fields.to_vec()),
    }
}

fn two_answers(world: &World) -> Pom {
    let (one, other) =
        (world.sign_core((0, 1), core(b"yes")), world.sign_core((0, 1), core(b"no")));
    Pom::new(group(0), Evidence::two_answers(one, other))
}

fn false_denial(world: &World, at: u16, inst: u64, acked: u64) -> Pom {
    let (request, answer) = (Hash::of(b"w"), Hash::of(b"core"));
    let said = NoEvidence { target: Slot(1), requester: Slot(0), request, stamp: Stamp(10) };
    let denial = world.sign_at((0, 2), aid(4), said);
    let ack = WorkAck { request, answer, stamp: Stamp(acked) };
    let ack = world.sign_at((0, at), aid(inst), ack);
    Pom::new(group(0), Evidence::FalseNoEvidence { denial, ack })
}

fn bad_witness(world: &World, spoil: impl Fn(&mut Signed<ResponseCore>)) -> Pom {
    let mut answer = world.sign_core((0, 1), core(b"yes"));
    spoil(&mut answer);
    let (target, request) = (Slot(1), Hash::of(b"w"));
    let said = WitnessStatement { target, request, answer: crate::witness::name_of(&answer) };
    let word = world.sign_at((0, 2), aid(4), said);
    Pom::new(group(0), Evidence::BadWitness { word, answer: Box::new(answer) })
}

fn two_shares(world: &World, (one, other): (&[u8], &[u8]), places: (u64, u64)) -> Pom {
    let share = |result: &[u8], place| {
        let (origin, request) = (group(1), Hash::of(b"w"));
        let said = ResultShare { origin, aid: aid(9), request, result: Hash::of(result) };
        world.sign_at((0, 3), aid(place), said)
    };
    let pair = Evidence::two_shares(share(one, places.0), share(other, places.1));
    Pom::new(group(0), pair)
}

/// WR1, VW1 and QT1 as runs leave them.
fn found(kind: PomKind) -> (World, Pom) {
    let params = Params { quota_bytes: 2_000, ..params() };
    let mut world = World::new(1, 5, 1, params);
    match kind {
        PomKind::NoEvidence => {
            let lazy = Deviation { perform: Some(|_, _, _| None), ..Default::default() };
            world.deviants.insert((0, 1), lazy);
            world.local((0, 0), Local::Assign(member_work(0, 1, b"work")));
        }
        PomKind::VowBreach => {
            let none: OnPropose = |world, _, commands| {
                if world.now > 100_000 {
                    commands.clear();
                }
            };
            world.deviants.insert((0, 0), Deviation { propose: Some(none), ..Default::default() });
            world.local((0, 0), Local::Vow(member_work(0, 1, b"v"), Stamp(2_200_000), true));
        }
        _ => {
            let greedy: OnPropose = |_, _, commands| {
                for no in 0..5 {
                    commands.push(Command::Assign(member_work(0, 1, &[no; 50])).to_bytes());
                }
            };
            let deviation = Deviation { propose: Some(greedy), ..Default::default() };
            world.deviants.insert((0, 0), deviation);
        }
    }
    world.run(2_300_000);
    let pom = world.evidence.iter().find(|(_, pom)| pom.kind() == kind).unwrap().1.clone();
    (world, pom)
}

fn judge(world: &World, pom: &Pom) -> Result<Conviction, PomError> {
    verify(pom, &world.machines[0].roster, &world.params)
}

fn not_proven(world: &World, pom: &Pom) {
    let got = judge(world, pom);
    assert!(matches!(got, Err(PomError::NotProven(_))), "{got:?}");
}

fn each() -> Vec<(World, Pom)> {
    let world = || World::new(1, 5, 1, params());
    let make: [fn(&World) -> Pom; 4] = [
        two_answers,
        |world| false_denial(world, 2, 4, 9),
        |world| bad_witness(world, |answer| answer.payload.fields.0[0] ^= 1),
        |world| two_shares(world, (b"a", b"b"), (4, 4)),
    ];
    let mut all: Vec<(World, Pom)> = make.iter().map(|make| (world(), make(&world()))).collect();
    all.extend([PomKind::NoEvidence, PomKind::VowBreach, PomKind::OverQuota].map(found));
    all
}

/// Every kind convicts whom it names, and only in its own group and epoch.
#[test]
fn proof_of_every_kind_convicts_from_its_file_alone() {
    let mut kinds = std::collections::BTreeSet::new();
    for (world, pom) in each() {
        let again = Pom::from_bytes(&pom.to_bytes()).unwrap();
        let conviction = judge(&world, &again).unwrap();
        assert_eq!((conviction.kind, conviction.accused), (pom.kind(), pom.accused));
        assert!(conviction.to_string().contains(pom.kind().row()));
        assert!(kinds.insert(pom.kind()));
        let elsewhere = verify(&pom, &roster(1, 5, 1), &world.params);
        assert!(matches!(elsewhere, Err(PomError::OtherGroup { .. })));
        let blamed = Pom { accused: Slot(4), ..pom.clone() };
        assert!(matches!(judge(&world, &blamed), Err(PomError::NotCanonical(_))));
        if pom.roster_epoch().is_some() {
            let later = Pom { epoch: Epoch(1), ..pom };
            assert!(matches!(judge(&world, &later), Err(PomError::OtherEpoch { .. })));
        }
        assert_eq!(Envelope::family(&again.to_bytes()), Ok(Family::Work));
    }
    assert_eq!(kinds.len(), PomKind::ALL.len());
}

/// A changed byte never convicts: neither the accused of something else nor anybody else.
#[test]
fn proof_with_any_bit_flipped_convicts_nobody() {
    for (world, pom) in each() {
        let bytes = pom.to_bytes();
        let stride = if bytes.len() > 900 { 7 } else { 1 };
        for at in (0..bytes.len()).step_by(stride) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            if let Ok(pom) = Pom::from_bytes(&changed) {
                assert!(judge(&world, &pom).is_err(), "{:?} at {at}", pom.kind());
            }
        }
    }
}

#[test]
fn wr_2_answers_of_others_or_to_other_requests_or_alike_prove_nothing() {
    let world = World::new(1, 5, 1, params());
    let pair = |one, other| Pom::new(group(0), Evidence::two_answers(one, other));
    let first = world.sign_core((0, 1), core(b"yes"));
    let other = ResponseCore { request: Hash::of(b"v"), ..core(b"no") };
    not_proven(&world, &pair(first.clone(), world.sign_core((0, 1), other)));
    let mut theirs = pair(first.clone(), world.sign_core((0, 2), core(b"no")));
    theirs.accused = Slot(1);
    assert!(judge(&world, &theirs).is_err());
    let twice = pair(first.clone(), first);
    assert!(matches!(judge(&world, &twice), Err(PomError::NotCanonical(_))));
    let Pom { evidence: Evidence::TwoAnswers(sorted), .. } = two_answers(&world) else { panic!() };
    let turned = Evidence::TwoAnswers(Box::new((sorted.1, sorted.0)));
    let turned = Pom::new(group(0), turned);
    assert!(matches!(judge(&world, &turned), Err(PomError::NotCanonical(_))));
}

#[test]
fn wr_3_later_acknowledgements_and_those_of_others_prove_nothing() {
    let world = World::new(1, 5, 1, params());
    // A late answer, taken over after the denial, or in the same moment: not earlier.
    not_proven(&world, &false_denial(&world, 2, 4, 10));
    not_proven(&world, &false_denial(&world, 2, 4, 11));
    not_proven(&world, &false_denial(&world, 3, 4, 9));
    not_proven(&world, &false_denial(&world, 2, 5, 9));
}

#[test]
fn wr_4_word_for_an_answer_that_verifies_proves_nothing() {
    let world = World::new(1, 5, 1, params());
    not_proven(&world, &bad_witness(&world, |_| {}));
    // Altered by somebody else afterwards, it is not what the witness named.
    let mut pom = bad_witness(&world, |_| {});
    let Evidence::BadWitness { answer, .. } = &mut pom.evidence else { panic!() };
    answer.payload.fields.0[0] ^= 1;
    not_proven(&world, &pom);
}

#[test]
fn wr_5_equal_shares_and_shares_of_other_places_prove_nothing() {
    let world = World::new(1, 5, 1, params());
    not_proven(&world, &two_shares(&world, (b"a", b"b"), (4, 5)));
    let same = two_shares(&world, (b"a", b"a"), (4, 4));
    assert!(matches!(judge(&world, &same), Err(PomError::NotCanonical(_))));
}

#[test]
fn wr_1_fewer_than_f_plus_1_or_interested_denials_prove_nothing() {
    let (world, pom) = found(PomKind::NoEvidence);
    let Evidence::NoEvidence { assigned, denials } = pom.evidence.clone() else { panic!() };
    let with = |slots: &[u16], target: u16| {
        let DenialCert { aid, request, .. } = *denials;
        let (target, requester) = (Slot(target), Slot(0));
        let said = NoEvidence { target, requester, request, stamp: Stamp(9) };
        let all: Vec<_> =
            slots.iter().map(|slot| world.sign_at((0, *slot), aid, said.clone())).collect();
        let denials = Box::new(DenialCert::collect(&world.machines[0].roster, &all).unwrap());
        let assigned = assigned.clone();
        Pom::new(group(0), Evidence::NoEvidence { assigned, denials })
    };
    assert!(judge(&world, &with(&[2, 3], 1)).is_ok());
    for interested in [[0, 2], [1, 2]] {
        let got = judge(&world, &with(&interested, 1));
        assert!(matches!(got, Err(PomError::NotCertified)), "{got:?}");
    }
    // Somebody who was not asked.
    not_proven(&world, &with(&[2, 3], 4));
    let mut one = denials.clone();
    let first = one.signers.iter().next().map(|(slot, entry)| (slot, entry.clone())).unwrap();
    one.signers = bart_rsm::message::Signers::new([first]);
    let assigned_again = assigned.clone();
    let one = Pom::new(group(0), Evidence::NoEvidence { assigned: assigned_again, denials: one });
    assert!(matches!(judge(&world, &one), Err(PomError::NotCertified)));
    // A proposal that was not decided assigns nothing.
    let mut undecided = assigned;
    undecided.cert.write = Hash::of(b"another");
    let undecided = Pom::new(group(0), Evidence::NoEvidence { assigned: undecided, denials });
    assert!(matches!(judge(&world, &undecided), Err(PomError::Decision(_))));
}

/// VW1, QT1: the account of another place, of another member, of too few, or under another quota proves nothing.
#[test]
fn vw_1_qt_1_other_accounts_prove_nothing() {
    for kind in [PomKind::VowBreach, PomKind::OverQuota] {
        let (world, pom) = found(kind);
        let (Evidence::VowBreach { value, view, cert } | Evidence::OverQuota { value, view, cert }) =
            pom.evidence.clone()
        else {
            panic!()
        };
        let of = |view: &View, cert: Cert<AccountShare>| {
            let (value, view, cert) = (value.clone(), Box::new(view.clone()), Box::new(cert));
            let evidence = match kind {
                PomKind::VowBreach => Evidence::VowBreach { value, view, cert },
                _ => Evidence::OverQuota { value, view, cert },
            };
            Pom::new(group(0), evidence)
        };
        let signed = |place: Aid, said: AccountShare, slots: &[u16]| {
            let sign = |slot: &u16| {
                (Slot(*slot), world.sign_at((0, *slot), place, said.clone()).signature)
            };
            let signers = bart_rsm::message::Signers::new(slots.iter().map(sign));
            Cert { epoch: Epoch(0), aid: place, payload: said.clone(), signers }
        };
        let said = cert.payload.clone();
        assert!(judge(&world, &of(&view, signed(cert.aid, said.clone(), &[2, 3]))).is_ok());
        let few = of(&view, signed(cert.aid, said.clone(), &[2]));
        assert!(matches!(judge(&world, &few), Err(PomError::NotCertified)));
        let before = aid(cert.aid.inst.0.saturating_sub(1));
        let after = aid(cert.aid.inst.0 + 1);
        for place in [before, after].into_iter().filter(|place| *place != cert.aid) {
            not_proven(&world, &of(&view, signed(place, said.clone(), &[2, 3])));
        }
        // An honest account: nothing pending, nothing used, at a moment before the deadline.
        let blank = View { member: view.member, account: Account::default(), vows: Vec::new() };
        let fresh = AccountShare { view: blank.digest(), ..said.clone() };
        let fresh = of(&blank, signed(cert.aid, fresh, &[2, 3]));
        match kind {
            PomKind::VowBreach => not_proven(&world, &fresh),
            // The quota is exceeded from nothing, too; under the next larger one it is not.
            _ => {
                let large = Params { quota_bytes: 10_000, ..world.params.clone() };
                assert!(verify(&fresh, &world.machines[0].roster, &large).is_err());
            }
        }
        let early = AccountShare { tau: Stamp(2_200_000), ..said };
        if kind == PomKind::VowBreach {
            // At the deadline itself the vow is not overdue yet.
            not_proven(&world, &of(&view, signed(cert.aid, early, &[2, 3])));
        }
    }
}
