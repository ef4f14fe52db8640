//! The store of promises: everything whose loss would break a signed word. Backed by redb with
//! immediate durability (an fsync before `commit` returns); many callers share one transaction.
//!
//! Guarantees: (1) [`Promises::commit`] returns only after its writes survive a power cut;
//! (2) the writes of one call are applied all or none, and calls are applied in order of arrival;
//! (3) after the first failed commit nothing more is accepted, so no later promise can overtake
//! one that was lost.

use crate::error::NodeError;
use crate::proofs::kept_key;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot, watch};
use types::{Encode, Roster};

/// Which part of the state a record belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Sign-once log, accepted values, decisions of the state machine.
    Rsm,
    /// The application state that the log built, with the instance it stands at.
    Applied,
    /// OwnList: what this member stored with others, its stamps, its tombstones to deliver.
    Own,
    /// StoreList: what this member holds for others.
    Held,
    /// Proofs of misbehavior, by accused, kind and digest.
    Proofs,
    /// Assigned work: what was said about it and what is waited for.
    Work,
}

impl Table {
    const ALL: [Table; 6] =
        [Table::Rsm, Table::Applied, Table::Own, Table::Held, Table::Proofs, Table::Work];

    fn definition(self) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
        TableDefinition::new(match self {
            Table::Rsm => "rsm",
            Table::Applied => "applied",
            Table::Own => "own",
            Table::Held => "held",
            Table::Proofs => "proofs",
            Table::Work => "work",
        })
    }
}

/// One write: a value to put, or `None` to delete the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Where.
    pub table: Table,
    /// Key, in the table's own encoding.
    pub key: Vec<u8>,
    /// The new value; `None` deletes.
    pub value: Option<Vec<u8>>,
}

/// A core's records as writes of one table.
pub fn writes(table: Table, records: Vec<pib::Record>) -> Vec<Write> {
    let write = |record: pib::Record| Write { table, key: record.key, value: record.value };
    records.into_iter().map(write).collect()
}

struct Job {
    writes: Vec<Write>,
    done: oneshot::Sender<Result<(), Arc<str>>>,
}

/// A place in the order of writes.
#[must_use = "what the writes promise may be said only when they are durable"]
pub struct Ticket(oneshot::Receiver<Result<(), Arc<str>>>);

impl Ticket {
    /// Waits until the writes survive a power cut.
    pub async fn durable(self) -> Result<(), NodeError> {
        let stopped = |_| NodeError::Commit("the committing thread has stopped".into());
        self.0.await.map_err(stopped)?.map_err(NodeError::Commit)
    }
}

/// Writes that one transaction takes at most, so that a commit stays short.
const BATCH_WRITES_MAX: usize = 4096;
/// redb's page cache, bytes. The working set is the newest records; a storer stays under 100 MiB.
const CACHE_BYTES: usize = 12 * 1024 * 1024;

/// Pieces of evidence of one kind kept against one member: one convicts, more only cost space.
const EVIDENCE_MAX: usize = 8;

/// Handle to the store; cheap to clone.
#[derive(Clone)]
pub struct Promises {
    database: Arc<Database>,
    jobs: mpsc::UnboundedSender<Job>,
    commits: Arc<AtomicU64>,
    failure: watch::Receiver<Option<Arc<str>>>,
}

impl Promises {
    /// Opens or creates `promises.redb` in the data folder and starts the committing thread.
    pub fn open(data: &Path) -> Result<Self, NodeError> {
        let path = data.join("promises.redb");
        // The folder of bodies is made after this file: without the file, the member would forget
        // what it signed and sign it again.
        if !path.exists() && data.join("chunks").exists() {
            let detail = "it is missing, although this member has run before".to_owned();
            return Err(NodeError::Promises { path, detail });
        }
        let failed = |source: redb::Error| NodeError::Promises {
            path: path.clone(),
            detail: source.to_string(),
        };
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(&path)
            .map_err(|source| failed(source.into()))?;
        let create = || -> Result<(), redb::Error> {
            let transaction = database.begin_write()?;
            for table in Table::ALL {
                transaction.open_table(table.definition())?;
            }
            transaction.commit()?;
            Ok(())
        };
        create().map_err(failed)?;
        std::fs::File::open(data)
            .and_then(|folder| folder.sync_all())
            .map_err(|source| NodeError::Io { what: "sync", path: data.to_owned(), source })?;
        let database = Arc::new(database);
        let (jobs, queue) = mpsc::unbounded_channel();
        let commits = Arc::new(AtomicU64::new(0));
        let (failed, failure) = watch::channel(None);
        let (thread_database, thread_commits) = (database.clone(), commits.clone());
        std::thread::Builder::new()
            .name("promises".into())
            .spawn(move || commit_loop(&thread_database, queue, &thread_commits, &failed))
            .map_err(|source| NodeError::Io { what: "start a thread for", path, source })?;
        Ok(Self { database, jobs, commits, failure })
    }

