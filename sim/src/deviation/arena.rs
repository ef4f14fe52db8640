//! One run: a group of real cores in virtual time, each behind a [`Mind`] at its queue boundary.
//!
//! Unlike `world`, which looks for violations under any trouble, this runner plays a fixed horizon of
//! instances in which every member has something to propose, and counts what each member spends.
//!
//! Guarantees: (1) a run is a function of its [`Setup`]; (2) only what belongs to the horizon is counted, and
//! what is still owed for it afterwards is reported; (3) a run ends, in time and in events.

mod audit;
mod post;

use super::evidence::Said;
use super::frame::Frame;
use super::meter::Meter;
use super::play::{Mind, Parcel, Scene};
use super::weather::Weather;
use bart_rsm::message::Message;
use bart_rsm::pom::PomKind;
use bart_rsm::{Core, Duty, Effect, Fault, Input, Now, RecordKey, Step};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use types::{Encode as _, Hash, Kind, Millis, Slot, Stamp};

/// Wall clock of a run's start.
const WALL_START_MS: u64 = 1_767_225_600_000;
/// How often the end is looked for.
const LOOK_MS: u64 = 250;
/// Virtual time per rotation of the horizon; whoever needs more does not terminate in time.
const ROTATION_MAX_MS: u64 = 15 * 60_000;
/// A hostile member takes a duty that is open for longer as an offence.
const PATIENCE_MS: u64 = 5_000;
/// Messages per member, peer and instance.
const MESSAGES_MAX: u64 = 400;
/// One run.
pub struct Setup<'a> {
    /// The group and its parameters.
    pub frame: &'a Frame,
    /// The sample of the network.
    pub seed: u64,
    /// The member whose utility is measured.
    pub rational: Slot,
    /// Members that may do anything.
    pub hostile: Vec<Slot>,
    /// The minds, in slot order.
    pub minds: Vec<Box<dyn Mind>>,
    /// When the rational member is away on purpose.
    pub away: Option<(u64, u64)>,
    /// The rules of each member's core, in slot order.
    pub rules: Vec<bart_rsm::Rules>,
}

/// What a run showed.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// What the rational member spent within the horizon.
    pub meter: Meter,
    /// Its own proposals with commands that were decided.
    pub own_decided: u64,
    /// Its own instances that were decided as NULL.
    pub own_null: u64,
    /// What it owes to members that follow, for the horizon, when the run ends.
    pub owes: Vec<(Slot, Duty)>,
    /// The longest time for which it owed something to a member that follows, ms.
    pub owed_longest_ms: u64,
    /// Members that follow and would list it: it owed them something for longer than `max_response`.
    pub listed_by: BTreeSet<Slot>,
    /// Members that follow and noticed something that no honest member causes.
    pub blamed_by: BTreeSet<Slot>,
    /// A proof of its misbehavior that verifies, by kind, from what it said to others.
    pub proven: Option<PomKind>,
    /// Messages of it that were dropped as unexpected.
    pub dropped: u64,
    /// Units of penance that it sent.
    pub penance: u64,
    /// How often it did something that the protocol does not say.
    pub acted: u64,
    /// No two members that follow decided differently.
    pub safe: bool,
    /// All members that follow decided the horizon, and owe each other nothing for it.
    pub live: bool,
    /// Virtual time in which the horizon was decided.
    pub took_ms: u64,
    /// Instances of the horizon that were decided as NULL.
    pub nulls: u64,
    /// The highest turn that was seen.
    pub turns: u32,
    /// Bytes that the rational member sent and received within the horizon, by kind and whether in a
    /// turn above 0.
    pub spent: BTreeMap<(Kind, bool), [u64; 2]>,
}

#[allow(clippy::large_enum_variant)] // Short-lived and moved a few times.
enum Event {
    Deliver { from: Slot, to: Slot, link: u32, message: Message },
    Take { from: Slot, to: Slot, message: Message },
    Leave { from: Slot, parcel: Parcel },
    Wake { slot: Slot },
    Loaded { slot: Slot, key: RecordKey },
    Cut { a: Slot, b: Slot },
    Heal { a: Slot, b: Slot },
    Up { a: Slot, b: Slot },
    Look,
}

