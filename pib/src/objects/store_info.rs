//! StoreInfo: an owner's promise and instruction about one chunk at one storer.

use types::limits::CHUNK_LEN_MAX;
use types::{
    Decode, DecodeError, Encode, Hash, Kind, Reader, Signed, SignedPayload, Size, Slot, Stamp,
    Writer,
};

/// What the storer is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// Hold the chunk that comes with the request.
    Put,
    /// Hold what it holds under this name for another lease.
    Renew,
    /// Let go of it (issue P4).
    Tombstone,
}

/// The payload of a StoreInfo; owner and identity are in the signed header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreInfo {
    /// What to do.
    pub op: Op,
    /// Who is to do it; all linked identities of that slot are bound.
    pub storer: Slot,
    /// A name that says nothing to the storer; unique per owner and storer.
    pub name: Hash,
    /// Digest of the chunk body; zero for a tombstone.
    pub hash: Hash,
    /// Bytes of the chunk body; zero for a tombstone.
    pub size: Size,
    /// The owner's clock, strictly increasing.
    pub stamp: Stamp,
}

impl StoreInfo {
    /// Whether `self` takes the place of `other`, given that one owner line signed both: same
    /// name and storer, later stamp (specification 7.1).
    pub fn supersedes(&self, other: &Self) -> bool {
        self.name == other.name && self.storer == other.storer && self.stamp > other.stamp
    }

    /// Whether a Renew speaks about the very chunk that `other` does.
    pub fn same_chunk(&self, other: &Self) -> bool {
        self.hash == other.hash && self.size == other.size
    }
}

/// Whether one signed StoreInfo takes the place of another: also the owner line is the same.
pub(crate) fn supersedes(new: &Signed<StoreInfo>, old: &Signed<StoreInfo>) -> bool {
    new.header.slot == old.header.slot && new.payload.supersedes(&old.payload)
}

impl Encode for StoreInfo {
    fn encode(&self, out: &mut Writer) {
        out.u8(match self.op {
            Op::Put => 0,
            Op::Renew => 1,
            Op::Tombstone => 2,
        });
        out.put(&self.storer);
        out.put(&self.name);
        out.put(&self.hash);
        out.put(&self.size);
        out.put(&self.stamp);
    }
}

impl Decode for StoreInfo {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let op = match input.u8()? {
            0 => Op::Put,
            1 => Op::Renew,
            2 => Op::Tombstone,
            _ => return Err(DecodeError::Malformed("operation")),
        };
        let info = Self {
            op,
            storer: input.get()?,
            name: input.get()?,
            hash: input.get()?,
            size: input.get()?,
            stamp: input.get()?,
        };
        let empty = info.hash == Hash::ZERO && info.size == Size(0);
        if (op == Op::Tombstone && !empty) || info.size.0 > CHUNK_LEN_MAX as u64 {
            return Err(DecodeError::Malformed("size of StoreInfo"));
        }
        Ok(info)
    }
}

impl SignedPayload for StoreInfo {
    const KIND: Kind = Kind::StoreInfo;
}
