//! A backup whose process is killed goes on where it stopped.
#![allow(missing_docs)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{assert_same, open, random};
use snapshot::{
    BackupOptions, FolderStore, NoProgress, ObjectId, ObjectKind, ObjectStore, RestoreOptions,
    SnapshotFilter, StoreError,
};

/// A folder that takes its time, so that there is a middle to be killed in.
struct SlowFolder(FolderStore);

impl ObjectStore for SlowFolder {
    fn list(&self, kind: ObjectKind) -> Result<Vec<(ObjectId, u64)>, StoreError> {
        self.0.list(kind)
    }

    fn get(
        &self,
        kind: ObjectKind,
        id: ObjectId,
        range: Option<(u64, u64)>,
    ) -> Result<Bytes, StoreError> {
        self.0.get(kind, id, range)
    }

    fn put(&self, kind: ObjectKind, id: ObjectId, bytes: Bytes) -> Result<(), StoreError> {
        std::thread::sleep(Duration::from_millis(300));
        self.0.put(kind, id, bytes)
    }

    fn remove(&self, kind: ObjectKind, id: ObjectId) -> Result<(), StoreError> {
        self.0.remove(kind, id)
    }
}

fn folder_store(folder: &Path) -> FolderStore {
    FolderStore::open(folder.join("store"), false).unwrap()
}

/// Not a test of its own: the process that the next test kills.
#[test]
#[ignore = "started by backup_killed_and_repeated_sends_nothing_twice"]
fn child_backs_up_slowly() {
    let Some(folder) = std::env::var_os("PIB_TEST_FOLDER").map(PathBuf::from) else {
        return;
    };
    let repo = open(Arc::new(SlowFolder(folder_store(&folder))));
    let sources = [folder.join("source")];
    repo.backup(&sources, &BackupOptions::default(), &NoProgress).unwrap();
}

#[test]
fn backup_killed_and_repeated_sends_nothing_twice() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    fs::create_dir(&source).unwrap();
    for i in 0..150 {
        fs::write(source.join(format!("{i:03}")), random(i, 1 << 20)).unwrap();
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_backs_up_slowly", "--ignored"])
        .env("PIB_TEST_FOLDER", temp.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let store = Arc::new(folder_store(temp.path()));
    let start = Instant::now();
    let stored = loop {
        let stored = store.list(ObjectKind::Pack).unwrap();
        if stored.len() >= 5 {
            break stored;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "the child stores nothing");
        std::thread::sleep(Duration::from_millis(5));
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(store.list(ObjectKind::Snapshot).unwrap(), []);
    drop(stored);
    let stored = store.list(ObjectKind::Pack).unwrap();
    let repo = open(store.clone());
    assert_eq!(repo.snapshots(&SnapshotFilter::default()).unwrap().len(), 0);
    let sources = [source.clone()];
    let report = repo.backup(&sources, &BackupOptions::default(), &NoProgress).unwrap();
    assert_eq!(report.packs_recovered, stored.len() as u64);
    let before: u64 = stored.iter().map(|(_, size)| size).sum();
    assert!(before >= 32 << 20, "killed too early: {before} bytes");
    assert!(before + report.bytes_stored < (151 << 20), "{before} + {}", report.bytes_stored);
    for (id, _) in &stored {
        assert!(store.get(ObjectKind::Pack, *id, None).is_ok());
    }
    let target = temp.path().join("target");
    repo.restore("latest", &source, &target, &RestoreOptions::default(), &NoProgress).unwrap();
    assert_same(&source, &target);
    assert_eq!(repo.check(true, &NoProgress).unwrap().errors, Vec::<String>::new());
}
