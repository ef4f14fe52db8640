//! The only way to one of our signatures on lane W, and the clock in them (specification 5.7).
//!
//! Guarantees: (1) for one kind and place at most one digest is signed, across restarts too: what is signed stands in
//! a record that is durable before it leaves; (2) stamps increase strictly, across restarts too, because a mark above
//! all of them is durable first. A second digest for one place is refused. Bounds: digests of what is still kept.

use crate::request::{Aid, outside};
use std::collections::BTreeMap;
use types::{
    Epoch, GroupId, Hash, Header, Ident, Kind, SecretKey, Signed, SignedPayload, Slot, Stamp,
};

/// How far the saved mark runs ahead of the stamps.
const GAP_MS: u64 = 10_000;

/// For what a statement is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// An assignment, a vow or an instance.
    At(Aid),
    /// A request, outside the log.
    Of(Hash),
}

/// Signs once.
#[derive(Debug, Clone)]
pub(crate) struct Signer {
    key: SecretKey,
    group: GroupId,
    slot: Slot,
    ident: Ident,
    digests: BTreeMap<(Kind, Place), Hash>,
    next: u64,
    mark: u64,
}

impl Signer {
    pub(crate) fn new(key: SecretKey, group: GroupId, slot: Slot, ident: Ident) -> Self {
        Self { key, group, slot, ident, digests: BTreeMap::new(), next: 0, mark: 0 }
    }

    /// The next stamp, and whether the mark has moved and must be saved.
    pub(crate) fn stamp(&mut self, wall: Stamp) -> (Stamp, bool) {
        let stamp = self.next.max(wall.0);
        self.next = stamp.saturating_add(1);
        let moved = stamp >= self.mark;
        if moved {
            self.mark = stamp.saturating_add(GAP_MS);
        }
        (Stamp(stamp), moved)
    }

    pub(crate) fn mark(&self) -> Stamp {
        Stamp(self.mark)
    }

    pub(crate) fn restore_mark(&mut self, mark: Stamp) {
        self.mark = mark.0;
        self.next = mark.0;
    }

    /// Signs for a place in the log.
    pub(crate) fn at<P: SignedPayload>(
        &mut self,
        epoch: Epoch,
        aid: Aid,
        payload: P,
    ) -> Option<Signed<P>> {
        let (inst, turn, slot, ident) = (aid.inst, aid.turn(), self.slot, self.ident);
        let header = Header { kind: P::KIND, epoch, inst, turn, slot, ident };
        self.once(Place::At(aid), header, payload)
    }

    /// Signs outside the log, about a request.
    pub(crate) fn of<P: SignedPayload>(&mut self, request: Hash, payload: P) -> Option<Signed<P>> {
        let header = outside(P::KIND, self.slot, self.ident);
        self.once(Place::Of(request), header, payload)
    }

    fn once<P: SignedPayload>(
        &mut self,
        place: Place,
        header: Header,
        payload: P,
    ) -> Option<Signed<P>> {
        let signed = Signed::new(&self.key, &self.group, header, payload).into_inner();
        let digest = signed.digest();
        let known = *self.digests.entry((P::KIND, place)).or_insert(digest);
        (known == digest).then_some(signed)
    }

    /// Something that we signed comes back from its record.
    pub(crate) fn remember<P: SignedPayload>(&mut self, signed: &Signed<P>, place: Place) {
        if (signed.header.slot, signed.header.ident) == (self.slot, self.ident) {
            self.digests.insert((P::KIND, place), signed.digest());
        }
    }

    /// What stands in a record that is dropped need not be remembered: its place is never signed for again.
    pub(crate) fn forget(&mut self, place: Place) {
        self.digests.retain(|(_, kept), _| *kept != place);
    }
}
