//! Files to objects and back: incremental, deduplicated, encrypted snapshots in restic's repository
//! format, with PIB as the storage.
//!
//! The work of walking, chunking, compressing, encrypting and indexing is `rustic_core`'s. This crate
//! gives it a storage backend ([`ObjectStore`]), makes it safe to interrupt, names what could not be read,
//! restores with bounded memory, and offers a read-only view for a mount ([`SnapshotFs`]).
//!
//! Assumes: an [`ObjectStore`] that keeps what it acknowledged; one writer at a time.
//! Guarantees: see [`Repo`].
//! Bounds: memory does not grow with the size of what is backed up, but for the index (about 50 bytes for
//! each MiB stored).
//! Deviations: hard links, metadata and folders above the sources are handled here, since the library
//! logs and forgets errors in them; its own restore is not used, as it panics on storage errors and its
//! memory has no bound.

mod backend;
mod backup;
mod check;
mod control;
mod diff;
mod error;
mod forget;
mod list;
mod lru;
mod node;
mod object;
mod repo;
mod restore;
mod restore_content;
mod restore_meta;
mod source;
mod stage;
mod store_folder;
mod store_memory;
mod view;

pub use backup::{BackupOptions, BackupReport};
pub use check::CheckReport;
pub use control::{CancelToken, NoProgress, Progress, ProgressSink};
pub use diff::Change;
pub use error::SnapshotError;
pub use forget::{ForgetReport, ForgottenSnapshot, KeepPolicy, PruneOptions, PruneReport};
pub use list::{SnapshotFilter, SnapshotInfo, SnapshotSummary};
pub use node::{Node, NodeKind};
pub use object::{ObjectId, ObjectKind, ObjectStore, StoreError};
pub use repo::{Repo, RepoOptions, RepoSecret};
pub use restore::{RestoreOptions, RestoreReport};
pub use source::UNREADABLE_MAX;
pub use store_folder::FolderStore;
pub use store_memory::InMemoryStore;
pub use view::{FileHandle, SnapshotFs};
