//! The yardstick in virtual time: with all members, and with a leader that crashes at any moment.

use crate::{Baseline, Message};
use bart_rsm::{Config, Effect, Input, Machine, Now, Params, Rules, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use types::{
    Epoch, GroupId, Hash, Ident, Instance, Member, Millis, Mode, Quorum, Roster, SecretKey, Slot,
    Stamp, Standing,
};

struct Net {
    cores: Vec<Baseline>,
    now: u64,
    queue: BTreeMap<(u64, u64), (Slot, Slot, Message)>,
    seq: u64,
    delivered: u64,
    dead: BTreeSet<Slot>,
    /// This member dies after so many more deliveries, in the middle of what it sends then.
    dies: Option<(Slot, u64)>,
    log: Vec<BTreeMap<Instance, Vec<Vec<u8>>>>,
    committed: Vec<BTreeSet<u64>>,
    sent: u64,
}

fn secret(slot: u16) -> SecretKey {
    SecretKey::from_seed(&[slot as u8 + 1; 32])
}

impl Net {
    fn new(n: u16) -> Self {
        let member = |slot| Member {
            identities: vec![secret(slot).public()],
            active: Ident(0),
            standing: Standing::Live,
        };
        let members = (0..n).map(member).collect();
        let f = Quorum::largest_f(usize::from(n));
        let group = GroupId(Hash::of(b"test"));
        let roster = Arc::new(Roster::new(group, Epoch(0), f, Mode::QuasiSync, members).unwrap());
        let core = |slot| {
            let (roster, params) = (Arc::clone(&roster), Params::default());
            let (slot_no, ident, rules) = (Slot(slot), Ident(0), Rules::default());
            let config = Config { roster, slot: slot_no, ident, params, rules };
            Baseline::new(config, secret(slot)).unwrap()
        };
        let mut net = Self {
            cores: (0..n).map(core).collect(),
            now: 0,
            queue: BTreeMap::new(),
            seq: 0,
            delivered: 0,
            dead: BTreeSet::new(),
            dies: None,
            log: vec![BTreeMap::new(); usize::from(n)],
            committed: vec![BTreeSet::new(); usize::from(n)],
            sent: 0,
        };
        for a in 0..n {
            for b in (0..n).filter(|b| *b != a) {
                net.input(Slot(a), Input::LinkUp(Slot(b)));
            }
        }
        net
    }

    fn input(&mut self, to: Slot, input: Input<Message>) {
        let now = Now { mono: Millis(self.now), wall: Stamp(1_000_000 + self.now) };
        let step = self.cores[usize::from(to.0)].handle(now, input);
        self.carry_out(to, step);
    }

    fn carry_out(&mut self, me: Slot, step: Step<Message>) {
        let index = usize::from(me.0);
        assert!(step.faults.is_empty(), "{me} blames {:?}", step.faults);
        let mut sending = false;
        for effect in step.effects {
            match effect {
                Effect::Persist(_) => assert!(!sending, "a record follows a message"),
                Effect::Send { to, message } => {
                    sending = true;
                    // A member that dies gets only some of its messages out.
                    if self.dies == Some((me, 0)) && to.0 % 2 == 0 {
                        continue;
                    }
                    self.sent += 1;
                    self.seq += 1;
                    self.queue.insert((self.now + 5, self.seq), (me, to, message));
                }
                Effect::Apply { inst, proposal, .. } => {
                    let commands = proposal.unwrap().commands.clone();
                    assert!(self.log[index].insert(inst, commands).is_none());
                }
                Effect::Committed { ticket, inst, index: at } => {
                    assert!(self.committed[index].insert(ticket), "answered twice");
                    let command = format!("{me} {ticket}").into_bytes();
                    assert_eq!(self.log[index][&inst][at], command);
                }
                other => panic!("{me}: {other:?}"),
            }
        }
        if self.dies == Some((me, 0)) {
            self.dead.insert(me);
            self.dies = None;
        }
    }

    fn submit(&mut self, slot: u16, ticket: u64) {
        let command = format!("{} {ticket}", Slot(slot)).into_bytes();
        self.input(Slot(slot), Input::Submit { ticket, command });
    }

    /// Delivers in order, and lets the clock go on when nothing is under way.
    fn run(&mut self, until: u64) {
        loop {
            let ticks = self.cores.iter().enumerate().filter_map(|(slot, core)| {
                let slot = Slot(slot as u16);
                let at = core.next_wakeup().filter(|_| !self.dead.contains(&slot))?;
                Some((at.0, slot))
            });
            let tick = ticks.min();
            let message = self.queue.first_key_value().map(|((at, _), _)| *at);
            let at = message.into_iter().chain(tick.map(|(at, _)| at)).min();
            let Some(at) = at.filter(|at| *at <= until) else { return };
            self.now = self.now.max(at);
            if message == Some(at) {
                let Some((_, (from, to, message))) = self.queue.pop_first() else { return };
                if self.dead.contains(&to) {
                    continue;
                }
                self.delivered += 1;
                if let Some((who, left)) = &mut self.dies {
                    *left = if *who == to { left.saturating_sub(1) } else { *left };
                }
                self.input(to, Input::Message { from, message });
            } else if let Some((_, slot)) = tick {
                self.input(slot, Input::Tick);
            }
        }
    }

    /// All living members executed the same; the tickets of the living were answered.
    fn check(&self, tickets: u64) {
        let living =
            || (0..self.cores.len()).filter(|slot| !self.dead.contains(&Slot(*slot as u16)));
        let first = living().next().unwrap();
        for slot in living() {
            assert_eq!(self.log[slot], self.log[first], "{slot} and {first} differ");
            assert_eq!(self.committed[slot].len() as u64, tickets, "member {slot}");
        }
        let all: Vec<_> = self.log[first].values().flatten().collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "executed twice");
    }
}

