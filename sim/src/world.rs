//! The runner: a whole group in virtual time.
//!
//! Assumes: the core is deterministic. Guarantees: 1. the same scenario gives the same trace,
//! digest for digest; 2. an effect that leaves the machine is carried out only after what was
//! persisted before it is durable; 3. a run ends, because time and events are bounded.

use crate::adversary::{self, Board, Content, Outgoing, Request, Strategy};
use crate::check::{Checks, End, Observation, Stop, Violation};
use crate::network::Network;
use crate::plan::{CRASH_WAIT_MS, Cut, FULL_RETRY_MS, Full, Plan, Submission};
use crate::rng::{Random, Stream};
use crate::scenario::{RuleSet, Scenario};
use crate::seat::Seat;
use crate::trace::Trace;
use crate::{group, view};
use bart_rsm::message::Message;
use bart_rsm::{Effect, Input, RecordKey, Step};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use types::{Hash, Instance, Slot};

/// Virtual time after the end of all trouble in which everything must be done.
const SETTLE_MS: u64 = 40 * 3_600_000;
/// Events of one run per member and instance.
const EVENTS_PER_UNIT: u64 = 2_000;
/// Events of one run per link and second of trouble.
const EVENTS_PER_LINK_SECOND: u64 = 14;
/// How often the end of the run is looked for, in events.
const LOOK_EVERY: u64 = 32;

/// Something that happens at a time.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Deliver { from: Slot, to: Slot, generation: u32, bytes: Arc<Vec<u8>> },
    Release { from: Slot, to: Slot, bytes: Arc<Vec<u8>> },
    Wake { seat: usize, life: u32 },
    Loaded { seat: usize, life: u32, key: RecordKey },
    Digested { seat: usize, life: u32, inst: Instance, state: Hash },
    Notice { seat: usize, life: u32, peer: Slot },
    CutBegins(usize),
    CutEnds(usize),
    ArmCrash { seat: usize, after_effects: u64, down_ms: u64 },
    CrashNow { seat: usize, life: u32 },
    Restart { seat: usize },
    DiskFull { slot: Slot, full: bool },
    Submit(usize),
    Plot { slot: Slot },
}

/// What a run gave.
#[derive(Debug)]
pub struct Outcome {
    /// Why it ended.
    pub stop: Stop,
    /// What the checkers found.
    pub violations: Vec<Violation>,
    /// Instances that the slowest honest member applied.
    pub instances: u64,
    /// Of those, how many were NULL.
    pub nulls: u64,
    /// Whether a turn above 0 was seen.
    pub later_turns: bool,
    /// Messages between members.
    pub messages: u64,
    /// Virtual time from the end of trouble to the end of the run.
    pub settled_ms: u64,
    /// Crashes that happened.
    pub crashes: u64,
    /// Honest members that hold a stable checkpoint at the end.
    pub checkpoints: u64,
    /// Effects of each honest member, as crash points count them.
    pub effects: BTreeMap<Slot, u64>,
    /// Digest of everything that happened.
    pub digest: Hash,
    /// The story, if it was asked for.
    pub story: Vec<String>,
    /// The adversary's name; empty without faulty members.
    pub adversary: &'static str,
    /// Who was faulty.
    pub faulty: Vec<Slot>,
}

impl Outcome {
    /// The outcome of a run that panicked.
    pub fn panicked(what: &str) -> Self {
        let what = what.to_owned();
        Self {
            stop: Stop::Violation,
            violations: vec![Violation { check: "panic", at_ms: 0, what }],
            instances: 0,
            nulls: 0,
            later_turns: false,
            messages: 0,
            settled_ms: 0,
            crashes: 0,
            checkpoints: 0,
            effects: BTreeMap::new(),
            digest: Hash::ZERO,
            story: Vec::new(),
            adversary: "",
            faulty: Vec::new(),
        }
    }
}

/// A group at some moment.
pub struct World {
    now_ms: u64,
    queue: BinaryHeap<Reverse<(u64, u64, Event)>>,
    order: u64,
    plan: Plan,
    target: u64,
    nodes: usize,
    seats: Vec<Seat>,
    strategies: BTreeMap<Slot, Box<dyn Strategy>>,
    board: Board,
    network: Network,
    disk_rng: Random,
    checks: Checks,
    trace: Trace,
    applied: BTreeMap<Slot, u64>,
    nulls: u64,
    later_turns: bool,
    messages: u64,
    crashes: u64,
    unfinished: BTreeMap<(Slot, u64), usize>,
    broken: Vec<Violation>,
}

