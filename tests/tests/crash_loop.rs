//! SIGKILL of any process at any time, then a restart: no acknowledged object and no decided
//! command is lost, nobody signs twice, and the group goes on.

use node::Client;
use rand::{Rng, SeedableRng, rngs::SmallRng};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tests::{Blob, Folder, PATIENCE, agreed_commands, faults, found};

const KILLS: usize = 50;
const NODES: usize = 5;

/// Stores objects until told to stop; returns those that were acknowledged.
async fn store(client: Client, stop: Arc<AtomicBool>, stored: Arc<Mutex<Vec<Blob>>>) {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let blob = Blob::new(number, 20_000 + (number as usize % 7) * 50_000);
        match client.put("data", &blob.id(), blob.body()).await {
            Ok(()) => {
                stored.lock().unwrap().push(blob);
                number += 1;
            }
            // The daemon was killed, or too many members were away: the same object again.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn submit(client: Client, member: u64, stop: Arc<AtomicBool>, decided: Arc<AtomicU64>) {
    let mut number = 0u64;
    while !stop.load(Ordering::Relaxed) {
        let command = [&[0xff], &member.to_le_bytes()[..], &number.to_le_bytes()[..]].concat();
        let wait = Duration::from_secs(5);
        match tokio::time::timeout(wait, client.submit(command.into())).await {
            Ok(Ok(_)) => {
                decided.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Err(_)) | Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        number += 1;
    }
}

#[test]
fn fifty_kills_lose_no_acknowledged_object_and_no_decided_command() {
    let folder = Folder::new();
    let mut group = found(folder.path(), NODES, 1);
    group.start_all(PATIENCE).unwrap();
    let (stop, stored) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let decided = Arc::new(AtomicU64::new(0));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = |member: usize| Client::new(group.socket(member));
    let mut tasks = vec![runtime.spawn(store(client(0), stop.clone(), stored.clone()))];
    for member in 0..NODES {
        let work = submit(client(member), member as u64, stop.clone(), decided.clone());
        tasks.push(runtime.spawn(work));
    }
    let mut rng = SmallRng::seed_from_u64(7);
    for kill in 0..KILLS {
        // Every fifth kill hits the owner in the middle of its stores.
        let victim = if kill % 5 == 0 { 0 } else { rng.random_range(0..NODES) };
        std::thread::sleep(Duration::from_millis(rng.random_range(50..600)));
        group.kill(victim).unwrap();
        std::thread::sleep(Duration::from_millis(rng.random_range(0..300)));
        group.start(victim).unwrap();
    }
    group.wait_links(PATIENCE).unwrap();
    stop.store(true, Ordering::Relaxed);
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    let stored = stored.lock().unwrap().clone();
    assert!(stored.len() > 10, "only {} objects were stored: the test shows nothing", stored.len());
    let owner = Client::new(group.socket(0));
    runtime.block_on(async {
        for blob in &stored {
            blob.check(&owner).await;
        }
    });
    let decided = decided.load(Ordering::Relaxed);
    assert!(decided > 10, "only {decided} commands were decided: the test shows nothing");
    let commands = agreed_commands(&group);
    assert!(commands >= decided, "{decided} commands were acknowledged, {commands} are in the log");
    assert_eq!(faults(&group), 0, "a member saw another break the protocol, perhaps sign twice");
    println!("{KILLS} kills, {} objects, {decided} commands, all there", stored.len());
}
