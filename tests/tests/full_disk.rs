//! A storer whose disk is full refuses with a clear reason, and loses nothing that it promised.

use node::{Client, ClientError};
use std::path::Path;
use std::process::Command;
use tests::{Blob, Folder, PATIENCE, found};

const VICTIM: usize = 1;

#[test]
fn storer_with_a_full_disk_is_named_and_keeps_what_it_promised() {
    let folder = Folder::new();
    let mut group = found(folder.path(), 5, 1);
    let data = group.data(VICTIM).to_owned();
    let saved = folder.path().join("victim");
    std::fs::rename(&data, &saved).unwrap();
    std::fs::create_dir_all(&data).unwrap();
    // The reserve that a storer leaves alone, and little more.
    let size = format!("size={}", node::FREE_RESERVE_BYTES + (16 << 20));
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
        .arg(&data)
        .output()
        .is_ok_and(|output| output.status.success());
    if !mounted {
        println!("skipped: mounting a small file system needs root");
        return;
    }
    let _unmount = Unmount(&data);
    assert!(
        Command::new("cp").arg("-a").arg(saved.join(".")).arg(&data).status().unwrap().success()
    );
    group.start_all(PATIENCE).unwrap();
    let client = Client::new(group.socket(0));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut stored = Vec::new();
    let refused = runtime.block_on(async {
        for number in 0..64 {
            let blob = Blob::new(number, 3 << 20);
            match client.put("data", &blob.id(), blob.body()).await {
                Ok(()) => stored.push(blob),
                Err(error) => return Some(error),
            }
        }
        None
    });
    let Some(ClientError::Api(error)) = refused else { panic!("nothing was refused: {refused:?}") };
    assert_eq!(error.kind, "not_enough_members", "{error:?}");
    assert!(error.message.contains("disk is full"), "{error:?}");
    assert!(error.message.contains(group.name(VICTIM)), "{error:?}");
    assert!(!error.hint.is_empty() && !stored.is_empty());
    group.stop(0).unwrap();
    group.stop(4).unwrap();
    group.start(0).unwrap();
    group.wait_links(PATIENCE).unwrap();
    runtime.block_on(async {
        for blob in &stored {
            blob.check(&client).await;
        }
    });
    drop(group);
}

struct Unmount<'a>(&'a Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        // Lazily: the daemon may still be ending.
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}
