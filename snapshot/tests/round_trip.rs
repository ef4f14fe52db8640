//! Backup, restore, and comparing everything: what goes in comes out.
#![allow(missing_docs)]

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use common::{assert_same, look, make_tree, open, random};
use snapshot::{
    BackupOptions, InMemoryStore, NoProgress, NodeKind, Repo, RestoreOptions, SnapshotFilter,
};

fn backup(repo: &Repo, source: &Path) -> snapshot::BackupReport {
    let options = BackupOptions::default();
    repo.backup(&[source.to_path_buf()], &options, &NoProgress).unwrap()
}

fn restore(
    repo: &Repo,
    path: &Path,
    target: &Path,
    options: &RestoreOptions,
) -> snapshot::RestoreReport {
    let report = repo.restore("latest", path, target, options, &NoProgress).unwrap();
    assert_eq!(report.errors, []);
    assert_eq!(report.warnings, []);
    report
}

#[test]
fn restore_generated_tree_is_identical() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    make_tree(&source);
    let repo = open(Arc::new(InMemoryStore::new()));
    let report = backup(&repo, &source);
    assert_eq!(report.unreadable, []);
    assert!(report.snapshot_id.is_some() && report.parent.is_none());
    let target = temp.path().join("target");
    let restored = restore(&repo, &source, &target, &RestoreOptions::default());
    assert_eq!(restored.hard_links, 2);
    assert_same(&source, &target);
    let blocks = fs::metadata(target.join("sparse")).unwrap().blocks();
    assert!(blocks * 512 < 4 << 20, "a sparse file came back with {blocks} blocks");
    // Again into the same place: nothing is fetched again.
    let again = restore(&repo, &source, &target, &RestoreOptions::default());
    assert_eq!((again.files_restored, again.bytes_restored), (0, 0));
    assert_same(&source, &target);
}

#[test]
fn restore_whole_snapshot_brings_back_paths_and_metadata_of_folders_above() {
    let temp = tempfile::tempdir().unwrap();
    let above = temp.path().join("above");
    let source = above.join("source");
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("file"), b"x").unwrap();
    let old = filetime::FileTime::from_unix_time(1_111_111_111, 5);
    filetime::set_file_mtime(&source, old).unwrap();
    filetime::set_file_mtime(&above, old).unwrap();
    let repo = open(Arc::new(InMemoryStore::new()));
    backup(&repo, &source);
    let target = temp.path().join("target");
    restore(&repo, Path::new("/"), &target, &RestoreOptions::default());
    let restored = target.join(above.strip_prefix("/").unwrap());
    assert_same(&above, &restored);
    assert_eq!(look(&target).values().filter(|seen| seen.mtime.0 == 1_111_111_111).count(), 2);
}

#[test]
fn restore_single_file_lands_in_target() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    make_tree(&source);
    let repo = open(Arc::new(InMemoryStore::new()));
    backup(&repo, &source);
    let target = temp.path().join("target");
    let report = restore(&repo, &source.join("sub/text"), &target, &RestoreOptions::default());
    assert_eq!(report.files_restored, 1);
    assert_eq!(fs::read(target.join("text")).unwrap(), fs::read(source.join("sub/text")).unwrap());
}

#[test]
fn restore_over_other_files_replaces_and_deletes_only_what_was_backed_up() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    fs::create_dir_all(source.join("folder")).unwrap();
    fs::write(source.join("a"), b"right").unwrap();
    fs::write(source.join("folder/b"), b"b").unwrap();
    let repo = open(Arc::new(InMemoryStore::new()));
    backup(&repo, &source);
    let target = temp.path().join("target");
    let inside = target.join(source.strip_prefix("/").unwrap());
    fs::create_dir_all(&inside).unwrap();
    fs::write(target.join("not-backed-up"), b"stays").unwrap();
    fs::write(inside.join("extra"), b"goes").unwrap();
    // A link where the snapshot has a file or a folder must not be followed.
    let outside = temp.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("victim"), b"untouched").unwrap();
    std::os::unix::fs::symlink(outside.join("victim"), inside.join("a")).unwrap();
    std::os::unix::fs::symlink(&outside, inside.join("folder")).unwrap();
    let options = RestoreOptions { delete: true, ..RestoreOptions::default() };
    let dry = RestoreOptions { dry_run: true, ..options.clone() };
    assert_eq!(restore(&repo, Path::new("/"), &target, &dry).deleted, 1);
    assert!(inside.join("extra").exists());
    let report = restore(&repo, Path::new("/"), &target, &options);
    assert_eq!(report.deleted, 1);
    assert_same(&source, &inside);
    assert_eq!(fs::read(target.join("not-backed-up")).unwrap(), b"stays");
    assert_eq!(fs::read(outside.join("victim")).unwrap(), b"untouched");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn backup_unchanged_tree_adds_almost_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    make_tree(&source);
    let repo = open(Arc::new(InMemoryStore::new()));
    let first = backup(&repo, &source);
    let second = backup(&repo, &source);
    assert_eq!(second.parent, first.snapshot_id);
    assert_eq!((second.files_new, second.files_changed), (0, 0));
    assert_eq!(second.files_unmodified, first.files_new);
    assert!(second.bytes_stored < 32 << 10, "{} bytes", second.bytes_stored);
    assert_eq!(repo.snapshots(&SnapshotFilter::default()).unwrap().len(), 2);
}

