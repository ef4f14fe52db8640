//! PENANCE: what a decided proposal calls untimely pays with bytes (specification 3.8, O6, P2, C2; paper 5.1.4,
//! figure 12 lines 167 to 172).
//!
//! Assumes: the fines of an instance are those of its decided proposal, equal at all members.
//! Guarantees: (1) a fined member owes every other live non-sender `count * late_fee` bytes, once; the sender neither
//! pays nor receives, so it gains nothing from the fines that it publishes; (2) a shorter, copied or repeated pad fills
//! nothing; (3) what a broken link lost is paid again when the peer's frontier asks for it, at the rate of repetitions.
//! Bounds: `U_MAX` units a proposal and slot, so one message fits into a control frame.

use crate::core::{Core, Outcome};
use crate::costs::Costs;
use crate::effect::Fault;
use crate::inst::Inst;
use crate::message::*;
use types::limits::UNTIMELY_MAX;
use types::{Instance, Kind, Slot, Turn};

impl Costs {
    /// Bytes of the largest PENANCE.
    pub(crate) fn penance_max(&self) -> usize {
        self.sizes.penance + usize::from(UNTIMELY_MAX - 1) * self.late_fee
    }
}

impl Inst {
    /// Takes the fines out of the decided proposal.
    pub(crate) fn learn_fines(&mut self) {
        let fines = self.decided_proposal().map(|proposal| proposal.untimely).unwrap_or_default();
        self.fines = if fines.iter().all(|units| *units == 0) { Vec::new() } else { fines };
    }

    /// Units that the decided proposal imposes on a slot; none on the sender, and none before the decision.
    pub(crate) fn fine(&self, slot: Slot) -> u8 {
        let fined = self.is_decided() && slot != self.sender;
        self.fines.get(usize::from(slot.0)).copied().filter(|_| fined).unwrap_or(0)
    }

    pub(crate) fn owes_penance(&self, slot: Slot) -> bool {
        self.fine(slot) > 0
    }
}

impl Core {
    /// Pays one peer.
    pub(crate) fn send_penance(&mut self, to: Slot, no: Instance) {
        let Some(inst) = self.insts.get_mut(&no) else { return };
        let count = inst.fine(self.me);
        inst.penance_paid_to.insert(to);
        inst.penance_sent.insert(to);
        let payload = PenanceStatement { count: Turn(u32::from(count)) };
        let Some(core) = self.sign(no, 0, payload) else { return };
        let mut pad = vec![0; usize::from(count) * self.costs.late_fee];
        self.pad_key(Kind::Penance, no, 0, to).fill(&mut pad);
        self.send(to, Message::Penance(Penance { core, pad: pad.into() }));
    }

    /// P2. Every pad is recomputed in full: a penance is rare, and a sampled one could be cheaper to make.
    pub(crate) fn on_penance(&mut self, from: Slot, m: &Penance) -> Outcome {
        let (no, kind) = (m.core.header.inst, Kind::Penance);
        let Some(inst) = self.insts.get(&no) else { return Outcome::Park };
        if inst.sender == self.me || from == inst.sender {
            return Outcome::Fault(Fault::Unexpected(kind));
        }
        if !inst.is_decided() {
            return Outcome::Park;
        }
        let count = inst.fine(from);
        if count == 0 {
            return Outcome::Fault(Fault::Unexpected(kind));
        }
        if inst.penance_from.contains(from) {
            return Outcome::Done;
        }
        if m.core.header.turn != Turn(0) || m.core.payload.count != Turn(u32::from(count)) {
            return Outcome::Fault(Fault::Malformed(kind, "count"));
        }
        if m.pad.len() != usize::from(count) * self.costs.late_fee {
            return Outcome::Fault(Fault::Malformed(kind, "length"));
        }
        if !self.verifier.signed(from, &m.core) {
            return Outcome::Fault(Fault::BadSignature(kind));
        }
        let mut pad = vec![0; m.pad.len()];
        PadKey { from, ..self.pad_key(kind, no, 0, self.me) }.fill(&mut pad);
        if *m.pad != *pad {
            return Outcome::Fault(Fault::Malformed(kind, "pad"));
        }
        if let Some(inst) = self.insts.get_mut(&no) {
            inst.penance_from.insert(from);
        }
        Outcome::Done
    }
}
