//! Who may debit an account: the owner map `mu` of the thesis.

use crate::transfer::OWNERS_MAX;
use std::collections::BTreeSet;
use types::{Decode, DecodeError, Encode, Reader, Slot, Writer};

/// The owner or owners of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// One member.
    One(Slot),
    /// Several, who order their transfers by a state machine of their own.
    Shared {
        /// The members.
        owners: BTreeSet<Slot>,
        /// How many of them may be Byzantine before the account may block.
        f: u16,
    },
}

impl Owner {
    /// Whether this member may debit the account.
    pub fn includes(&self, slot: Slot) -> bool {
        match self {
            Self::One(owner) => *owner == slot,
            Self::Shared { owners, .. } => owners.contains(&slot),
        }
    }

    /// Signatures that make a transfer the owners': 1, or more than `(k + f) / 2`.
    pub fn quorum(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Shared { owners, f } => (owners.len() + usize::from(*f)) / 2 + 1,
        }
    }

    /// Every owner, in order.
    pub fn all(&self) -> Vec<Slot> {
        match self {
            Self::One(owner) => vec![*owner],
            Self::Shared { owners, .. } => owners.iter().copied().collect(),
        }
    }

    /// Whether the numbers fit: `k >= 3f + 1` and at most [`OWNERS_MAX`] owners.
    pub fn is_sound(&self) -> bool {
        match self {
            Self::One(_) => true,
            Self::Shared { owners, f } => {
                owners.len() <= OWNERS_MAX && owners.len() > 3 * usize::from(*f)
            }
        }
    }
}

impl Encode for Owner {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::One(slot) => {
                out.u8(0);
                out.put(slot);
            }
            Self::Shared { owners, f } => {
                out.u8(1);
                out.u16(*f);
                out.list(&owners.iter().copied().collect::<Vec<_>>());
            }
        }
    }
}

impl Decode for Owner {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => Ok(Self::One(input.get()?)),
            1 => {
                let f = input.u16()?;
                let list: Vec<Slot> = input.list("owners", OWNERS_MAX)?;
                if !list.is_sorted_by(|a, b| a < b) {
                    return Err(DecodeError::Malformed("owners"));
                }
                let made = Self::Shared { owners: list.into_iter().collect(), f };
                if made.is_sound() { Ok(made) } else { Err(DecodeError::Malformed("owners")) }
            }
            _ => Err(DecodeError::Malformed("owner tag")),
        }
    }
}