#[test]
fn backup_copies_and_edits_are_deduplicated() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    fs::create_dir(&source).unwrap();
    let mut bytes = random(3, 40 << 20);
    fs::write(source.join("a"), &bytes).unwrap();
    let repo = open(Arc::new(InMemoryStore::new()));
    backup(&repo, &source);
    fs::write(source.join("copy"), &bytes).unwrap();
    let copied = backup(&repo, &source);
    assert!(copied.bytes_stored < 64 << 10, "{} bytes", copied.bytes_stored);
    // Bytes inserted in the middle change the chunk there, and at worst the next one: chunks end
    // where a random polynomial of the repository says, after 8 MiB at the latest.
    bytes.splice(20_000_000..20_000_000, *b"inserted");
    fs::write(source.join("edited"), &bytes).unwrap();
    let second = backup(&repo, &source);
    assert!(second.bytes_stored < 20 << 20, "{} bytes", second.bytes_stored);
    let target = temp.path().join("target");
    restore(&repo, &source, &target, &RestoreOptions::default());
    assert_same(&source, &target);
}

#[test]
fn backup_exclusions_leave_out_what_they_say() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    for folder in ["src/cache", "src/build", "node_modules", "marked", "src/foo/bar"] {
        fs::create_dir_all(source.join(folder)).unwrap();
    }
    let tag = b"Signature: 8a477f597d28d172789f06886806bc55\n# a cache";
    fs::write(source.join("src/cache/CACHEDIR.TAG"), tag).unwrap();
    for name in [
        "a.o",
        "keep.o",
        "src/cache/big",
        "src/build/out",
        "node_modules/x",
        "marked/.nobackup",
        "marked/secret",
        "src/foo/bar/z",
        "src/main.rs",
    ] {
        fs::write(source.join(name), name).unwrap();
    }
    let patterns = temp.path().join("patterns");
    fs::write(&patterns, "# comment\nfoo/bar\n\n").unwrap();
    let options = BackupOptions {
        excludes: vec![
            "*.o".into(),
            "!keep.o".into(),
            "node_modules".into(),
            source.join("src/build").to_str().unwrap().into(),
        ],
        exclude_files: vec![patterns],
        exclude_caches: true,
        exclude_if_present: vec![".nobackup".into()],
        ..BackupOptions::default()
    };
    let repo = open(Arc::new(InMemoryStore::new()));
    repo.backup(std::slice::from_ref(&source), &options, &NoProgress).unwrap();
    let mut found = Vec::new();
    repo.ls("latest", &source, true, &mut |path, node| {
        if node.is_file() {
            found.push(path.strip_prefix(&source).unwrap().to_str().unwrap().to_owned());
        }
    })
    .unwrap();
    found.sort();
    assert_eq!(found, ["keep.o", "marked/.nobackup", "src/cache/CACHEDIR.TAG", "src/main.rs"]);
}

