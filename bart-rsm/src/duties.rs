//! Duties, gates, and what leaves when a gate is open (specification 3.5).
//!
//! Guarantees: (1) no duty without delivered evidence: a peer owes only what follows from a message
//! that we sent, plus O1 and O3; (2) nothing that belongs behind a duty is sent or accepted before
//! it. Bounds: a gate looks at no instance below the peer's
//! `closed` but those that were reopened.
//! Deviation: in instances that we decided the gate looks back [`BULK_WINDOW`] instances instead of
//! `W`, which is the bulk discharge of 3.9: what is closed can no longer be voted on.

use crate::core::Core;
use crate::effect::Duty;
use crate::inst::Inst;
use crate::message::SetTurn;
use crate::message::{Message, SetTurnStatement};
use std::collections::BTreeSet;
use types::{Instance, Kind, Slot, Turn};

/// Instances that a peer may discharge in parallel.
pub(crate) const BULK_WINDOW: u64 = 32;
/// The position of instance-level duties: after every turn.
pub(crate) const POSITION_LAST: u32 = u32::MAX;

/// Something that we have for a peer as soon as its gate opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    SetTurn(u32),
    Step(u32, u8),
    ShowDecision(u32),
    Report,
    Penance,
}

impl Due {
    fn position(self) -> u32 {
        match self {
            Due::SetTurn(turn) | Due::Step(turn, _) | Due::ShowDecision(turn) => turn,
            Due::Report | Due::Penance => POSITION_LAST,
        }
    }
}

impl Core {
    /// Calls `found` for each outstanding duty of `peer` towards us in `inst`, with its position.
    pub(crate) fn each_duty(&self, peer: Slot, inst: &Inst, found: &mut dyn FnMut(u32, Duty)) {
        if !self.share(peer, inst.no) {
            return;
        }
        // O1
        if peer == inst.sender && inst.turns.get(&0).is_none_or(|turn| turn.stage < 4) {
            found(0, Duty::SenderTurn);
        }
        if inst.sender == self.me {
            // O2
            if let Some(lead) = inst.leads.get(&0) {
                let conv = lead.conv(peer);
                if conv.sent > conv.acked {
                    found(0, Duty::Answer(Turn(0)));
                }
            }
            // O3
            let reports_due =
                !self.config.rules.lax().printed_has_bubble && !self.config.rules.literal();
            if !inst.reports.contains(peer) && reports_due {
                found(POSITION_LAST, Duty::Report);
            }
            return;
        }
        // O4
        for (turn, state) in inst.turns.range(1..) {
            if state.set_turn_sent
                && state.stage < 4
                && self.schedule.leader(inst.no, *turn) == peer
            {
                found(*turn, Duty::LeaderTurn(Turn(*turn)));
            }
        }
        // O5
        if peer == inst.sender {
            return;
        }
        for (turn, lead) in &inst.leads {
            let conv = lead.conv(peer);
            let missing = !lead.set_turns.contains_key(&peer);
            let rules = &self.config.rules;
            let always = rules.set_turn_always_blocks() && inst.started >= *turn
                || rules.demand_on_private_proof() && lead.read.is_none() && inst.proof >= *turn
                || rules.literal() && inst.proof >= *turn;
            if missing && (conv.sent >= 1 || always) {
                found(*turn, Duty::SetTurn(Turn(*turn)));
            } else if conv.sent > conv.acked {
                found(*turn, Duty::Answer(Turn(*turn)));
            }
        }
        // O6
        if inst.owes_penance(peer) && !inst.penance_from.contains(peer) {
            found(POSITION_LAST, Duty::Penance);
        }
    }

    /// Whether both of us take part in an instance: who did not owes nothing there, also after it came back.
    fn share(&self, peer: Slot, no: Instance) -> bool {
        let roster = &self.epoch(no).roster;
        roster.is_live(peer) && roster.is_live(self.me)
    }

    /// The first position at which `peer` owes us something in `inst`.
    pub(crate) fn owed(&self, peer: Slot, inst: &Inst) -> Option<u32> {
        if self.config.rules.selfish().lenient {
            return None;
        }
        let mut first: Option<u32> = None;
        self.each_duty(peer, inst, &mut |at, _| first = Some(first.map_or(at, |f| f.min(at))));
        first
    }

    /// What we have for `peer` in `inst`, gates aside, in order of position.
    pub(crate) fn due(&self, peer: Slot, inst: &Inst) -> Vec<Due> {
        let mut due = Vec::new();
        if !self.share(peer, inst.no) {
            return due;
        }
        for (turn, state) in inst.turns.range(1..) {
            let leader = self.schedule.leader(inst.no, *turn);
            if leader == peer && !state.set_turn_sent {
                due.push(Due::SetTurn(*turn));
            }
        }
        for (turn, lead) in &inst.leads {
            if peer == inst.sender {
                continue;
            }
            let conv = lead.conv(peer);
            let formed = lead.formed();
            if formed > 0 {
                // READ may precede the peer's SET_TURN; nothing else may.
                let early = conv.sent == 0 && !self.config.rules.literal();
                let started = *turn == 0 || early || lead.set_turns.contains_key(&peer);
                if conv.sent == conv.acked && conv.sent < formed && started {
                    due.push(Due::Step(*turn, conv.sent + 1));
                }
            } else if *turn > 0
                && inst.is_decided()
                && lead.set_turns.contains_key(&peer)
                && !lead.told.contains(peer)
            {
                due.push(Due::ShowDecision(*turn));
            }
        }
        if inst.sender == peer && inst.is_decided() && !inst.report_sent {
            due.push(Due::Report);
        }
        if inst.owes_penance(self.me) && peer != inst.sender && !inst.penance_paid_to.contains(peer)
        {
            due.push(Due::Penance);
        }
        due.sort_by_key(|due| due.position());
        due
    }

