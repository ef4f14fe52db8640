//! Mounts for real, where the machine can.
#![allow(missing_docs)]

#[path = "../../snapshot/tests/common/mod.rs"]
mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{assert_same, make_tree, open, random};
use fuse_mount::{MountError, MountHandle, MountOptions, availability, mount};
use snapshot::{
    BackupOptions, FolderStore, InMemoryStore, NoProgress, ObjectId, ObjectKind, ObjectStore, Repo,
    SnapshotFs, StoreError,
};

/// Says why a test cannot run here.
fn can_mount() -> bool {
    match availability() {
        Ok(()) => true,
        Err(MountError::NoFuseDevice) => {
            println!("skipped: /dev/fuse is absent");
            false
        }
        Err(MountError::FuseNotPermitted) => {
            println!("skipped: this user may not use /dev/fuse");
            false
        }
        Err(error) => panic!("{error}"),
    }
}

struct Setup {
    temp: tempfile::TempDir,
    source: PathBuf,
    point: PathBuf,
    repo: Repo,
}

fn set_up(store: &Arc<dyn ObjectStore>) -> Setup {
    let temp = tempfile::tempdir().unwrap();
    let (source, point) = (temp.path().join("source"), temp.path().join("mount"));
    fs::create_dir_all(&source).unwrap();
    fs::create_dir_all(&point).unwrap();
    let repo = open(store.clone());
    Setup { temp, source, point, repo }
}

impl Setup {
    fn backup(&self, tags: &[&str]) {
        let options = BackupOptions {
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            host: Some("box".to_owned()),
            ..BackupOptions::default()
        };
        self.repo.backup(std::slice::from_ref(&self.source), &options, &NoProgress).unwrap();
    }

    fn mount(&self, store: &Arc<dyn ObjectStore>, options: MountOptions) -> MountHandle {
        let view = Arc::new(SnapshotFs::open(open(store.clone())).unwrap());
        mount(view, &self.point, options).unwrap()
    }

    fn inside(&self, folder: &str) -> PathBuf {
        self.point.join(folder).join(self.source.strip_prefix("/").unwrap())
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn mounted_snapshot_is_identical_and_new_ones_show_up() {
    if !can_mount() {
        return;
    }
    let store: Arc<dyn ObjectStore> = Arc::new(InMemoryStore::new());
    let setup = set_up(&store);
    make_tree(&setup.source);
    setup.backup(&["work", "a/b"]);
    let handle = setup.mount(&store, MountOptions::default());
    assert_eq!(names(&setup.point), ["by-host", "by-tag", "by-time", "latest"]);
    assert_same(&setup.source, &setup.inside("latest"));
    let times = names(&setup.point.join("by-time"));
    assert_eq!(times.len(), 1);
    assert_eq!(names(&setup.point.join("by-tag")), ["a_b", "work"]);
    assert_eq!(names(&setup.point.join("by-tag/work")), times);
    assert_eq!(names(&setup.point.join("by-host")), ["box"]);
    assert_eq!(
        fs::read_link(setup.point.join("latest")).unwrap(),
        Path::new("by-time").join(&times[0])
    );
    assert_same(&setup.source, &setup.inside(&format!("by-tag/work/{}", times[0])));
    let linked = fs::metadata(setup.inside("latest").join("large")).unwrap();
    assert_eq!(linked.nlink(), 3);
    // A listing and a lookup tell the same number.
    for entry in fs::read_dir(setup.inside("latest")).unwrap() {
        let entry = entry.unwrap();
        let number = std::os::unix::fs::DirEntryExt::ino(&entry);
        assert_eq!(number, fs::symlink_metadata(entry.path()).unwrap().ino());
    }
    let error = fs::write(setup.inside("latest").join("new"), b"x").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EROFS));
    assert!(fs::metadata(setup.inside("latest").join("absent")).is_err());

    fs::write(setup.source.join("later"), b"later").unwrap();
    setup.backup(&[]);
    let start = Instant::now();
    while names(&setup.point.join("by-time")).len() < 2 {
        assert!(start.elapsed() < Duration::from_secs(20), "the new snapshot does not show up");
        std::thread::sleep(Duration::from_millis(200));
    }
    // `latest` is the new one as soon as the kernel asks again.
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(fs::read(setup.inside("latest").join("later")).unwrap(), b"later");

