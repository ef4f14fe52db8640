//! Statements of several members that together convince a third party (specification 6.1, 6.2, 8.1).
//!
//! Guarantee: `f + 1` distinct members of the epoch signed the same thing, hence an honest one did. Bounds: one
//! signature a member.

use crate::layout::layout;
use crate::request::Aid;
use crate::statement::NoEvidence;
use bart_rsm::message::Signers;
use bart_rsm::message::cert::Entry;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{
    Decode, DecodeError, Encode, Epoch, Hash, Header, Reader, Roster, Signature, Signed,
    SignedPayload, Slot, Stamp, Unverified, Verified, Writer,
};

/// The rosters of one machine, by epoch.
#[derive(Debug, Clone)]
pub struct Rosters {
    epochs: BTreeMap<Epoch, Arc<Roster>>,
    current: Arc<Roster>,
}

/// Epochs whose statements are still judged.
const EPOCHS_KEPT: usize = 16;

impl Rosters {
    /// Starts with one roster.
    pub fn new(roster: Arc<Roster>) -> Self {
        Self { epochs: [(roster.epoch(), Arc::clone(&roster))].into(), current: roster }
    }

    /// A later roster begins to hold. An older or foreign one changes nothing.
    pub fn push(&mut self, roster: Arc<Roster>) {
        if roster.group() != self.current.group() || roster.epoch() <= self.current.epoch() {
            return;
        }
        self.epochs.insert(roster.epoch(), Arc::clone(&roster));
        self.current = roster;
        while self.epochs.len() > EPOCHS_KEPT {
            self.epochs.pop_first();
        }
    }

    /// The roster that holds now.
    pub fn current(&self) -> &Arc<Roster> {
        &self.current
    }

    /// The roster of an epoch.
    pub fn at(&self, epoch: Epoch) -> Option<&Roster> {
        self.epochs.get(&epoch).map(|roster| &**roster)
    }

    /// Checks a statement that is signed for a place in the log: signed by the slot's active identity.
    pub fn placed<P: SignedPayload + Clone>(
        &self,
        signed: &Signed<P>,
    ) -> Option<Verified<Signed<P>>> {
        let roster = self.at(signed.header.epoch)?;
        let active = roster.member(signed.header.slot)?.active;
        (active == signed.header.ident).then_some(())?;
        Unverified::new(signed.clone()).verify(roster).ok()
    }

    /// Checks a statement that outlives epochs.
    pub fn outside<P: SignedPayload + Clone>(
        &self,
        signed: &Signed<P>,
    ) -> Option<Verified<Signed<P>>> {
        Unverified::new(signed.clone()).verify_outside_log(&self.current).ok()
    }
}

/// `f + 1` signatures over one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cert<P> {
    /// The roster of that time.
    pub epoch: Epoch,
    /// The place in the log for which it is signed.
    pub aid: Aid,
    /// What was said.
    pub payload: P,
    /// Who said it.
    pub signers: Signers<Signature>,
}

impl<P: SignedPayload + Clone> Cert<P> {
    /// A certificate of the first `f + 1` of these, if there are so many.
    pub fn collect(
        roster: &Roster,
        aid: Aid,
        payload: P,
        from: impl IntoIterator<Item = (Slot, Signature)>,
    ) -> Option<Self> {
        let need = roster.quorum().f() + 1;
        let parts: Vec<_> = from.into_iter().take(need).collect();
        let cert = Self { epoch: roster.epoch(), aid, payload, signers: Signers::new(parts) };
        (cert.signers.slots().len() == need).then_some(cert)
    }

    /// The header under which a member must have signed.
    fn header(&self, roster: &Roster, slot: Slot) -> Option<Header> {
        let ident = roster.member(slot)?.active;
        let (epoch, inst, turn) = (self.epoch, self.aid.inst, self.aid.turn());
        Some(Header { kind: P::KIND, epoch, inst, turn, slot, ident })
    }

