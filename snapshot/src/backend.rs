//! rustic's storage backend on top of an [`ObjectStore`].
//!
//! Guarantees: (1) an index or snapshot object is put only after every pack handed over before is stored;
//! (2) whole objects are checked against their SHA-256 name, ranges against their length (their content is
//! authenticated by the decryption above); (3) a cancelled token fails every later read and write;
//! (4) the first failure of an operation is kept, because rustic logs some errors instead of passing them on.
//! Bounds: [`TREE_CACHE_BYTES`] of tree packs, [`META_CACHE_BYTES`] of index and snapshot objects.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustic_core::{
    BytesList, ErrorKind, FileType, Id, ReadBackend, RusticError, RusticResult, WriteBackend,
};
use sha2::{Digest, Sha256};

use crate::control::{CancelToken, Limiter, Meter};
use crate::error::BackendFailure;
use crate::lru::Lru;
use crate::object::{ObjectId, ObjectKind, ObjectStore, StoreError, cut};
use crate::stage::Stage;

/// Tree packs are fetched whole, because their blobs are wanted one after the other.
pub(crate) const TREE_CACHE_BYTES: u64 = 24 << 20;
/// Index and snapshot objects are immutable and read again at each reopening.
pub(crate) const META_CACHE_BYTES: u64 = 16 << 20;
/// How long a failed operation waits for uploads under way.
const SETTLE: Duration = Duration::from_secs(10);
/// Locks that keep two threads from fetching the same tree pack at once.
const FETCH_LOCKS: usize = 256;

type Failure<T> = Result<T, BackendFailure>;

/// How the backend uses the store.
#[derive(Clone, Debug)]
pub(crate) struct BackendOptions {
    pub(crate) upload_threads: usize,
    pub(crate) stage_bytes_max: u64,
    pub(crate) upload_bytes_per_second: Option<u64>,
    pub(crate) download_bytes_per_second: Option<u64>,
}

/// See the module's documentation.
pub(crate) struct Backend {
    store: Arc<dyn ObjectStore>,
    stage: Stage,
    upload: Arc<Limiter>,
    download: Limiter,
    cancel: CancelToken,
    meter: Arc<Meter>,
    meta: Mutex<Lru<(ObjectKind, ObjectId), Bytes>>,
    trees: Mutex<Lru<ObjectId, Bytes>>,
    /// Tree packs of foreign repositories that are too large to be fetched whole.
    large: Mutex<HashSet<ObjectId>>,
    fetching: Vec<Mutex<()>>,
    /// Ranges of packs that a restore fetched ahead of rustic's single-blob reads.
    ahead: Mutex<HashMap<ObjectId, Vec<(u64, Bytes)>>>,
    first_failure: Mutex<Option<BackendFailure>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

impl Backend {
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        options: &BackendOptions,
        cancel: CancelToken,
        meter: Arc<Meter>,
    ) -> Self {
        let upload = Arc::new(Limiter::new(options.upload_bytes_per_second));
        let (to, limit, stop, count) =
            (store.clone(), upload.clone(), cancel.clone(), meter.clone());
        let put =
            move |id, bytes| put_counted(&*to, &limit, &stop, &count, ObjectKind::Pack, id, bytes);
        Self {
            stage: Stage::new(
                options.upload_threads,
                options.stage_bytes_max,
                cancel.clone(),
                Box::new(put),
            ),
            store,
            upload,
            download: Limiter::new(options.download_bytes_per_second),
            cancel,
            meter,
            meta: Mutex::new(Lru::new(META_CACHE_BYTES)),
            trees: Mutex::new(Lru::new(TREE_CACHE_BYTES)),
            large: Mutex::default(),
            fetching: (0..FETCH_LOCKS).map(|_| Mutex::default()).collect(),
            ahead: Mutex::default(),
            first_failure: Mutex::default(),
        }
    }

    pub(crate) fn cancel(&self) -> &CancelToken {
        &self.cancel
    }

    pub(crate) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Prepares for a new operation after one that may have failed.
    pub(crate) fn begin(&self) {
        self.stage.reset();
        *lock(&self.first_failure) = None;
    }

    /// Ends an operation that failed; see [`Stage::settle`].
    pub(crate) fn settle(&self) {
        self.stage.settle(SETTLE);
    }

    /// The first failure since [`Backend::begin`], taken.
    pub(crate) fn take_failure(&self) -> Option<BackendFailure> {
        lock(&self.first_failure).take()
    }

    /// Lists objects.
    pub(crate) fn list(&self, kind: ObjectKind) -> Failure<Vec<(ObjectId, u64)>> {
        let listed = self.cancel.check().and_then(|()| self.store.list(kind));
        self.note(listed, || format!("listing {kind}"))
    }

    fn note<T>(&self, result: Result<T, StoreError>, what: impl Fn() -> String) -> Failure<T> {
        result.map_err(|source| self.keep(BackendFailure { what: what(), source }))
    }

    fn keep(&self, failure: BackendFailure) -> BackendFailure {
        lock(&self.first_failure).get_or_insert_with(|| failure.clone());
        failure
    }

