//! Figure 5: one member cannot be reached for an hour and comes back.
//!
//! The paper has one group of four, which tolerates no fault; there every rotation with the missing
//! member counts as a fault above `f`, and the base timeout grows (specification 3.7). Five members
//! tolerate one. Both are shown.

use super::plot::{Figure, Mark, Series};
use super::quiet::{Quiet, Setting};
use bart_rsm::Params;
use std::collections::BTreeMap;
use types::Slot;

/// When the member goes, s.
const GONE_S: u64 = 300;
/// How long it stays away, s.
const AWAY_S: u64 = 3_600;
/// How long we watch it afterwards, s.
const AFTER_S: u64 = 600;
/// A point of the picture every so often, s.
const STEP_S: u64 = 5;
/// Somebody submits a command every so often, ms.
const COMMAND_EVERY_MS: u64 = 1_000;
/// One way, ms; a consensus then takes about as long as the paper's.
const DELAY_MS: u64 = 10;

/// What one absence cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Absence {
    /// Members.
    pub nodes: u16,
    /// Instances that the group decided meanwhile.
    pub missed: u64,
    /// From its return until it had decided everything that the group had, ms; none if it had not
    /// when we stopped watching.
    pub caught_up_ms: Option<u64>,
}

/// The course of one absence.
pub fn course(nodes: u16) -> Result<(Absence, [Series; 2]), String> {
    let setting = Setting {
        nodes,
        delay_ms: DELAY_MS,
        params: Params { v_max: types::limits::PROPOSAL_LEN_MIN, ..Params::default() },
        slow: BTreeMap::new(),
    };
    let mut group = Quiet::new(setting)?;
    let (away, other) = (Slot(nodes - 1), Slot(0));
    let (back_ms, end_ms) = ((GONE_S + AWAY_S) * 1000, (GONE_S + AWAY_S + AFTER_S) * 1000);
    let (mut points, mut others) = (Vec::new(), Vec::new());
    let (mut before, mut missed, mut caught_up_ms) = (0, 0, None);
    let mut at_ms = 0;
    while at_ms < end_ms {
        if at_ms == GONE_S * 1000 {
            group.set_reachable(away, false);
            before = group.decided(other);
        }
        if at_ms == back_ms {
            group.set_reachable(away, true);
            missed = group.decided(other) - before;
        }
        let member = Slot((at_ms / COMMAND_EVERY_MS % u64::from(nodes - 1)) as u16);
        group.submit(member, at_ms.to_le_bytes().to_vec());
        at_ms += COMMAND_EVERY_MS;
        group.run_until(at_ms);
        let (mine, theirs) = (group.decided(away), group.decided(other));
        if at_ms > back_ms && caught_up_ms.is_none() && mine + u64::from(nodes) > theirs {
            caught_up_ms = Some(at_ms - back_ms);
        }
        if at_ms % (STEP_S * 1000) == 0 {
            others.push((at_ms as f64 / 1000.0, theirs as f64));
            points.push((at_ms as f64 / 1000.0, mine as f64));
        }
    }
    let series = |name: String, points| Series { name, mark: Mark::Line, points };
    let absence = Absence { nodes, missed, caught_up_ms };
    Ok((
        absence,
        [
            series(format!("the group, n = {nodes}"), others),
            series(format!("the member that was away, n = {nodes}"), points),
        ],
    ))
}

/// The figure, and one line a group about it.
pub fn figure() -> Result<(Figure, Vec<String>), String> {
    let (mut series, mut lines) = (Vec::new(), Vec::new());
    for nodes in [4, 5] {
        let (absence, courses) = course(nodes)?;
        let back_s = (GONE_S + AWAY_S) as f64;
        if nodes == 4 {
            let y = courses[0].points.last().map_or(0.0, |(_, y)| *y);
            let points = vec![(back_s + 120.0, y)];
            let name = "paper, n = 4: caught up less than 120 s after its return".into();
            series.push(Series { name, mark: Mark::Points, points });
        }
        series.extend(courses);
        lines.push(match absence.caught_up_ms {
            Some(ms) => format!(
                "figure 5, n = {nodes}: {} instances missed in an hour, caught up within {} s (paper: under 120 s)",
                absence.missed,
                ms.div_ceil(1000)
            ),
            None => format!(
                "figure 5, n = {nodes}: {} instances missed in an hour, NOT caught up after {AFTER_S} s",
                absence.missed
            ),
        });
    }
    let title = "Figure 5: a member is away for an hour (virtual time, 10 ms links)".into();
    let (x, y) = ("time, s", "instances decided");
    Ok((Figure { stem: "figure-5", title, x, y, series }, lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Acceptance test 6 of the specification, on 10 ms links.
    #[test]
    fn member_of_five_that_was_away_for_an_hour_is_back_in_two_minutes() {
        let (absence, _) = course(5).unwrap();
        assert!(absence.missed > 100, "{absence:?}");
        assert!(absence.caught_up_ms.is_some_and(|ms| ms < 120_000), "{absence:?}");
    }
}
