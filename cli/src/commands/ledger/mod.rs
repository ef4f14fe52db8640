//! `pib ledger`: storage credits. One file a sub-command.

pub mod params;

use crate::error::{CliError, Code};
use crate::session::Context;
use clap::Subcommand;

/// What to do with the ledger.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compute the sample sizes of the sampled broadcast, and say whether sampling pays
    Params(params::Flags),
}

/// Runs the command.
pub fn run(context: &Context, command: &Command) -> Result<Code, CliError> {
    match command {
        Command::Params(flags) => params::run(context, flags),
    }
}
