//! RetrieveRequest and its two signed answers (specification 7.3).

use super::{Receipt, StoreInfo};
use crate::slice::{self, SLICE_LEN};
use bytes::Bytes;
use types::{
    Decode, DecodeError, Encode, Hash, Instance, Kind, Reader, Signed, SignedPayload, Size, Stamp,
    Writer,
};

/// How much of a chunk is asked for. Encoded in 9 bytes whichever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The body.
    Whole,
    /// [`SLICE_LEN`] bytes with the path that proves them (specification 7.9).
    Slice {
        /// The first byte, a multiple of [`SLICE_LEN`].
        start: u64,
    },
}

/// An owner asks for the chunk of a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrieveRequest {
    /// What the storer promised.
    pub receipt: Signed<Receipt>,
    /// How much of it.
    pub part: Part,
    /// The owner's clock.
    pub stamp: Stamp,
}

impl Part {
    /// What is sent of a body that was asked for so: all of it, or the slice with its path. Nothing for a
    /// place that the chunk does not have, which the storer refuses before it reads.
    pub fn of(self, body: Bytes) -> Bytes {
        match self {
            Self::Whole => body,
            Self::Slice { start } => slice::cut(&body, start).unwrap_or_default().into(),
        }
    }
}

impl Encode for Part {
    fn encode(&self, out: &mut Writer) {
        let (code, start) = match self {
            Self::Whole => (0, 0),
            Self::Slice { start } => (1, *start),
        };
        out.u8(code);
        out.u64(start);
    }
}

impl Decode for Part {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match (input.u8()?, input.u64()?) {
            (0, 0) => Ok(Self::Whole),
            (1, start) if start.is_multiple_of(SLICE_LEN) => Ok(Self::Slice { start }),
            _ => Err(DecodeError::Malformed("part of chunk")),
        }
    }
}

impl Encode for RetrieveRequest {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.receipt);
        out.put(&self.part);
        out.put(&self.stamp);
    }
}

impl Decode for RetrieveRequest {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { receipt: input.get()?, part: input.get()?, stamp: input.get()? })
    }
}

impl SignedPayload for RetrieveRequest {
    const KIND: Kind = Kind::RetrieveRequest;
}

/// The signed core of an answer whose body travels beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetrieveConfirm {
    /// Which receipt is honoured, as [`Receipt::cite`] names it.
    pub receipt: Hash,
    /// Digest of the body.
    pub hash: Hash,
    /// Bytes of the body.
    pub size: Size,
    /// The storer's clock.
    pub stamp: Stamp,
}

impl Encode for RetrieveConfirm {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.receipt);
        out.put(&self.hash);
        out.put(&self.size);
        out.put(&self.stamp);
    }
}

impl Decode for RetrieveConfirm {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            receipt: input.get()?,
            hash: input.get()?,
            size: input.get()?,
            stamp: input.get()?,
        })
    }
}

impl SignedPayload for RetrieveConfirm {
    const KIND: Kind = Kind::RetrieveConfirm;
}

/// Why a storer may refuse to return a chunk. A closed list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DenyReason {
    /// The lease is over, also by the storer's clock and with the permitted difference.
    Expired,
    /// The owner stated something newer about this name; the storer is bound to that.
    Superseded(Box<Signed<StoreInfo>>),
    /// The storer lost its disk and is within the grace window of its activation.
    Recovering {
        /// The instance that decided the activation.
        activation: Instance,
    },
    /// The owner left the receipt out of its RecoverReply.
    NotClaimed {
        /// Digest of that reply.
        reply: Hash,
    },
}

/// A storer refuses to return a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrieveDeny {
    /// Which receipt, as [`Receipt::cite`] names it.
    pub receipt: Hash,
    /// Why.
    pub reason: DenyReason,
    /// The storer's clock.
    pub stamp: Stamp,
}

impl Encode for RetrieveDeny {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.receipt);
        match &self.reason {
            DenyReason::Expired => out.u8(0),
            DenyReason::Superseded(info) => {
                out.u8(1);
                out.put(info.as_ref());
            }
            DenyReason::Recovering { activation } => {
                out.u8(2);
                out.put(activation);
            }
            DenyReason::NotClaimed { reply } => {
                out.u8(3);
                out.put(reply);
            }
        }
        out.put(&self.stamp);
    }
}

impl Decode for RetrieveDeny {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let receipt = input.get()?;
        let reason = match input.u8()? {
            0 => DenyReason::Expired,
            1 => DenyReason::Superseded(Box::new(input.get()?)),
            2 => DenyReason::Recovering { activation: input.get()? },
            3 => DenyReason::NotClaimed { reply: input.get()? },
            _ => return Err(DecodeError::Malformed("reason of RetrieveDeny")),
        };
        Ok(Self { receipt, reason, stamp: input.get()? })
    }
}

impl SignedPayload for RetrieveDeny {
    const KIND: Kind = Kind::RetrieveDeny;
}
