//! Which snapshots there are, and what is in them.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use rustic_core::repofile::SnapshotFile;
use rustic_core::{IndexedFullStatus, Repository};
use serde::Serialize;

use crate::backend::{Backend, object_id};
use crate::error::SnapshotError;
use crate::node::Node;
use crate::object::ObjectId;
use crate::repo::Repo;

/// Which snapshots are meant; empty lists mean all.
#[derive(Clone, Debug, Default)]
pub struct SnapshotFilter {
    /// All of these tags must be there.
    pub tags: Vec<String>,
    /// One of these hosts.
    pub hosts: Vec<String>,
}

impl SnapshotFilter {
    pub(crate) fn matches(&self, snapshot: &SnapshotFile) -> bool {
        self.tags.iter().all(|tag| snapshot.tags.contains(tag))
            && (self.hosts.is_empty() || self.hosts.contains(&snapshot.hostname))
    }
}

/// Numbers a backup left in its snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SnapshotSummary {
    /// Files in the snapshot.
    pub files: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Files new or changed against the parent.
    pub files_changed: u64,
    /// Bytes added to the repository, compressed and encrypted.
    pub bytes_added_packed: u64,
}

/// A snapshot.
#[derive(Clone, Debug)]
pub struct SnapshotInfo {
    /// Its id.
    pub id: ObjectId,
    /// When the backup began.
    pub time: DateTime<Utc>,
    /// Its tags, sorted.
    pub tags: Vec<String>,
    /// The machine it is of.
    pub host: String,
    /// The sources, as absolute paths.
    pub paths: Vec<PathBuf>,
    /// Who made it, when known.
    pub username: String,
    /// Numbers, when the program that made it left some.
    pub summary: Option<SnapshotSummary>,
    pub(crate) tree: rustic_core::TreeId,
}

impl SnapshotInfo {
    pub(crate) fn from_rustic(file: &SnapshotFile) -> Result<Self, SnapshotError> {
        let id = object_id(&file.id).map_err(|e| SnapshotError::Internal(e.to_string()))?;
        Ok(Self {
            id,
            time: DateTime::from(SystemTime::from(file.time.timestamp())),
            tags: file.tags.iter().cloned().collect(),
            host: file.hostname.clone(),
            paths: file.paths.iter().map(PathBuf::from).collect(),
            username: file.username.clone(),
            summary: file.summary.as_ref().map(|summary| SnapshotSummary {
                files: summary.total_files_processed,
                bytes: summary.total_bytes_processed,
                files_changed: summary.files_new + summary.files_changed,
                bytes_added_packed: summary.data_added_packed,
            }),
            tree: file.tree,
        })
    }

    /// The folder that holds everything in the snapshot.
    #[must_use]
    pub fn root(&self) -> Node {
        Node::root(self.tree, SystemTime::from(self.time))
    }
}

/// Snapshots by time, oldest first.
pub(crate) fn infos(files: &[SnapshotFile]) -> Result<Vec<SnapshotInfo>, SnapshotError> {
    let infos: Result<Vec<_>, _> = files.iter().map(SnapshotInfo::from_rustic).collect();
    let mut infos = infos?;
    infos.sort_by_key(|info| (info.time, info.id));
    Ok(infos)
}

/// Finds `latest`, `latest~N`, or the snapshot whose id begins with `spec`.
pub(crate) fn find(infos: &[SnapshotInfo], spec: &str) -> Result<SnapshotInfo, SnapshotError> {
    let none = || SnapshotError::NoSnapshot(spec.to_owned());
    if let Some(back) = spec.strip_prefix("latest") {
        let back: usize = match back.strip_prefix('~') {
            Some(number) => number.parse().map_err(|_| none())?,
            None if back.is_empty() => 0,
            None => return Err(none()),
        };
        return infos.iter().rev().nth(back).cloned().ok_or_else(none);
    }
    if spec.is_empty() {
        return Err(none());
    }
    let spec_lower = spec.to_ascii_lowercase();
    let mut fitting = infos.iter().filter(|info| info.id.to_hex().starts_with(&spec_lower));
    match (fitting.next(), fitting.next()) {
        (Some(info), None) => Ok(info.clone()),
        (Some(_), Some(_)) => Err(SnapshotError::AmbiguousSnapshot(spec.to_owned())),
        (None, _) => Err(none()),
    }
}

