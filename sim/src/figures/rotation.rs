//! Figure 6: what a slow sender costs when the role of sender rotates.
//!
//! A slow sender proposes just before the others' timers end, so that it is never found out. Under
//! rotation it delays one instance of every rotation, whoever it is.

use super::plot::{Figure, Mark, Series};
use super::quiet::{Quiet, Setting};
use bart_rsm::Params;
use std::collections::BTreeMap;
use types::Slot;

/// Members; one of them may be Byzantine.
const NODES: u16 = 5;
/// Length of the experiment, s.
const LENGTH_S: u64 = 600;
/// One way, ms.
const DELAY_MS: u64 = 10;
/// The base timeout of the specification, ms.
const T0_MS: u64 = 10_000;
/// How late a slow sender proposes, ms: just inside the others' timers.
const LATE_MS: u64 = T0_MS * 9 / 10;

/// Instances decided over time with so many slow senders.
pub fn course(slow: u16) -> Result<Series, String> {
    let params =
        Params { v_max: types::limits::PROPOSAL_LEN_MIN, t0_min_ms: T0_MS, ..Params::default() };
    let slow_slots: BTreeMap<Slot, u64> = (0..slow).map(|slot| (Slot(slot), LATE_MS)).collect();
    let setting = Setting { nodes: NODES, delay_ms: DELAY_MS, params, slow: slow_slots };
    let mut group = Quiet::new(setting)?;
    let mut points = vec![(0.0, 0.0)];
    for second in 1..=LENGTH_S {
        // Everybody always has something to propose, so nobody idles.
        for slot in 0..NODES {
            group.submit(Slot(slot), vec![1]);
        }
        group.run_until(second * 1000);
        let most = (0..NODES).map(|slot| group.decided(Slot(slot))).max().unwrap_or(0);
        points.push((second as f64, most as f64));
    }
    let name = match slow {
        0 => "rotating sender, nobody slow".into(),
        _ => format!("rotating sender, {slow} of {NODES} slow (never late enough to be timed out)"),
    };
    Ok(Series { name, mark: Mark::Line, points })
}

/// The figure, and what it says in lines.
pub fn figure() -> Result<(Figure, Vec<String>), String> {
    let series = vec![course(0)?, course(1)?];
    let lines = series
        .iter()
        .map(|series| {
            let last = series.points.last().map_or(0.0, |(_, y)| *y);
            format!("figure 6, {}: {last} instances in {LENGTH_S} s", series.name)
        })
        .collect();
    let title = "Figure 6: slow senders (virtual time, 10 ms links, T0 = 10 s)".into();
    let (x, y) = ("time, s", "instances decided");
    Ok((Figure { stem: "figure-6", title, x, y, series }, lines))
}
