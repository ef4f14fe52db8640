//! `sim`: runs, replays and checks simulated groups.
//!
//! The command tells how long it took; what it runs has virtual time only.
#![allow(clippy::disallowed_methods)]

use clap::{Args, Parser, Subcommand};
use sim::broadcast::command::{self as broadcast_command, BroadcastArgs};
use sim::campaign::{self, Summary};
use sim::deviation::command::{self as deviations, DeviationArgs};
use sim::explore::{Found, Role, Setting, explore};
use sim::guarantees;
use sim::ledger::command::{self as ledger_command, LedgerArgs};
use sim::{Choice, CrashPoint, RuleSet, Scenario, Trouble, adversary, controls, rows};
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

/// Deterministic simulation of a whole PIB group, with faulty members, from a seed.
/// Seeds in which the control of the guarantees must be caught.
const CONTROL_SEEDS: u64 = 1_000;

#[derive(Debug, Parser)]
#[command(name = "sim")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Plays many seeds and reports violations; exits with 1 if there is one.
    Run(RunArgs),
    /// Plays one seed again; with --trace tells what happened.
    Replay(ReplayArgs),
    /// Checks the checkers: each broken rule set must be caught, the resolved rules must be clean.
    Controls(ControlArgs),
    /// Measures the paper's figures 4 to 6 again and draws them (CSV, SVG, PNG).
    Figures(FigureArgs),
    /// Visits every interleaving of one instance with one faulty member; exits with 1 if something is
    /// wrong.
    Explore(ExploreArgs),
    /// Tries whether any deviation of a rational member pays; exits with 1 if one does.
    Deviations(DeviationArgs),
    /// Plays one seed with a crash at every point of every honest member's work; exits with 1 if one
    /// violates something.
    CrashPoints(CrashPointArgs),
    /// Shows that memory and disk stay within their bounds over weeks, and what idling costs; exits
    /// with 1 if a bound is exceeded.
    Memory(MemoryArgs),
    /// Stores and reads among liars with the cores of level 2, and tries to convict the honest; exits with 1 if
    /// a guarantee does not hold.
    Guarantees(GuaranteeArgs),
    /// Plays many seeds of a ledger with faulty members; exits with 1 if something is wrong.
    Ledger(LedgerArgs),
    /// Measures how often sampled broadcasts violate a property, and messages a member; exits with 1 if
    /// a rate is above epsilon.
    Broadcast(BroadcastArgs),
    /// Lists the adversaries.
    List(ListArgs),
}

#[derive(Debug, Args)]
struct ScenarioArgs {
    /// Members.
    #[arg(long, default_value_t = 5)]
    nodes: usize,
    /// Faulty members [default: as many as the group tolerates, in one seed of eight none].
    #[arg(long)]
    faulty: Option<usize>,
    /// A name from `sim list`, `all` (in turn), or `mix`.
    #[arg(long, default_value = "mix", value_parser = Choice::parse)]
    adversary: Choice,
    /// Instances that every honest member must decide.
    #[arg(long, default_value_t = 6)]
    instances: u64,
    /// What else goes wrong: calm, asynchronous, sender-cut, seeded, or
    /// recorded (as seeded was, for old seeds).
    #[arg(long, default_value = "seeded", value_parser = Trouble::parse)]
    trouble: Trouble,
    /// Rules of the honest members; anything but `resolved` is a negative control.
    #[arg(long, default_value = "resolved", value_parser = RuleSet::parse)]
    rules: RuleSet,
    /// Instances that run at the same time, at most half of the members.
    #[arg(long, default_value_t = 1)]
    pipeline: u64,
    /// A crash of one honest member at one point: slot, number of its effect, and `lost` or `kept`
    /// for what was not synced; for example 2:17:lost.
    #[arg(long, value_parser = CrashPoint::parse)]
    crash_at: Option<CrashPoint>,
    /// Let every member verify every signature itself; slower, with the same outcome.
    #[arg(long)]
    separate_crypto: bool,
}