/// A repository with its whole index in memory, to read from.
pub(crate) struct Reader {
    pub(crate) repo: Repository<IndexedFullStatus>,
    pub(crate) backend: Arc<Backend>,
}

impl Reader {
    pub(crate) fn children(&self, folder: &Node) -> Result<Vec<Node>, SnapshotError> {
        let Some(tree) = &folder.subtree else {
            let text = format!("the folder {:?} has no content", folder.name);
            return Err(SnapshotError::Corrupt(text));
        };
        let tree = self.repo.get_tree(tree)?;
        Ok(tree.nodes.into_iter().map(Node::from_rustic).collect())
    }

    /// The node at a path within a snapshot; the root for `/` or an empty path.
    pub(crate) fn node_at(&self, root: Node, path: &Path) -> Result<Node, SnapshotError> {
        let missing = || SnapshotError::NotInSnapshot(path.to_path_buf());
        let mut node = root;
        for component in path.components() {
            match component {
                Component::RootDir | Component::CurDir => {}
                Component::Normal(name) => {
                    if !node.is_dir() {
                        return Err(missing());
                    }
                    let children = self.children(&node)?;
                    node = children
                        .into_iter()
                        .find(|child| child.name == name)
                        .ok_or_else(missing)?;
                }
                Component::ParentDir | Component::Prefix(_) => return Err(missing()),
            }
        }
        Ok(node)
    }
}

impl Repo {
    pub(crate) fn reader(&self) -> Result<Reader, SnapshotError> {
        Ok(Reader { repo: self.open_rustic()?.to_indexed()?, backend: self.backend.clone() })
    }

    pub(crate) fn all_infos(&self) -> Result<Vec<SnapshotInfo>, SnapshotError> {
        infos(&self.open_rustic()?.get_all_snapshots()?)
    }

    /// Snapshots that fit the filter, oldest first.
    ///
    /// # Errors
    /// When the store fails or there is no repository.
    pub fn snapshots(&self, filter: &SnapshotFilter) -> Result<Vec<SnapshotInfo>, SnapshotError> {
        self.run(|| {
            let mut files = self.open_rustic()?.get_all_snapshots()?;
            files.retain(|file| filter.matches(file));
            infos(&files)
        })
    }

    /// The snapshot meant by `latest`, `latest~N` or the first digits of an id.
    ///
    /// # Errors
    /// [`SnapshotError::NoSnapshot`] or [`SnapshotError::AmbiguousSnapshot`]; when the store fails.
    pub fn find_snapshot(&self, spec: &str) -> Result<SnapshotInfo, SnapshotError> {
        self.run(|| find(&self.all_infos()?, spec))
    }

    /// Shows what is at a path of a snapshot: the entry itself if it is a file, else what the folder
    /// holds, with all folders below if `recursive`. Paths are absolute within the snapshot.
    ///
    /// # Errors
    /// When there is no such snapshot or path, or the store fails.
    pub fn ls(
        &self,
        spec: &str,
        path: &Path,
        recursive: bool,
        visit: &mut dyn FnMut(&Path, &Node),
    ) -> Result<(), SnapshotError> {
        self.run(|| {
            let info = find(&self.all_infos()?, spec)?;
            let reader = self.reader()?;
            let start = reader.node_at(info.root(), path)?;
            let base = Path::new("/").join(path);
            if !start.is_dir() {
                visit(&base, &start);
                return Ok(());
            }
            // Children are pushed in reverse, so that they are shown in order, folders before their content.
            let mut stack = push_children(&reader, &base, &start)?;
            while let Some((path, node)) = stack.pop() {
                visit(&path, &node);
                if recursive && node.is_dir() {
                    stack.extend(push_children(&reader, &path, &node)?);
                }
            }
            Ok(())
        })
    }
}

fn push_children(
    reader: &Reader,
    base: &Path,
    folder: &Node,
) -> Result<Vec<(PathBuf, Node)>, SnapshotError> {
    let children = reader.children(folder)?;
    Ok(children.into_iter().rev().map(|node| (base.join(&node.name), node)).collect())
}