    /// Whether exactly `f + 1` members of the roster signed it.
    pub fn verify(&self, roster: &Roster) -> bool {
        let need = roster.quorum().f() + 1;
        let bytes = self.payload.to_bytes();
        self.epoch == roster.epoch()
            && self.signers.slots().len() == need
            && self.signers.iter().count() == need
            && self.signers.iter().all(|(slot, signature)| {
                let key = roster.active_key(slot);
                let header = self.header(roster, slot);
                key.zip(header).is_some_and(|(key, header)| {
                    key.verify(&roster.group(), &header, &bytes, signature).is_ok()
                })
            })
    }

    /// A name for it.
    pub fn digest(&self) -> Hash
    where
        Self: Encode,
    {
        Hash::tagged("certificate of members", &self.to_bytes())
    }
}

impl<P: Encode> Encode for Cert<P> {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.epoch);
        out.put(&self.aid);
        out.put(&self.payload);
        out.put(&self.signers);
    }
}

impl<P: Decode> Decode for Cert<P> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            epoch: input.get()?,
            aid: input.get()?,
            payload: input.get()?,
            signers: input.get()?,
        })
    }
}

layout! {
    /// One NOEV without what all of them share.
    DenialEntry {
        /// When the signer's wait ended.
        stamp: Stamp,
        /// Over the NOEV.
        signature: Signature,
    }
}

impl Entry for DenialEntry {
    const BLANK: Self = Self { stamp: Stamp(0), signature: Signature([0; 64]) };
}

layout! {
    /// `f + 1` members waited in vain for an answer.
    DenialCert {
        /// The roster of that time.
        epoch: Epoch,
        /// The assignment.
        aid: Aid,
        /// Who was to answer.
        target: Slot,
        /// Who asked.
        requester: Slot,
        /// The name of the work.
        request: Hash,
        /// Who waited.
        signers: Signers<DenialEntry>,
    }
}

impl DenialCert {
    /// A certificate of the first `f + 1` of these denials of one assignment, if there are so many.
    pub fn collect<'a>(
        roster: &Roster,
        denials: impl IntoIterator<Item = &'a Signed<NoEvidence>>,
    ) -> Option<Self> {
        let need = roster.quorum().f() + 1;
        let denials: Vec<_> = denials.into_iter().take(need).collect();
        let first = denials.first()?;
        let NoEvidence { target, requester, request, .. } = first.payload;
        let entry = |one: &&Signed<NoEvidence>| {
            let entry = DenialEntry { stamp: one.payload.stamp, signature: one.signature };
            (one.header.slot, entry)
        };
        let signers = Signers::new(denials.iter().map(entry));
        let (epoch, aid) = (first.header.epoch, Aid::of(&first.header));
        let cert = Self { epoch, aid, target, requester, request, signers };
        (cert.signers.slots().len() == need).then_some(cert)
    }

    /// Whether exactly `f + 1` members, neither the target nor the requester, signed it.
    pub fn verify(&self, roster: &Roster) -> bool {
        let need = roster.quorum().f() + 1;
        let slots = self.signers.slots();
        self.epoch == roster.epoch()
            && slots.len() == need
            && self.signers.iter().count() == need
            && !slots.contains(self.target)
            && !slots.contains(self.requester)
            && self.signers.iter().all(|(slot, entry)| {
                roster.is_live(slot) && self.entry_verifies(roster, slot, entry)
            })
    }

    fn entry_verifies(&self, roster: &Roster, slot: Slot, entry: &DenialEntry) -> bool {
        let Some(member) = roster.member(slot) else { return false };
        let Some(key) = roster.active_key(slot) else { return false };
        let Self { target, requester, request, .. } = *self;
        let said = NoEvidence { target, requester, request, stamp: entry.stamp };
        let header = Header {
            kind: NoEvidence::KIND,
            epoch: self.epoch,
            inst: self.aid.inst,
            turn: self.aid.turn(),
            slot,
            ident: member.active,
        };
        key.verify(&roster.group(), &header, &said.to_bytes(), &entry.signature).is_ok()
    }
}
