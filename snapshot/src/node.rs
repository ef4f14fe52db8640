//! A file, folder or other entry of a snapshot, in the terms of the operating system.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use rustic_core::repofile::{Node as RusticNode, NodeType};
use rustic_core::{DataId, TreeId};

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A regular file.
    File,
    /// A folder.
    Dir,
    /// A symbolic link and where it points to.
    Symlink(PathBuf),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device and its number.
    CharDevice(u64),
    /// A block device and its number.
    BlockDevice(u64),
}

/// An entry of a snapshot.
#[derive(Clone, Debug)]
pub struct Node {
    /// The name within the folder: one path component, not necessarily UTF-8.
    pub name: OsString,
    /// What it is.
    pub kind: NodeKind,
    /// Permission bits with set-uid, set-gid and sticky (`mode & 0o7777`).
    pub mode: u32,
    /// The owner's number, when known.
    pub uid: Option<u32>,
    /// The group's number, when known.
    pub gid: Option<u32>,
    /// The owner's name, when known.
    pub user: Option<String>,
    /// The group's name, when known.
    pub group: Option<String>,
    /// Bytes of a file's content.
    pub size: u64,
    /// When the content changed.
    pub mtime: Option<SystemTime>,
    /// When it was read.
    pub atime: Option<SystemTime>,
    /// When the metadata changed.
    pub ctime: Option<SystemTime>,
    /// Names the file had on its machine.
    pub links: u64,
    /// Equal for two names of one file (hard links): device and inode on the machine backed up.
    pub hard_link: Option<(u64, u64)>,
    /// Extended attributes.
    pub xattrs: Vec<(OsString, Vec<u8>)>,
    pub(crate) content: Arc<[DataId]>,
    pub(crate) subtree: Option<TreeId>,
}

// Go's file mode bits, which restic's format stores.
const GO_SETUID: u32 = 1 << 23;
const GO_SETGID: u32 = 1 << 22;
const GO_STICKY: u32 = 1 << 20;

fn unix_mode(go: u32) -> u32 {
    let bit = |go_bit: u32, unix_bit: u32| if go & go_bit == 0 { 0 } else { unix_bit };
    (go & 0o777) | bit(GO_SETUID, 0o4000) | bit(GO_SETGID, 0o2000) | bit(GO_STICKY, 0o1000)
}

impl Node {
    /// Whether it is a folder.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.kind == NodeKind::Dir
    }

    /// Whether it is a regular file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.kind == NodeKind::File
    }

    /// Whether the name is one plain component: anything else could lead outside a restore's target.
    pub(crate) fn has_safe_name(&self) -> bool {
        let name = self.name.as_encoded_bytes();
        !name.is_empty()
            && name != b"."
            && name != b".."
            && !name.contains(&b'/')
            && !name.contains(&0)
    }

    /// What a cache should count it as, in bytes, roughly.
    pub(crate) fn weight(&self) -> u64 {
        let xattrs: usize = self.xattrs.iter().map(|(n, v)| n.len() + v.len() + 48).sum();
        (320 + self.name.len() + xattrs + 32 * self.content.len()) as u64
    }

    /// The folder a snapshot's tree stands for.
    pub(crate) fn root(tree: TreeId, time: SystemTime) -> Self {
        Self {
            name: OsString::new(),
            kind: NodeKind::Dir,
            mode: 0o755,
            uid: None,
            gid: None,
            user: None,
            group: None,
            size: 0,
            mtime: Some(time),
            atime: Some(time),
            ctime: Some(time),
            links: 0,
            hard_link: None,
            xattrs: Vec::new(),
            content: Arc::from([]),
            subtree: Some(tree),
        }
    }

    pub(crate) fn from_rustic(node: RusticNode) -> Self {
        let name = node.name().into_owned();
        let kind = match node.node_type {
            NodeType::File => NodeKind::File,
            NodeType::Dir => NodeKind::Dir,
            NodeType::Symlink { linktarget, linktarget_raw } => {
                let raw = linktarget_raw.unwrap_or_else(|| linktarget.into_bytes());
                NodeKind::Symlink(OsString::from_vec(raw).into())
            }
            NodeType::Dev { device } => NodeKind::BlockDevice(device),
            NodeType::Chardev { device } => NodeKind::CharDevice(device),
            NodeType::Fifo => NodeKind::Fifo,
            NodeType::Socket => NodeKind::Socket,
        };
        let meta = node.meta;
        let linked = meta.links > 1 && meta.inode != 0 && kind != NodeKind::Dir;
        let time = |stamp: Option<rustic_core::jiff::Timestamp>| stamp.map(SystemTime::from);
        let default_mode = if kind == NodeKind::Dir { 0o755 } else { 0o644 };
        Self {
            name,
            mode: meta.mode.map_or(default_mode, unix_mode),
            uid: meta.uid,
            gid: meta.gid,
            user: meta.user,
            group: meta.group,
            size: meta.size,
            mtime: time(meta.mtime),
            atime: time(meta.atime),
            ctime: time(meta.ctime),
            links: meta.links,
            hard_link: linked.then_some((meta.device_id, meta.inode)),
            xattrs: meta
                .extended_attributes
                .into_iter()
                .map(|a| (OsString::from(a.name), a.value.unwrap_or_default()))
                .collect(),
            content: node.content.unwrap_or_default().into(),
            subtree: node.subtree,
            kind,
        }
    }
}
