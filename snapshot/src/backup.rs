//! Making a snapshot.
//!
//! Guarantees: (1) the snapshot object is put last; (2) before reading files, packs that an interrupted
//! run stored but no index names are indexed, so nothing is sent twice; (3) packs an index names but the
//! store lost are dropped from the index, so that their content is sent again instead of being assumed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustic_core::repofile::{IndexFile, SnapshotFile};
use rustic_core::{
    BackupOptions as RusticBackupOptions, ParentOptions, RepairIndexOptions, SnapshotOptions,
};

use crate::backend::object_id;
use crate::control::ProgressSink;
use crate::error::SnapshotError;
use crate::object::{ObjectId, ObjectKind};
use crate::repo::{OpenRepo, Repo, clean_sources};
use crate::source::{Filters, TreeSource};

/// What to back up and how.
#[derive(Clone, Debug, Default)]
pub struct BackupOptions {
    /// Tags of the snapshot.
    pub tags: Vec<String>,
    /// The machine's name; default the host name.
    pub host: Option<String>,
    /// Patterns of what to leave out, as restic reads them: without a leading slash they match anywhere,
    /// a leading `!` takes an exclusion back.
    pub excludes: Vec<String>,
    /// Files with one pattern a line; `#` begins a comment.
    pub exclude_files: Vec<PathBuf>,
    /// Leave out the content of folders with a valid `CACHEDIR.TAG`.
    pub exclude_caches: bool,
    /// Leave out the content of folders that hold a file of such a name.
    pub exclude_if_present: Vec<String>,
    /// Stay on the file system of each source.
    pub one_file_system: bool,
    /// Read and count, but store nothing.
    pub dry_run: bool,
    /// Read all files, also those that seem unchanged since the parent snapshot.
    pub force: bool,
    /// The path under which the one source appears in the snapshot.
    pub as_path: Option<PathBuf>,
}

/// What a backup did.
#[derive(Clone, Debug)]
pub struct BackupReport {
    /// The new snapshot; none in a dry run.
    pub snapshot_id: Option<ObjectId>,
    /// The snapshot it was compared with.
    pub parent: Option<ObjectId>,
    /// Files that the parent does not have.
    pub files_new: u64,
    /// Files that differ from the parent's.
    pub files_changed: u64,
    /// Files that seem unchanged and were not read.
    pub files_unmodified: u64,
    /// Folders in the snapshot.
    pub dirs: u64,
    /// Bytes of all files in the snapshot.
    pub bytes_read: u64,
    /// Bytes that were new to the repository, as they were before compression.
    pub bytes_added: u64,
    /// Bytes that were new, compressed and encrypted.
    pub bytes_added_packed: u64,
    /// Bytes put into the store by this run, all kinds of objects.
    pub bytes_stored: u64,
    /// Entries that could not be read and are not in the snapshot, with the reasons (the first
    /// [`crate::UNREADABLE_MAX`]).
    pub unreadable: Vec<(PathBuf, String)>,
    /// How many such entries there were in all.
    pub unreadable_count: u64,
    /// Packs of an interrupted run that were found again.
    pub packs_recovered: u64,
    /// Packs that the store had lost and that were struck from the index.
    pub packs_lost: u64,
    /// How long it took.
    pub duration: Duration,
}

impl Repo {
    /// Backs up the sources into a new snapshot.
    ///
    /// Files that cannot be read are left out, named and counted in the report.
    ///
    /// # Errors
    /// When a source does not exist, an option makes no sense, or the store fails; then there is no new
    /// snapshot, and a later run goes on where this one stopped.
    pub fn backup(
        &self,
        sources: &[PathBuf],
        options: &BackupOptions,
        sink: &dyn ProgressSink,
    ) -> Result<BackupReport, SnapshotError> {
        let start = Instant::now();
        let roots = clean_sources(sources)?;
        let as_path = options.as_path.as_deref().map(absolute).transpose()?;
        if as_path.is_some() && roots.len() != 1 {
            let text = "another path can be given to one source only, not to several";
            return Err(SnapshotError::BadOption(text.to_owned()));
        }
        self.run_shown(sink, || self.backup_inner(roots, as_path, options, start))
    }

