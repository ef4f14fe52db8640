//! A storer whose disk quietly lost what it promised is found out by possession checks, and everything is
//! placed again before anybody needs it (specification 7.8, 7.9).

use node::Client;
use std::time::{Duration, Instant};
use tests::{Blob, Folder, PATIENCE, found_with};

const OWNER: usize = 0;
const VICTIM: usize = 2;
const OBJECTS: u64 = 12;

#[test]
fn chunks_that_a_storer_lost_are_found_by_checks_and_placed_again() {
    let folder = Folder::new();
    let mut group = found_with(folder.path(), 5, 1, "possession_check = \"1s\"");
    group.start_all(PATIENCE).unwrap();
    let client = Client::new(group.socket(OWNER));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let blobs: Vec<_> = (0..OBJECTS).map(|number| Blob::new(number, 300_000)).collect();
    runtime.block_on(async {
        for blob in &blobs {
            client.put("data", &blob.id(), blob.body()).await.unwrap();
        }
    });
    // Every member is asked, and who has everything passes.
    wait(|| group.status(OWNER).unwrap().possession_checks_passed >= 8);
    let status = group.status(OWNER).unwrap();
    assert_eq!((status.possession_checks_failed, status.chunks_mended), (0, 0));
    let lost = group.corrupt(VICTIM).unwrap();
    assert_eq!(lost, OBJECTS, "with x = n - 1 every member holds a chunk of every object");
    wait(|| {
        let status = group.status(OWNER).unwrap();
        status.chunks_mended == lost && status.incomplete_objects == 0
    });
    // Whole again: now any one storer may go, also one that never failed.
    group.kill(3).unwrap();
    runtime.block_on(async {
        for blob in &blobs {
            blob.check(&client).await;
        }
    });
    let status = group.status(OWNER).unwrap();
    assert_eq!(status.bad_chunks, lost, "no chunk was bad twice");
    assert!(status.possession_checks_failed >= 1 && status.possession_checks_failed <= lost);
}

fn wait(mut until: impl FnMut() -> bool) {
    let start = Instant::now();
    while !until() {
        assert!(start.elapsed() < PATIENCE, "it does not happen");
        std::thread::sleep(Duration::from_millis(100));
    }
}
