//! Orders: what the state machine itself executes, beside the application's commands (specification 5.1, 5.6,
//! 8.3).
//!
//! | order | who may propose it | effect |
//! | --- | --- | --- |
//! | a proof of misbehavior | anybody | whoever it convicts is expelled |
//! | a reform signed by the group's authority | anybody | a member is evicted, or taken back |
//!
//! Orders have their own field in a proposal, so that the application never sees one and no command of
//! its can be taken for one. Any member may carry any order: the accused cannot keep a proof out.
//!
//! Guarantees: 1. decoding is total and bounded; 2. a reform is executed at most once, and not after a
//! later one. Bounds: [`ORDERS_MAX`] a proposal.

use crate::pom::{POM_LEN_MAX, Pom};
use types::{
    Decode, DecodeError, Encode, Epoch, GroupId, Hash, Header, Ident, Instance, Kind, PublicKey,
    Reader, SecretKey, Signed, SignedPayload, Slot, Stamp, Turn, Writer,
};

/// Orders in one proposal.
pub const ORDERS_MAX: usize = 16;

/// What the authority changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Takes a member out: it is expelled, and n and f follow.
    Evict(Slot),
    /// Takes a member back that was evicted, expelled or suspended.
    Reinstate(Slot),
}

impl Change {
    /// Whom it is about.
    pub fn slot(self) -> Slot {
        match self {
            Self::Evict(slot) | Self::Reinstate(slot) => slot,
        }
    }
}

/// The authority's word about who takes part. Signed with the key that founded the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reform {
    /// The authority's clock, above that of its earlier reforms: an older one is not executed any more.
    pub stamp: Stamp,
    /// What changes.
    pub change: Change,
}

impl Reform {
    /// Signs a reform for a group.
    pub fn sign(self, group: &GroupId, authority: &SecretKey) -> Signed<Self> {
        Signed::new(authority, group, header(), self).into_inner()
    }

    /// Whether the authority of a group signed it.
    pub fn is_genuine(signed: &Signed<Self>, group: &GroupId, authority: &PublicKey) -> bool {
        let payload = signed.payload.to_bytes();
        signed.header == header()
            && authority.verify(group, &signed.header, &payload, &signed.signature).is_ok()
    }
}

/// The authority has no slot, and stands outside the log.
fn header() -> Header {
    let (kind, epoch, inst, turn) = (Kind::Reform, Epoch(0), Instance(0), Turn(0));
    Header { kind, epoch, inst, turn, slot: Slot(u16::MAX), ident: Ident(0) }
}

/// One order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// What convicts a member.
    Proof(Box<Pom>),
    /// The authority's word.
    Reform(Signed<Reform>),
}

impl Order {
    /// Reads an order; nothing in it is believed before it is executed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (tag, rest) = bytes.split_first().ok_or(DecodeError::Malformed("order"))?;
        match tag {
            1 => Pom::from_bytes(rest)
                .map(|pom| Self::Proof(Box::new(pom)))
                .map_err(|_| DecodeError::Malformed("proof in an order")),
            2 => Ok(Self::Reform(Signed::from_bytes(rest)?)),
            _ => Err(DecodeError::Malformed("order")),
        }
    }

    /// Names the order.
    pub(crate) fn digest(&self) -> Hash {
        Hash::tagged("order", &self.to_bytes())
    }
}

/// An order may be as long as the longest proof; the proposal that carries it bounds it further.
pub(crate) const ORDER_LEN_MAX: usize = 1 + POM_LEN_MAX;

impl Encode for Order {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Proof(pom) => {
                out.u8(1);
                out.put(pom.as_ref());
            }
            Self::Reform(reform) => {
                out.u8(2);
                out.put(reform);
            }
        }
    }
}

impl Encode for Reform {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.stamp);
        let (code, slot) = match self.change {
            Change::Evict(slot) => (1, slot),
            Change::Reinstate(slot) => (2, slot),
        };
        out.u8(code);
        out.put(&slot);
    }
}

impl Decode for Reform {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let stamp = input.get()?;
        let change = match (input.u8()?, input.get()?) {
            (1, slot) => Change::Evict(slot),
            (2, slot) => Change::Reinstate(slot),
            _ => return Err(DecodeError::Malformed("reform")),
        };
        Ok(Self { stamp, change })
    }
}

impl SignedPayload for Reform {
    const KIND: Kind = Kind::Reform;
}
