//! A plan: everything that a run's seed decides before the run starts.
//!
//! All trouble ends at `calm_from_ms`. From then on every message between members that are up
//! arrives within a bounded delay, which is the setting in which the broadcast must terminate.

use crate::adversary;
use crate::clock::{Clock, SKEW_MAX_MS};
use crate::rng::{Random, Stream};
use crate::scenario::{Choice, Scenario, Trouble};
use std::collections::BTreeSet;
use types::{Quorum, Slot};

/// A link that is cut for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// One end.
    pub a: Slot,
    /// The other end.
    pub b: Slot,
    /// When the link breaks.
    pub from_ms: u64,
    /// When it works again.
    pub until_ms: u64,
}

/// A machine that stops at an arbitrary point and starts again from its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crash {
    /// Who.
    pub slot: Slot,
    /// When the crash is armed.
    pub at_ms: u64,
    /// Effects that are still carried out; the machine stops before the next one.
    pub after_effects: u64,
    /// How long it stays down.
    pub down_ms: u64,
}

/// A disk without space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// Whose.
    pub slot: Slot,
    /// From when.
    pub from_ms: u64,
    /// Until when.
    pub until_ms: u64,
}

/// A command that a member hands to the state machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Who.
    pub slot: Slot,
    /// When.
    pub at_ms: u64,
    /// The member's name for it.
    pub ticket: u64,
    /// The bytes, distinct from every other command's.
    pub command: Vec<u8>,
}

/// What a seed decides.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Who is faulty.
    pub faulty: BTreeSet<Slot>,
    /// Name of the faulty members' strategy.
    pub adversary: &'static str,
    /// Median one-way delay of each unordered pair, `a * n + b` with `a < b`.
    pub delays_ms: Vec<u64>,
    /// Whether messages overtake each other within a link.
    pub reorder: bool,
    /// Messages lost without notice before stabilisation, in thousandths.
    pub loss_per_mille: u64,
    /// Delays are arbitrary (up to 40 s) before this time.
    pub stable_from_ms: u64,
    /// Links cut for a while: single drops, partitions, absences.
    pub cuts: Vec<Cut>,
    /// Crashes.
    pub crashes: Vec<Crash>,
    /// Everything submitted.
    pub submissions: Vec<Submission>,
    /// How long the first sender is cut off from the other honest members after it showed its write
    /// quorum to one; 0 for not at all.
    pub sender_cut_ms: u64,
    /// Disks without space.
    pub fulls: Vec<Full>,
    /// Each member's clocks.
    pub clocks: Vec<Clock>,
    /// Base timeout of the group.
    pub t0_min_ms: u64,
    /// First repetition of unanswered messages.
    pub gamma_ms: u64,
    /// Slowest repetition.
    pub resend_max_ms: u64,
    /// Whether proofs in the log expel.
    pub expel: bool,
    /// Instances between checkpoints, if the seed says so.
    pub checkpoint_every: Option<u64>,
    /// Instances that must be decided besides those that were asked for, so that a checkpoint can
    /// become stable.
    pub more_instances: u64,
    /// No trouble from here on.
    pub calm_from_ms: u64,
}

impl Plan {
    /// Draws the plan of a scenario.
    pub fn draw(scenario: &Scenario) -> Self {
        let mut rng = Random::new(scenario.seed, Stream::Plan);
        let slots: Vec<Slot> = (0..scenario.nodes).map(|slot| Slot(slot as u16)).collect();
        let f = Quorum::largest_f(scenario.nodes);
        let faulty = draw_faulty(scenario, &slots, f, &mut rng);
        let median = rng.pick(&[2, 20, 60, 150]).unwrap_or(20);
        let n = slots.len();
        let mut plan = Self {
            adversary: draw_adversary(scenario, &mut rng),
            delays_ms: (0..n * n).map(|_| rng.around(median)).collect(),
            reorder: rng.once_in(3),
            loss_per_mille: 0,
            stable_from_ms: 0,
            cuts: Vec::new(),
            crashes: Vec::new(),
            submissions: Vec::new(),
            sender_cut_ms: 0,
            fulls: Vec::new(),
            clocks: slots.iter().map(|_| Clock::skewed(rng.between(0, SKEW_MAX_MS / 2))).collect(),
            t0_min_ms: rng.pick(&[1_000, 3_000, 10_000]).unwrap_or(10_000),
            gamma_ms: rng.pick(&[2_000, 10_000, 30_000]).unwrap_or(30_000),
            resend_max_ms: rng.pick(&[30_000, 60_000, 600_000]).unwrap_or(600_000),
            expel: false,
            checkpoint_every: None,
            more_instances: 0,
            calm_from_ms: 0,
            faulty,
        };
        // A base timeout below the time of one turn would cut off slow but honest senders for ever.
        let slowest_ms = plan.delays_ms.iter().copied().max().unwrap_or(0);
        plan.t0_min_ms = plan.t0_min_ms.max(12 * slowest_ms);
        match scenario.trouble {
            Trouble::Calm => {}
            Trouble::Asynchronous => {
                plan.stable_from_ms = rng.pick(&[50_000, 100_000, 400_000]).unwrap_or(50_000);
            }
            Trouble::SenderCut => plan.sender_cut_ms = 300_000,
            Trouble::Seeded | Trouble::Recorded => plan.draw_trouble(&slots, &mut rng),
        }
        plan.draw_submissions(&slots, scenario.instances, &mut rng);
        if scenario.trouble == Trouble::Seeded {
            // A stream of its own: recorded seeds keep the rest of their plan.
            let mut rng = Random::new(scenario.seed, Stream::Machines);
            plan.draw_machines(&slots, &mut rng);
            plan.expel = rng.once_in(2);
            plan.draw_checkpoints(&slots, &mut Random::new(scenario.seed, Stream::Checkpoints));
        }
        plan.calm_from_ms = plan.end_of_trouble();
        plan
    }

