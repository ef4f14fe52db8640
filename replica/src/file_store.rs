//! A store of one redb file for those who have no database of their own.
//!
//! Guarantees: those of [`Store`]. One thread commits with an fsync a transaction; commits that wait
//! while one is under way share the next.

use crate::error::Error;
use crate::store::{Space, Store, StoreError, Write};
use redb::{Database, ReadableDatabase, TableDefinition};
use std::future::Future;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// redb's page cache, bytes. The working set is the newest records.
const CACHE_BYTES: usize = 8 * 1024 * 1024;
/// Writes that one transaction takes at most, so that a commit stays short.
const BATCH_WRITES_MAX: usize = 4096;

struct Job {
    writes: Vec<Write>,
    done: oneshot::Sender<Result<(), StoreError>>,
}

/// The store; one per member. The file is free again when it is dropped.
pub struct FileStore {
    database: Arc<Database>,
    /// None while dropping.
    jobs: Option<mpsc::UnboundedSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for FileStore {
    fn drop(&mut self) {
        drop(self.jobs.take());
        // The thread finishes what was enqueued, then lets go of the database.
        let ended = self.thread.take().map(JoinHandle::join);
        if matches!(ended, Some(Err(_))) {
            tracing::error!("the committing thread died");
        }
    }
}

fn table(space: Space) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(match space {
        Space::Log => "log",
        Space::Applied => "applied",
        Space::Proofs => "proofs",
        Space::Work => "work",
    })
}

fn failed(error: impl Into<redb::Error>) -> StoreError {
    StoreError(error.into().to_string().into())
}

impl FileStore {
    /// Opens or creates the file. Its folder exists, and no other process uses the file.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let database =
            Database::builder().set_cache_size(CACHE_BYTES).create(path).map_err(failed)?;
        create_tables(&database)?;
        // The file's name must survive a power cut before anything in it is promised.
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let folder = folder.unwrap_or_else(|| Path::new("."));
        std::fs::File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|source| Error::Io { what: "sync", path: folder.to_owned(), source })?;
        let database = Arc::new(database);
        let (jobs, queue) = mpsc::unbounded_channel();
        let thread_database = Arc::clone(&database);
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || commit_loop(&thread_database, queue))
            .map_err(|source| Error::Io {
                what: "start a thread for",
                path: path.into(),
                source,
            })?;
        Ok(Self { database, jobs: Some(jobs), thread: Some(thread) })
    }
}

fn create_tables(database: &Database) -> Result<(), StoreError> {
    let transaction = database.begin_write().map_err(failed)?;
    for space in Space::ALL {
        transaction.open_table(table(space)).map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}

impl Store for FileStore {
    fn commit(
        &self,
        writes: Vec<Write>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + 'static {
        let (done, outcome) = oneshot::channel();
        // After a failure the thread has ended: the job is dropped, and its end says so.
        let _ = self.jobs.as_ref().map(|jobs| jobs.send(Job { writes, done }));
        async move {
            let stopped = |_| StoreError("the committing thread has stopped".into());
            outcome.await.map_err(stopped)?
        }
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let table = transaction.open_table(table(space)).map_err(failed)?;
        Ok(table.get(key).map_err(failed)?.map(|value| value.value().to_vec()))
    }

    fn scan(
        &self,
        space: Space,
        range: RangeInclusive<Vec<u8>>,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), StoreError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let table = transaction.open_table(table(space)).map_err(failed)?;
        let range = range.start().as_slice()..=range.end().as_slice();
        for item in table.range(range).map_err(failed)? {
            let (key, value) = item.map_err(failed)?;
            visit(key.value(), value.value());
        }
        Ok(())
    }

    fn last_key(
        &self,
        space: Space,
        range: RangeInclusive<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let table = transaction.open_table(table(space)).map_err(failed)?;
        let range = range.start().as_slice()..=range.end().as_slice();
        let last = table.range(range).map_err(failed)?.next_back();
        Ok(last.transpose().map_err(failed)?.map(|(key, _)| key.value().to_vec()))
    }
}

fn commit_loop(database: &Database, mut queue: mpsc::UnboundedReceiver<Job>) {
    while let Some(first) = queue.blocking_recv() {
        let mut writes = first.writes.len();
        let mut batch = vec![first];
        while writes < BATCH_WRITES_MAX {
            let Ok(job) = queue.try_recv() else { break };
            writes += job.writes.len();
            batch.push(job);
        }
        // Jobs without writes only waited for those before them, which are durable by now.
        let outcome = if writes == 0 { Ok(()) } else { commit_batch(database, &batch) };
        let failure = outcome.as_ref().err().cloned();
        for job in batch {
            // A caller that went away does not make its writes less durable.
            let _ = job.done.send(outcome.clone());
        }
        if let Some(error) = failure {
            tracing::error!(%error, "cannot make records durable; nothing more is said");
            queue.close();
            while let Ok(job) = queue.try_recv() {
                let _ = job.done.send(Err(error.clone()));
            }
            return;
        }
    }
}

fn commit_batch(database: &Database, batch: &[Job]) -> Result<(), StoreError> {
    let transaction = database.begin_write().map_err(failed)?;
    for space in Space::ALL {
        let writes = batch.iter().flat_map(|job| &job.writes);
        let mut writes = writes.filter(|write| write.space == space).peekable();
        if writes.peek().is_none() {
            continue;
        }
        let mut table = transaction.open_table(table(space)).map_err(failed)?;
        for write in writes {
            let key = write.key.as_slice();
            match &write.value {
                Some(value) => drop(table.insert(key, value.as_slice()).map_err(failed)?),
                None => drop(table.remove(key).map_err(failed)?),
            }
        }
    }
    transaction.commit().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: u8, value: u8) -> Write {
        Write { space: Space::Log, key: vec![key], value: Some(vec![value]) }
    }

    #[tokio::test]
    async fn file_store_keeps_commits_in_order_across_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("member.redb");
        let store = FileStore::open(&path).unwrap();
        // The futures need not be polled for the order to hold.
        let first = store.commit(vec![put(2, 20), put(1, 10), put(2, 21)]);
        let delete = Write { space: Space::Log, key: vec![1], value: None };
        let second = store.commit(vec![delete, put(3, 30)]);
        let barrier = store.commit(Vec::new());
        barrier.await.unwrap();
        assert_eq!(store.get(Space::Log, &[3]).unwrap(), Some(vec![30]));
        second.await.unwrap();
        first.await.unwrap();
        drop(store);
        let store = FileStore::open(&path).unwrap();
        let mut seen = Vec::new();
        let mut visit = |key: &[u8], value: &[u8]| seen.push((key.to_vec(), value.to_vec()));
        store.scan(Space::Log, vec![0]..=vec![9], &mut visit).unwrap();
        assert_eq!(seen, [(vec![2], vec![21]), (vec![3], vec![30])]);
        assert_eq!(store.last_key(Space::Log, vec![0]..=vec![2]).unwrap(), Some(vec![2]));
        assert_eq!(store.get(Space::Applied, &[2]).unwrap(), None);
    }
}
