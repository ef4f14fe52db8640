//! Virtual time: who pays whom when, what the network and the disks do, what the log decides.

mod clients;
mod log;
mod prepare;

use super::adversary::{Adversary, Sent};
use super::check::Checks;
use super::history::{History, Operation};
use super::seat::Seat;
use super::{Outcome, Rules, Scenario};
use crate::rng::Random;
use ledger::broadcast::Input;
use ledger::member::Effect;
use ledger::{Account, Event, Message, Record};
use std::collections::{BTreeMap, BTreeSet};
use types::{Decode, Encode, Hash, Millis, Slot};

/// Payments, attacks, crashes and cuts begin before this time.
const ACTIVE_MS: u64 = 12_000;
/// By then everything must have come to rest.
const DEADLINE_MS: u64 = 150_000;
/// How often it is looked whether everything has.
const LOOK_MS: u64 = 1_000;

/// What is due at a time.
#[derive(Debug)]
enum Due {
    Message { from: Slot, to: Slot, message: Message },
    Wake(Slot, u32),
    Sync(Slot, u32),
    Log(Slot, u32),
    Pay(Slot),
    Read(Slot),
    Crash(Slot),
    Restart(Slot),
    Act(Slot),
    Decide(Event),
    Checkpoint,
    Cut(Slot),
    Heal(Slot),
    Look,
}

/// One run.
pub(super) struct World {
    scenario: Scenario,
    now: Millis,
    queue: BTreeMap<(u64, u64), Due>,
    count: u64,
    seats: Vec<Seat>,
    faulty: BTreeSet<Slot>,
    adversary: Adversary,
    checks: Checks,
    history: History,
    network: Random,
    disk: Random,
    choices: Random,
    plan: Random,
    /// Members whose links to all others are cut.
    cut: BTreeSet<Slot>,
    /// Records that a member still writes before it crashes.
    crash_after: BTreeMap<Slot, u64>,
    outcome: Outcome,
    rested: bool,
}

impl World {
    fn honest(&self) -> Vec<Slot> {
        let all = (0..self.seats.len() as u16).map(Slot);
        all.filter(|slot| !self.faulty.contains(slot)).collect()
    }

    fn at(&mut self, ms: u64, due: Due) {
        self.count += 1;
        self.queue.insert((ms, self.count), due);
    }

    fn after(&mut self, ms: u64, due: Due) {
        self.at(self.now.0 + ms, due);
    }

