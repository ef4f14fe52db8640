//! Stock restic opens, checks, restores and prunes what is written here, and we read what it writes.
#![allow(missing_docs)]

mod common;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use common::{SECRET, assert_same, make_tree, open, random};
use snapshot::{
    BackupOptions, FolderStore, NoProgress, Repo, RepoSecret, RestoreOptions, SnapshotFilter,
};

fn restic(folder: &Path, cache: &Path, arguments: &[&str]) -> Output {
    let password = Repo::restic_password(&RepoSecret::new(SECRET));
    Command::new("restic")
        .arg("-r")
        .arg(folder)
        .arg("--no-cache")
        .args(arguments)
        .env("RESTIC_PASSWORD", password.as_str())
        .env("HOME", cache)
        .output()
        .unwrap()
}

fn done(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "restic failed: {text}\n{errors}");
    text
}

#[test]
fn restic_checks_and_restores_and_both_go_on() {
    if Command::new("restic").arg("version").output().is_err() {
        println!("skipped: restic is not installed (Debian package restic)");
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let (source, folder) = (temp.path().join("source"), temp.path().join("repository"));
    make_tree(&source);
    let repo = open(Arc::new(FolderStore::open(&folder, true).unwrap()));
    let sources = [source.clone()];
    repo.backup(&sources, &BackupOptions::default(), &NoProgress).unwrap();

    assert!(done(&restic(&folder, temp.path(), &["snapshots"])).contains("1 snapshots"));
    let checked = done(&restic(&folder, temp.path(), &["check", "--read-data"]));
    assert!(checked.contains("no errors were found"), "{checked}");
    let target = temp.path().join("by-restic");
    done(&restic(
        &folder,
        temp.path(),
        &["restore", "latest", "--target", target.to_str().unwrap()],
    ));
    assert_same(&source, &target.join(source.strip_prefix("/").unwrap()));

    // restic adds a snapshot, we restore it.
    std::fs::write(source.join("added"), random(9, 300_000)).unwrap();
    done(&restic(&folder, temp.path(), &["backup", source.to_str().unwrap()]));
    assert_eq!(repo.snapshots(&SnapshotFilter::default()).unwrap().len(), 2);
    let ours = temp.path().join("by-us");
    let options = RestoreOptions::default();
    let report = repo.restore("latest", &source, &ours, &options, &NoProgress).unwrap();
    assert_eq!((report.errors, report.warnings), (vec![], vec![]));
    assert_same(&source, &ours);
    // And after restic pruned, ours is still sound.
    done(&restic(
        &folder,
        temp.path(),
        &["forget", "--keep-last", "1", "--group-by", "", "--prune"],
    ));
    let check = repo.check(true, &NoProgress).unwrap();
    assert_eq!(check.errors, Vec::<String>::new());
    repo.backup(&sources, &BackupOptions::default(), &NoProgress).unwrap();
    done(&restic(&folder, temp.path(), &["check", "--read-data"]));
}
