//! `pib backup`: walks, splits, encrypts and stores; the last step is the group's witness.
//!
//! Guarantees: done means that every object has all its receipts and that the group's log holds the
//! digest of what was promised; an interrupted run stores nothing twice when it is run again.

use crate::error::{CliError, Code, io};
use crate::files;
use crate::output::now_ms;
use crate::progress::Meter;
use crate::session::{Context, Session};
use clap::Args;
use policy::human::{format_bytes, format_duration_ms};
use serde::{Deserialize, Serialize};
use snapshot::{BackupOptions, BackupReport};
use std::io::BufRead as _;
use std::path::{Path, PathBuf};

/// File name of what `pib status` says about the last backup.
const LAST_BACKUP: &str = "last-backup.json";
/// Unreadable files that are named one by one.
const NAMED_MAX: usize = 20;

/// Flags of `pib backup`.
#[derive(Debug, Args)]
pub struct Flags {
    /// Files and folders [default: `backup.paths` of the configuration]
    paths: Vec<PathBuf>,
    /// Read more paths from this file, one a line
    #[arg(long, value_name = "FILE")]
    files_from: Vec<PathBuf>,
    /// Leave out what matches this pattern
    #[arg(long, short, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Leave out what matches the patterns in this file
    #[arg(long, value_name = "FILE")]
    exclude_file: Vec<PathBuf>,
    /// Leave out folders with a CACHEDIR.TAG
    #[arg(long)]
    exclude_caches: bool,
    /// Leave out folders that hold a file of this name
    #[arg(long, value_name = "NAME")]
    exclude_if_present: Vec<String>,
    /// Stay within each path's file system
    #[arg(long, short = 'x')]
    one_file_system: bool,
    /// Tag the snapshot
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// Host name of the snapshot [default: this machine's]
    #[arg(long)]
    host: Option<String>,
    /// Read all files again, also those that seem unchanged
    #[arg(long)]
    force: bool,
    /// Only say what would be done
    #[arg(long, short = 'n')]
    dry_run: bool,
}

/// What is remembered of the last backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LastBackup {
    /// When it ended, milliseconds since the Unix epoch.
    pub ended_ms: u64,
    /// The snapshot.
    pub snapshot: String,
    /// Bytes in it.
    pub bytes: u64,
    /// Files that could not be read.
    pub unreadable: u64,
}

/// The last finished backup of this member, if any.
pub fn last_backup(data: &Path) -> Option<LastBackup> {
    let text = files::read_text(&data.join(LAST_BACKUP)).ok()?;
    serde_json::from_str(&text).ok()
}

/// Runs the command.
pub fn run(context: &Context, flags: &Flags) -> Result<Code, CliError> {
    let paths = paths(context, flags)?;
    let session = Session::open(context)?;
    let options = options(&session, flags);
    let repo = match flags.dry_run {
        true => session.repo()?,
        false => session.repo_or_new()?,
    };
    let meter = Meter::new(context.output);
    let report = repo.backup(&paths, &options, &meter);
    meter.finish();
    let report = report?;
    let witnessed = match report.snapshot_id {
        None => None,
        Some(_) => Some(witness(&session)?),
    };
    if let Some(snapshot) = report.snapshot_id {
        let last = LastBackup {
            ended_ms: now_ms(),
            snapshot: snapshot.to_hex(),
            bytes: report.bytes_read,
            unreadable: report.unreadable_count,
        };
        let text = serde_json::to_string(&last).unwrap_or_default();
        files::replace(&context.data.join(LAST_BACKUP), text.as_bytes(), 0o600)?;
    }
    tell(context, &report, witnessed);
    Ok(if report.unreadable_count > 0 { Code::Incomplete } else { Code::Done })
}

fn paths(context: &Context, flags: &Flags) -> Result<Vec<PathBuf>, CliError> {
    let mut paths = flags.paths.clone();
    for list in &flags.files_from {
        let file = std::fs::File::open(list).map_err(|error| io("read", list, &error))?;
        for line in std::io::BufReader::new(file).lines() {
            let line = line.map_err(|error| io("read", list, &error))?;
            if !line.trim().is_empty() {
                paths.push(line.into());
            }
        }
    }
    if paths.is_empty() {
        paths = context.config()?.backup.paths;
    }
    if paths.is_empty() {
        return Err(CliError::new(Code::Usage, "nothing to back up")
            .hint("name files or folders, or set `paths` under [backup] in the configuration"));
    }
    Ok(paths)
}

