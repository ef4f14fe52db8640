//! `pib check`: is everything that snapshots need there, and intact.

use crate::error::{CliError, Code};
use crate::progress::Meter;
use crate::session::{Context, Session};
use clap::Args;

/// Flags of `pib check`.
#[derive(Debug, Args)]
pub struct Flags {
    /// Fetch and compare every byte, not only the structure
    #[arg(long)]
    read_data: bool,
}

/// Runs the command.
pub fn run(context: &Context, flags: &Flags) -> Result<Code, CliError> {
    let output = context.output;
    let session = Session::open(context)?;
    let meter = Meter::new(output);
    let report = session.repo()?.check(flags.read_data, &meter);
    meter.finish();
    let report = report?;
    for warning in &report.warnings {
        output.say(format!("note: {warning}"));
    }
    for error in &report.errors {
        output.result(format!("DAMAGE: {error}"));
    }
    output.json(&serde_json::json!({
        "message_type": "summary",
        "errors": report.errors,
        "warnings": report.warnings,
        "read_data": flags.read_data,
    }));
    if report.errors.is_empty() {
        output.say("no damage found");
        return Ok(Code::Done);
    }
    Err(CliError::new(Code::Failed, format!("{} kinds of damage found", report.errors.len())).hint(
        "back up again: what still exists on this machine is stored anew; what it was is in the list",
    ))
}
