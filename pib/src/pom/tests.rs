//! Each kind: a generator, near-misses that must not verify, and a file in which every byte counts
//! (specification 8.2, 11.9).

use super::*;
use crate::objects::*;
use crate::testing::{MEMBERS, RULES, START, group, key, roster, sign};
use types::{Ident, Signed, SignedPayload, Size, Stamp};

const OWNER: u16 = 1;
const STORER: u16 = 2;

fn put(name: u8, size: u64, stamp: u64) -> StoreInfo {
    let (hash, stamp) = (Hash::of(&[name]), Stamp(START + stamp));
    let name = Hash::of(&[name, 9]);
    StoreInfo { op: Op::Put, storer: Slot(STORER), name, hash, size: Size(size), stamp }
}

fn by<P: SignedPayload>(slot: u16, payload: P) -> Signed<P> {
    sign(slot, payload).into_inner()
}

fn receipt(info: StoreInfo, stamp: u64) -> Signed<Receipt> {
    by(STORER, Receipt { info: by(OWNER, info), stamp: Stamp(START + stamp) })
}

fn reject(info: StoreInfo, proof: Vec<Signed<StoreInfo>>, stamp: u64) -> Signed<StoreReject> {
    let reason = RejectReason::Full { proof };
    by(STORER, StoreReject { info: by(OWNER, info), reason, stamp: Stamp(START + stamp) })
}

fn confirm(receipt: &Signed<Receipt>, hash: Hash, size: u64) -> Signed<RetrieveConfirm> {
    let (receipt, stamp) = (Receipt::cite(receipt), Stamp(START + 40));
    by(STORER, RetrieveConfirm { receipt, hash, size: Size(size), stamp })
}

fn deny(receipt: &Signed<Receipt>, reason: DenyReason, stamp: u64) -> Signed<RetrieveDeny> {
    let (receipt, stamp) = (Receipt::cite(receipt), Stamp(START + stamp));
    by(STORER, RetrieveDeny { receipt, reason, stamp })
}

fn proof(kind: EvidenceKind, objects: Vec<Statement>) -> Pom {
    let (accused, ident) = (Slot(STORER), Ident(0));
    Pom::new(group(), Evidence { kind, accused, ident, objects })
}

fn judged(pom: &Pom) -> Result<&'static str, PomError> {
    let read = Pom::from_bytes(&pom.to_bytes()).unwrap();
    assert_eq!(&read, pom);
    verify(&read, &roster(), &RULES).map(|conviction| {
        assert_eq!((conviction.kind, conviction.accused), (pom.kind(), pom.evidence.accused));
        conviction.rule
    })
}

fn not_proven(pom: &Pom) {
    let verdict = judged(pom);
    assert!(matches!(verdict, Err(PomError::NotProven(_))), "{verdict:?}");
}

/// One proof of every kind, PB4 and PB9 in both their forms.
fn all() -> Vec<Pom> {
    let held = receipt(put(1, 100, 0), 11);
    let info = held.payload.info.payload;
    let full = reject(info, vec![], 13);
    let citing = reject(put(2, 1 << 20, 2), vec![by(OWNER, info)], 15);
    let own = |info| Statement::Info(by(STORER, StoreInfo { storer: Slot(3), ..info }));
    let same_stamp = Receipt { info: by(OWNER, put(3, 1, 4)), stamp: held.payload.stamp };
    vec![
        proof(
            EvidenceKind::WrongChunk,
            vec![
                Statement::Confirm(confirm(&held, Hash::of(b"other"), 100)),
                Statement::Receipt(held.clone()),
            ],
        ),
        proof(
            EvidenceKind::BadDeny,
            vec![
                Statement::Deny(deny(&held, DenyReason::Expired, 60)),
                Statement::Receipt(held.clone()),
            ],
        ),
        proof(EvidenceKind::BadReject, vec![Statement::Reject(full.clone())]),
        proof(
            EvidenceKind::AcceptAndReject,
            vec![Statement::Receipt(held.clone()), Statement::Reject(full.clone())],
        ),
        proof(
            EvidenceKind::AcceptAndReject,
            vec![Statement::Reject(full), Statement::Reject(citing)],
        ),
        proof(EvidenceKind::StampReuse, vec![own(put(4, 1, 6)), own(put(5, 1, 6))]),
        proof(
            EvidenceKind::StampReuse,
            vec![Statement::Receipt(held), Statement::Receipt(by(STORER, same_stamp))],
        ),
    ]
}

