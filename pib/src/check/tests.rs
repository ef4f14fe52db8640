//! Each rule of 7.2 and 7.3, and its near-miss.

use super::*;
use crate::evidence::EvidenceKind::*;
use crate::testing::{RULES, START, key, roster, sign};
use crate::wire::Unavailable;
use types::{Ident, Size, Slot};

const OWNER: u16 = 1;
const STORER: u16 = 2;
const NOW: Stamp = Stamp(START + 10_000);

fn plain(op: Op, name: u8, size: u64, stamp: u64) -> StoreInfo {
    let (hash, size) = match op {
        Op::Tombstone => (Hash::ZERO, Size(0)),
        Op::Put | Op::Renew => (Hash::of(&[name]), Size(size)),
    };
    let stamp = Stamp(START + stamp);
    StoreInfo { op, storer: Slot(STORER), name: Hash::of(&[name, 9]), hash, size, stamp }
}

fn put(name: u8, size: u64, stamp: u64) -> Signed<StoreInfo> {
    sign(OWNER, plain(Op::Put, name, size, stamp)).into_inner()
}

fn receipt(info: Signed<StoreInfo>, stamp: u64) -> Verified<Signed<Receipt>> {
    sign(STORER, Receipt { info, stamp: Stamp(START + stamp) })
}

fn reject(info: &Signed<StoreInfo>, proof: Vec<Signed<StoreInfo>>) -> StoreReject {
    let reason = RejectReason::Full { proof };
    StoreReject { info: info.clone(), reason, stamp: Stamp(START + 5000) }
}

fn store(info: &Signed<StoreInfo>, response: Response) -> StoreOutcome {
    check_store(&RULES, &roster(), NOW, info, response)
}

fn on_reject(info: &Signed<StoreInfo>, reject: StoreReject) -> StoreOutcome {
    store(info, Response::Reject(Unverified::new(sign(STORER, reject).into_inner())))
}

fn flaw(info: &Signed<StoreInfo>, proof: Vec<Signed<StoreInfo>>) -> Result<(), RejectFlaw> {
    let reject = sign(STORER, reject(info, proof));
    let verdict = reject_is_valid(&RULES, &roster(), &reject);
    let outcome = store(info, Response::Reject(Unverified::new((*reject).clone())));
    match verdict {
        Ok(()) => assert_eq!(outcome, Outcome::Refused(reject)),
        Err(_) => {
            let Outcome::Evidence(evidence) = outcome else { panic!("{outcome:?}") };
            assert_eq!((evidence.kind, evidence.accused), (BadReject, Slot(STORER)));
            assert_eq!(evidence.objects, [Statement::Reject(reject.into_inner())]);
        }
    }
    verdict
}

#[test]
fn receipt_for_the_statement_is_good() {
    let info = put(1, 100, 0);
    let receipt = receipt(info.clone(), 10);
    let response = Response::Receipt(Unverified::new((*receipt).clone()));
    assert_eq!(store(&info, response), Outcome::Good(receipt));
}

#[test]
fn receipt_for_another_statement_is_no_answer() {
    let other = receipt(put(1, 100, 1), 10).into_inner();
    let got = store(&put(1, 100, 0), Response::Receipt(Unverified::new(other)));
    assert_eq!(got, Outcome::NoAnswer(Fault::WrongSubject));
}

#[test]
fn receipt_signed_by_another_member_is_no_answer() {
    let info = put(1, 100, 0);
    let receipt = sign(3, Receipt { info: info.clone(), stamp: NOW }).into_inner();
    let got = store(&info, Response::Receipt(Unverified::new(receipt)));
    let fault = Fault::WrongSigner { expected: Slot(STORER), got: Slot(3) };
    assert_eq!(got, Outcome::NoAnswer(fault));
}

#[test]
fn receipt_with_a_damaged_signature_is_no_answer() {
    let info = put(1, 100, 0);
    let mut receipt = receipt(info.clone(), 10).into_inner();
    receipt.signature.0[3] ^= 1;
    let got = store(&info, Response::Receipt(Unverified::new(receipt)));
    assert!(matches!(got, Outcome::NoAnswer(Fault::Signature(_))));
}

#[test]
fn receipt_from_the_future_counts_up_to_the_skew() {
    let info = put(1, 100, 0);
    let at = |ahead| {
        let stamp = Stamp(NOW.0 + RULES.skew_ms + ahead);
        let receipt = sign(STORER, Receipt { info: info.clone(), stamp }).into_inner();
        store(&info, Response::Receipt(Unverified::new(receipt)))
    };
    assert!(matches!(at(0), Outcome::Good(_)));
    assert_eq!(at(1), Outcome::NoAnswer(Fault::FutureStamp { ahead_ms: 1 }));
}

