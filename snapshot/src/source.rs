//! What a backup reads: a walk over local folders, with exclusions, that names what it could not read.
//!
//! rustic skips entries it cannot read with no more than a line in the log. This source records each of
//! them, stores the metadata of the source folders and of those above them, and stops when cancelled.
//! Bounds: [`UNREADABLE_MAX`] paths are named, all are counted.

use std::collections::HashSet;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use ignore::{DirEntry, Walk, WalkBuilder};
use rustic_core::repofile::{Node as RusticNode, NodeType};
use rustic_core::{
    ErrorKind, LocalSourceSaveOptions, ReadSource, ReadSourceEntry, ReadSourceOpen, RusticError,
    RusticResult,
};

use crate::control::{CancelToken, Meter};
use crate::error::SnapshotError;

/// How many unreadable paths a report names.
pub const UNREADABLE_MAX: usize = 10_000;

/// The first bytes of a `CACHEDIR.TAG` file (<https://bford.info/cachedir/>).
const CACHE_TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// What to leave out of a backup.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filters {
    pub(crate) excludes: Vec<String>,
    pub(crate) exclude_files: Vec<PathBuf>,
    pub(crate) exclude_caches: bool,
    pub(crate) exclude_if_present: Vec<String>,
    pub(crate) one_file_system: bool,
}

/// Paths that could not be read, and why.
#[derive(Debug, Default)]
pub(crate) struct Unreadable {
    named: Mutex<Vec<(PathBuf, String)>>,
    count: AtomicU64,
}

impl Unreadable {
    fn add(&self, path: &Path, why: String) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.len() < UNREADABLE_MAX {
            named.push((path.to_path_buf(), why));
        }
    }

    /// The paths, sorted, and how many there were in all.
    pub(crate) fn take(&self) -> (Vec<(PathBuf, String)>, u64) {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let mut named = std::mem::take(&mut *named);
        named.sort();
        (named, self.count.swap(0, Ordering::Relaxed))
    }
}

#[derive(Debug)]
struct Shared {
    unreadable: Unreadable,
    cancel: CancelToken,
    meter: Arc<Meter>,
}

/// See the module's documentation.
pub(crate) struct TreeSource {
    roots: Vec<PathBuf>,
    /// Instead of the one root's own path.
    as_path: Option<PathBuf>,
    builder: WalkBuilder,
    shared: Arc<Shared>,
}

impl TreeSource {
    /// `roots` are absolute, sorted, and none lies below another.
    pub(crate) fn new(
        roots: Vec<PathBuf>,
        as_path: Option<PathBuf>,
        filters: &Filters,
        cancel: CancelToken,
        meter: Arc<Meter>,
    ) -> Result<Self, SnapshotError> {
        let Some((first, others)) = roots.split_first() else {
            let reason = "name at least one folder or file to back up".to_owned();
            return Err(SnapshotError::BadOption(reason));
        };
        let mut builder = WalkBuilder::new(first);
        for root in others {
            builder.add(root);
        }
        let filter = EntryFilter::new(filters, &roots)?;
        builder
            .standard_filters(false)
            .follow_links(false)
            .same_file_system(filters.one_file_system)
            .sort_by_file_path(Path::cmp)
            .filter_entry(move |entry| filter.keeps(entry));
        Ok(Self {
            roots,
            as_path,
            builder,
            shared: Arc::new(Shared { unreadable: Unreadable::default(), cancel, meter }),
        })
    }

    pub(crate) fn unreadable(&self) -> &Unreadable {
        &self.shared.unreadable
    }
}

struct EntryFilter {
    patterns: Gitignore,
    exclude_caches: bool,
    exclude_if_present: Vec<String>,
    /// Folders whose content is left out, but for the files with these names.
    marked: Mutex<HashSet<PathBuf>>,
}

