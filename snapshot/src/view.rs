//! A read-only view of all snapshots, for a mount.
//!
//! Guarantees: thread safe; a slow read of one file does not hold up calls that need other data; new
//! snapshots show up after [`SnapshotFs::refresh`], and what was opened before stays readable.
//! Bounds: [`FOLDER_CACHE_BYTES`] of folder listings, 32 MB of decrypted blobs (the library's own cache),
//! [`READ_AHEAD_BYTES`] fetched ahead of a sequential reader by [`READ_AHEAD_THREADS`] threads.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use rustic_core::TreeId;
use rustic_core::repofile::{Node as RusticNode, SnapshotId};
use rustic_core::vfs::OpenFile;

use crate::error::SnapshotError;
use crate::list::{Reader, SnapshotInfo, infos};
use crate::lru::Lru;
use crate::node::Node;
use crate::repo::Repo;

/// Bound of the cache of folder listings.
pub const FOLDER_CACHE_BYTES: u64 = 32 << 20;
/// How far a sequential reader is kept ahead of.
pub const READ_AHEAD_BYTES: u64 = 4 << 20;
/// Threads that read ahead.
pub const READ_AHEAD_THREADS: usize = 2;
/// Read-ahead jobs that may wait; more are dropped, since they only help.
const READ_AHEAD_QUEUE: usize = 16;

struct State {
    reader: Arc<Reader>,
    snapshots: Arc<Vec<SnapshotInfo>>,
    ids: BTreeSet<SnapshotId>,
}

/// A file opened in a [`SnapshotFs`].
#[derive(Debug)]
pub struct FileHandle {
    open: OpenFile,
    size: u64,
    /// Where the last read ended: a read that begins there is sequential.
    read_to: AtomicU64,
    ahead_to: AtomicU64,
}

struct AheadJob {
    reader: Arc<Reader>,
    file: Arc<FileHandle>,
    offset: u64,
}

/// See the module's documentation.
pub struct SnapshotFs {
    repo: Repo,
    state: RwLock<State>,
    refreshing: Mutex<()>,
    folders: Mutex<Lru<TreeId, Arc<Vec<Node>>>>,
    ahead: SyncSender<AheadJob>,
}

impl std::fmt::Debug for SnapshotFs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnapshotFs").field("repo", &self.repo).finish_non_exhaustive()
    }
}

/// Turns the library's panics into errors: a mount must survive damaged data.
fn guarded<T>(work: impl FnOnce() -> Result<T, SnapshotError>) -> Result<T, SnapshotError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let text = "the snapshot library panicked";
        Err(SnapshotError::Internal(text.to_owned()))
    })
}