    /// Makes the writes durable. When this returns `Ok`, what they promise may be sent.
    pub async fn commit(&self, writes: Vec<Write>) -> Result<(), NodeError> {
        self.enqueue(writes).durable().await
    }

    /// Takes a place in the order of writes at once. Called while the lock of the state that made the
    /// writes is held, it keeps the order of the records that of the changes: then whatever
    /// is durable rests only on what is durable too. Callers wait for each ticket, which bounds the queue.
    /// With no writes it waits for those of others that came before: what a step without records
    /// says may rest on a state that is not durable yet.
    pub fn enqueue(&self, writes: Vec<Write>) -> Ticket {
        let (done, outcome) = oneshot::channel();
        // If the thread has stopped, the job is dropped and its ticket says so.
        let _ = self.jobs.send(Job { writes, done });
        Ticket(outcome)
    }

    /// Completes when everything that was enqueued so far is durable.
    pub async fn barrier(&self) -> Result<(), NodeError> {
        self.enqueue(Vec::new()).durable().await
    }

    /// Completes when a commit has failed: the state in memory is then ahead of the disk and the
    /// daemon must end.
    pub async fn failed(&self) -> NodeError {
        let mut failure = self.failure.clone();
        match failure.wait_for(Option::is_some).await {
            Ok(reason) => NodeError::Commit(reason.clone().unwrap_or_default()),
            Err(_) => NodeError::Commit("the committing thread has stopped".into()),
        }
    }

    /// Keeps a proof that a member broke the rules of storing, if it is one: only what convicts before
    /// anybody with the roster is kept, and of one kind against one member a bounded number.
    pub async fn keep_evidence(
        &self,
        roster: &Roster,
        rules: &pib::Rules,
        evidence: pib::Evidence,
    ) -> Result<(), NodeError> {
        let pom = pib::Pom::new(roster.group(), evidence);
        let conviction = match pib::pom::verify(&pom, roster, rules) {
            Ok(conviction) => conviction,
            Err(why) => {
                tracing::warn!(accused = %pom.evidence.accused, kind = %pom.kind(), %why, "an answer breaks the rules, but convicts nobody");
                return Ok(());
            }
        };
        tracing::error!(accused = %conviction.accused, proof = %conviction.kind, rule = conviction.rule, "a member is convicted by what it signed");
        let key = kept_key(&pom);
        let prefix = &key[..3];
        let last = [prefix, &[255; 32]].concat();
        let mut known = 0;
        self.scan_range(Table::Proofs, prefix.to_vec()..=last, |_, _| known += 1)?;
        if known >= EVIDENCE_MAX {
            return Ok(());
        }
        self.commit(vec![Write { table: Table::Proofs, key, value: Some(pom.to_bytes()) }]).await
    }

    /// Proofs of misbehavior that are kept.
    pub fn evidence(&self) -> Result<u64, NodeError> {
        let mut count = 0;
        self.scan(Table::Proofs, |_, _| count += 1)?;
        Ok(count)
    }

    /// The files of all proofs of misbehavior, those against one member together.
    pub fn proofs(&self) -> Result<Vec<Vec<u8>>, NodeError> {
        let mut proofs = Vec::new();
        self.scan(Table::Proofs, |_, value| proofs.push(value.to_vec()))?;
        Ok(proofs)
    }

    /// One value.
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, NodeError> {
        let read = || -> Result<_, redb::Error> {
            let transaction = self.database.begin_read()?;
            let table = transaction.open_table(table.definition())?;
            Ok(table.get(key)?.map(|value| value.value().to_vec()))
        };
        read().map_err(|source| NodeError::Commit(source.to_string().into()))
    }

    /// Calls `visit` for every record of a table in key order.
    pub fn scan(&self, table: Table, mut visit: impl FnMut(&[u8], &[u8])) -> Result<(), NodeError> {
        let mut read = || -> Result<_, redb::Error> {
            let transaction = self.database.begin_read()?;
            let table = transaction.open_table(table.definition())?;
            for item in table.iter()? {
                let (key, value) = item?;
                visit(key.value(), value.value());
            }
            Ok(())
        };
        read().map_err(|source| NodeError::Commit(source.to_string().into()))
    }

