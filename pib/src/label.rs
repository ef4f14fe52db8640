//! The sealed label at the head of every chunk body.
//!
//! It tells its owner, and nobody else, which chunk of which object it is, so that an owner that
//! lost its disk rebuilds its OwnList from the chunks alone (specification 7.1: recovery needs
//! only the secret). A storer sees 80 bytes that look random.
//!
//! Sealed with ChaCha20-Poly1305 under a key of the member; the nonce is derived from the chunk's
//! name by a keyed hash, and the name is bound as associated data. A name determines its label
//! (names cover everything but the length, and an object's stamp is never used for a second
//! content), so no nonce ever serves two plaintexts.
//!
//! The content behind the label is **not** encrypted here: the object layer above encrypts every
//! object that it hands down, the configuration object included. Encrypting the bulk twice would
//! cost half the throughput for nothing.

use crate::chunk::{ChunkId, ObjectKey};
use crate::error::Error;
use crate::keys::Secrets;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use types::{Decode, DecodeError, Encode, Hash, KeyedHash, Reader, Size, Stamp, Writer};

/// Bytes of a sealed label: version, padded content, tag.
pub const LABEL_LEN: usize = 80;
const VERSION: u8 = 1;
const TAG_LEN: usize = 16;
const PLAIN_LEN: usize = LABEL_LEN - 1 - TAG_LEN;

/// What a chunk says about itself to its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// Which chunk of which object.
    pub chunk: ChunkId,
    /// Bytes of the object.
    pub len: Size,
    /// Which version of the object.
    pub stamp: Stamp,
    /// Chunks of the object.
    pub x: u8,
    /// Chunks that may be lost.
    pub f: u8,
}

impl Encode for Label {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.chunk.object);
        out.u8(self.chunk.index);
        out.put(&self.len);
        out.put(&self.stamp);
        out.u8(self.x);
        out.u8(self.f);
    }
}

impl Decode for Label {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let object: ObjectKey = input.get()?;
        let index = input.u8()?;
        let label = Self {
            chunk: ChunkId { object, index },
            len: input.get()?,
            stamp: input.get()?,
            x: input.u8()?,
            f: input.u8()?,
        };
        if label.f >= label.x || index >= label.x {
            return Err(DecodeError::Malformed("label"));
        }
        Ok(label)
    }
}

impl Label {
    /// Seals the label of the chunk with this name.
    pub fn seal(&self, secrets: &Secrets, name: &Hash) -> Result<[u8; LABEL_LEN], Error> {
        let mut plain = self.to_bytes();
        plain.resize(PLAIN_LEN, 0);
        let tag = key(secrets)?
            .seal_in_place_separate_tag(nonce(secrets, name), aad(name), &mut plain)
            .map_err(|_| Error::Crypto)?;
        let mut sealed = [VERSION; LABEL_LEN];
        sealed[1..1 + PLAIN_LEN].copy_from_slice(&plain);
        sealed[1 + PLAIN_LEN..].copy_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens the label at the head of the body of the chunk with this name.
    pub fn open(secrets: &Secrets, name: &Hash, body: &[u8]) -> Result<Self, Error> {
        let (head, sealed) = match body.get(..LABEL_LEN).and_then(<[u8]>::split_first) {
            Some((head, sealed)) if *head == VERSION => (head, sealed),
            _ => return Err(Error::BadLabel),
        };
        debug_assert_eq!(*head, VERSION);
        let mut sealed = sealed.to_vec();
        let plain = key(secrets)?
            .open_in_place(nonce(secrets, name), aad(name), &mut sealed)
            .map_err(|_| Error::BadLabel)?;
        let mut input = Reader::new(plain);
        let label = input.get::<Self>().map_err(|_| Error::BadLabel)?;
        match input.raw(input.remaining()) {
            Ok(padding) if padding.iter().all(|byte| *byte == 0) => Ok(label),
            _ => Err(Error::BadLabel),
        }
    }
}

fn key(secrets: &Secrets) -> Result<LessSafeKey, Error> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, secrets.label()).map_err(|_| Error::Crypto)?;
    Ok(LessSafeKey::new(key))
}

fn nonce(secrets: &Secrets, name: &Hash) -> Nonce {
    let hash = KeyedHash::new(secrets.nonces()).update(name.as_bytes()).finish();
    let mut nonce = [0; 12];
    nonce.copy_from_slice(&hash.as_bytes()[..12]);
    Nonce::assume_unique_for_key(nonce)
}

fn aad(name: &Hash) -> Aad<[u8; 32]> {
    Aad::from(*name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::ObjectKind;

    fn label() -> Label {
        let object = ObjectKey { kind: ObjectKind::Pack, id: Hash::of(b"pack") };
        Label {
            chunk: ChunkId { object, index: 4 },
            len: Size(1 << 20),
            stamp: Stamp(1_700_000_000_000),
            x: 9,
            f: 2,
        }
    }

    #[test]
    fn label_opens_with_the_same_secrets_and_name_only() {
        let (secrets, name) = (Secrets::from_master(&[1; 32]), Hash::of(b"name"));
        let sealed = label().seal(&secrets, &name).unwrap();
        assert_eq!(Label::open(&secrets, &name, &sealed), Ok(label()));
        let other = Secrets::from_master(&[2; 32]);
        assert_eq!(Label::open(&other, &name, &sealed), Err(Error::BadLabel));
        let wrong = Hash::of(b"other name");
        assert_eq!(Label::open(&secrets, &wrong, &sealed), Err(Error::BadLabel));
    }

    #[test]
    fn label_with_any_bit_flipped_does_not_open() {
        let (secrets, name) = (Secrets::from_master(&[1; 32]), Hash::of(b"name"));
        let sealed = label().seal(&secrets, &name).unwrap();
        for at in 0..LABEL_LEN {
            let mut damaged = sealed;
            damaged[at] ^= 1;
            assert_eq!(Label::open(&secrets, &name, &damaged), Err(Error::BadLabel), "{at}");
        }
        assert_eq!(Label::open(&secrets, &name, &sealed[..79]), Err(Error::BadLabel));
    }
}
