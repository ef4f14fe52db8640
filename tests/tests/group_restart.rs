//! The whole group goes down in the middle of a backup and comes back.

use cli::tree::{Aspects, bulk, compare, everyday};
use std::ffi::OsStr;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tests::{Folder, PATIENCE, agreed_commands, found};

#[test]
fn backup_after_restart_of_the_whole_group_goes_on_and_restores_everything() {
    let folder = Folder::new();
    let source = folder.path().join("source");
    bulk(&source.join("bulk"), 96 << 20, 3).unwrap();
    everyday(&source.join("everyday"), 200, 4).unwrap();
    let mut group = found(&folder.path().join("group"), 5, 1);
    group.start_all(PATIENCE).unwrap();
    let mut command = group.command(0);
    command.args(["backup", "--json"]).arg(&source);
    let mut backup = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while group.status(0).unwrap().objects < 3 {
        assert!(start.elapsed() < PATIENCE, "the backup does not begin");
        assert!(backup.try_wait().unwrap().is_none(), "the backup ended before the restart");
        std::thread::sleep(Duration::from_millis(5));
    }
    for member in 0..group.len() {
        group.kill(member).unwrap();
    }
    group.start_all(PATIENCE).unwrap();
    // It may have gone on or failed; either way the next one completes.
    backup.wait().unwrap();
    let objects = group.status(0).unwrap().objects;
    let run = |arguments: &[&OsStr]| group.run(0, arguments).unwrap().success("pib").unwrap();
    run(&[OsStr::new("backup"), source.as_os_str()]);
    assert!(objects >= 3, "what was stored before the restart is forgotten");
    let target = folder.path().join("back");
    run(&["restore", "latest", "--target"]
        .map(OsStr::new)
        .iter()
        .copied()
        .chain([target.as_os_str()])
        .collect::<Vec<_>>());
    let restored = target.join(source.strip_prefix("/").unwrap());
    let restored = if restored.exists() { restored } else { target };
    let outcome = compare(&source, &restored, Aspects::all()).unwrap();
    assert!(outcome.identical(), "{outcome:?}");
    agreed_commands(&group);
}