    /// Whether nothing at all goes wrong: then every proposal is decided.
    pub fn is_calm(&self) -> bool {
        let quiet = self.cuts.is_empty() && self.crashes.is_empty() && self.fulls.is_empty();
        let quiet = quiet && self.sender_cut_ms == 0;
        quiet && self.faulty.is_empty() && self.stable_from_ms == 0
    }

    /// Members that follow the protocol.
    pub fn honest(&self, nodes: usize) -> Vec<Slot> {
        (0..nodes)
            .map(|slot| Slot(slot as u16))
            .filter(|slot| !self.faulty.contains(slot))
            .collect()
    }

    fn draw_trouble(&mut self, slots: &[Slot], rng: &mut Random) {
        self.stable_from_ms = rng.pick(&[0, 0, 50_000, 200_000]).unwrap_or(0);
        if rng.once_in(4) {
            self.loss_per_mille = rng.pick(&[10, 50, 200]).unwrap_or(10);
            self.stable_from_ms = self.stable_from_ms.max(30_000);
        }
        if rng.once_in(3) {
            self.draw_drops(slots, rng);
        }
        if rng.once_in(4) {
            self.draw_partition(slots, rng);
        }
        if rng.once_in(3) {
            self.draw_absence(slots, rng);
        }
        if rng.once_in(3) {
            self.draw_crashes(slots, rng);
        }
        if rng.once_in(10) {
            self.draw_group_restart(slots, rng);
        }
    }

    /// Single links break for a moment.
    fn draw_drops(&mut self, slots: &[Slot], rng: &mut Random) {
        for _ in 0..rng.between(1, 8) {
            let pair: Vec<Slot> = rng.sample(slots, 2).into_iter().collect();
            if let [a, b] = pair[..] {
                let from_ms = rng.between(0, 60_000);
                let until_ms = from_ms + rng.between(1, 20_000);
                self.cuts.push(Cut { a, b, from_ms, until_ms });
            }
        }
    }

    /// The group splits in two and heals.
    fn draw_partition(&mut self, slots: &[Slot], rng: &mut Random) {
        let size = rng.between(1, slots.len() as u64 / 2) as usize;
        let side = rng.sample(slots, size);
        let from_ms = rng.between(0, 40_000);
        let until_ms = from_ms + rng.between(1_000, 200_000);
        self.cut_off(slots, &side, from_ms, until_ms);
    }

    /// One honest member is offline for long.
    fn draw_absence(&mut self, slots: &[Slot], rng: &mut Random) {
        let honest: Vec<Slot> =
            slots.iter().copied().filter(|s| !self.faulty.contains(s)).collect();
        let side = rng.sample(&honest, 1);
        let from_ms = rng.between(0, 30_000);
        let until_ms = from_ms + rng.between(5_000, 400_000);
        self.cut_off(slots, &side, from_ms, until_ms);
    }

    fn cut_off(&mut self, slots: &[Slot], side: &BTreeSet<Slot>, from_ms: u64, until_ms: u64) {
        for &a in slots {
            for &b in slots {
                if a < b && side.contains(&a) != side.contains(&b) {
                    self.cuts.push(Cut { a, b, from_ms, until_ms });
                }
            }
        }
    }

