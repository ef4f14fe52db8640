//! Guarantee (ii) of the specification, and guarantees 1 to 4 of the crate, over random runs of
//! honest members: lost answers, replacements, removals, renewals, full storers, clocks that
//! differ by the permitted amount, and crashes of everybody at any time. Nothing that anybody
//! signed may convict its signer, and what is stored can be read.

use super::*;
use crate::check::{accept_and_reject, cites_what_it_refused};
use crate::objects::Receipt;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    /// Store an object; the bits say which answers are lost.
    Put {
        id: u8,
        kib: usize,
        lost: u16,
    },
    Remove {
        id: u8,
    },
    /// Deliver the withdrawals for one storer.
    Deliver {
        slot: u16,
    },
    Renew {
        lost: u16,
    },
    Wait {
        ms: u64,
    },
    /// Wait for the last moment of an object's shortest lease, and read it.
    Edge {
        id: u8,
    },
    /// A request of the past comes again.
    Replay {
        which: prop::sample::Index,
    },
    CrashOwner,
    CrashStorer {
        slot: u16,
    },
    Read {
        id: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..12, 1usize..600, any::<u16>(), any::<u16>())
            .prop_map(|(id, kib, a, b)| Step::Put { id, kib, lost: a & b }),
        2 => (0u8..12).prop_map(|id| Step::Remove { id }),
        2 => (1u16..8).prop_map(|slot| Step::Deliver { slot }),
        2 => (any::<u16>(), any::<u16>()).prop_map(|(a, b)| Step::Renew { lost: a & b }),
        2 => (0u64..400_000).prop_map(|ms| Step::Wait { ms }),
        1 => (0u8..12).prop_map(|id| Step::Edge { id }),
        3 => any::<prop::sample::Index>().prop_map(|which| Step::Replay { which }),
        1 => Just(Step::CrashOwner),
        1 => (1u16..8).prop_map(|slot| Step::CrashStorer { slot }),
        2 => (0u8..12).prop_map(|id| Step::Read { id }),
    ]
}

/// Every statement that was signed, by stamp, for each identity.
#[derive(Default)]
struct Seen {
    by_stamp: BTreeMap<(Slot, Stamp), Vec<u8>>,
    receipts: BTreeMap<Vec<u8>, Verified<Signed<Receipt>>>,
    rejects: BTreeMap<Vec<u8>, Verified<Signed<StoreReject>>>,
    full: usize,
    errands: Vec<Errand>,
}

impl Seen {
    fn statement(&mut self, signer: Slot, stamp: Stamp, bytes: Vec<u8>) {
        let before = self.by_stamp.insert((signer, stamp), bytes.clone());
        assert!(before.is_none_or(|before| before == bytes), "one stamp, two statements");
    }

    fn answer(&mut self, slot: Slot, outcome: &StoreOutcome) {
        match outcome {
            Outcome::Good(receipt) => {
                self.statement(slot, receipt.payload.stamp, receipt.to_bytes());
                self.receipts.insert(receipt.to_bytes(), receipt.clone());
            }
            Outcome::Refused(reject) => {
                self.statement(slot, reject.payload.stamp, reject.to_bytes());
                self.rejects.insert(reject.to_bytes(), reject.clone());
                self.full += 1;
            }
            Outcome::Evidence(evidence) => panic!("honest storer convicted: {evidence:?}"),
            Outcome::NoAnswer(_) => {}
        }
    }

    /// Every pair, as an adversary who collects everything would try them.
    fn convicts_nobody(&self) {
        for reject in self.rejects.values() {
            for receipt in self.receipts.values() {
                assert_eq!(accept_and_reject(receipt, reject), None);
            }
            for other in self.rejects.values() {
                assert_eq!(cites_what_it_refused(reject, other), None);
            }
        }
    }
}

struct Run {
    world: World,
    owner: Owner,
    disk: Disk,
    seen: Seen,
    now: u64,
    contents: BTreeMap<u8, Vec<u8>>,
}

fn config() -> OwnerConfig {
    OwnerConfig { quota_bytes: 8 << 20, ..owner_config(0) }
}

impl Run {
    fn new() -> Self {
        let mut world = World::new();
        let half = RULES.skew_ms as i64 / 2;
        world.ahead_ms =
            (1..8).map(|slot| (Slot(slot), (i64::from(slot) - 4) * half / 3)).collect();
        let (seen, contents) = (Seen::default(), BTreeMap::new());
        let owner = Owner::new(config()).unwrap();
        Self { world, owner, disk: Disk::default(), seen, now: 0, contents }
    }

    /// Sends what a step asks for; returns the errands that brought nothing.
    fn run(&mut self, step: ErrandStep, lost: u16) -> Vec<Errand> {
        self.disk.write(&step.records);
        let mut failed = Vec::new();
        for (index, errand) in step.errands.into_iter().enumerate() {
            self.now += 3;
            let now = at(self.now);
            self.seen.statement(Slot(0), errand.info.payload.stamp, errand.info.to_bytes());
            let outcome = self.world.outcome(now, &errand);
            self.seen.answer(errand.to, &outcome);
            self.seen.errands.push(errand.clone());
            if lost >> (index % 16) & 1 == 1 {
                failed.push(errand);
                continue;
            }
            let applied = self.owner.apply(&errand, outcome).unwrap();
            self.disk.write(&applied.records);
            match applied.applied {
                Applied::Held { .. } | Applied::Released | Applied::Stale => {}
                Applied::Refused | Applied::NoAnswer(_) => failed.push(errand),
                other => panic!("{other:?}"),
            }
        }
        failed
    }

