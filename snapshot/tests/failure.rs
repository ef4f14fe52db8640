//! What goes wrong: interruptions, full and unreachable stores, unreadable files, damaged objects.
#![allow(missing_docs)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{HookStore, assert_same, make_tree, open, random};
use snapshot::{
    BackupOptions, CancelToken, InMemoryStore, NoProgress, ObjectKind, ObjectStore, Progress,
    ProgressSink, Repo, RepoOptions, RepoSecret, RestoreOptions, SnapshotError, SnapshotFilter,
    StoreError,
};

fn backup(repo: &Repo, source: &Path) -> Result<snapshot::BackupReport, SnapshotError> {
    repo.backup(&[source.to_path_buf()], &BackupOptions::default(), &NoProgress)
}

fn snapshots(repo: &Repo) -> usize {
    repo.snapshots(&SnapshotFilter::default()).unwrap().len()
}

fn many_files(folder: &Path, megabytes: u64) {
    fs::create_dir_all(folder).unwrap();
    for i in 0..megabytes {
        fs::write(folder.join(format!("{i:03}")), random(100 + i, 1 << 20)).unwrap();
    }
}

#[test]
fn backup_cut_off_and_repeated_sends_nothing_twice() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    many_files(&source, 80);
    let clean = Arc::new(HookStore::new());
    backup(&open(clean.clone()), &source).unwrap();

    let store = Arc::new(HookStore::new());
    let repo = open(store.clone());
    // As after kill -9: some packs are stored, no index and no snapshot names them.
    let left = AtomicU64::new(4);
    store.on_put(move |kind, _, _| match kind {
        ObjectKind::Pack => left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
            .map(|_| ())
            .map_err(|_| StoreError::DaemonUnreachable),
        _ => Err(StoreError::DaemonUnreachable),
    });
    let error = backup(&repo, &source).unwrap_err();
    assert_eq!(error.store_error(), Some(&StoreError::DaemonUnreachable));
    let first = store.packs_put();
    assert!(first >= 30 << 20, "only {first} bytes before the cut");
    assert_eq!(store.list(ObjectKind::Index).unwrap(), []);
    drop(repo);

    store.on_put(|_, _, _| Ok(()));
    let repo = open(store.clone());
    let report = backup(&repo, &source).unwrap();
    assert_eq!(report.packs_recovered, 4);
    let (sent, needed) = (store.packs_put(), clean.packs_put());
    // Pack headers and trees may differ by a little; a file sent twice would be a MiB.
    assert!(sent.abs_diff(needed) < 200 << 10, "{sent} bytes sent, {needed} needed");
    let target = temp.path().join("target");
    repo.restore("latest", &source, &target, &RestoreOptions::default(), &NoProgress).unwrap();
    assert_same(&source, &target);
    assert_eq!(repo.check(true, &NoProgress).unwrap().errors, Vec::<String>::new());
}

#[test]
fn backup_cancelled_stops_soon_without_snapshot_and_goes_on_later() {
    struct CancelAfter(CancelToken, u64);
    impl ProgressSink for CancelAfter {
        fn update(&self, progress: &Progress) {
            if progress.bytes_stored > self.1 {
                self.0.cancel();
            }
        }
    }
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    many_files(&source, 60);
    let store = Arc::new(HookStore::new());
    store.on_put(|_, _, _| {
        std::thread::sleep(Duration::from_millis(400));
        Ok(())
    });
    let cancel = CancelToken::new();
    let options = RepoOptions { upload_threads: 1, ..RepoOptions::default() };
    let repo =
        Repo::init_or_open(store.clone(), common::secret(), options, cancel.clone()).unwrap();
    let sink = CancelAfter(cancel, 8 << 20);
    let sources = [source.clone()];
    let error = repo.backup(&sources, &BackupOptions::default(), &sink).unwrap_err();
    assert!(matches!(error, SnapshotError::Cancelled), "{error}");
    drop(repo);
    assert_eq!(store.list(ObjectKind::Snapshot).unwrap(), []);
    let first = store.packs_put();
    assert!(first < 50 << 20);
    store.on_put(|_, _, _| Ok(()));
    let repo = open(store.clone());
    backup(&repo, &source).unwrap();
    assert!(store.packs_put() < 61 << 20, "{} bytes", store.packs_put());
    assert_eq!(snapshots(&repo), 1);
}