#[test]
fn answer_of_the_wrong_kind_or_unsigned_is_no_answer() {
    let info = put(1, 100, 0);
    let busy = store(&info, Response::Unavailable(Unavailable::Busy));
    assert_eq!(busy, Outcome::NoAnswer(Fault::Unavailable(Unavailable::Busy)));
    let confirm = confirm(&receipt(info.clone(), 10), Hash::of(b"x"), 1);
    let got = store(&info, Response::Confirm(Unverified::new(confirm)));
    assert_eq!(got, Outcome::NoAnswer(Fault::WrongKind));
}

/// Capacity is 1 MiB: 1,048,576 bytes.
#[test]
fn full_proof_must_exceed_the_capacity_by_at_least_one_byte() {
    let info = put(1, 76, 0);
    assert_eq!(flaw(&info, vec![put(2, 1_048_501, 1)]), Ok(()));
    assert_eq!(flaw(&info, vec![put(2, 1_048_500, 1)]), Err(RejectFlaw::NotFull));
}

#[test]
fn full_proof_under_the_next_identity_must_exceed_its_larger_capacity() {
    let info = put(1, 76, 0);
    let reject = |cited| {
        let header = crate::objects::header(Slot(STORER), Ident(1));
        let payload = reject(&info, vec![put(2, cited, 1)]);
        let signed = Signed::new(&key(STORER, 1), &crate::testing::group(), header, payload);
        reject_is_valid(&RULES, &roster(), &signed)
    };
    assert_eq!(reject(1_048_501), Err(RejectFlaw::NotFull));
    assert_eq!(reject(1_153_433 - 75), Ok(()));
    assert_eq!(reject(1_153_433 - 76), Err(RejectFlaw::NotFull));
}

#[test]
fn full_proof_with_a_forged_statement_is_evidence() {
    let info = put(1, 100, 0);
    let mut forged = put(2, 1 << 20, 1);
    forged.payload.size = Size((1 << 20) + 1);
    assert_eq!(flaw(&info, vec![forged]), Err(RejectFlaw::Forged));
}

/// A storer could mint its own fullness otherwise (PB-3, self-owned).
#[test]
fn full_proof_with_a_statement_of_the_storer_itself_is_evidence() {
    let own = sign(STORER, plain(Op::Put, 2, 1 << 20, 1)).into_inner();
    assert_eq!(flaw(&put(1, 100, 0), vec![own]), Err(RejectFlaw::SelfOwned));
}

#[test]
fn full_proof_with_a_statement_for_another_storer_is_evidence() {
    let mut other = plain(Op::Put, 2, 1 << 20, 1);
    other.storer = Slot(3);
    let proof = vec![sign(OWNER, other).into_inner()];
    assert_eq!(flaw(&put(1, 100, 0), proof), Err(RejectFlaw::OtherStorer));
}

#[test]
fn full_proof_with_a_tombstone_is_evidence() {
    let tombstone = sign(OWNER, plain(Op::Tombstone, 3, 0, 1)).into_inner();
    let proof = vec![put(2, 1 << 20, 1), tombstone];
    assert_eq!(flaw(&put(1, 100, 0), proof), Err(RejectFlaw::Tombstone));
}

#[test]
fn full_proof_that_counts_one_chunk_twice_is_evidence() {
    let renewed = sign(OWNER, plain(Op::Renew, 2, 1 << 19, 7)).into_inner();
    let proof = vec![put(2, 1 << 19, 1), renewed];
    assert_eq!(flaw(&put(1, 100, 0), proof), Err(RejectFlaw::Superseded));
    // The same name of another owner is another chunk.
    let other = sign(3, plain(Op::Put, 2, 1 << 19, 1)).into_inner();
    assert_eq!(flaw(&put(1, 100, 0), vec![put(2, 1 << 19, 1), other]), Ok(()));
}

#[test]
fn full_proof_with_the_version_that_the_refused_one_replaces_is_evidence() {
    let proof = vec![put(1, 1 << 20, 0)];
    assert_eq!(flaw(&put(1, 1 << 20, 5), proof), Err(RejectFlaw::Superseded));
}

#[test]
fn full_proof_lease_counts_up_to_lease_and_skew() {
    let info = put(1, 100, 0);
    let lifetime = RULES.lease_ms + RULES.skew_ms;
    let cited = |stamp: u64| {
        let mut old = plain(Op::Put, 2, 1 << 20, 0);
        old.stamp = Stamp(START + 5000 - stamp);
        vec![sign(OWNER, old).into_inner()]
    };
    assert_eq!(flaw(&info, cited(lifetime)), Ok(()));
    assert_eq!(flaw(&info, cited(lifetime + 1)), Err(RejectFlaw::LeaseOver));
}

