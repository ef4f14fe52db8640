//! The operations the kernel asks for.
//!
//! What is in memory is answered at once; what may need the store goes to a pool under a deadline.

use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fuser::{
    AccessFlags, Errno, FileHandle, Filesystem, FopenFlags, INodeNo, KernelConfig, LockOwner,
    OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyXattr,
    Request,
};
use snapshot::NodeKind;

use crate::layout::Item;
use crate::shared::{Core, errno, folder, lock};

/// The file system as `fuser` drives it.
pub(crate) struct SnapshotMount(pub(crate) Arc<Core>);

impl Filesystem for SnapshotMount {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // The kernel sends no more reads while this many wait: slow ones must not fill it up soon.
        let _ = config.set_max_background(256);
        let _ = config.set_congestion_threshold(192);
        Ok(())
    }

    fn destroy(&mut self) {
        self.0.close();
    }

    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let core = &self.0;
        let Some(item) = core.item(parent) else {
            return reply.error(Errno::ESTALE);
        };
        if item.is_list() {
            return match core.layout().child(&item, name) {
                Some(found) => core.give_entry(parent.0, name, &found, reply),
                None => reply.error(Errno::ENOENT),
            };
        }
        let Some((node, root)) = folder(parent.0, &item) else {
            return reply.error(Errno::ENOTDIR);
        };
        if let Some(list) = core.view.children_cached(&node) {
            return core.find(parent.0, root, &list, name, reply);
        }
        let guarded = core.deadlines.guard(reply);
        let (core, name) = (self.0.clone(), name.to_owned());
        let work = self.0.clone();
        // A refused job is dropped, which answers with an error.
        work.folder_pool.run(move || {
            if guarded.is_late() {
                return;
            }
            let list = core.view.children(&node);
            guarded.answer(|reply| match list {
                Ok(list) => core.find(parent.0, root, &list, &name, reply),
                Err(error) => {
                    tracing::warn!(%error, "cannot list a folder");
                    reply.error(errno(&error));
                }
            });
        });
    }

    fn forget(&self, _request: &Request, number: INodeNo, lookups: u64) {
        lock(&self.0.inodes).forget(number.0, lookups);
    }

    fn getattr(
        &self,
        _request: &Request,
        number: INodeNo,
        _handle: Option<FileHandle>,
        reply: ReplyAttr,
    ) {
        match self.0.item(number) {
            Some(item) => {
                let (ttl, attributes) = self.0.attributes(number.0, &item);
                reply.attr(&ttl, &attributes);
            }
            None => reply.error(Errno::ESTALE),
        }
    }

    fn readlink(&self, _request: &Request, number: INodeNo, reply: ReplyData) {
        match self.0.item(number) {
            Some(Item::Latest) => match self.0.layout().latest() {
                Some(target) => reply.data(target.as_encoded_bytes()),
                None => reply.error(Errno::ENOENT),
            },
            Some(Item::Node(node, _)) => match &node.kind {
                NodeKind::Symlink(target) => reply.data(target.as_os_str().as_encoded_bytes()),
                _ => reply.error(Errno::EINVAL),
            },
            Some(_) => reply.error(Errno::EINVAL),
            None => reply.error(Errno::ESTALE),
        }
    }

    fn open(&self, _request: &Request, number: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        let Some(Item::Node(node, _)) = self.0.item(number) else {
            return reply.error(Errno::ESTALE);
        };
        // The index is in memory: this does not wait for the store.
        match self.0.view.open_file(&node) {
            Ok(file) => {
                let handle = self.0.next_handle.fetch_add(1, Ordering::Relaxed);
                lock(&self.0.files).insert(handle, file);
                // The content of an inode never changes, so what the kernel has stays good.
                let flags = FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_NOFLUSH;
                reply.opened(FileHandle(handle), flags);
            }
            Err(error) => {
                tracing::warn!(%error, name = ?node.name, "cannot open a file");
                reply.error(errno(&error));
            }
        }
    }

    fn read(
        &self,
        _request: &Request,
        _number: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let file = lock(&self.0.files).get(&handle.0).cloned();
        let Some(file) = file else {
            return reply.error(Errno::EBADF);
        };
        let guarded = self.0.deadlines.guard(reply);
        let core = self.0.clone();
        self.0.file_pool.run(move || {
            if guarded.is_late() {
                return;
            }
            let bytes = core.view.read_at(&file, offset, size);
            guarded.answer(|reply| match bytes {
                Ok(bytes) => reply.data(&bytes),
                Err(error) => {
                    tracing::warn!(%error, "cannot read a file");
                    reply.error(errno(&error));
                }
            });
        });
    }

    fn flush(
        &self,
        _request: &Request,
        _number: INodeNo,
        _handle: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }

    fn release(
        &self,
        _request: &Request,
        _number: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        lock(&self.0.files).remove(&handle.0);
        reply.ok();
    }

    fn opendir(&self, _request: &Request, number: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        let core = self.0.clone();
        let Some(item) = core.item(number) else {
            return reply.error(Errno::ESTALE);
        };
        let number = number.0;
        let guarded = core.deadlines.guard(reply);
        if item.is_list() {
            self.0.folder_pool.run(move || {
                core.want_news();
                let listing = core.list_snapshots(number, &item);
                guarded.answer(|reply| {
                    reply.opened(core.open_folder(listing), FopenFlags::empty());
                });
            });
            return;
        }
        let Some((node, root)) = folder(number, &item) else {
            return guarded.answer(|reply| reply.error(Errno::ENOTDIR));
        };
        let work = self.0.clone();
        let job = move || {
            if guarded.is_late() {
                return;
            }
            let list = core.view.children(&node);
            guarded.answer(|reply| match list {
                Ok(list) => {
                    let listing = core.list_folder(number, root, &list);
                    reply.opened(core.open_folder(listing), FopenFlags::empty());
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot list a folder");
                    reply.error(errno(&error));
                }
            });
        };
        work.folder_pool.run(job);
    }

    fn readdir(
        &self,
        _request: &Request,
        _number: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let listing = lock(&self.0.folders).get(&handle.0).cloned();
        let Some(listing) = listing else {
            return reply.error(Errno::EBADF);
        };
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        for (i, (number, kind, name)) in listing.iter().enumerate().skip(start) {
            if reply.add(INodeNo(*number), i as u64 + 1, *kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(
        &self,
        _request: &Request,
        _number: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        lock(&self.0.folders).remove(&handle.0);
        reply.ok();
    }

    fn getxattr(
        &self,
        _request: &Request,
        number: INodeNo,
        name: &OsStr,
        size: u32,
        reply: ReplyXattr,
    ) {
        let Some(Item::Node(node, _)) = self.0.item(number) else {
            return reply.error(Errno::NO_XATTR);
        };
        match node.xattrs.iter().find(|(own, _)| own == name) {
            Some((_, value)) => give_xattr(value, size, reply),
            None => reply.error(Errno::NO_XATTR),
        }
    }

    fn listxattr(&self, _request: &Request, number: INodeNo, size: u32, reply: ReplyXattr) {
        let mut names = Vec::new();
        if let Some(Item::Node(node, _)) = self.0.item(number) {
            for (name, _) in &node.xattrs {
                names.extend_from_slice(name.as_encoded_bytes());
                names.push(0);
            }
        }
        give_xattr(&names, size, reply);
    }

    fn access(&self, _request: &Request, _number: INodeNo, mask: AccessFlags, reply: ReplyEmpty) {
        if mask.contains(AccessFlags::W_OK) {
            return reply.error(Errno::EROFS);
        }
        reply.ok();
    }
}

/// A size of zero asks how much room is needed.
fn give_xattr(value: &[u8], size: u32, reply: ReplyXattr) {
    let needed = u32::try_from(value.len()).unwrap_or(u32::MAX);
    if size == 0 {
        reply.size(needed);
    } else if needed > size {
        reply.error(Errno::ERANGE);
    } else {
        reply.data(value);
    }
}
