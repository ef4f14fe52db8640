//! The storage below a repository: immutable objects of a few MiB, named by kind and id.
//!
//! Assumes: a store keeps an object for as long as it said it would, and returns the bytes it was given.
//! Guarantees asked of an implementation: `put` returns only when the object is as safe as the group
//! promises; a listed object can be read; the same `put` twice is harmless.
//! Bounds: an object is at most [`crate::RepoOptions::object_bytes_max`] long.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

/// What an object is for; decides where restic's layout keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// The repository's parameters; exactly one, always under [`ObjectId::CONFIG`].
    Config,
    /// The repository key, wrapped by a password (only stock restic needs it).
    Key,
    /// One snapshot: when, where from, and the root of its tree.
    Snapshot,
    /// Which blob is where in which pack.
    Index,
    /// Encrypted blobs of files or of trees.
    Pack,
}

impl ObjectKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Config, Self::Key, Self::Snapshot, Self::Index, Self::Pack];

    /// The folder name of restic's layout.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Key => "keys",
            Self::Snapshot => "snapshots",
            Self::Index => "index",
            Self::Pack => "data",
        }
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ObjectKind {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| StoreError::Other(format!("`{text}` is no kind of object")))
    }
}

/// The SHA-256 of an object's bytes (except for the config object, see [`ObjectId::CONFIG`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub [u8; 32]);

impl ObjectId {
    /// The id of the one config object; the only id that is not a hash of the bytes.
    pub const CONFIG: Self = Self([0; 32]);

    /// 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ObjectId {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || StoreError::Other(format!("`{text}` is no object id (64 hexadecimal digits)"));
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let mut id = [0; 32];
        for (i, byte) in id.iter_mut().enumerate() {
            let digits = text.get(2 * i..2 * i + 2).ok_or_else(bad)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| bad())?;
        }
        Ok(Self(id))
    }
}

/// Why a store could not do what was asked; each kind has an exit code of its own in the CLI.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store has no such object.
    #[error("no such object; run `pib check` to see which snapshots need it")]
    NotFound,
    /// The member's quota or credit is used up.
    #[error(
        "the space you may use is full; free some with `pib forget` and `pib prune`, or offer more space to the group"
    )]
    Full,
    /// Too few members answered to store or read safely.
    #[error(
        "only {reached} of the {needed} members needed could be reached; try again when more are up (see `pib status`)"
    )]
    NotEnoughMembers {
        /// Members that answered.
        reached: u32,
        /// Members needed.
        needed: u32,
    },
    /// The local daemon does not answer.
    #[error("the daemon does not answer; start it with `pib daemon` and try again")]
    DaemonUnreachable,
    /// No answer within the time allowed.
    #[error("no answer in time; check the network and try again")]
    Timeout,
    /// What came back is not what was stored.
    #[error("what came back is not what was stored; run `pib check --read-data`, then `pib audit`")]
    Corrupt,
    /// The caller asked to stop.
    #[error("stopped as asked; run the same command again to go on where it stopped")]
    Cancelled,
    /// Anything else, in words.
    #[error("{0}; see the log of the daemon and try again")]
    Other(String),
}

/// Where a repository's objects live. All calls may come from many threads at once.
pub trait ObjectStore: Send + Sync + 'static {
    /// All objects of a kind with their sizes in bytes.
    ///
    /// # Errors
    /// When the store cannot say for sure what it has: a partial list must be an error.
    fn list(&self, kind: ObjectKind) -> Result<Vec<(ObjectId, u64)>, StoreError>;

    /// An object's bytes, or the range `(offset, length)` of them.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such object, [`StoreError::Corrupt`] when the range is
    /// not inside it.
    fn get(
        &self,
        kind: ObjectKind,
        id: ObjectId,
        range: Option<(u64, u64)>,
    ) -> Result<Bytes, StoreError>;

    /// Stores an object. Returns when it is stored as safely as the group promises (all receipts).
    ///
    /// # Errors
    /// When the object is not known to be that safe.
    fn put(&self, kind: ObjectKind, id: ObjectId, bytes: Bytes) -> Result<(), StoreError>;

    /// Gives an object up.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such object.
    fn remove(&self, kind: ObjectKind, id: ObjectId) -> Result<(), StoreError>;
}

/// Cuts a range out of an object, as every store needs it.
///
/// # Errors
/// [`StoreError::Corrupt`] when the range does not lie inside the object.
pub fn cut(bytes: &Bytes, range: Option<(u64, u64)>) -> Result<Bytes, StoreError> {
    let Some((offset, length)) = range else {
        return Ok(bytes.clone());
    };
    let start = usize::try_from(offset).map_err(|_| StoreError::Corrupt)?;
    let length = usize::try_from(length).map_err(|_| StoreError::Corrupt)?;
    let end = start.checked_add(length).ok_or(StoreError::Corrupt)?;
    if end > bytes.len() {
        return Err(StoreError::Corrupt);
    }
    Ok(bytes.slice(start..end))
}
