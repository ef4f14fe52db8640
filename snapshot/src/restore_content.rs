//! The content of restored files: a window of blobs at a time, read pack by pack by a few threads.
//!
//! Guarantees: blobs that lie next to each other in a pack are fetched with one read; each blob is written
//! at its place; a file with a blob that could not be read is reported, not left half restored.
//! Bounds: a window has at most [`WINDOW_FILES`] files and [`WINDOW_BLOBS`] blobs; each thread holds one
//! fetched range of at most [`FETCH_BYTES`] (or one blob) and one decrypted blob.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rustic_core::repofile::BlobType;
use rustic_core::{BlobId, DataId};

use crate::backend::{object_id, sha256};
use crate::control::Meter;
use crate::error::SnapshotError;
use crate::list::Reader;
use crate::node::Node;
use crate::object::{ObjectId, StoreError};

pub(crate) const WINDOW_FILES: usize = 4096;
pub(crate) const WINDOW_BLOBS: usize = 16384;
const FETCH_BYTES: u64 = 4 << 20;
/// A gap this small is cheaper to fetch than to skip.
const GAP_BYTES: u64 = 64 << 10;
/// After so many reads in a row for which too few members answered, the restore ends.
const HOPELESS: usize = 8;
/// Zero bytes are skipped in stretches of this size when files are restored sparsely.
const SPARSE_BYTES: usize = 64 << 10;

#[derive(Debug)]
pub(crate) struct WindowFile {
    pub(crate) path: PathBuf,
    pub(crate) node: Node,
}

#[derive(Debug)]
struct BlobTask {
    pack: ObjectId,
    offset: u64,
    length: u64,
    blob: DataId,
    data_length: u64,
    file: usize,
    at: u64,
}

/// Files whose content is still to be written.
#[derive(Debug, Default)]
pub(crate) struct Window {
    pub(crate) files: Vec<WindowFile>,
    blobs: Vec<BlobTask>,
}

/// Where the blobs of a file are, and its length.
pub(crate) struct Plan {
    blobs: Vec<BlobTask>,
    pub(crate) size: u64,
}

pub(crate) fn plan(reader: &Reader, node: &Node) -> Result<Plan, SnapshotError> {
    let mut blobs = Vec::with_capacity(node.content.len());
    let mut size = 0;
    for blob in node.content.iter() {
        let entry = reader.repo.get_index_entry(blob)?;
        let data_length = u64::from(entry.location.data_length());
        let pack = object_id(&entry.pack).map_err(|e| SnapshotError::Internal(e.to_string()))?;
        blobs.push(BlobTask {
            pack,
            offset: u64::from(entry.location.offset),
            length: u64::from(entry.location.length),
            blob: *blob,
            data_length,
            file: 0,
            at: size,
        });
        size += data_length;
    }
    Ok(Plan { blobs, size })
}

impl Window {
    pub(crate) fn is_full(&self) -> bool {
        self.files.len() >= WINDOW_FILES || self.blobs.len() >= WINDOW_BLOBS
    }

    pub(crate) fn push(&mut self, path: PathBuf, node: Node, plan: Plan) {
        let file = self.files.len();
        self.files.push(WindowFile { path, node });
        let blobs = plan.blobs.into_iter();
        self.blobs.extend(blobs.map(|blob| BlobTask { file, ..blob }));
    }
}

/// How contents are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ContentOptions {
    pub(crate) threads: usize,
    pub(crate) sparse: bool,
    pub(crate) verify: bool,
}

/// What became of a window.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) bytes: u64,
    /// By the file's place in the window.
    pub(crate) failed: BTreeMap<usize, String>,
}

struct Job<'a> {
    reader: &'a Reader,
    files: &'a [WindowFile],
    groups: Vec<&'a [BlobTask]>,
    options: ContentOptions,
    next: AtomicUsize,
    bytes: AtomicU64,
    failed: Mutex<BTreeMap<usize, String>>,
    fatal: Mutex<Option<SnapshotError>>,
    /// Reads that failed since the last one that did not.
    in_a_row: AtomicUsize,
}

/// Writes the contents of a window's files, which exist and have their length.
pub(crate) fn write_window(
    reader: &Reader,
    window: &mut Window,
    options: ContentOptions,
) -> Result<Written, SnapshotError> {
    window.blobs.sort_unstable_by_key(|task| (task.pack, task.offset, task.file, task.at));
    let job = Job {
        reader,
        files: &window.files,
        groups: group(&window.blobs),
        options,
        next: AtomicUsize::new(0),
        bytes: AtomicU64::new(0),
        failed: Mutex::default(),
        fatal: Mutex::default(),
        in_a_row: AtomicUsize::new(0),
    };
    let threads = options.threads.clamp(1, 64).min(job.groups.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| job.run());
        }
    });
    if let Some(error) = job.fatal.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    Ok(Written {
        bytes: job.bytes.into_inner(),
        failed: job.failed.into_inner().unwrap_or_else(PoisonError::into_inner),
    })
}

