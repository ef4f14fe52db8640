//! When a run is over, and what is left of it.

use super::*;
use bart_rsm::Checkpoint;

impl World {
    /// Everything has happened that must: all trouble is over, every honest member is up and has
    /// applied the target, no check waits, and no duty among honest members is left below it.
    pub(super) fn is_done(&self) -> bool {
        self.now_ms >= self.plan.calm_from_ms
            && self.applied.values().all(|applied| *applied >= self.target)
            && self.checks.is_settled()
            && self.honest_seats().all(|seat| seat.core.is_some())
            && self.residual(true).is_empty()
    }

    fn honest_seats(&self) -> impl Iterator<Item = &Seat> {
        self.seats.iter().filter(|seat| self.is_honest(seat.slot))
    }

    /// Duties below the target between honest members; with `any`, at most one.
    fn residual(&self, any: bool) -> Vec<(Slot, Slot, String)> {
        let mut found = Vec::new();
        for seat in self.honest_seats() {
            let Some(core) = &seat.core else { continue };
            for (peer, inst, duty) in core.residual_duties() {
                if inst.0 < self.target && self.is_honest(peer) {
                    found.push((seat.slot, peer, format!("{duty:?} of {inst}")));
                    if any {
                        return found;
                    }
                }
            }
        }
        found
    }

    /// The stable checkpoints of honest members that are up.
    fn stable(&self) -> Vec<(Slot, Checkpoint)> {
        let of = |seat: &Seat| Some((seat.slot, seat.core.as_ref()?.stable_checkpoint()?));
        self.honest_seats().filter_map(of).collect()
    }

    /// Closes the run.
    pub(super) fn close(mut self, stop: Stop) -> Outcome {
        let end = End {
            stop,
            now_ms: self.now_ms,
            target: self.target,
            applied: self.applied.iter().map(|(slot, applied)| (*slot, *applied)).collect(),
            residual: self.residual(false),
            stable: self.stable(),
        };
        self.trace.tell(self.now_ms, || format!("the run ends: {stop:?}"));
        let checkpoints = end.stable.len() as u64;
        let effects = self.honest_seats().map(|seat| (seat.slot, seat.effects)).collect();
        let mut violations = std::mem::take(&mut self.broken);
        violations.extend(self.checks.finish(&end));
        for violation in &violations {
            self.trace.tell(violation.at_ms, || format!("VIOLATION: {violation}"));
        }
        let instances = end.applied.iter().map(|(_, applied)| *applied).min().unwrap_or(0);
        let honest = end.applied.len().max(1) as u64;
        Outcome {
            stop,
            violations,
            instances,
            nulls: self.nulls / honest,
            later_turns: self.later_turns,
            messages: self.messages,
            settled_ms: self.now_ms.saturating_sub(self.plan.calm_from_ms),
            crashes: self.crashes,
            checkpoints,
            effects,
            digest: self.trace.digest(),
            story: self.trace.into_lines(),
            adversary: if self.plan.faulty.is_empty() { "" } else { self.plan.adversary },
            faulty: self.plan.faulty.iter().copied().collect(),
        }
    }
}