#[test]
fn backup_on_failing_store_gives_its_error_and_no_snapshot() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    many_files(&source, 20);
    let few = StoreError::NotEnoughMembers { reached: 2, needed: 5 };
    for failure in [StoreError::Full, few, StoreError::Timeout] {
        for failing in [ObjectKind::Pack, ObjectKind::Index, ObjectKind::Snapshot] {
            let store = Arc::new(HookStore::new());
            let repo = open(store.clone());
            let with = failure.clone();
            store.on_put(
                move |kind, _, _| {
                    if kind == failing { Err(with.clone()) } else { Ok(()) }
                },
            );
            let error = backup(&repo, &source).unwrap_err();
            assert_eq!(error.store_error(), Some(&failure), "{failing}: {error}");
            assert_eq!(store.list(ObjectKind::Snapshot).unwrap(), []);
            // The same repository object goes on once the store does.
            store.on_put(|_, _, _| Ok(()));
            backup(&repo, &source).unwrap();
            assert_eq!(snapshots(&repo), 1);
        }
    }
}

#[test]
fn index_and_snapshot_are_put_after_all_packs_they_name() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    many_files(&source, 40);
    let store = Arc::new(HookStore::new());
    let repo = open(store.clone());
    let early = Arc::new(AtomicBool::new(false));
    let running = Arc::new(AtomicU64::new(0));
    let (seen, count) = (early.clone(), running.clone());
    store.on_put(move |kind, _, _| {
        if kind == ObjectKind::Pack {
            count.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(100));
            count.fetch_sub(1, Ordering::SeqCst);
        } else if count.load(Ordering::SeqCst) > 0 {
            seen.store(true, Ordering::SeqCst);
        }
        Ok(())
    });
    backup(&repo, &source).unwrap();
    assert!(
        !early.load(Ordering::SeqCst),
        "an index or snapshot was put while packs were in flight"
    );
    let order = store.order.lock().unwrap().clone();
    let place = |kind| order.iter().rposition(|(k, _)| *k == kind).unwrap();
    assert!(place(ObjectKind::Pack) < place(ObjectKind::Index));
    assert!(place(ObjectKind::Index) < place(ObjectKind::Snapshot));
}

#[test]
fn packs_are_uploaded_side_by_side() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    many_files(&source, 48);
    let store = Arc::new(HookStore::new());
    let repo = open(store.clone());
    let (running, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (count, top) = (running.clone(), most.clone());
    store.on_put(move |kind, _, _| {
        if kind == ObjectKind::Pack {
            let now = count.fetch_add(1, Ordering::SeqCst) + 1;
            top.fetch_max(now, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(400));
            count.fetch_sub(1, Ordering::SeqCst);
        }
        Ok(())
    });
    backup(&repo, &source).unwrap();
    assert!(most.load(Ordering::SeqCst) >= 3, "at most {:?} at once", most);
}

#[test]
fn backup_unreadable_file_is_named_and_the_rest_is_kept() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("good"), b"good").unwrap();
    // Root can read everything, but not this: the file opens, and reading at address zero is an error.
    let repo = open(Arc::new(InMemoryStore::new()));
    let sources = [source.clone(), PathBuf::from("/proc/self/mem")];
    let report = repo.backup(&sources, &BackupOptions::default(), &NoProgress).unwrap();
    assert_eq!(report.unreadable_count, 1, "{:?}", report.unreadable);
    let (path, why) = &report.unreadable[0];
    assert!(path.ends_with("mem"), "{path:?}");
    assert!(why.contains("error"), "{why}");
    let mut files = Vec::new();
    repo.ls("latest", Path::new("/"), true, &mut |path, node| {
        if node.is_file() {
            files.push(path.to_path_buf());
        }
    })
    .unwrap();
    assert_eq!(files, [source.join("good")]);
}

#[test]
fn backup_missing_source_is_an_error() {
    let repo = open(Arc::new(InMemoryStore::new()));
    let error = backup(&repo, Path::new("/no/such/folder")).unwrap_err();
    assert!(matches!(error, SnapshotError::BadSource { .. }), "{error}");
    assert_eq!(snapshots(&repo), 0);
}

#[test]
fn repository_with_another_secret_is_refused() {
    let store = Arc::new(InMemoryStore::new());
    assert!(!Repo::exists(&*store).unwrap());
    let options = RepoOptions::default;
    let none = Repo::open(store.clone(), common::secret(), options(), CancelToken::new());
    assert!(matches!(none, Err(SnapshotError::NoRepository)));
    open(store.clone());
    assert!(Repo::exists(&*store).unwrap());
    let other = RepoSecret::new([8; 32]);
    let refused = Repo::open(store, other, options(), CancelToken::new());
    assert!(matches!(refused, Err(SnapshotError::WrongSecret)));
}

