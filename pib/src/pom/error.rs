//! Why a file convicts nobody.

use types::{DecodeError, EnvelopeError, GroupId, Ident, Kind, Slot};

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
    /// The accused is not in the roster.
    #[error("{slot} has no {ident}, says the roster")]
    UnknownSigner {
        /// The slot named.
        slot: Slot,
        /// The identity named.
        ident: Ident,
    },
    /// An object was signed by somebody else than the accused.
    #[error("an object of the proof ({0:?}) is not the accused's")]
    OtherSigner(Kind),
    /// A signature does not verify.
    #[error("the signature of {slot} under the {kind:?} does not verify")]
    BadSignature {
        /// Whose signature it should be.
        slot: Slot,
        /// Under what.
        kind: Kind,
    },
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