impl EntryFilter {
    fn new(filters: &Filters, roots: &[PathBuf]) -> Result<Self, SnapshotError> {
        let bad = |what: &str, error: &dyn std::fmt::Display| {
            SnapshotError::BadOption(format!("cannot use the exclusion `{what}`: {error}"))
        };
        let mut patterns = GitignoreBuilder::new("/");
        for text in &filters.excludes {
            add_pattern(&mut patterns, text).map_err(|e| bad(text, &e))?;
        }
        for file in &filters.exclude_files {
            let name = file.display().to_string();
            let lines = std::fs::read_to_string(file).map_err(|e| bad(&name, &e))?;
            for line in lines.lines() {
                add_pattern(&mut patterns, line).map_err(|e| bad(line, &e))?;
            }
        }
        let filter = Self {
            patterns: patterns.build().map_err(|e| bad("all", &e))?,
            exclude_caches: filters.exclude_caches,
            exclude_if_present: filters.exclude_if_present.clone(),
            marked: Mutex::default(),
        };
        for root in roots {
            filter.mark(root);
        }
        Ok(filter)
    }

    fn keeps(&self, entry: &DirEntry) -> bool {
        let path = entry.path();
        let is_dir = entry.file_type().is_some_and(|t| t.is_dir());
        if self.patterns.matched(path, is_dir).is_ignore() {
            return false;
        }
        if self.exclude_caches || !self.exclude_if_present.is_empty() {
            let marked = self.marked.lock().unwrap_or_else(PoisonError::into_inner);
            if path.parent().is_some_and(|folder| marked.contains(folder)) {
                let name = entry.file_name();
                let is_mark = name == "CACHEDIR.TAG"
                    || self.exclude_if_present.iter().any(|mark| name == mark.as_str());
                return is_mark && !is_dir;
            }
            drop(marked);
            if is_dir {
                self.mark(path);
            }
        }
        true
    }

    fn mark(&self, folder: &Path) {
        let present = |name: &String| folder.join(name).symlink_metadata().is_ok();
        if self.exclude_if_present.iter().any(present)
            || (self.exclude_caches && is_cache(&folder.join("CACHEDIR.TAG")))
        {
            let mut marked = self.marked.lock().unwrap_or_else(PoisonError::into_inner);
            marked.insert(folder.to_path_buf());
        }
    }
}

/// restic's patterns: without a leading slash they match at any depth, `!` takes an exclusion back.
fn add_pattern(patterns: &mut GitignoreBuilder, text: &str) -> Result<(), ignore::Error> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(());
    }
    let (not, pattern) = match text.strip_prefix('!') {
        Some(rest) => ("!", rest),
        None => ("", text),
    };
    let inner = pattern.trim_end_matches('/');
    let anywhere = !inner.starts_with('/') && !inner.starts_with("**/") && inner.contains('/');
    let line = format!("{not}{}{pattern}", if anywhere { "**/" } else { "" });
    patterns.add_line(None, &line).map(|_| ())
}

fn is_cache(tag: &Path) -> bool {
    let mut start = vec![0; CACHE_TAG.len()];
    let regular = tag.symlink_metadata().is_ok_and(|meta| meta.is_file());
    regular
        && File::open(tag)
            .and_then(|mut file| file.read_exact(&mut start))
            .is_ok_and(|()| start == CACHE_TAG)
}

impl ReadSource for TreeSource {
    type Open = TrackedOpen;
    type Iter = TreeIter;

    fn size(&self) -> RusticResult<Option<u64>> {
        let mut size = 0;
        for entry in self.builder.build() {
            if self.shared.cancel.is_cancelled() {
                return Ok(None);
            }
            // Errors are recorded by the walk that reads; this one only estimates.
            if let Ok(entry) = entry
                && entry.file_type().is_some_and(|t| t.is_file())
                && let Ok(meta) = entry.metadata()
            {
                size += meta.len();
            }
        }
        Ok(Some(size))
    }

    fn entries(&self) -> TreeIter {
        TreeIter {
            walk: self.builder.build(),
            root: self.roots.first().cloned().unwrap_or_default(),
            as_path: self.as_path.clone(),
            ready: VecDeque::new(),
            above: HashSet::new(),
            shared: self.shared.clone(),
        }
    }
}

/// The walk; entries come in the order rustic needs, folders before what they hold.
pub(crate) struct TreeIter {
    walk: Walk,
    root: PathBuf,
    as_path: Option<PathBuf>,
    ready: VecDeque<ReadSourceEntry<TrackedOpen>>,
    above: HashSet<PathBuf>,
    shared: Arc<Shared>,
}

