//! Giving up snapshots by a retention policy, and freeing the space nothing needs any more.
//!
//! Guarantees: (1) `forget` never removes the last snapshot that a policy applies to by accident: a policy
//! without any rule is refused; (2) snapshots dated in the future are kept, so that one wrong clock cannot
//! trick a policy into removing all others; (3) `prune` marks packs first and removes them only when the
//! mark is 23 hours old, unless told otherwise, so that a backup that runs at the same time cannot lose data.

use chrono::{DateTime, Utc};
use rustic_core::jiff::{Span, Zoned};
use rustic_core::repofile::SnapshotFile;
use rustic_core::{
    ErrorKind, Grouped, KeepOptions, LimitOption, PruneOptions as RusticPruneOptions,
    SnapshotGroupCriterion,
};

use crate::control::ProgressSink;
use crate::error::SnapshotError;
use crate::list::{SnapshotFilter, SnapshotInfo};
use crate::object::ObjectId;
use crate::repo::Repo;

/// Which snapshots to keep, for each host and set of paths. Numbers count the newest of each period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeepPolicy {
    /// The newest.
    pub last: Option<u32>,
    /// One an hour.
    pub hourly: Option<u32>,
    /// One a day.
    pub daily: Option<u32>,
    /// One a week.
    pub weekly: Option<u32>,
    /// One a month.
    pub monthly: Option<u32>,
    /// One a year.
    pub yearly: Option<u32>,
    /// All within this time before the newest, such as `30d`, `6mo`, `1y`.
    pub within: Option<String>,
    /// All with one of these tags.
    pub tags: Vec<String>,
}

impl KeepPolicy {
    fn to_rustic(&self) -> Result<KeepOptions, SnapshotError> {
        if *self == Self::default() {
            let text = "say what to keep, for example --keep-last 10; nothing was forgotten";
            return Err(SnapshotError::BadOption(text.to_owned()));
        }
        let count = |number: Option<u32>| number.map(|n| i32::try_from(n).unwrap_or(i32::MAX));
        let mut keep = KeepOptions::default();
        keep.keep_last = count(self.last);
        keep.keep_hourly = count(self.hourly);
        keep.keep_daily = count(self.daily);
        keep.keep_weekly = count(self.weekly);
        keep.keep_monthly = count(self.monthly);
        keep.keep_yearly = count(self.yearly);
        if let Some(text) = &self.within {
            let span: Span = text.parse().map_err(|e| {
                SnapshotError::BadOption(format!("`{text}` is no duration such as 30d or 1y: {e}"))
            })?;
            keep.keep_within = Some(span);
        }
        for tag in &self.tags {
            let list = tag.parse();
            keep.keep_tags
                .push(list.map_err(|_| SnapshotError::BadOption(format!("`{tag}` is no tag")))?);
        }
        Ok(keep)
    }
}

/// What became of a snapshot.
#[derive(Clone, Debug)]
pub struct ForgottenSnapshot {
    /// The snapshot.
    pub snapshot: SnapshotInfo,
    /// Why it was kept; empty when it was forgotten.
    pub reasons: Vec<String>,
}

/// What `forget` did, or in a dry run would do.
#[derive(Clone, Debug, Default)]
pub struct ForgetReport {
    /// Snapshots kept.
    pub kept: Vec<ForgottenSnapshot>,
    /// Snapshots forgotten.
    pub removed: Vec<SnapshotInfo>,
}

/// How to prune.
#[derive(Clone, Debug, Default)]
pub struct PruneOptions {
    /// Only say what would be done.
    pub dry_run: bool,
    /// Remove packs at once instead of 23 hours after marking them. Dangerous while a backup runs.
    pub instant_delete: bool,
    /// Share of unused bytes tolerated in packs that are partly used, in percent of all; default 5.
    pub max_unused_percent: Option<u8>,
    /// Limit for bytes of packs rewritten, in percent of all; default 10.
    pub max_repack_percent: Option<u8>,
}

/// What `prune` did, or in a dry run would do. Sizes in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// Bytes that snapshots need.
    pub bytes_used: u64,
    /// Bytes that no snapshot needs, before pruning.
    pub bytes_unused: u64,
    /// Packs that hold nothing needed; marked, or removed with `instant_delete`.
    pub packs_unused: u64,
    /// Packs that were rewritten because part of them is needed.
    pub packs_repacked: u64,
    /// Packs marked earlier whose time had come and that were removed.
    pub packs_removed: u64,
    /// Their size.
    pub bytes_removed: u64,
    /// Packs marked earlier that wait.
    pub packs_waiting: u64,
    /// Packs marked earlier that are needed after all.
    pub packs_recovered: u64,
}