    /// Calls `visit` for every record of a table whose key lies in the range, in key order.
    pub fn scan_range(
        &self,
        table: Table,
        range: RangeInclusive<Vec<u8>>,
        mut visit: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), NodeError> {
        let mut read = || -> Result<_, redb::Error> {
            let transaction = self.database.begin_read()?;
            let table = transaction.open_table(table.definition())?;
            for item in table.range(range.start().as_slice()..=range.end().as_slice())? {
                let (key, value) = item?;
                visit(key.value(), value.value());
            }
            Ok(())
        };
        read().map_err(|source| NodeError::Commit(source.to_string().into()))
    }

    /// The greatest key of a table in the range.
    pub fn last_key(
        &self,
        table: Table,
        range: RangeInclusive<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>, NodeError> {
        let read = || -> Result<_, redb::Error> {
            let transaction = self.database.begin_read()?;
            let table = transaction.open_table(table.definition())?;
            let mut items = table.range(range.start().as_slice()..=range.end().as_slice())?;
            Ok(items.next_back().transpose()?.map(|(key, _)| key.value().to_vec()))
        };
        read().map_err(|source| NodeError::Commit(source.to_string().into()))
    }

    /// Transactions made durable since the store was opened.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }
}

fn commit_loop(
    database: &Database,
    mut queue: mpsc::UnboundedReceiver<Job>,
    commits: &AtomicU64,
    failed: &watch::Sender<Option<Arc<str>>>,
) {
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
        match outcome {
            Ok(()) => {
                commits.fetch_add(u64::from(writes > 0), Ordering::Relaxed);
                for job in batch {
                    // A caller that went away does not make its writes less durable.
                    let _ = job.done.send(Ok(()));
                }
            }
            Err(error) => {
                let reason: Arc<str> = error.to_string().into();
                tracing::error!(%reason, "cannot make promises durable; nothing more is promised");
                failed.send_replace(Some(reason.clone()));
                queue.close();
                for job in batch {
                    let _ = job.done.send(Err(reason.clone()));
                }
                while let Ok(job) = queue.try_recv() {
                    let _ = job.done.send(Err(reason.clone()));
                }
                return;
            }
        }
    }
}

fn commit_batch(database: &Database, batch: &[Job]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    for wanted in Table::ALL {
        let mut writes = batch
            .iter()
            .flat_map(|job| &job.writes)
            .filter(|write| write.table == wanted)
            .peekable();
        if writes.peek().is_none() {
            continue;
        }
        let mut table = transaction.open_table(wanted.definition())?;
        for write in writes {
            match &write.value {
                Some(value) => drop(table.insert(write.key.as_slice(), value.as_slice())?),
                None => drop(table.remove(write.key.as_slice())?),
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: u8, value: u8) -> Write {
        Write { table: Table::Own, key: vec![key], value: Some(vec![value]) }
    }

    #[tokio::test]
    async fn committed_writes_are_there_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let store = Promises::open(folder.path()).unwrap();
        store.commit(vec![put(2, 20), put(1, 10), put(2, 21)]).await.unwrap();
        let delete = Write { table: Table::Own, key: vec![1], value: None };
        store.commit(vec![delete]).await.unwrap();
        drop(store);
        let store = reopen(folder.path());
        let mut seen = Vec::new();
        store.scan(Table::Own, |key, value| seen.push((key.to_vec(), value.to_vec()))).unwrap();
        assert_eq!(seen, [(vec![2], vec![21])]);
        assert_eq!(store.get(Table::Held, &[2]).unwrap(), None);
    }

    /// The committing thread lets go of the file shortly after the last handle is dropped.
    fn reopen(folder: &Path) -> Promises {
        loop {
            match Promises::open(folder) {
                Ok(store) => return store,
                Err(_) => std::thread::yield_now(),
            }
        }
    }

    #[tokio::test]
    async fn concurrent_commits_share_transactions() {
        let folder = tempfile::tempdir().unwrap();
        let store = Promises::open(folder.path()).unwrap();
        let tasks: Vec<_> = (0..200u8)
            .map(|key| {
                let store = store.clone();
                tokio::spawn(async move { store.commit(vec![put(key, key)]).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert!(store.commits() < 200, "{} transactions for 200 commits", store.commits());
    }
}
