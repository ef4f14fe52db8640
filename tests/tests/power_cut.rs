//! Power cuts: a storer's data folder lies on an ext4 image; the process is killed and the image
//! copied as it is on the disk at that moment, unsynced pages lost. Every promise that was
//! acknowledged must be on the copy.

use node::Client;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tests::{Blob, Folder, PATIENCE, agreed_commands, faults, found};

const CUTS: usize = 20;
const NODES: usize = 5;
/// The member whose disk loses power.
const VICTIM: usize = 2;
/// A storer that is away while objects are checked, so that the victim's chunks are needed.
const AWAY: usize = 4;

fn run(program: &str, arguments: &[&Path]) -> bool {
    let output = Command::new(program).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

/// A loop-mounted disk image, unmounted when dropped.
struct Disk {
    image: PathBuf,
    mount_point: PathBuf,
}

impl Disk {
    /// `None` where loop mounts are not to be had.
    fn make(folder: &Path, mount_point: &Path) -> Option<Self> {
        let image = folder.join("disk.0");
        let file = std::fs::File::create(&image).ok()?;
        file.set_len(256 << 20).ok()?;
        std::fs::create_dir_all(mount_point).ok()?;
        let disk = Self { image, mount_point: mount_point.to_owned() };
        let made = run("mkfs.ext4", &[Path::new("-q"), &disk.image]) && disk.mount();
        made.then_some(disk)
    }

    fn mount(&self) -> bool {
        run("mount", &[Path::new("-o"), Path::new("loop"), &self.image, &self.mount_point])
    }

    fn unmount(&self) -> bool {
        run("umount", &[&self.mount_point])
    }

    /// What the disk holds now, and nothing of what is only in memory, takes its place.
    fn cut(&mut self, cut: usize) {
        let copy = self.image.with_extension(cut.to_string());
        std::fs::copy(&self.image, &copy).unwrap();
        assert!(self.unmount(), "cannot unmount");
        std::fs::remove_file(&self.image).unwrap();
        self.image = copy;
        assert!(self.mount(), "the copy cannot be mounted");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: after a failure the daemon may still be ending.
        run("umount", &[Path::new("-l"), &self.mount_point]);
    }
}

async fn store(client: Client, stop: Arc<AtomicBool>, stored: Arc<Mutex<Vec<Blob>>>) {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let blob = Blob::new(number, 30_000);
        // Commands as well, so that the cut hits the state machine's log too.
        let _ = tokio::time::timeout(
            Duration::from_secs(2),
            client.submit(number.to_le_bytes().to_vec().into()),
        )
        .await;
        match client.put("data", &blob.id(), blob.body()).await {
            Ok(()) => {
                stored.lock().unwrap().push(blob);
                number += 1;
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

#[test]
fn twenty_power_cuts_lose_no_acknowledged_promise() {
    let folder = Folder::new();
    let mut group = found(folder.path(), NODES, 1);
    let saved = folder.path().join("victim");
    let data = group.data(VICTIM).to_owned();
    std::fs::rename(&data, &saved).unwrap();
    let Some(mut disk) = Disk::make(folder.path(), &data) else {
        println!("skipped: loop mounts need root and the loop device");
        return;
    };
    let copied = Command::new("cp").arg("-a").arg(saved.join(".")).arg(&data).status().unwrap();
    assert!(copied.success() && Command::new("sync").status().unwrap().success());
    group.start_all(PATIENCE).unwrap();
    let (stop, stored) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = Client::new(group.socket(0));
    let task = runtime.spawn(store(client.clone(), stop.clone(), stored.clone()));
    for cut in 1..=CUTS {
        std::thread::sleep(Duration::from_millis(200 + 37 * cut as u64));
        // Nothing may be written between the end of the process and the copy.
        group.kill(VICTIM).unwrap();
        disk.cut(cut);
        group.start(VICTIM).unwrap();
        group.wait_links(PATIENCE).unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    runtime.block_on(task).unwrap();
    let stored = stored.lock().unwrap().clone();
    assert!(stored.len() > CUTS, "only {} objects: the test shows nothing", stored.len());
    agreed_commands(&group);
    assert_eq!(faults(&group), 0, "a member saw another break the protocol, perhaps sign twice");
    // Restarted, the owner has nothing in memory; with one storer away, it needs the victim.
    group.stop(0).unwrap();
    group.stop(AWAY).unwrap();
    group.start(0).unwrap();
    group.wait_links(PATIENCE).unwrap();
    runtime.block_on(async {
        for blob in &stored {
            blob.check(&client).await;
        }
    });
    println!("{CUTS} power cuts, {} objects, all there", stored.len());
    drop(group);
}
