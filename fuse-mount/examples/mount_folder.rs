//! Mounts a repository kept in a plain folder by the `measure` example of the crate `snapshot`.
//!
//! `cargo run --release -p fuse-mount --example mount_folder -- STORE_FOLDER MOUNT_POINT`; end with `umount`.

use std::path::PathBuf;
use std::sync::Arc;

use fuse_mount::{MountOptions, mount};
use snapshot::{CancelToken, FolderStore, Repo, RepoOptions, RepoSecret, SnapshotFs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [store, point] = arguments.as_slice() else {
        return Err("usage: mount_folder STORE_FOLDER MOUNT_POINT".into());
    };
    let store = Arc::new(FolderStore::open(store, false)?);
    let secret = RepoSecret::new([1; 32]);
    let repo = Repo::open(store, secret, RepoOptions::default(), CancelToken::new())?;
    let view = Arc::new(SnapshotFs::open(repo)?);
    let handle = mount(view, point, MountOptions::default())?;
    println!("mounted on {}", handle.mount_point().display());
    handle.wait()?;
    Ok(())
}
