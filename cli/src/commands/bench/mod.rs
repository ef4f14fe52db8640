//! `pib bench`: how fast, how much processor time, how much memory; the same work by stock restic
//! on a local folder in the same run.
//!
//! Several runs, of which the median counts. Every member is a process on this machine, so that
//! processor time of all members together bounds what can be reached.

mod data;
mod restic;
mod rsm;
mod rsm_member;
mod runs;

use crate::error::{CliError, Code};
use crate::harness::{GroupSpec, Interrupt};
use crate::output::Output;
use crate::session::Context;
use clap::{Args, Subcommand};
use policy::human::parse_bytes;
use std::path::{Path, PathBuf};

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Back up data that cannot be compressed
    Backup(Bulk),
    /// Restore it with as many members dead as the group tolerates
    Restore(Bulk),
    /// A tree of small files: back up, back up again unchanged, restore
    Tree(Tree),
    /// Latency and throughput of the replicated state machine, and of one without incentives beside it
    Rsm(Rsm),
    /// One member of the benchmark of the state machine
    #[command(hide = true)]
    RsmMember(rsm_member::RsmMember),
}

/// The group to measure with.
#[derive(Debug, Clone, Args)]
pub struct Who {
    /// Members of the group
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=64))]
    nodes: u16,
    /// Members that the group tolerates to be faulty [default: the most for its size, at most 2]
    #[arg(long, value_name = "F")]
    faulty: Option<u16>,
    /// Runs, of which the median is taken
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    runs: u16,
    /// Pack size, for comparing [default: the configuration's]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    pack_size: Option<u64>,
    /// Work in this folder, which needs room for the data several times [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,
}

/// Flags of the benchmarks of bulk data.
#[derive(Debug, Args)]
pub struct Bulk {
    #[command(flatten)]
    who: Who,
    /// How much data
    #[arg(long, default_value = "1GiB", value_parser = parse_bytes)]
    size: u64,
}

/// Flags of `pib bench tree`.
#[derive(Debug, Args)]
pub struct Tree {
    #[command(flatten)]
    who: Who,
    /// Files
    #[arg(long, default_value_t = 20_000)]
    files: u32,
}

/// Flags of `pib bench rsm`.
#[derive(Debug, Args)]
pub struct Rsm {
    /// Sizes of groups, one after the other
    #[arg(long, value_delimiter = ',', default_value = "5,8,20,32", value_name = "N,N,...", value_parser = clap::value_parser!(u16).range(2..=64))]
    nodes: Vec<u16>,
    /// Seconds under load
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    seconds: u64,
    /// Bytes of a command
    #[arg(long, default_value = "256", value_parser = parse_bytes)]
    command_size: u64,
    /// Commands that each member has on their way at once
    #[arg(long, default_value_t = 512, value_name = "N")]
    concurrency: u32,
}

/// Runs the command.
pub fn run(context: &Context, command: &Command) -> Result<Code, CliError> {
    if let Command::RsmMember(flags) = command {
        rsm_member::run(flags)?;
        return Ok(Code::Done);
    }
    let interrupt = Interrupt::on_signals()?;
    match command {
        Command::Backup(flags) => data::backup(context.output, flags, interrupt),
        Command::Restore(flags) => data::restore(context.output, flags, interrupt),
        Command::Tree(flags) => data::tree(context.output, flags, interrupt),
        Command::Rsm(flags) => rsm::run(context.output, flags, &interrupt),
        Command::RsmMember(_) => Ok(()),
    }?;
    Ok(Code::Done)
}

/// Says a result in words or as a JSON line.
fn emit(output: Output, words: &str, line: &serde_json::Value) {
    output.result(words);
    output.json(line);
}

/// A folder of its own for a benchmark, removed at its end.
fn work_folder(parent: Option<&Path>) -> Result<tempfile::TempDir, CliError> {
    let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
    tempfile::Builder::new()
        .prefix("pib-bench-")
        .tempdir_in(&parent)
        .map_err(|error| crate::error::io("make a folder in", &parent, &error))
}

fn spec(dir: &Path, nodes: usize, faulty: usize, limits: String) -> Result<GroupSpec, CliError> {
    let largest = types::Quorum::largest_f(nodes);
    if faulty > largest {
        let text = format!("{nodes} members cannot tolerate {faulty} faulty ones");
        return Err(CliError::new(Code::Usage, text)
            .hint(format!("use --faulty {largest} or --nodes {}", 3 * faulty + 2)));
    }
    let exe = std::env::current_exe()
        .map_err(|error| CliError::new(Code::Failed, format!("where is pib? {error}")))?;
    Ok(GroupSpec { exe, dir: dir.join("group"), nodes, faulty, limits, max_response_ms: None })
}
