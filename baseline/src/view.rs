//! Replacing a leader under which commands wait too long, and helping members that lag.

use crate::core::{Baseline, Certified};
use crate::message::*;
use bart_rsm::Fault;
use std::collections::BTreeSet;
use types::{Hash, Instance, Kind, Signed, Slot, Turn};

/// Decided instances sent for one question.
const SERVE_MAX: u64 = 16;

impl Baseline {
    /// Commands wait or a value is open: the leader has a time to get on.
    pub(crate) fn arm(&mut self) {
        if self.deadline.is_none() {
            let span = self.config.params.t0_min_ms << self.fruitless.min(10);
            self.deadline = Some(self.now.mono.plus(span));
        }
    }

    /// First everybody hears of the commands, so that all wait for the leader; then all leave it.
    pub(crate) fn on_time(&mut self) {
        if self.deadline.is_none_or(|at| at > self.now.mono) {
            return;
        }
        self.deadline = None;
        if self.shouted || self.established.is_none() {
            self.leave(Turn(self.view.0 + 1));
        } else {
            self.shouted = true;
            self.shout();
        }
        self.arm();
    }

    fn shout(&mut self) {
        let own = self.own_commands();
        if !own.is_empty() {
            self.send_all(&Message::Forward(own));
        }
    }

    fn leave(&mut self, view: Turn) {
        self.view = view;
        self.established = None;
        self.proof = None;
        self.shouted = false;
        self.fruitless += 1;
        self.deadline = None;
        self.clear_lead();
        self.arm();
        self.say_leaving();
    }

    /// Signed anew in every instance, with the lock as it is there.
    pub(crate) fn say_leaving(&mut self) {
        let (lock_view, lock) =
            self.lock.as_ref().map_or((NO_VIEW, Hash::ZERO), |(cert, _)| (cert.view, cert.value));
        let core = self.sign(Leaving { lock_view, lock });
        let lock = self.lock.clone();
        self.save();
        self.send_all(&Message::ViewChange(core.clone(), lock.clone()));
        self.changes.insert((self.view, self.me), (core, lock));
        self.lead_view();
    }

    pub(crate) fn on_view_change(
        &mut self,
        from: Slot,
        core: Signed<Leaving>,
        lock: Option<Certified>,
    ) {
        let view = core.header.turn;
        let known = self.changes.get(&(view, from));
        let known = known.is_some_and(|(known, _)| known.header.inst == core.header.inst);
        if view < self.view || known || view.0 > self.view.0 + 64 {
            return;
        }
        let stated = core.payload;
        let shown = match &lock {
            None => stated.lock_view == NO_VIEW,
            Some((cert, body)) => {
                (cert.view, cert.value, cert.inst)
                    == (stated.lock_view, stated.lock, core.header.inst)
                    && Hash::of(body) == cert.value
                    && self.check_cert(cert, Kind::AgreeAck)
            }
        };
        if !shown || !self.check(from, &core) {
            return self.fault(from, Fault::BadSignature(Kind::SetTurn));
        }
        self.changes.insert((view, from), (core, lock));
        // Whoever shall lead may have been behind when ours came.
        if view == self.view
            && self.established.is_none()
            && from == self.leader(view)
            && let Some((own, lock)) = self.changes.get(&(view, self.me)).cloned()
        {
            self.send(from, Message::ViewChange(own, lock));
        }
        // Some honest member among f + 1 has waited in vain: so have we, or will.
        let later: BTreeSet<Slot> =
            self.changes.keys().filter(|(at, _)| *at > self.view).map(|(_, slot)| *slot).collect();
        if later.len() > self.config.roster.quorum().f() {
            let next = self.changes.keys().map(|(at, _)| *at).find(|at| *at > self.view);
            self.leave(next.unwrap_or(view));
        }
        self.lead_view();
    }

