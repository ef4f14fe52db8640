//! L4's second half, A4, and the steps as they leave (specification 3.6; T10, T16).

use crate::core::{Core, Outcome};
use crate::effect::Fault;
use crate::message::*;
use crate::untimely::Start;
use std::sync::Arc;
use types::{Instance, Kind, Slot, Turn};

impl Core {
    /// L4: an all-good quorum if there is one; any quorum once `n - f - 1` answered.
    pub(crate) fn lead_show(&mut self, no: Instance, turn: u32) {
        let q = self.q;
        let enough = self.config.roster.quorum().enough_write_acks();
        let Some(lead) = self.lead(no, turn) else { return };
        let Some((write, _)) = &lead.write else { return };
        if lead.show.is_some() {
            return;
        }
        let votes = &lead.write_acks;
        let good =
            |(_, (entry, _)): &(&Slot, &(WriteEntry, Arc<Pol>))| entry.max_turn == Turn(turn);
        let chosen: Vec<_> = if votes.iter().filter(good).count() >= q {
            votes.iter().filter(good).take(q).collect()
        } else if votes.len() >= enough.max(q) {
            votes.iter().take(q).collect()
        } else {
            return;
        };
        let latest = chosen.iter().map(|(_, vote)| *vote).max_by_key(|(entry, _)| entry.max_turn);
        let pol = match latest {
            Some((entry, pol)) if entry.max_turn > Turn(turn) => Arc::clone(pol),
            _ => Arc::new(Pol::null(q)),
        };
        let signers = Signers::new(chosen.iter().map(|(slot, (entry, _))| (**slot, *entry)));
        let acks = Arc::new(WriteQuorum { write: write.digest(), signers });
        let value = write.payload.value;
        let payload = ShowQuorumStatement { value, acks: acks.digest() };
        let Some(core) = self.sign(no, turn, payload) else { return };
        if let Some(lead) = self.lead_mut(no, turn) {
            lead.show = Some((core, Arc::clone(&acks), pol));
            lead.write_acks.clear();
        }
        self.touch(no);
        match (turn, acks.decision(Turn(turn), value)) {
            (0, Some(cert)) => self.decide(no, Arc::new(cert)),
            // The sender waits for a report, a catch-up, or nothing else.
            (0, None) => {}
            _ => self.accept_show(no, turn, value, &acks),
        }
    }

    /// A4.
    pub(crate) fn on_show_quorum(&mut self, from: Slot, m: &ShowQuorum) -> Outcome {
        let (no, turn) = (m.core.header.inst, m.core.header.turn.0);
        if !self.follows(from, no, turn) {
            return Outcome::Fault(Fault::Unexpected(Kind::ShowQuorum));
        }
        match self.stage(no, turn).unwrap_or(0) {
            4 => return Outcome::Done,
            3 => {}
            _ => return Outcome::Park,
        }
        let value = m.core.payload.value;
        let agreed = self.insts.get(&no).and_then(|inst| inst.agreed(turn));
        if agreed.map(|(value, _)| value) != Some(value) {
            return Outcome::Fault(Fault::Unexpected(Kind::ShowQuorum));
        }
        if m.acks.digest() != m.core.payload.acks {
            return Outcome::Fault(Fault::Malformed(Kind::ShowQuorum, "write quorum digest"));
        }
        if !self.verifier.signed(from, &m.core) {
            return Outcome::Fault(Fault::BadSignature(Kind::ShowQuorum));
        }
        let place = self.place(no);
        if !self.verifier.writes(place, Turn(turn), value, &m.acks) {
            return Outcome::Fault(Fault::Malformed(Kind::ShowQuorum, "write quorum"));
        }
        let latest = m.acks.max_turn();
        let shown = match latest > Turn(turn) {
            true => m.pol.turn == latest && self.verifier.pol(place, &m.pol),
            false => m.pol.is_null(self.q),
        };
        if !shown {
            return Outcome::Fault(Fault::Malformed(Kind::ShowQuorum, "proof of the latest turn"));
        }
        self.judge_outcome(from, no, turn);
        self.accept_show(no, turn, value, &m.acks);
        Outcome::Done
    }

    /// The turn is over: decided, or a later turn is proven and the next one starts.
    fn accept_show(&mut self, no: Instance, turn: u32, value: types::Hash, acks: &WriteQuorum) {
        if let Some(state) = self.insts.get_mut(&no).and_then(|inst| inst.turns.get_mut(&turn)) {
            state.stage = 4;
        }
        self.touch(no);
        match acks.decision(Turn(turn), value) {
            Some(cert) => self.decide(no, Arc::new(cert)),
            None => {
                // Our own start of the next turn comes first, so that it counts as ours (U1).
                if self.insts.get(&no).is_some_and(|inst| !inst.is_decided()) {
                    self.start_upto(no, turn + 1, Start::Own);
                }
                self.learn_proof(no, acks.max_turn().0);
            }
        }
    }

    /// Sends one step of a conversation that we lead. Steps are copies of one artefact.
    pub(crate) fn send_step(&mut self, to: Slot, no: Instance, turn: u32, step: u8) {
        let Some(message) = self.step_message(to, no, turn, step) else { return };
        if let Some(lead) = self.lead_mut(no, turn) {
            lead.mark_sent(to, step);
        }
        let now = self.now.mono;
        if let Some(peer) = self.peer(to).filter(|_| step < 4) {
            peer.latency.sent((no, turn, step), now);
        }
        self.send(to, message);
    }

    /// A formed step as it goes to `to`.
    pub(crate) fn step_message(
        &self,
        to: Slot,
        no: Instance,
        turn: u32,
        step: u8,
    ) -> Option<Message> {
        let inst = self.insts.get(&no)?;
        let lead = inst.leads.get(&turn)?;
        Some(match step {
            1 => {
                let (core, pol) = lead.read.clone()?;
                Message::Read(Read { core, pol })
            }
            2 => {
                let agree = lead.agree.as_ref()?;
                let core = agree.core.clone();
                let value = inst.values.get(&core.payload.value);
                let Some(reads) = &agree.reads else {
                    return Some(Message::Agree(Agree { core, value: Arc::clone(value?) }));
                };
                let key = self.pad_key(Kind::Agree, no, turn, to);
                let body: &[u8] = value.map_or(&[], |value| &value.body);
                Message::AgreeLater(AgreeLater {
                    reads: Arc::clone(reads),
                    cert: Arc::clone(&agree.cert),
                    statement: value.map(|value| value.statement.clone()),
                    body: Padded::new(body, self.config.params.v_max, &key),
                    core,
                })
            }
            3 => {
                let (core, cert) = lead.write.clone()?;
                Message::Write(Write { core, cert })
            }
            4 => {
                let (core, acks, pol) = lead.show.clone()?;
                Message::ShowQuorum(ShowQuorum { core, acks, pol })
            }
            _ => return None,
        })
    }
}
