//! What is owed while a run goes on, when it is over, and what it showed.
//!
//! Guarantees: (1) only duties of the horizon count; (2) what is still owed when the run ends is reported, so
//! that a deviation that merely delays does not look profitable (specification 10.1, `owed(r)`).

use super::{Arena, LOOK_MS, PATIENCE_MS, Run, Wait};
use bart_rsm::Duty;
use types::Slot;

impl Arena<'_> {
    /// What `of` owes to members that follow, for the horizon.
    pub(super) fn open_duties(&self, of: Slot) -> Vec<(Slot, u64, Duty)> {
        let mut open = Vec::new();
        for slot in self.followers() {
            for (peer, inst, duty) in self.seats[usize::from(slot.0)].core.residual_duties() {
                if peer == of && inst.0 < self.setup.frame.horizon {
                    open.push((slot, inst.0, duty));
                }
            }
        }
        open
    }

    pub(super) fn look(&mut self) {
        let horizon = self.setup.frame.horizon;
        let reached =
            self.followers().iter().all(|slot| self.seats[usize::from(slot.0)].applied >= horizon);
        if reached && self.reached_ms.is_none() {
            self.reached_ms = Some(self.now_ms);
            let seat = &mut self.seats[usize::from(self.setup.rational.0)];
            let stats = seat.core.stats();
            seat.meter.signatures = stats.signatures;
            seat.meter.verifications = stats.verifications;
            self.run.meter = seat.meter;
        }
        self.provoke();
        let open = self.open_duties(self.setup.rational);
        let now_ms = self.now_ms;
        let mut since = std::mem::take(&mut self.owed_since);
        since.retain(|key, _| open.contains(key));
        for key in open {
            since.entry(key).or_insert(now_ms);
        }
        let oldest = since.values().map(|since| now_ms - since).max().unwrap_or(0);
        self.run.owed_longest_ms = self.run.owed_longest_ms.max(oldest);
        self.owed_since = since;
    }

    /// Hostile members notice, as anybody would, that the rational member keeps them waiting.
    pub(super) fn provoke(&mut self) {
        let rational = self.setup.rational;
        for slot in self.setup.hostile.clone() {
            let index = usize::from(slot.0);
            let waits = self.seats[index].core.residual_duties().into_iter();
            let oldest = waits.filter(|(peer, _, _)| *peer == rational).min_by_key(|d| d.1);
            let Some((_, inst, duty)) = oldest else {
                self.waits.remove(&slot);
                continue;
            };
            let new = Wait { inst: inst.0, duty, since_ms: self.now_ms };
            let wait = self.waits.entry(slot).or_insert(new);
            if (wait.inst, wait.duty) != (new.inst, new.duty) {
                *wait = new;
            }
            if self.now_ms - wait.since_ms > PATIENCE_MS {
                self.setup.minds[index].provoked(&self.scenes[index], rational);
            }
        }
    }

    pub(super) fn is_over(&self) -> bool {
        let Some(reached_ms) = self.reached_ms else { return false };
        let settled = self.owed_since.is_empty()
            && self.followers().iter().all(|slot| {
                let rational = self.setup.rational;
                let core = &self.seats[usize::from(slot.0)].core;
                let horizon = self.setup.frame.horizon;
                core.residual_duties().iter().all(|(peer, inst, _)| {
                    inst.0 >= horizon || !(self.follows(*peer) || *peer == rational)
                })
            });
        settled || self.now_ms > reached_ms + self.setup.frame.max_response_ms + LOOK_MS
    }

    pub(super) fn close(mut self) -> Run {
        let horizon = self.setup.frame.horizon;
        let rational = self.setup.rational;
        let late_ms = self.setup.frame.max_response_ms;
        let seat = &mut self.seats[usize::from(rational.0)];
        let stats = seat.core.stats();
        let mut run = self.run;
        let meter = seat.meter;
        run.meter.sent = meter.sent;
        run.meter.received = meter.received;
        if self.reached_ms.is_none() {
            run.meter = meter;
            run.meter.signatures = stats.signatures;
            run.meter.verifications = stats.verifications;
        }
        for ((slot, _, duty), since) in &self.owed_since {
            run.owes.push((*slot, *duty));
            if self.now_ms.saturating_sub(*since) >= late_ms {
                run.listed_by.insert(*slot);
            }
        }
        run.proven = self.said.convict(&self.setup.frame.roster);
        run.acted = self.setup.minds[usize::from(rational.0)].acted();
        run.took_ms = self.reached_ms.unwrap_or(self.now_ms);
        let hostile = &self.setup.hostile;
        let honest = |slot: &Slot| *slot != rational && !hostile.contains(slot);
        let left = self.setup.frame.roster.all().filter(honest).any(|slot| {
            let duties = self.seats[usize::from(slot.0)].core.residual_duties();
            duties.iter().any(|(peer, inst, _)| inst.0 < horizon && honest(peer))
        });
        run.live = self.reached_ms.is_some() && !left;
        run
    }
}
