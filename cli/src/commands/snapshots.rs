//! `pib snapshots`: what there is to restore.

use crate::error::{CliError, Code};
use crate::session::{Context, Session};
use clap::Args;
use policy::human::format_bytes;
use serde::Serialize;
use snapshot::{SnapshotFilter, SnapshotInfo};

/// Which snapshots are meant.
#[derive(Debug, Clone, Args)]
pub struct Filter {
    /// Only snapshots with this tag (repeat for several, all of which must be there)
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// Only snapshots of this host (repeat for several, one of which must fit)
    #[arg(long)]
    host: Vec<String>,
}

impl Filter {
    /// For the snapshot layer.
    pub fn get(&self) -> SnapshotFilter {
        SnapshotFilter { tags: self.tag.clone(), hosts: self.host.clone() }
    }
}

/// Flags of `pib snapshots`.
#[derive(Debug, Args)]
pub struct Flags {
    #[command(flatten)]
    filter: Filter,
}

/// A snapshot in JSON.
#[derive(Serialize)]
pub struct Line {
    message_type: &'static str,
    id: String,
    time: String,
    host: String,
    username: String,
    tags: Vec<String>,
    paths: Vec<String>,
    files: Option<u64>,
    bytes: Option<u64>,
}

impl Line {
    /// Of a snapshot.
    pub fn new(info: &SnapshotInfo) -> Self {
        Self {
            message_type: "snapshot",
            id: info.id.to_hex(),
            time: info.time.to_rfc3339(),
            host: info.host.clone(),
            username: info.username.clone(),
            tags: info.tags.clone(),
            paths: info.paths.iter().map(|path| path.to_string_lossy().into_owned()).collect(),
            files: info.summary.as_ref().map(|summary| summary.files),
            bytes: info.summary.as_ref().map(|summary| summary.bytes),
        }
    }
}

/// A snapshot as a line.
pub fn row(info: &SnapshotInfo) -> String {
    let size = info.summary.as_ref().map_or(String::new(), |summary| format_bytes(summary.bytes));
    let paths: Vec<_> = info.paths.iter().map(|path| path.to_string_lossy()).collect();
    let id = info.id.to_hex();
    format!(
        "{}  {}  {:<12}  {:>10}  {:<12}  {}",
        id.get(..8).unwrap_or(&id),
        info.time.with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M:%S"),
        info.host,
        size,
        info.tags.join(","),
        paths.join(" "),
    )
}

/// Runs the command.
pub fn run(context: &Context, flags: &Flags) -> Result<Code, CliError> {
    let session = Session::open(context)?;
    let snapshots = session.repo()?.snapshots(&flags.filter.get())?;
    for info in &snapshots {
        context.output.result(row(info));
        context.output.json(&Line::new(info));
    }
    context.output.say(format!("{} snapshots", snapshots.len()));
    Ok(Code::Done)
}
