//! All snapshots of a repository below one mount point, read-only, over FUSE.
//!
//! ```text
//! latest                     -> by-time/...
//! by-time/2026-05-01T12-00-00Z/home/...
//! by-tag/TAG/2026-05-01T12-00-00Z/home/...
//! by-host/HOST/2026-05-01T12-00-00Z/home/...
//! ```
//!
//! Assumes: Linux with `/dev/fuse`; as a plain user also `fusermount3`.
//! Guarantees: (1) each operation ends within [`MountOptions::timeout`], with `EIO` if the store is too
//! slow; (2) an operation that waits for the store does not keep others waiting; (3) content, modes, owners,
//! times, links, hard links and extended attributes are those of the snapshot; (4) new snapshots show up
//! without mounting again; (5) a mount point left behind by a killed process is cleaned up by the next mount.
//! Bounds: [`MountOptions::threads_max`] threads, [`MountOptions::inodes_max`] inodes (beyond it the kernel
//! is asked to forget some), caches as in [`snapshot::SnapshotFs`].

mod attributes;
mod deadline;
mod error;
mod filesystem;
mod inodes;
mod layout;
mod mount;
mod pool;
mod shared;

pub use error::MountError;
pub use mount::{MountHandle, MountOptions, availability, mount};
