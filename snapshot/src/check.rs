//! Checking a repository: does everything that is named exist, and is it what it should be.

use rustic_core::CheckOptions;

use crate::control::ProgressSink;
use crate::error::SnapshotError;
use crate::repo::Repo;

/// How many findings of each kind a report holds.
const FINDINGS_MAX: usize = 10_000;

/// What a check found. The repository is sound when there are no errors.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// What is wrong: data is missing or damaged.
    pub errors: Vec<String>,
    /// What is odd but harmless, such as packs of an interrupted backup.
    pub warnings: Vec<String>,
}

impl Repo {
    /// Checks that snapshots, trees, index and packs fit together; with `read_data` also every byte.
    ///
    /// # Errors
    /// When the check itself cannot be done, e.g. the store fails. Damage is in the report.
    pub fn check(
        &self,
        read_data: bool,
        sink: &dyn ProgressSink,
    ) -> Result<CheckReport, SnapshotError> {
        let mut report = CheckReport::default();
        self.run_shown(sink, || {
            let options = CheckOptions::default().read_data(read_data);
            let repo = self.open_rustic()?;
            let found = match repo.check(options) {
                Ok(found) => found,
                // A damaged index or snapshot object ends the library's check: that is a finding too.
                Err(error) => match SnapshotError::from(error) {
                    SnapshotError::Store { what, source: crate::StoreError::Corrupt } => {
                        report.errors.push(format!("{what}: not what was stored"));
                        return Ok(());
                    }
                    SnapshotError::Store { what, source: crate::StoreError::NotFound } => {
                        report.errors.push(format!("{what}: missing"));
                        return Ok(());
                    }
                    SnapshotError::Corrupt(text) => {
                        report.errors.push(text);
                        return Ok(());
                    }
                    other => return Err(other),
                },
            };
            for (level, finding) in &found.0 {
                let mut text = finding.to_string();
                let mut cause = std::error::Error::source(finding);
                while let Some(inner) = cause {
                    let line = match inner.downcast_ref::<Box<rustic_core::RusticError>>() {
                        Some(error) => crate::error::plain(error),
                        None => inner.to_string(),
                    };
                    text = format!("{text}: {}", line.lines().next().unwrap_or_default());
                    cause = inner.source();
                }
                let list = match format!("{level:?}").as_str() {
                    "Warn" => &mut report.warnings,
                    _ => &mut report.errors,
                };
                if list.len() < FINDINGS_MAX {
                    list.push(text);
                }
            }
            Ok(())
        })?;
        Ok(report)
    }
}
