//! The file of a proof: [`types::Envelope`], the kind's code (1 to 11), and the objects in canonical
//! form (specification 8.1).

use super::{Evidence, Pair, Pom, PomError, PomKind};
use types::limits::{MESSAGE_OVERHEAD_MAX, PROPOSAL_LEN_MAX};
use types::{Decode, DecodeError, Encode, Envelope, Reader, Writer};

/// Bytes of the longest proof: two proposals and a certificate.
pub const POM_LEN_MAX: usize = 2 * PROPOSAL_LEN_MAX + MESSAGE_OVERHEAD_MAX;

impl Encode for Evidence {
    fn encode(&self, out: &mut Writer) {
        out.u8(self.kind() as u8);
        match self {
            Self::SenderEquivocation(pair) => out.put(pair),
            Self::LeaderEquivocation(pair) => out.put(pair),
            Self::BadAgree(proof) => out.put(proof),
            Self::DoubleAgreeAck(pair) => out.put(pair),
            Self::LazyAck { ack, agree } => {
                out.put(ack);
                out.put(agree);
            }
            Self::DoubleWriteAck(pair) => out.put(pair),
            Self::StaleMaxPol { write, read } => {
                out.put(write);
                out.put(read);
            }
            Self::MalformedSigned(what) => out.put(what),
            Self::BadQuorumVector(vector) => out.put(vector),
            Self::BadProposal { late, decided, cert } => {
                out.put(late);
                out.put(decided);
                out.put(cert);
            }
            Self::FalseList { listing, closing, target } => {
                out.put(listing);
                out.put(closing);
                out.put(target);
            }
        }
    }
}

impl Decode for Evidence {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind =
            PomKind::from_code(input.u8()?).ok_or(DecodeError::Malformed("kind of proof"))?;
        Ok(match kind {
            PomKind::SenderEquivocation => Self::SenderEquivocation(input.get()?),
            PomKind::LeaderEquivocation => Self::LeaderEquivocation(input.get::<Pair<_>>()?),
            PomKind::BadAgree => Self::BadAgree(input.get()?),
            PomKind::DoubleAgreeAck => Self::DoubleAgreeAck(input.get()?),
            PomKind::LazyAck => Self::LazyAck { ack: input.get()?, agree: input.get()? },
            PomKind::DoubleWriteAck => Self::DoubleWriteAck(input.get()?),
            PomKind::StaleMaxPol => Self::StaleMaxPol { write: input.get()?, read: input.get()? },
            PomKind::MalformedSigned => Self::MalformedSigned(input.get()?),
            PomKind::BadQuorumVector => Self::BadQuorumVector(input.get()?),
            PomKind::BadProposal => {
                Self::BadProposal { late: input.get()?, decided: input.get()?, cert: input.get()? }
            }
            PomKind::FalseList => Self::FalseList {
                listing: input.get()?,
                closing: input.get()?,
                target: input.get()?,
            },
        })
    }
}

impl Encode for Pom {
    fn encode(&self, out: &mut Writer) {
        let Self { group, epoch, accused, ident, ref evidence } = *self;
        out.put(&Envelope { group, epoch, accused, ident });
        out.put(evidence);
    }
}

impl Pom {
    /// Reads a file. Nothing in it is believed before [`super::verify`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PomError> {
        let (envelope, mut input) = Envelope::read(bytes, POM_LEN_MAX)?;
        let evidence = input.get()?;
        input.finish()?;
        let Envelope { group, epoch, accused, ident } = envelope;
        Ok(Self { group, epoch, accused, ident, evidence })
    }
}
