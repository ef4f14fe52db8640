//! Guarantees 2 to 5 of the crate, and the bounds of the storer.

use super::*;
use crate::check::{Outcome, check_retrieve, check_store};
use crate::evidence::EvidenceKind;
use crate::objects::{Op, Part, RejectReason, RetrieveRequest};
use crate::testing::{Disk, RULES, START, key, roster, sign, storer_config};
use crate::wire::{Response, Unavailable};
use bytes::Bytes;
use types::{Encode, Size, Unverified};

const ME: u16 = 2;
const OWNER: u16 = 1;
type Info = Verified<Signed<StoreInfo>>;

fn at(offset: u64) -> Stamp {
    Stamp(START + offset)
}

fn body(name: u8, size: usize) -> Bytes {
    Bytes::from(vec![name; size])
}

fn info(op: Op, name: u8, size: usize, stamp: u64) -> Info {
    info_of(OWNER, op, name, size, stamp)
}

fn info_of(owner: u16, op: Op, name: u8, size: usize, stamp: u64) -> Info {
    let (hash, size) = match op {
        Op::Tombstone => (Hash::ZERO, 0),
        Op::Put | Op::Renew => (Hash::of(&body(name, size)), size as u64),
    };
    let (storer, name) = (Slot(ME), Hash::of(&[name, 1]));
    sign(owner, StoreInfo { op, storer, name, hash, size: Size(size), stamp: at(stamp) })
}

/// A storer with its records and files, which carries steps out as a runner must.
struct Shop {
    storer: Storer,
    disk: Disk,
    files: BTreeMap<FileName, Bytes>,
    /// The records after each transaction.
    history: Vec<Disk>,
}

impl Shop {
    fn new() -> Self {
        let storer = Storer::new(storer_config(ME));
        let disk = Disk::default();
        Self { storer, history: vec![disk.clone()], disk, files: BTreeMap::new() }
    }

    fn settle(&mut self, step: StorerStep) -> Response {
        if !step.records.is_empty() {
            self.disk.write(&step.records);
            self.history.push(self.disk.clone());
        }
        let response = match step.action {
            Action::Answer(response) => response,
            Action::AnswerFromRecord(key) => {
                Storer::stored_answer(&key, &self.disk.0[&key]).unwrap()
            }
            Action::Write(_) => panic!("a write is carried out by `store`"),
        };
        for file in step.remove {
            self.files.remove(&file);
        }
        response
    }

    fn store(&mut self, now: u64, info: &Info, body: &Bytes) -> Response {
        let (from, hash) = (info.header.slot, Hash::of(body));
        let mut step = self.storer.on_store(at(now), from, info, hash, body.len() as u64);
        if let Action::Write(ticket) = step.action.clone() {
            self.files.insert(ticket.file, body.clone());
            self.disk.write(&step.records);
            for file in std::mem::take(&mut step.remove) {
                self.files.remove(&file);
            }
            step = self.storer.on_written(at(now), &ticket).unwrap();
        }
        self.settle(step)
    }

    /// Stores a Put of which nothing but its size matters, and expects a receipt.
    fn hold(&mut self, now: u64, info: &Info) -> Verified<Signed<Receipt>> {
        let body = body(0, 0);
        let body = match info.payload.op {
            Op::Put => body_of(info),
            Op::Renew | Op::Tombstone => body,
        };
        let response = self.store(now, info, &body);
        match check_store(&RULES, &roster(), at(now), info, response) {
            Outcome::Good(receipt) => receipt,
            other => panic!("{other:?}"),
        }
    }

    fn retrieve(&mut self, now: u64, receipt: &Verified<Signed<Receipt>>) -> (Response, Bytes) {
        self.retrieve_part(now, receipt, Part::Whole)
    }