    /// A quorum left for our view, in this instance: it begins.
    fn lead_view(&mut self) {
        if !self.leads() || self.established.is_some() {
            return;
        }
        let range = (self.view, Slot(0))..=(self.view, Slot(u16::MAX));
        let here = self.changes.range(range).map(|(_, change)| change);
        let here = here.filter(|(core, _)| core.header.inst == self.current);
        let here: Vec<_> = here.take(self.q).cloned().collect();
        if here.len() < self.q {
            return;
        }
        let latest = here.iter().filter_map(|(_, lock)| lock.as_ref());
        let latest = latest.max_by_key(|(cert, _)| cert.view).cloned();
        if let Some((cert, body)) = &latest {
            self.keep_body(cert.value, body);
        }
        let changes = here.into_iter().map(|(core, _)| core).collect();
        let lock = latest.map(|(cert, _)| cert);
        self.established = Some((self.current, lock.as_ref().map(|cert| cert.value)));
        let message = Message::NewView(changes, lock);
        self.send_all(&message);
        self.proof = Some(message);
        self.propose();
    }

    pub(crate) fn on_new_view(
        &mut self,
        from: Slot,
        changes: Vec<Signed<Leaving>>,
        lock: Option<Cert>,
    ) {
        let Some(header) = changes.first().map(|change| change.header) else { return };
        let (view, inst) = (header.turn, header.inst);
        let known = view == self.view && self.established.is_some();
        if view < self.view || known || self.leader(view) != from {
            return;
        }
        if inst > self.current {
            return self.ask(from, view);
        }
        let slots: BTreeSet<Slot> = changes.iter().map(|change| change.header.slot).collect();
        let same = changes.iter().all(|change| {
            let at = change.header;
            (at.turn, at.inst, at.kind) == (view, inst, Kind::SetTurn)
        });
        let locks = changes.iter().map(|change| change.payload);
        let latest = locks.filter(|lock| lock.lock_view != NO_VIEW).max_by_key(|l| l.lock_view);
        let fits = match (&latest, &lock) {
            (None, None) => true,
            (Some(stated), Some(cert)) => {
                (stated.lock_view, stated.lock, inst) == (cert.view, cert.value, cert.inst)
                    && self.check_cert(cert, Kind::AgreeAck)
            }
            _ => false,
        };
        let quorum = slots.len() == self.q && changes.len() == self.q;
        if !quorum || !same || !fits || !changes.iter().all(|c| self.check(c.header.slot, c)) {
            return self.fault(from, Fault::BadSignature(Kind::Read));
        }
        self.clear_lead();
        self.view = view;
        self.established = Some((inst, lock.map(|cert| cert.value)));
        self.deadline = None;
        self.shouted = false;
        if !self.pool.is_empty() {
            self.arm();
        }
        let own = self.own_commands();
        if !own.is_empty() {
            self.send(from, Message::Forward(own));
        }
    }

    /// We are behind `from`: ask once for every place that we reach.
    pub(crate) fn ask(&mut self, from: Slot, view: Turn) {
        if self.asked.get(&from) != Some(&(self.current, view)) {
            self.asked.insert(from, (self.current, view));
            self.send(from, Message::Fetch(self.current, view));
        }
    }

    pub(crate) fn on_fetch(&mut self, from: Slot, inst: Instance, view: Turn) {
        self.serve(from, inst);
        if view <= self.view
            && let Some(proof) = self.proof.clone()
        {
            self.send(from, proof);
        }
        if let Some((core, body)) = self.proposal.clone().filter(|_| self.leads()) {
            self.send(from, Message::Propose(core, body));
        }
    }

    pub(crate) fn serve(&mut self, to: Slot, from: Instance) {
        let end = Instance(from.0.saturating_add(SERVE_MAX));
        let run: Vec<_> = self.decided.range(from..end).map(|(_, known)| known.clone()).collect();
        for (cert, body) in run {
            self.send(to, Message::Decide(cert, Some(body)));
        }
    }

    /// What the peer may have missed.
    pub(crate) fn on_link_up(&mut self, peer: Slot) {
        self.up.insert(peer);
        if self.established.is_none()
            && let Some((core, lock)) = self.changes.get(&(self.view, self.me)).cloned()
        {
            self.send(peer, Message::ViewChange(core, lock));
        }
        self.send(peer, Message::Fetch(self.current, self.view));
        if peer == self.leader(self.view) {
            let own = self.own_commands();
            if !own.is_empty() {
                self.send(peer, Message::Forward(own));
            }
        }
    }
}
