//! RESUME and CATCHUP (specification 3.9, 4.2 to 4.4).
//!
//! Assumes: a link is reliable while it is up, and may lose anything when it breaks.
//! Guarantees: (1) after a link comes up both sides say where they stand, and everything that the
//! other lacks is sent again; (2) a member that fell behind obtains decisions from anybody who is
//! ahead, in order. Bounds: a RESUME is answered once per range and Gamma; repetitions, among them
//! decisions that a peer was sent before, have a rate per peer; a CATCHUP run
//! has [`CATCHUP_RUN`] instances and at most [`CATCHUP_AHEAD`] of them in memory.

use crate::core::{Core, Outcome};
use crate::duties::BULK_WINDOW;
use crate::effect::Fault;
use crate::message::*;
use std::sync::Arc;
use types::{Instance, Millis, Slot};

/// Instances that one RESUME brings.
pub(crate) const CATCHUP_RUN: u64 = 64;
/// Instances of a run that are loaded ahead.
pub(crate) const CATCHUP_AHEAD: u64 = 8;
/// Evidence of later instances counts after this time without progress, ms.
const BEHIND_AFTER_MS: u64 = 250;
/// Another helper is asked after this time, ms.
const NEXT_HELPER_MS: u64 = 500;

/// Whom we asked for decisions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asks {
    last: Option<(Slot, Millis)>,
    run_end: Instance,
}

impl Core {
    pub(crate) fn on_link_up(&mut self, peer: Slot) {
        if let Some(state) = self.peer(peer) {
            state.linked = true;
        }
        if peer == self.me || !self.epoch(self.current).roster.is_live(peer) {
            return;
        }
        let (backoff, dials) = (self.first_backoff(), self.dials(peer));
        let Some(state) = self.peer(peer) else { return };
        state.up = true;
        state.fresh = true;
        state.latency.forget();
        state.greeted = false;
        state.backoff_ms = backoff;
        state.sent_at.clear();
        if dials {
            self.send_resume(peer);
            self.resend_outstanding(peer);
        }
        if let Some(no) =
            self.woke.filter(|no| self.current < self.awake_until && *no == self.current)
            && let Some(core) = self.sign(no, 0, WakeStatement {})
        {
            self.send(peer, Message::Wake(Wake { core }));
        }
        self.dirty_peers.insert(peer);
        self.dirty_insts.extend(self.window());
    }

    pub(crate) fn on_link_down(&mut self, peer: Slot) {
        if let Some(state) = self.peer(peer) {
            state.linked = false;
        }
        self.silence(peer);
    }

    /// Nothing goes to a peer until its link, or the peer, comes back.
    pub(crate) fn silence(&mut self, peer: Slot) {
        if let Some(state) = self.peer(peer) {
            state.up = false;
            state.latency.forget();
            state.resend_at = None;
            state.serve = None;
            state.again = None;
        }
    }

    /// Tells a peer where we stand.
    pub(crate) fn send_resume(&mut self, to: Slot) {
        let standing = self.standing(to);
        if let Some(state) = self.peer(to) {
            state.need = false;
        }
        self.send(to, Message::Resume(standing));
    }

    /// Where we stand towards a peer.
    pub(crate) fn standing(&self, peer: Slot) -> Resume {
        let undecided = self.current;
        let epoch = self.epoch(undecided).roster.epoch();
        Resume { epoch, undecided, frontier: self.frontier(peer) }
    }

    /// The first instance in which `peer` owes us something.
    fn frontier(&self, peer: Slot) -> Instance {
        let Some(state) = self.peer_ref(peer) else { return self.current };
        let old = state.reopened.iter().copied();
        old.chain((state.closed.0..self.current.0).map(Instance))
            .find(|no| self.insts.get(no).is_none_or(|inst| self.owed(peer, inst).is_some()))
            .unwrap_or(self.current)
    }

    /// P4: the peer misses something, however young.
    pub(crate) fn on_resume(&mut self, from: Slot, m: &Resume) -> Outcome {
        if let Some(peer) = self.peer(from) {
            peer.sent_at.clear();
        }
        self.on_standing(from, m)
    }

    /// Where a peer stands: what it lacks is sent again.
    pub(crate) fn on_standing(&mut self, from: Slot, m: &Resume) -> Outcome {
        let (now, gamma) = (self.now.mono, self.config.params.gamma_ms);
        if self.config.rules.literal() {
            return Outcome::Done;
        }
        let (current, floor) = (self.current, self.floor);
        self.note_evidence(from, self.entered_at_least(m.undecided));
        let Some(peer) = self.peer(from) else { return Outcome::Done };
        let stated = (m.undecided.min(current), m.frontier.min(current));
        let ahead = m.undecided < current;
        if !peer.answers_resume(stated.0, stated.1, ahead, now, gamma) {
            return Outcome::Fault(Fault::TooOften);
        }
        // Below `closed` nothing is open here, so what it lacks there is only what we sent last.
        let frontier = m.frontier.min(current).max(floor);
        let closed = peer.closed;
        let end = closed.min(Instance(frontier.0.saturating_add(BULK_WINDOW)));
        peer.again = Some((frontier, end)).filter(|_| frontier < end);
        if (floor..current).contains(&m.undecided) {
            let end = Instance(current.0.min(m.undecided.0.saturating_add(CATCHUP_RUN)));
            peer.serve = Some((m.undecided, end));
        }
        let first = frontier.max(closed);
        let last = self.last_entered().min(Instance(first.0.saturating_add(BULK_WINDOW)));
        let old = self.peer_ref(from).map(|peer| peer.reopened.clone()).unwrap_or_default();
        for no in old.into_iter().chain((first.0..=last.0).map(Instance)) {
            self.reset_last_steps(from, no);
        }
        self.resend_outstanding(from);
        self.serve_catchup(from);
        self.serve_closed(from);
        self.dirty_peers.insert(from);
        Outcome::Done
    }

