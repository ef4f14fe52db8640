//! The two channels that are not proofs: what we did wrong, and what a peer did wrong that
//! nobody else could verify.

use crate::chunk::ObjectKey;
use types::{DecodeError, Slot, VerifyError};

/// Our own misuse, our own limits, or our own records in a state they must not be in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The member's space is used up.
    #[error(
        "storing needs {needed} bytes, but only {left} of the quota of {quota} bytes are left: \
         forget old snapshots and prune, or ask for a larger quota"
    )]
    QuotaFull {
        /// Bytes that this object needs, all chunks together.
        needed: u64,
        /// Bytes left.
        left: u64,
        /// The quota.
        quota: u64,
    },
    /// Too few members can take a chunk now.
    #[error("{needed} members with free space are needed, but only {reached} were reached")]
    NotEnoughMembers {
        /// Usable storers, those that hold or were promised chunks of the object included.
        reached: usize,
        /// How many are needed.
        needed: usize,
    },
    /// The object is larger than the limit.
    #[error("the object has {len} bytes, more than the limit of {max}")]
    TooLarge {
        /// Its length.
        len: u64,
        /// The limit.
        max: u64,
    },
    /// The object is already stored with other content.
    #[error("{0} is already stored with other content: remove it first")]
    ContentDiffers(ObjectKey),
    /// No such object in the OwnList.
    #[error("{0} is not in the list of own objects")]
    UnknownObject(ObjectKey),
    /// The chunk has no receipt.
    #[error("chunk {index} of {object} has no receipt")]
    NotHeld {
        /// The object.
        object: ObjectKey,
        /// Its chunk.
        index: u8,
    },
    /// A plan or a record does not belong to the present state of the object.
    #[error("{0} has changed since it was planned")]
    StalePlan(ObjectKey),
    /// The code's parameters are impossible.
    #[error("a code of {x} chunks that survives {f} losses is impossible: 0 <= f < x <= {max}")]
    BadCode {
        /// All chunks.
        x: usize,
        /// Losses survived.
        f: usize,
        /// The limit on `x`.
        max: usize,
    },
    /// Fewer chunks than the code needs.
    #[error("{have} of the {needed} chunks that are needed are at hand")]
    TooFewChunks {
        /// Usable chunks.
        have: usize,
        /// Needed chunks.
        needed: usize,
    },
    /// Chunks or their number do not fit the object.
    #[error("{what} has {got} bytes or parts where {expected} are expected")]
    WrongShape {
        /// What.
        what: &'static str,
        /// What was handed in.
        got: u64,
        /// What is right.
        expected: u64,
    },
    /// A label does not open with this member's key.
    #[error("the label of the chunk does not open: it is damaged or belongs to somebody else")]
    BadLabel,
    /// A durable record is not one of ours.
    #[error(
        "the record {key} is damaged ({why}): restore the data folder or use the next identity"
    )]
    BadRecord {
        /// The record's key in hexadecimal.
        key: String,
        /// Why.
        why: DecodeError,
    },
    /// Records contradict each other or the configuration.
    #[error("the records do not fit together: {0}")]
    BadState(&'static str),
    /// A ticket that the storer does not know (any more).
    #[error("the chunk that was written was not asked for")]
    UnknownTicket,
    /// A limit on what is kept in memory was reached.
    #[error("the limit of {max} {what} is reached")]
    Limit {
        /// Of what.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// The cryptographic library refused a key, which its own lengths rule out.
    #[error("key derivation or sealing failed")]
    Crypto,
}

/// A peer did something wrong that a third party could not verify. It never convicts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A signature or the signer does not verify.
    #[error(transparent)]
    Signature(#[from] VerifyError),
    /// Signed by somebody else than the one who was asked.
    #[error("the answer is signed by {got}, not by {expected}")]
    WrongSigner {
        /// Who was asked.
        expected: Slot,
        /// Who signed.
        got: Slot,
    },
    /// The answer is about something else.
    #[error("the answer is about another statement")]
    WrongSubject,
    /// The answer does not fit the kind of request.
    #[error("the answer is of a kind that does not fit the request")]
    WrongKind,
    /// Stamped further ahead than clocks may differ.
    #[error("the stamp lies {ahead_ms} ms beyond the permitted clock difference")]
    FutureStamp {
        /// How far beyond.
        ahead_ms: u64,
    },
    /// The body is not the one that the signed core names.
    #[error("the body does not match its signed hash")]
    WrongBody,
    /// A reason that needs evidence from the log, which is not there.
    #[error("the reason cannot be verified")]
    Unverifiable,
    /// An unsigned refusal.
    #[error("unavailable: {0}")]
    Unavailable(#[from] crate::wire::Unavailable),
}
