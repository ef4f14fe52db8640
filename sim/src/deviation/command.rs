//! `sim deviations`: the whole experiment, from the premises to the report.

use super::controls;
use super::experiment::{Finding, Ground, Options};
use super::hostile::Foe;
use super::learn;
use super::meter::Prices;
use super::report::Report;
use super::rows::{self, Strategy};
use super::statistics::mean;
use clap::Args;
use std::path::{Path, PathBuf};
use types::Mode;

/// Seeds of the small experiment.
const SMALL: u64 = 2;

/// Options of `sim deviations`.
#[derive(Debug, Args)]
pub struct DeviationArgs {
    /// Members.
    #[arg(long, default_value_t = 5)]
    nodes: usize,
    /// Rotations of the horizon.
    #[arg(long, default_value_t = 3)]
    rotations: u64,
    /// Seeds against each Byzantine behaviour, at first.
    #[arg(long, default_value_t = 16)]
    seeds: u64,
    /// Seeds against each Byzantine behaviour, at most.
    #[arg(long, default_value_t = 32)]
    seeds_max: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Only rows whose name begins so.
    #[arg(long, default_value = "")]
    row: String,
    /// A small experiment: few seeds, no pairs, no bandit.
    #[arg(long)]
    small: bool,
    /// Writes the report here, and the figures beside it as CSV.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Threads [default: all cores].
    #[arg(long)]
    jobs: Option<usize>,
}

impl DeviationArgs {
    fn options(&self) -> Options {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        Options {
            nodes: self.nodes,
            rotations: self.rotations,
            seeds: if self.small { self.seeds.min(SMALL) } else { self.seeds },
            seeds_max: if self.small { self.seeds.min(SMALL) } else { self.seeds_max },
            from: self.from,
            jobs: self.jobs.unwrap_or(cores),
            foes: Foe::ALL.to_vec(),
        }
    }

    /// The command that runs this experiment again.
    fn command(&self) -> String {
        let mut command = "cargo run --release -p sim -- deviations".to_owned();
        let defaults = [
            ("--nodes", self.nodes as u64, 5),
            ("--rotations", self.rotations, 3),
            ("--seeds", self.seeds, 16),
            ("--seeds-max", self.seeds_max, 32),
            ("--from", self.from, 0),
        ];
        for (name, value, default) in defaults {
            if value != default {
                command += &format!(" {name} {value}");
            }
        }
        if self.small {
            command += " --small";
        }
        match &self.report {
            Some(path) => format!("{command} --report {}", path.display()),
            None => command,
        }
    }
}

/// Runs the experiment; false if the claim does not hold.
pub fn run(args: &DeviationArgs) -> Result<bool, String> {
    let options = args.options();
    let report = experiment(args, &options)?;
    let markdown = report.markdown(&args.command());
    match &args.report {
        Some(path) => {
            write(path, &markdown)?;
            write(&path.with_extension("csv"), &report.csv())?;
            println!("{}", path.display());
        }
        None => print!("{markdown}"),
    }
    Ok(report.is_good())
}

#[allow(clippy::disallowed_methods)] // The command's result; nothing in a run reads it.
fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn experiment(args: &DeviationArgs, options: &Options) -> Result<Report, String> {
    let ground = Ground::new(options, Mode::QuasiSync)?;
    let assertions = ground.premises.check(&Prices::FULL);
    if let Some(broken) = assertions.iter().find(|assertion| assertion.holds == Some(false)) {
        return Err(format!("{} does not hold: {}", broken.name, broken.what));
    }
    let all = rows::all();
    let wanted = |s: &&Strategy| s.row.starts_with(&args.row);
    let singles: Vec<Strategy> = all.iter().filter(wanted).cloned().collect();
    let pairs = if args.small { Vec::new() } else { rows::pairs(&singles) };
    let (quasi, other): (Vec<_>, Vec<_>) =
        singles.into_iter().partition(|s| s.mode == Mode::QuasiSync);
    let mut found = try_all(&ground, &quasi, options, "single deviations")?;
    if !other.is_empty() {
        let ground = Ground::new(options, Mode::Async)?;
        found.extend(try_all(&ground, &other, options, "single deviations, Async")?);
    }
    let pairs = try_all(&ground, &pairs, options, "pairs")?;
    let learned = match args.small || !args.row.is_empty() {
        true => None,
        false => {
            eprintln!("a bandit learns");
            Some(learn::judge(&learn::learn(&ground, options)?, options)?)
        }
    };
    let follow = ground.follow.values().flatten().map(|sample| sample.full.utility(0.0));
    let controls = if args.row.is_empty() { controls::all(options)? } else { Vec::new() };
    Ok(Report {
        options: options.clone(),
        assertions,
        follow: mean(follow),
        singles: found,
        pairs,
        learned,
        controls,
    })
}

fn try_all(
    ground: &Ground,
    strategies: &[Strategy],
    options: &Options,
    what: &str,
) -> Result<Vec<Finding>, String> {
    ground.try_all(strategies, options, |open, seeds| {
        eprintln!("{what}: {open} strategies, {seeds} seeds against each behaviour");
    })
}
