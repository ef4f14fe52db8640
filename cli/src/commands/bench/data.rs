//! `pib bench backup`, `restore` and `tree`.

use super::restic::Restic;
use super::runs::{Figures, medians};
use super::{Bulk, Tree, Who, emit, spec, work_folder};
use crate::error::{CliError, Code, io};
use crate::harness::{Group, Interrupt, Measured};
use crate::output::Output;
use crate::tree::{Aspects, Generated, bulk, compare, small_files};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const OWNER: usize = 0;
const LINK_PATIENCE: Duration = Duration::from_secs(120);
const MIB: f64 = (1 << 20) as f64;
const GIB: f64 = (1 << 30) as f64;

struct Bench {
    output: Output,
    name: &'static str,
    dir: PathBuf,
    group: Group,
    restic: Option<String>,
    interrupt: Interrupt,
    nodes: usize,
    faulty: usize,
    runs: u16,
    /// Dropped last: removes the folder.
    _folder: tempfile::TempDir,
}

impl Bench {
    fn start(
        output: Output,
        name: &'static str,
        who: &Who,
        interrupt: Interrupt,
    ) -> Result<Self, CliError> {
        let nodes = usize::from(who.nodes);
        let faulty = who.faulty.map_or(types::Quorum::largest_f(nodes).min(2), usize::from);
        let folder = work_folder(who.work_dir.as_deref())?;
        let dir = folder.path().to_owned();
        let limits = who.pack_size.map_or(String::new(), |size| format!("pack_size = {size}"));
        let mut group = Group::found(spec(&dir, nodes, faulty, limits)?, interrupt.clone())?;
        group.start_all(LINK_PATIENCE)?;
        let restic = Restic::version();
        if restic.is_none() {
            output.say("restic is not installed: no comparison");
        }
        let runs = who.runs;
        Ok(Self {
            output,
            name,
            dir,
            group,
            restic,
            interrupt,
            nodes,
            faulty,
            runs,
            _folder: folder,
        })
    }

    fn pib(&self, arguments: &[&std::ffi::OsStr]) -> Result<Measured, CliError> {
        let what = arguments.first().map_or("pib".into(), |first| first.to_string_lossy());
        self.group.run(OWNER, arguments)?.success(&format!("pib {what}"))
    }

    /// Runs `work` and adds what it cost the owner's daemon and the storers' daemons.
    fn costs(
        &mut self,
        figures: &mut Figures,
        gib: f64,
        work: impl FnOnce(&Self) -> Result<Measured, CliError>,
    ) -> Result<Measured, CliError> {
        let owner = self.group.usage(OWNER).cpu_seconds;
        let storers = self.group.storers_cpu_seconds(OWNER);
        let done = work(self)?;
        let daemon = self.group.usage(OWNER);
        let owner = daemon.cpu_seconds - owner + done.usage.cpu_seconds;
        figures.set("owner_cpu_s_per_gib", owner / gib);
        figures.set("owner_command_cpu_s_per_gib", done.usage.cpu_seconds / gib);
        figures
            .set("storers_cpu_s_per_gib", (self.group.storers_cpu_seconds(OWNER) - storers) / gib);
        let peak = (daemon.peak_rss_kib + done.usage.peak_rss_kib) as f64 / 1024.0;
        figures.set("owner_peak_rss_mib", peak);
        figures.set("owner_command_peak_rss_mib", done.usage.peak_rss_kib as f64 / 1024.0);
        figures.set("storer_peak_rss_mib", self.group.storers_peak_rss_kib(OWNER) as f64 / 1024.0);
        Ok(done)
    }

    fn run_line(&self, run: u16, figures: &Figures) {
        let mut line = figures.json();
        line.insert("message_type".into(), "bench_run".into());
        line.insert("bench".into(), self.name.into());
        line.insert("run".into(), run.into());
        emit(self.output, &format!("run {}: {}", run + 1, figures.words()), &line.into());
    }

