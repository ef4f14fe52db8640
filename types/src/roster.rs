//! Who is in a group: slots, their linked identities, and what may act now.

use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::ids::{Epoch, GroupId, Ident, Slot};
use crate::limits::{IDENTITIES_MAX, MEMBERS_MAX};
use crate::quorum::{Mode, Quorum, QuorumError};
use crate::sign::PublicKey;

/// Whether a slot takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Scheduled and counted.
    Live,
    /// Not scheduled, still counted in n, f and q (specification 5.6).
    Suspended,
    /// Proven faulty or removed by the authority; not counted.
    Expelled,
}

/// One slot of the roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The slot's linked identities in order (paper section 7.2); at least one.
    pub identities: Vec<PublicKey>,
    /// The identity that may sign now.
    pub active: Ident,
    /// Whether the slot takes part.
    pub standing: Standing,
}

/// Why a list of members is no roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// The sizes do not fit.
    #[error(transparent)]
    Quorum(#[from] QuorumError),
    /// A slot without keys, with too many, or whose active identity is not among them.
    #[error("{0} has no valid active identity")]
    NoIdentity(Slot),
    /// Two identities share a key.
    #[error("{0} uses a key that is already in the roster")]
    DuplicateKey(Slot),
}

/// The members of one group in one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    group: GroupId,
    epoch: Epoch,
    quorum: Quorum,
    members: Vec<Member>,
}

impl Roster {
    /// Checks sizes and that no key appears twice.
    pub fn new(
        group: GroupId,
        epoch: Epoch,
        f: usize,
        mode: Mode,
        members: Vec<Member>,
    ) -> Result<Self, RosterError> {
        let expelled =
            members.iter().filter(|member| member.standing == Standing::Expelled).count();
        if members.len() > MEMBERS_MAX {
            return Err(QuorumError::TooMany { n: members.len(), max: MEMBERS_MAX }.into());
        }
        let quorum = Quorum::new(members.len() - expelled, f, mode)?;
        let mut keys = std::collections::BTreeSet::new();
        for (index, member) in members.iter().enumerate() {
            let slot = Slot(index as u16);
            let count = member.identities.len();
            if count > IDENTITIES_MAX || usize::from(member.active.0) >= count {
                return Err(RosterError::NoIdentity(slot));
            }
            if !member.identities.iter().all(|key| keys.insert(*key.as_bytes())) {
                return Err(RosterError::DuplicateKey(slot));
            }
        }
        Ok(Self { group, epoch, quorum, members })
    }

    /// The group.
    pub fn group(&self) -> GroupId {
        self.group
    }

    /// The version of this roster.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// n, f and q.
    pub fn quorum(&self) -> Quorum {
        self.quorum
    }

    /// Number of slots, expelled ones included: slots keep their numbers.
    pub fn slots(&self) -> usize {
        self.members.len()
    }

    /// All slots in order.
    pub fn all(&self) -> impl Iterator<Item = Slot> + '_ {
        (0..self.members.len()).map(|index| Slot(index as u16))
    }

    /// Slots that are scheduled and addressed, in order.
    pub fn live(&self) -> impl Iterator<Item = Slot> + '_ {
        self.all().filter(|slot| self.is_live(*slot))
    }

    /// A member, if the slot exists.
    pub fn member(&self, slot: Slot) -> Option<&Member> {
        self.members.get(usize::from(slot.0))
    }

    /// Whether the slot exists and is live.
    pub fn is_live(&self, slot: Slot) -> bool {
        self.member(slot).is_some_and(|member| member.standing == Standing::Live)
    }

    /// The key that may sign for a slot now.
    pub fn active_key(&self, slot: Slot) -> Option<&PublicKey> {
        let member = self.member(slot)?;
        member.identities.get(usize::from(member.active.0))
    }

    /// The key of one linked identity.
    pub fn identity_key(&self, slot: Slot, ident: Ident) -> Option<&PublicKey> {
        self.member(slot)?.identities.get(usize::from(ident.0))
    }

    /// The slot whose active key this is.
    pub fn slot_of(&self, key: &PublicKey) -> Option<Slot> {
        self.all().find(|slot| self.active_key(*slot) == Some(key))
    }
}

impl Encode for Roster {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.group);
        out.put(&self.epoch);
        out.u16(self.quorum.f() as u16);
        out.u8(match self.quorum.mode() {
            Mode::Async => 0,
            Mode::QuasiSync => 1,
        });
        out.list(&self.members);
    }
}

impl Decode for Roster {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (group, epoch) = (input.get()?, input.get()?);
        let f = usize::from(input.u16()?);
        let mode = match input.u8()? {
            0 => Mode::Async,
            1 => Mode::QuasiSync,
            _ => return Err(DecodeError::Malformed("quorum mode")),
        };
        let members = input.list("members", MEMBERS_MAX)?;
        Self::new(group, epoch, f, mode, members).map_err(|_| DecodeError::Malformed("roster"))
    }
}

impl Encode for Member {
    fn encode(&self, out: &mut Writer) {
        out.list(&self.identities);
        out.put(&self.active);
        out.u8(match self.standing {
            Standing::Live => 0,
            Standing::Suspended => 1,
            Standing::Expelled => 2,
        });
    }
}

impl Decode for Member {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let identities = input.list("identities", IDENTITIES_MAX)?;
        let active = input.get()?;
        let standing = match input.u8()? {
            0 => Standing::Live,
            1 => Standing::Suspended,
            2 => Standing::Expelled,
            _ => return Err(DecodeError::Malformed("standing")),
        };
        Ok(Self { identities, active, standing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hash;
    use crate::sign::SecretKey;

    fn member(seed: u8) -> Member {
        let identities = vec![SecretKey::from_seed(&[seed; 32]).public()];
        Member { identities, active: Ident(0), standing: Standing::Live }
    }

    fn roster(members: Vec<Member>) -> Result<Roster, RosterError> {
        Roster::new(GroupId(Hash::of(b"g")), Epoch(0), 1, Mode::QuasiSync, members)
    }

    #[test]
    fn roster_with_one_key_twice_is_refused() {
        let mut members: Vec<_> = (1..=5).map(member).collect();
        members[4] = member(1);
        assert_eq!(roster(members), Err(RosterError::DuplicateKey(Slot(4))));
    }

    #[test]
    fn roster_with_four_members_and_f_1_is_refused() {
        let members = (1..=4).map(member).collect();
        assert!(matches!(roster(members), Err(RosterError::Quorum(_))));
    }

    #[test]
    fn slot_of_finds_active_keys_only() {
        let mut members: Vec<_> = (1..=5).map(member).collect();
        members[2].identities.push(SecretKey::from_seed(&[9; 32]).public());
        let roster = roster(members).unwrap();
        assert_eq!(roster.slot_of(&SecretKey::from_seed(&[3; 32]).public()), Some(Slot(2)));
        assert_eq!(roster.slot_of(&SecretKey::from_seed(&[9; 32]).public()), None);
    }
}
