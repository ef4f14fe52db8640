//! Guarantees 1 and 2 of the crate; the owner against real storers of this crate.

use super::*;
use crate::check::{Outcome, StoreOutcome, check_retrieve, check_store};
use crate::chunk::{Chunk, ChunkId, ObjectKind};
use crate::error::Fault;
use crate::evidence::EvidenceKind;
use crate::objects::{Part, RejectReason, StoreReject};
use crate::storer::{Action, FileName, Reply, Storer};
use crate::testing::storer_config;
use crate::testing::{Disk, RULES, START, candidates, owner_config, pack, roster, sign};
use crate::wire::{Request, Response, Unavailable};
use bytes::Bytes;
use types::{Encode, Unverified};

mod crash;
mod random;
mod upkeep;

fn at(offset: u64) -> Stamp {
    Stamp(START + offset)
}

/// Storers 1..=7 and what they wrote.
struct World {
    storers: BTreeMap<Slot, Storer>,
    files: BTreeMap<(Slot, FileName), Bytes>,
    records: BTreeMap<Slot, Disk>,
    /// How far each storer's clock is ahead of (or behind) the owner's.
    ahead_ms: BTreeMap<Slot, i64>,
}

impl World {
    fn new() -> Self {
        let storers = (1..crate::testing::MEMBERS)
            .map(|slot| (Slot(slot), Storer::new(storer_config(slot))))
            .collect();
        Self {
            storers,
            files: BTreeMap::new(),
            records: BTreeMap::new(),
            ahead_ms: BTreeMap::new(),
        }
    }

    fn clock(&self, slot: Slot, now: Stamp) -> Stamp {
        Stamp(now.0.saturating_add_signed(self.ahead_ms.get(&slot).copied().unwrap_or(0)))
    }

    /// Over the wire and back, as the runner does it.
    fn send(&mut self, now: Stamp, errand: &Errand) -> Response {
        let frame = [&Request::store(&errand.info).head()[..], &errand.body[..]].concat();
        let (request, body) = Request::decode(&Bytes::from(frame)).unwrap();
        let Request::Store(info) = request else { panic!() };
        let info = info.verify_outside_log(&roster()).unwrap();
        let now = self.clock(errand.to, now);
        let storer = self.storers.get_mut(&errand.to).unwrap();
        let (hash, len) = (Hash::of(&body), body.len() as u64);
        let mut step = storer.on_store(now, Slot(0), &info, hash, len);
        assert_eq!(step.evidence, None, "an honest owner never convicts itself");
        let disk = self.records.entry(errand.to).or_default();
        if let Action::Write(ticket) = step.action {
            disk.write(&step.records);
            self.files.insert((errand.to, ticket.file), body);
            step = storer.on_written(now, &ticket).unwrap();
        }
        disk.write(&step.records);
        for file in step.remove {
            self.files.remove(&(errand.to, file));
        }
        match step.action {
            Action::Answer(response) => response,
            Action::AnswerFromRecord(key) => Storer::stored_answer(&key, &disk.0[&key]).unwrap(),
            Action::Write(_) => unreachable!(),
        }
    }

    fn outcome(&mut self, now: Stamp, errand: &Errand) -> StoreOutcome {
        let response = self.send(now, errand);
        check_store(&RULES, &roster(), now, &errand.info, response)
    }

    /// Sends all errands and enters the answers.
    fn run(&mut self, now: Stamp, owner: &mut Owner, disk: &mut Disk, step: ErrandStep) {
        disk.write(&step.records);
        for errand in &step.errands {
            let outcome = self.outcome(now, errand);
            disk.write(&owner.apply(errand, outcome).unwrap().records);
        }
    }

    fn fetch(&mut self, now: Stamp, fetch: &Fetch) -> crate::RetrieveOutcome {
        let clock = self.clock(fetch.to, now);
        let storer = self.storers.get_mut(&fetch.to).unwrap();
        let step = storer.on_retrieve(clock, Slot(0), &fetch.request);
        self.records.entry(fetch.to).or_default().write(&step.records);
        let (response, body) = match step.reply {
            Reply::Answer(response) => (response, Bytes::new()),
            Reply::Read { file, confirm, part, .. } => match self.files.get(&(fetch.to, file)) {
                Some(body) => (confirm, part.of(body.clone())),
                None => (Storer::on_body_unavailable(), Bytes::new()),
            },
        };
        check_retrieve(&RULES, &roster(), now, &fetch.receipt, fetch.part, response, body)
    }