impl World {
    /// Sets a scenario up.
    pub fn new(scenario: &Scenario) -> Result<Self, String> {
        scenario.validate()?;
        let plan = Plan::draw(scenario);
        let group = group::Group::new(scenario, &plan)?;
        let honest = plan.honest(scenario.nodes);
        let mut board = Board {
            now_ms: 0,
            rng: Random::new(scenario.seed, Stream::Adversary),
            roster: group.roster.clone(),
            keys: plan.faulty.iter().map(|slot| (*slot, group.key(*slot))).collect(),
            t0_min_ms: plan.t0_min_ms,
            kept: Vec::new(),
            post: Vec::new(),
            requests: Vec::new(),
            instance: 0,
            v_max: group::V_MAX,
        };
        let entry = adversary::find(plan.adversary).ok_or("unknown adversary")?;
        let mut strategies = BTreeMap::new();
        for slot in &plan.faulty {
            strategies.insert(*slot, (entry.make)(&mut board, *slot));
        }
        let mut seats = Vec::new();
        for index in 0..scenario.nodes {
            let slot = Slot(index as u16);
            let count = strategies.get(&slot).map_or(1, |strategy| strategy.seats());
            for ordinal in 0..count {
                // A second seat's clock is ahead, so that it proposes something else.
                let mut clock = plan.clocks[index].clone();
                clock.skew_ms += 1_000 * ordinal as u64;
                let config = group.config(slot);
                let mut seat = Seat::new(ordinal, config, group.key(slot), clock, scenario.nodes);
                seat.crash_point = scenario.crash_point.filter(|point| point.slot == slot);
                seats.push(seat);
            }
        }
        Ok(Self {
            now_ms: 0,
            queue: BinaryHeap::new(),
            order: 0,
            target: scenario.instances + plan.more_instances,
            nodes: scenario.nodes,
            seats,
            strategies,
            board,
            network: Network::new(
                scenario.nodes,
                &plan,
                Random::new(scenario.seed, Stream::Network),
            ),
            disk_rng: Random::new(scenario.seed, Stream::Disk),
            checks: checks(scenario, &group, &plan, &honest),
            trace: Trace::new(scenario.told),
            applied: honest.iter().map(|slot| (*slot, 0)).collect(),
            nulls: 0,
            later_turns: false,
            messages: 0,
            crashes: 0,
            unfinished: BTreeMap::new(),
            broken: Vec::new(),
            plan,
        })
    }

    /// Plays the scenario to its end.
    pub fn run(mut self) -> Outcome {
        self.tell_plan();
        self.schedule_plan();
        for seat in 0..self.seats.len() {
            self.boot(seat);
        }
        let last_ms = self.plan.calm_from_ms + SETTLE_MS;
        let nodes = self.nodes as u64;
        // While one member is away the others go on, so time in trouble counts too.
        let events_max = EVENTS_PER_UNIT * nodes * (self.target + nodes)
            + EVENTS_PER_LINK_SECOND * nodes * nodes * self.plan.calm_from_ms / 1_000;
        let mut events = 0;
        let stop = loop {
            if self.checks.is_violated() || !self.broken.is_empty() {
                break Stop::Violation;
            }
            if events % LOOK_EVERY == 0 && self.is_done() {
                break Stop::Done;
            }
            let Some(Reverse((at_ms, _, event))) = self.queue.pop() else { break Stop::OutOfTime };
            if at_ms > last_ms {
                break Stop::OutOfTime;
            }
            events += 1;
            if events > events_max {
                break Stop::OutOfEvents;
            }
            assert!(at_ms >= self.now_ms, "time does not run backwards");
            self.now_ms = at_ms;
            self.board.now_ms = at_ms;
            self.happen(event);
            self.serve_adversary();
        };
        self.close(stop)
    }

    fn push(&mut self, at_ms: u64, event: Event) {
        self.order += 1;
        self.queue.push(Reverse((at_ms, self.order, event)));
    }

    fn is_honest(&self, slot: Slot) -> bool {
        !self.plan.faulty.contains(&slot)
    }

    fn tell_plan(&mut self) {
        let plan = &self.plan;
        self.trace.tell(0, || {
            let faulty: Vec<String> = plan.faulty.iter().map(Slot::to_string).collect();
            format!(
                "faulty: [{}] ({}); delays are arbitrary until {} ms; trouble ends at {} ms",
                faulty.join(", "),
                plan.adversary,
                plan.stable_from_ms,
                plan.calm_from_ms
            )
        });
    }

