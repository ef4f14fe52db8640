//! `pib restore`: from a snapshot into a folder.

use crate::error::{CliError, Code};
use crate::progress::Meter;
use crate::session::{Context, Session};
use clap::Args;
use policy::human::{format_bytes, format_duration_ms};
use serde::Serialize;
use snapshot::{RestoreOptions, RestoreReport};
use std::path::PathBuf;

const NAMED_MAX: usize = 20;

/// Flags of `pib restore`.
#[derive(Debug, Args)]
pub struct Flags {
    /// The snapshot: first digits of its id, `latest`, or `latest~2`
    #[arg(default_value = "latest")]
    snapshot: String,
    /// Restore into this folder
    #[arg(long, short, value_name = "DIR")]
    target: PathBuf,
    /// Restore only this path of the snapshot: a folder's content or one file, without the folders
    /// above it
    #[arg(long, value_name = "PATH", default_value = "/")]
    path: PathBuf,
    /// Remove from the target what is not in the snapshot
    #[arg(long)]
    delete: bool,
    /// Write files again that already have the right size and time
    #[arg(long)]
    overwrite: bool,
    /// Do not leave stretches of zeros as holes
    #[arg(long)]
    no_sparse: bool,
    /// Do not restore owners
    #[arg(long)]
    no_owner: bool,
    /// Only say what would be done
    #[arg(long, short = 'n')]
    dry_run: bool,
}

#[derive(Serialize)]
struct Summary {
    message_type: &'static str,
    dry_run: bool,
    files_restored: u64,
    files_unchanged: u64,
    hard_links: u64,
    dirs: u64,
    others: u64,
    bytes_restored: u64,
    deleted: u64,
    errors: Vec<Problem>,
    error_count: u64,
    warnings: Vec<Problem>,
    seconds: f64,
}

#[derive(Serialize)]
struct Problem {
    path: String,
    reason: String,
}

/// Runs the command.
pub fn run(context: &Context, flags: &Flags) -> Result<Code, CliError> {
    let session = Session::open(context)?;
    let repo = session.repo()?;
    let options = RestoreOptions {
        dry_run: flags.dry_run,
        delete: flags.delete,
        overwrite_existing: flags.overwrite,
        verify: true,
        sparse: !flags.no_sparse,
        ownership: !flags.no_owner,
    };
    let meter = Meter::new(context.output);
    let report = repo.restore(&flags.snapshot, &flags.path, &flags.target, &options, &meter);
    meter.finish();
    let report = report?;
    tell(context, flags, &report);
    Ok(if report.error_count > 0 { Code::Incomplete } else { Code::Done })
}

fn tell(context: &Context, flags: &Flags, report: &RestoreReport) {
    let output = context.output;
    if !output.json {
        for (path, reason) in report.errors.iter().take(NAMED_MAX) {
            eprintln!("not restored: {}: {reason}", path.display());
        }
        for (path, reason) in report.warnings.iter().take(NAMED_MAX) {
            eprintln!("restored without all attributes: {}: {reason}", path.display());
        }
    }
    let ms = u64::try_from(report.duration.as_millis()).unwrap_or(u64::MAX);
    output.say(format!(
        "{}{} files ({}) and {} folders to {}; {} files were already there; in {}",
        if flags.dry_run { "would restore " } else { "restored " },
        report.files_restored,
        format_bytes(report.bytes_restored),
        report.dirs,
        flags.target.display(),
        report.files_unchanged,
        format_duration_ms(ms),
    ));
    if report.error_count > 0 {
        output.say(format!("INCOMPLETE: {} entries could not be restored", report.error_count));
    }
    let problems = |list: &[(PathBuf, String)]| {
        let problem = |(path, reason): &(PathBuf, String)| Problem {
            path: path.to_string_lossy().into_owned(),
            reason: reason.clone(),
        };
        list.iter().map(problem).collect()
    };
    output.json(&Summary {
        message_type: "summary",
        dry_run: flags.dry_run,
        files_restored: report.files_restored,
        files_unchanged: report.files_unchanged,
        hard_links: report.hard_links,
        dirs: report.dirs,
        others: report.others,
        bytes_restored: report.bytes_restored,
        deleted: report.deleted,
        errors: problems(&report.errors),
        error_count: report.error_count,
        warnings: problems(&report.warnings),
        seconds: report.duration.as_secs_f64(),
    });
}
