//! The yardstick: stock restic with a repository in a local folder.

use crate::error::CliError;
use crate::harness::{Interrupt, Measured, measure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A repository of stock restic.
pub struct Restic {
    repository: PathBuf,
    cache: PathBuf,
}

impl Restic {
    /// restic's version, if it is installed.
    pub fn version() -> Option<String> {
        let mut command = Command::new("restic");
        command.arg("version").stdin(Stdio::null()).stderr(Stdio::null());
        let output = command.output().ok().filter(|output| output.status.success())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Some(text.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
    }

    /// Makes a repository in a folder that does not exist.
    pub fn init(dir: &Path, interrupt: &Interrupt) -> Result<Self, CliError> {
        let restic = Self { repository: dir.to_owned(), cache: dir.with_extension("cache") };
        measure(restic.command(&["init"]), interrupt)?.success("restic init")?;
        Ok(restic)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("restic");
        command.arg("--quiet").arg("--repo").arg(&self.repository);
        command.arg("--cache-dir").arg(&self.cache).args(arguments);
        command.env("RESTIC_PASSWORD", "benchmark");
        command
    }

    /// Backs a folder up.
    pub fn backup(&self, source: &Path, interrupt: &Interrupt) -> Result<Measured, CliError> {
        let mut command = self.command(&["backup"]);
        command.arg(source);
        measure(command, interrupt)?.success("restic backup")
    }

    /// Restores the latest snapshot.
    pub fn restore(&self, target: &Path, interrupt: &Interrupt) -> Result<Measured, CliError> {
        let mut command = self.command(&["restore", "latest", "--target"]);
        command.arg(target);
        measure(command, interrupt)?.success("restic restore")
    }

    /// Frees the disk.
    pub fn remove(self) {
        // Room is all that is at stake; the whole work folder goes at the end.
        let _ = std::fs::remove_dir_all(&self.repository);
        let _ = std::fs::remove_dir_all(&self.cache);
    }
}
