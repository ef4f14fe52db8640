//! What can be rebuilt: copies of small objects (indexes, snapshots), so that listing and the
//! next backup need not ask the group. Kept in sled, bounded, checked when read.
//!
//! Loss or damage costs one fetch from the group and nothing else: each copy is stored beside its
//! digest, and one that does not match is dropped.

use crate::error::NodeError;
use bytes::Bytes;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use types::Hash;

/// Bytes of copies kept on disk at most.
const TOTAL_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Larger objects are not copied.
pub const OBJECT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// sled's page cache, bytes.
const PAGE_CACHE_BYTES: u64 = 4 * 1024 * 1024;

/// The cache of object copies.
pub struct ObjectCache {
    tree: sled::Db,
    bytes: AtomicU64,
}

impl ObjectCache {
    /// Opens `cache.sled`; one that cannot be opened is moved away and made anew.
    pub fn open(data: &Path) -> Result<Self, NodeError> {
        let path = data.join("cache.sled");
        let open = || sled::Config::new().path(&path).cache_capacity(PAGE_CACHE_BYTES).open();
        let io = |source| NodeError::Io { what: "open the cache", path: path.clone(), source };
        let tree = match open() {
            Ok(tree) => tree,
            Err(error) => {
                tracing::warn!(%error, "the cache is damaged; it is made anew");
                std::fs::remove_dir_all(&path).map_err(io)?;
                open().map_err(|error| io(std::io::Error::other(error)))?
            }
        };
        let mut bytes = 0;
        for value in tree.iter().values() {
            bytes += value.map_or(0, |value| value.len() as u64);
        }
        Ok(Self { tree, bytes: AtomicU64::new(bytes) })
    }

    /// A copy, if there is a sound one.
    pub fn get(&self, key: &[u8]) -> Option<Bytes> {
        let value = self.tree.get(key).ok().flatten()?;
        let (digest, body) = value.split_at_checked(32)?;
        if Hash::of(body).as_bytes() != digest {
            let _ = self.tree.remove(key);
            return None;
        }
        Some(Bytes::copy_from_slice(body))
    }

    /// Keeps a copy if it is small enough. Failing is no error: the group has the object.
    pub fn put(&self, key: &[u8], body: &[u8]) {
        if body.len() > OBJECT_BYTES_MAX {
            return;
        }
        let len = body.len() as u64 + 32;
        if self.bytes.fetch_add(len, Ordering::Relaxed) + len > TOTAL_BYTES_MAX {
            // Starting over is simpler than keeping an order, and the next use fills it again.
            let _ = self.tree.clear();
            self.bytes.store(len, Ordering::Relaxed);
        }
        let mut value = Hash::of(body).as_bytes().to_vec();
        value.extend_from_slice(body);
        if let Err(error) = self.tree.insert(key, value) {
            tracing::debug!(%error, "no copy kept");
        }
    }

    /// Drops a copy.
    pub fn remove(&self, key: &[u8]) {
        if let Ok(Some(old)) = self.tree.remove(key) {
            self.bytes.fetch_sub(old.len() as u64, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_copy_is_not_returned() {
        let folder = tempfile::tempdir().unwrap();
        let cache = ObjectCache::open(folder.path()).unwrap();
        cache.put(b"key", b"body");
        assert_eq!(cache.get(b"key").unwrap(), "body");
        let mut damaged = cache.tree.get(b"key").unwrap().unwrap().to_vec();
        damaged[33] ^= 1;
        cache.tree.insert(b"key", damaged).unwrap();
        assert_eq!(cache.get(b"key"), None);
    }
}
