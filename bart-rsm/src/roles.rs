//! Who repeats: the dialer restores the link and provokes, the acceptor answers (specification 4.3;
//! rows MQ-1, MQ-2, MQ-3).
//!
//! Assumes: the transport lets the member with the smaller slot dial; a link loses nothing while it
//! is up. Guarantees: (1) the first transmission is immediate in both roles; (2) the dialer repeats or
//! asks with PING, after `2 * Gamma` without a valid frame and then less and less often, while
//! something is outstanding in either direction; (3) the acceptor repeats only upon a valid frame, and
//! only what is older than `Gamma`, or says what it has missed for as long; (4) with nothing
//! outstanding both are silent.
//! Bounds: [`SENT_MAX`] times of sending a peer; one PONG for one PING, at the rate of repetitions.

use crate::core::{Core, Outcome};
use crate::effect::Fault;
use crate::message::{Message, Ping, Pong, Resume};
use types::{Instance, Kind, Millis, Slot, Turn};

/// Messages a peer whose time of sending is remembered; without it a message counts as old.
pub(crate) const SENT_MAX: usize = 512;

/// A message of ours that a peer is to answer.
pub(crate) type SentKey = (Instance, Turn, Kind);

impl Core {
    /// Whether it is ours to restore the link to a peer and to provoke it.
    pub(crate) fn dials(&self, peer: Slot) -> bool {
        self.me < peer
    }

    /// Something may become outstanding: the dialer looks again after its back-off.
    pub(crate) fn arm_dialer(&mut self, peer: Slot) {
        let (now, dials) = (self.now.mono, self.dials(peer));
        if let Some(state) = self.peer(peer)
            && state.up
            && dials
        {
            state.resend_at = state.resend_at.or(Some(now.plus(state.backoff_ms)));
        }
    }

    /// The same for every connected peer.
    pub(crate) fn arm_dialers(&mut self) {
        for peer in self.others() {
            self.arm_dialer(peer);
        }
    }

    /// A message leaves: the acceptor repeats it no earlier than `Gamma` later.
    pub(crate) fn note_sent(&mut self, to: Slot, message: &Message) {
        if message.header().is_none() || message.kind() == Kind::Wake {
            return;
        }
        let (now, key) = (self.now.mono, (message.inst(), message.turn(), message.kind()));
        if let Some(peer) = self.peer(to) {
            peer.sent_at.insert(key, now);
            while peer.sent_at.len() > SENT_MAX {
                peer.sent_at.pop_first();
            }
        }
    }

    /// Whether a message is old enough to be repeated.
    pub(crate) fn may_repeat(&self, peer: Slot, key: &SentKey) -> bool {
        let gamma = self.config.params.gamma_ms;
        let sent = self.peer_ref(peer).and_then(|state| state.sent_at.get(key));
        sent.is_none_or(|at| self.now.mono.since(*at) >= gamma)
    }

    /// A valid frame arrived: the dialer's back-off starts anew, the acceptor repeats what is old.
    pub(crate) fn heard_from(&mut self, from: Slot) {
        let (first, dials) = (self.first_backoff(), self.dials(from));
        let Some(peer) = self.peer(from).filter(|peer| peer.up) else { return };
        peer.backoff_ms = first;
        if dials {
            return self.await_more(from);
        }
        if !std::mem::replace(&mut peer.greeted, true) {
            // Whatever the old link lost is repeated at once, as the dialer does.
            peer.sent_at.clear();
            peer.latency.forget();
            self.send_resume(from);
            self.resend_outstanding(from);
            return;
        }
        if self.has_old(from) {
            if let Some(peer) = self.peer(from) {
                peer.latency.forget();
            }
            self.resend_outstanding(from);
        }
        self.ask_again(from);
    }

    /// The acceptor misses something for long: it says so, since a last step is not repeated otherwise.
    fn ask_again(&mut self, from: Slot) {
        let (now, gamma) = (self.now.mono, self.config.params.gamma_ms);
        let first = self.first_outstanding(from);
        let Some(peer) = self.peer(from) else { return };
        if peer.stuck != first {
            (peer.stuck, peer.stuck_at) = (first, now);
        } else if first.is_some() && now.since(peer.stuck_at) >= gamma {
            peer.stuck_at = now;
            self.send_resume(from);
        }
    }

    /// The dialer heard something: it waits anew, unless the oldest thing that it waits for is still
    /// the same. Other instances may go on meanwhile, and must not put off asking for ever.
    fn await_more(&mut self, from: Slot) {
        let (stuck, later) =
            (self.first_outstanding(from), self.now.mono.plus(self.first_backoff()));
        let Some(peer) = self.peer(from) else { return };
        let same = stuck.is_some() && stuck == peer.stuck;
        let until = peer.resend_at.filter(|_| same).unwrap_or(later);
        peer.stuck = stuck;
        peer.resend_at = Some(until.min(later));
    }

    fn has_old(&self, peer: Slot) -> bool {
        let gamma = self.config.params.gamma_ms;
        let is_old = |at: &Millis| self.now.mono.since(*at) >= gamma;
        self.peer_ref(peer).is_some_and(|state| state.sent_at.values().any(is_old))
    }

    /// `d` of 4.3 after a valid frame.
    pub(crate) fn first_backoff(&self) -> u64 {
        let params = &self.config.params;
        params.gamma_ms.saturating_mul(2).min(params.resend_max_ms)
    }

    /// The dialer's timers: repeats everything unanswered, or asks.
    pub(crate) fn resend_due(&mut self, now: Millis) {
        let max = self.config.params.resend_max_ms;
        for peer in self.others() {
            if self.peer_ref(peer).and_then(|state| state.resend_at).is_none_or(|at| at > now) {
                continue;
            }
            let outstanding = self.first_outstanding(peer).is_some();
            if let Some(state) = self.peer(peer) {
                state.resend_at = None;
                if outstanding {
                    state.backoff_ms = state.backoff_ms.saturating_mul(2).min(max);
                    state.resend_at = Some(now.plus(state.backoff_ms));
                }
            }
            if let Some(state) = self.peer(peer).filter(|_| outstanding) {
                state.latency.forget();
            }
            if outstanding && !self.resend_outstanding(peer) {
                self.send_ping(peer);
            } else if outstanding {
                self.send_resume(peer);
            }
        }
    }

    fn send_ping(&mut self, to: Slot) {
        let Resume { epoch, undecided, frontier } = self.standing(to);
        self.send(to, Message::Ping(Ping { epoch, undecided, frontier }));
    }

    /// The dialer asks: whatever it lacks is repeated, as for RESUME; if that is nothing, PONG.
    pub(crate) fn on_ping(&mut self, from: Slot, m: &Ping) -> Outcome {
        if self.dials(from) {
            return Outcome::Fault(Fault::Unexpected(Kind::Ping));
        }
        let asked = Resume { epoch: m.epoch, undecided: m.undecided, frontier: m.frontier };
        let before = self.out.len();
        let resumed = self.on_standing(from, &asked);
        let answered = self.out.len() > before;
        if !answered && self.repeat_allowed(from) {
            let Resume { epoch, undecided, frontier } = self.standing(from);
            self.send(from, Message::Pong(Pong { epoch, undecided, frontier }));
        }
        resumed
    }

    /// The acceptor has nothing to repeat; it says where it stands.
    pub(crate) fn on_pong(&mut self, from: Slot, m: &Pong) -> Outcome {
        if !self.dials(from) {
            return Outcome::Fault(Fault::Unexpected(Kind::Pong));
        }
        self.note_evidence(from, m.undecided);
        Outcome::Done
    }
}