#[test]
fn bad_request_is_legal_only_for_another_body_of_a_put() {
    let info = put(1, 100, 0);
    let answer = |info: &Signed<StoreInfo>, body| {
        let reason = RejectReason::BadRequest { body };
        on_reject(info, StoreReject { info: info.clone(), reason, stamp: NOW })
    };
    assert!(matches!(answer(&info, Hash::of(b"other")), Outcome::Refused(_)));
    assert!(matches!(answer(&info, info.payload.hash), Outcome::Evidence(_)));
    let renew = sign(OWNER, plain(Op::Renew, 1, 100, 5)).into_inner();
    assert!(matches!(answer(&renew, Hash::of(b"other")), Outcome::Evidence(_)));
}

#[test]
fn reject_of_another_statement_is_no_answer_even_if_it_is_bad() {
    let got = on_reject(&put(1, 100, 0), reject(&put(1, 100, 1), vec![]));
    assert_eq!(got, Outcome::NoAnswer(Fault::WrongSubject));
}

#[test]
fn reject_of_what_names_another_storer_is_flawed() {
    let mut other = plain(Op::Put, 1, 2 << 20, 0);
    other.storer = Slot(3);
    let info = sign(OWNER, other).into_inner();
    let reject = sign(STORER, reject(&info, vec![]));
    let verdict = reject_is_valid(&RULES, &roster(), &reject);
    assert_eq!(verdict, Err(RejectFlaw::NotAddressed));
}

#[test]
fn receipt_and_reject_of_one_statement_are_evidence() {
    let info = put(1, 100, 0);
    let refused = sign(STORER, reject(&info, vec![]));
    let found = accept_and_reject(&receipt(info.clone(), 1), &refused).unwrap();
    assert_eq!((found.kind, found.accused, found.objects.len()), (AcceptAndReject, Slot(2), 2));
    assert_eq!(accept_and_reject(&receipt(put(1, 100, 1), 1), &refused), None);
    // By two members, it is nobody's contradiction.
    let other = sign(3, Receipt { info, stamp: NOW });
    assert_eq!(accept_and_reject(&other, &refused), None);
}

#[test]
fn citing_what_was_refused_is_evidence() {
    let info = put(1, 100, 0);
    let refused = sign(STORER, reject(&info, vec![]));
    let citing = sign(STORER, reject(&put(3, 100, 3), vec![info]));
    assert_eq!(cites_what_it_refused(&refused, &citing).unwrap().kind, AcceptAndReject);
    let harmless = sign(STORER, reject(&put(3, 100, 3), vec![put(1, 100, 2)]));
    assert_eq!(cites_what_it_refused(&refused, &harmless), None);
}

#[test]
fn two_statements_with_one_stamp_are_evidence_and_one_twice_is_not() {
    let (one, other) = (sign(OWNER, plain(Op::Put, 1, 5, 0)), sign(OWNER, plain(Op::Put, 2, 5, 0)));
    assert_eq!(stamp_reuse(&one, &other).unwrap().kind, StampReuse);
    assert_eq!(stamp_reuse(&one, &one), None);
    assert_eq!(stamp_reuse(&one, &sign(3, plain(Op::Put, 2, 5, 0))), None);
    assert_eq!(stamp_reuse(&one, &sign(OWNER, plain(Op::Put, 2, 5, 1))), None);
}

fn confirm(receipt: &Signed<Receipt>, hash: Hash, size: u64) -> Signed<RetrieveConfirm> {
    let core =
        RetrieveConfirm { receipt: Receipt::cite(receipt), hash, size: Size(size), stamp: NOW };
    sign(STORER, core).into_inner()
}

fn body_receipt(body: &[u8]) -> Verified<Signed<Receipt>> {
    let mut info = plain(Op::Put, 1, body.len() as u64, 0);
    info.hash = Hash::of(body);
    receipt(sign(OWNER, info).into_inner(), 10)
}

fn retrieve(
    receipt: &Verified<Signed<Receipt>>,
    response: Response,
    body: &'static [u8],
) -> RetrieveOutcome {
    check_retrieve(&RULES, &roster(), NOW, receipt, Part::Whole, response, Bytes::from_static(body))
}

#[test]
fn confirm_with_its_body_is_good_and_with_another_is_no_answer() {
    let receipt = body_receipt(b"chunk");
    let confirm = || {
        let core = confirm(&receipt, Hash::of(b"chunk"), 5);
        Response::Confirm(Unverified::new(core))
    };
    let good = Outcome::Good(Bytes::from_static(b"chunk"));
    assert_eq!(retrieve(&receipt, confirm(), b"chunk"), good);
    for wrong in [&b"chunK"[..], b"chunk ", b""] {
        let got = retrieve(&receipt, confirm(), wrong);
        assert_eq!(got, Outcome::NoAnswer(Fault::WrongBody));
    }
}

