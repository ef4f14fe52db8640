//! What a member needs of its disk.
//!
//! Assumes: the disk keeps what a sync returned for. Required of an implementation, and relied on by
//! the driver: 1. the future of [`Store::commit`] completes with `Ok` only when its writes survive a
//! power cut; 2. the writes of one call are there all or none; 3. calls take effect in the order of the
//! calls, whether or not their futures are polled: nothing durable rests on something that is not;
//! 4. after one failure every later call fails.

use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The disk cannot be read or written. The member ends: it must not say anything any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub Arc<str>);

/// Key spaces: what belongs to the state machine, what its log built, and what convicts somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Space {
    /// Sign-once log, accepted values, decisions.
    Log,
    /// The application's snapshot with the place it stands at, and an alarm if there was one.
    Applied,
    /// Proofs of misbehavior: accused slot (2 bytes, big-endian), kind, digest; the value is the file.
    Proofs,
    /// What level 1 said and waits for.
    Work,
}

impl Space {
    /// All of them.
    pub const ALL: [Space; 4] = [Space::Log, Space::Applied, Space::Proofs, Space::Work];
}

/// One write: a value to put, or `None` to delete the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Where.
    pub space: Space,
    /// The key; keys are ordered as bytes.
    pub key: Vec<u8>,
    /// The new value; `None` deletes.
    pub value: Option<Vec<u8>>,
}

/// An ordered durable map. [`FileStore`](crate::FileStore) is one; a program that has a database already
/// implements this over it.
pub trait Store: Send + Sync + 'static {
    /// Makes the writes durable. No writes: completes when those of all earlier calls are durable.
    fn commit(
        &self,
        writes: Vec<Write>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + 'static;

    /// One value, as of some moment after the last commit that completed.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Calls `visit` for every key and value in the range, in key order.
    fn scan(
        &self,
        space: Space,
        range: RangeInclusive<Vec<u8>>,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), StoreError>;

    /// The greatest key in the range.
    fn last_key(
        &self,
        space: Space,
        range: RangeInclusive<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>, StoreError>;
}
