//! Checks of single objects against a roster: group, epoch, key, signature (specification 8.1).
//!
//! The vectors are checked by the very code that an acceptor uses, so a proof cannot demand more
//! of a member than the protocol does.

use super::{Pom, PomError};
use crate::config::Rules;
use crate::epoch::Schedule;
use crate::message::{Value, ValueStatement, value_digest};
use crate::verify::{Place, Verifier};
use std::sync::Arc;
use types::{Hash, Header, Ident, Instance, Roster, Signed, SignedPayload, Slot, Turn};

/// Judges proofs; remembers signatures that it has checked.
#[derive(Debug)]
pub struct Judge {
    schedule: Schedule,
    pub(super) verifier: Verifier,
    accused: (Slot, Ident),
}

impl Judge {
    /// A judge with the founding roster of a group. Objects of later epochs are refused by their epoch.
    pub fn new(roster: &Roster) -> Self {
        Self::with(roster, Rules::default())
    }

    /// As [`Judge::new`]; signatures that this thread has verified before count as verified.
    #[cfg(feature = "broken-rules")]
    pub fn sharing_verdicts(roster: &Roster) -> Self {
        Self::with(roster, Rules::default().with_shared_verdicts())
    }

    fn with(roster: &Roster, rules: Rules) -> Self {
        let roster = Arc::new(roster.clone());
        let schedule = Schedule::new(&roster);
        Self::knowing(schedule, rules)
    }

    /// A judge that knows every epoch.
    pub(crate) fn knowing(schedule: Schedule, rules: Rules) -> Self {
        let verifier = Verifier::new(schedule.clone(), rules);
        Self { schedule, verifier, accused: (Slot(0), Ident(0)) }
    }

    /// Learns of the epoch after the newest one that it knows; whether it was that.
    pub(super) fn learn_epoch(&mut self, first: Instance, roster: &Arc<Roster>) -> bool {
        let learnt = self.schedule.learn(first, roster);
        if learnt {
            self.verifier.follow(&self.schedule);
        }
        learnt
    }

    /// The roster of an instance.
    pub(super) fn roster(&self, inst: Instance) -> &Roster {
        &self.schedule.at(inst).roster
    }

    /// Group and epoch fit the roster, and the accused could sign.
    pub(super) fn check_envelope(&mut self, pom: &Pom) -> Result<(), PomError> {
        let roster = self.roster(pom.evidence.header().inst);
        let (group, epoch) = (roster.group(), roster.epoch());
        if pom.group != group {
            return Err(PomError::OtherGroup { pom: pom.group, roster: group });
        }
        if pom.epoch != epoch {
            return Err(PomError::OtherEpoch { pom: pom.epoch, roster: epoch });
        }
        let (slot, ident) = (pom.accused, pom.ident);
        let active = roster.member(slot).map(|member| member.active);
        if active != Some(ident) {
            return Err(PomError::UnknownSigner { slot, ident });
        }
        self.accused = (slot, ident);
        Ok(())
    }

    /// The statement is the accused's.
    pub(super) fn own<P: SignedPayload>(&mut self, signed: &Signed<P>) -> Result<(), PomError> {
        let Header { slot, ident, .. } = signed.header;
        if (slot, ident) != self.accused {
            return Err(PomError::OtherSigner(P::KIND));
        }
        self.genuine(signed)
    }

    /// The statement is that of the member that it names.
    pub(super) fn genuine<P: SignedPayload>(&mut self, signed: &Signed<P>) -> Result<(), PomError> {
        let Header { slot, ident, epoch, kind, inst, .. } = signed.header;
        let roster = self.roster(inst);
        if epoch != roster.epoch() {
            return Err(PomError::ObjectEpoch(P::KIND));
        }
        let active = roster.member(slot).map(|member| member.active);
        if active != Some(ident) || kind != P::KIND {
            return Err(PomError::UnknownSigner { slot, ident });
        }
        match self.verifier.signed(slot, signed) {
            true => Ok(()),
            false => Err(PomError::BadSignature { slot, kind: P::KIND }),
        }
    }

    /// A proposal is the accused's, with the body that its statement names.
    pub(super) fn own_value(&mut self, value: &Value) -> Result<(), PomError> {
        self.own(&value.statement)?;
        self.check_body(value)
    }

    /// The body is the one that the statement names.
    pub(super) fn check_body(&self, value: &Value) -> Result<(), PomError> {
        match value.statement.payload.body == Hash::of(&value.body) {
            true => Ok(()),
            false => Err(PomError::OtherAttachment("the body of the proposal")),
        }
    }

    /// How an outcome with this statement is named in AGREE and all that follows.
    pub(super) fn value_digest(&self, statement: &Signed<ValueStatement>) -> Hash {
        let Header { inst, slot, .. } = statement.header;
        let (group, epoch) = (self.roster(inst).group(), self.roster(inst).epoch());
        value_digest(group, epoch, inst, slot, &statement.payload)
    }

    /// The digest of NULL in an instance.
    pub(super) fn null(&self, inst: Instance) -> Hash {
        let (group, epoch) = (self.roster(inst).group(), self.roster(inst).epoch());
        crate::message::null_digest(group, epoch, inst, self.sender(inst))
    }

    pub(super) fn place(&self, inst: Instance) -> Place {
        Place { inst, sender: self.sender(inst) }
    }

    pub(super) fn sender(&self, inst: Instance) -> Slot {
        self.schedule.sender(inst)
    }

    pub(super) fn leader(&self, inst: Instance, turn: Turn) -> Slot {
        self.schedule.leader(inst, turn.0)
    }

    /// Entries of a quorum.
    pub(super) fn q(&self, inst: Instance) -> usize {
        self.schedule.quorum(inst).size()
    }

    /// Slots of the roster: the length of the vectors in a proposal.
    pub(super) fn slots(&self, inst: Instance) -> usize {
        self.roster(inst).slots()
    }
}