#[test]
fn proof_of_every_kind_convicts_its_signer() {
    let proofs = all();
    for pom in &proofs {
        judged(pom).unwrap_or_else(|why| panic!("{}: {why}", pom.kind()));
    }
    for kind in EvidenceKind::ALL {
        assert!(proofs.iter().any(|pom| pom.kind() == kind), "no generator for {kind}");
        assert_eq!(EvidenceKind::from_code(kind.code()), Some(kind));
        assert_eq!(Family::of(kind.code()), Some(Family::Backup));
    }
}

/// Whatever bit is changed: no other statement is proven, and nobody else is convicted.
#[test]
fn file_with_a_changed_bit_convicts_nobody() {
    for pom in all() {
        let bytes = pom.to_bytes();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            let verdict = Pom::from_bytes(&changed).and_then(|pom| verify(&pom, &roster(), &RULES));
            assert!(verdict.is_err(), "{} with bit {} of byte {at} changed", pom.kind(), at % 8);
        }
        for cut in 0..bytes.len() {
            assert!(Pom::from_bytes(&bytes[..cut]).is_err());
        }
    }
}

#[test]
fn wrong_chunk_near_misses() {
    let held = receipt(put(1, 100, 0), 11);
    let other = receipt(put(2, 100, 0), 13);
    let wrong = |confirm, receipt: &Signed<Receipt>| {
        let objects = vec![Statement::Confirm(confirm), Statement::Receipt(receipt.clone())];
        proof(EvidenceKind::WrongChunk, objects)
    };
    not_proven(&wrong(confirm(&held, Hash::of(&[1]), 100), &held));
    // It speaks about the other receipt, for which the chunk is right.
    not_proven(&wrong(confirm(&other, Hash::of(&[2]), 100), &held));
    judged(&wrong(confirm(&held, Hash::of(&[1]), 101), &held)).unwrap();
}

#[test]
fn bad_deny_near_misses() {
    let held = receipt(put(1, 100, 0), 11);
    let denied = |reason, stamp| {
        let objects =
            vec![Statement::Deny(deny(&held, reason, stamp)), Statement::Receipt(held.clone())];
        proof(EvidenceKind::BadDeny, objects)
    };
    let over = RULES.lease_ms + RULES.skew_ms;
    judged(&denied(DenyReason::Expired, over)).unwrap();
    not_proven(&denied(DenyReason::Expired, over + 1));
    let newer = |stamp, slot| DenyReason::Superseded(Box::new(by(slot, put(1, 50, stamp))));
    not_proven(&denied(newer(1, OWNER), 60));
    judged(&denied(newer(0, OWNER), 60)).unwrap();
    judged(&denied(newer(1, 3), 60)).unwrap();
    // Whether these hold is in the log.
    not_proven(&denied(DenyReason::Recovering { activation: types::Instance(3) }, 60));
    not_proven(&denied(DenyReason::NotClaimed { reply: Hash::of(b"reply") }, 60));
}

#[test]
fn bad_reject_near_misses() {
    let refused = |proof_of_fullness| {
        let object = Statement::Reject(reject(put(9, 100, 5), proof_of_fullness, 21));
        proof(EvidenceKind::BadReject, vec![object])
    };
    let capacity = RULES.capacity(Ident(0));
    judged(&refused(vec![by(OWNER, put(1, capacity - 100, 0))])).unwrap();
    not_proven(&refused(vec![by(OWNER, put(1, capacity - 99, 0))]));
    // Somebody who was admitted after this roster was written may have signed it.
    let mut stranger = by(OWNER, put(1, capacity, 0));
    stranger.header.slot = Slot(MEMBERS);
    not_proven(&refused(vec![stranger]));
}

