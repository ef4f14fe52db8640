//! A few members, links as bags of messages in any order, and disks that are told apart from memory.

use crate::accounts::Owner;
use crate::broadcast::quorum::{Config, Spread};
use crate::broadcast::{Evidence, Input};
use crate::member::{Effect, Event, Member, Message, Record};
use crate::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{Epoch, GroupId, Hash, Millis, SecretKey, Slot};

pub fn key(slot: u16) -> SecretKey {
    SecretKey::from_seed(&[slot as u8 + 1; 32])
}

pub fn committee(n: u16, f: usize) -> Arc<Committee> {
    let keys = (0..n).map(|slot| key(slot).public()).collect();
    Arc::new(Committee::new(GroupId(Hash::of(b"g")), Epoch(0), keys, f).unwrap())
}

pub fn pay(to: u32, amount: u64) -> Payment {
    Payment { to: Account(to), amount: Amount(amount) }
}

pub fn place(account: u32, seq: u64) -> Place {
    Place { account: Account(account), seq: Seq(seq) }
}

pub fn transfer(account: u32, seq: u64, payments: &[Payment]) -> Transfer {
    let (base, deps, about) = (0, Vec::new(), Hash::ZERO);
    Transfer { place: place(account, seq), payments: payments.to_vec(), base, deps, about }
}

/// A chain of pseudo-random numbers.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % bound
    }
}

pub struct Net {
    pub committee: Arc<Committee>,
    spread: Spread,
    pub members: Vec<Option<Member>>,
    pub disks: Vec<Vec<Record>>,
    pub bag: Vec<(Slot, Slot, Message)>,
    pub applied: Vec<Vec<Transfer>>,
    pub evidence: Vec<Evidence>,
    /// The last checkpoint of each member.
    pub checkpoints: BTreeMap<Slot, Checkpoint>,
    pub now: Millis,
    /// Records that a member may still write before it crashes.
    pub crash_after: BTreeMap<Slot, usize>,
    events: Vec<Event>,
}

impl Net {
    /// `n` members with an account of 100 credits each.
    pub fn new(n: u16, f: usize, spread: Spread) -> Self {
        let events = (0..n).map(|slot| {
            let (account, owner) = (Account(slot.into()), Owner::One(Slot(slot)));
            Event::Open { account, owner, credits: Amount(100) }
        });
        Self::with(n, f, spread, events.collect())
    }

    pub fn with(n: u16, f: usize, spread: Spread, events: Vec<Event>) -> Self {
        let mut net = Self {
            committee: committee(n, f),
            spread,
            members: (0..n).map(|_| None).collect(),
            disks: vec![Vec::new(); n.into()],
            bag: Vec::new(),
            applied: vec![Vec::new(); n.into()],
            evidence: Vec::new(),
            checkpoints: BTreeMap::new(),
            now: Millis(0),
            crash_after: BTreeMap::new(),
            events,
        };
        for slot in 0..n {
            net.boot(Slot(slot));
            for event in net.events.clone() {
                net.decide(Slot(slot), event);
            }
        }
        net.bag.clear();
        net
    }

    pub fn member(&mut self, slot: u16) -> &mut Member {
        self.members[usize::from(slot)].as_mut().unwrap()
    }

    /// Starts a member from its disk.
    pub fn boot(&mut self, slot: Slot) {
        let (committee, me, spread) = (self.committee.clone(), slot, self.spread);
        let config = Config { committee, me, spread, seed: [slot.0 as u8; 32] };
        let mut member = Member::new(config, key(slot.0), Some(Account(slot.0.into())));
        member.restore(self.disks[usize::from(slot.0)].clone());
        let effects = member.start(self.now);
        self.members[usize::from(slot.0)] = Some(member);
        self.carry(slot, effects);
    }

    pub fn decide(&mut self, slot: Slot, event: Event) {
        let now = self.now;
        let effects = self.member(slot.0).decided(now, event);
        self.carry(slot, effects);
    }

    pub fn issue(&mut self, slot: u16, payments: &[Payment]) -> Result<(), IssueError> {
        let now = self.now;
        let effects = self.member(slot).issue(now, payments.to_vec(), Hash::ZERO)?;
        self.carry(Slot(slot), effects);
        Ok(())
    }

    /// Carries effects out in order, until the member crashes.
    pub fn carry(&mut self, slot: Slot, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Persist(record) => {
                    if let Some(left) = self.crash_after.get_mut(&slot) {
                        if *left == 0 {
                            self.crash_after.remove(&slot);
                            self.members[usize::from(slot.0)] = None;
                            return;
                        }
                        *left -= 1;
                    }
                    self.disks[usize::from(slot.0)].push(record);
                }
                Effect::Send { to, message } => {
                    self.bag.extend(to.into_iter().map(|to| (slot, to, message.clone())));
                }
                Effect::Applied(transfer) => self.applied[usize::from(slot.0)].push(transfer),
                Effect::Evidence(evidence) => self.evidence.push(evidence),
                Effect::Settled(checkpoint) | Effect::Adopted(checkpoint) => {
                    self.checkpoints.insert(slot, checkpoint);
                }
                Effect::Fault(_) => {}
                Effect::Refused(refused) => panic!("{slot}: {refused}"),
                Effect::Alarm(refused) => panic!("{slot}: {refused}"),
            }
        }
    }

    /// Hands one message over.
    pub fn hand(&mut self, at: usize) {
        let (from, to, message) = self.bag.swap_remove(at);
        let now = self.now;
        let Some(member) = self.members[usize::from(to.0)].as_mut() else { return };
        let effects = member.handle(now, Input::Message { from, message });
        self.carry(to, effects);
    }

    /// Hands messages over in an order drawn from `dice`, lets time pass, until all is quiet.
    pub fn run(&mut self, dice: &mut Dice) {
        for _ in 0..12 {
            while !self.bag.is_empty() {
                let at = dice.below(self.bag.len());
                self.hand(at);
            }
            self.pass(1_000);
        }
    }

    /// Lets time pass and wakes everybody.
    pub fn pass(&mut self, ms: u64) {
        self.now = self.now.plus(ms);
        for slot in 0..self.members.len() as u16 {
            let now = self.now;
            let Some(member) = self.members[usize::from(slot)].as_mut() else { continue };
            let effects = member.handle(now, Input::Wake);
            self.carry(Slot(slot), effects);
        }
    }

    /// The log decides a checkpoint at what member 0 has applied: `f + 1` members vouch.
    pub fn settle_all(&mut self) {
        let cut = self.member(0).ledger().cut();
        let root = self.member(0).vote_for(&cut).unwrap();
        for voter in 0..=self.committee.f() as u16 {
            for slot in 0..self.members.len() as u16 {
                let (member, cut) = (Slot(voter), cut.clone());
                self.decide(Slot(slot), Event::Vote { member, cut, root });
            }
        }
    }

    /// What members `honest` agree on; panics if they do not.
    pub fn agreed(&self, honest: impl IntoIterator<Item = u16>) -> Vec<(Account, Amount)> {
        let balances = |slot: u16| -> Vec<(Account, Amount)> {
            let member = self.members[usize::from(slot)].as_ref().unwrap();
            member.ledger().balances().collect()
        };
        let all: Vec<_> = honest.into_iter().map(balances).collect();
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{all:?}");
        all.into_iter().next().unwrap()
    }
}
