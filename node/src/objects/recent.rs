//! Objects fetched lately, so that the many small reads of a restore or a mount fetch each pack
//! once. Bounded in bytes; the least recently used goes first.

use bytes::Bytes;
use pib::ObjectKey;
use std::collections::BTreeMap;

/// A bounded cache of whole objects.
pub struct Recent {
    bytes_max: usize,
    bytes: usize,
    clock: u64,
    objects: BTreeMap<ObjectKey, (u64, Bytes)>,
    by_age: BTreeMap<u64, ObjectKey>,
}

impl Recent {
    /// An empty cache that holds at most `bytes_max` bytes of objects.
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, bytes: 0, clock: 0, objects: BTreeMap::new(), by_age: BTreeMap::new() }
    }

    /// An object, which thereby becomes the newest.
    pub fn get(&mut self, key: &ObjectKey) -> Option<Bytes> {
        let (age, body) = self.objects.get_mut(key)?;
        self.by_age.remove(age);
        self.clock += 1;
        *age = self.clock;
        self.by_age.insert(self.clock, *key);
        Some(body.clone())
    }

    /// Keeps an object and drops the oldest ones that no longer fit.
    pub fn put(&mut self, key: ObjectKey, body: Bytes) {
        if body.len() > self.bytes_max {
            return;
        }
        self.remove(&key);
        self.clock += 1;
        self.bytes += body.len();
        self.objects.insert(key, (self.clock, body));
        self.by_age.insert(self.clock, key);
        while self.bytes > self.bytes_max {
            let Some((_, oldest)) = self.by_age.pop_first() else { break };
            if let Some((_, body)) = self.objects.remove(&oldest) {
                self.bytes -= body.len();
            }
        }
    }

    /// Drops an object.
    pub fn remove(&mut self, key: &ObjectKey) {
        if let Some((age, body)) = self.objects.remove(key) {
            self.by_age.remove(&age);
            self.bytes -= body.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pib::ObjectKind;
    use types::Hash;

    fn key(id: u8) -> ObjectKey {
        ObjectKey { kind: ObjectKind::Pack, id: Hash([id; 32]) }
    }

    #[test]
    fn least_recently_used_object_goes_first() {
        let mut recent = Recent::new(10);
        recent.put(key(1), Bytes::from_static(b"1234"));
        recent.put(key(2), Bytes::from_static(b"1234"));
        assert!(recent.get(&key(1)).is_some());
        recent.put(key(3), Bytes::from_static(b"1234"));
        assert!(recent.get(&key(2)).is_none());
        assert!(recent.get(&key(1)).is_some() && recent.get(&key(3)).is_some());
    }

    #[test]
    fn object_larger_than_the_cache_is_not_kept() {
        let mut recent = Recent::new(3);
        recent.put(key(1), Bytes::from_static(b"1234"));
        assert!(recent.get(&key(1)).is_none());
        assert_eq!(recent.bytes, 0);
    }
}
