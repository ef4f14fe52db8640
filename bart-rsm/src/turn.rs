//! Entering instances, starting turns, timers (specification 3.6, 3.7).

use crate::core::Core;
use crate::inst::{AcceptorTurn, Inst, Lead, TURNS_MAX};
use crate::message::SetTurnStatement;
use crate::schedule::pace_ms;
use crate::untimely::Start;
use types::{Instance, Millis};

impl Core {
    /// Enters an instance: everything up to `W` before it is decided.
    pub(crate) fn enter(&mut self, no: Instance) {
        self.know_costs(no);
        let sender = self.schedule.sender(no);
        let (me, q, slots) = (self.me, self.q(no), self.slots(no));
        let inst = self.insts.entry(no).or_insert_with(|| Inst::new(no, sender, me, q, slots));
        inst.open_turn_0(me, slots);
        let (started, inst_is_open) = (inst.started, !inst.is_decided());
        if sender == me {
            let pace = if self.has_work() { 0 } else { self.pace(no) };
            self.propose_at = Some((no, self.now.mono.plus(pace)));
            self.clear_wake_if_idle();
        } else if inst_is_open {
            self.arm(no, started);
        }
        self.touch(no);
        for peer in self.others() {
            self.dirty_peers.insert(peer);
        }
        self.arm_dialers();
        if self.has_work() {
            self.wake_others();
        }
    }

    /// Whether our next proposal would carry something.
    pub(crate) fn has_work(&self) -> bool {
        self.batch.has_queued() || self.has_orders()
    }

    /// The idle pace of an instance; 0 while somebody is awake.
    pub(crate) fn pace(&self, no: Instance) -> u64 {
        if no < self.awake_until {
            return 0;
        }
        pace_ms(&self.config.params, self.log.idle, self.rotation())
    }

    fn arm(&mut self, no: Instance, turn: u32) {
        let pace = if turn == 0 { self.pace(no) } else { 0 };
        let wait = self.log.timeout.turn_ms(&self.config.params, turn).saturating_add(pace);
        let wait = self.config.rules.selfish().shift(wait);
        self.timers.insert(no, (turn, self.now.mono.plus(wait)));
    }

    /// A WAKE shortens what is left of an idle pace.
    pub(crate) fn clamp_turn_0(&mut self) {
        let latest = self.now.mono.plus(self.log.timeout.turn_ms(&self.config.params, 0));
        for (turn, at) in self.timers.values_mut() {
            if *turn == 0 {
                *at = (*at).min(latest);
            }
        }
        if let Some((_, at)) = &mut self.propose_at {
            *at = self.now.mono;
        }
    }

    /// Starts every turn up to `last`, decided or not; idempotent. The sender starts none.
    pub(crate) fn start_upto(&mut self, no: Instance, last: u32, start: Start) {
        let last = last.min(TURNS_MAX);
        let slots = self.slots(no);
        while let Some(inst) = self.insts.get_mut(&no) {
            let over = self.config.rules.literal() && inst.is_decided();
            if inst.started >= last || inst.sender == self.me || over {
                return;
            }
            inst.started += 1;
            let turn = inst.started;
            let undecided = inst.decided.is_none();
            let leads = self.schedule.leader(no, turn) == self.me;
            inst.turns.insert(turn, AcceptorTurn { set_turn_sent: leads, ..Default::default() });
            self.save.insert(no);
            if undecided && no >= self.current {
                self.arm(no, turn);
            }
            if leads {
                inst_lead(&mut self.insts, no, turn, slots);
                self.open_turn(no, turn, start);
                self.start_own_turn(no, turn);
            }
            self.touch(no);
        }
    }

    /// Our own set-turn counts like any other, through the same log of signatures.
    fn start_own_turn(&mut self, no: Instance, turn: u32) {
        if !self.config.rules.leader_counts_itself() {
            return;
        }
        let Some(signed) = self.sign(no, turn, SetTurnStatement {}) else { return };
        let me = self.me;
        if let Some(lead) = self.lead_mut(no, turn) {
            lead.set_turns.insert(me, signed.signature);
        }
        self.lead_turn(no, turn);
    }

    /// A turn is proven to exist: it starts here too (decision 4).
    pub(crate) fn learn_proof(&mut self, no: Instance, turn: u32) {
        if let Some(inst) = self.insts.get_mut(&no) {
            inst.proof = inst.proof.max(turn);
        }
        if self.config.rules.start_on_pol() {
            self.start_upto(no, turn, Start::Others);
        }
    }

    /// Timers: turns, proposals, repetition, catching up.
    pub(crate) fn on_time(&mut self) {
        let now = self.now.mono;
        let due = self.timers.iter().filter(|(_, (_, at))| *at <= now);
        let due: Vec<(Instance, u32)> = due.map(|(no, (turn, _))| (*no, *turn)).collect();
        for (no, turn) in due {
            self.timers.remove(&no);
            self.on_turn_timer(no, turn);
        }
        self.judge_turns();
        self.resend_due(now);
        self.ask_if_behind();
    }

    fn on_turn_timer(&mut self, no: Instance, turn: u32) {
        let now = self.now.mono;
        let Some(inst) = self.insts.get_mut(&no) else { return };
        if !inst.is_decided() && inst.started == turn {
            if let Some(state) = inst.turns.get_mut(&turn) {
                state.fired_at = Some(now);
            }
            self.start_upto(no, turn + 1, Start::Own);
        }
        self.arm_dialers();
    }

    /// Whether a proposal that waits until `at` goes out now.
    pub(crate) fn proposal_is_due(&self, at: Millis) -> bool {
        at <= self.now.mono || self.has_work()
    }
}

fn inst_lead(
    insts: &mut std::collections::BTreeMap<Instance, Inst>,
    no: Instance,
    turn: u32,
    slots: usize,
) {
    if let Some(inst) = insts.get_mut(&no) {
        inst.leads.entry(turn).or_insert_with(|| Lead::new(turn, slots));
    }
}