/// Damages each pack in turn.
fn damage(store: &InMemoryStore, kind: ObjectKind) {
    for (id, size) in store.list(kind).unwrap() {
        let mut bytes = store.get(kind, id, None).unwrap().to_vec();
        bytes[usize::try_from(size).unwrap() / 3] ^= 1;
        store.put(kind, id, bytes.into()).unwrap();
    }
}

#[test]
fn damaged_objects_are_found_by_check_and_by_restore() {
    for kind in [ObjectKind::Pack, ObjectKind::Index, ObjectKind::Snapshot] {
        let temp = tempfile::tempdir().unwrap();
        let source = temp.path().join("source");
        make_tree(&source);
        let store = Arc::new(InMemoryStore::new());
        backup(&open(store.clone()), &source).unwrap();
        let sound = open(store.clone()).check(true, &NoProgress).unwrap();
        assert_eq!(sound.errors, Vec::<String>::new());
        damage(&store, kind);
        let repo = open(store.clone());
        let found = repo.check(true, &NoProgress).unwrap();
        assert!(!found.errors.is_empty(), "damaged {kind} not found");
        let target = temp.path().join("target");
        let restored =
            repo.restore("latest", &source, &target, &RestoreOptions::default(), &NoProgress);
        match restored {
            Ok(report) => panic!("restored from a damaged {kind}: {report:?}"),
            Err(error) => assert_eq!(error.store_error(), Some(&StoreError::Corrupt), "{error}"),
        }
    }
}

#[test]
fn restore_with_one_damaged_pack_names_the_files_and_brings_back_the_others() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    many_files(&source, 40);
    let store = Arc::new(InMemoryStore::new());
    backup(&open(store.clone()), &source).unwrap();
    let packs = store.list(ObjectKind::Pack).unwrap();
    let (victim, size) = *packs.iter().max_by_key(|(_, size)| *size).unwrap();
    let mut bytes = store.get(ObjectKind::Pack, victim, None).unwrap().to_vec();
    bytes[usize::try_from(size).unwrap() / 2] ^= 1;
    store.put(ObjectKind::Pack, victim, bytes.into()).unwrap();
    let repo = open(store);
    let target = temp.path().join("target");
    let options = RestoreOptions::default();
    let report = repo.restore("latest", &source, &target, &options, &NoProgress).unwrap();
    assert!(report.error_count >= 1 && report.error_count < 20, "{:?}", report.errors);
    assert_eq!(report.files_restored + report.error_count, 40);
    for (path, _) in &report.errors {
        assert!(!path.exists(), "a file that failed was left behind: {}", path.display());
    }
    for entry in fs::read_dir(&target).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(fs::read(target.join(&name)).unwrap() == fs::read(source.join(&name)).unwrap());
    }
}

#[test]
fn backup_after_the_store_lost_packs_sends_them_again() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    many_files(&source, 20);
    let store = Arc::new(InMemoryStore::new());
    backup(&open(store.clone()), &source).unwrap();
    // The largest holds file contents. A tree that is lost need not come again: it names the times of folders above,
    // which other programs change.
    let packs = store.list(ObjectKind::Pack).unwrap();
    let (lost, _) = packs.into_iter().max_by_key(|(_, len)| *len).unwrap();
    store.remove(ObjectKind::Pack, lost).unwrap();
    let repo = open(store);
    assert!(!repo.check(false, &NoProgress).unwrap().errors.is_empty());
    let report = backup(&repo, &source).unwrap();
    assert_eq!(report.packs_lost, 1);
    assert_eq!(repo.check(true, &NoProgress).unwrap().errors, Vec::<String>::new());
    let target = temp.path().join("target");
    repo.restore("latest", &source, &target, &RestoreOptions::default(), &NoProgress).unwrap();
    assert_same(&source, &target);
}

#[test]
fn upload_limit_is_kept() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    many_files(&source, 20);
    let options = RepoOptions { upload_bytes_per_second: Some(10 << 20), ..RepoOptions::default() };
    let store = Arc::new(InMemoryStore::new());
    let repo = Repo::init_or_open(store, common::secret(), options, CancelToken::new()).unwrap();
    let start = Instant::now();
    backup(&repo, &source).unwrap();
    // 20 MiB at 10 MiB a second; the last pack goes when its turn has come, not when it is over.
    assert!(start.elapsed() > Duration::from_millis(1000), "{:?}", start.elapsed());
}
