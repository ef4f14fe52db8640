//! Durable state as data: small keys and values that the runner writes in one transaction.

use crate::error::Error;
use types::{Decode, Encode, Writer};

/// One change of the durable state. A step's records belong to one transaction, which must be
/// durable before anything that the step lets out of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The key; owner and storer keys never collide.
    pub key: Vec<u8>,
    /// The new value, or `None` to delete.
    pub value: Option<Vec<u8>>,
}

/// First byte of every key: whose record it is, and of which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Table {
    /// High-water marks of stamps, by lane.
    Stamp = 1,
    /// Owner: objects and the state of their chunks.
    Object = 2,
    /// Owner: receipts, by object and index.
    Receipt = 3,
    /// Owner: promises to withdraw, by storer and name.
    Grave = 4,
    /// Owner: rejects kept as exculpation, by storer and name.
    Reject = 5,
    /// Storer: what is held, by owner and name.
    Held = 16,
    /// Storer: rejects given, by owner and name.
    Refused = 17,
}

impl Table {
    /// The table of a key.
    pub(crate) fn of(key: &[u8]) -> Option<(Self, &[u8])> {
        let (first, rest) = key.split_first()?;
        let table = match first {
            1 => Self::Stamp,
            2 => Self::Object,
            3 => Self::Receipt,
            4 => Self::Grave,
            5 => Self::Reject,
            16 => Self::Held,
            17 => Self::Refused,
            _ => return None,
        };
        Some((table, rest))
    }

    /// The key of a value in this table.
    pub(crate) fn key<K: Encode>(self, key: &K) -> Vec<u8> {
        let mut out = Writer::with_capacity(48);
        out.u8(self as u8);
        out.put(key);
        out.finish()
    }
}

impl Record {
    /// Sets a key.
    pub(crate) fn set<K: Encode, V: Encode>(table: Table, key: &K, value: &V) -> Self {
        Self { key: table.key(key), value: Some(value.to_bytes()) }
    }

    /// Deletes a key.
    pub(crate) fn delete<K: Encode>(table: Table, key: &K) -> Self {
        Self { key: table.key(key), value: None }
    }
}

/// Reads a part of one of our own records.
pub(crate) fn read<T: Decode>(record_key: &[u8], bytes: &[u8]) -> Result<T, Error> {
    T::from_bytes(bytes).map_err(|why| bad_record(record_key, why))
}

/// The error for a record that cannot be read.
pub(crate) fn bad_record(key: &[u8], why: types::DecodeError) -> Error {
    let key = key.iter().take(40).map(|byte| format!("{byte:02x}")).collect();
    Error::BadRecord { key, why }
}