    /// Reads an object through all storers but `lost`.
    fn read(
        &mut self,
        now: Stamp,
        owner: &mut Owner,
        disk: &mut Disk,
        key: ObjectKey,
        lost: &[Slot],
    ) -> Result<Vec<u8>, Error> {
        let set = owner.lookup(&key).ok_or(Error::UnknownObject(key))?;
        let mut bodies = vec![None; set.chunks.len()];
        for chunk in set.chunks.iter().filter(|chunk| !lost.contains(&chunk.slot)) {
            let Some(receipt) = disk.0.get(&Owner::receipt_key(chunk.chunk)) else { continue };
            let fetch = owner.retrieve_request(now, chunk.chunk, &receipt.clone(), Part::Whole)?;
            disk.write(&fetch.records);
            if let Outcome::Good(body) = self.fetch(now, &fetch) {
                bodies[usize::from(chunk.chunk.index)] = Some(body);
            }
        }
        let maker = owner.maker_for(set.chunks.len(), set.f)?;
        maker.object(set.len, &bodies)
    }
}

fn object(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 / 7) as u8).collect()
}

fn begin(owner: &mut Owner, now: Stamp, key: ObjectKey, data: &[u8]) -> (PutPlan, Vec<Chunk>) {
    let plan = owner.plan_put(now, key, data.len() as u64, &candidates()).unwrap();
    let chunks = owner.maker().chunks(key, plan.stamp, data).unwrap();
    (plan, chunks)
}

/// Stores an object; all storers answer.
fn store(world: &mut World, owner: &mut Owner, disk: &mut Disk, now: u64, id: u8, len: usize) {
    let (plan, chunks) = begin(owner, at(now), pack(id), &object(len));
    let step = owner.requests(at(now), &plan, &chunks).unwrap();
    world.run(at(now), owner, disk, step);
    assert!(owner.info(&pack(id)).unwrap().is_stored());
}

fn new_owner() -> (World, Owner, Disk) {
    (World::new(), Owner::new(owner_config(0)).unwrap(), Disk::default())
}

/// (i) in small: any f storers may be lost, and one more fails.
#[test]
fn stored_object_survives_the_loss_of_any_f_storers_and_not_of_one_more() {
    let (mut world, mut owner, mut disk) = new_owner();
    store(&mut world, &mut owner, &mut disk, 0, 1, 5000);
    let slots: Vec<Slot> =
        owner.lookup(&pack(1)).unwrap().chunks.iter().map(|chunk| chunk.slot).collect();
    for one in 0..5 {
        for two in 0..one {
            let lost = [slots[one], slots[two]];
            let got = world.read(at(9), &mut owner, &mut disk, pack(1), &lost);
            assert_eq!(got.unwrap(), object(5000));
        }
    }
    let got = world.read(at(9), &mut owner, &mut disk, pack(1), &slots[..3]);
    assert_eq!(got, Err(Error::TooFewChunks { have: 2, needed: 3 }));
}

#[test]
fn chunks_go_to_distinct_storers_and_objects_spread_over_all() {
    let (_, mut owner, _) = new_owner();
    let mut load = BTreeMap::new();
    for id in 0..100 {
        let (plan, _) = begin(&mut owner, at(0), pack(id), b"x");
        let distinct: BTreeSet<Slot> = plan.slots.iter().copied().collect();
        assert_eq!(distinct.len(), 5);
        for slot in plan.slots {
            *load.entry(slot).or_insert(0) += 1;
        }
    }
    assert_eq!(load.len(), 7);
    // 500 chunks over 7 storers: 71 each on average.
    assert!(load.values().all(|count| (50..=95).contains(count)), "{load:?}");
}

#[test]
fn storers_with_more_room_come_first_and_unreachable_ones_never() {
    let (_, mut owner, _) = new_owner();
    let mut offers = candidates();
    offers[0].quota_left_hint = 1 << 30;
    offers[1].reachable = false;
    offers[2].quota_left_hint = 10;
    offers.push(offers[0]);
    offers.push(Candidate { slot: Slot(0), ..offers[0] });
    let plan = owner.plan_put(at(0), pack(1), 100, &offers).unwrap();
    assert_eq!(plan.slots[0], Slot(1));
    let chosen: BTreeSet<u16> = plan.slots.iter().map(|slot| slot.0).collect();
    assert_eq!(chosen, BTreeSet::from([1, 4, 5, 6, 7]));
    offers[6].reachable = false;
    let got = owner.plan_put(at(0), pack(1), 100, &offers);
    assert_eq!(got, Err(Error::NotEnoughMembers { reached: 4, needed: 5 }));
}