    /// Honest members crash at arbitrary points of their work.
    fn draw_crashes(&mut self, slots: &[Slot], rng: &mut Random) {
        let victims = rng.between(1, 3) as usize;
        for slot in rng.sample(slots, victims) {
            let mut at_ms = rng.between(0, 10_000);
            for _ in 0..rng.between(1, 4) {
                let down_ms = rng.pick(&[1, 200, 5_000, 60_000]).unwrap_or(1);
                let after_effects = rng.between(0, 30);
                self.crashes.push(Crash { slot, at_ms, after_effects, down_ms });
                at_ms += down_ms + rng.between(100, 20_000);
            }
        }
    }

    /// The power fails everywhere.
    fn draw_group_restart(&mut self, slots: &[Slot], rng: &mut Random) {
        let at_ms = rng.between(1_000, 40_000);
        for &slot in slots {
            let down_ms = rng.between(1, 60_000);
            let after_effects = rng.between(0, 3);
            self.crashes.push(Crash { slot, at_ms, after_effects, down_ms });
        }
    }

    /// Disks that are full for a while, and clocks at the limits of what is permitted.
    fn draw_machines(&mut self, slots: &[Slot], rng: &mut Random) {
        if rng.once_in(4) {
            let victims = rng.between(1, 2) as usize;
            for slot in rng.sample(slots, victims) {
                let from_ms = rng.between(0, 30_000);
                let until_ms = from_ms + rng.between(100, 40_000);
                self.fulls.push(Full { slot, from_ms, until_ms });
            }
        }
        if !rng.once_in(3) {
            return;
        }
        for clock in &mut self.clocks {
            let limits = [0, SKEW_MAX_MS, clock.skew_ms];
            clock.skew_ms = rng.pick(&limits).unwrap_or(0);
            clock.drift_ppm = rng.pick(&[0, 50, 500]).unwrap_or(0);
            clock.mono_per_mille = rng.between(999, 1001);
            if rng.once_in(2) {
                let at_ms = rng.between(1_000, 60_000);
                clock.jumps.push((at_ms, rng.pick(&limits).unwrap_or(0)));
            }
        }
    }

    /// Checkpoints as often as is permitted, and enough instances for the first to become stable.
    fn draw_checkpoints(&mut self, slots: &[Slot], rng: &mut Random) {
        if rng.once_in(CHECKPOINTS_ONCE_IN) {
            let rotations = |count| count * slots.len() as u64;
            self.checkpoint_every = Some(rotations(2) + rng.between(0, 3));
            self.more_instances = rotations(3);
        }
    }

    fn draw_submissions(&mut self, slots: &[Slot], instances: u64, rng: &mut Random) {
        for &slot in slots {
            for ticket in 0..rng.between(0, 3.min(instances)) {
                let mut command =
                    [slot.0.to_le_bytes().to_vec(), ticket.to_le_bytes().to_vec()].concat();
                let len = rng.between(0, 60) as usize;
                command.extend(rng.bytes(len));
                let at_ms = rng.between(0, 20_000);
                self.submissions.push(Submission { slot, at_ms, ticket, command });
            }
        }
    }

    fn end_of_trouble(&self) -> u64 {
        let cuts = self.cuts.iter().map(|cut| cut.until_ms);
        let crashes = self.crashes.iter().map(|crash| crash.at_ms + crash.down_ms + CRASH_WAIT_MS);
        let submissions = self.submissions.iter().map(|submission| submission.at_ms);
        let fulls = self.fulls.iter().map(|full| full.until_ms + FULL_RETRY_MS);
        let stop = (self.sender_cut_ms > 0).then_some(60_000 + self.sender_cut_ms);
        cuts.chain(crashes)
            .chain(stop)
            .chain(fulls)
            .chain(submissions)
            .max()
            .unwrap_or(0)
            .max(self.stable_from_ms)
    }
}

/// One seed in so many has checkpoints: such a run is several times as long as another.
const CHECKPOINTS_ONCE_IN: u64 = 12;

/// A member whose disk is full starts again after so long, and again.
pub const FULL_RETRY_MS: u64 = 2_000;

/// A crash that is armed at an idle member happens after so long even without an effect.
pub const CRASH_WAIT_MS: u64 = 5_000;

fn draw_faulty(scenario: &Scenario, slots: &[Slot], f: usize, rng: &mut Random) -> BTreeSet<Slot> {
    let none = rng.once_in(8);
    let count = scenario.faulty.unwrap_or(if none { 0 } else { f });
    rng.sample(slots, count)
}

fn draw_adversary(scenario: &Scenario, rng: &mut Random) -> &'static str {
    let all = adversary::ALL;
    // Drawn in any case, so that choosing a strategy does not change the rest of the plan.
    let _ = rng.between(0, 1);
    match scenario.adversary {
        Choice::Named(name) => name,
        Choice::Mix => adversary::MIX,
        Choice::All => all[(scenario.seed % all.len() as u64) as usize].name,
    }
}
