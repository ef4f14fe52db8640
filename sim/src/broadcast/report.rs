//! One size of system: what was measured; and the table, the numbers and the picture of many.

// Results are files; nothing of a simulation reads them.
#![allow(clippy::disallowed_methods)]

use super::model::Model;
use super::samples::Draw;
use super::{certified, model};
use crate::figures::plot::{Figure, Mark, Series};
use ledger::params::{Plan, Sampling, Sizes, Target};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What was measured at one size.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub target: Target,
    pub sizes: Sizes,
    pub plan: Plan,
    pub fanout: usize,
    pub runs: u64,
    /// Runs in which each property was violated.
    pub validity: u64,
    pub echo_consistency: u64,
    pub consistency: u64,
    pub totality: u64,
    /// Runs in which gossip of a certificate alone missed somebody.
    pub missed: u64,
    /// Messages of one honest member in one broadcast, on average.
    pub sampled: f64,
    pub subscriptions: f64,
    pub quorum: f64,
    pub quorum_owner: u64,
    pub gossip: f64,
}

impl Row {
    /// The largest measured rate, and the property.
    pub fn worst(&self) -> (f64, &'static str) {
        let rates = [
            (self.validity, "validity"),
            (self.consistency, "consistency"),
            (self.totality, "totality"),
            (self.missed, "gossip of certificates"),
        ];
        let (count, name) = rates.into_iter().max_by_key(|(count, _)| *count).unwrap_or_default();
        (count as f64 / self.runs as f64, name)
    }

    /// Whether the largest rate is above epsilon by more than chance: so many violations or more would come in less
    /// than one of a thousand experiments if epsilon were the true rate.
    pub fn exceeds(&self) -> bool {
        let count = (self.worst().0 * self.runs as f64).round() as u64;
        at_least(self.runs, count, self.target.epsilon) < 1e-3
    }
}

/// The chance of `count` or more in `runs` draws that each hit with chance `each`.
fn at_least(runs: u64, count: u64, each: f64) -> f64 {
    let mut term = (runs as f64 * (-each).ln_1p()).exp();
    let mut below = 0.0;
    for hits in 0..count {
        below += term;
        term *= (runs - hits) as f64 / (hits + 1) as f64 * each / (1.0 - each);
    }
    1.0 - below
}

/// Plays `runs` broadcasts of each kind.
pub(super) fn measure(target: Target, runs: u64, seed: u64) -> Result<Row, String> {
    let plan = target.plan(Sampling::Distinct).map_err(|error| error.to_string())?;
    let plan = plan.ok_or("no samples up to everybody reach this epsilon")?;
    let fanout = target.fanout().map_err(|error| error.to_string())?;
    let (members, honest) = (target.members, target.members - target.byzantine_members());
    let sizes = plan.sizes;
    let quorum = certified::quorum(members, honest);
    let mut row = Row {
        target,
        sizes,
        plan,
        fanout,
        runs,
        validity: 0,
        echo_consistency: 0,
        consistency: 0,
        totality: 0,
        missed: 0,
        sampled: 0.0,
        subscriptions: 0.0,
        quorum: quorum.messages as f64 / honest as f64,
        quorum_owner: quorum.owner,
        gossip: 0.0,
    };
    let mut sends = model::Sends::default();
    let mut certificates = 0;
    for run in 0..runs {
        let mut draw = Draw::new(seed.wrapping_mul(1 << 32).wrapping_add(run), members);
        let samples = draw.samples(&sizes);
        let model = Model::new(&sizes, &samples, honest);
        let (delivered, sent) = model.honest_broadcast(0);
        sends.messages += sent.messages;
        sends.subscriptions += sent.subscriptions;
        row.validity += u64::from(delivered.contains(&false));
        let (two, both) = model.consistency(&draw.shuffled(honest));
        row.echo_consistency += u64::from(two);
        row.consistency += u64::from(both);
        row.totality += u64::from(model.totality(&draw.shuffled(honest)));
        let spread = certified::gossip(&mut draw, members, honest, fanout);
        row.missed += u64::from(spread.missed > 0);
        certificates += spread.messages;
    }
    let a_member = (runs as usize * honest) as f64;
    row.sampled = sends.messages as f64 / a_member;
    row.subscriptions = sends.subscriptions as f64 / a_member;
    row.gossip = certificates as f64 / a_member;
    Ok(row)
}

