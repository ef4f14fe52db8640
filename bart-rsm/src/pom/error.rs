//! Why a file convicts nobody.

use types::{DecodeError, EnvelopeError, Epoch, GroupId, Ident, Kind, Slot};

/// Why a file is no proof against anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PomError {
    /// Another file, another form, or longer than any proof.
    #[error(transparent)]
    Envelope(EnvelopeError),
    /// Its bytes are not the encoding of a proof.
    #[error("the proof is damaged: {0}")]
    Damaged(#[from] DecodeError),
    /// It belongs to another group.
    #[error("the proof is from group {pom}, the roster from group {roster}")]
    OtherGroup {
        /// Group of the proof.
        pom: GroupId,
        /// Group of the roster.
        roster: GroupId,
    },
    /// It belongs to another epoch.
    #[error("the proof needs the roster of {pom}, this one is of {roster}")]
    OtherEpoch {
        /// Epoch of the proof.
        pom: Epoch,
        /// Epoch of the roster.
        roster: Epoch,
    },
    /// The accused is not in the roster.
    #[error("{slot} with {ident} could not sign in this epoch, says the roster")]
    UnknownSigner {
        /// The slot named.
        slot: Slot,
        /// The identity named.
        ident: Ident,
    },
    /// An object was signed by, or names, somebody else.
    #[error("an object of the proof ({0:?}) is not the accused's")]
    OtherSigner(Kind),
    /// An object is from another epoch than the proof.
    #[error("an object of the proof ({0:?}) is from another epoch")]
    ObjectEpoch(Kind),
    /// A signature does not verify.
    #[error("the signature of {slot} under the {kind:?} does not verify")]
    BadSignature {
        /// Whose signature it should be.
        slot: Slot,
        /// Under what.
        kind: Kind,
    },
    /// An attachment is not the one that the signed statement names.
    #[error("{0} is not the one that was signed for")]
    OtherAttachment(&'static str),
    /// The objects are genuine, but show nothing.
    #[error("the objects are genuine but prove nothing: {0}")]
    NotProven(&'static str),
    /// The objects are not in the one order or form in which they count.
    #[error("the proof is not in canonical form: {0}")]
    NotCanonical(&'static str),
}

impl From<EnvelopeError> for PomError {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::Damaged(error) => Self::Damaged(error),
            other => Self::Envelope(other),
        }
    }
}