impl SnapshotFs {
    /// Opens the view. The repository is used by the view alone from here on.
    ///
    /// # Errors
    /// When the store fails.
    pub fn open(repo: Repo) -> Result<Self, SnapshotError> {
        let state = guarded(|| Self::load(&repo))?;
        let (ahead, jobs) = sync_channel(READ_AHEAD_QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        for number in 0..READ_AHEAD_THREADS {
            let jobs = jobs.clone();
            std::thread::Builder::new()
                .name(format!("pib-ahead-{number}"))
                .spawn(move || ahead_loop(&jobs))
                .map_err(|e| SnapshotError::Internal(format!("cannot start a thread: {e}")))?;
        }
        Ok(Self {
            repo,
            state: RwLock::new(state),
            refreshing: Mutex::new(()),
            folders: Mutex::new(Lru::new(FOLDER_CACHE_BYTES)),
            ahead,
        })
    }

    fn load(repo: &Repo) -> Result<State, SnapshotError> {
        let files = repo.open_rustic()?.get_all_snapshots()?;
        Ok(State {
            // After the snapshots: the index then has all that they need.
            reader: Arc::new(repo.reader()?),
            snapshots: Arc::new(infos(&files)?),
            ids: files.iter().map(|file| file.id).collect(),
        })
    }

    fn reader(&self) -> Arc<Reader> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).reader.clone()
    }

    /// All snapshots as of the last refresh, oldest first.
    #[must_use]
    pub fn snapshots(&self) -> Arc<Vec<SnapshotInfo>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).snapshots.clone()
    }

    /// Looks for new and forgotten snapshots; says whether there are any.
    ///
    /// # Errors
    /// When the store fails; the view stays as it was.
    pub fn refresh(&self) -> Result<bool, SnapshotError> {
        let _one = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        guarded(|| {
            let reader = self.reader();
            let now: BTreeSet<SnapshotId> = reader.repo.list::<SnapshotId>()?.collect();
            let same = self.state.read().unwrap_or_else(PoisonError::into_inner).ids == now;
            if same {
                return Ok(false);
            }
            let state = Self::load(&self.repo)?;
            *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
            Ok(true)
        })
    }

    /// What a folder holds, if that is known without asking the store.
    #[must_use]
    pub fn children_cached(&self, folder: &Node) -> Option<Arc<Vec<Node>>> {
        let id = folder.subtree.as_ref()?;
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        folders.get(id)
    }

    /// What a folder holds, sorted as it was stored. Entries with names that no file can have are left out.
    ///
    /// # Errors
    /// When the store fails or the folder is damaged.
    pub fn children(&self, folder: &Node) -> Result<Arc<Vec<Node>>, SnapshotError> {
        let lock = || self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = &folder.subtree
            && let Some(found) = lock().get(id)
        {
            return Ok(found);
        }
        let mut children = guarded(|| self.reader().children(folder))?;
        children.retain(Node::has_safe_name);
        let children = Arc::new(children);
        if let Some(id) = folder.subtree {
            let weight = children.iter().map(Node::weight).sum::<u64>() + 64;
            lock().put(id, children.clone(), weight);
        }
        Ok(children)
    }

    /// The entry at a path within a snapshot.
    ///
    /// # Errors
    /// [`SnapshotError::NotInSnapshot`]; when the store fails.
    pub fn node_at(&self, snapshot: &SnapshotInfo, path: &Path) -> Result<Node, SnapshotError> {
        guarded(|| self.reader().node_at(snapshot.root(), path))
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// When the index lacks a part of the file.
    pub fn open_file(&self, file: &Node) -> Result<Arc<FileHandle>, SnapshotError> {
        guarded(|| {
            let node = RusticNode { content: Some(file.content.to_vec()), ..RusticNode::default() };
            Ok(Arc::new(FileHandle {
                open: self.reader().repo.open_file(&node)?,
                size: file.size,
                read_to: AtomicU64::new(0),
                ahead_to: AtomicU64::new(0),
            }))
        })
    }

    /// Reads up to `length` bytes; fewer only at the end of the file.
    ///
    /// # Errors
    /// When the store fails or the file is damaged.
    pub fn read_at(
        &self,
        file: &Arc<FileHandle>,
        offset: u64,
        length: u32,
    ) -> Result<Bytes, SnapshotError> {
        let reader = self.reader();
        if offset >= file.size {
            return Ok(Bytes::new());
        }
        let end = offset.saturating_add(u64::from(length)).min(file.size);
        let bytes = guarded(|| read(&reader, file, offset, end - offset))?;
        let sequential = file.read_to.swap(end, Ordering::Relaxed) == offset && offset > 0;
        let ahead_to = file.ahead_to.load(Ordering::Relaxed);
        if sequential && end < file.size && end + READ_AHEAD_BYTES / 2 > ahead_to {
            file.ahead_to.store(end + READ_AHEAD_BYTES, Ordering::Relaxed);
            let job = AheadJob { reader, file: file.clone(), offset: end.max(ahead_to) };
            // A full queue means that the readers ahead are busy enough.
            let _ = self.ahead.try_send(job);
        }
        Ok(bytes)
    }
}

fn read(
    reader: &Reader,
    file: &FileHandle,
    offset: u64,
    length: u64,
) -> Result<Bytes, SnapshotError> {
    let too_large = |_| SnapshotError::BadOption("a file too large for this machine".to_owned());
    let offset = usize::try_from(offset).map_err(too_large)?;
    let length = usize::try_from(length).map_err(too_large)?;
    Ok(reader.repo.read_file_at(&file.open, offset, length)?)
}

/// Reading a byte of each stretch brings its blob into the library's cache.
fn ahead_loop(jobs: &Mutex<Receiver<AheadJob>>) {
    const STRIDE: u64 = 512 << 10;
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        let end = (job.offset + READ_AHEAD_BYTES).min(job.file.size);
        let mut at = job.offset;
        while at < end {
            if let Err(error) = guarded(|| read(&job.reader, &job.file, at, 1)) {
                tracing::debug!(%error, "reading ahead failed");
                break;
            }
            at += STRIDE;
        }
    }
}