#[test]
fn accept_and_reject_near_misses() {
    let held = receipt(put(1, 100, 0), 11);
    let later = reject(put(1, 100, 2), vec![], 13);
    let pair = vec![Statement::Receipt(held.clone()), Statement::Reject(later.clone())];
    not_proven(&proof(EvidenceKind::AcceptAndReject, pair));
    let uncited = reject(put(2, 1 << 20, 2), vec![], 15);
    let pair = vec![Statement::Reject(later), Statement::Reject(uncited)];
    not_proven(&proof(EvidenceKind::AcceptAndReject, pair));
    // The receipt of another storer for the same statement.
    let info = by(OWNER, put(1, 100, 0));
    let other = by(3, Receipt { info: info.clone(), stamp: Stamp(START) });
    let refused = reject(info.payload, vec![], 13);
    let pair = vec![Statement::Receipt(other), Statement::Reject(refused)];
    let verdict = judged(&proof(EvidenceKind::AcceptAndReject, pair));
    assert_eq!(verdict, Err(PomError::OtherSigner(types::Kind::Receipt)));
}

#[test]
fn stamp_reuse_near_misses() {
    let said = |stamp, name| Statement::Receipt(receipt(put(name, 1, 0), stamp));
    let reuse = |one, other| proof(EvidenceKind::StampReuse, vec![one, other]);
    not_proven(&reuse(said(11, 1), said(13, 2)));
    judged(&reuse(said(11, 1), said(11, 2))).unwrap();
    let twice = judged(&reuse(said(11, 1), said(11, 1)));
    assert!(matches!(twice, Err(PomError::NotCanonical(_))));
}

/// A member that lost its disk does not know what its earlier identity signed (8.1).
#[test]
fn statements_of_two_linked_identities_never_contradict_each_other() {
    let held = receipt(put(1, 100, 0), 11);
    let refused = reject(put(1, 100, 0), vec![], 11).payload;
    let mut header = crate::objects::header(Slot(STORER), Ident(1));
    header.kind = StoreReject::KIND;
    let refused = Signed::new(&key(STORER, 1), &group(), header, refused).into_inner();
    for kind in [EvidenceKind::AcceptAndReject, EvidenceKind::StampReuse] {
        for ident in [0, 1] {
            let objects =
                vec![Statement::Receipt(held.clone()), Statement::Reject(refused.clone())];
            let evidence = Evidence { kind, accused: Slot(STORER), ident: Ident(ident), objects };
            let verdict = judged(&Pom::new(group(), evidence));
            assert!(matches!(verdict, Err(PomError::OtherSigner(_))), "{verdict:?}");
        }
    }
}

#[test]
fn objects_in_another_order_or_number_are_refused() {
    for pom in all() {
        let mut reversed = pom.clone();
        reversed.evidence.objects.reverse();
        if reversed != pom {
            assert!(matches!(judged(&reversed), Err(PomError::NotCanonical(_))), "{}", pom.kind());
        }
        let mut more = pom.clone();
        more.evidence.objects.extend(pom.evidence.objects.clone());
        assert!(judged(&more).is_err());
    }
}

#[test]
fn proof_of_another_group_or_a_stranger_is_refused() {
    let mut pom = all().remove(0);
    pom.evidence.accused = Slot(MEMBERS);
    let unknown = PomError::UnknownSigner { slot: Slot(MEMBERS), ident: Ident(0) };
    assert_eq!(judged(&pom), Err(unknown));
    pom.group = GroupId(Hash::of(b"another"));
    assert!(matches!(judged(&pom), Err(PomError::OtherGroup { .. })));
}
