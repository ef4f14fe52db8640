//! The file of a proof: [`types::Envelope`], the kind's code (32 to 38), and the objects (specification 8.1).

use super::{Evidence, Pom, PomError, PomKind};
use types::limits::{MESSAGE_OVERHEAD_MAX, PROPOSAL_LEN_MAX};
use types::{Decode, DecodeError, Encode, Envelope, Reader, Writer};

/// Bytes of the longest proof: a proposal, its certificate, and an account.
pub const POM_LEN_MAX: usize = PROPOSAL_LEN_MAX + MESSAGE_OVERHEAD_MAX;

impl Encode for Evidence {
    fn encode(&self, out: &mut Writer) {
        out.u8(self.kind().code());
        match self {
            Self::NoEvidence { assigned, denials } => {
                out.put(&**assigned);
                out.put(&**denials);
            }
            Self::TwoAnswers(pair) => {
                out.put(&pair.0);
                out.put(&pair.1);
            }
            Self::FalseNoEvidence { denial, ack } => {
                out.put(denial);
                out.put(ack);
            }
            Self::BadWitness { word, answer } => {
                out.put(word);
                out.put(&**answer);
            }
            Self::BadShare(pair) => {
                out.put(&pair.0);
                out.put(&pair.1);
            }
            Self::VowBreach { value, view, cert } | Self::OverQuota { value, view, cert } => {
                out.put(&**value);
                out.put(&**view);
                out.put(&**cert);
            }
        }
    }
}

fn boxed<T: Decode>(input: &mut Reader<'_>) -> Result<Box<T>, DecodeError> {
    Ok(Box::new(input.get()?))
}

impl Decode for Evidence {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind =
            PomKind::from_code(input.u8()?).ok_or(DecodeError::Malformed("kind of proof"))?;
        Ok(match kind {
            PomKind::NoEvidence => {
                Self::NoEvidence { assigned: boxed(input)?, denials: boxed(input)? }
            }
            PomKind::TwoAnswers => Self::TwoAnswers(Box::new((input.get()?, input.get()?))),
            PomKind::FalseNoEvidence => {
                Self::FalseNoEvidence { denial: input.get()?, ack: input.get()? }
            }
            PomKind::BadWitness => Self::BadWitness { word: input.get()?, answer: boxed(input)? },
            PomKind::BadShare => Self::BadShare(Box::new((input.get()?, input.get()?))),
            PomKind::VowBreach => {
                Self::VowBreach { value: boxed(input)?, view: boxed(input)?, cert: boxed(input)? }
            }
            PomKind::OverQuota => {
                Self::OverQuota { value: boxed(input)?, view: boxed(input)?, cert: boxed(input)? }
            }
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