/// Guarantee 1: the last byte of the quota can be used, and not one more.
#[test]
fn quota_holds_to_the_byte() {
    let chunk = Owner::new(owner_config(0)).unwrap().maker().body_len(5000).unwrap();
    let at_quota = |quota_bytes| {
        let mut owner = Owner::new(OwnerConfig { quota_bytes, ..owner_config(0) }).unwrap();
        owner.plan_put(at(0), pack(1), 5000, &candidates()).map(|_| ())
    };
    assert_eq!(at_quota(5 * chunk), Ok(()));
    let (needed, quota) = (5 * chunk, 5 * chunk - 1);
    assert_eq!(at_quota(quota), Err(Error::QuotaFull { needed, left: quota, quota }));
}

#[test]
fn two_plans_for_the_last_bytes_cannot_both_be_signed() {
    let chunk = Owner::new(owner_config(0)).unwrap().maker().body_len(5000).unwrap();
    let config = OwnerConfig { quota_bytes: 5 * chunk, ..owner_config(0) };
    let mut owner = Owner::new(config).unwrap();
    let (one, one_chunks) = begin(&mut owner, at(0), pack(1), &object(5000));
    let (two, two_chunks) = begin(&mut owner, at(0), pack(2), &object(5000));
    assert_eq!(owner.requests(at(0), &one, &one_chunks).unwrap().errands.len(), 5);
    assert!(matches!(owner.requests(at(0), &two, &two_chunks), Err(Error::QuotaFull { .. })));
    assert_eq!(owner.totals().pending_bytes, 5 * chunk);
}

#[test]
fn too_large_object_is_refused() {
    let (_, mut owner, _) = new_owner();
    let got = owner.plan_put(at(0), pack(1), u64::MAX, &candidates());
    assert!(matches!(got, Err(Error::TooLarge { .. })));
}

/// Guarantee 2: sending again signs nothing new.
#[test]
fn request_made_again_is_byte_identical() {
    let (_, mut owner, _) = new_owner();
    let (plan, chunks) = begin(&mut owner, at(0), pack(1), &object(100));
    let first = owner.requests(at(0), &plan, &chunks).unwrap();
    let (again, _) = begin(&mut owner, at(5000), pack(1), &object(100));
    let second = owner.requests(at(5000), &again, &chunks).unwrap();
    assert_eq!(first.errands, second.errands);
    assert_eq!(owner.totals().pending_bytes, 5 * owner.maker().body_len(100).unwrap());
}

#[test]
fn other_content_under_one_key_is_refused() {
    let (_, mut owner, _) = new_owner();
    let (plan, chunks) = begin(&mut owner, at(0), pack(1), &object(100));
    let _ = owner.requests(at(0), &plan, &chunks).unwrap();
    let differs = Err(Error::ContentDiffers(pack(1)));
    assert_eq!(owner.plan_put(at(1), pack(1), 101, &candidates()), differs);
    let (plan, other) = begin(&mut owner, at(1), pack(1), &[9; 100]);
    assert_eq!(owner.requests(at(1), &plan, &other), Err(Error::ContentDiffers(pack(1))));
}

#[test]
fn receipt_twice_or_for_a_replaced_chunk_changes_nothing() {
    let (mut world, mut owner, mut disk) = new_owner();
    let (mut plan, chunks) = begin(&mut owner, at(0), pack(1), &object(100));
    let step = owner.requests(at(0), &plan, &chunks).unwrap();
    let late = world.outcome(at(1), &step.errands[0]);
    let first = world.outcome(at(1), &step.errands[1]);
    let held = owner.apply(&step.errands[1], first.clone()).unwrap();
    assert_eq!(held.applied, Applied::Held { stored: false });
    let twice = owner.apply(&step.errands[1], first).unwrap();
    assert_eq!((twice.records.len(), &twice.applied), (0, &held.applied));
    disk.write(&owner.replace(at(2), &mut plan, 0, &candidates()).unwrap());
    let totals = owner.totals();
    assert_eq!(owner.apply(&step.errands[0], late).unwrap().applied, Applied::Stale);
    assert_eq!(owner.totals(), totals);
}

