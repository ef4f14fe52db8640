//! Owner, mode, times and extended attributes of restored entries, and entries that are not regular files.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::Path;

use filetime::FileTime;
use nix::sys::stat::{Mode, SFlag, mknod};

use crate::node::{Node, NodeKind};

/// What of the metadata is restored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MetaOptions {
    /// Only root may give files away.
    pub(crate) ownership: bool,
}

/// Makes a symbolic link, pipe, socket or device.
pub(crate) fn make_special(path: &Path, kind: &NodeKind) -> io::Result<()> {
    let node = |flag, device| mknod(path, flag, Mode::empty(), device).map_err(io::Error::from);
    match kind {
        NodeKind::Symlink(target) => symlink(target, path),
        NodeKind::Fifo => node(SFlag::S_IFIFO, 0),
        NodeKind::Socket => node(SFlag::S_IFSOCK, 0),
        NodeKind::CharDevice(device) => node(SFlag::S_IFCHR, *device),
        NodeKind::BlockDevice(device) => node(SFlag::S_IFBLK, *device),
        NodeKind::File | NodeKind::Dir => Ok(()),
    }
}

/// Applies the metadata; says what could not be applied. The order matters: a change of owner clears
/// set-uid and capabilities, and a read-only mode keeps a plain user from setting attributes.
pub(crate) fn apply(path: &Path, node: &Node, options: MetaOptions) -> Vec<String> {
    let mut problems = Vec::new();
    let mut note = |what: &str, result: io::Result<()>| {
        if let Err(error) = result {
            problems.push(format!("cannot restore the {what}: {error}"));
        }
    };
    if options.ownership && (node.uid.is_some() || node.gid.is_some()) {
        note("owner", lchown(path, node.uid, node.gid));
    }
    let is_link = matches!(node.kind, NodeKind::Symlink(_));
    for (name, value) in &node.xattrs {
        let present = xattr::get(path, name).ok().flatten();
        if present.as_ref() != Some(value) {
            let what = format!("attribute {}", name.display());
            note(&what, xattr::set(path, name, value));
        }
    }
    if !is_link {
        let mode = Permissions::from_mode(node.mode);
        note("mode", fs::set_permissions(path, mode));
    }
    if let Some(mtime) = node.mtime {
        let atime = FileTime::from_system_time(node.atime.unwrap_or(mtime));
        let mtime = FileTime::from_system_time(mtime);
        note("times", filetime::set_symlink_file_times(path, atime, mtime));
    }
    problems
}
