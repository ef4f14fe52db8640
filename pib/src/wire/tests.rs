use super::*;
use crate::objects::{DenyReason, Part, RejectReason};
use crate::testing::sign;
use proptest::prelude::*;
use types::{Encode, Hash, Instance, Size, Slot, Stamp};

fn info(op: Op) -> Signed<StoreInfo> {
    let (hash, size) = match op {
        Op::Tombstone => (Hash::ZERO, Size(0)),
        Op::Put | Op::Renew => (Hash::of(b"body"), Size(4)),
    };
    let (storer, name, stamp) = (Slot(2), Hash::of(b"name"), Stamp(7));
    sign(1, StoreInfo { op, storer, name, hash, size, stamp }).into_inner()
}

fn receipt() -> Signed<Receipt> {
    sign(2, Receipt { info: info(Op::Put), stamp: Stamp(9) }).into_inner()
}

fn rejects() -> Vec<Signed<StoreReject>> {
    let reasons = [
        RejectReason::Full { proof: vec![] },
        RejectReason::Full { proof: vec![info(Op::Put), info(Op::Renew)] },
        RejectReason::BadRequest { body: Hash::of(b"x") },
    ];
    let reject = |reason| StoreReject { info: info(Op::Put), reason, stamp: Stamp(3) };
    reasons.into_iter().map(|reason| sign(2, reject(reason)).into_inner()).collect()
}

fn denies() -> Vec<Signed<RetrieveDeny>> {
    let reasons = [
        DenyReason::Expired,
        DenyReason::Superseded(Box::new(info(Op::Tombstone))),
        DenyReason::Recovering { activation: Instance(5) },
        DenyReason::NotClaimed { reply: Hash::of(b"reply") },
    ];
    let deny = |reason| RetrieveDeny { receipt: Hash::of(b"r"), reason, stamp: Stamp(3) };
    reasons.into_iter().map(|reason| sign(2, deny(reason)).into_inner()).collect()
}

fn confirm() -> Signed<RetrieveConfirm> {
    let (receipt, hash) = (Hash::of(b"r"), Hash::of(b"body"));
    sign(2, RetrieveConfirm { receipt, hash, size: Size(4), stamp: Stamp(3) }).into_inner()
}

fn requests() -> Vec<Request> {
    let retrieve =
        RetrieveRequest { receipt: receipt(), part: Part::Slice { start: 2048 }, stamp: Stamp(11) };
    vec![
        Request::Store(Unverified::new(info(Op::Put))),
        Request::Store(Unverified::new(info(Op::Renew))),
        Request::Store(Unverified::new(info(Op::Tombstone))),
        Request::Retrieve(Box::new(Unverified::new(sign(1, retrieve).into_inner()))),
    ]
}

fn responses() -> Vec<Response> {
    let mut all = vec![
        Response::Confirm(Unverified::new(confirm())),
        Response::Receipt(Unverified::new(receipt())),
    ];
    all.extend(rejects().into_iter().map(|reject| Response::Reject(Unverified::new(reject))));
    all.extend(denies().into_iter().map(|deny| Response::Deny(Unverified::new(deny))));
    all.extend(Unavailable::ALL.into_iter().map(Response::Unavailable));
    all
}

fn framed(head: Vec<u8>, body: &[u8]) -> Bytes {
    Bytes::from([head.as_slice(), body].concat())
}

#[test]
fn every_message_comes_back_with_its_body_uncopied() {
    for (request, body) in requests().into_iter().zip([&b"body"[..], b"", b"", b""]) {
        let frame = framed(request.head(), body);
        let (got, tail) = Request::decode(&frame).unwrap();
        assert_eq!((got, &tail[..]), (request, body));
        if !body.is_empty() {
            assert_eq!(tail.as_ptr(), frame[frame.len() - body.len()..].as_ptr());
        }
    }
    for response in responses() {
        let body: &[u8] = if matches!(response, Response::Confirm(_)) { b"body" } else { b"" };
        let frame = framed(response.head(), body);
        let (got, tail) = Response::decode(&frame).unwrap();
        assert_eq!((got, &tail[..]), (response, body));
    }
}

#[test]
fn body_behind_a_message_without_one_is_refused() {
    for request in requests().into_iter().skip(1) {
        let got = Request::decode(&framed(request.head(), b"x"));
        assert_eq!(got, Err(DecodeError::Trailing(1)), "{request:?}");
    }
    for response in responses().into_iter().skip(1) {
        let got = Response::decode(&framed(response.head(), b"x"));
        assert_eq!(got, Err(DecodeError::Trailing(1)), "{response:?}");
    }
}

#[test]
fn every_cut_and_unknown_version_or_tag_is_refused() {
    for head in requests().iter().map(Request::head) {
        for cut in 0..head.len() {
            assert!(Request::decode(&Bytes::copy_from_slice(&head[..cut])).is_err());
        }
        for at in 0..2 {
            let mut changed = head.clone();
            changed[at] = 200;
            assert!(Request::decode(&Bytes::from(changed)).is_err());
        }
    }
    for head in responses().iter().map(Response::head) {
        for cut in 0..head.len() {
            assert!(Response::decode(&Bytes::copy_from_slice(&head[..cut])).is_err());
        }
    }
}

#[test]
fn chunk_body_above_the_limit_is_refused() {
    let body = vec![0; CHUNK_LEN_MAX + 1];
    let got = Request::decode(&framed(requests()[0].head(), &body));
    assert!(matches!(got, Err(DecodeError::TooLong { what: "chunk body", .. })));
}

#[test]
fn proof_count_above_the_limit_is_refused_before_the_items() {
    let mut out = Writer::new();
    out.put(&info(Op::Put));
    out.u8(0);
    out.u32(types::limits::REJECT_PROOF_MAX as u32 + 1);
    let got = StoreReject::from_bytes(&out.finish());
    assert!(matches!(got, Err(DecodeError::TooLong { .. })));
}

#[test]
fn tombstone_with_content_and_oversized_chunk_are_malformed() {
    let good = info(Op::Put).payload;
    let tombstone = StoreInfo { op: Op::Tombstone, ..good };
    assert!(StoreInfo::from_bytes(&tombstone.to_bytes()).is_err());
    let at = |size| StoreInfo { size: Size(size), ..good }.to_bytes();
    assert!(StoreInfo::from_bytes(&at(CHUNK_LEN_MAX as u64)).is_ok());
    assert!(StoreInfo::from_bytes(&at(CHUNK_LEN_MAX as u64 + 1)).is_err());
}

proptest! {
    /// A frame with one byte changed decodes to a value with that very encoding, or not at all.
    #[test]
    fn changed_frame_decodes_canonically_or_not_at_all(
        which in 0usize..20, at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let all = responses();
        let mut frame = all[which % all.len()].head();
        let at = at.index(frame.len());
        frame[at] = byte;
        let frame = Bytes::from(frame);
        if let Ok((response, body)) = Response::decode(&frame) {
            prop_assert_eq!(&frame[..], [&response.head()[..], &body[..]].concat());
        }
    }
}
