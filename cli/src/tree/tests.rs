//! A comparison that finds nothing proves something only if it finds what is there.

use super::*;
use crate::tree::everyday;
use filetime::FileTime;
use std::os::unix::fs::{PermissionsExt as _, symlink};

fn twins() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (left, right) = (folder.path().join("a"), folder.path().join("b"));
    let made = everyday(&left, 60, 7).unwrap();
    assert_eq!(everyday(&right, 60, 7).unwrap(), made);
    (folder, left, right)
}

fn files(root: &Path) -> Vec<PathBuf> {
    let walk = walkdir::WalkDir::new(root).sort_by_file_name();
    let files = walk.into_iter().map(|entry| entry.unwrap());
    let files = files.filter(|e| e.file_type().is_file() && e.metadata().unwrap().nlink() == 1);
    files.map(walkdir::DirEntry::into_path).collect()
}

/// One seed gives one tree; only links with absolute targets tell the two places apart.
#[test]
fn trees_of_one_seed_are_identical() {
    let (_folder, left, right) = twins();
    let found = compare(&left, &right, Aspects::all()).unwrap();
    let elsewhere = "the link points elsewhere";
    let others: Vec<_> = found.differences.iter().filter(|d| !d.ends_with(elsewhere)).collect();
    assert!(others.is_empty(), "{others:?}");
    assert!(found.files > 60 && found.bytes > 0 && found.others > 5);
    assert!(compare(&left, &left, Aspects::all()).unwrap().identical());
}

/// Words that must appear, and what to do to a file.
type Change = (&'static str, fn(&Path));

#[test]
fn every_kind_of_difference_is_found() {
    let changes: [Change; 8] = [
        ("content differs", |path| {
            let mut bytes = fs::read(path).unwrap();
            let time = FileTime::from_last_modification_time(&path.metadata().unwrap());
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            fs::write(path, bytes).unwrap();
            filetime::set_file_mtime(path, time).unwrap();
        }),
        ("mode", |path| {
            let mode = path.metadata().unwrap().mode() ^ 0o010;
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }),
        ("time", |path| {
            let old = path.metadata().unwrap();
            let time = FileTime::from_unix_time(old.mtime(), old.mtime_nsec() as u32 ^ 1);
            filetime::set_file_mtime(path, time).unwrap();
        }),
        ("attributes", |path| xattr::set(path, "user.more", b"x").unwrap()),
        ("is missing", |path| fs::remove_file(path).unwrap()),
        ("should not be there", |path| fs::write(path.with_extension("extra"), "x").unwrap()),
        ("is a symbolic link", |path| {
            fs::remove_file(path).unwrap();
            symlink("x", path).unwrap();
        }),
        ("shares its content", |path| {
            fs::hard_link(path, path.with_extension("twin")).unwrap();
            fs::rename(path.with_extension("twin"), path.parent().unwrap().join("zz")).unwrap();
        }),
    ];
    for (expected, change) in changes {
        let (_folder, left, right) = twins();
        let list = files(&right);
        let victim = list.iter().find(|path| path.metadata().unwrap().len() > 100).unwrap();
        if expected == "shares its content" {
            // The same extra name exists on the left as a file of its own.
            let twin = victim.strip_prefix(&right).unwrap().parent().unwrap().join("zz");
            fs::copy(victim, left.join(twin)).unwrap();
        }
        change(victim);
        let found = compare(&left, &right, Aspects::all()).unwrap();
        assert!(
            found.differences.iter().any(|text| text.contains(expected)),
            "{expected}: {:?}",
            found.differences
        );
    }
}