    pub fn run(mut self) -> Outcome {
        while let Some(((ms, _), due)) = self.queue.pop_first() {
            self.now = Millis(ms);
            if self.rested || ms > DEADLINE_MS {
                break;
            }
            self.happen(due);
        }
        self.judge();
        self.outcome.convicted = self.checks.convicted.len() as u64;
        self.outcome.violations = self.checks.found;
        self.outcome
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Message { from, to, message } => self.arrive(from, to, message),
            Due::Wake(slot, life) => {
                if self.seat(slot).life == life {
                    self.seat(slot).wake_at = None;
                    self.input(slot, Input::Wake);
                }
            }
            Due::Sync(slot, life) => {
                if self.seat(slot).life == life && self.seat(slot).member.is_some() {
                    self.seat(slot).syncing = false;
                    let records = self.seat(slot).sync();
                    self.durable(slot, &records);
                    self.flush(slot);
                }
            }
            Due::Log(slot, life) => {
                if self.seat(slot).life == life {
                    self.seat(slot).log_scheduled = false;
                    self.execute(slot);
                }
            }
            Due::Pay(slot) => self.pay(slot),
            Due::Read(slot) => {
                let idle = self.idle_view(slot);
                if let Some(view) = idle {
                    self.outcome.reads += 1;
                    self.history.operations.entry(slot).or_default().push(Operation::Read(view));
                }
            }
            Due::Crash(slot) => self.crash(slot),
            Due::Restart(slot) => self.boot(slot),
            Due::Act(slot) => {
                let sent = self.adversary.act(slot, &mut self.choices);
                self.throw(sent);
            }
            Due::Decide(event) => self.decide(event),
            Due::Checkpoint => self.checkpoint(),
            Due::Cut(slot) => drop(self.cut.insert(slot)),
            Due::Heal(slot) => {
                self.cut.remove(&slot);
                self.link_up(slot);
            }
            Due::Look => self.look(),
        }
    }

    fn seat(&mut self, slot: Slot) -> &mut Seat {
        &mut self.seats[usize::from(slot.0)]
    }

    fn up(&self, slot: Slot) -> bool {
        self.faulty.contains(&slot) || self.seats[usize::from(slot.0)].member.is_some()
    }

    /// Delays are short; one in twenty messages is late, and overtaken.
    fn send(&mut self, from: Slot, to: Slot, message: Message) {
        if self.scenario.rules == Rules::NoCheckpoints && matches!(message, Message::Checkpoint(_))
        {
            return;
        }
        let late = self.network.once_in(20);
        let ms = self.network.between(1, if late { 2_500 } else { 60 });
        self.after(ms, Due::Message { from, to, message });
    }

    fn throw(&mut self, sent: Vec<Sent>) {
        for (from, to, message) in sent {
            self.send(from, to, message);
        }
    }

    fn arrive(&mut self, from: Slot, to: Slot, message: Message) {
        // A link that is down loses what is on it.
        if self.cut.contains(&from) || self.cut.contains(&to) || !self.up(to) {
            return;
        }
        self.outcome.messages += 1;
        if self.faulty.contains(&to) {
            let sent = self.adversary.hear(to, from, &message, &mut self.choices);
            return self.throw(sent);
        }
        let bytes = message.to_bytes();
        match Message::from_bytes(&bytes) {
            Ok(message) => self.input(to, Input::Message { from, message }),
            Err(error) => {
                let honest = !self.faulty.contains(&from);
                if honest {
                    self.checks.violation(
                        "encoding",
                        format!("{from} sent what does not decode: {error}"),
                    );
                }
            }
        }
    }

    fn link_up(&mut self, slot: Slot) {
        for peer in (0..self.seats.len() as u16).map(Slot).filter(|peer| *peer != slot) {
            if self.cut.contains(&peer) || !self.up(peer) || !self.up(slot) {
                continue;
            }
            for (me, other) in [(slot, peer), (peer, slot)] {
                if !self.faulty.contains(&me) {
                    self.input(me, Input::LinkUp(other));
                }
            }
        }
    }

    fn input(&mut self, slot: Slot, input: Input<Message>) {
        let now = self.now;
        let Some(member) = self.seat(slot).member.as_mut() else { return };
        let effects = member.handle(now, input);
        self.done(slot, effects);
    }

    /// After anything that a member did.
    fn done(&mut self, slot: Slot, effects: Vec<Effect>) {
        self.seat(slot).push(effects);
        self.check_state(slot);
        self.flush(slot);
        let now = self.now;
        let seat = self.seat(slot);
        let wake = seat.member.as_ref().and_then(ledger::Member::next_wakeup);
        if let Some(at) = wake.map(|at| at.max(now.plus(1)))
            && seat.wake_at.is_none_or(|before| at < before)
        {
            seat.wake_at = Some(at);
            let life = seat.life;
            self.at(at.0, Due::Wake(slot, life));
        }
    }

    fn check_state(&mut self, slot: Slot) {
        let seat = &self.seats[usize::from(slot.0)];
        let Some(member) = &seat.member else { return };
        let made = self.history.log[..seat.log_next].iter().map(|event| match event {
            Event::Open { credits, .. } | Event::Mint { credits, .. } => credits.0,
            Event::Vote { .. } => 0,
        });
        self.checks.state(slot, member.ledger(), made.sum());
    }

    /// Carries out what may be carried out.
    fn flush(&mut self, slot: Slot) {
        while let Some(effect) = self.seat(slot).next() {
            self.carry(slot, effect);
            if self.seat(slot).member.is_none() {
                return;
            }
        }
        self.seat(slot).compact();
        let seat = self.seat(slot);
        if seat.is_dirty() && !seat.syncing {
            seat.syncing = true;
            let life = seat.life;
            let ms = self.disk.between(1, 25);
            self.after(ms, Due::Sync(slot, life));
        }
    }

    fn carry(&mut self, slot: Slot, effect: Effect) {
        self.checks.effect(slot, &effect);
        self.trace(slot, &effect);
        match effect {
            Effect::Persist(_) => {
                let left = self.crash_after.get_mut(&slot);
                if let Some(left) = left {
                    *left -= 1;
                    if *left == 0 {
                        self.crash_after.remove(&slot);
                        self.crash(slot);
                    }
                }
            }
            Effect::Send { to, message } => {
                for to in to {
                    self.send(slot, to, message.clone());
                }
            }
            Effect::Applied(transfer) => {
                self.history.transfers.entry(transfer.place).or_insert(transfer.clone());
                if transfer.place.account == Account(slot.0.into()) {
                    self.respond(slot, transfer.digest());
                }
            }
            Effect::Settled(_) => self.outcome.settled += 1,
            Effect::Adopted(_) => self.outcome.adopted += 1,
            Effect::Evidence(_) | Effect::Refused(_) | Effect::Fault(_) | Effect::Alarm(_) => {}
        }
    }

    fn trace(&mut self, slot: Slot, effect: &Effect) {
        let bytes = match effect {
            Effect::Persist(record) => record.to_bytes(),
            Effect::Send { message, .. } => message.to_bytes(),
            _ => return,
        };
        let before = self.outcome.trace.to_le_bytes();
        let all = [&before[..], &self.now.0.to_le_bytes(), &slot.0.to_le_bytes(), &bytes].concat();
        let mut first = [0; 8];
        first.copy_from_slice(&Hash::of(&all).as_bytes()[..8]);
        self.outcome.trace = u64::from_le_bytes(first);
    }

    /// Records became durable.
    fn durable(&mut self, slot: Slot, records: &[Record]) {
        for record in records {
            match record {
                Record::Issued(order) => {
                    let issued = order.transfer().digest();
                    self.operation(slot, issued, |operation| {
                        if let Operation::Transfer { durable, .. } = operation {
                            *durable = true;
                        }
                    });
                }
                Record::Broadcast(ledger::broadcast::quorum::Record::Delivered(certified)) => {
                    if let Ok(order) = ledger::Order::from_bytes(&certified.payload) {
                        let transfer = order.transfer().clone();
                        self.history.transfers.entry(transfer.place).or_insert(transfer);
                    }
                }
                _ => {}
            }
        }
    }

    fn operation(&mut self, slot: Slot, issued: Hash, change: impl Fn(&mut Operation)) {
        for operation in self.history.operations.entry(slot).or_default() {
            if matches!(operation, Operation::Transfer { digest, .. } if *digest == issued) {
                change(operation);
            }
        }
    }

    fn respond(&mut self, slot: Slot, issued: Hash) {
        self.count += 1;
        let now = self.count;
        self.operation(slot, issued, |operation| {
            if let Operation::Transfer { responded, .. } = operation {
                *responded = Some(now);
            }
        });
    }

    fn boot(&mut self, slot: Slot) {
        if self.seat(slot).member.is_some() {
            return;
        }
        let now = self.now;
        let effects = self.seat(slot).boot(now);
        self.done(slot, effects);
        if now == Millis(0) {
            // The founding entries are executed before anything else.
            while self.seat(slot).log_next < self.seats.len() {
                self.execute(slot);
            }
            return;
        }
        self.schedule_log(slot);
        self.link_up(slot);
    }

    fn crash(&mut self, slot: Slot) {
        if self.seats[usize::from(slot.0)].member.is_none() {
            return;
        }
        self.outcome.crashes += 1;
        let mut dice = self.disk.clone();
        let records = self.seat(slot).crash(&mut dice);
        self.disk = dice;
        self.durable(slot, &records);
        let ms = self.disk.between(50, 5_000);
        self.after(ms, Due::Restart(slot));
    }
}
