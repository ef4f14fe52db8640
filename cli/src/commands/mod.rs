//! One file a command.

pub mod backup;
pub mod bench;
pub mod check;
pub mod completions;
pub mod daemon;
pub mod demo;
pub mod forget;
pub mod group;
pub mod hostile;
pub mod init;
pub mod join;
pub mod ledger;
pub mod ls;
pub mod man;
pub mod mount;
pub mod pom;
pub mod prune;
pub mod reform;
pub mod restore;
pub mod snapshots;
pub mod status;

use crate::args::{Arguments, Command};
use crate::error::{CliError, Code};
use crate::session::Context;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Runs a parsed command line.
pub fn run(arguments: Arguments) -> Result<Code, CliError> {
    if let Some(parent) = arguments.global.die_with {
        let daemon = matches!(arguments.command, Command::Daemon(_) | Command::Hostile(_));
        die_with(parent, daemon)?;
    }
    let context = Context::new(&arguments.global)?;
    // The daemon's log level comes from its configuration.
    if !matches!(arguments.command, Command::Daemon(_) | Command::Hostile(_)) {
        log(match arguments.global.verbose {
            0 => "error",
            1 => "info",
            _ => "debug",
        });
    }
    match arguments.command {
        Command::Init(flags) => init::run(&context, &flags),
        Command::Group(command) => group::run(&context, &command),
        Command::Join(flags) => join::run(&context, &flags),
        Command::Daemon(flags) => daemon::run(&context, &flags),
        Command::Status(flags) => status::run(&context, &flags),
        Command::Backup(flags) => backup::run(&context, &flags),
        Command::Snapshots(flags) => snapshots::run(&context, &flags),
        Command::Ls(flags) => ls::run(&context, &flags),
        Command::Restore(flags) => restore::run(&context, &flags),
        Command::Mount(flags) => mount::run(&context, &flags),
        Command::Check(flags) => check::run(&context, &flags),
        Command::Forget(flags) => forget::run(&context, &flags),
        Command::Prune(flags) => prune::run(&context, &flags),
        Command::Pom(command) => pom::run(&context, &command),
        Command::Hostile(flags) => hostile::run(&context, &flags),
        Command::Ledger(command) => ledger::run(&context, &command),
        Command::Demo(flags) => demo::run(&context, &flags),
        Command::Bench(command) => bench::run(&context, &command),
        Command::Completions(flags) => completions::run(&flags),
        Command::Man(flags) => man::run(&flags),
    }
}

/// The kernel ends this process when its parent ends; checked once more for a parent that was
/// faster. A daemon stands a SIGKILL; a mount must be told politely.
fn die_with(parent: i32, daemon: bool) -> Result<(), CliError> {
    let failed =
        |error| CliError::new(Code::Failed, format!("cannot follow process {parent}: {error}"));
    let signal = if daemon { Signal::SIGKILL } else { Signal::SIGTERM };
    prctl::set_pdeathsig(signal).map_err(failed)?;
    if nix::unistd::getppid().as_raw() != parent {
        return Err(CliError::new(Code::Failed, format!("process {parent} has ended")));
    }
    Ok(())
}

/// Logs go to standard error; PIB_LOG overrides the level.
pub fn log(level: &str) {
    let filter = EnvFilter::try_from_env("PIB_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    // A second call in one process keeps the first one's settings.
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .try_init();
}
