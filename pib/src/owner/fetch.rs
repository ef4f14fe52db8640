//! Looking objects up, and asking for their chunks.

use super::list::{ObjectEntry, Standing};
use super::{Owner, body_len};
use crate::chunk::{ChunkId, ObjectKey, ObjectKind};
use crate::error::Error;
use crate::objects::{Part, Receipt, RetrieveRequest, header};
use crate::record::{Record, Table, read};
use crate::slice::SLICE_LEN;
use types::{Hash, Signed, Size, Slot, Stamp, Verified};

/// What is known of an object without touching its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectInfo {
    /// The object.
    pub key: ObjectKey,
    /// Its length in bytes.
    pub len: u64,
    /// Chunks.
    pub x: usize,
    /// Chunks that may be lost.
    pub f: usize,
    /// Chunks that are receipted.
    pub held: usize,
}

impl ObjectInfo {
    /// Whether every chunk is receipted.
    pub fn is_stored(&self) -> bool {
        self.held == self.x
    }

    /// Whether enough chunks are receipted to rebuild it if nobody cheats or vanishes.
    pub fn is_readable(&self) -> bool {
        self.held >= self.x - self.f
    }
}

/// One chunk of an object, for retrieval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkRef {
    /// Which chunk; indices below `x - f` are plain pieces of the object.
    pub chunk: ChunkId,
    /// Its storer.
    pub slot: Slot,
    /// Where it stands; only held ones have a receipt.
    pub standing: Standing,
    /// The name at the storer.
    pub name: Hash,
    /// Digest of the body.
    pub hash: Hash,
    /// Bytes of the body.
    pub size: Size,
    /// The last moment at which the owner may rely on it.
    pub relies_until: Stamp,
}

/// All chunks of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkSet {
    /// The object.
    pub key: ObjectKey,
    /// Its length in bytes.
    pub len: u64,
    /// Its version.
    pub stamp: Stamp,
    /// Chunks that may be lost.
    pub f: usize,
    /// By index.
    pub chunks: Vec<ChunkRef>,
}

/// One request for one chunk. The answer goes to [`crate::check_retrieve`] with this receipt.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// To be written first; usually empty.
    pub records: Vec<Record>,
    /// The storer.
    pub to: Slot,
    /// Which chunk.
    pub chunk: ChunkId,
    /// What the storer promised.
    pub receipt: Verified<Signed<Receipt>>,
    /// How much of it.
    pub part: Part,
    /// What is asked, signed.
    pub request: Verified<Signed<RetrieveRequest>>,
}

impl Owner {
    /// An object of the list.
    pub fn info(&self, key: &ObjectKey) -> Option<ObjectInfo> {
        self.objects.get(key).map(|entry| info(key, entry))
    }

