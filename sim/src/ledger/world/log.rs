//! The log of decisions, as a state machine would give it: one order for all, at each member's own time.

use super::{Due, World};
use ledger::{Event, Seq};
use types::{Hash, Slot};

impl World {
    pub(super) fn decide(&mut self, event: Event) {
        self.history.log.push(event);
        for slot in self.honest() {
            self.schedule_log(slot);
        }
    }

    pub(super) fn schedule_log(&mut self, slot: Slot) {
        let entries = self.history.log.len();
        let seat = self.seat(slot);
        if seat.member.is_some() && seat.log_next < entries && !seat.log_scheduled {
            seat.log_scheduled = true;
            let life = seat.life;
            let slow = self.network.once_in(6);
            let ms = self.network.between(5, if slow { 4_000 } else { 150 });
            self.after(ms, Due::Log(slot, life));
        }
    }

    /// Executes the next entry of the log.
    pub(super) fn execute(&mut self, slot: Slot) {
        let now = self.now;
        let seat = &mut self.seats[usize::from(slot.0)];
        let Some(event) = self.history.log.get(seat.log_next).cloned() else { return };
        let Some(member) = &mut seat.member else { return };
        let effects = member.decided(now, event);
        seat.log_next += 1;
        self.done(slot, effects);
        self.schedule_log(slot);
    }

    /// Somebody proposes a cut; whoever has come so far, and has it durably, vouches.
    pub(super) fn checkpoint(&mut self) {
        let honest = self.honest();
        let proposer = self.plan.pick(&honest);
        let proposer = proposer.filter(|slot| self.seats[usize::from(slot.0)].is_still());
        let cut =
            proposer.and_then(|slot| self.seat(slot).member.as_ref().map(|it| it.ledger().cut()));
        let Some(mut cut) = cut else { return };
        for slot in self.faulty.clone() {
            // Faulty members vouch for what is not, and for what may never be.
            let root = Hash::tagged("invented", &slot.0.to_le_bytes());
            if self.choices.once_in(2) {
                let mut far = cut.clone();
                far.seqs.values_mut().for_each(|seq| *seq = Seq(seq.0 + 5));
                let cut = if self.choices.once_in(2) { far } else { cut.clone() };
                self.decide(Event::Vote { member: slot, cut, root });
            }
        }
        // Not all at the tip: a cut in the past must do as well, if it is closed.
        if self.plan.once_in(3)
            && let Some(seq) = cut.seqs.values_mut().next()
        {
            *seq = Seq(seq.0.saturating_sub(1));
        }
        for slot in honest {
            let seat = &self.seats[usize::from(slot.0)];
            let root = seat.member.as_ref().filter(|_| seat.is_still()).map(|it| it.vote_for(&cut));
            if let Some(Ok(root)) = root {
                self.decide(Event::Vote { member: slot, cut: cut.clone(), root });
            }
        }
    }
}