#[test]
fn silent_storer_is_replaced_and_its_bytes_stay_reserved_until_it_confirms() {
    let (mut world, mut owner, mut disk) = new_owner();
    let (mut plan, chunks) = begin(&mut owner, at(0), pack(1), &object(100));
    let size = owner.maker().body_len(100).unwrap();
    let step = owner.requests(at(0), &plan, &chunks).unwrap();
    disk.write(&step.records);
    // It received the chunk, but its answer is lost.
    let silent = step.errands[2].to;
    world.send(at(1), &step.errands[2]);
    let lost = Outcome::NoAnswer(Fault::Unavailable(Unavailable::Busy));
    let applied = owner.apply(&step.errands[2], lost).unwrap().applied;
    assert!(matches!(applied, Applied::NoAnswer(_)));
    disk.write(&owner.replace(at(2), &mut plan, 2, &candidates()).unwrap());
    assert!(plan.slots[2] != silent && !step.errands.iter().any(|e| e.to == plan.slots[2]));
    let again = owner.requests(at(3), &plan, &chunks).unwrap();
    world.run(at(3), &mut owner, &mut disk, again);
    assert!(owner.info(&pack(1)).unwrap().is_stored());
    let totals = owner.totals();
    assert_eq!((totals.held_bytes, totals.pending_bytes), (5 * size, size));
    let withdrawals = owner.withdrawals(silent, None, 10);
    assert_eq!(withdrawals.len(), 1);
    let outcome = world.outcome(at(4), &withdrawals[0]);
    let step = owner.apply(&withdrawals[0], outcome).unwrap();
    disk.write(&step.records);
    assert_eq!(step.applied, Applied::Released);
    assert_eq!(owner.totals().pending_bytes, 0);
    assert_eq!(world.storers[&silent].used(), 0);
}

fn full_reject(errand: &Errand, proof: Vec<Signed<StoreInfo>>) -> StoreOutcome {
    let info = (*errand.info).clone();
    let reject = StoreReject {
        info,
        reason: RejectReason::Full { proof },
        stamp: errand.info.payload.stamp,
    };
    let response = Response::Reject(Unverified::new(sign(errand.to.0, reject).into_inner()));
    check_store(&RULES, &roster(), at(10), &errand.info, response)
}

fn cited(errand: &Errand, name: u8) -> Signed<StoreInfo> {
    let stamp = errand.info.payload.stamp;
    let (storer, size) = (errand.to, Size(1 << 20));
    let hash = Hash::of(&[name]);
    // Anybody but the owner and the storer.
    let other = if storer.0 == 6 { 5 } else { 6 };
    sign(other, StoreInfo { op: Op::Put, storer, name: hash, hash, size, stamp }).into_inner()
}

#[test]
fn refused_chunk_frees_its_reservation_and_goes_elsewhere() {
    let (mut world, mut owner, mut disk) = new_owner();
    let (mut plan, chunks) = begin(&mut owner, at(0), pack(1), &object(100));
    let size = owner.maker().body_len(100).unwrap();
    let step = owner.requests(at(0), &plan, &chunks).unwrap();
    let outcome = full_reject(&step.errands[0], vec![cited(&step.errands[0], 1)]);
    let refused = owner.apply(&step.errands[0], outcome).unwrap();
    assert_eq!(refused.applied, Applied::Refused);
    assert_eq!(refused.records.len(), 2, "the reject is kept as exculpation");
    assert_eq!(owner.totals().pending_bytes, 4 * size);
    disk.write(&owner.replace(at(2), &mut plan, 0, &candidates()).unwrap());
    assert_eq!(owner.withdrawals_open(), 0, "nothing to withdraw from who signed a reject");
    let again = owner.requests(at(3), &plan, &chunks).unwrap();
    world.run(at(3), &mut owner, &mut disk, again);
    assert!(owner.info(&pack(1)).unwrap().is_stored());
}

#[test]
fn unjust_reject_is_evidence_and_leaves_the_chunk_pending() {
    let (_, mut owner, _) = new_owner();
    let (plan, chunks) = begin(&mut owner, at(0), pack(1), &object(100));
    let step = owner.requests(at(0), &plan, &chunks).unwrap();
    let applied = owner.apply(&step.errands[0], full_reject(&step.errands[0], vec![])).unwrap();
    let Applied::Evidence(evidence) = applied.applied else { panic!() };
    assert_eq!(evidence.kind, EvidenceKind::BadReject);
    assert_eq!(owner.totals().pending_bytes, 5 * owner.maker().body_len(100).unwrap());
}

