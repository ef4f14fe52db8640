//! What the tests share: trees to back up, a way to compare them, and stores that misbehave.
#![allow(dead_code, missing_docs)]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};
use snapshot::{
    CancelToken, InMemoryStore, ObjectId, ObjectKind, ObjectStore, Repo, RepoOptions, RepoSecret,
    StoreError,
};

pub const SECRET: [u8; 32] = [7; 32];

pub fn secret() -> RepoSecret {
    RepoSecret::new(SECRET)
}

pub fn open(store: Arc<dyn ObjectStore>) -> Repo {
    open_with(store, CancelToken::new())
}

pub fn open_with(store: Arc<dyn ObjectStore>, cancel: CancelToken) -> Repo {
    Repo::init_or_open(store, secret(), RepoOptions::default(), cancel).unwrap()
}

pub fn random(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    SmallRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

/// A tree with everything that is easily lost.
pub fn make_tree(root: &Path) {
    let write = |name: &str, bytes: &[u8]| fs::write(root.join(name), bytes).unwrap();
    fs::create_dir_all(root.join("sub/deep/deeper")).unwrap();
    fs::create_dir_all(root.join("empty-folder")).unwrap();
    write("empty", b"");
    write("small", b"hello");
    write("large", &random(1, 5 << 20));
    write("sub/text", "some text that compresses ".repeat(10_000).as_bytes());
    write("sub/deep/deeper/file", &random(2, 700_000));
    write("new\nline", b"1");
    write("quote\"back\\slash", b"2");
    write("spa ce \u{fc}\u{1f600}", b"3");
    fs::write(root.join(OsStr::from_bytes(b"not-utf8-\xff\xfe")), b"4").unwrap();
    write("script", b"#!/bin/sh\n");
    let mode = |name: &str, mode| {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("script", 0o4755);
    mode("small", 0o640);
    mode("sub/deep", 0o1750);
    symlink("sub/text", root.join("link")).unwrap();
    symlink("/no/such/place", root.join("dangling")).unwrap();
    fs::hard_link(root.join("large"), root.join("sub/large-again")).unwrap();
    fs::hard_link(root.join("large"), root.join("another-large")).unwrap();
    let sparse = fs::File::create(root.join("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"begin", 0).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"end", 20 << 20).unwrap();
    if xattrs_work(root) {
        xattr::set(root.join("small"), "user.colour", b"blue\0raw\xff").unwrap();
        xattr::set(root.join("sub"), "user.folder", b"yes").unwrap();
    }
    nix::unistd::mkfifo(&root.join("pipe"), nix::sys::stat::Mode::from_bits_truncate(0o600))
        .unwrap();
    let old = filetime::FileTime::from_unix_time(1_000_000_000, 123_456_789);
    for name in ["small", "sub/text", "link", "pipe", "empty-folder", "sub/deep", "sub"] {
        filetime::set_symlink_file_times(root.join(name), old, old).unwrap();
    }
}

pub fn xattrs_work(root: &Path) -> bool {
    xattr::set(root, "user.probe", b"1").is_ok() && xattr::remove(root, "user.probe").is_ok()
}

/// Everything about an entry that a restore must bring back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub mode: u32,
    pub owner: (u32, u32),
    pub mtime: (i64, i64),
    pub size: u64,
    pub content: Vec<u8>,
    pub link: Option<PathBuf>,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The first path with the same inode.
    pub same_as: PathBuf,
}

pub fn look(root: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut first = BTreeMap::new();
    let mut found = BTreeMap::new();
    for entry in walkdir::WalkDir::new(root).sort_by_file_name().min_depth(1) {
        let entry = entry.unwrap();
        let path = entry.path();
        let below = path.strip_prefix(root).unwrap().to_path_buf();
        let meta = fs::symlink_metadata(path).unwrap();
        let content = if meta.is_file() { fs::read(path).unwrap() } else { Vec::new() };
        let mut xattrs = BTreeMap::new();
        for name in xattr::list(path).unwrap() {
            let value = xattr::get(path, &name).unwrap().unwrap_or_default();
            xattrs.insert(name.as_bytes().to_vec(), value);
        }
        let same_as = first.entry((meta.dev(), meta.ino())).or_insert(below.clone()).clone();
        let seen = Seen {
            mode: meta.mode(),
            owner: (meta.uid(), meta.gid()),
            mtime: (meta.mtime(), meta.mtime_nsec()),
            size: if meta.is_dir() { 0 } else { meta.len() },
            content,
            link: fs::read_link(path).ok(),
            xattrs,
            same_as,
        };
        found.insert(below, seen);
    }
    found
}

pub fn assert_same(left: &Path, right: &Path) {
    let (left, right) = (look(left), look(right));
    let names = |map: &BTreeMap<PathBuf, Seen>| map.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&left), names(&right));
    for (path, seen) in &left {
        let mut short = seen.clone();
        let mut other = right[path].clone();
        assert!(short.content == other.content, "content of {}", path.display());
        short.content.clear();
        other.content.clear();
        assert_eq!(short, other, "{}", path.display());
    }
}

type Hook = dyn Fn(ObjectKind, ObjectId, u64) -> Result<(), StoreError> + Send + Sync;

/// A store in memory that asks a hook before each put and counts bytes put.
pub struct HookStore {
    pub inner: InMemoryStore,
    pub hook: Mutex<Arc<Hook>>,
    pub put_bytes: AtomicU64,
    pub pack_bytes: AtomicU64,
    /// Ids of all objects in the order in which they were completely put.
    pub order: Mutex<Vec<(ObjectKind, ObjectId)>>,
}

impl HookStore {
    pub fn new() -> Self {
        Self {
            inner: InMemoryStore::new(),
            hook: Mutex::new(Arc::new(|_, _, _| Ok(()))),
            put_bytes: AtomicU64::new(0),
            pack_bytes: AtomicU64::new(0),
            order: Mutex::default(),
        }
    }

    pub fn on_put(
        &self,
        hook: impl Fn(ObjectKind, ObjectId, u64) -> Result<(), StoreError> + Send + Sync + 'static,
    ) {
        *self.hook.lock().unwrap() = Arc::new(hook);
    }

    pub fn packs_put(&self) -> u64 {
        self.pack_bytes.load(Ordering::SeqCst)
    }
}

impl ObjectStore for HookStore {
    fn list(&self, kind: ObjectKind) -> Result<Vec<(ObjectId, u64)>, StoreError> {
        self.inner.list(kind)
    }

    fn get(
        &self,
        kind: ObjectKind,
        id: ObjectId,
        range: Option<(u64, u64)>,
    ) -> Result<Bytes, StoreError> {
        self.inner.get(kind, id, range)
    }

    fn put(&self, kind: ObjectKind, id: ObjectId, bytes: Bytes) -> Result<(), StoreError> {
        let size = bytes.len() as u64;
        let hook = self.hook.lock().unwrap().clone();
        hook(kind, id, size)?;
        self.inner.put(kind, id, bytes)?;
        self.order.lock().unwrap().push((kind, id));
        self.put_bytes.fetch_add(size, Ordering::SeqCst);
        if kind == ObjectKind::Pack {
            self.pack_bytes.fetch_add(size, Ordering::SeqCst);
        }
        Ok(())
    }

    fn remove(&self, kind: ObjectKind, id: ObjectId) -> Result<(), StoreError> {
        self.inner.remove(kind, id)
    }
}
