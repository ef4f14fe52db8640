//! Framing, common to both classes: length (u32 little endian, counts the kind and the payload),
//! kind (one byte), payload.
//!
//! Guarantees: memory for a payload grows with the bytes that really arrived, at most doubling;
//! a length over the limit is refused before a byte of the payload is read.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::config::{FIRST_GROWTH, SMALL_FRAME, WRITE_PIECE};
use crate::error::{DownReason, FaultKind};
use crate::rate::RateLimiter;
use crate::status::Traffic;

/// Length of the length and kind fields, in bytes.
pub(crate) const HEADER: usize = 5;

/// Kinds of frames. Numbers are part of the wire format.
pub(crate) mod kind {
    pub(crate) const HELLO: u8 = 1;
    pub(crate) const REFUSE: u8 = 2;
    pub(crate) const CONTROL: u8 = 3;
    pub(crate) const REQUEST: u8 = 4;
    pub(crate) const RESPONSE: u8 = 5;
    pub(crate) const DECLINE: u8 = 6;
    pub(crate) const CANCEL: u8 = 7;
}

#[derive(Debug, Error)]
pub(crate) enum LinkError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("closed")]
    Closed,
    #[error("{0}")]
    Fault(FaultKind),
}

impl From<LinkError> for DownReason {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Io(error) => Self::Lost(crate::tcp::describe(&error)),
            LinkError::Closed => Self::PeerClosed,
            LinkError::Fault(fault) => Self::Fault(fault),
        }
    }
}

/// Reads frames of at most `max` payload bytes.
pub(crate) struct FrameReader<R> {
    io: R,
    ahead: BytesMut,
    max: usize,
    traffic: Arc<Traffic>,
    limiter: Option<Arc<RateLimiter>>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(
        io: R,
        max: usize,
        traffic: Arc<Traffic>,
        limiter: Option<Arc<RateLimiter>>,
    ) -> Self {
        let ahead = BytesMut::with_capacity(SMALL_FRAME + HEADER);
        Self { io, ahead, max, traffic, limiter }
    }

    /// The next frame's kind and payload length. The payload must be taken with
    /// [`Self::payload`] or [`Self::discard`] before the next call.
    pub(crate) async fn header(&mut self) -> Result<(u8, usize), LinkError> {
        self.fill(HEADER).await?;
        let len = self.ahead.get_u32_le() as usize;
        let frame_kind = self.ahead.get_u8();
        match len.checked_sub(1) {
            None => Err(LinkError::Fault(FaultKind::Malformed)),
            Some(payload) if payload > self.max => Err(LinkError::Fault(FaultKind::FrameTooLong)),
            Some(payload) => Ok((frame_kind, payload)),
        }
    }

    /// Eight bytes of the payload, little endian.
    pub(crate) async fn id(&mut self) -> Result<u64, LinkError> {
        self.fill(8).await?;
        Ok(self.ahead.get_u64_le())
    }

    /// The next `len` bytes in memory of their own.
    pub(crate) async fn payload(&mut self, len: usize) -> Result<Bytes, LinkError> {
        if len <= SMALL_FRAME {
            self.fill(len).await?;
            let payload = Bytes::copy_from_slice(&self.ahead[..len]);
            self.ahead.advance(len);
            return Ok(payload);
        }
        let mut payload = Vec::with_capacity(len.min(FIRST_GROWTH));
        let had = self.ahead.len().min(len);
        payload.extend_from_slice(&self.ahead[..had]);
        self.ahead.advance(had);
        while payload.len() < len {
            if payload.len() == payload.capacity() {
                payload.reserve_exact((len - payload.len()).min(payload.len()));
            }
            let room = (payload.capacity() - payload.len()).min(len - payload.len());
            let got = self.io.read_buf(&mut (&mut payload).limit(room)).await?;
            self.account(got).await?;
        }
        Ok(payload.into())
    }

    /// Skips the next `len` bytes.
    pub(crate) async fn discard(&mut self, mut len: usize) -> Result<(), LinkError> {
        while len > 0 {
            let piece = len.min(SMALL_FRAME);
            self.fill(piece).await?;
            self.ahead.advance(piece);
            len -= piece;
        }
        Ok(())
    }

