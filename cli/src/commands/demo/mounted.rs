//! A `pib mount` that runs for a while.

use crate::error::{CliError, Code, io};
use crate::harness::Group;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// A mounted view, unmounted when dropped.
pub struct Mounted {
    child: Option<Child>,
    point: PathBuf,
}

impl Mounted {
    /// Mounts; the inner error says why nothing can be mounted on this machine.
    pub fn start(
        group: &Group,
        member: usize,
        point: &Path,
    ) -> Result<Result<Self, String>, CliError> {
        if let Err(why) = fuse_mount::availability() {
            return Ok(Err(why.to_string()));
        }
        let mut command = group.command(member);
        command.arg("mount").arg(point).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let child = command.spawn();
        let child =
            child.map_err(|error| CliError::new(Code::Failed, format!("cannot mount: {error}")))?;
        let mut mounted = Self { child: Some(child), point: point.to_owned() };
        mounted.wait()?;
        Ok(Ok(mounted))
    }

    fn wait(&mut self) -> Result<(), CliError> {
        let started = Instant::now();
        while self.point.join("latest").symlink_metadata().is_err() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if let Some(status) = ended {
                let mut text = String::new();
                if let Some(mut stderr) = self.child.take().and_then(|child| child.stderr) {
                    // Without its last words the status has to do.
                    let _ = stderr.by_ref().take(4096).read_to_string(&mut text);
                }
                return Err(CliError::new(
                    Code::Failed,
                    format!("pib mount ended: {status}: {}", text.trim()),
                ));
            }
            if started.elapsed() > PATIENCE {
                return Err(CliError::new(Code::Failed, "nothing was mounted in a minute"));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Unmounts by telling the process to end.
    pub fn end(mut self) -> Result<(), CliError> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        // It may have ended by itself, which the next lines notice.
        let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            match child.try_wait() {
                Ok(Some(status))
                    if status.success() || status.code() == Some(Code::Interrupted as i32) =>
                {
                    return Ok(());
                }
                Ok(Some(status)) => {
                    return Err(CliError::new(
                        Code::Failed,
                        format!("pib mount ended badly: {status}"),
                    ));
                }
                Ok(None) => std::thread::sleep(POLL),
                Err(error) => return Err(io("wait for the mount at", &self.point, &error)),
            }
        }
        self.child = Some(child);
        Err(CliError::new(Code::Failed, "pib mount does not end when told to"))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
            std::thread::sleep(Duration::from_secs(1));
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