/// PB4 in both orders, and with a citation (decision 19).
#[test]
fn storer_that_accepts_and_rejects_is_found_out_in_either_order() {
    let (mut world, mut owner, mut disk) = new_owner();
    let (plan, chunks) = begin(&mut owner, at(0), pack(1), &object(100));
    let step = owner.requests(at(0), &plan, &chunks).unwrap();
    let evidence = |disk: &Disk, applied: Applied| {
        let Applied::Contradiction { record, later } = applied else { panic!("{applied:?}") };
        contradiction(&disk.0[&record], &later).unwrap()
    };
    let reject = |errand| full_reject(errand, vec![cited(errand, 1)]);
    let enter = |owner: &mut Owner, disk: &mut Disk, errand: &Errand, outcome| {
        let step = owner.apply(errand, outcome).unwrap();
        disk.write(&step.records);
        step.applied
    };
    let one = &step.errands[0];
    let receipt = world.outcome(at(1), one);
    let _ = enter(&mut owner, &mut disk, one, receipt);
    let found = enter(&mut owner, &mut disk, one, reject(one));
    assert_eq!(evidence(&disk, found).kind, EvidenceKind::AcceptAndReject);

    let two = &step.errands[1];
    assert_eq!(enter(&mut owner, &mut disk, two, reject(two)), Applied::Refused);
    let receipt = world.outcome(at(1), two);
    let found = enter(&mut owner, &mut disk, two, receipt);
    assert_eq!(evidence(&disk, found).accused, two.to);

    // The same storer is offered a chunk of another object and cites the one that it refused.
    let offered = (2..20).find_map(|id| {
        let (plan, chunks) = begin(&mut owner, at(2), pack(id), &object(100));
        let step = owner.requests(at(2), &plan, &chunks).unwrap();
        step.errands.into_iter().find(|errand| errand.to == two.to)
    });
    let three = offered.unwrap();
    let proof = vec![cited(&three, 1), (*two.info).clone()];
    let found = enter(&mut owner, &mut disk, &three, full_reject(&three, proof));
    assert_eq!(evidence(&disk, found).kind, EvidenceKind::AcceptAndReject);
}

#[test]
fn retrieval_needs_the_receipt_of_the_present_state() {
    let (mut world, mut owner, mut disk) = new_owner();
    store(&mut world, &mut owner, &mut disk, 0, 1, 100);
    store(&mut world, &mut owner, &mut disk, 0, 2, 100);
    let chunk = ChunkId { object: pack(1), index: 0 };
    let other = ChunkId { object: pack(2), index: 0 };
    let receipt = disk.0[&Owner::receipt_key(other)].clone();
    let got = owner.retrieve_request(at(1), chunk, &receipt, Part::Whole);
    assert_eq!(got, Err(Error::NotHeld { object: pack(1), index: 0 }));
    let got = owner.retrieve_request(at(1), chunk, b"rot", Part::Whole);
    assert!(matches!(got, Err(Error::BadRecord { .. })));
    let unknown = ChunkId { object: pack(9), index: 0 };
    let got = owner.retrieve_request(at(1), unknown, &receipt, Part::Whole);
    assert_eq!(got, Err(Error::UnknownObject(pack(9))));
}

#[test]
fn list_names_the_objects_of_one_kind() {
    let (mut world, mut owner, mut disk) = new_owner();
    store(&mut world, &mut owner, &mut disk, 0, 1, 100);
    store(&mut world, &mut owner, &mut disk, 0, 2, 200);
    let lens: BTreeSet<u64> = owner.list(ObjectKind::Pack).map(|info| info.len).collect();
    assert_eq!(lens, BTreeSet::from([100, 200]));
    assert_eq!(owner.list(ObjectKind::Snapshot).count(), 0);
}

#[test]
fn object_of_nine_chunks_takes_less_than_a_kibibyte() {
    let entry = std::mem::size_of::<ObjectKey>() + std::mem::size_of::<ObjectEntry>();
    assert!(entry + 9 * std::mem::size_of::<list::ChunkEntry>() < 900);
}