/// Numbers, one line a size.
fn csv(rows: &[Row]) -> String {
    let mut out = String::from(
        "members,byzantine,epsilon,runs,gossip,echo,echo_threshold,ready,ready_threshold,delivery,\
         delivery_threshold,fanout,validity_violations,echo_consistency_violations,consistency_violations,\
         totality_violations,gossip_missed,sampled_messages,sampled_subscriptions,certified_gossip_messages,\
         quorum_messages,quorum_owner_messages\n",
    );
    for row in rows {
        let (target, sizes) = (&row.target, &row.sizes);
        let _ = writeln!(
            out,
            "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{:.2},{:.2},{:.2},{:.2},{}",
            target.members,
            target.byzantine,
            target.epsilon,
            row.runs,
            sizes.gossip,
            sizes.echo,
            sizes.echo_threshold,
            sizes.ready,
            sizes.ready_threshold,
            sizes.delivery,
            sizes.delivery_threshold,
            row.fanout,
            row.validity,
            row.echo_consistency,
            row.consistency,
            row.totality,
            row.missed,
            row.sampled,
            row.subscriptions,
            row.gossip,
            row.quorum,
            row.quorum_owner,
        );
    }
    out
}

fn markdown(rows: &[Row], command: &str) -> String {
    let mut out = format!(
        "# Broadcasts: violations against epsilon, and messages\n\nMade by `{command}`. A run is one broadcast with fresh \
         samples. The adversary and what counts as a violation: `sim/src/broadcast/mod.rs`. Each rate is to be at most \
         epsilon; what was computed is a bound for the worst case, so that most are far below it.\n\n\
         | N | f | epsilon | runs | validity | consistency (echo layer) | totality | certificate missed somebody |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    for row in rows {
        let Target { members, byzantine, epsilon } = row.target;
        let rate = |count: u64| format!("{count} ({:.1e})", count as f64 / row.runs as f64);
        let _ = writeln!(
            out,
            "| {members} | {byzantine} | {epsilon:e} | {} | {} | {} ({}) | {} | {} |",
            row.runs,
            rate(row.validity),
            rate(row.consistency),
            row.echo_consistency,
            rate(row.totality),
            rate(row.missed),
        );
    }
    out.push_str(
        "\nMessages of one honest member in one broadcast, on average. Subscriptions of the sampled stack are apart: they are \
         sent before the broadcast. A quorum's owner sends two to everybody, the others one echo.\n\n\
         | N | sampled | its subscriptions | certified gossip | quorum | quorum's owner | Bracha (2N) |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in rows {
        let members = row.target.members;
        let (sampled, subscriptions, gossip) = (row.sampled, row.subscriptions, row.gossip);
        let _ = writeln!(
            out,
            "| {members} | {sampled:.1} | {subscriptions:.1} | {gossip:.1} | {:.1} | {} | {} |",
            row.quorum,
            row.quorum_owner,
            row.target.bracha_sends()
        );
    }
    out
}

fn figure(rows: &[Row]) -> Figure {
    let line = |name: &str, of: &dyn Fn(&Row) -> f64| Series {
        name: name.into(),
        mark: Mark::Line,
        points: rows
            .iter()
            .map(|row| ((row.target.members as f64).log10(), of(row).log10()))
            .collect(),
    };
    Figure {
        stem: "broadcast",
        title: "Messages of one member in one broadcast".into(),
        x: "members, logarithm to base 10",
        y: "messages, logarithm to base 10",
        series: vec![
            line("sampled (gossip, echo, ready)", &|row| row.sampled),
            line("certified gossip", &|row| row.gossip),
            line("quorum, average member", &|row| row.quorum),
            line("quorum, its owner", &|row| row.quorum_owner as f64),
            line("Bracha", &|row| row.target.bracha_sends() as f64),
        ],
    }
}

/// Writes `broadcast.md`, `.csv`, `.svg` and `.png`.
pub(super) fn write(rows: &[Row], command: &str, folder: &Path) -> Result<Vec<PathBuf>, String> {
    // The figure's own numbers are part of the larger table, which takes their place.
    let mut paths = figure(rows).write(folder)?;
    paths.retain(|path| path.extension().is_none_or(|ending| ending != "csv"));
    for (name, text) in [("broadcast.csv", csv(rows)), ("broadcast.md", markdown(rows, command))] {
        let path = folder.join(name);
        std::fs::write(&path, text)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        paths.push(path);
    }
    Ok(paths)
}