struct Timed {
    at_ms: u64,
    order: u64,
    event: Event,
}

impl PartialEq for Timed {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Timed {}

impl PartialOrd for Timed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timed {
    /// The earliest is the greatest, for the heap.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at_ms, other.order).cmp(&(self.at_ms, self.order))
    }
}

struct Seat {
    core: Core,
    disk: BTreeMap<RecordKey, Vec<u8>>,
    wake_ms: Option<u64>,
    meter: Meter,
    ticket: u64,
    applied: u64,
}

/// A duty that somebody waits for.
#[derive(Clone, Copy)]
struct Wait {
    inst: u64,
    duty: Duty,
    since_ms: u64,
}

/// A group at some moment.
pub struct Arena<'a> {
    setup: Setup<'a>,
    scenes: Vec<Scene>,
    seats: Vec<Seat>,
    weather: Weather,
    queue: BinaryHeap<Timed>,
    order: u64,
    now_ms: u64,
    links: BTreeMap<(Slot, Slot), u32>,
    down: BTreeSet<(Slot, Slot)>,
    decided: BTreeMap<u64, Option<Hash>>,
    /// When a duty of the rational member was first seen open.
    owed_since: BTreeMap<(Slot, u64, Duty), u64>,
    /// What a hostile member waits for from the rational one, and since when.
    waits: BTreeMap<Slot, Wait>,
    /// When the last member that follows decided the horizon.
    reached_ms: Option<u64>,
    messages: u64,
    said: Said,
    run: Run,
}

fn pair(a: Slot, b: Slot) -> (Slot, Slot) {
    (a.min(b), a.max(b))
}

/// How many members lie between two in the rotation, the shorter way round.
fn remoteness(a: Slot, b: Slot, n: usize) -> usize {
    let apart = usize::from(a.0.abs_diff(b.0));
    apart.min(n - apart)
}

impl<'a> Arena<'a> {
    /// Sets a run up.
    pub fn new(setup: Setup<'a>) -> Result<Self, String> {
        let frame = setup.frame;
        let n = frame.roster.slots();
        let honest = |slot: &Slot| *slot != setup.rational && !setup.hostile.contains(slot);
        let after = |slot: Slot| (1..n as u16).map(move |step| Slot((slot.0 + step) % n as u16));
        let mut seats = Vec::new();
        let mut scenes = Vec::new();
        for slot in frame.roster.all() {
            let config = frame.config(slot, setup.rules[usize::from(slot.0)]);
            let key = frame.keys[usize::from(slot.0)].clone();
            scenes.push(Scene {
                now_ms: 0,
                me: slot,
                n,
                q: frame.roster.quorum().size(),
                group: frame.roster.group(),
                key: key.clone(),
                seed: setup.seed,
                t0_ms: frame.params.t0_min_ms,
                victim: after(slot).find(honest).ok_or("a group needs honest members")?,
                distant: after(slot)
                    .filter(honest)
                    .max_by_key(|other| remoteness(slot, *other, n))
                    .ok_or("a group needs honest members")?,
                target: setup.rational,
            });
            seats.push(Seat {
                core: Core::new(config, key).map_err(|error| error.to_string())?,
                disk: BTreeMap::new(),
                wake_ms: None,
                meter: Meter::default(),
                ticket: 0,
                applied: 0,
            });
        }
        Ok(Self {
            weather: Weather::new(setup.seed, n, setup.frame.outages),
            setup,
            scenes,
            seats,
            queue: BinaryHeap::new(),
            order: 0,
            now_ms: 0,
            links: BTreeMap::new(),
            down: BTreeSet::new(),
            decided: BTreeMap::new(),
            owed_since: BTreeMap::new(),
            waits: BTreeMap::new(),
            reached_ms: None,
            messages: 0,
            said: Said::default(),
            run: Run { safe: true, ..Run::default() },
        })
    }

    fn follows(&self, slot: Slot) -> bool {
        slot != self.setup.rational && !self.setup.hostile.contains(&slot)
    }

    fn followers(&self) -> Vec<Slot> {
        self.setup.frame.roster.all().filter(|slot| self.follows(*slot)).collect()
    }

    fn push(&mut self, at_ms: u64, event: Event) {
        self.order += 1;
        self.queue.push(Timed { at_ms, order: self.order, event });
    }

