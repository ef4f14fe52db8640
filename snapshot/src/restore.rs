//! Restoring a snapshot, or a part of it, to a folder.
//!
//! Guarantees: (1) nothing is written outside the target: names are single components and links in place
//! of what was backed up are never followed; (2) a file that could not be restored completely is removed and named in the report; (3) a
//! restore that was interrupted goes on: files that have their size and time are not fetched again;
//! (4) `delete` removes only below the folders that were backed up.
//! Bounds: memory of one window (see [`crate::restore_content`]) and of the folders above the present one.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::control::{Meter, ProgressSink};
use crate::error::SnapshotError;
use crate::list::{Reader, find};
use crate::node::{Node, NodeKind};
use crate::repo::Repo;
use crate::restore_content::{ContentOptions, Window, is_fatal, is_full, plan, write_window};
use crate::restore_meta::{MetaOptions, apply, make_special};

/// How many problems a report names.
const PROBLEMS_MAX: usize = 10_000;

/// How to restore.
#[derive(Clone, Debug)]
pub struct RestoreOptions {
    /// Only count.
    pub dry_run: bool,
    /// Remove what is in the target but not in the snapshot, below the folders that were backed up.
    pub delete: bool,
    /// Restore files again that already have the right size and time.
    pub overwrite_existing: bool,
    /// Compare each blob with its name (SHA-256) before it is written. Default true.
    pub verify: bool,
    /// Leave stretches of zeros as holes. Default true.
    pub sparse: bool,
    /// Restore owners; has an effect for root only. Default true.
    pub ownership: bool,
}

impl Default for RestoreOptions {
    fn default() -> Self {
        Self {
            dry_run: false,
            delete: false,
            overwrite_existing: false,
            verify: true,
            sparse: true,
            ownership: true,
        }
    }
}

/// What a restore did, or in a dry run would do.
#[derive(Clone, Debug, Default)]
pub struct RestoreReport {
    /// Files written.
    pub files_restored: u64,
    /// Files that were already there.
    pub files_unchanged: u64,
    /// Further names of restored files.
    pub hard_links: u64,
    /// Folders in the snapshot.
    pub dirs: u64,
    /// Links, pipes, sockets, devices.
    pub others: u64,
    /// Bytes of content written.
    pub bytes_restored: u64,
    /// Entries removed from the target.
    pub deleted: u64,
    /// Entries not restored, and why (the first ten thousand).
    pub errors: Vec<(PathBuf, String)>,
    /// How many there were.
    pub error_count: u64,
    /// Entries restored without all their metadata, and what is missing (the first ten thousand).
    pub warnings: Vec<(PathBuf, String)>,
    /// How long it took.
    pub duration: Duration,
}

struct Folder {
    path: PathBuf,
    node: Node,
    /// Folders above the sources that were there already keep what they have.
    keeps_meta: bool,
    children: std::vec::IntoIter<Node>,
}

struct Restorer<'a> {
    reader: Reader,
    options: &'a RestoreOptions,
    content: ContentOptions,
    meta: MetaOptions,
    window: Window,
    /// Folders whose content is complete but for what is in the window.
    finished: Vec<(PathBuf, Node)>,
    /// Where each file with several names was restored to.
    linked: HashMap<(u64, u64), PathBuf>,
    /// The folders that were backed up: deleting happens below them only.
    sources: Vec<PathBuf>,
    report: RestoreReport,
}

impl Repo {
    /// Restores what is at `path` of a snapshot: a folder's content into `target`, or a file under its
    /// name into `target`. `/` restores everything, with the paths it had.
    ///
    /// # Errors
    /// When there is no such snapshot or path, the target cannot be written, or the store fails as a
    /// whole. Single files that fail are in the report.
    pub fn restore(
        &self,
        spec: &str,
        path: &Path,
        target: &Path,
        options: &RestoreOptions,
        sink: &dyn ProgressSink,
    ) -> Result<RestoreReport, SnapshotError> {
        let start = Instant::now();
        let mut report = self.run_shown(sink, || {
            self.backend.meter().phase("reading the index");
            let info = find(&self.all_infos()?, spec)?;
            let reader = self.reader()?;
            let node = reader.node_at(info.root(), path)?;
            self.backend.meter().phase("restoring");
            if let (Some(summary), true) = (&info.summary, node.name.is_empty()) {
                self.backend.meter().total(summary.bytes);
            }
            let restorer = Restorer {
                reader,
                options,
                content: ContentOptions {
                    threads: self.options.restore_threads,
                    sparse: options.sparse,
                    verify: options.verify,
                },
                meta: MetaOptions {
                    ownership: options.ownership && nix::unistd::geteuid().is_root(),
                },
                window: Window::default(),
                finished: Vec::new(),
                linked: HashMap::new(),
                sources: info.paths.clone(),
                report: RestoreReport::default(),
            };
            restorer.run(node, path, target)
        })?;
        report.duration = start.elapsed();
        Ok(report)
    }
}