    fn get(&self, kind: ObjectKind, id: ObjectId, range: Option<(u64, u64)>) -> Failure<Bytes> {
        let fetch = || {
            self.cancel.check()?;
            if let Some((_, length)) = range {
                self.download.pass(length, &self.cancel)?;
            }
            let bytes = self.store.get(kind, id, range)?;
            Meter::add(&self.meter.fetched, bytes.len() as u64);
            match range {
                Some((_, length)) if bytes.len() as u64 != length => {
                    return Err(StoreError::Corrupt);
                }
                None if kind != ObjectKind::Config && sha256(&bytes) != id.0 => {
                    return Err(StoreError::Corrupt);
                }
                None => self.download.pass(bytes.len() as u64, &self.cancel)?,
                Some(_) => {}
            }
            Ok(bytes)
        };
        self.note(fetch(), || format!("reading {kind}/{id}"))
    }

    fn read_whole(&self, kind: ObjectKind, id: ObjectId) -> Failure<Bytes> {
        match kind {
            ObjectKind::Pack => {
                if let Some(bytes) = self.stage.peek(&id) {
                    return Ok(bytes);
                }
                self.get(kind, id, None)
            }
            ObjectKind::Index | ObjectKind::Snapshot => {
                if let Some(bytes) = lock(&self.meta).get(&(kind, id)) {
                    return Ok(bytes);
                }
                let bytes = self.get(kind, id, None)?;
                lock(&self.meta).put((kind, id), bytes.clone(), bytes.len() as u64);
                Ok(bytes)
            }
            ObjectKind::Config | ObjectKind::Key => self.get(kind, id, None),
        }
    }

    fn read_range(&self, id: ObjectId, tree: bool, offset: u64, length: u64) -> Failure<Bytes> {
        let range = Some((offset, length));
        let cut_here = |bytes: &Bytes| {
            self.note(cut(bytes, range), || format!("reading {}/{id}", ObjectKind::Pack))
        };
        if let Some(bytes) = self.stage.peek(&id) {
            return cut_here(&bytes);
        }
        if tree {
            if let Some(bytes) = self.tree_pack(id)? {
                return cut_here(&bytes);
            }
        } else if let Some(bytes) = self.read_ahead(id, offset, length) {
            return Ok(bytes);
        }
        self.get(ObjectKind::Pack, id, range)
    }

    /// A whole tree pack through the cache; `None` when it is too large for that.
    fn tree_pack(&self, id: ObjectId) -> Failure<Option<Bytes>> {
        if let Some(bytes) = lock(&self.trees).get(&id) {
            return Ok(Some(bytes));
        }
        if lock(&self.large).contains(&id) {
            return Ok(None);
        }
        let _one_fetches = lock(&self.fetching[usize::from(id.0[0]) % FETCH_LOCKS]);
        if let Some(bytes) = lock(&self.trees).get(&id) {
            return Ok(Some(bytes));
        }
        let bytes = self.get(ObjectKind::Pack, id, None)?;
        let size = bytes.len() as u64;
        let mut trees = lock(&self.trees);
        if trees.fits(size) {
            trees.put(id, bytes.clone(), size);
        } else {
            lock(&self.large).insert(id);
        }
        Ok(Some(bytes))
    }

    /// Fetches a range of a pack for the reads that follow; it is kept until the guard is dropped.
    pub(crate) fn fetch_ahead(&self, id: ObjectId, offset: u64, length: u64) -> Failure<Ahead<'_>> {
        let bytes = match self.stage.peek(&id) {
            Some(_) => Bytes::new(),
            None => self.get(ObjectKind::Pack, id, Some((offset, length)))?,
        };
        lock(&self.ahead).entry(id).or_default().push((offset, bytes));
        Ok(Ahead { backend: self, id, offset })
    }

    fn read_ahead(&self, id: ObjectId, offset: u64, length: u64) -> Option<Bytes> {
        let ahead = lock(&self.ahead);
        ahead.get(&id)?.iter().find_map(|(start, bytes)| {
            let from = offset.checked_sub(*start)?;
            cut(bytes, Some((from, length))).ok()
        })
    }

    fn write(&self, kind: ObjectKind, id: ObjectId, bytes: Bytes) -> Failure<()> {
        if kind == ObjectKind::Pack {
            return self.stage.hand_over(id, bytes).map_err(|e| self.keep(e));
        }
        // Guarantee 1: nothing may name a pack that is not safe.
        self.stage.barrier().map_err(|e| self.keep(e))?;
        let put = put_counted(
            &*self.store,
            &self.upload,
            &self.cancel,
            &self.meter,
            kind,
            id,
            bytes.clone(),
        );
        self.note(put, || format!("storing {kind}/{id}"))?;
        if matches!(kind, ObjectKind::Index | ObjectKind::Snapshot) {
            lock(&self.meta).put((kind, id), bytes.clone(), bytes.len() as u64);
        }
        Ok(())
    }

    fn delete(&self, kind: ObjectKind, id: ObjectId) -> Failure<()> {
        self.stage.barrier().map_err(|e| self.keep(e))?;
        lock(&self.meta).remove(&(kind, id));
        lock(&self.trees).remove(&id);
        let removed = self.cancel.check().and_then(|()| self.store.remove(kind, id));
        // Already gone is what was wanted: a removal that was interrupted is simply repeated.
        let removed = match removed {
            Err(StoreError::NotFound) => Ok(()),
            other => other,
        };
        self.note(removed, || format!("removing {kind}/{id}"))
    }
}

