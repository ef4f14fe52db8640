//! Storers that do not answer on the direct path: the group assigns them the work, and they answer it or are convicted
//! (specification 6.1, 7.2, 7.3, 8.2).

use cli::harness::Group;
use node::Client;
use node::wire::{MemberStatus, ProofEntry};
use std::ffi::OsStr;
use std::path::Path;
use std::time::{Duration, Instant};
use tests::{Blob, Folder, PATIENCE, agreed_commands, faults, found_with_work};

const OWNER: usize = 0;
const OTHER: usize = 3;

fn wait(what: &str, mut until: impl FnMut() -> bool) {
    let start = Instant::now();
    while !until() {
        assert!(start.elapsed() < PATIENCE, "{what} does not come");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn seen(group: &Group, by: usize, slot: usize) -> MemberStatus {
    let members = group.status(by).unwrap().members;
    members.into_iter().find(|member| usize::from(member.slot) == slot).unwrap()
}

fn proofs(group: &Group, by: impl IntoIterator<Item = usize>) -> Vec<ProofEntry> {
    by.into_iter().flat_map(|member| group.proofs(member).unwrap()).collect()
}

/// By the commands that people use, in a folder with nothing but the proof and the roster.
fn verify_in_an_empty_folder(group: &Group, at: usize, proof: &ProofEntry, folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    let (file, roster) = (folder.join("proof.pom"), folder.join("roster"));
    let export = ["pom", "export", &proof.id, "--out"].map(OsStr::new);
    group.run(at, &[&export[..], &[file.as_os_str()]].concat()).unwrap().success("export").unwrap();
    let roster_out = ["group", "roster", "--out"].map(OsStr::new);
    let printed = group.run(at, &[&roster_out[..], &[roster.as_os_str()]].concat()).unwrap();
    printed.success("roster").unwrap();
    let id = group.status(at).unwrap().group_id;
    let verify = ["pom".as_ref(), "verify".as_ref(), file.as_os_str(), "--roster".as_ref()];
    let verify = [&verify[..], &[roster.as_os_str(), "--group".as_ref(), id.as_ref()]].concat();
    let outside = folder.join("nobody");
    let judged = group.run_outside(&outside, &verify).unwrap().success("pom verify").unwrap();
    assert!(judged.json("pom_verdict").is_some());
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    assert!(group.run_outside(&outside, &verify).unwrap().success("pom verify").is_err());
}

/// The owner and a witness are killed while the group waits: the wait, the certificate and the proof survive.
#[test]
fn storer_that_refuses_is_convicted_although_owner_and_witness_are_killed_and_nothing_is_lost() {
    let folder = Folder::new();
    let mut group = found_with_work(folder.path(), 5, 1, 6_000);
    group.start_with_hostile(OTHER, &["--silent", "always"], PATIENCE).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = Client::new(group.socket(OWNER));
    let blobs: Vec<_> = (0..6).map(|number| Blob::new(number, 300_000)).collect();
    runtime.block_on(async {
        for blob in &blobs {
            client.put("data", &blob.id(), blob.body()).await.unwrap();
        }
    });
    let slow = seen(&group, OWNER, OTHER);
    assert!(slow.work_open + slow.work_denied > 0, "{slow:?}");
    for member in [OWNER, 1] {
        group.kill(member).unwrap();
        group.start(member).unwrap();
    }
    wait("a proof", || group.proofs(OWNER).is_ok_and(|proofs| !proofs.is_empty()));
    let found = group.proofs(OWNER).unwrap();
    assert!(found[0].kind.starts_with("WR1"), "{:?}", found[0]);
    let all = proofs(&group, (0..5).filter(|member| *member != OTHER));
    assert!(all.iter().all(|proof| usize::from(proof.slot) == OTHER), "{all:?}");
    verify_in_an_empty_folder(&group, OWNER, &found[0], &folder.path().join("evidence"));
    // The log goes on as before, with the refuser in it; everything stored comes back from the disks of the others.
    agreed_commands(&group);
    assert_eq!(faults(&group), 0, "lane W says nothing that breaks a rule");
    runtime.block_on(async {
        for blob in &blobs {
            blob.check(&client).await;
        }
    });
}

/// A member whose direct path does not work: the user waits a little, nobody is accused.
#[test]
fn slow_storer_serves_what_the_group_assigns_and_nobody_is_accused() {
    let folder = Folder::new();
    let mut group = found_with_work(folder.path(), 5, 1, 15_000);
    group.start_with_hostile(OTHER, &["--silent", "direct"], PATIENCE).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = Client::new(group.socket(OWNER));
    // Chunks that go with their request into the log.
    let blobs: Vec<_> = (0..3).map(|number| Blob::new(number, 6_000)).collect();
    runtime.block_on(async {
        for blob in &blobs {
            client.put("data", &blob.id(), blob.body()).await.unwrap();
        }
    });
    let served = || {
        let status = group.status(OWNER).unwrap();
        status.work_answered >= 3 && status.incomplete_objects == 0
    };
    wait("the receipt of every chunk", served);
    assert!(seen(&group, OWNER, OTHER).bytes_held_for_me > 0);
    // Without one of the others its chunks are needed, and only the group gets them.
    let mut group = group;
    group.kill(1).unwrap();
    group.kill(OWNER).unwrap();
    group.start(OWNER).unwrap();
    wait("the owner", || {
        group.status(OWNER).is_ok_and(|status| status.members.iter().filter(|m| m.up).count() == 3)
    });
    runtime.block_on(async {
        for blob in &blobs {
            blob.check(&client).await;
        }
    });
    assert!(group.status(OWNER).unwrap().work_answered > 0);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(proofs(&group, [0, 2, 3, 4]), []);
}