#[test]
fn backup_several_sources_with_tags_host_and_another_path() {
    let temp = tempfile::tempdir().unwrap();
    let (one, two) = (temp.path().join("one"), temp.path().join("two"));
    for folder in [&one, &two] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("file"), folder.to_str().unwrap()).unwrap();
    }
    let repo = open(Arc::new(InMemoryStore::new()));
    let options = BackupOptions {
        tags: vec!["work".into(), "daily".into()],
        host: Some("box".into()),
        ..BackupOptions::default()
    };
    let sources = [two.clone(), one.clone(), one.join("file")];
    repo.backup(&sources, &options, &NoProgress).unwrap();
    let as_path = BackupOptions { as_path: Some("/data/site".into()), ..BackupOptions::default() };
    repo.backup(std::slice::from_ref(&one), &as_path, &NoProgress).unwrap();
    let all = repo.snapshots(&SnapshotFilter::default()).unwrap();
    assert_eq!(all[0].paths, [one.clone(), two.clone()]);
    assert_eq!(all[0].tags, ["daily", "work"]);
    assert_eq!(all[0].host, "box");
    assert_eq!(all[1].paths, [Path::new("/data/site")]);
    let tagged = SnapshotFilter { tags: vec!["work".into()], hosts: vec!["box".into()] };
    assert_eq!(repo.snapshots(&tagged).unwrap().len(), 1);
    let mut names = Vec::new();
    repo.ls("latest", Path::new("/"), true, &mut |path, node| {
        names.push((path.to_str().unwrap().to_owned(), node.kind == NodeKind::Dir));
    })
    .unwrap();
    let expected = [("/data", true), ("/data/site", true), ("/data/site/file", false)];
    assert_eq!(names, expected.map(|(name, dir)| (name.to_owned(), dir)));
    let id = all[0].id.to_hex();
    assert_eq!(repo.find_snapshot(&id[..8]).unwrap().id, all[0].id);
    assert_eq!(repo.find_snapshot("latest~1").unwrap().id, all[0].id);
    assert!(repo.find_snapshot("latest~2").is_err() && repo.find_snapshot("").is_err());
}

#[test]
fn backup_dry_run_stores_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    make_tree(&source);
    let store = Arc::new(InMemoryStore::new());
    let repo = open(store.clone());
    let before = store.total_bytes();
    let options = BackupOptions { dry_run: true, ..BackupOptions::default() };
    let report = repo.backup(&[source], &options, &NoProgress).unwrap();
    assert!(report.snapshot_id.is_none() && report.bytes_added > 5 << 20);
    assert_eq!(store.total_bytes(), before);
}

#[test]
fn restore_in_place_leaves_folders_above_the_sources_as_they_are() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("homes/me");
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("file"), b"x").unwrap();
    let repo = open(Arc::new(InMemoryStore::new()));
    backup(&repo, &source);
    // On the new machine the homes are elsewhere.
    let target = temp.path().join("target");
    let inside = target.join(temp.path().strip_prefix("/").unwrap());
    let elsewhere = temp.path().join("elsewhere");
    fs::create_dir_all(&inside).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    let old = filetime::FileTime::from_unix_time(1_222_222_222, 0);
    filetime::set_file_mtime(&inside, old).unwrap();
    std::os::unix::fs::symlink(&elsewhere, inside.join("homes")).unwrap();
    let mode = fs::metadata(&inside).unwrap().mode();
    restore(&repo, Path::new("/"), &target, &RestoreOptions::default());
    assert!(fs::symlink_metadata(inside.join("homes")).unwrap().is_symlink());
    assert_same(&source, &elsewhere.join("me"));
    assert_eq!(fs::metadata(&inside).unwrap().mode(), mode);
}

#[test]
fn diff_names_what_changed_between_snapshots() {
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    make_tree(&source);
    let repo = open(Arc::new(InMemoryStore::new()));
    backup(&repo, &source);
    fs::write(source.join("small"), b"changed").unwrap();
    fs::remove_file(source.join("quote\"back\\slash")).unwrap();
    fs::create_dir(source.join("sub/new")).unwrap();
    fs::write(source.join("sub/new/file"), b"new").unwrap();
    backup(&repo, &source);
    let mut found = Vec::new();
    repo.diff("latest~1", "latest", &source, &mut |change, path, _| {
        found.push((change, path.strip_prefix(&source).unwrap().to_str().unwrap().to_owned()));
    })
    .unwrap();
    use snapshot::Change::{Added, Content, Removed};
    let expected = [
        (Removed, "quote\"back\\slash"),
        (Content, "small"),
        (Added, "sub/new"),
        (Added, "sub/new/file"),
    ];
    found.retain(|(change, _)| *change != snapshot::Change::Metadata);
    assert_eq!(found, expected.map(|(change, name)| (change, name.to_owned())));
}