    /// Steps that nothing answers count as not sent again.
    pub(crate) fn reset_last_steps(&mut self, peer: Slot, no: Instance) {
        let Some(inst) = self.insts.get_mut(&no) else { return };
        if inst.sender == peer {
            inst.report_sent = false;
        }
        inst.penance_paid_to.remove(peer);
        // A leader may have lost our set-turn with its memory although the turn went on. At stage 0
        // the ordinary repetition covers it.
        for (turn, state) in inst.turns.range_mut(1..) {
            if state.stage > 0 && self.schedule.leader(no, *turn) == peer {
                state.set_turn_sent = false;
            }
        }
        // A member waits for the decision in one turn before it asks in the next, so only the last
        // one can be lost; one that lost its memory asks for each again.
        if let Some(lead) = inst.leads.values_mut().rev().find(|lead| lead.told.contains(peer)) {
            lead.told.remove(peer);
        }
        for lead in inst.leads.values_mut() {
            if let Some(conv) = lead.convs.get_mut(usize::from(peer.0))
                && conv.sent == 4
            {
                conv.sent = 3;
                conv.acked = 3;
            }
        }
        self.dirty_insts.insert(no);
    }

    /// Sends the decisions of a run in order, as far as they are in memory.
    pub(crate) fn serve_catchup(&mut self, to: Slot) {
        while let Some((next, end)) = self.peer_ref(to).and_then(|peer| peer.serve) {
            if next >= end || !self.is_up(to) {
                if let Some(peer) = self.peer(to) {
                    peer.serve = None;
                }
                return;
            }
            let Some(inst) = self.insts.get(&next) else {
                for no in next.0..end.0.min(next.0.saturating_add(CATCHUP_AHEAD)) {
                    self.want(Instance(no));
                }
                return;
            };
            let Some(cert) = inst.decided.clone() else { return };
            let value = inst.decided_value().map(Arc::clone);
            let again = self.peer_ref(to).is_some_and(|peer| next < peer.served);
            if again && !self.repeat_allowed(to) {
                if let Some(peer) = self.peer(to) {
                    peer.serve = None;
                }
                return;
            }
            let epoch = self.epoch(next).roster.epoch();
            self.send(to, Message::Catchup(Catchup { epoch, inst: next, cert, value }));
            if let Some(peer) = self.peer(to) {
                peer.served = peer.served.max(Instance(next.0 + 1));
                peer.serve = Some((Instance(next.0 + 1), end));
            }
        }
    }

    // --- falling behind -----------------------------------------------------------------------

    /// A peer is known to have entered an instance.
    pub(crate) fn note_evidence(&mut self, from: Slot, entered: Instance) {
        if let Some(peer) = self.peer(from) {
            peer.evidence = peer.evidence.max(entered);
        }
    }

    /// When each peer that is ahead may be asked.
    fn helpers(&self) -> Vec<(Millis, Slot)> {
        let gamma = self.config.params.gamma_ms;
        let mut earliest = self.entered_at.plus(BEHIND_AFTER_MS);
        let mut after = None;
        if let Some((last, at)) = self.asks.last {
            earliest = earliest.max(at.plus(NEXT_HELPER_MS));
            after = Some(last);
        }
        let mut helpers: Vec<(Millis, Slot)> = self
            .others()
            .into_iter()
            .filter_map(|slot| {
                let peer = self.peer_ref(slot)?;
                if !peer.up || peer.evidence < self.entered {
                    return None;
                }
                let asked = peer.asked.filter(|(no, _)| *no == self.current);
                let at = asked.map_or(earliest, |(_, at)| earliest.max(at.plus(gamma)));
                Some((at, slot))
            })
            .collect();
        helpers.sort_by_key(|(at, slot)| (*at, Some(*slot) <= after, *slot));
        helpers
    }

    /// When somebody may be asked next.
    pub(crate) fn ask_due(&self) -> Option<Millis> {
        self.helpers().first().map(|(at, _)| *at)
    }

    /// Asks one peer that is ahead, in turn.
    pub(crate) fn ask_if_behind(&mut self) {
        let now = self.now.mono;
        if let Some((at, slot)) = self.helpers().first().copied()
            && at <= now
        {
            self.ask(slot);
        }
    }

    fn ask(&mut self, helper: Slot) {
        let (now, current) = (self.now.mono, self.current);
        self.asks.last = Some((helper, now));
        self.asks.run_end = Instance(current.0.saturating_add(CATCHUP_RUN));
        if let Some(peer) = self.peer(helper) {
            peer.asked = Some((current, now));
        }
        self.send_resume(helper);
    }

    /// A run is complete: the same helper continues without delay. A whole run says by itself that
    /// there may be more; whoever is cut off by gates hears of later instances from nobody.
    pub(crate) fn ask_on(&mut self, helper: Slot) {
        let asked = self.asks.last.is_some_and(|(slot, _)| slot == helper);
        if asked && self.current >= self.asks.run_end {
            self.ask(helper);
        }
    }
}