fn put_counted(
    store: &dyn ObjectStore,
    limit: &Limiter,
    cancel: &CancelToken,
    meter: &Meter,
    kind: ObjectKind,
    id: ObjectId,
    bytes: Bytes,
) -> Result<(), StoreError> {
    let size = bytes.len() as u64;
    limit.pass(size, cancel)?;
    store.put(kind, id, bytes)?;
    Meter::add(&meter.stored, size);
    Meter::add(&meter.objects, 1);
    Ok(())
}

/// Keeps a range of a pack at hand; see [`Backend::fetch_ahead`].
pub(crate) struct Ahead<'a> {
    backend: &'a Backend,
    id: ObjectId,
    offset: u64,
}

impl Drop for Ahead<'_> {
    fn drop(&mut self) {
        let mut ahead = lock(&self.backend.ahead);
        if let Some(ranges) = ahead.get_mut(&self.id) {
            if let Some(at) = ranges.iter().position(|(start, _)| *start == self.offset) {
                ranges.swap_remove(at);
            }
            if ranges.is_empty() {
                ahead.remove(&self.id);
            }
        }
    }
}

const fn kind_of(tpe: FileType) -> ObjectKind {
    match tpe {
        FileType::Config => ObjectKind::Config,
        FileType::Index => ObjectKind::Index,
        FileType::Key => ObjectKind::Key,
        FileType::Snapshot => ObjectKind::Snapshot,
        FileType::Pack => ObjectKind::Pack,
    }
}

/// rustic's ids show their bytes only as hexadecimal digits.
pub(crate) fn object_id(id: &Id) -> Result<ObjectId, StoreError> {
    id.to_hex().as_str().parse()
}

fn rustic(failure: BackendFailure) -> Box<RusticError> {
    RusticError::with_source(ErrorKind::Backend, "The storage failed", failure)
}

fn named(id: &Id, kind: ObjectKind) -> RusticResult<ObjectId> {
    if kind == ObjectKind::Config {
        return Ok(ObjectId::CONFIG);
    }
    object_id(id).map_err(|source| {
        let what = format!("naming an object of {kind}");
        rustic(BackendFailure { what, source })
    })
}

impl ReadBackend for Backend {
    fn location(&self) -> String {
        "pib".to_owned()
    }

    fn list_with_size(&self, tpe: FileType) -> RusticResult<Vec<(Id, u32)>> {
        let kind = kind_of(tpe);
        let listed = self.list(kind).map_err(rustic)?;
        let convert = |(id, size): (ObjectId, u64)| {
            let size = u32::try_from(size).map_err(|_| {
                let what = format!("listing {kind}/{id}");
                let source = StoreError::Corrupt;
                rustic(BackendFailure { what, source })
            })?;
            Ok((Id::new(id.0), size))
        };
        listed.into_iter().map(convert).collect()
    }

    fn read_full(&self, tpe: FileType, id: &Id) -> RusticResult<Bytes> {
        let kind = kind_of(tpe);
        self.read_whole(kind, named(id, kind)?).map_err(rustic)
    }

    fn read_partial(
        &self,
        tpe: FileType,
        id: &Id,
        cacheable: bool,
        offset: u32,
        length: u32,
    ) -> RusticResult<Bytes> {
        let kind = kind_of(tpe);
        let id = named(id, kind)?;
        let (offset, length) = (u64::from(offset), u64::from(length));
        let bytes = match kind {
            ObjectKind::Pack => self.read_range(id, cacheable, offset, length),
            _ => self.get(kind, id, Some((offset, length))),
        };
        bytes.map_err(rustic)
    }

    fn warmup_path(&self, tpe: FileType, id: &Id) -> String {
        format!("{}/{}", kind_of(tpe), id.to_hex().as_str())
    }
}

impl WriteBackend for Backend {
    fn write_bytes(
        &self,
        tpe: FileType,
        id: &Id,
        _cacheable: bool,
        content: BytesList,
    ) -> RusticResult<()> {
        let kind = kind_of(tpe);
        let mut joined = BytesMut::with_capacity(content.size());
        for part in content.slice() {
            joined.extend_from_slice(part);
        }
        drop(content);
        self.write(kind, named(id, kind)?, joined.freeze()).map_err(rustic)
    }

    fn remove(&self, tpe: FileType, id: &Id, _cacheable: bool) -> RusticResult<()> {
        let kind = kind_of(tpe);
        self.delete(kind, named(id, kind)?).map_err(rustic)
    }
}
