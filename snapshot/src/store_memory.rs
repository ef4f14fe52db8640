//! A store in memory, for tests: nothing survives the process.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::object::{ObjectId, ObjectKind, ObjectStore, StoreError, cut};

/// Objects in a map.
#[derive(Debug, Default)]
pub struct InMemoryStore {
    objects: Mutex<BTreeMap<(ObjectKind, ObjectId), Bytes>>,
}

impl InMemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The sum of the sizes of all objects, in bytes.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.lock().values().map(|bytes| bytes.len() as u64).sum()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(ObjectKind, ObjectId), Bytes>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ObjectStore for InMemoryStore {
    fn list(&self, kind: ObjectKind) -> Result<Vec<(ObjectId, u64)>, StoreError> {
        Ok(self
            .lock()
            .iter()
            .filter(|((k, _), _)| *k == kind)
            .map(|((_, id), bytes)| (*id, bytes.len() as u64))
            .collect())
    }

    fn get(
        &self,
        kind: ObjectKind,
        id: ObjectId,
        range: Option<(u64, u64)>,
    ) -> Result<Bytes, StoreError> {
        let bytes = self.lock().get(&(kind, id)).cloned();
        cut(&bytes.ok_or(StoreError::NotFound)?, range)
    }

    fn put(&self, kind: ObjectKind, id: ObjectId, bytes: Bytes) -> Result<(), StoreError> {
        self.lock().insert((kind, id), bytes);
        Ok(())
    }

    fn remove(&self, kind: ObjectKind, id: ObjectId) -> Result<(), StoreError> {
        match self.lock().remove(&(kind, id)) {
            Some(_) => Ok(()),
            None => Err(StoreError::NotFound),
        }
    }
}