    fn schedule_plan(&mut self) {
        for index in 0..self.plan.cuts.len() {
            let Cut { from_ms, until_ms, .. } = self.plan.cuts[index];
            self.push(from_ms, Event::CutBegins(index));
            self.push(until_ms, Event::CutEnds(index));
        }
        for crash in self.plan.crashes.clone() {
            for seat in self.seats_of(crash.slot) {
                let (after_effects, down_ms) = (crash.after_effects, crash.down_ms);
                self.push(crash.at_ms, Event::ArmCrash { seat, after_effects, down_ms });
            }
        }
        for Full { slot, from_ms, until_ms } in self.plan.fulls.clone() {
            self.push(from_ms, Event::DiskFull { slot, full: true });
            self.push(until_ms, Event::DiskFull { slot, full: false });
        }
        for index in 0..self.plan.submissions.len() {
            self.push(self.plan.submissions[index].at_ms, Event::Submit(index));
        }
        let faulty: Vec<Slot> = self.plan.faulty.iter().copied().collect();
        for slot in faulty {
            self.with_strategy(slot, |strategy, board| strategy.start(board, slot));
            self.push(1, Event::Plot { slot });
        }
    }

    fn seats_of(&self, slot: Slot) -> Vec<usize> {
        (0..self.seats.len()).filter(|seat| self.seats[*seat].slot == slot).collect()
    }

    fn with_strategy<T>(
        &mut self,
        slot: Slot,
        act: impl FnOnce(&mut dyn Strategy, &mut Board) -> T,
    ) -> Option<T> {
        let strategy = self.strategies.get_mut(&slot)?;
        Some(act(strategy.as_mut(), &mut self.board))
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver { from, to, generation, bytes } => {
                self.deliver(from, to, generation, &bytes);
            }
            Event::Release { from, to, bytes } => self.transmit(from, to, bytes),
            Event::Wake { seat, life } => {
                if self.seats[seat].life == life && self.seats[seat].wake_ms == Some(self.now_ms) {
                    self.seats[seat].wake_ms = None;
                    self.handle(seat, Input::Tick);
                }
            }
            Event::Loaded { seat, life, key } => {
                if self.seats[seat].life == life {
                    let input = match self.seats[seat].disk.get(&key) {
                        Some(record) => Input::Loaded(record),
                        None => Input::LoadMissing(key),
                    };
                    self.handle(seat, input);
                }
            }
            Event::Digested { seat, life, inst, state } => {
                if self.seats[seat].life == life {
                    self.handle(seat, Input::Digest { inst, state });
                }
            }
            Event::Notice { seat, life, peer } => {
                if self.seats[seat].life == life {
                    self.tell_link(seat, peer);
                }
            }
            Event::CutBegins(index) => {
                let Cut { a, b, .. } = self.plan.cuts[index];
                self.block(a, b);
            }
            Event::CutEnds(index) => {
                let Cut { a, b, .. } = self.plan.cuts[index];
                self.unblock(a, b);
            }
            Event::ArmCrash { seat, after_effects, down_ms } => {
                self.arm_crash(seat, after_effects, down_ms);
            }
            Event::CrashNow { seat, life } => {
                if self.seats[seat].life == life && self.seats[seat].fuse.is_some() {
                    self.crash(seat);
                }
            }
            Event::Restart { seat } => self.restart(seat),
            Event::DiskFull { slot, full } => {
                self.trace.tell(self.now_ms, || {
                    format!("{slot}'s disk {}", if full { "is full" } else { "has space again" })
                });
                for seat in self.seats_of(slot) {
                    self.seats[seat].disk.set_full(full);
                }
            }
            Event::Submit(index) => self.submit(index),
            Event::Plot { slot } => {
                self.with_strategy(slot, |strategy, board| strategy.tick(board, slot));
                let pause =
                    self.plan.t0_min_ms / 2 + self.board.rng.between(0, self.plan.t0_min_ms);
                self.push(self.now_ms + pause, Event::Plot { slot });
            }
        }
    }
}

/// All checks of a scenario.
fn checks(scenario: &Scenario, group: &group::Group, plan: &Plan, honest: &[Slot]) -> Checks {
    let checks = Checks::new(scenario.nodes, honest, plan.is_calm());
    match scenario.rules {
        RuleSet::Resolved => checks.with_innocence(&group.roster, honest),
        _ => checks,
    }
}

mod ending;
mod links;
mod machine;
