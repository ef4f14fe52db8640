//! Attributes as the kernel wants them.

use std::time::{Duration, SystemTime};

use fuser::{FileAttr, FileType, INodeNo};
use nix::sys::stat::{major, minor};
use snapshot::{Node, NodeKind};

/// What is in a snapshot never changes.
pub(crate) const TTL_SNAPSHOT: Duration = Duration::from_secs(3600);
/// The lists of snapshots do.
pub(crate) const TTL_LIST: Duration = Duration::from_secs(1);

const BLOCK: u32 = 128 << 10;

/// Who owns what has no owner of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

pub(crate) fn file_type(kind: &NodeKind) -> FileType {
    match kind {
        NodeKind::File => FileType::RegularFile,
        NodeKind::Dir => FileType::Directory,
        NodeKind::Symlink(_) => FileType::Symlink,
        NodeKind::Fifo => FileType::NamedPipe,
        NodeKind::Socket => FileType::Socket,
        NodeKind::CharDevice(_) => FileType::CharDevice,
        NodeKind::BlockDevice(_) => FileType::BlockDevice,
    }
}

/// The kernel's 32-bit form of a device number.
fn device(number: u64) -> u32 {
    let (major, minor) = (major(number), minor(number));
    let bits = (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12);
    u32::try_from(bits & 0xffff_ffff).unwrap_or(0)
}

/// Attributes of an entry of a snapshot.
pub(crate) fn of_node(number: u64, node: &Node, owner: Owner) -> FileAttr {
    let time = |stamp: Option<SystemTime>| stamp.unwrap_or(SystemTime::UNIX_EPOCH);
    let size = match &node.kind {
        NodeKind::File => node.size,
        NodeKind::Symlink(target) => target.as_os_str().len() as u64,
        _ => 0,
    };
    let links = if node.is_dir() { 2 } else { node.links.max(1) };
    FileAttr {
        ino: INodeNo(number),
        size,
        blocks: size.div_ceil(512),
        atime: time(node.atime.or(node.mtime)),
        mtime: time(node.mtime),
        ctime: time(node.ctime.or(node.mtime)),
        crtime: time(node.mtime),
        kind: file_type(&node.kind),
        perm: u16::try_from(node.mode & 0o7777).unwrap_or(0o444),
        nlink: u32::try_from(links).unwrap_or(u32::MAX),
        uid: node.uid.unwrap_or(owner.uid),
        gid: node.gid.unwrap_or(owner.gid),
        rdev: match node.kind {
            NodeKind::CharDevice(number) | NodeKind::BlockDevice(number) => device(number),
            _ => 0,
        },
        blksize: BLOCK,
        flags: 0,
    }
}

/// Attributes of a folder above the snapshots, or of the link to the newest.
pub(crate) fn of_list(
    number: u64,
    link: Option<usize>,
    time: SystemTime,
    owner: Owner,
) -> FileAttr {
    FileAttr {
        ino: INodeNo(number),
        size: link.unwrap_or(0) as u64,
        blocks: 0,
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind: match link {
            Some(_) => FileType::Symlink,
            None => FileType::Directory,
        },
        perm: 0o555,
        nlink: if link.is_some() { 1 } else { 2 },
        uid: owner.uid,
        gid: owner.gid,
        rdev: 0,
        blksize: BLOCK,
        flags: 0,
    }
}
