//! `pib completions`: for bash, elvish, fish, PowerShell and zsh.

use crate::args::Arguments;
use crate::error::{CliError, Code};
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use std::io::Write as _;

/// Flags of `pib completions`.
#[derive(Debug, Args)]
pub struct Flags {
    /// The shell
    shell: Shell,
}

/// Runs the command.
pub fn run(flags: &Flags) -> Result<Code, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(flags.shell, &mut Arguments::command(), "pib", &mut script);
    std::io::stdout()
        .write_all(&script)
        .map_err(|error| CliError::new(Code::Failed, format!("cannot write: {error}")))?;
    Ok(Code::Done)
}
