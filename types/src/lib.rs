//! The vocabulary of PIB: ids, the one canonical encoding, domain-separated signatures, quorum
//! arithmetic, and every limit.
//!
//! Source: section 1 of the specification (notation, crypto) and section 3.2 (quorums).
//! Assumes: nothing but its inputs; this crate is pure (no clock, files, sockets or randomness).
//!
//! Guarantees, cited by tests:
//! 1. *Canonical*: a value has exactly one encoding, and decoding refuses every other byte string.
//! 2. *Bounded*: a decoder allocates no more than the bytes it was handed can fill.
//! 3. *Separated*: a signature made for one kind, group, epoch, instance, turn, slot or identity
//!    verifies for no other.
//! 4. *Checked*: protocol code is handed a [`Verified`] value or none at all.

pub mod codec;
pub mod hash;
pub mod ids;
pub mod limits;
pub mod proof;
pub mod quorum;
pub mod roster;
pub mod sign;

pub use codec::{Decode, DecodeError, Encode, Reader, Writer};
pub use hash::{Hash, KeyedHash};
pub use ids::{Epoch, GroupId, Ident, Instance, Millis, Size, Slot, Stamp, Turn};
pub use proof::{Envelope, EnvelopeError, Family};
pub use quorum::{Mode, Quorum, QuorumError};
pub use roster::{Member, Roster, RosterError, Standing};
pub use sign::{
    BadSignature, Header, Kind, PublicKey, SecretKey, Signature, Signed, SignedPayload, Unverified,
    Verified, VerifyError,
};

#[cfg(test)]
mod vectors;