    /// Reads until `len` bytes (at most the look-ahead buffer) are there.
    async fn fill(&mut self, len: usize) -> Result<(), LinkError> {
        while self.ahead.len() < len {
            self.ahead.reserve(SMALL_FRAME + HEADER - self.ahead.len());
            let got = self.io.read_buf(&mut self.ahead).await?;
            self.account(got).await?;
        }
        Ok(())
    }

    async fn account(&mut self, got: usize) -> Result<(), LinkError> {
        if got == 0 {
            return Err(LinkError::Closed);
        }
        self.traffic.received(got);
        if let Some(limiter) = &self.limiter {
            limiter.take(got).await;
        }
        Ok(())
    }
}

/// Writes whole frames.
pub(crate) struct FrameWriter<W> {
    pub(crate) io: W,
    traffic: Arc<Traffic>,
    limiter: Option<Arc<RateLimiter>>,
    stall: Duration,
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    pub(crate) fn new(
        io: W,
        traffic: Arc<Traffic>,
        limiter: Option<Arc<RateLimiter>>,
        stall: Duration,
    ) -> Self {
        Self { io, traffic, limiter, stall }
    }

    /// Writes the parts one after the other, in pieces of at most [`WRITE_PIECE`] bytes.
    pub(crate) async fn write(&mut self, parts: &[&[u8]]) -> Result<(), LinkError> {
        let mut cursor = Cursor { parts, part: 0, offset: 0 };
        loop {
            let planned = cursor.plan().1;
            if planned == 0 {
                return Ok(());
            }
            if let Some(limiter) = &self.limiter {
                limiter.take(planned).await;
            }
            let mut left = planned;
            while left > 0 {
                let (slices, count, _) = cursor.slices(left);
                let writing = self.io.write_vectored(&slices[..count]);
                let wrote = timeout(self.stall, writing).await.map_err(|_| stalled())??;
                if wrote == 0 {
                    return Err(LinkError::Closed);
                }
                self.traffic.sent(wrote);
                cursor.advance(wrote);
                left = left.saturating_sub(wrote);
            }
            if planned == WRITE_PIECE {
                // A socket that takes everything must not keep this thread from control links.
                tokio::task::yield_now().await;
            }
        }
    }

    pub(crate) async fn flush(&mut self) -> Result<(), LinkError> {
        timeout(self.stall, self.io.flush()).await.map_err(|_| stalled())??;
        Ok(())
    }
}

fn stalled() -> LinkError {
    LinkError::Fault(FaultKind::Stalled)
}

/// Slices handed to one vectored write.
const SLICES: usize = 16;

/// A position in a list of parts.
struct Cursor<'a> {
    parts: &'a [&'a [u8]],
    part: usize,
    offset: usize,
}

impl<'a> Cursor<'a> {
    /// How many slices and bytes the next piece has.
    fn plan(&self) -> (usize, usize) {
        let (_, count, bytes) = self.slices(WRITE_PIECE);
        (count, bytes)
    }

    /// The next slices, at most [`SLICES`] of them and `limit` bytes.
    fn slices(&self, limit: usize) -> ([IoSlice<'a>; SLICES], usize, usize) {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let (mut count, mut bytes, mut offset) = (0, 0, self.offset);
        for part in &self.parts[self.part..] {
            if count == SLICES || bytes == limit {
                break;
            }
            let rest = &part[offset..];
            offset = 0;
            let taken = &rest[..rest.len().min(limit - bytes)];
            if !taken.is_empty() {
                slices[count] = IoSlice::new(taken);
                count += 1;
                bytes += taken.len();
            }
        }
        (slices, count, bytes)
    }

    fn advance(&mut self, mut by: usize) {
        while let Some(part) = self.parts.get(self.part) {
            let rest = part.len() - self.offset;
            if by < rest {
                self.offset += by;
                return;
            }
            by -= rest;
            self.part += 1;
            self.offset = 0;
        }
    }
}

/// Length and kind fields of a frame with `payload` bytes.
pub(crate) fn header(frame_kind: u8, payload: usize) -> [u8; HEADER] {
    // Callers bound the payload far below u32::MAX (see `config`).
    let [a, b, c, d] = (payload as u32 + 1).to_le_bytes();
    [a, b, c, d, frame_kind]
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