    /// The objects of one kind, in order of their ids.
    pub fn list(&self, kind: ObjectKind) -> impl Iterator<Item = ObjectInfo> + '_ {
        let range = ObjectKey { kind, id: Hash::ZERO }..=ObjectKey { kind, id: Hash([255; 32]) };
        self.objects.range(range).map(|(key, entry)| info(key, entry))
    }

    /// Objects with chunks that are not receipted, which [`Owner::plan_put`] resumes: those whose
    /// storing was interrupted, and those that lost a storer.
    pub fn incomplete(&self) -> impl Iterator<Item = ObjectInfo> + '_ {
        let all = self.objects.iter().map(|(key, entry)| info(key, entry));
        all.filter(|info| !info.is_stored())
    }

    /// The chunks of an object.
    pub fn lookup(&self, key: &ObjectKey) -> Option<ChunkSet> {
        let entry = self.objects.get(key)?;
        let size = Size(body_len(entry).ok()?);
        let chunks = entry.chunks.iter().enumerate().map(|(index, known)| {
            let chunk = ChunkId { object: *key, index: index as u8 };
            ChunkRef {
                chunk,
                slot: known.slot,
                standing: known.standing,
                name: self.maker.name(chunk, entry.stamp),
                hash: known.hash,
                size,
                relies_until: self.config.rules.owner_relies_until(known.stamp),
            }
        });
        let (len, stamp, f) = (entry.len, entry.stamp, usize::from(entry.f));
        Some(ChunkSet { key: *key, len, stamp, f, chunks: chunks.collect() })
    }

    /// The chunks of every object, in order of keys.
    pub fn sets(&self) -> impl Iterator<Item = ChunkSet> + '_ {
        self.objects.keys().filter_map(|key| self.lookup(key))
    }

    /// Whether [`Owner::restore`] has no use for the record under this key: receipts are read only
    /// when they are needed.
    pub fn is_cold(key: &[u8]) -> bool {
        matches!(Table::of(key), Some((Table::Receipt, _)))
    }

    /// Whether [`Owner::restore`] needs the key of this record only, not its value.
    pub fn is_key_only(key: &[u8]) -> bool {
        matches!(Table::of(key), Some((Table::Reject, _)))
    }

    /// The member's slot.
    pub fn slot(&self) -> Slot {
        self.config.slot
    }

    /// Key of the record that holds a chunk's receipt.
    pub fn receipt_key(chunk: ChunkId) -> Vec<u8> {
        Table::Receipt.key(&chunk)
    }

    /// One of the chunks that a storer holds, drawn with a random number, and the place of a slice in it.
    /// Every chunk is as likely as any other: what is asked for cannot be foreseen (7.9).
    pub fn draw(&self, slot: Slot, random: u64) -> Option<(ChunkRef, u64)> {
        let held = || {
            let all = self.objects.iter().flat_map(|(key, entry)| {
                let chunks = entry.chunks.iter().enumerate();
                chunks.map(move |(index, chunk)| (key, index, chunk))
            });
            all.filter(|(.., chunk)| chunk.slot == slot && chunk.standing == Standing::Held)
        };
        let count = held().count() as u64;
        let (key, index, _) = held().nth(random.checked_rem(count)? as usize)?;
        let chunk = self.lookup(key)?.chunks.into_iter().nth(index)?;
        let slices = chunk.size.0.div_ceil(SLICE_LEN).max(1);
        // The quotient is as random as the remainder as long as there are far fewer chunks than numbers.
        Some((chunk, random / count % slices * SLICE_LEN))
    }

    /// Signs a request for a chunk whose receipt was loaded from its record.
    pub fn retrieve_request(
        &mut self,
        now: Stamp,
        chunk: ChunkId,
        receipt: &[u8],
        part: Part,
    ) -> Result<Fetch, Error> {
        let ChunkId { object, index } = chunk;
        let entry = self.objects.get(&object).ok_or(Error::UnknownObject(object))?;
        let known = entry.chunks.get(usize::from(index)).ok_or(Error::NotHeld { object, index })?;
        let receipt: Signed<Receipt> = read(&Self::receipt_key(chunk), receipt)?;
        let info = &receipt.payload.info.payload;
        if known.standing != Standing::Held || known.stamp != info.stamp || known.hash != info.hash
        {
            return Err(Error::NotHeld { object, index });
        }
        let to = known.slot;
        let mut records = std::mem::take(&mut self.unsaved);
        let stamp = self.stamps.take(now, &mut records);
        let request = RetrieveRequest { receipt: receipt.clone(), part, stamp };
        let header = header(self.config.slot, self.config.ident);
        let request = Signed::new(&self.key, &self.config.group, header, request);
        let receipt = Verified::from_own_store(receipt);
        Ok(Fetch { records, to, chunk, receipt, part, request })
    }
}

fn info(key: &ObjectKey, entry: &ObjectEntry) -> ObjectInfo {
    let held = entry.chunks.iter().filter(|chunk| chunk.standing == Standing::Held).count();
    ObjectInfo { key: *key, len: entry.len, x: entry.chunks.len(), f: usize::from(entry.f), held }
}
