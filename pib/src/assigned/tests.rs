//! What may be assigned, and that there is always a legal answer.

use super::*;
use crate::objects::{RetrieveConfirm, RetrieveDeny};
use crate::testing::{RULES, START, key, roster, sign};
use types::{Ident, Size};

const EXPIRES: Stamp = Stamp(START + 500_000);

fn info(owner: u16, storer: u16, body: &[u8]) -> Verified<Signed<StoreInfo>> {
    let (op, name, hash) = (Op::Put, Hash::of(b"name"), Hash::of(body));
    let (size, stamp) = (Size(body.len() as u64), Stamp(START));
    sign(owner, StoreInfo { op, name, storer: Slot(storer), hash, size, stamp })
}

fn request(owner: u16, storer: u16, size: usize, part: Part) -> Verified<Signed<RetrieveRequest>> {
    let info = info(owner, storer, &vec![7; size]);
    let receipt = sign(storer, Receipt { info: (*info).clone(), stamp: Stamp(START + 1) });
    let stamp = Stamp(START + 2);
    sign(owner, RetrieveRequest { receipt: (*receipt).clone(), part, stamp })
}

fn legal(ask: &Ask) -> bool {
    is_legal(&roster(), &RULES, Stamp(START), ask)
}

fn ask(work: &Work) -> Ask {
    work.requests()[0].clone()
}

#[test]
fn store_and_retrieve_by_their_owner_are_legal_and_read_back() {
    let body = Bytes::from(vec![7; 100]);
    let store = ask(&store(&info(2, 5, &body), &body, EXPIRES).unwrap());
    assert!(legal(&store));
    assert!(matches!(read(&store), Some((Request::Store(_), inline)) if inline == body));
    for part in [Part::Whole, Part::Slice { start: 1024 }] {
        let retrieve = ask(&retrieve(&request(2, 5, 5000, part), EXPIRES).unwrap());
        assert!(legal(&retrieve), "{part:?}");
    }
    // Larger chunks do not go through the log: neither with the request nor with the answer.
    let large = Bytes::from(vec![7; INLINE_MAX + 1]);
    let store = ask(&super::store(&info(2, 5, &large), &large, EXPIRES).unwrap());
    assert!(legal(&store) && store.payload.0.len() < 1024);
    assert_eq!(retrieve(&request(2, 5, WHOLE_MAX as usize + 1, Part::Whole), EXPIRES), None);
}

/// Guarantee 2: what a Byzantine owner could ask to have an honest storer convicted.
#[test]
fn request_that_an_honest_storer_could_not_answer_is_not_legal() {
    let good = ask(&retrieve(&request(2, 5, 5000, Part::Whole), EXPIRES).unwrap());
    let change = |change: &dyn Fn(&mut Ask)| {
        let mut ask = good.clone();
        change(&mut ask);
        legal(&ask)
    };
    assert!(change(&|_| {}));
    assert!(!change(&|ask| ask.body_cap = Cap(4999)), "no room for the chunk");
    assert!(!change(&|ask| ask.fields_cap = Cap(10)), "no room for the signature");
    assert!(!change(&|ask| ask.kinds = Kinds::of(&[9])), "a kind that nobody has");
    assert!(!change(&|ask| ask.to = To::Member(Slot(4))), "another storer's chunk");
    assert!(!change(&|ask| ask.requester = Slot(3)), "another owner's chunk");
    assert!(!change(&|ask| ask.payload = Blob(b"garbage".to_vec())));
    let last = good.payload.0.len() - 1;
    assert!(!change(&|ask| ask.payload.0[last] ^= 1), "a signature that does not verify");
    // A slice that the chunk does not have, and a stamp from the future: no honest storer signs for either.
    let beyond = request(2, 5, 5000, Part::Slice { start: 5120 });
    assert!(!legal(&ask(&retrieve(&beyond, EXPIRES).unwrap())));
    let mut late = (*request(2, 5, 5000, Part::Whole)).clone().payload;
    late.stamp = Stamp(START + RULES.skew_ms / 2 + 1);
    assert!(!legal(&ask(&retrieve(&sign(2, late), EXPIRES).unwrap())));
    // A receipt that the storer never signed, or under an identity that it does not use now.
    let mut forged = (*request(2, 5, 5000, Part::Whole)).clone().payload;
    forged.receipt = (*sign(4, forged.receipt.payload.clone())).clone();
    assert!(!legal(&ask(&retrieve(&sign(2, forged.clone()), EXPIRES).unwrap())));
    let header = crate::objects::header(Slot(5), Ident(1));
    let group = crate::testing::group();
    forged.receipt =
        Signed::new(&key(5, 1), &group, header, forged.receipt.payload.clone()).into_inner();
    assert!(!legal(&ask(&retrieve(&sign(2, forged), EXPIRES).unwrap())));
}

#[test]
fn store_with_another_body_than_it_names_is_not_legal() {
    let body = Bytes::from(vec![7; 100]);
    let mut ask = ask(&store(&info(2, 5, &body), &body, EXPIRES).unwrap());
    let last = ask.payload.0.len() - 1;
    ask.payload.0[last] ^= 1;
    assert!(!legal(&ask));
}

#[test]
fn answer_without_a_signature_is_one_to_a_store_and_none_to_a_retrieve() {
    let body = Bytes::from(vec![7; 100]);
    let to_store = ask(&store(&info(2, 5, &body), &body, EXPIRES).unwrap());
    let to_retrieve = ask(&retrieve(&request(2, 5, 100, Part::Whole), EXPIRES).unwrap());
    let unable = Response::Unavailable(Unavailable::Unknown);
    let said = answer(&to_store, &unable, &Bytes::new()).unwrap();
    assert_eq!((said.kind, said.fields), (KIND_UNABLE, unable.head()));
    assert_eq!(answer(&to_retrieve, &unable, &Bytes::new()), None);
    let receipt = sign(5, Receipt { info: (*info(2, 5, &body)).clone(), stamp: Stamp(START) });
    let receipt = Response::Receipt(Unverified::new((*receipt).clone()));
    let said = answer(&to_store, &receipt, &Bytes::new()).unwrap();
    assert_eq!((said.kind, said.fields), (KIND_SIGNED, receipt.head()));
    let (hash, size, stamp) = (Hash::of(&body), Size(100), Stamp(START));
    let confirm = sign(5, RetrieveConfirm { receipt: Hash::ZERO, hash, size, stamp });
    let confirm = Response::Confirm(Unverified::new((*confirm).clone()));
    let said = answer(&to_retrieve, &confirm, &body).unwrap();
    assert_eq!((said.kind, said.body), (KIND_SIGNED, body.to_vec()));
    let long = Bytes::from(vec![7; 101]);
    assert_eq!(answer(&to_retrieve, &confirm, &long), None, "longer than asked for");
    // The longest signed answer without a chunk fits: a refusal that names the newer statement.
    let newer = Box::new((*info(2, 5, b"newer")).clone());
    let reason = crate::objects::DenyReason::Superseded(newer);
    let deny = sign(5, RetrieveDeny { receipt: Hash::ZERO, reason, stamp });
    let deny = Response::Deny(Unverified::new((*deny).clone()));
    assert!(answer(&to_retrieve, &deny, &Bytes::new()).is_some());
}
