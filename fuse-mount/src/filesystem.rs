//! The operations the kernel asks for.
//!
//! What is in memory is answered at once; what may need the store goes to a pool under a deadline.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use fuser::{
    AccessFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, KernelConfig, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyXattr, Request,
};
use snapshot::{Node, NodeKind, SnapshotError, SnapshotFs, StoreError};

use crate::attributes::{Owner, TTL_LIST, TTL_SNAPSHOT, file_type, of_list, of_node};
use crate::deadline::Deadlines;
use crate::inodes::{Inodes, Key};
use crate::layout::{Item, Layout};
use crate::mount::MountOptions;
use crate::pool::Pool;

/// How long a listing of snapshots waits for news before it shows what is known.
const NEWS_WAIT: Duration = Duration::from_millis(1500);
/// Lists younger than this are shown as they are.
const NEWS_AGE: Duration = Duration::from_secs(1);

type Listing = Arc<Vec<(u64, FileType, OsString)>>;

struct News {
    wanted: bool,
    at: Instant,
    closed: bool,
}

/// Everything the operations share.
pub(crate) struct Core {
    view: Arc<SnapshotFs>,
    layout: RwLock<Arc<Layout>>,
    pub(crate) inodes: Mutex<Inodes>,
    files: Mutex<HashMap<u64, Arc<snapshot::FileHandle>>>,
    folders: Mutex<HashMap<u64, Listing>>,
    next_handle: AtomicU64,
    /// Folders and files have threads of their own, so that `ls` goes on while all reads wait.
    folder_pool: Pool,
    file_pool: Pool,
    deadlines: Deadlines,
    news: Mutex<News>,
    news_change: Condvar,
    owner: Owner,
    mounted: SystemTime,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn errno(error: &SnapshotError) -> Errno {
    match error.store_error() {
        Some(StoreError::NotFound) => Errno::ESTALE,
        _ => Errno::EIO,
    }
}

impl Core {
    pub(crate) fn new(view: Arc<SnapshotFs>, options: &MountOptions) -> std::io::Result<Self> {
        let layout = Layout::new(&view.snapshots());
        Ok(Self {
            view,
            layout: RwLock::new(Arc::new(layout)),
            inodes: Mutex::default(),
            files: Mutex::default(),
            folders: Mutex::default(),
            next_handle: AtomicU64::new(1),
            folder_pool: Pool::new("pib-mount-dir", options.threads_max),
            file_pool: Pool::new("pib-mount-file", options.threads_max),
            deadlines: Deadlines::new(options.timeout)?,
            news: Mutex::new(News { wanted: false, at: Instant::now(), closed: false }),
            news_change: Condvar::new(),
            owner: Owner {
                uid: nix::unistd::geteuid().as_raw(),
                gid: nix::unistd::getegid().as_raw(),
            },
            mounted: SystemTime::now(),
        })
    }

    fn layout(&self) -> Arc<Layout> {
        self.layout.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks for new snapshots at each interval and when asked, until closed; calls `after` each time.
    pub(crate) fn watch_for_news(&self, interval: Duration, after: impl Fn(&Self)) {
        let mut news = lock(&self.news);
        while !news.closed {
            let age = news.at.elapsed();
            if !news.wanted && age < interval {
                let wait = self.news_change.wait_timeout(news, interval - age);
                news = match wait {
                    Ok((news, _)) => news,
                    Err(poisoned) => poisoned.into_inner().0,
                };
                continue;
            }
            drop(news);
            match self.view.refresh() {
                Ok(true) => {
                    let layout = Arc::new(Layout::new(&self.view.snapshots()));
                    *self.layout.write().unwrap_or_else(PoisonError::into_inner) = layout;
                }
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "cannot look for new snapshots"),
            }
            after(self);
            news = lock(&self.news);
            news.wanted = false;
            news.at = Instant::now();
            self.news_change.notify_all();
        }
    }