    fn retrieve_part(
        &mut self,
        now: u64,
        receipt: &Verified<Signed<Receipt>>,
        part: Part,
    ) -> (Response, Bytes) {
        let request = RetrieveRequest { receipt: (**receipt).clone(), part, stamp: at(now) };
        let owner = receipt.payload.owner();
        let step = self.storer.on_retrieve(at(now), owner, &sign(owner.0, request));
        self.disk.write(&step.records);
        match step.reply {
            Reply::Answer(response) => (response, Bytes::new()),
            Reply::Read { file, hash, size, part, confirm } => match self.files.get(&file) {
                Some(body) if Hash::of(body) == hash && body.len() as u64 == size.0 => {
                    (confirm, part.of(body.clone()))
                }
                _ => (Storer::on_body_unavailable(), Bytes::new()),
            },
        }
    }

    fn check(&mut self, now: u64, receipt: &Verified<Signed<Receipt>>) -> crate::RetrieveOutcome {
        let (response, body) = self.retrieve(now, receipt);
        check_retrieve(&RULES, &roster(), at(now), receipt, Part::Whole, response, body)
    }
}

/// Finds the body that `info` made: names are digests, so the names are tried.
fn body_of(info: &Info) -> Bytes {
    let size = info.payload.size.0 as usize;
    (0..=255u8)
        .map(|name| body(name, size))
        .find(|body| Hash::of(body) == info.payload.hash)
        .unwrap()
}