impl TreeIter {
    fn mapped(&self, entry: DirEntry) -> Option<ReadSourceEntry<TrackedOpen>> {
        let path = entry.path().to_path_buf();
        match LocalSourceSaveOptions::default().map_entry(entry) {
            Ok(mapped) => {
                let open = TrackedOpen { path: path.clone(), shared: self.shared.clone() };
                Some(ReadSourceEntry { path, node: mapped.node, open: Some(open) })
            }
            Err(error) => {
                self.shared.unreadable.add(&path, error.to_string());
                None
            }
        }
    }

    /// The folders above a root, so that they come back with their own modes and times.
    fn push_above(&mut self, root: &Path) {
        let mut folders: Vec<&Path> = root.ancestors().skip(1).collect();
        folders.reverse();
        for folder in folders {
            if folder.file_name().is_none() || !self.above.insert(folder.to_path_buf()) {
                continue;
            }
            let walk =
                WalkBuilder::new(folder).standard_filters(false).max_depth(Some(0)).build().next();
            if let Some(Ok(entry)) = walk
                && let Some(mapped) = self.mapped(entry)
            {
                self.ready.push_back(mapped);
            }
        }
    }

    fn rename(
        &self,
        mut entry: ReadSourceEntry<TrackedOpen>,
        is_root: bool,
    ) -> ReadSourceEntry<TrackedOpen> {
        let Some(as_path) = &self.as_path else {
            return entry;
        };
        if is_root {
            entry.path.clone_from(as_path);
            let kind = std::mem::replace(&mut entry.node.node_type, NodeType::File);
            let meta = std::mem::take(&mut entry.node.meta);
            let name = as_path.file_name().unwrap_or_default();
            entry.node = RusticNode::new_node(name, kind, meta);
        } else if let Ok(below) = entry.path.strip_prefix(&self.root) {
            entry.path = as_path.join(below);
        }
        entry
    }
}

impl Iterator for TreeIter {
    type Item = RusticResult<ReadSourceEntry<TrackedOpen>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Some(Ok(entry));
            }
            // Ending early writes no snapshot: the backend refuses it when cancelled.
            if self.shared.cancel.is_cancelled() {
                return None;
            }
            match self.walk.next()? {
                Ok(entry) => {
                    let is_root = entry.depth() == 0;
                    if is_root && self.as_path.is_none() {
                        self.push_above(entry.path());
                    }
                    // The root folder itself has no name and no entry.
                    if entry.path().file_name().is_none() && self.as_path.is_none() {
                        continue;
                    }
                    if let Some(mapped) = self.mapped(entry) {
                        let mapped = self.rename(mapped, is_root);
                        self.ready.push_back(mapped);
                    }
                }
                Err(error) => {
                    let path = error_path(&error).unwrap_or_else(|| self.root.clone());
                    self.shared.unreadable.add(&path, error.to_string());
                }
            }
        }
    }
}

fn error_path(error: &ignore::Error) -> Option<PathBuf> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path.clone()),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
            error_path(err)
        }
        _ => None,
    }
}

/// A file to open; failures are recorded.
#[derive(Debug)]
pub(crate) struct TrackedOpen {
    path: PathBuf,
    shared: Arc<Shared>,
}

impl ReadSourceOpen for TrackedOpen {
    type Reader = TrackedReader;

    fn open(self) -> RusticResult<TrackedReader> {
        match File::open(&self.path) {
            Ok(file) => {
                Meter::add(&self.shared.meter.files, 1);
                Ok(TrackedReader { file, path: self.path, shared: self.shared })
            }
            Err(error) => {
                self.shared.unreadable.add(&self.path, error.to_string());
                let text = "Failed to open a file to back up";
                Err(RusticError::with_source(ErrorKind::InputOutput, text, error))
            }
        }
    }
}

/// An open file; failures are recorded.
#[derive(Debug)]
pub(crate) struct TrackedReader {
    file: File,
    path: PathBuf,
    shared: Arc<Shared>,
}

impl Read for TrackedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.shared.cancel.is_cancelled() {
            return Err(io::Error::other("stopped as asked"));
        }
        self.file.read(buffer).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.shared.unreadable.add(&self.path, error.to_string());
            }
        })
    }
}