impl ScenarioArgs {
    fn scenario(&self, seed: u64) -> Scenario {
        Scenario {
            nodes: self.nodes,
            faulty: self.faulty,
            adversary: self.adversary,
            trouble: self.trouble,
            instances: self.instances,
            rules: self.rules,
            pipeline: self.pipeline,
            separate_crypto: self.separate_crypto,
            crash_point: self.crash_at,
            seed,
            told: false,
        }
    }
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    scenario: ScenarioArgs,
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Threads [default: all cores].
    #[arg(long)]
    jobs: Option<usize>,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ReplayArgs {
    #[command(flatten)]
    scenario: ScenarioArgs,
    /// The seed.
    #[arg(long)]
    seed: u64,
    /// Tell what happened.
    #[arg(long)]
    trace: bool,
}

#[derive(Debug, Args)]
struct FigureArgs {
    /// Which figures.
    #[arg(long, value_delimiter = ',', default_value = "4,5,6")]
    only: Vec<u8>,
    /// Where to write them.
    #[arg(long, default_value = "docs/results")]
    out: std::path::PathBuf,
    /// The built `pib` binary that figure 4 measures [default: beside this one].
    #[arg(long)]
    pib: Option<std::path::PathBuf>,
}

#[derive(Debug, Args)]
struct MemoryArgs {
    /// Days that a group of five idles.
    #[arg(long, default_value_t = 30)]
    days: u64,
    /// Days that a group of twenty idles.
    #[arg(long, default_value_t = 1)]
    large_days: u64,
    /// Days that one member of five is silent.
    #[arg(long, default_value_t = 6)]
    silent_days: u64,
    /// Where to write `memory.md` and `memory.csv` [default: print only].
    #[arg(long)]
    out: Option<std::path::PathBuf>,
}

#[derive(Debug, Args)]
struct GuaranteeArgs {
    /// Members.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(5..=64))]
    nodes: u16,
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Threads [default: all cores].
    #[arg(long)]
    jobs: Option<usize>,
}

#[derive(Debug, Args)]
struct CrashPointArgs {
    #[command(flatten)]
    scenario: ScenarioArgs,
    /// The seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Only every so many effects.
    #[arg(long, default_value_t = 1)]
    step: usize,
    /// Threads [default: all cores].
    #[arg(long)]
    jobs: Option<usize>,
}

#[derive(Debug, Args)]
struct ControlArgs {
    /// Only the control of this name.
    #[arg(long)]
    only: Option<String>,
    /// Seeds tried at most for each broken rule set.
    #[arg(long, default_value_t = 2_000)]
    seeds: u64,
    /// Threads [default: all cores].
    #[arg(long)]
    jobs: Option<usize>,
}

#[derive(Debug, Args)]
struct ExploreArgs {
    /// Turns of the instance, turn 0 included.
    #[arg(long, default_value_t = 2)]
    turns: u32,
    /// Who is faulty: none, sender, leader or acceptor [default: each in turn].
    #[arg(long, value_parser = Role::parse)]
    byzantine: Option<Role>,
    /// Rules of the honest members; anything but `resolved` is a negative control.
    #[arg(long, default_value = "resolved", value_parser = RuleSet::parse)]
    rules: RuleSet,
    /// New states after which each search gives up.
    #[arg(long, default_value_t = u64::MAX)]
    limit: u64,
    /// Distinguish every bit of the cores' states: no symmetry, no interchangeable certificates.
    #[arg(long)]
    exact: bool,
    /// Compare what follows states that are taken for the same, for one state in so many.
    #[arg(long, default_value_t = 0)]
    audit: u64,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// The rows of the deviation catalogue instead, with the adversaries that play them.
    #[arg(long)]
    rows: bool,
}

fn cores(jobs: Option<usize>) -> usize {
    jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |cores| cores.get()))
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(args) => run(&args),
        Command::Replay(args) => replay(&args),
        Command::Controls(args) => run_controls(&args),
        Command::Figures(args) => figures(&args),
        Command::Explore(args) => run_explore(&args),
        Command::Deviations(args) => deviations::run(&args),
        Command::CrashPoints(args) => crash_points(&args),
        Command::Memory(args) => show_memory(&args),
        Command::Guarantees(args) => Ok(show_guarantees(&args)),
        Command::Ledger(args) => ledger_command::run(&args),
        Command::Broadcast(args) => broadcast_command::run(&args),
        Command::List(args) => {
            list(&args);
            Ok(true)
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sim: {error}");
            ExitCode::from(2)
        }
    }
}