    fn backup_inner(
        &self,
        roots: Vec<PathBuf>,
        as_path: Option<PathBuf>,
        options: &BackupOptions,
        start: Instant,
    ) -> Result<BackupReport, SnapshotError> {
        let repo = self.open_rustic()?;
        let (packs_recovered, packs_lost) =
            if options.dry_run { (0, 0) } else { self.repair_index(&repo)? };
        let repo = repo.to_indexed_ids()?;
        let source = TreeSource::new(
            roots.clone(),
            as_path.clone(),
            &filters(options),
            self.backend.cancel().clone(),
            self.backend.meter().clone(),
        )?;
        let paths = as_path.map_or(roots, |path| vec![path]);
        let parent = ParentOptions::default().force(options.force);
        let rustic_options =
            RusticBackupOptions::default().dry_run(options.dry_run).parent_opts(parent);
        let made = repo.archive(&rustic_options, &source, snapshot_file(options)?, &paths)?;
        if self.backend.cancel().is_cancelled() {
            return Err(SnapshotError::Cancelled);
        }
        let (unreadable, unreadable_count) = source.unreadable().take();
        let summary = made.summary.unwrap_or_default();
        let known = |id: &rustic_core::repofile::SnapshotId| {
            object_id(id).map_err(|e| SnapshotError::Internal(e.to_string()))
        };
        let snapshot_id = (!options.dry_run).then(|| known(&made.id)).transpose()?;
        Ok(BackupReport {
            snapshot_id,
            parent: made.parent.as_ref().map(known).transpose()?,
            files_new: summary.files_new,
            files_changed: summary.files_changed,
            files_unmodified: summary.files_unmodified,
            dirs: summary.total_dirs_processed,
            bytes_read: summary.total_bytes_processed,
            bytes_added: summary.data_added,
            bytes_added_packed: summary.data_added_packed,
            bytes_stored: self.backend.meter().read().bytes_stored,
            unreadable,
            unreadable_count,
            packs_recovered,
            packs_lost,
            duration: start.elapsed(),
        })
    }

    /// Makes the index name exactly the packs that are stored; returns how many were added and struck.
    pub(crate) fn repair_index(&self, repo: &OpenRepo) -> Result<(u64, u64), SnapshotError> {
        self.backend.meter().phase("comparing index and packs");
        let listed = self.backend.list(ObjectKind::Pack);
        let stored: BTreeSet<ObjectId> = listed
            .map_err(|failure| SnapshotError::store(failure.what, failure.source))?
            .into_iter()
            .map(|(id, _)| id)
            .collect();
        let mut indexed = BTreeSet::new();
        for file in repo.stream_files::<IndexFile>()? {
            let (_, file) = file?;
            for pack in file.packs.iter().chain(&file.packs_to_delete) {
                let id = object_id(&pack.id);
                indexed.insert(id.map_err(|e| SnapshotError::Internal(e.to_string()))?);
            }
        }
        let recovered = stored.difference(&indexed).count() as u64;
        let lost = indexed.difference(&stored).count() as u64;
        if recovered + lost > 0 {
            if lost > 0 {
                tracing::warn!(lost, "the store lost packs; their content will be stored again");
            }
            repo.repair_index(&RepairIndexOptions::default(), false)?;
        }
        Ok((recovered, lost))
    }
}

fn filters(options: &BackupOptions) -> Filters {
    Filters {
        excludes: options.excludes.clone(),
        exclude_files: options.exclude_files.clone(),
        exclude_caches: options.exclude_caches,
        exclude_if_present: options.exclude_if_present.clone(),
        one_file_system: options.one_file_system,
    }
}

fn snapshot_file(options: &BackupOptions) -> Result<SnapshotFile, SnapshotError> {
    let mut snapshot = SnapshotOptions::default();
    for tag in &options.tags {
        if tag.is_empty() || tag.contains(',') {
            let text = format!("`{tag}` is no tag; tags are not empty and have no comma");
            return Err(SnapshotError::BadOption(text));
        }
        snapshot = snapshot.add_tags(tag)?;
    }
    snapshot.host.clone_from(&options.host);
    Ok(snapshot.to_snapshot()?)
}

fn absolute(path: &Path) -> Result<PathBuf, SnapshotError> {
    let plain = |part: std::path::Component<'_>| {
        matches!(part, std::path::Component::RootDir | std::path::Component::Normal(_))
    };
    let path = Path::new("/").join(path);
    if path.file_name().is_none() || path.to_str().is_none() || !path.components().all(plain) {
        let text = format!("`{}` is no path to back up as", path.display());
        return Err(SnapshotError::BadOption(text));
    }
    Ok(path)
}
