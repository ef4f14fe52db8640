//! What changed between two snapshots. Folders that are the same in both are not even read.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use crate::error::SnapshotError;
use crate::list::{Reader, find};
use crate::node::Node;
use crate::repo::Repo;

/// How an entry differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Only the later snapshot has it.
    Added,
    /// Only the earlier snapshot has it.
    Removed,
    /// The content, the link's target or the kind of entry differs.
    Content,
    /// Only mode, owner, times or attributes differ.
    Metadata,
}

/// Told of each difference: how, where, and the entry as it is later (earlier when it was removed).
type Visit<'a> = dyn FnMut(Change, &Path, &Node) + 'a;

impl Repo {
    /// Tells how what is at `path` differs between two snapshots, in the order of names.
    ///
    /// # Errors
    /// When a snapshot or the path in either does not exist, or the store fails.
    pub fn diff(
        &self,
        earlier: &str,
        later: &str,
        path: &Path,
        visit: &mut Visit<'_>,
    ) -> Result<(), SnapshotError> {
        self.run(|| {
            let infos = self.all_infos()?;
            let reader = self.reader()?;
            let left = reader.node_at(find(&infos, earlier)?.root(), path)?;
            let right = reader.node_at(find(&infos, later)?.root(), path)?;
            let base = Path::new("/").join(path);
            // Reversed, so that the stack gives entries in order.
            let mut stack = vec![(base, Some(left), Some(right))];
            while let Some((path, left, right)) = stack.pop() {
                if let Some((change, node)) = compare(left.as_ref(), right.as_ref()) {
                    visit(change, &path, node);
                }
                let mut below = pairs(&reader, &path, left.as_ref(), right.as_ref())?;
                below.reverse();
                stack.append(&mut below);
            }
            Ok(())
        })
    }
}

fn compare<'a>(left: Option<&'a Node>, right: Option<&'a Node>) -> Option<(Change, &'a Node)> {
    match (left, right) {
        (None, None) => None,
        (Some(node), None) => Some((Change::Removed, node)),
        (None, Some(node)) => Some((Change::Added, node)),
        (Some(left), Some(right)) => {
            let meta = |node: &Node| (node.mode, node.uid, node.gid, node.mtime);
            if left.kind != right.kind || left.content != right.content {
                Some((Change::Content, right))
            } else if meta(left) != meta(right) || left.xattrs != right.xattrs {
                Some((Change::Metadata, right))
            } else {
                None
            }
        }
    }
}

type Pair = (PathBuf, Option<Node>, Option<Node>);

/// What two folders hold, name by name; nothing when they are the same.
fn pairs(
    reader: &Reader,
    base: &Path,
    left: Option<&Node>,
    right: Option<&Node>,
) -> Result<Vec<Pair>, SnapshotError> {
    let tree = |node: Option<&Node>| node.and_then(|node| node.subtree);
    if tree(left) == tree(right) {
        return Ok(Vec::new());
    }
    let children = |node: Option<&Node>| match node {
        Some(node) if node.is_dir() => reader.children(node),
        _ => Ok(Vec::new()),
    };
    let (mut left, mut right) = (children(left)?, children(right)?);
    left.sort_by(|a, b| a.name.cmp(&b.name));
    right.sort_by(|a, b| a.name.cmp(&b.name));
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    let mut pairs = Vec::new();
    loop {
        let order = match (left.peek(), right.peek()) {
            (None, None) => return Ok(pairs),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.name.cmp(&b.name),
        };
        let left = if order.is_le() { left.next() } else { None };
        let right = if order.is_ge() { right.next() } else { None };
        if let Some(node) = left.as_ref().or(right.as_ref()) {
            pairs.push((base.join(&node.name), left, right));
        }
    }
}