    /// Plays to the end.
    pub fn run(mut self) -> Run {
        let slots: Vec<Slot> = self.setup.frame.roster.all().collect();
        for slot in &slots {
            let now = self.now();
            let step = self.seats[usize::from(slot.0)].core.start(now);
            self.carry_out(*slot, step);
            for _ in 0..self.setup.frame.commands {
                self.submit(*slot);
            }
        }
        for a in &slots {
            for b in slots.iter().filter(|b| *b != a) {
                self.handle(*a, Input::LinkUp(*b));
            }
        }
        let rational = self.setup.rational;
        let outage = self.weather.outage.map(|o| (o.slot, o.from_ms, o.until_ms));
        let away = self.setup.away.map(|(from_ms, until_ms)| (rational, from_ms, until_ms));
        for (a, from_ms, until_ms) in outage.into_iter().chain(away) {
            for b in slots.iter().copied().filter(|b| *b != a) {
                self.push(from_ms, Event::Cut { a, b });
                self.push(until_ms, Event::Heal { a, b });
            }
        }
        self.push(LOOK_MS, Event::Look);
        let n = slots.len() as u64;
        let horizon = self.setup.frame.horizon;
        let last_ms = ROTATION_MAX_MS * horizon.div_ceil(n);
        let most = MESSAGES_MAX * n * n * (horizon + n);
        while let Some(Timed { at_ms, event, .. }) = self.queue.pop() {
            self.now_ms = at_ms;
            let is_look = matches!(event, Event::Look);
            self.happen(event);
            if is_look && (self.is_over() || at_ms > last_ms || self.messages > most) {
                break;
            }
        }
        self.close()
    }

