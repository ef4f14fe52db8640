//! Frames of the bulk lane: a head with what is signed, and the chunk body as the frame's tail, so
//! that a body goes from the coder to the socket and from the socket to the file uncopied.
//!
//! Frame: version, tag, head, body. The transport states the frame's length; the body is what
//! follows the head, and only a Put and a Confirm may have one.

use crate::objects::{
    Op, Receipt, RetrieveConfirm, RetrieveDeny, RetrieveRequest, StoreInfo, StoreReject,
};
use bytes::Bytes;
use types::limits::{BULK_FRAME_MAX, CHUNK_LEN_MAX};
use types::{Decode, DecodeError, Reader, Signed, Unverified, Verified, Writer};

/// First byte of every frame; bumped with every change of form.
pub const WIRE_VERSION: u8 = 2;

/// What an owner asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Put (the body follows), Renew or Tombstone.
    Store(Unverified<Signed<StoreInfo>>),
    /// Return a chunk.
    Retrieve(Box<Unverified<Signed<RetrieveRequest>>>),
}

/// What a storer answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// Held.
    Receipt(Unverified<Signed<Receipt>>),
    /// Refused, with proof.
    Reject(Unverified<Signed<StoreReject>>),
    /// The chunk; the body follows.
    Confirm(Unverified<Signed<RetrieveConfirm>>),
    /// Refused, with a reason.
    Deny(Unverified<Signed<RetrieveDeny>>),
    /// No answer in the sense of the protocol: unsigned, binds nobody, convicts nobody.
    Unavailable(Unavailable),
}

/// Why there is no answer now. Advice for the peer, never evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[repr(u8)]
pub enum Unavailable {
    /// Too much to do; ask again later.
    #[error("busy, ask again later")]
    Busy = 0,
    /// The same request is being carried out.
    #[error("the same request is still being carried out")]
    NotYet = 1,
    /// Not known here, and not expired.
    #[error("not known here")]
    Unknown = 2,
    /// The chunk cannot be read.
    #[error("the chunk cannot be read")]
    Damaged = 3,
    /// Something newer about this name is known.
    #[error("something newer about this name is known")]
    Stale = 4,
    /// The stamp lies too far in the future.
    #[error("the stamp lies too far in the future")]
    FutureStamp = 5,
    /// The lease that is asked for is already over.
    #[error("the lease is already over")]
    LeaseOver = 6,
    /// Not addressed to this member, or not from the member that signed.
    #[error("addressed to or signed by another member")]
    Misaddressed = 7,
    /// A signature does not verify.
    #[error("a signature does not verify")]
    BadSignature = 8,
    /// A Renew that is not about the chunk that is held.
    #[error("the renewal is not about the chunk that is held")]
    BadRenew = 9,
    /// A limit on entries is reached.
    #[error("a limit on entries is reached")]
    Limit = 10,
    /// The disk of the storer is full, or failing.
    #[error("its disk is full or failing")]
    NoSpace = 11,
}

impl Unavailable {
    const ALL: [Self; 12] = [
        Self::Busy,
        Self::NotYet,
        Self::Unknown,
        Self::Damaged,
        Self::Stale,
        Self::FutureStamp,
        Self::LeaseOver,
        Self::Misaddressed,
        Self::BadSignature,
        Self::BadRenew,
        Self::Limit,
        Self::NoSpace,
    ];
}

fn start(tag: u8) -> Writer {
    let mut out = Writer::with_capacity(512);
    out.u8(WIRE_VERSION);
    out.u8(tag);
    out
}

/// Opens a frame: its tag and a reader behind it.
fn open(frame: &Bytes) -> Result<(u8, Reader<'_>), DecodeError> {
    if frame.len() > BULK_FRAME_MAX {
        let (len, max) = (frame.len(), BULK_FRAME_MAX);
        return Err(DecodeError::TooLong { what: "frame", len, max });
    }
    let mut input = Reader::new(frame);
    if input.u8()? != WIRE_VERSION {
        return Err(DecodeError::Malformed("version of frame"));
    }
    let tag = input.u8()?;
    Ok((tag, input))
}

/// What is left is the body, if there may be one.
fn close(frame: &Bytes, input: Reader<'_>, may_have_body: bool) -> Result<Bytes, DecodeError> {
    let len = input.remaining();
    if !may_have_body {
        input.finish()?;
        return Ok(Bytes::new());
    }
    if len > CHUNK_LEN_MAX {
        return Err(DecodeError::TooLong { what: "chunk body", len, max: CHUNK_LEN_MAX });
    }
    Ok(frame.slice(frame.len() - len..))
}

impl Request {
    /// A request to store, renew or drop.
    pub fn store(info: &Verified<Signed<StoreInfo>>) -> Self {
        Self::Store(Unverified::new((**info).clone()))
    }

    /// A request to return a chunk.
    pub fn retrieve(request: &Verified<Signed<RetrieveRequest>>) -> Self {
        Self::Retrieve(Box::new(Unverified::new((**request).clone())))
    }

    /// The head of the frame; a Put's body is sent right behind it.
    pub fn head(&self) -> Vec<u8> {
        let mut out;
        match self {
            Self::Store(info) => {
                out = start(0);
                out.put(info.peek());
            }
            Self::Retrieve(request) => {
                out = start(1);
                out.put(request.peek());
            }
        }
        out.finish()
    }

    /// Takes a frame apart; the body shares the frame's memory.
    pub fn decode(frame: &Bytes) -> Result<(Self, Bytes), DecodeError> {
        let (tag, mut input) = open(frame)?;
        let request = match tag {
            0 => Self::Store(Unverified::decode(&mut input)?),
            1 => Self::Retrieve(Box::new(Unverified::decode(&mut input)?)),
            _ => return Err(DecodeError::Malformed("tag of request")),
        };
        let has_body = matches!(&request, Self::Store(info) if info.peek().payload.op == Op::Put);
        let body = close(frame, input, has_body)?;
        Ok((request, body))
    }
}

impl Response {
    /// The head of the frame; a Confirm's body is sent right behind it.
    pub fn head(&self) -> Vec<u8> {
        let mut out;
        match self {
            Self::Receipt(receipt) => {
                out = start(0);
                out.put(receipt.peek());
            }
            Self::Reject(reject) => {
                out = start(1);
                out.put(reject.peek());
            }
            Self::Confirm(confirm) => {
                out = start(2);
                out.put(confirm.peek());
            }
            Self::Deny(deny) => {
                out = start(3);
                out.put(deny.peek());
            }
            Self::Unavailable(why) => {
                out = start(4);
                out.u8(*why as u8);
            }
        }
        out.finish()
    }

    /// Takes a frame apart; the body shares the frame's memory.
    pub fn decode(frame: &Bytes) -> Result<(Self, Bytes), DecodeError> {
        let (tag, mut input) = open(frame)?;
        let response = match tag {
            0 => Self::Receipt(Unverified::decode(&mut input)?),
            1 => Self::Reject(Unverified::decode(&mut input)?),
            2 => Self::Confirm(Unverified::decode(&mut input)?),
            3 => Self::Deny(Unverified::decode(&mut input)?),
            4 => {
                let code = usize::from(input.u8()?);
                let why = Unavailable::ALL.get(code).copied();
                Self::Unavailable(why.ok_or(DecodeError::Malformed("reason of refusal"))?)
            }
            _ => return Err(DecodeError::Malformed("tag of response")),
        };
        let body = close(frame, input, matches!(response, Self::Confirm(_)))?;
        Ok((response, body))
    }
}

#[cfg(test)]
mod tests;
