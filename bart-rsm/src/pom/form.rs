//! The file of a proof: canonical, versioned, pinned (specification 8.1).
//!
//! | bytes | |
//! | --- | --- |
//! | 6 | `PIBPOM` |
//! | 1 | form, 1 |
//! | 32 | group id |
//! | 4, 2, 2 | epoch, slot and linked identity of the accused, little-endian |
//! | 1 | kind: 1 to 11 |
//! | rest | the objects, as the kind demands |

use super::{Evidence, Pair, Pom, PomError, PomKind};
use types::limits::{MESSAGE_OVERHEAD_MAX, PROPOSAL_LEN_MAX};
use types::{Decode, DecodeError, Encode, GroupId, Reader, Writer};

const MAGIC: &[u8; 6] = b"PIBPOM";
/// Version of the file's form.
pub(super) const FORM: u8 = 1;
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
        out.raw(MAGIC);
        out.u8(FORM);
        out.put(&self.group);
        out.put(&self.epoch);
        out.put(&self.accused);
        out.put(&self.ident);
        out.put(&self.evidence);
    }
}

impl Pom {
    /// Reads a file. Nothing in it is believed before [`super::verify`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PomError> {
        if bytes.len() > POM_LEN_MAX {
            return Err(PomError::TooLong { len: bytes.len() });
        }
        let Some(rest) = bytes.strip_prefix(MAGIC) else { return Err(PomError::OtherFile) };
        let mut input = Reader::new(rest);
        match input.u8()? {
            FORM => {}
            other => return Err(PomError::Form(other)),
        }
        let group: GroupId = input.get()?;
        let (epoch, accused, ident) = (input.get()?, input.get()?, input.get()?);
        let evidence = input.get()?;
        input.finish()?;
        Ok(Self { group, epoch, accused, ident, evidence })
    }
}