    handle.unmount().unwrap();
    handle.wait().unwrap();
    assert!(names(&setup.point).is_empty());
    // And again on the same place.
    let again = setup.mount(&store, MountOptions::default());
    assert_eq!(names(&setup.point.join("by-time")).len(), 2);
    drop(again);
    assert!(names(&setup.point).is_empty());
}

/// A store whose reads of file content hang while it is stuck, or all calls while it is dead.
struct StuckStore {
    inner: InMemoryStore,
    stuck: AtomicBool,
    dead: AtomicBool,
}

impl StuckStore {
    fn new() -> Self {
        Self {
            inner: InMemoryStore::new(),
            stuck: AtomicBool::new(false),
            dead: AtomicBool::new(false),
        }
    }

    fn hang(&self, content: bool) {
        while self.dead.load(Ordering::SeqCst) || (content && self.stuck.load(Ordering::SeqCst)) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl ObjectStore for StuckStore {
    fn list(&self, kind: ObjectKind) -> Result<Vec<(ObjectId, u64)>, StoreError> {
        self.hang(false);
        self.inner.list(kind)
    }

    fn get(
        &self,
        kind: ObjectKind,
        id: ObjectId,
        range: Option<(u64, u64)>,
    ) -> Result<Bytes, StoreError> {
        self.hang(kind == ObjectKind::Pack && range.is_some());
        self.inner.get(kind, id, range)
    }

    fn put(&self, kind: ObjectKind, id: ObjectId, bytes: Bytes) -> Result<(), StoreError> {
        self.inner.put(kind, id, bytes)
    }

    fn remove(&self, kind: ObjectKind, id: ObjectId) -> Result<(), StoreError> {
        self.inner.remove(kind, id)
    }
}

#[test]
fn stuck_store_ends_in_an_error_in_time_and_others_are_answered() {
    if !can_mount() {
        return;
    }
    let stuck = Arc::new(StuckStore::new());
    let store: Arc<dyn ObjectStore> = stuck.clone();
    let setup = set_up(&store);
    fs::create_dir(setup.source.join("folder")).unwrap();
    for i in 0..30_u8 {
        fs::write(setup.source.join(format!("folder/{i}")), random(u64::from(i), 2 << 20)).unwrap();
    }
    fs::write(setup.source.join("quick"), random(99, 100_000)).unwrap();
    setup.backup(&[]);
    let options = MountOptions { timeout: Duration::from_secs(2), ..MountOptions::default() };
    let handle = setup.mount(&store, options);
    let inside = setup.inside("latest");
    // Its blob is in memory from here on, the kernel's own copy is not used.
    assert_eq!(fs::read(inside.join("quick")).unwrap().len(), 100_000);
    stuck.stuck.store(true, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let mut slow = Vec::new();
        for i in 0..30 {
            let path = inside.join(format!("folder/{i}"));
            slow.push(scope.spawn(move || {
                let start = Instant::now();
                (fs::read(path).unwrap_err(), start.elapsed())
            }));
        }
        std::thread::sleep(Duration::from_millis(300));
        let start = Instant::now();
        assert_eq!(names(&inside.join("folder")).len(), 30);
        assert_eq!(fs::metadata(inside.join("folder/7")).unwrap().len(), 2 << 20);
        assert_eq!(fs::read(inside.join("quick")).unwrap().len(), 100_000);
        assert_eq!(names(&setup.point.join("by-time")).len(), 1);
        assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
        for thread in slow {
            let (error, took) = thread.join().unwrap();
            assert_eq!(error.raw_os_error(), Some(libc::EIO));
            assert!(took < Duration::from_secs(10), "{took:?}");
        }
    });
    // Once the store is well, so is the mount.
    stuck.stuck.store(false, Ordering::SeqCst);
    assert_same(&setup.source, &inside);
    handle.unmount().unwrap();
    handle.wait().unwrap();
}

#[test]
fn dead_store_leaves_listings_that_are_known_and_errors_for_the_rest() {
    if !can_mount() {
        return;
    }
    let dead = Arc::new(StuckStore::new());
    let store: Arc<dyn ObjectStore> = dead.clone();
    let setup = set_up(&store);
    fs::write(setup.source.join("file"), b"content").unwrap();
    setup.backup(&[]);
    let options = MountOptions { timeout: Duration::from_secs(3), ..MountOptions::default() };
    let handle = setup.mount(&store, options);
    let time = setup.point.join("by-time").join(&names(&setup.point.join("by-time"))[0]);
    dead.dead.store(true, Ordering::SeqCst);
    let start = Instant::now();
    let error = fs::read_dir(&time).err().unwrap();
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    assert_eq!(names(&setup.point), ["by-host", "by-tag", "by-time", "latest"]);
    assert_eq!(names(&setup.point.join("by-time")).len(), 1);
    assert!(start.elapsed() < Duration::from_secs(9), "{:?}", start.elapsed());
    // Taking the mount away does not wait for the store either.
    let start = Instant::now();
    handle.unmount().unwrap();
    handle.wait().unwrap();
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    dead.dead.store(false, Ordering::SeqCst);
}

#[test]
fn unmount_while_a_file_is_open_does_not_hang() {
    if !can_mount() {
        return;
    }
    let store: Arc<dyn ObjectStore> = Arc::new(InMemoryStore::new());
    let setup = set_up(&store);
    fs::write(setup.source.join("file"), b"content").unwrap();
    setup.backup(&[]);
    let handle = setup.mount(&store, MountOptions::default());
    let file = fs::File::open(setup.inside("latest").join("file")).unwrap();
    handle.unmount().unwrap();
    assert!(names(&setup.point).is_empty());
    assert_eq!(std::io::read_to_string(&file).unwrap(), "content");
    drop(file);
    handle.wait().unwrap();
}

#[test]
fn mount_point_that_cannot_be_used_is_refused_with_its_reason() {
    if !can_mount() {
        return;
    }
    let store: Arc<dyn ObjectStore> = Arc::new(InMemoryStore::new());
    let setup = set_up(&store);
    let view = || Arc::new(SnapshotFs::open(open(store.clone())).unwrap());
    let file = setup.temp.path().join("file");
    fs::write(&file, b"x").unwrap();
    let options = MountOptions::default;
    assert!(matches!(mount(view(), &file, options()), Err(MountError::NotADirectory(_))));
    assert!(matches!(mount(view(), setup.temp.path(), options()), Err(MountError::NotEmpty(_))));
    let absent = setup.temp.path().join("absent");
    assert!(matches!(mount(view(), &absent, options()), Err(MountError::Io { .. })));
    // A repository without snapshots can be mounted.
    let handle = setup.mount(&store, options());
    assert_eq!(names(&setup.point), ["by-host", "by-tag", "by-time"]);
    drop(handle);
}

/// Not a test of its own: the process that the next test kills.
#[test]
#[ignore = "started by stale_mount_of_a_killed_process_is_taken_away"]
fn child_mounts_and_waits() {
    let Some(folder) = std::env::var_os("PIB_TEST_FOLDER").map(PathBuf::from) else {
        return;
    };
    let store: Arc<dyn ObjectStore> =
        Arc::new(FolderStore::open(folder.join("store"), false).unwrap());
    let view = Arc::new(SnapshotFs::open(open(store)).unwrap());
    let handle = mount(view, &folder.join("mount"), MountOptions::default()).unwrap();
    println!("\nmounted");
    handle.wait().unwrap();
}

#[test]
fn stale_mount_of_a_killed_process_is_taken_away() {
    if !can_mount() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let point = temp.path().join("mount");
    fs::create_dir(&point).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_mounts_and_waits", "--ignored", "--nocapture"])
        .env("PIB_TEST_FOLDER", temp.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "mounted"), "the child did not mount");
    assert_eq!(names(&point), ["by-host", "by-tag", "by-time"]);
    child.kill().unwrap();
    child.wait().unwrap();
    let error = fs::metadata(&point).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOTCONN));
    let store: Arc<dyn ObjectStore> =
        Arc::new(FolderStore::open(temp.path().join("store"), false).unwrap());
    let view = Arc::new(SnapshotFs::open(open(store)).unwrap());
    let handle = mount(view, &point, MountOptions::default()).unwrap();
    assert_eq!(names(&point), ["by-host", "by-tag", "by-time"]);
    handle.unmount().unwrap();
    handle.wait().unwrap();
    assert!(names(&point).is_empty());
}
