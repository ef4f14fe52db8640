//! A member that is gone for good: the authority takes it out of the running group, and the others go on
//! without it (specification 5.6, 7.8).

use cli::harness::Group;
use node::Client;
use node::wire::MemberStanding;
use std::ffi::OsStr;
use std::time::Instant;
use tests::{Blob, Folder, PATIENCE, agreed_commands, found_with};

const GONE: usize = 4;

#[test]
fn member_that_is_gone_is_evicted_and_backups_go_on_without_it() {
    let folder = Folder::new();
    let mut group = found_with(folder.path(), 5, 1, "");
    group.start_all(PATIENCE).unwrap();
    let client = Client::new(group.socket(0));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let old: Vec<_> = (0..4).map(|number| Blob::new(number, 200_000)).collect();
    runtime.block_on(async {
        for blob in &old {
            client.put("data", &blob.id(), blob.body()).await.unwrap();
        }
    });
    group.kill(GONE).unwrap();
    // With x = n - 1 nothing can be stored while one member is away.
    let new: Vec<_> = (10..14).map(|number| Blob::new(number, 200_000)).collect();
    let refused = runtime.block_on(client.put("data", &new[0].id(), new[0].body()));
    assert!(refused.is_err());

    // A stranger's key, and a name that nobody has.
    let dir = folder.path().join("authority");
    let name = group.name(GONE).to_owned();
    let run = |member: usize, arguments: &[&OsStr]| group.run(member, arguments).unwrap();
    let evict = |member: usize, who: &str, dir: &OsStr| {
        let group_evict = ["group", "evict", who, "--dir"].map(OsStr::new);
        run(member, &[&group_evict[..], &[dir]].concat())
    };
    assert!(evict(1, "nobody", dir.as_os_str()).success("evict").is_err());
    // Signed by the admin, brought in by any member.
    let signed = folder.path().join("evict");
    let mut sign = ["group", "evict", &name, "--dir"].map(OsStr::new).to_vec();
    sign.extend([dir.as_os_str(), OsStr::new("--out"), signed.as_os_str()]);
    run(2, &sign).success("sign").unwrap();
    let mut bytes = std::fs::read(&signed).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let forged = folder.path().join("forged");
    std::fs::write(&forged, bytes).unwrap();
    let apply =
        |path: &std::path::Path| run(3, &["group".as_ref(), "apply".as_ref(), path.as_os_str()]);
    assert!(apply(&forged).success("apply").is_err());
    apply(&signed).success("apply").unwrap();
    assert!(apply(&signed).success("apply").is_err(), "once");

    wait(&group, 0, |group| {
        let status = group.status(0).unwrap();
        let member = status.members.iter().find(|member| usize::from(member.slot) == GONE);
        member.unwrap().standing == MemberStanding::Expelled
    });
    let status = group.status(0).unwrap();
    assert_eq!((status.n, status.f, status.x, status.needed), (4, 0, 3, 2));
    runtime.block_on(async {
        for blob in &new {
            client.put("data", &blob.id(), blob.body()).await.unwrap();
        }
        for blob in old.iter().chain(&new) {
            blob.check(&client).await;
        }
    });
    // All of it from the disks, and after one more loss what was stored since.
    let mut group = group;
    for member in 0..4 {
        group.kill(member).unwrap();
    }
    for member in 0..4 {
        group.start(member).unwrap();
    }
    wait(&group, 0, |group| {
        let status = group.status(0);
        status.is_ok_and(|status| status.members.iter().filter(|member| member.up).count() == 3)
    });
    agreed_commands(&group);
    runtime.block_on(async {
        for blob in old.iter().chain(&new) {
            blob.check(&client).await;
        }
    });
    group.kill(2).unwrap();
    runtime.block_on(async {
        for blob in &new {
            blob.check(&client).await;
        }
    });
}

fn wait(group: &Group, member: usize, mut until: impl FnMut(&Group) -> bool) {
    let start = Instant::now();
    while !until(group) {
        assert!(start.elapsed() < PATIENCE, "member {member} does not come to it");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}
