//! Repetition: what is outstanding, and last steps that nothing answers (specification 4.2, 4.3).
//!
//! Guarantees: what was sent and not answered is sent again when `roles.rs` says so. Bounds: one window of instances a peer, and what a peer asks for again has a rate.

use crate::core::Core;
use crate::duties::BULK_WINDOW;
use crate::effect::Duty;
use crate::message::*;
use types::{Instance, Kind, Slot, Turn};

impl Core {
    /// Whether one more repetition for a peer is within its rate.
    pub(crate) fn repeat_allowed(&mut self, from: Slot) -> bool {
        let (now, gamma) = (self.now.mono, self.config.params.gamma_ms);
        self.peer(from).is_some_and(|peer| peer.take_token(now, gamma))
    }

    /// The gate towards a peer opened: what it sent too early and we dropped is due again.
    pub(crate) fn gate_opened(&mut self, peer: Slot) {
        if self.is_up(peer) && self.peer_ref(peer).is_some_and(|state| state.need) {
            self.send_resume(peer);
        }
    }

    /// The first instance in which an answer by `peer` is missing, or that is decided and still open
    /// with it.
    pub(crate) fn first_outstanding(&self, peer: Slot) -> Option<Instance> {
        let state = self.peer_ref(peer)?;
        let old = state.reopened.iter().filter_map(|no| self.insts.get_key_value(no));
        let mut open = old.chain(self.insts.range(state.closed..=self.last_entered()));
        let first = open.find(|(no, inst)| {
            let mut found = false;
            self.each_duty(peer, inst, &mut |_, duty| {
                found |= match duty {
                    _ if **no < self.current => true,
                    // An idle sender may wait for as long as the turn's timer runs.
                    Duty::SenderTurn => {
                        inst.started > 0 || inst.turns.get(&0).is_some_and(|turn| turn.stage > 1)
                    }
                    Duty::Report => false,
                    _ => true,
                };
            });
            found
        });
        first.map(|(no, _)| *no)
    }

    /// Repeats our last message of every conversation in which the peer has to move; whether there
    /// was one.
    pub(crate) fn resend_outstanding(&mut self, peer: Slot) -> bool {
        let Some(closed) = self.peer_ref(peer).map(|state| state.closed) else { return false };
        let last = self.last_entered().min(Instance(closed.0.saturating_add(BULK_WINDOW)));
        let mut places: Vec<Instance> = self
            .peer_ref(peer)
            .map(|state| state.reopened.iter().copied().collect())
            .unwrap_or_default();
        places.extend(self.insts.range(closed..=last).map(|(no, _)| *no));
        places.extend(self.window().filter(|no| *no > last));
        let before = self.out.len();
        for no in places {
            self.resend_instance(peer, no);
        }
        self.out.len() > before
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
        let old = |core: &Self, turn: u32, kind| core.may_repeat(peer, &(no, Turn(turn), kind));
        for (turn, step) in steps {
            let kind = [Kind::Read, Kind::Agree, Kind::Write, Kind::ShowQuorum]
                .get(usize::from(step.saturating_sub(1)));
            if kind.is_some_and(|kind| old(self, turn, *kind))
                && let Some(message) = self.step_message(peer, no, turn, step)
            {
                self.send(peer, message);
            }
        }
        for (turn, stage) in answers {
            // READ may overtake a lost SET_TURN, and its leader waits for both.
            if turn > 0
                && old(self, turn, Kind::SetTurn)
                && let Some(core) = self.sign(no, turn, SetTurnStatement {})
            {
                self.send(peer, Message::SetTurn(SetTurn { core }));
            }
            match stage {
                1 if turn > 0 && old(self, turn, Kind::ReadAck) => {
                    self.send_read_ack(peer, no, turn)
                }
                2 if old(self, turn, Kind::AgreeAck) => self.send_agree_ack(peer, no, turn),
                3 if old(self, turn, Kind::WriteAck) => self.send_write_ack(peer, no, turn),
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
