//! `pib man`: one manual page a command, into a folder.

use crate::args::Arguments;
use crate::error::{CliError, Code, io};
use clap::{Args, CommandFactory as _};
use std::path::PathBuf;

/// Flags of `pib man`.
#[derive(Debug, Args)]
pub struct Flags {
    /// Folder to write the pages to, for example ~/.local/share/man/man1
    dir: PathBuf,
}

/// Runs the command.
pub fn run(flags: &Flags) -> Result<Code, CliError> {
    std::fs::create_dir_all(&flags.dir)
        .map_err(|error| io("make the folder", &flags.dir, &error))?;
    clap_mangen::generate_to(Arguments::command(), &flags.dir)
        .map_err(|error| io("write manual pages to", &flags.dir, &error))?;
    Ok(Code::Done)
}