impl Repo {
    /// Forgets snapshots: those named by `ids` if there are any, else what the policy does not keep of
    /// those that fit the filter. Frees no space; [`Repo::prune`] does.
    ///
    /// # Errors
    /// When an id fits no or several snapshots, the policy is empty or unreadable, or the store fails.
    pub fn forget(
        &self,
        policy: &KeepPolicy,
        filter: &SnapshotFilter,
        ids: &[String],
        dry_run: bool,
    ) -> Result<ForgetReport, SnapshotError> {
        self.run(|| {
            let repo = self.open_rustic()?;
            let mut files = repo.get_all_snapshots()?;
            let report = if ids.is_empty() {
                files.retain(|file| filter.matches(file));
                apply_policy(policy, files)?
            } else {
                let infos = crate::list::infos(&files)?;
                let mut removed: Vec<SnapshotInfo> = Vec::new();
                for id in ids {
                    let info = crate::list::find(&infos, id)?;
                    if removed.iter().all(|other| other.id != info.id) {
                        removed.push(info);
                    }
                }
                ForgetReport { kept: Vec::new(), removed }
            };
            if !dry_run {
                let ids: Result<Vec<_>, _> =
                    report.removed.iter().map(|i| snapshot_id(i.id)).collect();
                repo.delete_snapshots(&ids?)?;
            }
            Ok(report)
        })
    }

    /// Frees the space that no snapshot needs.
    ///
    /// # Errors
    /// When the store fails or the repository is damaged; then nothing needed was removed.
    pub fn prune(
        &self,
        options: &PruneOptions,
        sink: &dyn ProgressSink,
    ) -> Result<PruneReport, SnapshotError> {
        self.run_shown(sink, || {
            let repo = self.open_rustic()?;
            let percent = |value: Option<u8>, default: u8| {
                LimitOption::Percentage(u64::from(value.unwrap_or(default).min(100)))
            };
            let rustic = RusticPruneOptions::default()
                .instant_delete(options.instant_delete)
                .max_unused(percent(options.max_unused_percent, 5))
                .max_repack(percent(options.max_repack_percent, 10));
            let plan = repo.prune_plan(&rustic)?;
            let (stats, size) = (&plan.stats, plan.stats.size_sum());
            let report = PruneReport {
                bytes_used: size.used,
                bytes_unused: size.unused + stats.size_unref,
                packs_unused: stats.packs.unused + stats.packs_unref,
                packs_repacked: stats.packs.repack,
                packs_removed: stats.packs_to_delete.remove,
                bytes_removed: stats.size_to_delete.remove,
                packs_waiting: stats.packs_to_delete.keep,
                packs_recovered: stats.packs_to_delete.recover,
            };
            if !options.dry_run {
                repo.prune(&rustic, plan)?;
            }
            Ok(report)
        })
    }
}

fn snapshot_id(id: ObjectId) -> Result<rustic_core::repofile::SnapshotId, SnapshotError> {
    id.to_hex().parse().map_err(|_| SnapshotError::Internal(format!("{id} is no snapshot id")))
}

fn apply_policy(
    policy: &KeepPolicy,
    files: Vec<SnapshotFile>,
) -> Result<ForgetReport, SnapshotError> {
    let keep = policy.to_rustic()?;
    let now = Zoned::now();
    // A day of slack for clocks and time zones.
    let horizon: DateTime<Utc> = Utc::now() + chrono::Duration::days(1);
    let mut report = ForgetReport::default();
    let mut past = Vec::with_capacity(files.len());
    for file in files {
        let info = SnapshotInfo::from_rustic(&file)?;
        if info.time > horizon {
            let reasons = vec!["dated in the future".to_owned()];
            report.kept.push(ForgottenSnapshot { snapshot: info, reasons });
        } else {
            past.push(file);
        }
    }
    let groups = Grouped::from_items(past, SnapshotGroupCriterion::default()).groups;
    for group in groups {
        let decided = keep.apply(group.items, &now).map_err(|error| {
            let text = crate::error::plain(&error);
            tracing::debug!(kind = ?ErrorKind::InvalidInput, %text, "retention policy refused");
            SnapshotError::BadOption(text)
        })?;
        for item in decided {
            let snapshot = SnapshotInfo::from_rustic(&item.snapshot)?;
            if item.keep {
                let reasons = item.reasons;
                report.kept.push(ForgottenSnapshot { snapshot, reasons });
            } else {
                report.removed.push(snapshot);
            }
        }
    }
    Ok(report)
}
