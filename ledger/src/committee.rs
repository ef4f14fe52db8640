//! Who witnesses: the keys of `n` members of which at most `f` are Byzantine, and the quorum that follows.
//!
//! A committee is not a [`types::Roster`]: it has no turns and no sender apart from the voters, so
//! `n >= 3f + 1` is enough, and sampled broadcasts run at sizes that no state machine serves.

use types::{
    Epoch, GroupId, Header, Ident, Instance, Kind, PublicKey, Roster, Signature, SignedPayload,
    Slot, Turn,
};

/// Members of one committee.
pub const COMMITTEE_MAX: usize = 20_000;

/// Why keys are no committee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommitteeError {
    /// Too many faults for the size.
    #[error("{n} witnesses cannot tolerate {f} Byzantine ones: n must be at least 3f+1")]
    TooFew {
        /// Witnesses.
        n: usize,
        /// Faults.
        f: usize,
    },
    /// More than [`COMMITTEE_MAX`].
    #[error("a committee of {0} is larger than the limit of {COMMITTEE_MAX}")]
    TooMany(usize),
}

/// The members that witness a ledger's messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committee {
    group: GroupId,
    epoch: Epoch,
    keys: Vec<PublicKey>,
    idents: Vec<Ident>,
    f: usize,
}

impl Committee {
    /// The first identity of each member. Checks `n >= 3f + 1` and the limit on members.
    pub fn new(
        group: GroupId,
        epoch: Epoch,
        keys: Vec<PublicKey>,
        f: usize,
    ) -> Result<Self, CommitteeError> {
        let n = keys.len();
        if n > COMMITTEE_MAX {
            return Err(CommitteeError::TooMany(n));
        }
        if f > n || n < 3 * f + 1 {
            return Err(CommitteeError::TooFew { n, f });
        }
        Ok(Self { group, epoch, idents: vec![Ident(0); n], keys, f })
    }

    /// The members of a state machine, with the keys that act now. A slot keeps its number, so an
    /// expelled one still counts as one that never answers.
    pub fn of(roster: &Roster) -> Result<Self, CommitteeError> {
        let keys = roster.all().filter_map(|slot| roster.active_key(slot).copied()).collect();
        let mut made = Self::new(roster.group(), roster.epoch(), keys, roster.quorum().f())?;
        made.idents = roster
            .all()
            .filter_map(|slot| roster.member(slot))
            .map(|member| member.active)
            .collect();
        Ok(made)
    }

    /// The group.
    pub fn group(&self) -> GroupId {
        self.group
    }

    /// The roster version that the keys are from.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Members.
    pub fn n(&self) -> usize {
        self.keys.len()
    }

    /// Byzantine members tolerated.
    pub fn f(&self) -> usize {
        self.f
    }

    /// Every member, in order.
    pub fn all(&self) -> impl Iterator<Item = Slot> + use<> {
        (0..self.keys.len()).map(|index| Slot(index as u16))
    }

    /// A member's key.
    pub fn key(&self, slot: Slot) -> Option<&PublicKey> {
        self.keys.get(usize::from(slot.0))
    }

    /// The linked identity that acts for a member.
    pub fn ident(&self, slot: Slot) -> Option<Ident> {
        self.idents.get(usize::from(slot.0)).copied()
    }

    /// The header under which a member signs outside the log.
    pub fn header(&self, kind: Kind, slot: Slot) -> Header {
        let ident = self.ident(slot).unwrap_or_default();
        Header { kind, epoch: Epoch(0), inst: Instance(0), turn: Turn(0), slot, ident }
    }

    /// Whether `signature` is the member's, over `payload` and the header that it must have had.
    pub fn verify<T: SignedPayload>(&self, slot: Slot, payload: &T, signature: &Signature) -> bool {
        let Some(key) = self.key(slot) else { return false };
        let header = self.header(T::KIND, slot);
        key.verify(&self.group, &header, &payload.to_bytes(), signature).is_ok()
    }

    /// More than `(n + f) / 2`: two such sets share an honest member, and `n - f` reach it.
    pub fn quorum(&self) -> usize {
        (self.n() + self.f) / 2 + 1
    }
}

const _: () = assert!(COMMITTEE_MAX <= u16::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;
    use types::{Hash, SecretKey};

    #[test]
    #[allow(clippy::int_plus_one)] // written as in the thesis
    fn quorums_intersect_in_an_honest_member_and_stay_reachable() {
        let key = SecretKey::from_seed(&[1; 32]).public();
        for n in 1..200 {
            for f in 0..=(n - 1) / 3 {
                let keys = vec![key; n];
                let group = GroupId(Hash::of(b"g"));
                let committee = Committee::new(group, Epoch(0), keys, f).unwrap();
                assert!(2 * committee.quorum() >= n + f + 1, "{n} {f}");
                assert!(committee.quorum() <= n - f, "{n} {f}");
            }
        }
    }

    #[test]
    fn committee_below_3f_plus_1_is_refused() {
        let keys = vec![SecretKey::from_seed(&[1; 32]).public(); 3];
        let group = GroupId(Hash::of(b"g"));
        let made = Committee::new(group, Epoch(0), keys, 1);
        assert_eq!(made, Err(CommitteeError::TooFew { n: 3, f: 1 }));
    }
}