/// Cuts sorted tasks into runs that one read can fetch.
fn group(tasks: &[BlobTask]) -> Vec<&[BlobTask]> {
    let mut groups = Vec::new();
    let mut start = 0;
    for i in 1..=tasks.len() {
        let ends = i == tasks.len() || {
            let (first, last, next) = (&tasks[start], &tasks[i - 1], &tasks[i]);
            next.pack != first.pack
                || next.offset > last.offset + last.length + GAP_BYTES
                || next.offset + next.length > first.offset + FETCH_BYTES
        };
        if ends {
            groups.push(&tasks[start..i]);
            start = i;
        }
    }
    groups
}

impl Job<'_> {
    fn run(&self) {
        loop {
            let i = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(group) = self.groups.get(i) else { return };
            let work = std::panic::AssertUnwindSafe(|| self.write_group(group));
            let result = std::panic::catch_unwind(work).unwrap_or_else(|_| {
                Err(SnapshotError::Corrupt("a blob could not be unpacked".to_owned()))
            });
            if result.is_ok() {
                self.in_a_row.store(0, Ordering::Relaxed);
            }
            if let Err(error) = result {
                let hopeless = is_absence(&error)
                    && self.in_a_row.fetch_add(1, Ordering::Relaxed) + 1 >= HOPELESS;
                if hopeless || is_fatal(&error) {
                    self.next.store(self.groups.len(), Ordering::Relaxed);
                    let mut fatal = self.fatal.lock().unwrap_or_else(PoisonError::into_inner);
                    fatal.get_or_insert(error);
                    return;
                }
                for task in *group {
                    self.fail(task.file, error.to_string());
                }
            }
        }
    }

    fn fail(&self, file: usize, why: String) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.entry(file).or_insert(why);
    }

    fn write_group(&self, group: &[BlobTask]) -> Result<(), SnapshotError> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            return Ok(());
        };
        let backend = &self.reader.backend;
        let stop = |source| SnapshotError::store("restoring", source);
        backend.cancel().check().map_err(stop)?;
        let length = last.offset + last.length - first.offset;
        let _ahead = backend
            .fetch_ahead(first.pack, first.offset, length)
            .map_err(|failure| SnapshotError::store(failure.what, failure.source))?;
        let mut open: Option<(usize, File)> = None;
        for task in group {
            backend.cancel().check().map_err(stop)?;
            let data =
                self.reader.repo.get_blob_cached(&BlobId::from(*task.blob), BlobType::Data)?;
            if data.len() as u64 != task.data_length {
                return Err(SnapshotError::Corrupt(format!("blob {} is cut off", task.blob)));
            }
            if self.options.verify && object_id(&task.blob) != Ok(ObjectId(sha256(&data))) {
                return Err(SnapshotError::Corrupt(format!("blob {} is altered", task.blob)));
            }
            let path = &self.files[task.file].path;
            let written = open_for_write(&mut open, task.file, path)
                .and_then(|file| write_at(file, &data, task.at, self.options.sparse));
            match written {
                Ok(()) => {
                    self.bytes.fetch_add(task.data_length, Ordering::Relaxed);
                    Meter::add(&backend.meter().done, task.data_length);
                }
                Err(source) if is_full(&source) => {
                    let path = path.clone();
                    return Err(SnapshotError::Target { path, source });
                }
                Err(error) => self.fail(task.file, error.to_string()),
            }
        }
        Ok(())
    }
}

fn open_for_write<'a>(
    open: &'a mut Option<(usize, File)>,
    number: usize,
    path: &PathBuf,
) -> io::Result<&'a File> {
    if open.as_ref().is_none_or(|(i, _)| *i != number) {
        let flags = nix::fcntl::OFlag::O_NOFOLLOW.bits();
        let file = OpenOptions::new().write(true).custom_flags(flags).open(path)?;
        *open = Some((number, file));
    }
    match open {
        Some((_, file)) => Ok(file),
        None => Err(io::Error::other("no open file")),
    }
}

fn write_at(file: &File, data: &[u8], at: u64, sparse: bool) -> io::Result<()> {
    if !sparse {
        return file.write_all_at(data, at);
    }
    // The file is new and has its length: what is not written reads as zero and takes no space.
    let mut offset = at;
    for stretch in data.chunks(SPARSE_BYTES) {
        if stretch.iter().any(|byte| *byte != 0) {
            file.write_all_at(stretch, offset)?;
        }
        offset += stretch.len() as u64;
    }
    Ok(())
}

pub(crate) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem)
}

/// Whether members or the network were missing, rather than data.
fn is_absence(error: &SnapshotError) -> bool {
    matches!(error.store_error(), Some(StoreError::Timeout | StoreError::NotEnoughMembers { .. }))
}

/// Whether going on with other files is pointless.
pub(crate) fn is_fatal(error: &SnapshotError) -> bool {
    match error {
        SnapshotError::Cancelled | SnapshotError::Target { .. } => true,
        SnapshotError::Store { source, .. } => {
            matches!(source, StoreError::DaemonUnreachable | StoreError::Cancelled)
        }
        _ => false,
    }
}
