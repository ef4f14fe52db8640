//! Objects, their chunks, and the way between them: code, label, hash.

use crate::code::Code;
use crate::error::Error;
use crate::keys::Secrets;
use crate::label::{LABEL_LEN, Label};
use bytes::Bytes;
use std::fmt;
use types::{Decode, DecodeError, Encode, Hash, KeyedHash, Reader, Size, Stamp, Writer};

/// What the layer above calls its objects. A closed list, after restic's repository format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ObjectKind {
    /// The repository's configuration; one per repository.
    Config = 0,
    /// Which blob is in which pack.
    Index = 1,
    /// A wrapped repository key.
    Key = 2,
    /// A snapshot.
    Snapshot = 3,
    /// Blobs.
    Pack = 4,
}

impl ObjectKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Config, Self::Index, Self::Key, Self::Snapshot, Self::Pack];

    /// The name in restic's repository format.
    pub fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Index => "index",
            Self::Key => "keys",
            Self::Snapshot => "snapshots",
            Self::Pack => "data",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// The owner's own name of an object; no storer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// What it is.
    pub kind: ObjectKind,
    /// Which one.
    pub id: Hash,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ObjectKind::Config => "config",
            ObjectKind::Index => "index",
            ObjectKind::Key => "key",
            ObjectKind::Snapshot => "snapshot",
            ObjectKind::Pack => "pack",
        };
        write!(out, "{kind} {}", self.id)
    }
}

impl Encode for ObjectKey {
    fn encode(&self, out: &mut Writer) {
        out.u8(self.kind as u8);
        out.put(&self.id);
    }
}

impl Decode for ObjectKey {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = ObjectKind::ALL.get(usize::from(input.u8()?)).copied();
        let kind = kind.ok_or(DecodeError::Malformed("kind of object"))?;
        Ok(Self { kind, id: input.get()? })
    }
}

/// One chunk of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId {
    /// The object.
    pub object: ObjectKey,
    /// Place in the code, `0..x`; below `x - f` it is a plain piece of the object.
    pub index: u8,
}

impl Encode for ChunkId {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.object);
        out.u8(self.index);
    }
}

impl Decode for ChunkId {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { object: input.get()?, index: input.u8()? })
    }
}

/// A chunk body, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Label and content.
    pub body: Bytes,
    /// Digest of the body.
    pub hash: Hash,
}

/// Makes chunks of objects and objects of chunks. It holds no state but keys and tables, so that
/// clones work on other threads while the owner goes on.
#[derive(Debug, Clone)]
pub struct Maker {
    code: Code,
    secrets: Secrets,
}

impl Maker {
    /// A maker for one code and one member's secrets.
    pub fn new(code: Code, secrets: Secrets) -> Self {
        Self { code, secrets }
    }

    /// The code.
    pub fn code(&self) -> &Code {
        &self.code
    }

    /// Bytes of each chunk body of an object of `len` bytes.
    pub fn body_len(&self, len: u64) -> Result<u64, Error> {
        Ok((self.code.part_len(len)? + LABEL_LEN) as u64)
    }

    /// The name of a chunk of the version `stamp` of an object: a keyed hash that no storer can
    /// link to the object, to its other chunks or to its other versions.
    pub fn name(&self, chunk: ChunkId, stamp: Stamp) -> Hash {
        KeyedHash::new(self.secrets.names())
            .update(&chunk.to_bytes())
            .update(&stamp.to_bytes())
            .finish()
    }

    /// All chunks of the version `stamp` of an object. They share one buffer.
    pub fn chunks(&self, key: ObjectKey, stamp: Stamp, object: &[u8]) -> Result<Vec<Chunk>, Error> {
        let pitch = self.body_len(object.len() as u64)? as usize;
        let mut buffer = self.code.encode(object, LABEL_LEN)?;
        for (index, body) in buffer.chunks_mut(pitch).enumerate() {
            let label = Label {
                chunk: ChunkId { object: key, index: index as u8 },
                len: Size(object.len() as u64),
                stamp,
                x: self.code.x() as u8,
                f: self.code.f() as u8,
            };
            let name = self.name(label.chunk, stamp);
            body[..LABEL_LEN].copy_from_slice(&label.seal(&self.secrets, &name)?);
        }
        let buffer = Bytes::from(buffer);
        let bodies =
            (0..self.code.x()).map(|index| buffer.slice(index * pitch..(index + 1) * pitch));
        Ok(bodies.map(|body| Chunk { hash: Hash::of(&body), body }).collect())
    }

    /// The object of `len` bytes from any `x - f` chunk bodies, by index. Bodies must have passed
    /// [`crate::check_retrieve`], which compares them with the signed hash.
    pub fn object(&self, len: u64, bodies: &[Option<Bytes>]) -> Result<Vec<u8>, Error> {
        let expected = self.body_len(len)?;
        let mut parts = Vec::with_capacity(bodies.len());
        for body in bodies {
            parts.push(match body {
                None => None,
                Some(body) if body.len() as u64 == expected => Some(&body[LABEL_LEN..]),
                Some(body) => {
                    let got = body.len() as u64;
                    return Err(Error::WrongShape { what: "a chunk", got, expected });
                }
            });
        }
        self.code.decode(len, &parts)
    }

    /// What a chunk found at a storer under `name` is.
    pub fn label(&self, name: &Hash, body: &[u8]) -> Result<Label, Error> {
        Label::open(&self.secrets, name, body)
    }
}

#[cfg(test)]
mod tests;
