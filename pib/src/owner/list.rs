//! Entries of the OwnList, compact in memory: a receipt itself lives only in its record.

use crate::chunk::ObjectKey;
use types::limits::CHUNKS_MAX;
use types::{Decode, DecodeError, Encode, Hash, Reader, Slot, Stamp, Writer};

/// Where one chunk stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Not promised to anybody: refused, lapsed, or about to move. No bytes reserved.
    Vacant,
    /// A StoreInfo is, or may be, on its way.
    Pending,
    /// Receipted.
    Held,
}

/// One chunk: 56 bytes in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChunkEntry {
    /// The storer it was, is or will be promised to.
    pub slot: Slot,
    /// Where it stands.
    pub standing: Standing,
    /// Digest of the chunk body.
    pub hash: Hash,
    /// Stamp of the pending or receipted StoreInfo.
    pub stamp: Stamp,
    /// Stamp of a Renew that is not answered yet; zero without one.
    pub renewal: Stamp,
}

impl ChunkEntry {
    /// The latest stamp under which the storer may hold it.
    pub fn latest(&self) -> Stamp {
        self.stamp.max(self.renewal)
    }
}

/// One version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectEntry {
    /// Which version; part of the chunks' names.
    pub stamp: Stamp,
    /// Bytes of the object.
    pub len: u64,
    /// Chunks that may be lost; their number is that of `chunks`.
    pub f: u8,
    /// By index.
    pub chunks: Box<[ChunkEntry]>,
}

/// Key of what is said to one storer about one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub slot: Slot,
    pub name: Hash,
}

/// A promise to withdraw; its bytes stay reserved until the storer confirms, or surely let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grave {
    /// Bytes reserved.
    pub size: u64,
    /// The latest stamp under which the storer may hold the chunk.
    pub held_stamp: Stamp,
    /// Stamp of the tombstone.
    pub stamp: Stamp,
}

/// Key of a reject kept as exculpation: which StoreInfo was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RefusedKey {
    pub place: Place,
    pub stamp: Stamp,
}

impl Encode for ChunkEntry {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.slot);
        out.u8(match self.standing {
            Standing::Vacant => 0,
            Standing::Pending => 1,
            Standing::Held => 2,
        });
        out.put(&self.hash);
        out.put(&self.stamp);
        out.put(&self.renewal);
    }
}

impl Decode for ChunkEntry {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let slot = input.get()?;
        let standing = match input.u8()? {
            0 => Standing::Vacant,
            1 => Standing::Pending,
            2 => Standing::Held,
            _ => return Err(DecodeError::Malformed("standing of chunk")),
        };
        Ok(Self { slot, standing, hash: input.get()?, stamp: input.get()?, renewal: input.get()? })
    }
}

impl Encode for ObjectEntry {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.stamp);
        out.u64(self.len);
        out.u8(self.f);
        out.list(&self.chunks);
    }
}

impl Decode for ObjectEntry {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (stamp, len, f) = (input.get()?, input.u64()?, input.u8()?);
        let chunks = input.list::<ChunkEntry>("chunks", CHUNKS_MAX)?.into_boxed_slice();
        if usize::from(f) >= chunks.len() {
            return Err(DecodeError::Malformed("code of object"));
        }
        Ok(Self { stamp, len, f, chunks })
    }
}

impl Encode for Place {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.slot);
        out.put(&self.name);
    }
}

impl Decode for Place {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { slot: input.get()?, name: input.get()? })
    }
}

impl Encode for Grave {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.size);
        out.put(&self.held_stamp);
        out.put(&self.stamp);
    }
}

impl Decode for Grave {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { size: input.u64()?, held_stamp: input.get()?, stamp: input.get()? })
    }
}

impl Encode for RefusedKey {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.place);
        out.put(&self.stamp);
    }
}

impl Decode for RefusedKey {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { place: input.get()?, stamp: input.get()? })
    }
}

/// One line of the OwnList as its digest sees it.
pub(crate) fn link(digest: &Hash, key: &ObjectKey, entry: &ObjectEntry) -> Hash {
    let mut out = Writer::with_capacity(1024);
    out.put(digest);
    out.put(key);
    out.put(entry);
    Hash::tagged("own list entry", &out.finish())
}