fn refused(response: Response) -> Unavailable {
    match response {
        Response::Unavailable(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn stored_chunk_comes_back_with_a_good_confirm() {
    let mut shop = Shop::new();
    let receipt = shop.hold(10, &info(Op::Put, 1, 100, 0));
    assert_eq!(shop.check(20, &receipt), Outcome::Good(body(1, 100)));
    assert_eq!((shop.storer.used(), shop.files.len()), (100, 1));
}

/// Guarantee 3, across a restart at every transaction.
#[test]
fn request_sent_again_gets_the_identical_receipt_also_after_a_restart() {
    let mut shop = Shop::new();
    let put = info(Op::Put, 1, 100, 0);
    let receipt = shop.hold(10, &put);
    assert_eq!(shop.hold(500, &put).to_bytes(), receipt.to_bytes());
    shop.storer = shop.disk.storer(ME);
    assert_eq!(shop.hold(9000, &put).to_bytes(), receipt.to_bytes());
    assert_eq!(shop.storer.used(), 100);
}

#[test]
fn request_while_its_chunk_is_written_is_not_answered_yet() {
    let mut shop = Shop::new();
    let put = info(Op::Put, 1, 100, 0);
    let hash = put.payload.hash;
    let step = shop.storer.on_store(at(1), Slot(OWNER), &put, hash, 100);
    let Action::Write(ticket) = step.action else { panic!() };
    assert_eq!(shop.storer.files().collect::<Vec<_>>(), [ticket.file]);
    assert_eq!(refused(shop.store(2, &put, &body(1, 100))), Unavailable::NotYet);
    let newer = info(Op::Tombstone, 1, 0, 5);
    assert_eq!(refused(shop.store(2, &newer, &Bytes::new())), Unavailable::Busy);
    let failed = shop.storer.on_write_failed(&ticket).unwrap();
    assert_eq!(failed.remove, [ticket.file]);
    assert_eq!(refused(shop.settle(failed)), Unavailable::NoSpace);
    // Nothing was promised; the ticket is used up; a second try succeeds.
    assert!(matches!(shop.storer.on_written(at(3), &ticket), Err(Error::UnknownTicket)));
    assert_eq!(shop.storer.free(), RULES.contribution_bytes);
    shop.hold(4, &put);
}

#[test]
fn newer_put_replaces_the_old_one_and_its_file() {
    let mut shop = Shop::new();
    let old = shop.hold(10, &info(Op::Put, 1, 100, 0));
    let mut newer = info(Op::Put, 9, 300, 5).payload;
    newer.name = old.payload.info.payload.name;
    let new = shop.hold(20, &sign(OWNER, newer));
    assert_eq!((shop.storer.used(), shop.files.len()), (300, 1));
    assert_eq!(shop.check(30, &new), Outcome::Good(body(9, 300)));
    // The old receipt is legally denied, with the newer statement (7.3).
    assert!(matches!(shop.check(30, &old), Outcome::Refused(deny)
        if matches!(deny.payload.reason, crate::DenyReason::Superseded(_))));
}

#[test]
fn renewal_keeps_the_body_and_both_receipts_serve() {
    let mut shop = Shop::new();
    let put = shop.hold(10, &info(Op::Put, 1, 100, 0));
    let renewed = shop.hold(500_000, &info(Op::Renew, 1, 100, 500_000));
    assert_eq!((shop.storer.used(), shop.files.len()), (100, 1));
    for receipt in [&put, &renewed] {
        assert_eq!(shop.check(600_000, receipt), Outcome::Good(body(1, 100)));
    }
    // The first lease is over, the second is not.
    let later = RULES.lease_ms + RULES.skew_ms + 1;
    assert!(shop.storer.expire(at(later)).1.is_empty());
    assert_eq!(shop.check(later, &renewed), Outcome::Good(body(1, 100)));
}

#[test]
fn renewal_of_another_or_unknown_chunk_is_not_accepted() {
    let mut shop = Shop::new();
    let unknown = info(Op::Renew, 1, 100, 1);
    assert_eq!(refused(shop.store(5, &unknown, &Bytes::new())), Unavailable::Unknown);
    shop.hold(10, &info(Op::Put, 1, 100, 2));
    let other = info(Op::Renew, 1, 101, 3);
    assert_eq!(refused(shop.store(15, &other, &Bytes::new())), Unavailable::BadRenew);
    shop.hold(20, &info(Op::Tombstone, 1, 0, 4));
    let after = info(Op::Renew, 1, 100, 5);
    assert_eq!(refused(shop.store(25, &after, &Bytes::new())), Unavailable::BadRenew);
}

#[test]
fn tombstone_frees_the_space_and_denies_the_old_receipt() {
    let mut shop = Shop::new();
    let put = info(Op::Put, 1, 100, 0);
    let receipt = shop.hold(10, &put);
    let tombstone = info(Op::Tombstone, 1, 0, 5);
    shop.hold(20, &tombstone);
    assert_eq!((shop.storer.used(), shop.files.len()), (0, 0));
    assert!(matches!(shop.check(30, &receipt), Outcome::Refused(_)));
    // PB-22: the old Put is replayed, and later once more when the withdrawal is forgotten.
    assert_eq!(refused(shop.store(40, &put, &body(1, 100))), Unavailable::Stale);
    let end = RULES.lease_ms + RULES.skew_ms + 6;
    assert_eq!(shop.storer.expire(at(end)).0.len(), 1);
    assert_eq!(refused(shop.store(end, &put, &body(1, 100))), Unavailable::LeaseOver);
}

#[test]
fn tombstone_of_an_unknown_chunk_is_receipted_and_blocks_the_late_put() {
    let mut shop = Shop::new();
    shop.hold(20, &info(Op::Tombstone, 1, 0, 5));
    let late = info(Op::Put, 1, 100, 0);
    assert_eq!(refused(shop.store(30, &late, &body(1, 100))), Unavailable::Stale);
}

#[test]
fn two_statements_with_one_stamp_are_found_out() {
    let mut shop = Shop::new();
    shop.hold(10, &info(Op::Put, 1, 100, 0));
    let again = info(Op::Put, 1, 101, 0);
    let step = shop.storer.on_store(at(11), Slot(OWNER), &again, again.payload.hash, 101);
    assert_eq!(step.evidence.unwrap().kind, EvidenceKind::StampReuse);
    let older = info(Op::Tombstone, 1, 0, 0);
    let step = shop.storer.on_store(at(11), Slot(OWNER), &older, Hash::ZERO, 0);
    assert_eq!(step.evidence.unwrap().accused, Slot(OWNER));
}

#[test]
fn future_stamp_is_accepted_up_to_the_skew() {
    let mut shop = Shop::new();
    let beyond = info(Op::Put, 1, 100, RULES.skew_ms + 11);
    assert_eq!(refused(shop.store(10, &beyond, &body(1, 100))), Unavailable::FutureStamp);
    shop.hold(11, &beyond);
}

#[test]
fn statement_from_or_for_somebody_else_is_not_accepted() {
    let mut shop = Shop::new();
    let put = info(Op::Put, 1, 100, 0);
    let step = shop.storer.on_store(at(1), Slot(3), &put, put.payload.hash, 100);
    assert_eq!(refused(shop.settle(step)), Unavailable::Misaddressed);
    let mut elsewhere = put.payload;
    elsewhere.storer = Slot(3);
    let elsewhere = sign(OWNER, elsewhere);
    assert_eq!(refused(shop.store(1, &elsewhere, &body(1, 100))), Unavailable::Misaddressed);
    let own = info_of(ME, Op::Put, 1, 100, 0);
    assert_eq!(refused(shop.store(1, &own, &body(1, 100))), Unavailable::Misaddressed);
}

#[test]
fn wrong_body_is_rejected_for_good() {
    let mut shop = Shop::new();
    let put = info(Op::Put, 1, 100, 0);
    let response = shop.store(10, &put, &body(2, 100));
    let Response::Reject(first) = &response else { panic!("{response:?}") };
    let checked = check_store(&RULES, &roster(), at(10), &put, response.clone());
    assert!(matches!(checked, Outcome::Refused(_)));
    // The right body comes too late for this statement (PB4), also after a restart.
    assert_eq!(shop.store(20, &put, &body(1, 100)), Response::Reject(first.clone()));
    shop.storer = shop.disk.storer(ME);
    assert_eq!(shop.store(30, &put, &body(1, 100)), Response::Reject(first.clone()));
    // With a new statement it is fine, and the refused one is stale.
    shop.hold(40, &info(Op::Put, 1, 100, 35));
    assert_eq!(refused(shop.store(50, &put, &body(1, 100))), Unavailable::Stale);
}

#[test]
fn right_hash_with_a_wrong_length_is_not_answered() {
    let mut shop = Shop::new();
    let mut lying = info(Op::Put, 1, 100, 0).payload;
    lying.size = Size(7);
    let got = shop.store(10, &sign(OWNER, lying), &body(1, 100));
    assert_eq!(refused(got), Unavailable::Unknown);
}

fn fill(shop: &mut Shop) {
    for (name, size) in [(1u8, 1 << 19), (2, 1 << 18), (3, 1 << 18)] {
        shop.hold(10, &info(Op::Put, name, size, u64::from(name)));
    }
    assert_eq!(shop.storer.free(), 0);
}

/// Guarantee 3, the full case: a valid, shortest proof; the same answer after a restart and after
/// space became free.
#[test]
fn full_storer_proves_it_and_stays_with_it() {
    let mut shop = Shop::new();
    fill(&mut shop);
    let put = info(Op::Put, 4, 1, 20);
    let response = shop.store(30, &put, &body(4, 1));
    let outcome = check_store(&RULES, &roster(), at(30), &put, response.clone());
    let Outcome::Refused(reject) = outcome else { panic!("{outcome:?}") };
    let RejectReason::Full { proof } = &reject.payload.reason else { panic!() };
    assert_eq!(proof.len(), 3);
    shop.hold(40, &info(Op::Tombstone, 1, 0, 39));
    assert_eq!(shop.store(50, &put, &body(4, 1)), response);
    shop.storer = shop.disk.storer(ME);
    assert_eq!(shop.store(60, &put, &body(4, 1)), response);
    shop.hold(70, &info(Op::Put, 4, 1, 65));
}

#[test]
fn proof_cites_the_largest_chunks_first() {
    let mut shop = Shop::new();
    fill(&mut shop);
    let put = info(Op::Put, 4, 1 << 19, 20);
    let response = shop.store(30, &put, &body(4, 1 << 19));
    let Response::Reject(reject) = response else { panic!() };
    let RejectReason::Full { proof } = &reject.peek().payload.reason else { panic!() };
    let sizes: Vec<u64> = proof.iter().map(|info| info.payload.size.0).collect();
    assert_eq!(sizes, [1 << 19, 1 << 18]);
}

#[test]
fn chunk_larger_than_the_contribution_is_rejected_without_citations() {
    let mut shop = Shop::new();
    let put = info(Op::Put, 4, (1 << 20) + 1, 20);
    let response = shop.store(30, &put, &body(4, (1 << 20) + 1));
    let outcome = check_store(&RULES, &roster(), at(30), &put, response);
    assert!(matches!(outcome, Outcome::Refused(_)));
}

/// A storer never cites what it has not receipted: with space taken by writes it stays silent.
#[test]
fn space_taken_by_chunks_being_written_is_no_reason_to_reject() {
    let mut shop = Shop::new();
    let big = info(Op::Put, 1, 1 << 20, 0);
    let step = shop.storer.on_store(at(1), Slot(OWNER), &big, big.payload.hash, 1 << 20);
    assert!(matches!(step.action, Action::Write(_)));
    let put = info(Op::Put, 4, 1, 20);
    assert_eq!(refused(shop.store(30, &put, &body(4, 1))), Unavailable::Busy);
}

/// PB-3: what a lying storer cites binds it as if receipted, and bounds what it can claim: the
/// cited bytes plus the refused ones must exceed its capacity, each chunk once.
#[test]
fn phantoms_in_a_full_proof_must_add_up_to_the_whole_contribution() {
    let refused = info(Op::Put, 9, 1000, 50);
    let phantoms = |count: u8| -> Vec<Signed<StoreInfo>> {
        (0..count).map(|name| info(Op::Put, name, 1 << 17, 1).into_inner()).collect()
    };
    let claim = |proof| {
        let reason = RejectReason::Full { proof };
        let reject = StoreReject { info: (*refused).clone(), reason, stamp: at(60) };
        let response = Response::Reject(Unverified::new(sign(ME, reject).into_inner()));
        check_store(&RULES, &roster(), at(60), &refused, response)
    };
    assert!(matches!(claim(phantoms(8)), Outcome::Refused(_)));
    assert!(matches!(claim(phantoms(7)), Outcome::Evidence(_)));
}

#[test]
fn full_storer_with_expired_chunks_makes_room() {
    let mut shop = Shop::new();
    fill(&mut shop);
    let now = RULES.lease_ms + RULES.skew_ms + 2;
    shop.hold(now, &info(Op::Put, 4, 1 << 19, now));
    assert_eq!(shop.storer.used(), (1 << 19) + (1 << 18) * 2);
    assert_eq!(shop.files.len(), 3);
}

/// Issue P6, both edges: the storer holds through lease and skew, and denies after it.
#[test]
fn chunk_is_held_through_lease_and_skew_and_denied_one_millisecond_later() {
    let mut shop = Shop::new();
    let receipt = shop.hold(10, &info(Op::Put, 1, 100, 0));
    let end = RULES.lease_ms + RULES.skew_ms;
    assert_eq!(shop.storer.expire(at(end)), (Vec::new(), Vec::new()));
    assert_eq!(shop.check(end, &receipt), Outcome::Good(body(1, 100)));
    let (records, files) = shop.storer.expire(at(end + 1));
    shop.disk.write(&records);
    assert_eq!(files.len(), 1);
    assert!(matches!(shop.check(end + 1, &receipt), Outcome::Refused(_)));
    assert_eq!(shop.storer.used(), 0);
    assert_eq!(shop.disk.storer(ME).used(), 0);
}

/// Guarantee 5: neither a lost file nor a lost record makes the storer sign its own conviction.
#[test]
fn lost_body_or_record_is_not_answered() {
    let mut shop = Shop::new();
    let receipt = shop.hold(10, &info(Op::Put, 1, 100, 0));
    shop.files.values_mut().for_each(|body| *body = Bytes::from_static(b"rot"));
    assert_eq!(shop.retrieve(20, &receipt).0, Response::Unavailable(Unavailable::Damaged));
    shop.storer = Storer::new(storer_config(ME));
    assert_eq!(shop.retrieve(20, &receipt).0, Response::Unavailable(Unavailable::Unknown));
}

#[test]
fn receipt_that_this_storer_did_not_sign_is_not_answered() {
    let mut shop = Shop::new();
    let put = info(Op::Put, 1, 100, 0);
    let genuine = shop.hold(10, &put);
    let mut forged = genuine.clone().into_inner();
    forged.payload.stamp = at(999);
    let forged = Verified::from_own_store(forged);
    assert_eq!(refused(shop.retrieve(20, &forged).0), Unavailable::BadSignature);
    let other = sign(3, Receipt { info: put.into_inner(), stamp: at(10) });
    assert_eq!(refused(shop.retrieve(20, &other).0), Unavailable::Misaddressed);
    // Nor is somebody else than the owner.
    let request =
        RetrieveRequest { receipt: genuine.into_inner(), part: Part::Whole, stamp: at(20) };
    let step = shop.storer.on_retrieve(at(20), Slot(3), &sign(3, request));
    let misaddressed = Reply::Answer(Response::Unavailable(Unavailable::Misaddressed));
    assert_eq!(step.reply, misaddressed);
}

#[test]
fn next_identity_has_a_tenth_more_room() {
    let config = StorerConfig { ident: Ident(1), key: key(ME, 1), ..storer_config(ME) };
    assert_eq!(Storer::new(config).capacity(), RULES.contribution_bytes * 11 / 10);
}

/// Guarantees 2 to 4 over a whole day: at every crash point, what was said is said again.
#[test]
fn restart_at_every_transaction_keeps_every_answer_given_before_it() {
    let mut shop = Shop::new();
    let day = [
        info(Op::Put, 1, 1 << 19, 0),
        info_of(3, Op::Put, 2, 1 << 18, 0),
        info(Op::Put, 3, 1 << 18, 1),
        info(Op::Put, 4, 1 << 18, 2),
        info(Op::Renew, 1, 1 << 19, 3),
        info(Op::Tombstone, 3, 0, 4),
        info(Op::Put, 5, 1 << 17, 5),
    ];
    let mut said = Vec::new();
    for (index, info) in day.iter().enumerate() {
        let body = if info.payload.op == Op::Put { body_of(info) } else { Bytes::new() };
        let response = shop.store(100 + index as u64, info, &body);
        said.push((info, body, response, shop.history.len()));
    }
    let mut superseded = 0;
    for (cut, disk) in shop.history.clone().into_iter().enumerate() {
        for (info, body, response, written) in &said {
            if *written > cut + 1 {
                continue;
            }
            let files = shop.files.clone();
            let mut again =
                Shop { storer: disk.storer(ME), disk: disk.clone(), files, history: vec![] };
            let got = again.store(1000, info, body);
            if refused_as_stale(&got) {
                superseded += 1;
            } else {
                assert_eq!(&got, response, "cut {cut}");
            }
        }
    }
    assert!(superseded > 0 && superseded < 10, "{superseded}");
}

fn refused_as_stale(response: &Response) -> bool {
    *response == Response::Unavailable(Unavailable::Stale)
}

/// Specification 7.9.
#[test]
fn slice_of_a_held_chunk_proves_itself_and_a_place_behind_its_end_is_refused() {
    let mut shop = Shop::new();
    let info = info(Op::Put, 1, 5000, 0);
    let receipt = shop.hold(1, &info);
    for start in [0, 2048, 4096] {
        let part = Part::Slice { start };
        let (response, slice) = shop.retrieve_part(2, &receipt, part);
        assert!(slice.len() <= crate::slice::PROOF_LEN_MAX);
        let got = check_retrieve(
            &RULES,
            &roster(),
            at(2),
            &receipt,
            part,
            response.clone(),
            slice.clone(),
        );
        let Outcome::Good(bytes) = got else { panic!("{got:?}") };
        let end = 5000.min(start as usize + 1024);
        assert_eq!(bytes, body_of(&info).slice(start as usize..end));
        // The same bytes for another place, and a whole body in the place of a slice.
        let other = Part::Slice { start: if start == 0 { 4096 } else { 0 } };
        let got =
            check_retrieve(&RULES, &roster(), at(2), &receipt, other, response.clone(), slice);
        assert_eq!(got, Outcome::NoAnswer(crate::Fault::WrongBody));
        let whole = body_of(&info);
        let got = check_retrieve(&RULES, &roster(), at(2), &receipt, part, response, whole);
        assert_eq!(got, Outcome::NoAnswer(crate::Fault::WrongBody));
    }
    let (response, _) = shop.retrieve_part(2, &receipt, Part::Slice { start: 5120 });
    assert_eq!(refused(response), Unavailable::Misaddressed);
}
