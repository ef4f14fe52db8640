//! Durable state of a member: promises in redb, chunk bodies in plain files, what can be rebuilt
//! in sled.
//!
//! Ordering, enforced here and relied on everywhere: a chunk body is on disk (file and folder
//! synced) before the record that promises it is committed, and a record is committed before the
//! message that it stands behind leaves. See [`promises::Promises::commit`].

pub mod bodies;
pub mod cache;
pub mod lock;
pub mod promises;
