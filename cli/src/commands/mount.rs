//! `pib mount`: all snapshots as a folder, until Ctrl-C, SIGTERM or `umount`.

use crate::error::{CliError, Code};
use crate::session::{Context, Session};
use clap::Args;
use fuse_mount::{MountError, MountOptions};
use policy::human::parse_duration_ms;
use snapshot::SnapshotFs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Flags of `pib mount`.
#[derive(Debug, Args)]
pub struct Flags {
    /// An empty folder
    mount_point: PathBuf,
    /// Let other users look in, under the permissions of the snapshots
    #[arg(long)]
    allow_other: bool,
    /// An operation that waits longer for other members ends with an input/output error
    #[arg(long, value_name = "SPAN", default_value = "30s", value_parser = parse_duration_ms)]
    timeout: u64,
}

impl From<MountError> for CliError {
    fn from(error: MountError) -> Self {
        let text = error.to_string();
        match text.split_once("; ") {
            Some((message, hint)) => Self::new(Code::Failed, message).hint(hint),
            None => Self::new(Code::Failed, text),
        }
    }
}

/// Runs the command.
pub fn run(context: &Context, flags: &Flags) -> Result<Code, CliError> {
    fuse_mount::availability()?;
    let session = Session::open(context)?;
    let view = Arc::new(SnapshotFs::open(session.repo()?)?);
    let options = MountOptions {
        timeout: Duration::from_millis(flags.timeout),
        allow_other: flags.allow_other,
        ..MountOptions::default()
    };
    let handle = fuse_mount::mount(view, &flags.mount_point, options)?;
    let handle = Arc::new(handle);
    context.output.say(format!(
        "Mounted on {}: `latest`, `by-time`, `by-tag`, `by-host`. Ctrl-C unmounts.",
        flags.mount_point.display()
    ));
    context.output.json(&serde_json::json!({
        "message_type": "mounted", "mount_point": flags.mount_point,
    }));
    unmount_when_stopped(&session, handle.clone());
    handle.wait()?;
    Ok(Code::Done)
}

/// The session's first signal sets the token; the mount ends by being taken away.
fn unmount_when_stopped(session: &Session, handle: Arc<fuse_mount::MountHandle>) {
    let cancel = session.cancel.clone();
    session.daemon.runtime.spawn(async move {
        while !cancel.is_cancelled() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let unmounted = tokio::task::spawn_blocking(move || handle.unmount()).await;
        if let Ok(Err(error)) = unmounted {
            tracing::error!("{error}");
        }
    });
}
