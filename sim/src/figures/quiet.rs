//! A group whose machines are all honest, on links of one constant delay, in virtual time: the
//! setting of the paper's figures 5 and 6.
//!
//! Unlike [`crate::world`] nothing here is random and nothing fails, but one member may be
//! unreachable for a while, and slow senders hold their proposals back. Guarantees: the same
//! setting gives the same course.

use crate::app::App;
use bart_rsm::message::Message;
use bart_rsm::{Config, Core, Effect, Input, Now, Params, Record, RecordKey, Rules, Stats, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use types::{
    Decode, Encode, Epoch, GroupId, Hash, Ident, Member, Millis, Mode, Quorum, Roster, SecretKey,
    Slot, Stamp, Standing,
};

/// Wall clock at virtual time 0 (2026-01-01), ms since the Unix epoch.
const WALL_START_MS: u64 = 1_767_225_600_000;

/// What a quiet group is like.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Members.
    pub nodes: u16,
    /// One way, ms.
    pub delay_ms: u64,
    /// Timing and sizes of the group.
    pub params: Params,
    /// These members send every proposal of their own so much later, ms.
    pub slow: BTreeMap<Slot, u64>,
}

/// One member.
struct Seat {
    core: Core,
    app: App,
    committed: u64,
    disk: BTreeMap<RecordKey, Vec<u8>>,
}

/// A running group.
pub struct Quiet {
    setting: Setting,
    seats: Vec<Seat>,
    now_ms: u64,
    mail: BTreeMap<(u64, u64), (Slot, Slot, Vec<u8>)>,
    order: u64,
    cut: BTreeSet<Slot>,
    next_ticket: u64,
    /// Bytes that each member sent.
    pub sent_bytes: Vec<u64>,
}

impl Quiet {
    /// A group that starts now, with all links up.
    pub fn new(setting: Setting) -> Result<Self, String> {
        let count = usize::from(setting.nodes);
        let key = |slot: u16| {
            SecretKey::from_seed(Hash::tagged("quiet key", &slot.to_le_bytes()).as_bytes())
        };
        let members = (0..setting.nodes).map(|slot| Member {
            identities: vec![key(slot).public()],
            active: Ident(0),
            standing: Standing::Live,
        });
        let group = GroupId(Hash::tagged("quiet group", &setting.nodes.to_le_bytes()));
        let f = Quorum::largest_f(count);
        let roster = Roster::new(group, Epoch(0), f, Mode::QuasiSync, members.collect())
            .map_err(|error| error.to_string())?;
        let roster = Arc::new(roster);
        let mut seats = Vec::new();
        for slot in 0..setting.nodes {
            let config = Config {
                roster: Arc::clone(&roster),
                slot: Slot(slot),
                ident: Ident(0),
                params: setting.params.clone(),
                rules: Rules::default().with_shared_verdicts(),
            };
            let core = Core::new(config, key(slot)).map_err(|error| error.to_string())?;
            seats.push(Seat { core, app: App::default(), committed: 0, disk: BTreeMap::new() });
        }
        let mut quiet = Self {
            setting,
            seats,
            now_ms: 0,
            mail: BTreeMap::new(),
            order: 0,
            cut: BTreeSet::new(),
            next_ticket: 0,
            sent_bytes: vec![0; count],
        };
        for slot in 0..quiet.setting.nodes {
            let now = quiet.clock();
            let step = quiet.seats[usize::from(slot)].core.start(now);
            quiet.carry_out(Slot(slot), step);
        }
        for a in 0..quiet.setting.nodes {
            for b in 0..a {
                quiet.link(Slot(a), Slot(b), true);
            }
        }
        Ok(quiet)
    }

    /// Virtual time, ms.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Instances that a member decided.
    pub fn decided(&self, slot: Slot) -> u64 {
        let core = &self.seats[usize::from(slot.0)].core;
        core.decided_upto().map_or(0, |no| no.0 + 1)
    }

    /// Commands of its own that a member saw committed.
    pub fn committed(&self, slot: Slot) -> u64 {
        self.seats[usize::from(slot.0)].committed
    }

    /// What a member holds in memory.
    pub fn stats(&self, slot: Slot) -> Stats {
        self.seats[usize::from(slot.0)].core.stats()
    }

    /// Records on a member's disk, and their bytes, keys included.
    pub fn disk(&self, slot: Slot) -> (usize, usize) {
        let disk = &self.seats[usize::from(slot.0)].disk;
        let bytes = |(key, value): (&RecordKey, &Vec<u8>)| key.to_bytes().len() + value.len();
        (disk.len(), disk.iter().map(bytes).sum())
    }

    /// The latest instance whose state more than `f` members named alike, as a member knows it.
    pub fn stable(&self, slot: Slot) -> Option<u64> {
        self.seats[usize::from(slot.0)].core.stable_checkpoint().map(|stable| stable.inst.0)
    }