#[test]
fn confirm_core_with_a_wrong_hash_or_size_is_evidence() {
    let receipt = body_receipt(b"chunk");
    for (hash, size) in [(Hash::of(b"chunK"), 5), (Hash::of(b"chunk"), 6)] {
        let core = confirm(&receipt, hash, size);
        let got = retrieve(&receipt, Response::Confirm(Unverified::new(core)), b"chunk");
        let Outcome::Evidence(evidence) = got else { panic!("{got:?}") };
        assert_eq!((evidence.kind, evidence.accused), (WrongChunk, Slot(STORER)));
    }
}

#[test]
fn confirm_of_another_receipt_or_signer_is_no_answer() {
    let receipt = body_receipt(b"chunk");
    let core = confirm(&body_receipt(b"other"), Hash::of(b"other"), 5);
    let got = retrieve(&receipt, Response::Confirm(Unverified::new(core)), b"other");
    assert_eq!(got, Outcome::NoAnswer(Fault::WrongSubject));
    let core = confirm(&receipt, Hash::of(b"wrong"), 5).payload;
    let core = sign(3, core).into_inner();
    let got = retrieve(&receipt, Response::Confirm(Unverified::new(core)), b"chunk");
    assert!(matches!(got, Outcome::NoAnswer(Fault::WrongSigner { .. })));
}

fn deny_at(
    receipt: &Verified<Signed<Receipt>>,
    reason: DenyReason,
    stamp: Stamp,
    now: Stamp,
) -> RetrieveOutcome {
    let deny = RetrieveDeny { receipt: Receipt::cite(receipt), reason, stamp };
    let deny = Response::Deny(Unverified::new(sign(STORER, deny).into_inner()));
    check_retrieve(&RULES, &roster(), now, receipt, Part::Whole, deny, Bytes::new())
}

/// Both edges: one millisecond earlier convicts, and a clock beyond the skew is no answer.
#[test]
fn expired_is_legal_from_one_millisecond_after_lease_and_skew() {
    let receipt = body_receipt(b"chunk");
    let end = Stamp(START + RULES.lease_ms + RULES.skew_ms);
    let legal = Stamp(end.0 + 1);
    assert!(matches!(deny_at(&receipt, DenyReason::Expired, legal, legal), Outcome::Refused(_)));
    let got = deny_at(&receipt, DenyReason::Expired, end, end);
    assert!(matches!(got, Outcome::Evidence(evidence) if evidence.kind == BadDeny));
    let now = Stamp(legal.0 - RULES.skew_ms);
    assert!(matches!(deny_at(&receipt, DenyReason::Expired, legal, now), Outcome::Refused(_)));
    let now = Stamp(now.0 - 1);
    let got = deny_at(&receipt, DenyReason::Expired, legal, now);
    assert_eq!(got, Outcome::NoAnswer(Fault::FutureStamp { ahead_ms: 1 }));
}

#[test]
fn superseded_needs_a_newer_verified_statement_about_the_same_chunk() {
    let receipt = body_receipt(b"chunk");
    let deny = |info: Signed<StoreInfo>| {
        deny_at(&receipt, DenyReason::Superseded(Box::new(info)), NOW, NOW)
    };
    let tombstone = |stamp| sign(OWNER, plain(Op::Tombstone, 1, 0, stamp)).into_inner();
    assert!(matches!(deny(tombstone(1)), Outcome::Refused(_)));
    assert!(matches!(deny(put(1, 7, 1)), Outcome::Refused(_)));
    let mut forged = tombstone(1);
    forged.payload.stamp = Stamp(START + 2);
    let mut elsewhere = plain(Op::Tombstone, 1, 0, 1);
    elsewhere.storer = Slot(3);
    let wrong = [
        tombstone(0),
        put(2, 7, 1),
        forged,
        sign(OWNER, elsewhere).into_inner(),
        sign(3, plain(Op::Tombstone, 1, 0, 1)).into_inner(),
    ];
    for info in wrong {
        let got = deny(info);
        assert!(matches!(got, Outcome::Evidence(evidence) if evidence.kind == BadDeny));
    }
}

#[test]
fn reasons_that_need_the_log_are_no_answer_for_now() {
    let receipt = body_receipt(b"chunk");
    let reasons = [
        DenyReason::Recovering { activation: types::Instance(4) },
        DenyReason::NotClaimed { reply: Hash::of(b"reply") },
    ];
    for reason in reasons {
        let got = deny_at(&receipt, reason, NOW, NOW);
        assert_eq!(got, Outcome::NoAnswer(Fault::Unverifiable));
    }
}