    /// Asks for news and waits a moment for them.
    fn want_news(&self) {
        let end = Instant::now() + NEWS_WAIT;
        let mut news = lock(&self.news);
        if news.at.elapsed() < NEWS_AGE {
            return;
        }
        let before = news.at;
        news.wanted = true;
        self.news_change.notify_all();
        while news.at == before && !news.closed {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            news = match self.news_change.wait_timeout(news, left) {
                Ok((news, _)) => news,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// Ends the threads; operations that are under way still get an answer.
    pub(crate) fn close(&self) {
        lock(&self.news).closed = true;
        self.news_change.notify_all();
        self.folder_pool.close();
        self.file_pool.close();
        self.deadlines.close();
    }

    fn item(&self, number: INodeNo) -> Option<Item> {
        lock(&self.inodes).get(number.0)
    }

    fn attributes(&self, number: u64, item: &Item) -> (Duration, FileAttr) {
        match item {
            Item::Snapshot(info) => (TTL_SNAPSHOT, of_node(number, &info.root(), self.owner)),
            Item::Node(node, _) => (TTL_SNAPSHOT, of_node(number, node, self.owner)),
            Item::Latest => {
                let length = self.layout().latest().map_or(0, |target| target.len());
                (TTL_LIST, of_list(number, Some(length), self.mounted, self.owner))
            }
            _ => (TTL_LIST, of_list(number, None, self.mounted, self.owner)),
        }
    }

    fn give_entry(&self, parent: u64, name: &OsStr, item: &Item, reply: ReplyEntry) {
        let number = lock(&self.inodes).look_up(key(parent, name, item), parent, name, item);
        let (ttl, attributes) = self.attributes(number, item);
        // A snapshot's name may change with its neighbours, its content does not.
        let entry_ttl = match item {
            Item::Snapshot(_) => TTL_LIST,
            _ => ttl,
        };
        reply.entry_with_ttls(&ttl, &entry_ttl, &attributes, Generation(0));
    }

    fn find(&self, parent: u64, root: u64, list: &[Node], name: &OsStr, reply: ReplyEntry) {
        match child(list, name) {
            Some(node) => {
                let item = Item::Node(Arc::new(node.clone()), root);
                self.give_entry(parent, name, &item, reply);
            }
            None => reply.error(Errno::ENOENT),
        }
    }

    fn list_snapshots(&self, number: u64, item: &Item) -> Listing {
        let inodes = lock(&self.inodes);
        let children = self.layout().children(item).into_iter().map(|child| {
            let kind = match child.item {
                Item::Latest => FileType::Symlink,
                _ => FileType::Directory,
            };
            let number = inodes.number(&key(number, &child.name, &child.item));
            (number, kind, child.name)
        });
        Arc::new(with_dots(number, children))
    }

    fn list_folder(&self, number: u64, root: u64, list: &[Node]) -> Listing {
        let inodes = lock(&self.inodes);
        let children = list.iter().map(|node| {
            let inode = inodes.number(&node_key(number, root, node));
            (inode, file_type(&node.kind), node.name.clone())
        });
        Arc::new(with_dots(number, children))
    }

    fn open_folder(&self, listing: Listing) -> FileHandle {
        let handle = self.next_handle.fetch_add(1, Ordering::Relaxed);
        lock(&self.folders).insert(handle, listing);
        FileHandle(handle)
    }
}

fn with_dots(
    number: u64,
    children: impl Iterator<Item = (u64, FileType, OsString)>,
) -> Vec<(u64, FileType, OsString)> {
    let dot = |name: &str| (number, FileType::Directory, OsString::from(name));
    [dot("."), dot("..")].into_iter().chain(children).collect()
}

fn key(parent: u64, name: &OsStr, item: &Item) -> Key {
    match item {
        Item::Snapshot(info) => Key::Snapshot(parent, info.id.0),
        Item::Node(node, root) => node_key(parent, *root, node),
        _ => Key::Child(parent, name.to_owned()),
    }
}

fn node_key(parent: u64, root: u64, node: &Node) -> Key {
    match node.hard_link {
        Some((device, inode)) => Key::Linked(root, device, inode),
        None => Key::Child(parent, node.name.clone()),
    }
}

/// Listings are sorted by name, but other programs' may not be.
fn child<'a>(list: &'a [Node], name: &OsStr) -> Option<&'a Node> {
    match list.binary_search_by(|node| node.name.as_os_str().cmp(name)) {
        Ok(at) => list.get(at),
        Err(_) => list.iter().find(|node| node.name == name),
    }
}

/// The folder an item is, with the inode of its snapshot's root.
fn folder(number: u64, item: &Item) -> Option<(Node, u64)> {
    match item {
        Item::Snapshot(info) => Some((info.root(), number)),
        Item::Node(node, root) if node.is_dir() => Some(((**node).clone(), *root)),
        _ => None,
    }
}

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
