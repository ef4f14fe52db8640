//! The sender's turn 0, idle pacing and WAKE (specification 3.6, 5.1, 5.3).

use crate::core::{Core, Outcome};
use crate::effect::Fault;
use crate::inst::AgreeStep;
use crate::message::*;
use crate::proposal::Proposal;
use std::sync::Arc;
use types::{Hash, Instance, Kind, Size, Slot, Stamp};

impl Core {
    /// Proposes where it is our turn: now, or when the idle pace is over; in an instance that was
    /// decided without us at once and empty, because its turn 0 is still owed.
    pub(crate) fn propose_if_due(&mut self) {
        if let Some((no, _)) = self.propose_at.filter(|(_, at)| self.proposal_is_due(*at)) {
            self.propose_at = None;
            self.propose(no);
        }
    }

    /// Signs VALUE and AGREE(0), once per instance.
    pub(crate) fn propose(&mut self, no: Instance) {
        if self.schedule.sender(no) != self.me
            || self.lead(no, 0).is_none_or(|lead| lead.agree.is_some())
        {
            return;
        }
        let open = self.insts.get(&no).is_some_and(|inst| !inst.is_decided());
        let room = if open { self.command_room() } else { 0 };
        let (orders, used) = self.take_orders(room);
        let (carried, entries) = match open {
            true => self.batch_for(room.saturating_sub(used)),
            false => Default::default(),
        };
        let first = carried.len();
        let waiting = entries.iter().map(|(_, command)| command.clone());
        let commands = carried.into_iter().chain(waiting).collect();
        let after = Stamp(self.log.stamp_of(self.me).0.saturating_add(1));
        let stamp = self.now.wall.max(after);
        let mut proposal = Proposal {
            untimely: self.untimely(no),
            closed_upto: self.closed_upto(),
            checkpoint: (self.checkpoint.last.inst, self.checkpoint.last.digest),
            orders,
            ..Proposal::plain(self.slots(no), stamp, commands)
        };
        self.config.rules.selfish().bend(self.me, &mut proposal);
        let body: Arc<[u8]> = self.proposal_bytes(no, &proposal).into();
        let stated = ValueStatement { body: Hash::of(&body), len: Size(body.len() as u64) };
        let Some(statement) = self.sign(no, 0, stated) else { return };
        let roster = &self.epoch(no).roster;
        let digest = value_digest(roster.group(), roster.epoch(), no, self.me, &stated);
        self.keep_value(no, digest, &Arc::new(Value { statement, body }));
        if !entries.is_empty() {
            self.batch.proposed(no, digest, first, entries);
        }
        let payload = AgreeStatement { value: digest, reads: Hash::ZERO };
        let Some(core) = self.sign(no, 0, payload) else { return };
        let cert = Arc::new(AgreeCert::blank(self.q(no)));
        if let Some(lead) = self.lead_mut(no, 0) {
            lead.agree = Some(AgreeStep { core, reads: None, cert });
        }
        self.touch(no);
    }

    /// Tells the others that we have commands, once per rotation, if the group idles.
    pub(crate) fn wake_others(&mut self) {
        let rotation = self.rotation();
        let again = self.woke.is_none_or(|at| self.current.0 >= at.0.saturating_add(rotation));
        if !again || self.pace(self.current) == 0 {
            return;
        }
        let no = self.current;
        let Some(core) = self.sign(no, 0, WakeStatement {}) else { return };
        self.woke = Some(no);
        for peer in self.others() {
            self.send(peer, Message::Wake(Wake { core: core.clone() }));
        }
        self.awake(no);
    }

    /// Without commands a WAKE of ours is over.
    pub(crate) fn clear_wake_if_idle(&mut self) {
        if self.batch.is_empty() && !self.has_orders() {
            self.woke = None;
        }
    }

    /// A WAKE from a peer: no idling for a rotation. At most one counts per peer and rotation.
    pub(crate) fn on_wake(&mut self, from: Slot, m: &Wake) -> Outcome {
        let no = self.current;
        let rotation = self.rotation();
        if m.core.header.inst.0.abs_diff(no.0) > rotation {
            return Outcome::Fault(Fault::Unexpected(Kind::Wake));
        }
        let woke = self.peer_ref(from).and_then(|peer| peer.woke);
        if woke.is_some_and(|at| no.0 < at.0.saturating_add(rotation)) {
            return Outcome::Done;
        }
        if !self.verifier.signed(from, &m.core) {
            return Outcome::Fault(Fault::BadSignature(Kind::Wake));
        }
        if let Some(peer) = self.peer(from) {
            peer.woke = Some(no);
        }
        self.note_wake(from, m.core.header.inst);
        self.awake(no);
        Outcome::Done
    }

    fn awake(&mut self, no: Instance) {
        let until = Instance(no.0.saturating_add(self.rotation()));
        self.awake_until = self.awake_until.max(until);
        self.clamp_turn_0();
    }
}