    /// Whether nothing is outstanding with `peer` in `inst`, in either direction.
    pub(crate) fn is_closed(&self, peer: Slot, inst: &Inst) -> bool {
        inst.is_decided() && self.owed(peer, inst).is_none() && self.due(peer, inst).is_empty()
    }

    /// Whether `peer` owes nothing in the instances that gate `inst`.
    pub(crate) fn may_accept(&self, peer: Slot, inst: Instance) -> bool {
        let Some(state) = self.peer_ref(peer) else { return false };
        let back = if self.is_decided(inst) { BULK_WINDOW } else { self.config.params.pipeline };
        let Some(last) = inst.back(back) else { return true };
        let old = state.reopened.range(..=last).copied();
        old.chain((state.closed.0..=last.0).map(Instance))
            .all(|no| self.insts.get(&no).is_some_and(|inst| self.owed(peer, inst).is_none()))
    }

    /// Whether something at `position` may go to `peer` in `inst`.
    fn may_send(&self, peer: Slot, inst: &Inst, position: u32) -> bool {
        self.owed(peer, inst).is_none_or(|first| first >= position)
    }

    /// Sends to `peer` in `inst` whatever its gates allow.
    pub(crate) fn converse(&mut self, peer: Slot, no: Instance) {
        if !self.is_up(peer) || self.signer.is_halted() {
            return;
        }
        let Some(inst) = self.insts.get(&no) else { return };
        let due = self.due(peer, inst);
        if due.is_empty() || !self.may_accept(peer, no) {
            return;
        }
        let mut shown = false;
        for due in due {
            let Some(inst) = self.insts.get(&no) else { return };
            if !self.may_send(peer, inst, due.position()) {
                return;
            }
            match due {
                Due::SetTurn(turn) => self.send_set_turn(peer, no, turn),
                Due::Step(turn, step) => self.send_step(peer, no, turn, step),
                Due::ShowDecision(turn) => {
                    // Large, and a few bytes ask for it: one at a time, and after the first one at
                    // the rate of repetitions. An honest member waits for one before the next.
                    let told = |lead: &crate::inst::Lead| lead.told.contains(peer);
                    let again = inst.shown.contains(peer) || inst.leads.values().any(told);
                    if shown || (again && !self.repeat_allowed(peer)) {
                        continue;
                    }
                    shown = true;
                    self.send_show_decision(peer, no, turn);
                }
                Due::Report => self.send_report(peer, no),
                Due::Penance => {
                    // The first one is owed; one that a peer lost comes at the rate of repetitions.
                    if inst.penance_sent.contains(peer) && !self.repeat_allowed(peer) {
                        continue;
                    }
                    self.send_penance(peer, no);
                }
            }
            self.unsaved.insert(no);
        }
    }

    fn send_set_turn(&mut self, leader: Slot, no: Instance, turn: u32) {
        let Some(core) = self.sign(no, turn, SetTurnStatement {}) else { return };
        if let Some(state) = self.insts.get_mut(&no).and_then(|inst| inst.turns.get_mut(&turn)) {
            state.set_turn_sent = true;
        }
        self.send(leader, Message::SetTurn(SetTurn { core }));
    }

    /// A duty or a due message may have come up in an instance that counted as closed.
    pub(crate) fn reopen(&mut self, peer: Slot, no: Instance) {
        let Some(inst) = self.insts.get(&no) else { return };
        let closed = self.is_closed(peer, inst);
        if !closed && self.peer(peer).is_some_and(|state| state.reopen(no)) {
            self.reopened = true;
        }
    }

    /// Moves `closed` of a peer up, forgets what was reopened and is closed again, and sends in every instance whose gate opened.
    pub(crate) fn advance(&mut self, peer: Slot) {
        let Some(state) = self.peer_ref(peer) else { return };
        let (mut closed, old) = (state.closed, state.reopened.clone());
        let before = closed;
        let is_done = |no: &Instance| {
            self.insts.get(no).is_some_and(|inst| self.is_closed(peer, inst)) || *no >= closed
        };
        let still: BTreeSet<Instance> = old.iter().copied().filter(|no| !is_done(no)).collect();
        let fewer = still.len() < old.len();
        while closed < self.current {
            match self.insts.get(&closed) {
                Some(inst) if self.is_closed(peer, inst) => closed = Instance(closed.0 + 1),
                _ => break,
            }
        }
        let up = self.is_up(peer);
        if let Some(state) = self.peer(peer) {
            if closed > before {
                state.sent_at = state.sent_at.split_off(&(closed, Turn(0), Kind::Value));
            }
            state.closed = closed;
            state.reopened = still.clone();
        }
        if closed > before || fewer {
            self.gate_opened(peer);
        }
        if !up {
            return;
        }
        self.want_window(peer);
        let last = self.last_entered().0.min(closed.0.saturating_add(BULK_WINDOW));
        for no in still.into_iter().chain((closed.0..=last).map(Instance)) {
            self.converse(peer, no);
        }
    }
}
