//! `pib forget`: drops snapshots by a policy or by name. Space is freed by `pib prune`.

use super::prune::{self, Limits};
use super::snapshots::{Filter, Line, row};
use crate::error::{CliError, Code};
use crate::session::{Context, Session};
use clap::Args;
use snapshot::KeepPolicy;

/// Flags of `pib forget`.
#[derive(Debug, Args)]
pub struct Flags {
    /// Forget these snapshots, whatever the policy
    snapshots: Vec<String>,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    keep: Keep,
    /// Free the space at once
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    limits: Limits,
    /// Only say what would be done
    #[arg(long, short = 'n')]
    dry_run: bool,
}

/// Which snapshots to keep, for each host and set of paths.
#[derive(Debug, Args)]
struct Keep {
    /// Keep the newest N
    #[arg(long, value_name = "N")]
    keep_last: Option<u32>,
    /// Keep one an hour for N hours
    #[arg(long, value_name = "N")]
    keep_hourly: Option<u32>,
    /// Keep one a day for N days
    #[arg(long, value_name = "N")]
    keep_daily: Option<u32>,
    /// Keep one a week for N weeks
    #[arg(long, value_name = "N")]
    keep_weekly: Option<u32>,
    /// Keep one a month for N months
    #[arg(long, value_name = "N")]
    keep_monthly: Option<u32>,
    /// Keep one a year for N years
    #[arg(long, value_name = "N")]
    keep_yearly: Option<u32>,
    /// Keep all within this time before the newest, such as 30d or 1y
    #[arg(long, value_name = "SPAN")]
    keep_within: Option<String>,
    /// Keep all with this tag
    #[arg(long, value_name = "TAG")]
    keep_tag: Vec<String>,
}

impl Keep {
    fn policy(&self) -> KeepPolicy {
        KeepPolicy {
            last: self.keep_last,
            hourly: self.keep_hourly,
            daily: self.keep_daily,
            weekly: self.keep_weekly,
            monthly: self.keep_monthly,
            yearly: self.keep_yearly,
            within: self.keep_within.clone(),
            tags: self.keep_tag.clone(),
        }
    }
}

/// Runs the command.
pub fn run(context: &Context, flags: &Flags) -> Result<Code, CliError> {
    let policy = flags.keep.policy();
    if flags.snapshots.is_empty() && policy == KeepPolicy::default() {
        return Err(CliError::new(Code::Usage, "nothing says what to keep; nothing was forgotten")
            .hint("give for example --keep-last 10 --keep-daily 14, or name snapshots"));
    }
    let output = context.output;
    let session = Session::open(context)?;
    let repo = session.repo()?;
    let report = repo.forget(&policy, &flags.filter.get(), &flags.snapshots, flags.dry_run)?;
    for kept in &report.kept {
        output.say(format!("keep    {}  ({})", row(&kept.snapshot), kept.reasons.join(", ")));
    }
    for removed in &report.removed {
        output.say(format!("forget  {}", row(removed)));
    }
    output.say(format!(
        "{} snapshots kept, {} {}",
        report.kept.len(),
        report.removed.len(),
        if flags.dry_run { "would be forgotten" } else { "forgotten" },
    ));
    output.json(&serde_json::json!({
        "message_type": "summary",
        "dry_run": flags.dry_run,
        "kept": report.kept.iter().map(|kept| Line::new(&kept.snapshot)).collect::<Vec<_>>(),
        "removed": report.removed.iter().map(Line::new).collect::<Vec<_>>(),
    }));
    if flags.prune {
        return prune::prune(context, &repo, &flags.limits, flags.dry_run);
    }
    Ok(Code::Done)
}
