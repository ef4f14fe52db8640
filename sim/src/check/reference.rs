//! What follows from the log, worked out again (specification 11.13): the rotation, and state machine
//! time. Written from the specification (5.1, 5.2), not from the code under test.

use super::{Check, Observation};
use std::collections::{BTreeMap, BTreeSet};
use types::{Instance, Slot, Stamp};

/// See the module.
#[derive(Debug)]
pub struct Reference {
    /// Who takes part, from which instance on.
    live: BTreeMap<u64, Vec<Slot>>,
    /// The sender of each instance.
    senders: Vec<Slot>,
    honest: BTreeSet<Slot>,
    /// Latest decided stamp of each slot; 0 before the first.
    stamps: Vec<u64>,
    tau: u64,
    /// Time after each instance.
    times: Vec<u64>,
}

impl Reference {
    /// For a group of this size with these honest members.
    pub fn new(nodes: usize, honest: BTreeSet<Slot>) -> Self {
        let all = (0..nodes as u16).map(Slot).collect();
        let (live, senders) = ([(0, all)].into(), Vec::new());
        Self { live, senders, honest, stamps: vec![0; nodes], tau: 0, times: Vec::new() }
    }

    fn live_at(&self, inst: u64) -> &[Slot] {
        self.live.range(..=inst).next_back().map_or(&[], |(_, live)| live)
    }

    /// "The live slot following sender(i - 1) cyclically in the roster."
    fn turn(&mut self, inst: u64) -> Slot {
        while self.senders.len() as u64 <= inst {
            let live = self.live_at(self.senders.len() as u64);
            let last = self.senders.last();
            let next = live.iter().find(|slot| last.is_none_or(|last| *slot > last));
            let next = next.or(live.first()).copied().unwrap_or_default();
            self.senders.push(next);
        }
        self.senders[inst as usize]
    }

    /// "The lower median over live slots of their latest decided stamp", never falling.
    fn advance(&mut self, sender: Slot, stamp: Option<Stamp>) -> Result<(), String> {
        let own = &mut self.stamps[usize::from(sender.0)];
        if let Some(Stamp(stamp)) = stamp {
            if stamp <= *own {
                return Err(format!("{sender} is decided with stamp {stamp} after {own}"));
            }
            *own = stamp;
        }
        let live = self.live_at(self.times.len() as u64).to_vec();
        let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
        for slot in &live {
            *counts.entry(self.stamps[usize::from(slot.0)]).or_default() += 1;
        }
        // The least stamp that at least half of the slots do not exceed.
        let mut below = 0;
        let median = counts.iter().find(|(_, count)| {
            below += **count;
            2 * below >= live.len()
        });
        let median = median.map_or(0, |(stamp, _)| *stamp);
        self.tau = self.tau.max(median);
        let honest = self.honest.iter().map(|slot| self.stamps[usize::from(slot.0)]);
        if self.tau > honest.max().unwrap_or(0) {
            return Err(format!("time {} is ahead of every honest clock", self.tau));
        }
        Ok(())
    }
}

impl Check for Reference {
    fn name(&self) -> &'static str {
        "reference"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        let (slot, inst, sender, proposal, tau) = match *seen {
            Observation::Applied { slot, inst: Instance(inst), sender, proposal, tau } => {
                (slot, inst, sender, proposal, tau)
            }
            Observation::Roster { first, roster, .. } => {
                self.live.entry(first.0).or_insert_with(|| roster.live().collect());
                return Ok(());
            }
            _ => return Ok(()),
        };
        let turn = self.turn(inst);
        if sender != turn {
            return Err(format!("instance {inst} is {turn}'s, and {slot} says it is {sender}'s"));
        }
        if inst == self.times.len() as u64 {
            self.advance(sender, proposal.map(|proposal| proposal.stamp))?;
            self.times.push(self.tau);
        }
        match self.times.get(inst as usize) {
            Some(time) if *time == tau.0 => Ok(()),
            time => Err(format!("after instance {inst} {slot} has time {}, not {time:?}", tau.0)),
        }
    }
}