    /// Hands a member a command.
    pub fn submit(&mut self, slot: Slot, command: Vec<u8>) {
        self.next_ticket += 1;
        self.input(slot, Input::Submit { ticket: self.next_ticket, command });
    }

    /// Cuts a member off, or brings it back.
    pub fn set_reachable(&mut self, slot: Slot, reachable: bool) {
        if reachable {
            self.cut.remove(&slot);
        } else {
            self.cut.insert(slot);
            self.mail.retain(|_, (from, to, _)| *from != slot && *to != slot);
        }
        for peer in 0..self.setting.nodes {
            if Slot(peer) != slot {
                self.link(slot, Slot(peer), reachable);
            }
        }
    }

    /// Lets time pass up to `until_ms`.
    pub fn run_until(&mut self, until_ms: u64) {
        loop {
            let mail = self.mail.keys().next().map(|(at, _)| *at);
            let wake = self.seats.iter().filter_map(|seat| seat.core.next_wakeup()).min();
            let wake = wake.map(|at| at.0.max(self.now_ms));
            let Some(next) = mail.into_iter().chain(wake).min().filter(|at| *at <= until_ms) else {
                break;
            };
            self.now_ms = self.now_ms.max(next);
            if mail.is_some_and(|at| at <= self.now_ms) {
                let Some((_, (from, to, bytes))) = self.mail.pop_first() else { continue };
                if let Ok(message) = Message::from_bytes(&bytes) {
                    self.input(to, Input::Message { from, message });
                }
                continue;
            }
            for slot in 0..self.setting.nodes {
                let due = self.seats[usize::from(slot)].core.next_wakeup();
                if due.is_some_and(|at| at.0 <= self.now_ms) {
                    self.input(Slot(slot), Input::Tick);
                }
            }
        }
        self.now_ms = self.now_ms.max(until_ms);
    }

    fn clock(&self) -> Now {
        Now { mono: Millis(self.now_ms), wall: Stamp(WALL_START_MS + self.now_ms) }
    }

    fn link(&mut self, a: Slot, b: Slot, up: bool) {
        for (me, peer) in [(a, b), (b, a)] {
            self.input(me, if up { Input::LinkUp(peer) } else { Input::LinkDown(peer) });
        }
    }

    fn input(&mut self, slot: Slot, input: Input) {
        let now = self.clock();
        let step = self.seats[usize::from(slot.0)].core.handle(now, input);
        self.carry_out(slot, step);
    }

    fn carry_out(&mut self, slot: Slot, step: Step) {
        assert!(step.faults.iter().all(|(_, fault)| !fault.is_misbehavior()), "{:?}", step.faults);
        let (mut loads, mut named) = (Vec::new(), Vec::new());
        let seat = &mut self.seats[usize::from(slot.0)];
        let mut sends = Vec::new();
        for effect in step.effects {
            match effect {
                Effect::Persist(record) => {
                    seat.disk.insert(record.key, record.value);
                }
                Effect::Erase { from, to } => {
                    for keys in RecordKey::of_instances(from, to) {
                        seat.disk.extract_if(keys, |_, _| true).for_each(drop);
                    }
                }
                Effect::Load(key) => loads.push(key),
                Effect::Send { to, message } => sends.push((to, message)),
                Effect::Apply { inst, sender, proposal, tau } => {
                    seat.app.apply(inst, sender, proposal.as_ref(), tau);
                }
                Effect::Digest { inst } => {
                    named.extend(seat.app.digest(inst).map(|state| Input::Digest { inst, state }));
                }
                Effect::Committed { .. } => seat.committed += 1,
                Effect::Alarm(alarm) => panic!("honest members raised an alarm: {alarm}"),
                _ => {}
            }
        }
        for (to, message) in sends {
            self.post(slot, to, &message);
        }
        for input in named {
            self.input(slot, input);
        }
        for key in loads {
            let record = self.seats[usize::from(slot.0)].disk.get(&key);
            let record = record.map(|value| Record { key, value: value.clone() });
            self.input(slot, record.map_or(Input::LoadMissing(key), Input::Loaded));
        }
    }

    fn post(&mut self, from: Slot, to: Slot, message: &Message) {
        if self.cut.contains(&from) || self.cut.contains(&to) {
            return;
        }
        let held = match message {
            Message::Agree(_) => self.setting.slow.get(&from).copied().unwrap_or(0),
            _ => 0,
        };
        let bytes = message.to_bytes();
        self.sent_bytes[usize::from(from.0)] += bytes.len() as u64;
        self.order += 1;
        let at = self.now_ms + self.setting.delay_ms + held;
        self.mail.insert((at, self.order), (from, to, bytes));
    }
}