fn list(args: &ListArgs) {
    if args.rows {
        print!("{}", rows::markdown());
        return;
    }
    for entry in adversary::ALL {
        println!("{:26} {}", entry.name, entry.what);
    }
}

fn run(args: &RunArgs) -> Result<bool, String> {
    let scenario = args.scenario.scenario(args.from);
    let start = Instant::now();
    let summary = campaign::run(&scenario, args.from, args.seeds, cores(args.jobs))?;
    let seconds = start.elapsed().as_secs_f64();
    if args.json {
        let json = serde_json::to_string_pretty(&summary).map_err(|error| error.to_string())?;
        println!("{json}");
    } else {
        print_summary(&summary, "seeds", seconds);
    }
    Ok(summary.is_clean())
}

fn print_summary(summary: &Summary, runs: &str, seconds: f64) {
    println!(
        "{} members, {} {runs}: {} instances decided ({} NULL), {} seeds with a \
         turn above 0, {} crashes, {} seeds with a stable checkpoint, {} messages, settled within {:.0} s of virtual time",
        summary.nodes,
        summary.seeds,
        summary.instances,
        summary.nulls,
        summary.seeds_with_later_turns,
        summary.crashes,
        summary.checkpoints,
        summary.messages,
        summary.settled_max_ms as f64 / 1000.0,
    );
    println!("{:.1} s, {:.1} {runs} a second", seconds, summary.seeds as f64 / seconds.max(0.001));
    if summary.is_clean() {
        println!("violations: none");
        return;
    }
    println!("violations in {} seeds: {:?}", summary.failed, summary.violations);
    for failure in &summary.failures {
        println!("seed {} ({}):", failure.seed, failure.adversary);
        for violation in failure.violations.iter().take(6) {
            println!("  {violation}");
        }
        println!("  {}", failure.replay);
    }
}

fn replay(args: &ReplayArgs) -> Result<bool, String> {
    let scenario = Scenario { told: args.trace, ..args.scenario.scenario(args.seed) };
    let outcome = sim::run_seed(&scenario)?;
    let mut out = std::io::stdout().lock();
    for line in &outcome.story {
        // Whoever reads only the beginning closes the pipe; that is no error of ours.
        if writeln!(out, "{line}").is_err() {
            return Ok(outcome.violations.is_empty());
        }
    }
    println!(
        "seed {}: {:?}, {} instances decided, {} NULL, {} messages, trace {}",
        args.seed,
        outcome.stop,
        outcome.instances,
        outcome.nulls,
        outcome.messages,
        outcome.digest.to_hex()
    );
    for violation in &outcome.violations {
        println!("VIOLATION {violation}");
    }
    Ok(outcome.violations.is_empty())
}

fn figures(args: &FigureArgs) -> Result<bool, String> {
    let beside = || {
        let own = std::env::current_exe().map_err(|error| format!("who am I: {error}"))?;
        let pib = own.with_file_name("pib");
        match !args.only.contains(&4) || pib.exists() {
            true => Ok(pib),
            false => Err(format!(
                "figure 4 runs {}, which is not there: `cargo build --release` first",
                pib.display()
            )),
        }
    };
    let pib = args.pib.clone().map_or_else(beside, Ok)?;
    let (lines, paths) = sim::figures::draw(&args.out, &args.only, &pib)?;
    lines.iter().for_each(|line| println!("{line}"));
    paths.iter().for_each(|path| println!("wrote {}", path.display()));
    Ok(true)
}

