//! Bodies padded with a keyed stream to a length that says nothing (specification 3.10, T34).
//!
//! Guarantees: no member can compress the pad away or choose a cheaper one: the stream depends on
//! group, instance, turn, kind, author and addressee. The stream is BLAKE3 in extendable-output mode.
//! Bounds: a block has at most [`BLOCK_MAX`] bytes.

use std::sync::Arc;
use types::limits::CONTROL_FRAME_MAX;
use types::{
    Decode, DecodeError, Encode, GroupId, Hash, Instance, Kind, Reader, Slot, Turn, Writer,
};

/// The longest block of body and pad.
pub const BLOCK_MAX: usize = CONTROL_FRAME_MAX;

/// What selects a pad stream.
#[derive(Debug, Clone, Copy)]
pub struct PadKey {
    /// The group.
    pub group: GroupId,
    /// The instance.
    pub inst: Instance,
    /// The turn.
    pub turn: Turn,
    /// The kind of the message that carries the pad.
    pub kind: Kind,
    /// Its author.
    pub from: Slot,
    /// Its addressee.
    pub to: Slot,
}

impl PadKey {
    /// Fills `pad` with the stream.
    pub fn fill(&self, pad: &mut [u8]) {
        let mut key = Writer::with_capacity(64);
        key.put(&self.group);
        key.put(&self.inst);
        key.put(&self.turn);
        key.put(&self.kind);
        key.put(&self.from);
        key.put(&self.to);
        let key = Hash::tagged("pad stream", &key.finish());
        blake3::Hasher::new_keyed(key.as_bytes()).finalize_xof().fill(pad);
    }
}

/// A body and pad in one block.
#[derive(Clone, PartialEq, Eq)]
pub struct Padded {
    len: usize,
    block: Arc<[u8]>,
}

impl Padded {
    /// Pads `body` to `total` bytes; a body longer than that stays as it is.
    pub fn new(body: &[u8], total: usize, key: &PadKey) -> Self {
        let mut block = vec![0; total.max(body.len())];
        block[..body.len()].copy_from_slice(body);
        key.fill(&mut block[body.len()..]);
        Self { len: body.len(), block: block.into() }
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.block[..self.len]
    }

    /// Whether the block has the demanded length and the right stream.
    pub fn is_padded(&self, total: usize, key: &PadKey) -> bool {
        if self.block.len() != total {
            return false;
        }
        let mut pad = vec![0; total - self.len];
        key.fill(&mut pad);
        self.block[self.len..] == pad[..]
    }

    /// Bytes of body and pad.
    pub fn block_len(&self) -> usize {
        self.block.len()
    }
}

impl std::fmt::Debug for Padded {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Padded({} of {} bytes)", self.len, self.block.len())
    }
}

impl Encode for Padded {
    fn encode(&self, out: &mut Writer) {
        out.count(self.len);
        out.bytes(&self.block);
    }
}

impl Decode for Padded {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = input.u32()? as usize;
        let block = input.bytes("padded block", BLOCK_MAX)?;
        if len > block.len() {
            return Err(DecodeError::Malformed("padded body"));
        }
        Ok(Self { len, block: block.into() })
    }
}