    fn now(&self) -> Now {
        Now { mono: Millis(self.now_ms), wall: Stamp(WALL_START_MS + self.now_ms) }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver { from, to, link, message } => self.deliver(from, to, link, message),
            Event::Take { from, to, message } => self.handle(to, Input::Message { from, message }),
            Event::Leave { from, parcel } => {
                let inst = parcel.message.inst();
                let core = &self.seats[usize::from(from.0)].core;
                if !parcel.only_if_open || core.decided_upto().is_none_or(|upto| upto < inst) {
                    self.transmit(from, parcel.to, parcel.message);
                }
            }
            Event::Wake { slot } => {
                if self.seats[usize::from(slot.0)].wake_ms == Some(self.now_ms) {
                    self.seats[usize::from(slot.0)].wake_ms = None;
                    self.handle(slot, Input::Tick);
                }
            }
            Event::Loaded { slot, key } => {
                let value = self.seats[usize::from(slot.0)].disk.get(&key).cloned();
                let input = match value {
                    Some(value) => Input::Loaded(bart_rsm::Record { key, value }),
                    None => Input::LoadMissing(key),
                };
                self.handle(slot, input);
            }
            Event::Cut { a, b } => {
                self.down.insert(pair(a, b));
                *self.links.entry(pair(a, b)).or_insert(0) += 1;
                self.handle(a, Input::LinkDown(b));
                self.handle(b, Input::LinkDown(a));
            }
            Event::Heal { a, b } => self.heal(a, b),
            Event::Up { a, b } => self.up(a, b),
            Event::Look => {
                self.look();
                let pause = if self.reached_ms.is_some() { 4 * LOOK_MS } else { LOOK_MS };
                self.push(self.now_ms + pause, Event::Look);
            }
        }
    }

    /// A link can be restored; its dialer, the lower slot, decides when.
    fn heal(&mut self, a: Slot, b: Slot) {
        let (dialer, other) = pair(a, b);
        let mind = &self.setup.minds[usize::from(dialer.0)];
        if let Some(delay) = mind.redials_after_ms(&self.scenes[usize::from(dialer.0)], other) {
            self.push(self.now_ms + delay, Event::Up { a: dialer, b: other });
        }
    }

    fn up(&mut self, a: Slot, b: Slot) {
        if self.down.remove(&pair(a, b)) {
            self.handle(a, Input::LinkUp(b));
            self.handle(b, Input::LinkUp(a));
        }
    }

    fn handle(&mut self, slot: Slot, input: Input) {
        let now = self.now();
        let step = self.seats[usize::from(slot.0)].core.handle(now, input);
        self.carry_out(slot, step);
    }

    fn carry_out(&mut self, slot: Slot, step: Step) {
        for (peer, fault) in step.faults {
            self.note_fault(slot, peer, &fault);
        }
        let mut post = Vec::new();
        for effect in step.effects {
            match effect {
                Effect::Persist(record) => {
                    let seat = &mut self.seats[usize::from(slot.0)];
                    seat.meter.written += record.value.len() as u64;
                    seat.disk.insert(record.key, record.value);
                }
                Effect::Erase { from, to } => {
                    let disk = &mut self.seats[usize::from(slot.0)].disk;
                    for range in RecordKey::of_instances(from, to) {
                        disk.retain(|key, _| !range.contains(key));
                    }
                }
                Effect::Load(key) => self.push(self.now_ms + 1, Event::Loaded { slot, key }),
                Effect::Send { to, message } => {
                    let scene = &mut self.scenes[usize::from(slot.0)];
                    scene.now_ms = self.now_ms;
                    let mind = &mut self.setup.minds[usize::from(slot.0)];
                    mind.outgoing(scene, to, message, &mut post);
                }
                Effect::Apply { inst, proposal, .. } => {
                    let digest = proposal.as_ref().map(|p| Hash::of(&p.to_bytes()));
                    let commands = proposal.is_some_and(|p| !p.commands.is_empty());
                    self.applied(slot, inst.0, digest, commands);
                }
                Effect::Committed { .. } => self.submit(slot),
                Effect::Refused { .. }
                | Effect::Evidence(_)
                | Effect::Digest { .. }
                | Effect::Reformed { .. }
                | Effect::Roster { .. } => {}
                Effect::Alarm(_) => self.run.safe &= !self.follows(slot),
            }
        }
        self.send_all(slot, post);
        self.reschedule(slot);
    }

    fn note_fault(&mut self, slot: Slot, peer: Slot, fault: &Fault) {
        if fault.is_misbehavior() {
            let scene = &self.scenes[usize::from(slot.0)];
            self.setup.minds[usize::from(slot.0)].provoked(scene, peer);
        }
        if peer == self.setup.rational && self.follows(slot) {
            if fault.is_misbehavior() {
                self.run.blamed_by.insert(slot);
            } else {
                self.run.dropped += 1;
            }
        }
    }

    /// Every member always has so many commands waiting, while the horizon lasts.
    fn submit(&mut self, slot: Slot) {
        if self.reached_ms.is_some() {
            return;
        }
        let seat = &mut self.seats[usize::from(slot.0)];
        seat.ticket += 1;
        let ticket = seat.ticket;
        let mut command = vec![slot.0 as u8; self.setup.frame.command_len];
        command[..8].copy_from_slice(&ticket.to_le_bytes());
        let now = self.now();
        let seat = &mut self.seats[usize::from(slot.0)];
        let step = seat.core.handle(now, Input::Submit { ticket, command });
        self.carry_out(slot, step);
    }

    fn reschedule(&mut self, slot: Slot) {
        let seat = &mut self.seats[usize::from(slot.0)];
        let wake_ms = seat.core.next_wakeup().map(|at| at.0.max(self.now_ms + 1));
        if wake_ms != seat.wake_ms {
            seat.wake_ms = wake_ms;
            if let Some(at_ms) = wake_ms {
                self.push(at_ms, Event::Wake { slot });
            }
        }
    }

    fn applied(&mut self, slot: Slot, inst: u64, digest: Option<Hash>, commands: bool) {
        let seat = &mut self.seats[usize::from(slot.0)];
        seat.applied = seat.applied.max(inst + 1);
        if !self.follows(slot) {
            return;
        }
        match self.decided.get(&inst) {
            Some(known) => self.run.safe &= *known == digest,
            None => {
                self.decided.insert(inst, digest);
                let own = self.scenes[0].sender(inst) == self.setup.rational;
                if inst < self.setup.frame.horizon {
                    self.run.nulls += u64::from(digest.is_none());
                    self.run.own_null += u64::from(own && digest.is_none());
                    self.run.own_decided += u64::from(own && commands);
                }
            }
        }
    }
}