    fn put(&mut self, id: u8, kib: usize, lost: u16) {
        let known = self.contents.get(&id).filter(|_| self.owner.info(&pack(id)).is_some());
        let data = known.cloned().unwrap_or_else(|| vec![id ^ kib as u8; kib * 1024]);
        let now = at(self.now);
        let mut plan = match self.owner.plan_put(now, pack(id), data.len() as u64, &candidates()) {
            Ok(plan) => plan,
            Err(Error::QuotaFull { .. } | Error::NotEnoughMembers { .. }) => return,
            Err(other) => panic!("{other:?}"),
        };
        let chunks = self.owner.maker().chunks(pack(id), plan.stamp, &data).unwrap();
        self.contents.insert(id, data);
        for round in 0..3u16 {
            let step = match self.owner.requests(at(self.now), &plan, &chunks) {
                Ok(step) => step,
                Err(Error::QuotaFull { .. }) => return,
                Err(other) => panic!("{other:?}"),
            };
            for errand in self.run(step, lost.rotate_left(5 * u32::from(round))) {
                let Target::Chunk(chunk) = errand.target else { panic!() };
                let index = usize::from(chunk.index);
                let now = at(self.now);
                match self.owner.replace(now, &mut plan, index, &candidates()) {
                    Ok(records) => self.disk.write(&records),
                    Err(Error::NotEnoughMembers { .. }) => return,
                    Err(other) => panic!("{other:?}"),
                }
            }
        }
    }

    fn read(&mut self, id: u8) {
        let now = at(self.now);
        let Some(set) = self.owner.lookup(&pack(id)) else { return };
        let live =
            |chunk: &&ChunkRef| chunk.standing == Standing::Held && chunk.relies_until >= now;
        if set.chunks.iter().filter(live).count() < set.chunks.len() - set.f {
            return;
        }
        let got = self.world.read(now, &mut self.owner, &mut self.disk, pack(id), &[]);
        assert_eq!(got.as_ref(), Ok(&self.contents[&id]));
    }

    /// Time passes, and everybody lets go of what is over.
    fn wait(&mut self, ms: u64) {
        self.now += ms;
        let now = at(self.now);
        self.disk.write(&self.owner.expire(now).unwrap());
        for slot in (1..8).map(Slot) {
            let clock = self.world.clock(slot, now);
            let (records, files) = self.world.storers.get_mut(&slot).unwrap().expire(clock);
            self.world.records.entry(slot).or_default().write(&records);
            files.iter().for_each(|file| drop(self.world.files.remove(&(slot, *file))));
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Put { id, kib, lost } => self.put(id, kib, lost),
            Step::Remove { id } => {
                if let Ok(records) = self.owner.remove(at(self.now), &pack(id)) {
                    self.disk.write(&records);
                }
            }
            Step::Deliver { slot } => {
                let errands = self.owner.withdrawals(Slot(slot), None, 50);
                let _ = self.run(ErrandStep { records: Vec::new(), errands }, 0);
            }
            Step::Renew { lost } => {
                let step = self.owner.due_renewals(at(self.now), None, 50).unwrap();
                let _ = self.run(step, lost);
            }
            Step::Wait { ms } => self.wait(ms),
            Step::Edge { id } => {
                let Some(set) = self.owner.lookup(&pack(id)) else { return };
                let held = set.chunks.iter().filter(|chunk| chunk.standing == Standing::Held);
                let Some(edge) = held.map(|chunk| chunk.relies_until.0 - START).min() else {
                    return;
                };
                self.wait(edge.saturating_sub(self.now));
                self.read(id);
            }
            Step::Replay { which } if !self.seen.errands.is_empty() => {
                let errand = which.get(&self.seen.errands).clone();
                let outcome = self.world.outcome(at(self.now), &errand);
                self.seen.answer(errand.to, &outcome);
            }
            Step::Replay { .. } => {}
            Step::CrashOwner => self.owner = Owner::restore(config(), &self.disk.0).unwrap(),
            Step::CrashStorer { slot } => {
                let again = self.world.records.entry(Slot(slot)).or_default().storer(slot);
                let before = self.world.storers.insert(Slot(slot), again).unwrap();
                assert_eq!(before.used(), self.world.storers[&Slot(slot)].used());
            }
            Step::Read { id } => self.read(id),
        }
        let totals = self.owner.totals();
        assert!(totals.held_bytes + totals.pending_bytes <= totals.quota_bytes);
        let again = Owner::restore(config(), &self.disk.0).unwrap();
        assert_eq!(
            (again.totals(), again.own_list_digest()),
            (totals, self.owner.own_list_digest())
        );
        for storer in self.world.storers.values() {
            assert!(storer.used() <= storer.capacity());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn honest_run_convicts_nobody_and_keeps_what_it_stored(
        steps in prop::collection::vec(step(), 1..50),
    ) {
        let mut run = Run::new();
        for step in steps {
            run.step(step);
        }
        (0..12).for_each(|id| run.read(id));
        run.seen.convicts_nobody();
    }
}

/// The random runs reach what they are for: here storers are full, and say so.
#[test]
fn run_with_many_large_objects_meets_full_storers() {
    let mut run = Run::new();
    for id in 0..12 {
        run.step(Step::Put { id, kib: 599, lost: 0 });
    }
    assert!(run.seen.full > 5, "{}", run.seen.full);
    run.seen.convicts_nobody();
    (0..12).for_each(|id| run.read(id));
}