    fn result(&self, runs: &[Figures], bytes: u64, ratios: &[(&'static str, &str, &str)]) {
        let mut figures = medians(runs);
        for (name, over, under) in ratios {
            figures.ratio(name, over, under);
        }
        let mut line = figures.json();
        line.insert("message_type".into(), "bench_result".into());
        line.insert("bench".into(), self.name.into());
        line.insert("nodes".into(), self.nodes.into());
        line.insert("faulty".into(), self.faulty.into());
        line.insert("bytes".into(), bytes.into());
        line.insert("runs".into(), runs.len().into());
        line.insert("restic".into(), self.restic.clone().into());
        let words = format!(
            "{}: n={} f={}, median of {} runs: {}",
            self.name,
            self.nodes,
            self.faulty,
            runs.len(),
            figures.words()
        );
        emit(self.output, &words, &line.into());
    }

    fn fresh(&self, name: &str, run: u16) -> PathBuf {
        self.dir.join(format!("{name}-{run}"))
    }

    fn same(&self, source: &Path, restored: &Path) -> Result<(), CliError> {
        let inside = restored.join(source.strip_prefix("/").unwrap_or(source));
        let found = compare(source, &inside, Aspects::all())
            .map_err(|error| io("compare with", source, &error))?;
        match found.differences.first() {
            None => Ok(()),
            Some(first) => Err(CliError::new(
                Code::Failed,
                format!(
                    "{} differences after the restore, the first: {first}",
                    found.difference_count
                ),
            )),
        }
    }
}

fn remove(path: &Path) -> Result<(), CliError> {
    fs::remove_dir_all(path).map_err(|error| io("remove", path, &error))
}

fn generated(made: std::io::Result<Generated>, at: &Path) -> Result<Generated, CliError> {
    made.map_err(|error| io("generate files in", at, &error))
}

/// `pib bench backup`.
pub fn backup(output: Output, flags: &Bulk, interrupt: Interrupt) -> Result<(), CliError> {
    let mut bench = Bench::start(output, "backup", &flags.who, interrupt)?;
    let (mib, gib) = (flags.size as f64 / MIB, flags.size as f64 / GIB);
    let mut runs = Vec::new();
    for run in 0..bench.runs {
        let source = bench.fresh("source", run);
        // Fresh data every time: nothing may be known already.
        generated(bulk(&source, flags.size, u64::from(run) + 1), &source)?;
        let mut figures = Figures::default();
        let before = bench.group.stored_bytes()?;
        let done = bench.costs(&mut figures, gib, |bench| {
            bench.pib(&["backup".as_ref(), source.as_os_str()])
        })?;
        figures.set("mib_s", mib / done.seconds);
        let stored = bench.group.stored_bytes()?.saturating_sub(before);
        figures.set("stored_ratio", stored as f64 / flags.size as f64);
        if bench.restic.is_some() {
            let restic = Restic::init(&bench.fresh("restic", run), &bench.interrupt)?;
            let done = restic.backup(&source, &bench.interrupt)?;
            figures.set("restic_mib_s", mib / done.seconds);
            figures.set("restic_cpu_s_per_gib", done.usage.cpu_seconds / gib);
            restic.remove();
        }
        bench.run_line(run, &figures);
        runs.push(figures);
        remove(&source)?;
    }
    bench.result(&runs, flags.size, &[("ratio_to_restic", "mib_s", "restic_mib_s")]);
    Ok(())
}

/// `pib bench restore`.
pub fn restore(output: Output, flags: &Bulk, interrupt: Interrupt) -> Result<(), CliError> {
    let mut bench = Bench::start(output, "restore", &flags.who, interrupt)?;
    let (mib, gib) = (flags.size as f64 / MIB, flags.size as f64 / GIB);
    let source = bench.dir.join("source");
    generated(bulk(&source, flags.size, 1), &source)?;
    bench.pib(&["backup".as_ref(), source.as_os_str()])?;
    let restic = match bench.restic {
        Some(_) => Some(Restic::init(&bench.dir.join("restic"), &bench.interrupt)?),
        None => None,
    };
    if let Some(restic) = &restic {
        restic.backup(&source, &bench.interrupt)?;
    }
    // The last members: none of them is the owner, since f < n.
    for member in bench.nodes - bench.faulty..bench.nodes {
        bench.group.kill(member)?;
    }
    let mut runs = Vec::new();
    for run in 0..bench.runs {
        let mut figures = Figures::default();
        let target = bench.fresh("restored", run);
        let done = bench.costs(&mut figures, gib, |bench| {
            let target = target.as_os_str();
            bench.pib(&["restore".as_ref(), "latest".as_ref(), "--target".as_ref(), target])
        })?;
        figures.set("mib_s", mib / done.seconds);
        bench.same(&source, &target)?;
        remove(&target)?;
        if let Some(restic) = &restic {
            let done = restic.restore(&target, &bench.interrupt)?;
            figures.set("restic_mib_s", mib / done.seconds);
            figures.set("restic_cpu_s_per_gib", done.usage.cpu_seconds / gib);
            remove(&target)?;
        }
        bench.run_line(run, &figures);
        runs.push(figures);
    }
    bench.result(&runs, flags.size, &[("ratio_to_restic", "mib_s", "restic_mib_s")]);
    Ok(())
}

/// `pib bench tree`.
pub fn tree(output: Output, flags: &Tree, interrupt: Interrupt) -> Result<(), CliError> {
    let mut bench = Bench::start(output, "tree", &flags.who, interrupt)?;
    let mut runs = Vec::new();
    let mut bytes = 0;
    for run in 0..bench.runs {
        let source = bench.fresh("source", run);
        let made = small_files(&source, flags.files as usize, u64::from(run) + 1);
        bytes = generated(made, &source)?.bytes;
        let mut figures = Figures::default();
        let target = bench.fresh("restored", run);
        let gib = bytes as f64 / GIB;
        let backup = ["backup".as_ref(), source.as_os_str()];
        let done = bench.costs(&mut figures, gib, |bench| bench.pib(&backup))?;
        figures.set("backup_s", done.seconds);
        figures.set("second_backup_s", bench.pib(&backup)?.seconds);
        let restore =
            ["restore".as_ref(), "latest".as_ref(), "--target".as_ref(), target.as_os_str()];
        figures.set("restore_s", bench.pib(&restore)?.seconds);
        bench.same(&source, &target)?;
        remove(&target)?;
        if bench.restic.is_some() {
            let restic = Restic::init(&bench.fresh("restic", run), &bench.interrupt)?;
            figures.set("restic_backup_s", restic.backup(&source, &bench.interrupt)?.seconds);
            figures
                .set("restic_second_backup_s", restic.backup(&source, &bench.interrupt)?.seconds);
            figures.set("restic_restore_s", restic.restore(&target, &bench.interrupt)?.seconds);
            restic.remove();
            remove(&target)?;
        }
        bench.run_line(run, &figures);
        runs.push(figures);
        remove(&source)?;
    }
    let ratios = [
        ("backup_time_to_restic", "backup_s", "restic_backup_s"),
        ("second_backup_time_to_restic", "second_backup_s", "restic_second_backup_s"),
        ("restore_time_to_restic", "restore_s", "restic_restore_s"),
    ];
    bench.result(&runs, bytes, &ratios);
    Ok(())
}
