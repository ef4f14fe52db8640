//! The command line's grammar: what is common to all commands. Each command's own flags stand in
//! its file.

use crate::commands::{
    backup, bench, check, completions, daemon, demo, forget, group, hostile, init, join, ledger,
    ls, man, mount, pom, prune, restore, snapshots, status,
};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Cooperative backup among people who need not trust each other's machines.
#[derive(Debug, Parser)]
#[command(name = "pib", version, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 incomplete (some files could not \
be read), 10 no repository or group, 11 daemon not reachable, 12 wrong recovery code, 13 not enough \
members reachable, 14 quota used up, 15 a proof that proves nothing, 130 interrupted."
)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Folder of this member's secret, ticket and stored chunks [default: $XDG_DATA_HOME/pib]
    #[arg(long, global = true, env = "PIB_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Configuration file [default: config.toml in the data folder]
    #[arg(long, global = true, env = "PIB_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Progress and results as JSON lines on standard output, errors on standard error
    #[arg(long, global = true)]
    pub json: bool,
    /// Say only what was asked for
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Say more (twice: even more)
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// End when the process with this number, which started this one, ends
    #[arg(long, global = true, hide = true, value_name = "PID")]
    pub die_with: Option<i32>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make this machine a member: keys, recovery code, configuration, join request
    Init(init::Flags),
    /// Found a group and admit its members (for the group's admin)
    #[command(subcommand)]
    Group(group::Command),
    /// Join the group that a ticket names
    Join(join::Flags),
    /// Run this member: store for others, and serve the other commands
    Daemon(daemon::Flags),
    /// Am I safe, who is up, how much of my quota is used
    Status(status::Flags),
    /// Back up files and folders
    Backup(backup::Flags),
    /// List snapshots
    Snapshots(snapshots::Flags),
    /// List what is in a snapshot
    Ls(ls::Flags),
    /// Restore files from a snapshot
    Restore(restore::Flags),
    /// Show all snapshots as a folder
    Mount(mount::Flags),
    /// Check that everything that snapshots need is there and intact
    Check(check::Flags),
    /// Forget snapshots by a policy or by name
    Forget(forget::Flags),
    /// Free the space of forgotten snapshots
    Prune(prune::Flags),
    /// Proofs that a member broke the protocol: check, list, export
    #[command(subcommand)]
    Pom(pom::Command),
    /// Storage credits: how large a sampled broadcast would be
    #[command(subcommand)]
    Ledger(ledger::Command),
    /// Show in a few minutes, on this machine alone, what PIB does when members die or lie
    Demo(demo::Flags),
    /// A test actor of the demonstration
    #[command(hide = true)]
    Hostile(hostile::Flags),
    /// Measure speed, processor time and memory
    #[command(subcommand)]
    Bench(bench::Command),
    /// Print completions for a shell
    Completions(completions::Flags),
    /// Write manual pages
    Man(man::Flags),
}
