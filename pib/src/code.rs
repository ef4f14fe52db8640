//! The erasure code: `x` parts of which any `x - f` give the object back.
//!
//! Source: specification 7.1; Reed-Solomon over GF(2^8), systematic: the first `x - f` parts are
//! the object itself, cut evenly, so that a restore that gets those decodes nothing.
//!
//! Shape: an object of `len` bytes is cut into `x - f` data parts of `max(1, ceil(len / (x - f)))`
//! bytes, the last ones filled up with zeros, and followed by `f` parity parts of the same length.
//! Coding runs in stripes of [`STRIPE`] bytes per part, which stay in the processor's cache.
//!
//! Guarantees: 1. any `x - f` parts decode to the object; 2. fewer fail with an error; 3. parts are
//! a function of the object, `x` and `f` alone. Parts with wrong content decode to wrong content:
//! callers check each part's hash first.
//! Bounds: `x` at most [`CHUNKS_MAX`]; memory is the object once, with padding and parity.

use crate::error::Error;
use reed_solomon_erasure::galois_8::ReedSolomon;
use std::sync::Arc;
use types::limits::{CHUNKS_MAX, OBJECT_LEN_MAX};

/// Bytes of one part that are coded at a time.
pub const STRIPE: usize = 64 * 1024;

/// An `(x - f)` out of `x` code. Cloning shares the tables.
#[derive(Clone)]
pub struct Code {
    x: usize,
    f: usize,
    /// `None` without parity, which the library does not offer.
    coder: Option<Arc<ReedSolomon>>,
}

impl std::fmt::Debug for Code {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Code({} of {})", self.needed(), self.x)
    }
}

impl Code {
    /// The code for `x` storers of which `f` may be lost.
    pub fn new(x: usize, f: usize) -> Result<Self, Error> {
        let bad = || Error::BadCode { x, f, max: CHUNKS_MAX };
        if f >= x || x > CHUNKS_MAX {
            return Err(bad());
        }
        let coder = match f {
            0 => None,
            _ => Some(Arc::new(ReedSolomon::new(x - f, f).map_err(|_| bad())?)),
        };
        Ok(Self { x, f, coder })
    }

    /// All parts.
    pub fn x(&self) -> usize {
        self.x
    }

    /// Parts that may be lost.
    pub fn f(&self) -> usize {
        self.f
    }

    /// Parts that are needed: `x - f`.
    pub fn needed(&self) -> usize {
        self.x - self.f
    }

    /// Bytes of each part of an object of `len` bytes; at least one, so that the empty object has
    /// parts as well.
    pub fn part_len(&self, len: u64) -> Result<usize, Error> {
        if len > OBJECT_LEN_MAX as u64 {
            return Err(Error::TooLarge { len, max: OBJECT_LEN_MAX as u64 });
        }
        Ok((len as usize).div_ceil(self.needed()).max(1))
    }

    /// Lays the parts of `object` out in one buffer, each behind `gap` zero bytes: part `i` starts
    /// at `i * (gap + part_len) + gap`.
    pub fn encode(&self, object: &[u8], gap: usize) -> Result<Vec<u8>, Error> {
        let part = self.part_len(object.len() as u64)?;
        let pitch = gap + part;
        let mut buffer = Vec::with_capacity(pitch * self.x);
        for piece in object.chunks(part) {
            buffer.resize(buffer.len() + gap, 0);
            buffer.extend_from_slice(piece);
            let filled = buffer.len().next_multiple_of(pitch);
            buffer.resize(filled, 0);
        }
        buffer.resize(pitch * self.x, 0);
        let Some(coder) = &self.coder else { return Ok(buffer) };
        let mut parts: Vec<&mut [u8]> =
            buffer.chunks_mut(pitch).map(|slice| &mut slice[gap..]).collect();
        let (data, parity) = parts.split_at_mut(self.needed());
        for start in (0..part).step_by(STRIPE) {
            let range = start..part.min(start + STRIPE);
            let inputs: Vec<&[u8]> = data.iter().map(|slice| &slice[range.clone()]).collect();
            let mut outputs: Vec<&mut [u8]> =
                parity.iter_mut().map(|slice| &mut slice[range.clone()]).collect();
            coder.encode_sep(&inputs, &mut outputs).map_err(|_| Error::Crypto)?;
        }
        Ok(buffer)
    }

    /// The object of `len` bytes from any `x - f` of its parts, by index. Data parts are preferred,
    /// and only missing ones are computed.
    pub fn decode(&self, len: u64, parts: &[Option<&[u8]>]) -> Result<Vec<u8>, Error> {
        let part = self.part_len(len)?;
        let needed = self.needed();
        self.check_shape(part, parts)?;
        let (data, parity) = parts.split_at(needed);
        let missing = data.iter().filter(|slice| slice.is_none()).count();
        let spare: Vec<(usize, &[u8])> = parity
            .iter()
            .enumerate()
            .filter_map(|(index, slice)| slice.map(|slice| (needed + index, slice)))
            .take(missing)
            .collect();
        if spare.len() < missing {
            let have = needed - missing + spare.len();
            return Err(Error::TooFewChunks { have, needed });
        }
        let mut object = Vec::with_capacity(part * needed);
        for slice in data {
            match slice {
                Some(slice) => object.extend_from_slice(slice),
                None => object.resize(object.len() + part, 0),
            }
        }
        if missing > 0 {
            let present: Vec<bool> = data.iter().map(Option::is_some).collect();
            self.reconstruct(part, &mut object, &present, &spare)?;
        }
        object.truncate(len as usize);
        Ok(object)
    }

    fn check_shape(&self, part: usize, parts: &[Option<&[u8]>]) -> Result<(), Error> {
        let wrong = |what, got: usize, expected: usize| Error::WrongShape {
            what,
            got: got as u64,
            expected: expected as u64,
        };
        if parts.len() != self.x {
            return Err(wrong("the list of chunks", parts.len(), self.x));
        }
        match parts.iter().flatten().find(|slice| slice.len() != part) {
            Some(slice) => Err(wrong("a chunk", slice.len(), part)),
            None => Ok(()),
        }
    }

    /// Fills the regions of missing data parts, stripe by stripe. The library wants to write to
    /// whatever it is handed, so each stripe of a parity part is copied to scratch memory first.
    fn reconstruct(
        &self,
        part: usize,
        object: &mut [u8],
        present: &[bool],
        spare: &[(usize, &[u8])],
    ) -> Result<(), Error> {
        let Some(coder) = &self.coder else { return Err(Error::Crypto) };
        let stripe = part.min(STRIPE);
        let mut scratch = vec![0u8; stripe * self.f];
        let mut regions: Vec<&mut [u8]> = object.chunks_mut(part).collect();
        for start in (0..part).step_by(STRIPE) {
            let end = part.min(start + STRIPE);
            let mut shards: Vec<(&mut [u8], bool)> = Vec::with_capacity(self.x);
            for (region, present) in regions.iter_mut().zip(present) {
                shards.push((&mut region[start..end], *present));
            }
            for (offset, room) in scratch.chunks_mut(stripe).enumerate() {
                let index = self.needed() + offset;
                let room = &mut room[..end - start];
                let source = spare.iter().find(|(at, _)| *at == index);
                if let Some((_, source)) = source {
                    room.copy_from_slice(&source[start..end]);
                }
                shards.push((room, source.is_some()));
            }
            coder.reconstruct_data(&mut shards).map_err(|_| Error::Crypto)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
