//! `pib ls`: what is in a snapshot.

use crate::error::{CliError, Code};
use crate::session::{Context, Session};
use clap::Args;
use serde::Serialize;
use snapshot::{Node, NodeKind};
use std::path::{Path, PathBuf};

/// Flags of `pib ls`.
#[derive(Debug, Args)]
pub struct Flags {
    /// The snapshot: first digits of its id, `latest`, or `latest~2`
    #[arg(default_value = "latest")]
    snapshot: String,
    /// A path within it
    #[arg(default_value = "/")]
    path: PathBuf,
    /// All folders below, too
    #[arg(long, short)]
    recursive: bool,
    /// Mode, owner, size and time of each entry
    #[arg(long, short)]
    long: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    message_type: &'static str,
    path: std::borrow::Cow<'a, str>,
    kind: &'static str,
    mode: u32,
    uid: Option<u32>,
    gid: Option<u32>,
    size: u64,
    mtime_ms: Option<u64>,
}

/// Runs the command.
pub fn run(context: &Context, flags: &Flags) -> Result<Code, CliError> {
    let session = Session::open(context)?;
    let output = context.output;
    session.repo()?.ls(&flags.snapshot, &flags.path, flags.recursive, &mut |path, node| {
        if flags.long {
            output.result(long(path, node));
        } else {
            output.result(path.display());
        }
        output.json(&Line {
            message_type: "node",
            path: path.to_string_lossy(),
            kind: kind(node).0,
            mode: node.mode,
            uid: node.uid,
            gid: node.gid,
            size: node.size,
            mtime_ms: mtime_ms(node),
        });
    })?;
    Ok(Code::Done)
}

fn kind(node: &Node) -> (&'static str, char) {
    match node.kind {
        NodeKind::File => ("file", '-'),
        NodeKind::Dir => ("dir", 'd'),
        NodeKind::Symlink(_) => ("symlink", 'l'),
        NodeKind::Fifo => ("fifo", 'p'),
        NodeKind::Socket => ("socket", 's'),
        NodeKind::CharDevice(_) => ("char_device", 'c'),
        NodeKind::BlockDevice(_) => ("block_device", 'b'),
    }
}

fn mtime_ms(node: &Node) -> Option<u64> {
    let since = node.mtime?.duration_since(std::time::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}

fn long(path: &Path, node: &Node) -> String {
    let owner = |id: Option<u32>, name: &Option<String>| match (name, id) {
        (Some(name), _) => name.clone(),
        (None, Some(id)) => id.to_string(),
        (None, None) => "?".to_owned(),
    };
    let target = match &node.kind {
        NodeKind::Symlink(target) => format!(" -> {}", target.display()),
        _ => String::new(),
    };
    format!(
        "{}{:04o} {:<8} {:<8} {:>12} {} {}{target}",
        kind(node).1,
        node.mode,
        owner(node.uid, &node.user),
        owner(node.gid, &node.group),
        node.size,
        mtime_ms(node).map_or_else(|| "-".to_owned(), crate::output::moment),
        path.display(),
    )
}