fn show_memory(args: &MemoryArgs) -> Result<bool, String> {
    let spans = sim::memory::Spans {
        idle_days: args.days,
        large_days: args.large_days,
        silent_days: args.silent_days,
    };
    let report = sim::memory::run(spans)?;
    println!("{}", report.markdown());
    if let Some(folder) = &args.out {
        report.write(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    Ok(report.exceeded().is_empty())
}

fn show_guarantees(args: &GuaranteeArgs) -> bool {
    let setting = guarantees::Setting::new(usize::from(args.nodes));
    let start = Instant::now();
    let table = guarantees::run(&setting, args.from, args.seeds, cores(args.jobs));
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{} members, {} of them liars, {} seeds; {seconds:.1} s, {:.1} seeds a second",
        setting.nodes,
        setting.faulty,
        table.seeds,
        table.seeds as f64 / seconds.max(0.001)
    );
    table.lines().iter().for_each(|line| println!("{line}"));
    // One seed played again is not the place to look for more.
    let caught = args.seeds == 1 || {
        let caught = guarantees::control(&setting, CONTROL_SEEDS);
        match caught {
            Some(seed) => {
                println!("control, answers before they are durable: CAUGHT in seed {seed}")
            }
            None => println!("control, answers before they are durable: NOT CAUGHT"),
        }
        caught.is_some()
    };
    table.violations.is_empty() && caught
}

fn crash_points(args: &CrashPointArgs) -> Result<bool, String> {
    let scenario = args.scenario.scenario(args.seed);
    let start = Instant::now();
    let summary = sim::crash_points::run(&scenario, args.step, cores(args.jobs))?;
    print_summary(&summary, "crash points", start.elapsed().as_secs_f64());
    Ok(summary.is_clean())
}

fn run_controls(args: &ControlArgs) -> Result<bool, String> {
    let mut good = true;
    let controls = controls::all();
    let wanted =
        |control: &&controls::Control| args.only.as_ref().is_none_or(|only| control.name == only);
    for control in controls.iter().filter(wanted) {
        let verdict = controls::check(control, args.seeds, cores(args.jobs))?;
        println!("{verdict}");
        good &= verdict.is_good();
    }
    Ok(good)
}

fn run_explore(args: &ExploreArgs) -> Result<bool, String> {
    if !(1..=4).contains(&args.turns) {
        return Err("between 1 and 4 turns".into());
    }
    let roles = args.byzantine.map_or(Role::ALL.to_vec(), |role| vec![role]);
    let mut good = true;
    for role in roles {
        let setting = Setting {
            turns: args.turns,
            rules: args.rules,
            exact: args.exact,
            states_max: args.limit,
            audit: args.audit,
            ..Setting::new(role)
        };
        // The only clock of this program: how long the search took is part of the report.
        #[allow(clippy::disallowed_methods)]
        let start = std::time::Instant::now();
        let mut tell = |found: &Found| {
            eprintln!(
                "  {} states, {} transitions, {:.0} s",
                found.states,
                found.transitions,
                start.elapsed().as_secs_f64()
            );
        };
        let found = explore(&setting, &mut tell)?;
        print_found(&setting, &found, start.elapsed().as_secs_f64());
        good &= found.violation.is_none();
    }
    Ok(good)
}

fn print_found(setting: &Setting, found: &Found, seconds: f64) {
    println!(
        "5 members, {} turns, faulty: {}: {} states, {} transitions, depth {}, {} at rest; {} local \
         states, {} steps of the core; {:.1} s; {}",
        setting.turns,
        setting.faulty,
        found.states,
        found.transitions,
        found.depth,
        found.at_rest,
        found.locals,
        found.steps,
        seconds,
        if found.exhausted { "exhausted" } else { "NOT exhausted" },
    );
    if setting.audit > 0 {
        println!("  compared {} pairs of states of one name", found.audited);
    }
    for (outcome, count) in &found.outcomes {
        println!("  at rest with {outcome}: {count}");
    }
    match &found.violation {
        None => println!("  violations: none"),
        Some((wrong, path)) => {
            println!("  VIOLATION: {wrong}");
            for event in path {
                println!("    {event}");
            }
            println!("  {}", setting.command());
        }
    }
}
