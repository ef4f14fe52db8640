//! Repetition: what is outstanding, and last steps that nothing answers (specification 4.2, 4.3).
//!
//! Guarantees: what was sent and not answered is sent again, with a growing delay while the peer
//! says nothing. Bounds: one window of instances a peer, and what a peer asks for again has a rate.

use crate::core::Core;
use crate::duties::BULK_WINDOW;
use crate::effect::Duty;
use crate::message::*;
use types::{Instance, Millis, Slot};

impl Core {
    /// Whether one more repetition for a peer is within its rate.
    pub(crate) fn repeat_allowed(&mut self, from: Slot) -> bool {
        let (now, gamma) = (self.now.mono, self.config.params.gamma_ms);
        self.peer(from).is_some_and(|peer| peer.take_token(now, gamma))
    }

    /// A valid message resets the back-off.
    pub(crate) fn heard_from(&mut self, from: Slot) {
        let (now, gamma) = (self.now.mono, self.config.params.gamma_ms);
        if let Some(peer) = self.peer(from)
            && peer.up
        {
            peer.backoff_ms = gamma;
            peer.resend_at = Some(now.plus(gamma));
        }
    }

    /// The gate towards a peer opened: what it sent too early and we dropped is due again.
    pub(crate) fn gate_opened(&mut self, peer: Slot) {
        if self.is_up(peer) && self.peer_ref(peer).is_some_and(|state| state.need) {
            self.send_resume(peer);
        }
    }

    /// Whether an answer by `peer` is missing, or a decided instance is still open with it.
    fn is_outstanding(&self, peer: Slot) -> bool {
        let Some(state) = self.peer_ref(peer) else { return false };
        let old = state.reopened.iter().filter_map(|no| self.insts.get_key_value(no));
        old.chain(self.insts.range(state.closed..=self.last_entered())).any(|(no, inst)| {
            let mut found = false;
            self.each_duty(peer, inst, &mut |_, duty| {
                found |= match duty {
                    _ if *no < self.current => true,
                    Duty::SenderTurn => inst.turns.get(&0).is_some_and(|turn| turn.stage > 1),
                    Duty::Report => false,
                    _ => true,
                };
            });
            found
        })
    }

    pub(crate) fn resend_due(&mut self, now: Millis) {
        let max = self.config.params.resend_max_ms;
        for peer in self.others() {
            if self.peer_ref(peer).and_then(|state| state.resend_at).is_none_or(|at| at > now) {
                continue;
            }
            let outstanding = self.is_outstanding(peer);
            if let Some(state) = self.peer(peer) {
                state.resend_at = None;
                if outstanding {
                    state.backoff_ms = state.backoff_ms.saturating_mul(2).min(max);
                    state.resend_at = Some(now.plus(state.backoff_ms));
                }
            }
            if outstanding {
                if let Some(state) = self.peer(peer) {
                    state.latency.forget();
                }
                self.send_resume(peer);
                self.resend_outstanding(peer);
            }
        }
    }

    /// Repeats our last message of every conversation in which the peer has to move.
    pub(crate) fn resend_outstanding(&mut self, peer: Slot) {
        let Some(closed) = self.peer_ref(peer).map(|state| state.closed) else { return };
        let last = self.last_entered().min(Instance(closed.0.saturating_add(BULK_WINDOW)));
        let mut places: Vec<Instance> = self
            .peer_ref(peer)
            .map(|state| state.reopened.iter().copied().collect())
            .unwrap_or_default();
        places.extend(self.insts.range(closed..=last).map(|(no, _)| *no));
        places.extend(self.window().filter(|no| *no > last));
        for no in places {
            self.resend_instance(peer, no);
        }
    }

    fn resend_instance(&mut self, peer: Slot, no: Instance) {
        let Some(inst) = self.insts.get(&no) else { return };
        let steps: Vec<(u32, u8)> = inst
            .leads
            .iter()
            .map(|(turn, lead)| (*turn, lead.conv(peer)))
            .filter(|(_, conv)| conv.sent > conv.acked)
            .map(|(turn, conv)| (turn, conv.sent))
            .collect();
        let answers: Vec<(u32, u8)> = inst
            .turns
            .iter()
            .filter(|(turn, state)| {
                self.schedule.leader(no, **turn) == peer
                    && (state.set_turn_sent || **turn == 0)
                    && state.stage < 4
            })
            .map(|(turn, state)| (*turn, state.stage))
            .collect();
        for (turn, step) in steps {
            if let Some(message) = self.step_message(peer, no, turn, step) {
                self.send(peer, message);
            }
        }
        for (turn, stage) in answers {
            // READ may overtake a lost SET_TURN, and its leader waits for both.
            if turn > 0
                && let Some(core) = self.sign(no, turn, SetTurnStatement {})
            {
                self.send(peer, Message::SetTurn(SetTurn { core }));
            }
            match stage {
                1 if turn > 0 => self.send_read_ack(peer, no, turn),
                2 => self.send_agree_ack(peer, no, turn),
                3 => self.send_write_ack(peer, no, turn),
                _ => {}
            }
        }
    }

    /// Repeats the last steps in closed instances, each message and load at the rate of repetitions.
    /// Nothing here changes with it, so the mark does not fall.
    pub(crate) fn serve_closed(&mut self, to: Slot) {
        while let Some((next, end)) = self.peer_ref(to).and_then(|peer| peer.again) {
            let mut go_on = next < end && self.is_up(to);
            if go_on && !self.insts.contains_key(&next) {
                if !self.may_load(next) || self.repeat_allowed(to) {
                    return self.want(next);
                }
                go_on = false;
            }
            go_on = go_on && self.repeat_last_steps(to, next);
            if let Some(peer) = self.peer(to) {
                peer.again = Some((Instance(next.0 + 1), end)).filter(|_| go_on);
            }
        }
    }

    /// False if that is more than the rate allows.
    fn repeat_last_steps(&mut self, to: Slot, no: Instance) -> bool {
        let Some(inst) = self.insts.get(&no).filter(|inst| inst.is_decided()) else { return true };
        let report = inst.sender == to && inst.report_sent;
        let paid = inst.owes_penance(self.me) && to != inst.sender;
        let steps: Vec<u32> = inst
            .leads
            .iter()
            .filter(|(_, lead)| to != inst.sender && lead.conv(to).sent == 4)
            .map(|(turn, _)| *turn)
            .collect();
        let told = inst.leads.iter().rev().find(|(_, lead)| lead.told.contains(to));
        let told = told.map(|(turn, _)| *turn);
        let asked: Vec<u32> = inst
            .turns
            .range(1..)
            .filter(|(turn, state)| state.stage > 0 && self.schedule.leader(no, **turn) == to)
            .map(|(turn, _)| *turn)
            .collect();
        for turn in asked {
            if !self.repeat_allowed(to) {
                return false;
            }
            if let Some(core) = self.sign(no, turn, SetTurnStatement {}) {
                self.send(to, Message::SetTurn(SetTurn { core }));
            }
        }
        for turn in steps {
            if !self.repeat_allowed(to) {
                return false;
            }
            if let Some(message) = self.step_message(to, no, turn, 4) {
                self.send(to, message);
            }
        }
        if let Some(turn) = told {
            if !self.repeat_allowed(to) {
                return false;
            }
            self.send_show_decision(to, no, turn);
        }
        if report {
            if !self.repeat_allowed(to) {
                return false;
            }
            self.send_report(to, no);
        }
        if paid {
            if !self.repeat_allowed(to) {
                return false;
            }
            self.send_penance(to, no);
        }
        true
    }
}
