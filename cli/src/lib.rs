//! The `pib` command line: one file a command in `commands/`.
//!
//! Assumes: the daemon of the same data folder does all networking; commands talk to it over its
//! local API and never touch its files.
//!
//! Guarantees, cited by tests:
//! 1. *Exit codes*: 0 done, 1 failed, 2 wrong usage, 3 incomplete, 10 no repository or group, 11
//!    daemon not reachable, 12 wrong recovery code, 13 not enough members, 14 quota used up, 130
//!    interrupted.
//! 2. *Explained*: every failure says what failed, on which object, and the next step; with
//!    `--json` as one line on standard error.
//! 3. *Nothing overwritten*: secrets, tickets and groups that exist are never replaced.
//! 4. *Children end*: processes that `demo` and `bench` start do not outlive them.

mod args;
mod commands;
mod error;
mod files;
pub mod harness;
pub mod memory;
mod output;
mod progress;
mod secret;
mod session;
mod store;
pub mod tree;

pub use error::{CliError, Code};

use clap::Parser;
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs one command line.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let parsed = match args::Arguments::try_parse_from(&arguments) {
        Ok(parsed) => parsed,
        Err(error) => return usage(&arguments, &error),
    };
    let json = parsed.global.json;
    match commands::run(parsed) {
        Ok(code) => code.into(),
        Err(error) => {
            error.report(json);
            error.code.into()
        }
    }
}

/// Help and version go to standard output; wrong usage is an error like any other.
fn usage(arguments: &[OsString], error: &clap::Error) -> ExitCode {
    let json = arguments.iter().any(|argument| argument == "--json");
    if !error.use_stderr() || !json {
        // Nothing can be done about a closed terminal.
        let _ = error.print();
        return if error.use_stderr() { Code::Usage.into() } else { Code::Done.into() };
    }
    let message = error.render().to_string();
    let message = message.lines().next().unwrap_or_default().trim_start_matches("error: ");
    CliError::new(Code::Usage, message).hint("see `pib --help`").report(true);
    Code::Usage.into()
}
