//! Measures backup and restore of a folder through a store in a plain folder.
//!
//! `cargo run --release -p snapshot --example measure -- SOURCE WORK_FOLDER`
//!
//! Prints wall time, processor time and peak memory of the process after each step.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use snapshot::{
    BackupOptions, CancelToken, FolderStore, NoProgress, Repo, RepoOptions, RepoSecret,
    RestoreOptions, SnapshotError,
};

/// Processor seconds and peak resident MiB, as the kernel counts them.
fn usage() -> (f64, u64) {
    let read = |name: &str| std::fs::read_to_string(name).unwrap_or_default();
    let stat = read("/proc/self/stat");
    // After the name in parentheses; fields 14 and 15 are ticks of a hundredth of a second.
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0);
    let peak = read("/proc/self/status")
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok())
        .unwrap_or(0_u64);
    ((ticks(11) + ticks(12)) / 100.0, peak / 1024)
}

fn step<T>(
    name: &str,
    work: impl FnOnce() -> Result<T, SnapshotError>,
) -> Result<T, SnapshotError> {
    // Writing 5 resets the peak; where that is not allowed the peak is of all steps so far.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let (start, (cpu, _)) = (Instant::now(), usage());
    let result = work()?;
    let (after, peak) = usage();
    let wall = start.elapsed().as_secs_f64();
    println!("{name}: {wall:.2} s, processor {:.2} s, peak {peak} MiB", after - cpu);
    Ok(result)
}

fn main() -> Result<(), SnapshotError> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [source, work] = arguments.as_slice() else {
        let text = "usage: measure SOURCE WORK_FOLDER".to_owned();
        return Err(SnapshotError::BadOption(text));
    };
    let store = FolderStore::open(work.join("store"), false)
        .map_err(|e| SnapshotError::BadOption(e.to_string()))?;
    let secret = RepoSecret::new([1; 32]);
    let options = RepoOptions::default();
    let repo =
        step("open", || Repo::init_or_open(Arc::new(store), secret, options, CancelToken::new()))?;
    let sources = std::slice::from_ref(source);
    for name in ["backup", "backup again"] {
        let report = step(name, || repo.backup(sources, &BackupOptions::default(), &NoProgress))?;
        let (read, added) = (report.bytes_read >> 20, report.bytes_stored >> 20);
        println!("  {read} MiB in the snapshot, {added} MiB stored");
    }
    let target = work.join("restored");
    let report = step("restore", || {
        let options = RestoreOptions::default();
        repo.restore(
            "latest",
            &source.canonicalize().unwrap_or_default(),
            &target,
            &options,
            &NoProgress,
        )
    })?;
    println!("  {} MiB restored, {} problems", report.bytes_restored >> 20, report.error_count);
    let check = step("check --read-data", || repo.check(true, &NoProgress))?;
    println!("  {} errors", check.errors.len());
    Ok(())
}