fn options(session: &Session, flags: &Flags) -> BackupOptions {
    let set = &session.config.backup;
    let both = |a: &[String], b: &[String]| [a, b].concat();
    BackupOptions {
        tags: both(&set.tags, &flags.tag),
        host: flags.host.clone().or_else(|| set.host.clone()),
        excludes: both(&set.excludes, &flags.exclude),
        exclude_files: [&set.exclude_files[..], &flags.exclude_file[..]].concat(),
        exclude_caches: set.exclude_caches || flags.exclude_caches,
        exclude_if_present: both(&set.exclude_if_present, &flags.exclude_if_present),
        one_file_system: set.one_file_system || flags.one_file_system,
        dry_run: flags.dry_run,
        force: flags.force,
        as_path: None,
    }
}

fn witness(session: &Session) -> Result<u64, CliError> {
    let answer = session.daemon.runtime.block_on(async {
        tokio::select! {
            answer = session.daemon.client.witness() => Some(answer),
            () = cancelled(session) => None,
        }
    });
    match answer {
        Some(Ok(witnessed)) => Ok(witnessed.instance),
        Some(Err(error)) => Err(CliError::from(error)
            .context("all data is stored, but the group did not witness it yet")),
        None => Err(CliError::new(
            Code::Interrupted,
            "stopped before the group witnessed the backup; all its data is stored",
        )
        .hint("run the same command again")),
    }
}

async fn cancelled(session: &Session) {
    while !session.cancel.is_cancelled() {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[derive(Serialize)]
struct Summary<'a> {
    message_type: &'static str,
    dry_run: bool,
    snapshot_id: Option<String>,
    parent: Option<String>,
    files_new: u64,
    files_changed: u64,
    files_unmodified: u64,
    dirs: u64,
    bytes_read: u64,
    bytes_added: u64,
    bytes_stored: u64,
    packs_recovered: u64,
    packs_lost: u64,
    unreadable: Vec<Unreadable<'a>>,
    unreadable_count: u64,
    witnessed_in: Option<u64>,
    seconds: f64,
}

#[derive(Serialize)]
struct Unreadable<'a> {
    path: std::borrow::Cow<'a, str>,
    reason: &'a str,
}

fn tell(context: &Context, report: &BackupReport, witnessed: Option<u64>) {
    let output = context.output;
    for (path, reason) in report.unreadable.iter().take(NAMED_MAX) {
        if !output.json {
            eprintln!("not backed up: {}: {reason}", path.display());
        }
    }
    let rest = report.unreadable_count.saturating_sub(NAMED_MAX as u64);
    if rest > 0 && !output.json {
        eprintln!("not backed up: {rest} more");
    }
    let ms = u64::try_from(report.duration.as_millis()).unwrap_or(u64::MAX);
    output.say(format!(
        "{} files new, {} changed, {} unchanged; {} in all, {} new, {} stored with the group, in {}",
        report.files_new,
        report.files_changed,
        report.files_unmodified,
        format_bytes(report.bytes_read),
        format_bytes(report.bytes_added),
        format_bytes(report.bytes_stored),
        format_duration_ms(ms),
    ));
    if report.packs_recovered > 0 {
        output.say(format!("{} packs of an interrupted run were used", report.packs_recovered));
    }
    match (&report.snapshot_id, witnessed) {
        (Some(id), Some(instance)) => output.say(format!(
            "snapshot {} is safe; witnessed by the group in log entry {instance}",
            id
        )),
        _ => output.say("nothing was stored: this was a dry run"),
    }
    if report.unreadable_count > 0 {
        output.say(format!("INCOMPLETE: {} files could not be read", report.unreadable_count));
    }
    let unreadable = report
        .unreadable
        .iter()
        .map(|(path, reason)| Unreadable { path: path.to_string_lossy(), reason });
    output.json(&Summary {
        message_type: "summary",
        dry_run: report.snapshot_id.is_none(),
        snapshot_id: report.snapshot_id.map(|id| id.to_hex()),
        parent: report.parent.map(|id| id.to_hex()),
        files_new: report.files_new,
        files_changed: report.files_changed,
        files_unmodified: report.files_unmodified,
        dirs: report.dirs,
        bytes_read: report.bytes_read,
        bytes_added: report.bytes_added,
        bytes_stored: report.bytes_stored,
        packs_recovered: report.packs_recovered,
        packs_lost: report.packs_lost,
        unreadable: unreadable.collect(),
        unreadable_count: report.unreadable_count,
        witnessed_in: witnessed,
        seconds: report.duration.as_secs_f64(),
    });
}
