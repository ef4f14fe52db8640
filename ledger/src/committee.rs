//! Who witnesses: the keys of `n` members of which at most `f` are Byzantine, and the quorum that follows.
//!
//! A committee is not a [`types::Roster`]: it has no turns and no sender apart from the voters, so
//! `n >= 3f + 1` is enough, and sampled broadcasts run at sizes that no state machine serves.
//!
//! A member has linked identities (paper section 7.2) and acts under one of them. What it signed under an earlier one
//! stays valid in certificates, or a certificate would lose its force when a witness comes back under the next
//! identity; a *new* statement is taken under the acting identity only.
//! Assumes: a member that lost its records, and so comes back under the next identity, counts among the `f`
//! Byzantine ones for each place at which it had echoed: it may echo again there, and nobody can convict it.

use types::{
    Decode, DecodeError, Encode, Epoch, GroupId, Header, Ident, Instance, Kind, PublicKey, Reader,
    Roster, SecretKey, Signature, SignedPayload, Slot, Turn, Writer,
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
    /// The identities of each member, in order, up to the one that acts.
    identities: Vec<Vec<PublicKey>>,
    f: usize,
}

/// A signature on a statement that a reader can put together, and who made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// The member.
    pub slot: Slot,
    /// Under which of its identities.
    pub ident: Ident,
    /// Over the statement and [`Committee::header`] with this identity.
    pub signature: Signature,
}

impl Committee {
    /// Members with one identity each. Checks `n >= 3f + 1` and the limit on members.
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
        let identities = keys.into_iter().map(|key| vec![key]).collect();
        Ok(Self { group, epoch, identities, f })
    }

    /// The members of a state machine, with the keys that act now. A slot keeps its number, so an
    /// expelled one still counts as one that never answers.
    pub fn of(roster: &Roster) -> Result<Self, CommitteeError> {
        let keys = roster.all().filter_map(|slot| roster.active_key(slot).copied()).collect();
        let mut made = Self::new(roster.group(), roster.epoch(), keys, roster.quorum().f())?;
        let members = roster.all().filter_map(|slot| roster.member(slot));
        let acted =
            members.map(|member| member.identities[..=usize::from(member.active.0)].to_vec());
        made.identities = acted.collect();
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
        self.identities.len()
    }

    /// Byzantine members tolerated.
    pub fn f(&self) -> usize {
        self.f
    }

    /// Every member, in order.
    pub fn all(&self) -> impl Iterator<Item = Slot> + use<> {
        (0..self.identities.len()).map(|index| Slot(index as u16))
    }

    /// The key with which a member acts.
    pub fn key(&self, slot: Slot) -> Option<&PublicKey> {
        self.identities.get(usize::from(slot.0))?.last()
    }

    /// The linked identity that acts for a member.
    pub fn ident(&self, slot: Slot) -> Option<Ident> {
        let acted = self.identities.get(usize::from(slot.0))?;
        Some(Ident(acted.len() as u16 - 1))
    }

    /// The header under which a member signs outside the log.
    pub fn header(&self, kind: Kind, slot: Slot) -> Header {
        self.header_of(kind, slot, self.ident(slot).unwrap_or_default())
    }

    /// The header under which one of its identities signs.
    pub fn header_of(&self, kind: Kind, slot: Slot, ident: Ident) -> Header {
        Header { kind, epoch: Epoch(0), inst: Instance(0), turn: Turn(0), slot, ident }
    }

    /// A member's seal on a statement, under the identity that acts.
    pub fn seal<T: SignedPayload>(&self, key: &SecretKey, slot: Slot, payload: &T) -> Seal {
        let header = self.header(T::KIND, slot);
        let signature = key.sign(&self.group, &header, &payload.to_bytes());
        Seal { slot, ident: header.ident, signature }
    }

    /// Whether a seal is on `payload`, by an identity that acts for its member or did.
    pub fn verify<T: SignedPayload>(&self, payload: &T, seal: &Seal) -> bool {
        let acted = self.identities.get(usize::from(seal.slot.0));
        let Some(key) = acted.and_then(|acted| acted.get(usize::from(seal.ident.0))) else {
            return false;
        };
        let header = self.header_of(T::KIND, seal.slot, seal.ident);
        key.verify(&self.group, &header, &payload.to_bytes(), &seal.signature).is_ok()
    }

    /// Whether a seal is of the identity that acts now.
    pub fn acts(&self, seal: &Seal) -> bool {
        self.ident(seal.slot) == Some(seal.ident)
    }

    /// More than `(n + f) / 2`: two such sets share an honest member, and `n - f` reach it.
    pub fn quorum(&self) -> usize {
        (self.n() + self.f) / 2 + 1
    }
}

impl Encode for Seal {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.slot);
        out.put(&self.ident);
        out.put(&self.signature);
    }
}

impl Decode for Seal {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { slot: input.get()?, ident: input.get()?, signature: input.get()? })
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
