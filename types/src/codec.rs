//! The one canonical encoding: fixed layout, fixed-width little-endian integers, lists with a
//! `u32` count that the decoder bounds before it reads. No varints, no maps, no optional order.

use std::fmt;

/// Why bytes are not the encoding of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The input ended inside a value.
    #[error("input ends {missing} bytes early at offset {at}")]
    Short {
        /// Offset of the read that failed.
        at: usize,
        /// How many bytes were missing.
        missing: usize,
    },
    /// Bytes remain after the value.
    #[error("{0} bytes follow the value")]
    Trailing(usize),
    /// A list or byte string is longer than its limit.
    #[error("{what} has {len} items, more than the limit of {max}")]
    TooLong {
        /// Which field.
        what: &'static str,
        /// The stated length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// A field has a value outside its range or not in canonical form.
    #[error("{0} is malformed")]
    Malformed(&'static str),
}

/// Collects an encoding.
#[derive(Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty writer with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// The bytes written.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes as they are, without a length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    /// Two bytes, little-endian.
    pub fn u16(&mut self, value: u16) {
        self.raw(&value.to_le_bytes());
    }

    /// Four bytes, little-endian.
    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_le_bytes());
    }

    /// Eight bytes, little-endian.
    pub fn u64(&mut self, value: u64) {
        self.raw(&value.to_le_bytes());
    }

    /// A `u32` length and the bytes. Longer than `u32::MAX` is our own misuse.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.raw(bytes);
    }

    /// A `u32` count.
    pub fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).expect("own lists are bounded far below u32::MAX"));
    }

    /// A value.
    pub fn put<T: Encode + ?Sized>(&mut self, value: &T) {
        value.encode(self);
    }

    /// A `u32` count and the items.
    pub fn list<T: Encode>(&mut self, items: &[T]) {
        self.count(items.len());
        for item in items {
            item.encode(self);
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Writer({} bytes)", self.0.len())
    }
}

/// Items for which room is made before they are read.
const LIST_AHEAD_MAX: usize = 64;

/// Takes an encoding apart.
#[derive(Debug)]
pub struct Reader<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads from the start of `input`.
    pub fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0 }
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.input.len() - self.at
    }

    /// A second reader at the same place, to look ahead.
    pub fn fork(&self) -> Self {
        Self { input: self.input, at: self.at }
    }

    /// Fails unless everything was read.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            rest => Err(DecodeError::Trailing(rest)),
        }
    }

    /// The next `len` bytes.
    pub fn raw(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        if self.remaining() < len {
            return Err(DecodeError::Short { at: self.at, missing: len - self.remaining() });
        }
        let bytes = &self.input[self.at..self.at + len];
        self.at += len;
        Ok(bytes)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.raw(N)?);
        Ok(array)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    /// Two bytes, little-endian.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Four bytes, little-endian.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Eight bytes, little-endian.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A `u32` count of at most `max`.
    pub fn count(&mut self, what: &'static str, max: usize) -> Result<usize, DecodeError> {
        let len = self.u32()? as usize;
        if len > max {
            return Err(DecodeError::TooLong { what, len, max });
        }
        Ok(len)
    }

    /// A length-prefixed byte string of at most `max` bytes.
    pub fn bytes(&mut self, what: &'static str, max: usize) -> Result<&'a [u8], DecodeError> {
        let len = self.count(what, max)?;
        self.raw(len)
    }

    /// A length-prefixed UTF-8 string of at most `max` bytes.
    pub fn string(&mut self, what: &'static str, max: usize) -> Result<String, DecodeError> {
        let bytes = self.bytes(what, max)?;
        let text = std::str::from_utf8(bytes).map_err(|_| DecodeError::Malformed(what))?;
        Ok(text.to_owned())
    }

    /// A value.
    pub fn get<T: Decode>(&mut self) -> Result<T, DecodeError> {
        T::decode(self)
    }

    /// A counted list of at most `max` items. Memory grows with the input, not with the count.
    pub fn list<T: Decode>(
        &mut self,
        what: &'static str,
        max: usize,
    ) -> Result<Vec<T>, DecodeError> {
        let len = self.count(what, max)?;
        // An item takes at least a byte, but may be far larger in memory than on the wire.
        let mut items = Vec::with_capacity(len.min(self.remaining()).min(LIST_AHEAD_MAX));
        for _ in 0..len {
            items.push(T::decode(self)?);
        }
        Ok(items)
    }
}

/// A value with a canonical encoding.
pub trait Encode {
    /// Appends the encoding.
    fn encode(&self, out: &mut Writer);

    /// The encoding.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new();
        self.encode(&mut out);
        out.finish()
    }
}

/// A value that can be read back from its canonical encoding.
pub trait Decode: Sized {
    /// Reads one value and leaves what follows it.
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Reads a value that must fill `bytes`.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let value = Self::decode(&mut input)?;
        input.finish()?;
        Ok(value)
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Writer) {
        match self {
            None => out.u8(0),
            Some(value) => {
                out.u8(1);
                value.encode(out);
            }
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => Ok(None),
            1 => Ok(Some(T::decode(input)?)),
            _ => Err(DecodeError::Malformed("option tag")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Instance, Slot};

    #[test]
    fn list_count_above_limit_is_refused_before_items() {
        let mut out = Writer::new();
        out.u32(u32::MAX);
        let bytes = out.finish();
        let got = Reader::new(&bytes).list::<Slot>("slots", 64);
        assert_eq!(
            got,
            Err(DecodeError::TooLong { what: "slots", len: u32::MAX as usize, max: 64 })
        );
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut bytes = Instance(7).to_bytes();
        bytes.push(0);
        assert_eq!(Instance::from_bytes(&bytes), Err(DecodeError::Trailing(1)));
    }

    #[test]
    fn option_tag_other_than_0_or_1_is_refused() {
        assert_eq!(
            Option::<Slot>::from_bytes(&[2, 0, 0]),
            Err(DecodeError::Malformed("option tag"))
        );
    }

    proptest::proptest! {
        #[test]
        fn decode_of_any_bytes_reencodes_to_the_same_bytes(bytes in proptest::collection::vec(0u8..4, 0..12)) {
            if let Ok(value) = Option::<Instance>::from_bytes(&bytes) {
                proptest::prop_assert_eq!(value.to_bytes(), bytes);
            }
        }
    }
}
