//! L1: a leader collects set-turns (specification 3.6; issues T7, T11, T15).

use crate::core::{Core, Outcome};
use crate::effect::Fault;
use crate::inst::{Lead, TURNS_MAX};
use crate::message::{Pol, ReadStatement, SetTurn, Signers};
use crate::untimely::Start;
use std::sync::Arc;
use types::{Instance, Kind, Slot, Turn};

impl Core {
    pub(crate) fn lead_mut(&mut self, no: Instance, turn: u32) -> Option<&mut Lead> {
        self.insts.get_mut(&no)?.leads.get_mut(&turn)
    }

    pub(crate) fn lead(&self, no: Instance, turn: u32) -> Option<&Lead> {
        self.insts.get(&no)?.leads.get(&turn)
    }

    /// L1.
    pub(crate) fn on_set_turn(&mut self, from: Slot, m: &SetTurn) -> Outcome {
        let (no, turn) = (m.core.header.inst, m.core.header.turn.0);
        let Some(inst) = self.insts.get(&no) else { return Outcome::Park };
        if from == inst.sender || turn == 0 || self.schedule.leader(no, turn) != self.me {
            return Outcome::Fault(Fault::Unexpected(Kind::SetTurn));
        }
        // An honest member sends the next set-turn to one leader only after the previous one was
        // answered, so the bound may follow what was answered.
        let answered = inst
            .leads
            .iter()
            .rev()
            .find(|(_, lead)| lead.told.contains(from) || lead.conv(from).sent == 4)
            .map_or(0, |(turn, _)| *turn);
        let latest = inst.started.max(answered).saturating_add(self.slots as u32).min(TURNS_MAX);
        if turn > latest {
            return Outcome::Fault(Fault::NotParked(Kind::SetTurn));
        }
        if !self.verifier.signed(from, &m.core) {
            return Outcome::Fault(Fault::BadSignature(Kind::SetTurn));
        }
        let told = self.lead(no, turn).is_some_and(|lead| lead.told.contains(from));
        if told && self.repeat_allowed(from) {
            // It did not get the answer, which nothing acknowledges.
            self.send_show_decision(from, no, turn);
        }
        let (slots, now) = (self.slots, self.now.mono);
        if let Some(inst) = self.insts.get_mut(&no) {
            let lead = inst.leads.entry(turn).or_insert_with(|| Lead::new(turn, slots));
            lead.set_turns.insert(from, m.core.signature);
            lead.arrivals.entry(from).or_insert(now);
        }
        self.lead_turn(no, turn);
        Outcome::Done
    }

    /// Starts the turn with `q - 1` foreign set-turns, and proves it with `q`.
    pub(crate) fn lead_turn(&mut self, no: Instance, turn: u32) {
        let (me, q) = (self.me, self.q);
        let Some(inst) = self.insts.get(&no) else { return };
        let Some(lead) = inst.leads.get(&turn) else { return };
        if lead.read.is_some() || inst.is_decided() {
            return;
        }
        let others = lead.set_turns.keys().filter(|slot| **slot != me).count();
        if inst.started < turn {
            if self.config.rules.leader_counts_itself() && others + 1 >= q && others > 0 {
                // Starting puts our own set-turn in and comes back here.
                self.start_upto(no, turn, Start::Others);
            }
            return;
        }
        if lead.set_turns.len() < q {
            return;
        }
        let signers = lead.set_turns.iter().take(q).map(|(slot, signature)| (*slot, *signature));
        let pol = Arc::new(Pol { turn: Turn(turn), signers: Signers::new(signers) });
        let Some(core) = self.sign(no, turn, ReadStatement { pol: pol.digest() }) else { return };
        let read = core.digest();
        if let Some(lead) = self.lead_mut(no, turn) {
            lead.read = Some((core, Arc::clone(&pol)));
        }
        self.learn_proof(no, turn);
        self.vote_read(no, turn, read, &pol);
        self.touch(no);
    }
}
