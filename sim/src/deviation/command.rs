//! `sim deviations`: the whole experiment, from the premises to the report.

use super::controls;
use super::experiment::{Finding, Ground, Options};
use super::explain;
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
/// Its Byzantine behaviours: none, one that makes turns above 0, one that answers in kind, one that traps.
const SMALL_FOES: [Foe; 4] = [Foe::Absent, Foe::ShowNobody, Foe::Bait, Foe::Adaptive];

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
    #[arg(long, default_value_t = 8)]
    seeds: u64,
    /// Seeds against each Byzantine behaviour, at most.
    #[arg(long, default_value_t = 64)]
    seeds_max: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Only rows whose name begins so.
    #[arg(long, default_value = "")]
    row: String,
    /// A smoke test: one strategy a row, few behaviours and seeds, one control; it claims nothing about what pays.
    #[arg(long)]
    small: bool,
    /// Only the negative controls in which a row must pay.
    #[arg(long)]
    controls: bool,
    /// Instead of the experiment: what the rows of `--row` send and receive more or less than following.
    #[arg(long)]
    explain: bool,
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
            seeds: if self.small { SMALL } else { self.seeds },
            seeds_max: if self.small { SMALL } else { self.seeds_max.max(self.seeds) },
            from: self.from,
            jobs: self.jobs.unwrap_or(cores),
            foes: if self.small { SMALL_FOES.to_vec() } else { Foe::ALL.to_vec() },
            family: 1,
        }
    }

    /// The command that runs this experiment again.
    fn command(&self) -> String {
        let mut command = "cargo run --release -p sim -- deviations".to_owned();
        let defaults = [
            ("--nodes", self.nodes as u64, 5),
            ("--rotations", self.rotations, 3),
            ("--seeds", self.seeds, 8),
            ("--seeds-max", self.seeds_max, 64),
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
    if args.explain {
        explain::print(&options, &args.row)?;
        return Ok(true);
    }
    if args.controls {
        let found = controls::incentives(&options)?;
        for control in &found {
            println!("{}: flagged {:?}\n  {}", control.name, control.flagged, control.seen);
        }
        return Ok(found.iter().all(|control| control.flagged == Some(true)));
    }
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
    let (played, unbuilt): (Vec<_>, Vec<_>) = rows::all()
        .into_iter()
        .filter(|strategy| strategy.row.starts_with(&args.row))
        .partition(|strategy| strategy.unbuilt.is_none());
    let singles = if args.small { rows::representatives(&played) } else { played };
    let pairs = if args.small { Vec::new() } else { rows::pairs(&singles) };
    let whole = !args.small && args.row.is_empty();
    let family = singles.len() + pairs.len() + usize::from(whole);
    let options = &Options { family, ..options.clone() };
    let (quasi, other): (Vec<_>, Vec<_>) =
        singles.into_iter().partition(|s| s.mode == Mode::QuasiSync);
    let mut found = try_all(&ground, &quasi, options, "single deviations")?;
    if !other.is_empty() {
        let ground = Ground::new(options, Mode::Async)?;
        found.extend(try_all(&ground, &other, options, "single deviations, Async")?);
    }
    let pairs = try_all(&ground, &pairs, options, "pairs")?;
    let learned = match whole {
        false => None,
        true => {
            eprintln!("a bandit learns");
            Some(learn::judge(&learn::learn(&ground, options)?, options)?)
        }
    };
    let follow = ground.follow.values().flatten().map(|sample| sample.full.utility(0.0));
    let controls = match (whole, args.small && args.row.is_empty()) {
        (true, _) => controls::all(options)?,
        (_, true) => controls::cheapest(options)?,
        _ => Vec::new(),
    };
    Ok(Report {
        claims: !args.small,
        options: options.clone(),
        assertions,
        follow: mean(follow),
        singles: found,
        pairs,
        learned,
        unbuilt,
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