#[test]
fn commands_of_all_members_are_executed_by_all_in_one_order_and_silence_is_free() {
    let mut net = Net::new(5);
    for ticket in 0..40 {
        for slot in 0..5 {
            net.submit(slot, ticket);
        }
        net.run(net.now + 7);
    }
    net.run(1_000_000);
    net.check(40);
    let sent = net.sent;
    net.run(100_000_000);
    assert_eq!(net.sent, sent, "an idle group sends nothing");
}

#[test]
fn leader_that_crashes_at_any_moment_is_replaced_and_nothing_decided_is_lost() {
    for n in [5, 8] {
        for moment in 1..50 {
            let mut net = Net::new(n);
            net.dies = Some((Slot(0), moment));
            for ticket in 0..6 {
                for slot in 1..n {
                    net.submit(slot, ticket);
                }
                net.run(net.now + 7);
            }
            net.run(10_000_000);
            assert_eq!(net.dead.len(), 1, "n {n}, moment {moment}: nobody died");
            net.check(6);
        }
    }
}

#[test]
fn two_leaders_that_crash_one_after_the_other_are_replaced() {
    let mut net = Net::new(8);
    net.dead.insert(Slot(0));
    net.dead.insert(Slot(1));
    for slot in 2..8 {
        net.submit(slot, 0);
    }
    net.run(10_000_000);
    net.check(1);
}

#[test]
fn certificate_that_lacks_a_vote_or_has_one_twice_is_refused() {
    let mut net = Net::new(5);
    net.submit(1, 0);
    net.run(1000);
    let (cert, body) = net.cores[2].decided[&Instance(0)].clone();
    let mut fresh = Net::new(5);
    for change in 0..3 {
        let mut bad = cert.clone();
        match change {
            0 => drop(bad.votes.pop()),
            1 => bad.votes[0] = bad.votes[1],
            _ => bad.votes[0].1.0[0] ^= 1,
        }
        let message = Message::Decide(bad, Some(body.clone()));
        let now = Now { mono: Millis(0), wall: Stamp(0) };
        let step = fresh.cores[3].handle(now, Input::Message { from: Slot(0), message });
        assert_eq!(step.faults.len(), 1, "change {change}");
        assert_eq!(fresh.cores[3].current, Instance(0));
    }
    fresh.input(
        Slot(3),
        Input::Message { from: Slot(0), message: Message::Decide(cert, Some(body)) },
    );
    assert_eq!(fresh.cores[3].current, Instance(1));
}
