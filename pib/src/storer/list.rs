//! Entries of the StoreList, and the names of chunk files.

use crate::objects::{Op, Receipt};
use std::fmt;
use types::{Decode, DecodeError, Encode, Hash, Reader, Signed, Slot, Stamp, Writer};

/// The name of a chunk's file: a digest, so that it fits every file system. Every Put has a file
/// of its own; a new version never overwrites the old one before its receipt is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileName(pub Hash);

impl fmt::Display for FileName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.to_hex())
    }
}

/// One owner's name for a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OwnedName {
    pub owner: Slot,
    pub name: Hash,
}

impl OwnedName {
    /// The file of the Put with this stamp.
    pub fn file(&self, put: Stamp) -> FileName {
        let mut out = Writer::with_capacity(64);
        out.put(self);
        out.put(&put);
        FileName(Hash::tagged("chunk file", &out.finish()))
    }
}

/// What is held under a name: the latest statement accepted, and our receipt for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldEntry {
    /// The receipt, given again byte for byte when the request comes again.
    pub receipt: Box<Signed<Receipt>>,
    /// Stamp of the Put that brought the body; unused for a tombstone.
    pub put: Stamp,
}

impl HeldEntry {
    /// The owner's statement.
    pub fn info(&self) -> &Signed<crate::objects::StoreInfo> {
        &self.receipt.payload.info
    }

    /// Bytes of the chunk.
    pub fn size(&self) -> u64 {
        self.info().payload.size.0
    }

    /// Whether only the memory of a withdrawal is held.
    pub fn is_tombstone(&self) -> bool {
        self.info().payload.op == Op::Tombstone
    }

    /// The body's file, if there is a body.
    pub fn file(&self) -> Option<FileName> {
        let key = OwnedName { owner: self.info().header.slot, name: self.info().payload.name };
        (!self.is_tombstone()).then(|| key.file(self.put))
    }
}

impl Encode for OwnedName {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.owner);
        out.put(&self.name);
    }
}

impl Decode for OwnedName {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { owner: input.get()?, name: input.get()? })
    }
}

impl Encode for HeldEntry {
    fn encode(&self, out: &mut Writer) {
        out.put(self.receipt.as_ref());
        out.put(&self.put);
    }
}

impl Decode for HeldEntry {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { receipt: Box::new(input.get()?), put: input.get()? })
    }
}
