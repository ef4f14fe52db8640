//! Forgetting and pruning: what is kept stays readable, what is given up frees space.
#![allow(missing_docs)]

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use common::{assert_same, open, random};
use snapshot::{
    BackupOptions, InMemoryStore, KeepPolicy, NoProgress, ObjectKind, ObjectStore, PruneOptions,
    Repo, RestoreOptions, SnapshotError, SnapshotFilter,
};

fn backup(repo: &Repo, source: &Path) -> snapshot::ObjectId {
    let options = BackupOptions::default();
    let report = repo.backup(&[source.to_path_buf()], &options, &NoProgress).unwrap();
    report.snapshot_id.unwrap()
}

fn prune(repo: &Repo, instant: bool, dry_run: bool) -> snapshot::PruneReport {
    let options = PruneOptions {
        dry_run,
        instant_delete: instant,
        max_unused_percent: Some(0),
        max_repack_percent: Some(100),
    };
    repo.prune(&options, &NoProgress).unwrap()
}

#[test]
fn forget_and_prune_free_space_and_keep_the_rest_restorable() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    fs::create_dir(&source).unwrap();
    let store = Arc::new(InMemoryStore::new());
    let repo = open(store.clone());
    for i in 0..12 {
        fs::write(source.join(format!("{i}")), random(i, 1 << 20)).unwrap();
    }
    let first = backup(&repo, &source);
    // Every other file goes, so that packs are partly used.
    for i in (0..12).step_by(2) {
        fs::remove_file(source.join(format!("{i}"))).unwrap();
    }
    backup(&repo, &source);
    let ids = [first.to_hex()];
    let policy = KeepPolicy::default();
    let dry = repo.forget(&policy, &SnapshotFilter::default(), &ids, true).unwrap();
    assert_eq!(dry.removed.len(), 1);
    assert_eq!(repo.snapshots(&SnapshotFilter::default()).unwrap().len(), 2);
    repo.forget(&policy, &SnapshotFilter::default(), &ids, false).unwrap();
    assert_eq!(repo.snapshots(&SnapshotFilter::default()).unwrap().len(), 1);

    let before = store.total_bytes();
    let planned = prune(&repo, true, true);
    assert!(planned.bytes_unused > 5 << 20, "{planned:?}");
    assert_eq!(store.total_bytes(), before);
    // Without instant delete nothing goes yet: a backup may be using it.
    let packs = store.list(ObjectKind::Pack).unwrap();
    prune(&repo, false, false);
    for (id, _) in packs {
        assert!(store.get(ObjectKind::Pack, id, None).is_ok(), "pack {id} was removed at once");
    }
    prune(&repo, true, false);
    assert!(store.total_bytes() < before - (5 << 20), "{} of {before}", store.total_bytes());
    assert_eq!(repo.check(true, &NoProgress).unwrap().errors, Vec::<String>::new());
    let target = temp.path().join("target");
    repo.restore("latest", &source, &target, &RestoreOptions::default(), &NoProgress).unwrap();
    assert_same(&source, &target);
    // And the next backup works on what is left.
    fs::write(source.join("new"), random(99, 1 << 20)).unwrap();
    backup(&repo, &source);
    assert_eq!(repo.check(true, &NoProgress).unwrap().errors, Vec::<String>::new());
}

#[test]
fn forget_policy_keeps_the_newest_of_each_host() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), b"x").unwrap();
    let repo = open(Arc::new(InMemoryStore::new()));
    for host in ["a", "b"] {
        for _ in 0..3 {
            let options = BackupOptions { host: Some(host.into()), ..BackupOptions::default() };
            repo.backup(std::slice::from_ref(&source), &options, &NoProgress).unwrap();
        }
    }
    let all = SnapshotFilter::default();
    let empty = repo.forget(&KeepPolicy::default(), &all, &[], false).unwrap_err();
    assert!(matches!(empty, SnapshotError::BadOption(_)), "{empty}");
    let bad = KeepPolicy { within: Some("soon".into()), ..KeepPolicy::default() };
    assert!(repo.forget(&bad, &all, &[], false).is_err());
    let policy = KeepPolicy { last: Some(2), ..KeepPolicy::default() };
    let only_a = SnapshotFilter { hosts: vec!["a".into()], ..SnapshotFilter::default() };
    let report = repo.forget(&policy, &only_a, &[], false).unwrap();
    assert_eq!((report.removed.len(), report.kept.len()), (1, 2));
    assert_eq!(repo.snapshots(&all).unwrap().len(), 5);
    let within = KeepPolicy { within: Some("30d".into()), ..KeepPolicy::default() };
    assert_eq!(repo.forget(&within, &all, &[], false).unwrap().removed.len(), 0);
}
