//! The view that a mount shows: folders, attributes, reads at any place.
#![allow(missing_docs)]

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use common::{make_tree, open};
use snapshot::{BackupOptions, InMemoryStore, NoProgress, NodeKind, ObjectStore, SnapshotFs};

#[test]
fn view_shows_files_attributes_and_new_snapshots() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    make_tree(&source);
    let store: Arc<dyn ObjectStore> = Arc::new(InMemoryStore::new());
    let repo = open(store.clone());
    let sources = [source.clone()];
    repo.backup(&sources, &BackupOptions::default(), &NoProgress).unwrap();
    let view = SnapshotFs::open(open(store)).unwrap();
    let snapshot = view.snapshots()[0].clone();
    let folder = view.node_at(&snapshot, &source).unwrap();
    let children = view.children(&folder).unwrap();
    assert_eq!(children.len(), fs::read_dir(&source).unwrap().count());
    let child = |name: &str| children.iter().find(|node| node.name == name).unwrap();
    assert_eq!(child("script").mode, 0o4755);
    assert_eq!(child("link").kind, NodeKind::Symlink("sub/text".into()));
    assert_eq!(child("pipe").kind, NodeKind::Fifo);
    assert!(child("large").hard_link.is_some());
    assert_eq!(child("large").hard_link, child("another-large").hard_link);
    assert_eq!(child("small").hard_link, None);

    let expected = fs::read(source.join("large")).unwrap();
    let large = view.open_file(child("large")).unwrap();
    for (offset, length) in [(0, 10), (4_999_999, 100_000), (5 << 20, 10), (u64::MAX, 1)] {
        let got = view.read_at(&large, offset, length).unwrap();
        let start = usize::try_from(offset).unwrap().min(expected.len());
        let end = (start + length as usize).min(expected.len());
        assert_eq!(got, expected[start..end]);
    }
    let mut whole = Vec::new();
    while whole.len() < expected.len() {
        whole.extend(view.read_at(&large, whole.len() as u64, 128 << 10).unwrap());
    }
    assert!(whole == expected);
    let empty = view.open_file(child("empty")).unwrap();
    assert!(view.read_at(&empty, 0, 10).unwrap().is_empty());

    assert!(!view.refresh().unwrap());
    fs::write(source.join("later"), b"later").unwrap();
    repo.backup(&sources, &BackupOptions::default(), &NoProgress).unwrap();
    assert!(view.refresh().unwrap());
    let snapshot = view.snapshots()[1].clone();
    let later = view.node_at(&snapshot, &source.join("later")).unwrap();
    let handle = view.open_file(&later).unwrap();
    assert_eq!(&view.read_at(&handle, 0, 99).unwrap()[..], b"later");
    assert_eq!(&view.read_at(&large, 0, 16).unwrap()[..], &expected[..16]);
    assert!(view.node_at(&snapshot, Path::new("/../etc")).is_err());
}
