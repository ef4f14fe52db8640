//! What all operations share: the view, the tables, the threads, and news of snapshots.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use fuser::{Errno, FileAttr, FileHandle, FileType, Generation, INodeNo, ReplyEntry};
use snapshot::{Node, SnapshotError, SnapshotFs, StoreError};

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

pub(crate) type Listing = Arc<Vec<(u64, FileType, OsString)>>;

struct News {
    wanted: bool,
    at: Instant,
    closed: bool,
}

/// Everything the operations share.
pub(crate) struct Core {
    pub(crate) view: Arc<SnapshotFs>,
    layout: RwLock<Arc<Layout>>,
    pub(crate) inodes: Mutex<Inodes>,
    pub(crate) files: Mutex<HashMap<u64, Arc<snapshot::FileHandle>>>,
    pub(crate) folders: Mutex<HashMap<u64, Listing>>,
    pub(crate) next_handle: AtomicU64,
    /// Folders and files have threads of their own, so that `ls` goes on while all reads wait.
    pub(crate) folder_pool: Pool,
    pub(crate) file_pool: Pool,
    pub(crate) deadlines: Deadlines,
    news: Mutex<News>,
    news_change: Condvar,
    owner: Owner,
    mounted: SystemTime,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn errno(error: &SnapshotError) -> Errno {
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

    pub(crate) fn layout(&self) -> Arc<Layout> {
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
    pub(crate) fn want_news(&self) {
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

    pub(crate) fn item(&self, number: INodeNo) -> Option<Item> {
        lock(&self.inodes).get(number.0)
    }

    pub(crate) fn attributes(&self, number: u64, item: &Item) -> (Duration, FileAttr) {
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

    pub(crate) fn give_entry(&self, parent: u64, name: &OsStr, item: &Item, reply: ReplyEntry) {
        let number = lock(&self.inodes).look_up(key(parent, name, item), parent, name, item);
        let (ttl, attributes) = self.attributes(number, item);
        // A snapshot's name may change with its neighbours, its content does not.
        let entry_ttl = match item {
            Item::Snapshot(_) => TTL_LIST,
            _ => ttl,
        };
        reply.entry_with_ttls(&ttl, &entry_ttl, &attributes, Generation(0));
    }

    pub(crate) fn find(
        &self,
        parent: u64,
        root: u64,
        list: &[Node],
        name: &OsStr,
        reply: ReplyEntry,
    ) {
        match child(list, name) {
            Some(node) => {
                let item = Item::Node(Arc::new(node.clone()), root);
                self.give_entry(parent, name, &item, reply);
            }
            None => reply.error(Errno::ENOENT),
        }
    }

    pub(crate) fn list_snapshots(&self, number: u64, item: &Item) -> Listing {
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

    pub(crate) fn list_folder(&self, number: u64, root: u64, list: &[Node]) -> Listing {
        let inodes = lock(&self.inodes);
        let children = list.iter().map(|node| {
            let inode = inodes.number(&node_key(number, root, node));
            (inode, file_type(&node.kind), node.name.clone())
        });
        Arc::new(with_dots(number, children))
    }

    pub(crate) fn open_folder(&self, listing: Listing) -> FileHandle {
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
pub(crate) fn folder(number: u64, item: &Item) -> Option<(Node, u64)> {
    match item {
        Item::Snapshot(info) => Some((info.root(), number)),
        Item::Node(node, root) if node.is_dir() => Some(((**node).clone(), *root)),
        _ => None,
    }
}
