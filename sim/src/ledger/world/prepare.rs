//! Who is faulty, who pays when, what breaks when: everything that a seed decides beforehand.

use super::{ACTIVE_MS, Due, World};
use crate::ledger::adversary::Adversary;
use crate::ledger::check::Checks;
use crate::ledger::history::History;
use crate::ledger::seat::Seat;
use crate::ledger::{Outcome, Rules, Scenario};
use crate::rng::{Random, Stream};
use ledger::broadcast::quorum::Spread;
use ledger::{Account, Amount, Committee, Event, Owner};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use types::{Epoch, GroupId, Hash, Ident, Millis, Mode, Roster, SecretKey, Slot, Standing};

fn key(slot: Slot) -> SecretKey {
    SecretKey::from_seed(Hash::tagged("simulated ledger key", &slot.0.to_le_bytes()).as_bytes())
}

impl World {
    pub fn new(scenario: Scenario) -> Self {
        let mut plan = Random::new(scenario.seed, Stream::Plan);
        let n = scenario.nodes as u16;
        let (f, group) = (scenario.tolerated(), GroupId(Hash::of(b"simulated ledger")));
        let keys: Vec<_> = (0..n).map(|slot| key(Slot(slot)).public()).collect();
        let committee =
            Committee::new(group, Epoch(0), keys.clone(), f).expect("n is at least 3f+1");
        let committee = Arc::new(committee);
        let faulty = match (scenario.rules, plan.once_in(8)) {
            (Rules::TooManyFaulty, _) => f + 1,
            (_, true) => 0,
            (_, false) => f,
        };
        let mut order: Vec<Slot> = (0..n).map(Slot).collect();
        plan.shuffle(&mut order);
        let faulty: BTreeSet<Slot> = order.into_iter().take(faulty).collect();
        let spread = match plan.once_in(3) {
            true => Spread::Gossip { fanout: usize::from(n) / 2 },
            false => Spread::Owner,
        };
        let seat =
            |slot| Seat::new(slot, key(slot), Arc::clone(&committee), spread, scenario.rules);
        let honest = (0..n).map(Slot).filter(|slot| !faulty.contains(slot)).collect();
        let bad = faulty.iter().map(|slot| (*slot, key(*slot))).collect();
        let mut made = Self {
            scenario,
            now: Millis(0),
            queue: BTreeMap::new(),
            count: 0,
            seats: (0..n).map(|slot| seat(Slot(slot))).collect(),
            adversary: Adversary::new(Arc::clone(&committee), bad),
            checks: Checks::new(honest, roster(group, &keys, f), (*committee).clone()),
            faulty,
            history: History::default(),
            network: Random::new(scenario.seed, Stream::Network),
            disk: Random::new(scenario.seed, Stream::Disk),
            choices: Random::new(scenario.seed, Stream::Adversary),
            plan,
            cut: BTreeSet::new(),
            crash_after: BTreeMap::new(),
            outcome: Outcome::default(),
            rested: false,
        };
        made.prepare();
        made
    }

    /// The whole plan of a run, but for what follows from it.
    pub(super) fn prepare(&mut self) {
        let n = self.seats.len() as u16;
        for slot in 0..n {
            let (account, owner) = (Account(slot.into()), Owner::One(Slot(slot)));
            let credits = Amount([100, 100, 30, 0][self.plan.index(4)]);
            self.history.log.push(Event::Open { account, owner, credits });
        }
        for slot in self.honest() {
            self.boot(slot);
            for _ in 0..self.plan.between(2, 5) {
                let at = self.plan.between(1, ACTIVE_MS);
                self.at(at, Due::Pay(slot));
            }
            for _ in 0..2 {
                let at = self.plan.between(1, ACTIVE_MS + 4_000);
                self.at(at, Due::Read(slot));
            }
            if self.plan.once_in(3) {
                let records = self.plan.between(1, 40);
                self.crash_after.insert(slot, records);
            }
            if self.plan.once_in(4) {
                let at = self.plan.between(1, ACTIVE_MS);
                self.at(at, Due::Crash(slot));
            }
            if self.plan.once_in(4) {
                let from = self.plan.between(1, ACTIVE_MS);
                let to = from + self.plan.between(200, 9_000);
                self.at(from, Due::Cut(slot));
                self.at(to, Due::Heal(slot));
            }
        }
        for slot in self.faulty.clone() {
            for _ in 0..self.plan.between(3, 14) {
                let at = self.plan.between(1, ACTIVE_MS);
                self.at(at, Due::Act(slot));
            }
        }
        for at in [3_500, 7_500, 11_500] {
            if self.plan.once_in(2) {
                self.at(at, Due::Checkpoint);
            }
        }
        for _ in 0..self.plan.between(0, 2) {
            let (at, account) =
                (self.plan.between(1, ACTIVE_MS), Account(self.plan.index(n.into()) as u32));
            let credits = Amount(self.plan.between(1, 50));
            self.at(at, Due::Decide(Event::Mint { account, credits }));
        }
        if self.plan.once_in(3) {
            let at = self.plan.between(1, ACTIVE_MS);
            let (account, owner) =
                (Account(n.into()), Owner::One(Slot(self.plan.index(n.into()) as u16)));
            self.at(at, Due::Decide(Event::Open { account, owner, credits: Amount(5) }));
        }
        self.at(ACTIVE_MS, Due::Look);
    }
}

fn roster(group: GroupId, keys: &[types::PublicKey], f: usize) -> Roster {
    let members = keys.iter().map(|key| types::Member {
        identities: vec![*key],
        active: Ident(0),
        standing: Standing::Live,
    });
    // Proofs are judged by a roster, which asks for one member more than a committee does.
    let spare = types::Member {
        identities: vec![key(Slot(u16::MAX)).public()],
        active: Ident(0),
        standing: Standing::Live,
    };
    Roster::new(group, Epoch(0), f, Mode::QuasiSync, members.chain([spare]).collect())
        .expect("n is at least 3f+2 with the spare one")
}
