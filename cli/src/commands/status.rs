//! `pib status`: am I safe, who is up, what is used.

use super::backup::{LastBackup, last_backup};
use crate::error::{CliError, Code};
use crate::output::moment;
use crate::session::Context;
use clap::Args;
use node::wire::{MemberStanding, Status};
use policy::human::{format_bytes, format_duration_ms};
use serde::Serialize;

/// Flags of `pib status`.
#[derive(Debug, Args)]
pub struct Flags {}

#[derive(Serialize)]
struct Line<'a> {
    message_type: &'static str,
    safe: bool,
    last_backup: Option<&'a LastBackup>,
    #[serde(flatten)]
    status: &'a Status,
}

/// Runs the command.
pub fn run(context: &Context, _flags: &Flags) -> Result<Code, CliError> {
    let status = context.daemon()?.status()?;
    let last = last_backup(&context.data);
    for line in words(&status, last.as_ref()) {
        context.output.result(line);
    }
    context.output.json(&Line {
        message_type: "status",
        safe: status.can_lose >= 0 && status.incomplete_objects == 0,
        last_backup: last.as_ref(),
        status: &status,
    });
    Ok(Code::Done)
}

/// The first line answers the first question: am I safe.
fn verdict(status: &Status) -> String {
    if status.objects == 0 {
        return "NOTHING STORED YET: run `pib backup`.".to_owned();
    }
    let lost = status.can_lose.unsigned_abs();
    match status.can_lose {
        ..0 => format!(
            "NOT READABLE NOW: {lost} more members must come back before everything can be read."
        ),
        0 => "AT THE LIMIT: everything can be read now, but not if one more member is lost.".into(),
        1 => "SAFE: everything survives the loss of one more member.".into(),
        more => format!("SAFE: everything survives the loss of any {more} more members."),
    }
}

fn words(status: &Status, last: Option<&LastBackup>) -> Vec<String> {
    let up = status.members.iter().filter(|member| member.up).count();
    let mut lines = vec![verdict(status)];
    if status.incomplete_objects > 0 {
        lines.push(format!(
            "{} objects do not have all their receipts; the daemon keeps trying.",
            status.incomplete_objects
        ));
    }
    lines.push(match last {
        None => "Last backup: none from this machine.".to_owned(),
        Some(last) if last.unreadable > 0 => format!(
            "Last backup: {}, {} ({} files could not be read).",
            moment(last.ended_ms),
            format_bytes(last.bytes),
            last.unreadable
        ),
        Some(last) => {
            format!("Last backup: {}, {}.", moment(last.ended_ms), format_bytes(last.bytes))
        }
    });
    if let Some(witness) = &status.last_witness {
        lines.push(format!(
            "Witnessed by the group: {} objects, {}.",
            witness.objects,
            moment(witness.stamp_ms)
        ));
    }
    lines.push(format!(
        "Group `{}`: {} of {} other members up; {} of {} may be Byzantine; any {} of {} chunks bring an object back.",
        status.group, up, status.members.len(), status.f, status.n, status.needed, status.x
    ));
    lines.push(format!(
        "Quota: {} of {} used{}; {} held for others.",
        format_bytes(status.used_bytes),
        format_bytes(status.quota_bytes),
        match status.pending_bytes {
            0 => String::new(),
            pending => format!(" and {} being stored", format_bytes(pending)),
        },
        format_bytes(status.held_for_others_bytes),
    ));
    if status.possession_checks_passed + status.possession_checks_failed > 0 {
        lines.push(format!(
            "Possession checks since the daemon started: {} passed, {} failed; {} lost chunks placed again.",
            status.possession_checks_passed, status.possession_checks_failed, status.chunks_mended
        ));
    }
    if let Some(end) = status.first_lease_end_ms {
        lines.push(format!("The first lease ends {}.", moment(end)));
    }
    lines.push(format!(
        "Daemon: process {}, up {}, {} log entries.",
        status.pid,
        format_duration_ms(status.uptime_ms / 1000 * 1000),
        status.decided
    ));
    for member in &status.members {
        let state = match (member.standing, member.up) {
            (MemberStanding::Expelled, _) => "OUT ",
            (MemberStanding::Suspended, _) => "SUSP",
            (MemberStanding::Live, true) => "up  ",
            (MemberStanding::Live, false) => "DOWN",
        };
        let bad = match member.bad_chunks {
            0 => String::new(),
            bad => format!(", RETURNED {bad} BAD CHUNKS"),
        };
        let slow = match (member.work_open, member.work_denied) {
            (0, 0) => String::new(),
            (_, 0) => ", SLOW: using the group as witness".to_owned(),
            (_, denied) => format!(", SILENT: the group waited in vain {denied} times"),
        };
        let why = member.last_error.as_ref().filter(|_| !member.up);
        let why = why.map_or(String::new(), |why| format!(" ({why})"));
        lines.push(format!(
            "  {state} {:<20} holds {} for me, I hold {}{bad}{slow}{why}",
            member.name,
            format_bytes(member.bytes_held_for_me),
            format_bytes(member.bytes_held_by_me),
        ));
    }
    lines
}