impl Restorer<'_> {
    fn run(
        mut self,
        start: Node,
        path: &Path,
        target: &Path,
    ) -> Result<RestoreReport, SnapshotError> {
        let at_target = |source| SnapshotError::Target { path: target.to_path_buf(), source };
        if !self.options.dry_run {
            fs::create_dir_all(target).map_err(at_target)?;
        }
        if !start.is_dir() {
            let place = target.join(&start.name);
            self.entry(place, start)?;
            self.flush()?;
            return Ok(self.report);
        }
        let inside = Path::new("/").join(path);
        let mut stack = vec![self.enter(&inside, target.to_path_buf(), start)?];
        let mut inside_stack = vec![inside];
        while let (Some(folder), Some(inside)) = (stack.last_mut(), inside_stack.last()) {
            let Some(node) = folder.children.next() else {
                if let Some(done) = stack.pop()
                    && !done.keeps_meta
                {
                    self.finished.push((done.path, done.node));
                }
                inside_stack.pop();
                if self.window.is_full() || self.finished.len() > 4096 {
                    self.flush()?;
                }
                continue;
            };
            let place = folder.path.join(&node.name);
            if !node.has_safe_name() {
                let why = "a name that no file can have".to_owned();
                self.problem(place, why);
            } else if node.is_dir() {
                let inside = inside.join(&node.name);
                let above = !self.sources.iter().any(|source| inside.starts_with(source));
                match self.make_folder(&place, above) {
                    Ok(made) => match self.enter(&inside, place.clone(), node) {
                        Ok(mut folder) => {
                            folder.keeps_meta = above && !made;
                            self.report.dirs += 1;
                            stack.push(folder);
                            inside_stack.push(inside);
                        }
                        Err(error) if is_fatal(&error) => return Err(error),
                        Err(error) => self.problem(place, error.to_string()),
                    },
                    Err(error) => self.io_problem(place, error)?,
                }
            } else {
                self.entry(place, node)?;
                if self.window.is_full() {
                    self.flush()?;
                }
            }
        }
        self.flush()?;
        Ok(self.report)
    }

    fn problem(&mut self, path: PathBuf, why: String) {
        self.report.error_count += 1;
        if self.report.errors.len() < PROBLEMS_MAX {
            self.report.errors.push((path, why));
        }
    }

    /// A full disk ends the restore; other problems concern one entry.
    fn io_problem(&mut self, path: PathBuf, source: io::Error) -> Result<(), SnapshotError> {
        if is_full(&source) {
            return Err(SnapshotError::Target { path, source });
        }
        self.problem(path, source.to_string());
        Ok(())
    }

    fn apply_meta(&mut self, path: &Path, node: &Node) {
        for problem in apply(path, node, self.meta) {
            if self.report.warnings.len() < PROBLEMS_MAX {
                self.report.warnings.push((path.to_path_buf(), problem));
            }
        }
    }

    fn enter(&mut self, inside: &Path, path: PathBuf, node: Node) -> Result<Folder, SnapshotError> {
        let cancel = self.reader.backend.cancel().check();
        cancel.map_err(|source| SnapshotError::store("restoring", source))?;
        let children = self.reader.children(&node)?;
        let ours = self.sources.iter().any(|source| inside.starts_with(source));
        if self.options.delete && ours {
            self.delete_others(&path, &children)?;
        }
        Ok(Folder { path, node, keeps_meta: false, children: children.into_iter() })
    }

    fn delete_others(&mut self, folder: &Path, children: &[Node]) -> Result<(), SnapshotError> {
        // In a dry run a link may still be where the folder will be.
        if !fs::symlink_metadata(folder).is_ok_and(|meta| meta.is_dir()) {
            return Ok(());
        }
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return self.io_problem(folder.to_path_buf(), error),
        };
        let keep: HashSet<&OsString> = children.iter().map(|child| &child.name).collect();
        for entry in entries.filter_map(Result::ok) {
            if keep.contains(&entry.file_name()) {
                continue;
            }
            self.report.deleted += 1;
            if !self.options.dry_run
                && let Err(error) = remove(&entry.path(), true)
            {
                self.io_problem(entry.path(), error)?;
            }
        }
        Ok(())
    }

    /// Makes a folder unless it is there; says whether it did. Above the sources a link to a folder will
    /// do: machines differ in where they keep their homes.
    fn make_folder(&mut self, path: &Path, above: bool) -> io::Result<bool> {
        let present = if above {
            fs::metadata(path).or_else(|_| fs::symlink_metadata(path))
        } else {
            fs::symlink_metadata(path)
        };
        match present {
            Ok(meta) if meta.is_dir() => return Ok(false),
            _ if self.options.dry_run => return Ok(true),
            Ok(_) => fs::remove_file(path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        fs::create_dir(path).map(|()| true)
    }

    /// Anything but a folder.
    fn entry(&mut self, path: PathBuf, node: Node) -> Result<(), SnapshotError> {
        if let Some(key) = node.hard_link {
            if let Some(first) = self.linked.get(&key).cloned() {
                return self.link(&first, path);
            }
            self.linked.insert(key, path.clone());
        }
        if node.kind == NodeKind::File {
            return self.file(path, node);
        }
        self.report.others += 1;
        if self.options.dry_run {
            return Ok(());
        }
        let made =
            remove(&path, self.options.delete).and_then(|()| make_special(&path, &node.kind));
        match made {
            Ok(()) => self.apply_meta(&path, &node),
            Err(error) => self.io_problem(path, error)?,
        }
        Ok(())
    }

    fn link(&mut self, first: &Path, path: PathBuf) -> Result<(), SnapshotError> {
        self.report.hard_links += 1;
        if self.options.dry_run {
            return Ok(());
        }
        let made = remove(&path, self.options.delete).and_then(|()| fs::hard_link(first, &path));
        if let Err(error) = made {
            self.io_problem(path, error)?;
        }
        Ok(())
    }

    fn file(&mut self, path: PathBuf, node: Node) -> Result<(), SnapshotError> {
        let plan = match plan(&self.reader, &node) {
            Ok(plan) => plan,
            Err(error) => {
                self.problem(path, error.to_string());
                return Ok(());
            }
        };
        let present = fs::symlink_metadata(&path).ok();
        let same = present.is_some_and(|meta| {
            meta.is_file() && meta.len() == plan.size && meta.modified().ok() == node.mtime
        });
        let meter = self.reader.backend.meter();
        if same && !self.options.overwrite_existing {
            self.report.files_unchanged += 1;
            Meter::add(&meter.done, plan.size);
            if !self.options.dry_run {
                self.apply_meta(&path, &node);
            }
            return Ok(());
        }
        Meter::add(&meter.files, 1);
        if self.options.dry_run {
            self.report.files_restored += 1;
            self.report.bytes_restored += plan.size;
            return Ok(());
        }
        // A new file in any case: writing into an old one would change its other names too.
        let made = remove(&path, self.options.delete).and_then(|()| {
            let mut options = OpenOptions::new();
            let file = options.write(true).create_new(true).mode(0o600).open(&path)?;
            file.set_len(plan.size)
        });
        match made {
            Ok(()) => self.window.push(path, node, plan),
            Err(error) => self.io_problem(path, error)?,
        }
        Ok(())
    }

    /// Writes what is in the window, then the metadata of its files and of the folders done.
    fn flush(&mut self) -> Result<(), SnapshotError> {
        if self.options.dry_run {
            self.finished.clear();
            return Ok(());
        }
        let mut window = std::mem::take(&mut self.window);
        // On an error the times are not set yet, so that the next run restores these files again.
        let written = write_window(&self.reader, &mut window, self.content)?;
        self.report.bytes_restored += written.bytes;
        for (number, file) in window.files.into_iter().enumerate() {
            if let Some(why) = written.failed.get(&number) {
                if let Err(error) = fs::remove_file(&file.path) {
                    tracing::warn!(path = %file.path.display(), %error, "an incomplete file stays");
                }
                self.problem(file.path, why.clone());
            } else {
                self.report.files_restored += 1;
                self.apply_meta(&file.path, &file.node);
            }
        }
        for (path, node) in std::mem::take(&mut self.finished) {
            // The root of a snapshot has no metadata of its own; the target keeps what it has.
            if !node.name.is_empty() {
                self.apply_meta(&path, &node);
            }
        }
        Ok(())
    }
}

/// Makes room at a path; a folder goes only if `folders` says so.
fn remove(path: &Path, folders: bool) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => {
            if folders {
                fs::remove_dir_all(path)
            } else {
                Err(io::Error::other("a folder is in the way (restore with --delete to remove it)"))
            }
        }
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
