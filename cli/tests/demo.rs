//! `pib demo`.

mod common;

use common::Place;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn demo_with_a_dead_and_a_damaged_member_gives_everything_back() {
    let place = Place::new();
    let arguments = ["demo", "--nodes", "8", "--faulty", "2", "--files", "150", "--seed", "5"];
    let done = place.pib("x", &arguments).ok();
    let result = done.json("demo_result");
    assert_eq!(done.stdout.lines().last().unwrap(), result_line(&done.stdout));
    for (key, value) in [("nodes", 8), ("f", 2), ("killed", 1), ("corrupted", 1)] {
        assert_eq!(result[key], value, "{key}");
    }
    assert_eq!(result["restored_identical"], true);
    // Each damaged chunk counts once, however often it was read.
    let noticed = result["bad_chunks_detected"].as_u64().unwrap();
    assert!((1..=result["corrupted_chunks"].as_u64().unwrap()).contains(&noticed), "{noticed}");
    for key in ["files", "bytes", "stored_bytes"] {
        assert!(result[key].as_u64().unwrap() > 0, "{key}");
    }
    for key in ["backup_mib_s", "restore_mib_s", "owner_peak_rss_mib", "storer_peak_rss_mib"] {
        assert!(result[key].as_f64().unwrap() > 0.0, "{key}");
    }
    let mount = &result["mount_identical"];
    assert!(*mount == true || mount.is_null() && fuse_mount::availability().is_err(), "{mount}");
}

fn result_line(stdout: &str) -> &str {
    stdout.lines().find(|line| line.contains("\"demo_result\"")).unwrap()
}

/// Processes that have this text on their command line.
fn processes(text: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(text)).count()
}

/// Guarantee 4: however the demo ends.
#[test]
fn killed_or_interrupted_demo_leaves_no_process_behind() {
    for (signal, cleans_up) in [(Signal::SIGKILL, false), (Signal::SIGINT, true)] {
        let place = Place::new();
        let temporary = place.path("tmp");
        std::fs::create_dir(&temporary).unwrap();
        let mut command = place.command("x");
        command.args(["--json", "demo", "--nodes", "5", "--files", "4000"]);
        command.env("TMPDIR", &temporary).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut story = BufReader::new(child.stdout.take().unwrap()).lines();
        // The second step is told when all daemons run.
        story.next().unwrap().unwrap();
        story.next().unwrap().unwrap();
        let mark = temporary.to_str().unwrap();
        assert!(processes(mark) >= 5, "no daemons to leave behind");
        kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), cleans_up.then_some(130));
        let started = Instant::now();
        while processes(mark) > 0 {
            assert!(started.elapsed() < Duration::from_secs(10), "processes are left behind");
            std::thread::sleep(Duration::from_millis(50));
        }
        if cleans_up {
            assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
        }
    }
}
