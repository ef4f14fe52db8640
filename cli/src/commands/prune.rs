//! `pib prune`: frees the space that no snapshot needs.

use crate::error::{CliError, Code};
use crate::progress::Meter;
use crate::session::{Context, Session};
use clap::Args;
use policy::human::format_bytes;
use snapshot::{PruneOptions, Repo};

/// How far to go.
#[derive(Debug, Clone, Args)]
pub struct Limits {
    /// Remove at once instead of 23 hours after marking; only while no backup runs
    #[arg(long)]
    instant_delete: bool,
    /// Unused space to tolerate in packs that are partly used, percent
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    max_unused: Option<u8>,
    /// Most space to rewrite, percent
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    max_repack: Option<u8>,
}

/// Flags of `pib prune`.
#[derive(Debug, Args)]
pub struct Flags {
    #[command(flatten)]
    limits: Limits,
    /// Only say what would be done
    #[arg(long, short = 'n')]
    dry_run: bool,
}

/// Runs the command.
pub fn run(context: &Context, flags: &Flags) -> Result<Code, CliError> {
    let session = Session::open(context)?;
    prune(context, &session.repo()?, &flags.limits, flags.dry_run)
}

/// Prunes; also the end of `pib forget --prune`.
pub fn prune(
    context: &Context,
    repo: &Repo,
    limits: &Limits,
    dry_run: bool,
) -> Result<Code, CliError> {
    let output = context.output;
    let meter = Meter::new(output);
    let options = PruneOptions {
        dry_run,
        instant_delete: limits.instant_delete,
        max_unused_percent: limits.max_unused,
        max_repack_percent: limits.max_repack,
    };
    let report = repo.prune(&options, &meter);
    meter.finish();
    let report = report?;
    output.say(format!(
        "{} used, {} unused; {} packs unused, {} rewritten, {} removed ({}), {} wait for removal",
        format_bytes(report.bytes_used),
        format_bytes(report.bytes_unused),
        report.packs_unused,
        report.packs_repacked,
        report.packs_removed,
        format_bytes(report.bytes_removed),
        report.packs_waiting,
    ));
    output.json(&serde_json::json!({
        "message_type": "summary",
        "dry_run": dry_run,
        "bytes_used": report.bytes_used,
        "bytes_unused": report.bytes_unused,
        "bytes_removed": report.bytes_removed,
        "packs_unused": report.packs_unused,
        "packs_repacked": report.packs_repacked,
        "packs_removed": report.packs_removed,
        "packs_waiting": report.packs_waiting,
        "packs_recovered": report.packs_recovered,
    }));
    Ok(Code::Done)
}
