//! Negative controls: groups that lack one precaution, which the experiment must flag (10.3).
//!
//! Guarantees: an experiment that finds nothing here has no power, and the report says so. "No slice
//! challenge" is level 2.

use super::experiment::{Ground, Options};
use super::frame::Frame;
use super::hostile::Foe;
use super::meter::Prices;
use super::rows::{self, Strategy};
use super::statistics::mean;
use crate::controls;
use crate::scenario::RuleSet;
use bart_rsm::{Lax, Rules};
use types::{Mode, Quorum};

/// What became of a control.
#[derive(Debug, Clone)]
pub struct Control {
    /// What is missing, and which row abuses it.
    pub name: String,
    /// What was seen.
    pub seen: String,
    /// Whether it was found profitable or harmful.
    pub flagged: bool,
}

/// A precaution left out and the row that abuses it.
struct Missing {
    name: &'static str,
    row: &'static str,
    lax: Lax,
    lists: bool,
    convicts: bool,
    command_len: usize,
    /// Members; more than `3f + 2` where the quorum must be smaller than all that can answer.
    nodes: Option<usize>,
}

/// Seeds against each behaviour.
const SEEDS: u64 = 30;

fn missing() -> Vec<Missing> {
    let lax = Lax::default();
    vec![
        Missing {
            name: "hasBubble as printed: reports are no duty",
            row: "RP-N1",
            lax: Lax { printed_has_bubble: true, ..lax },
            lists: true,
            convicts: true,
            command_len: 256,
            nodes: None,
        },
        Missing {
            name: "q = ceil((n+f)/2) at n = 3f+4 without listing",
            row: "MQ-5",
            lax,
            lists: false,
            convicts: true,
            command_len: 256,
            nodes: Some(7),
        },
        Missing {
            name: "read-acks are not padded, and a lie is no proof",
            row: "RA-D1",
            lax: Lax { unpadded_read_acks: true, ..lax },
            lists: true,
            convicts: false,
            command_len: 8_000,
            nodes: None,
        },
    ]
}

fn strategy(row: &str) -> Result<Strategy, String> {
    let found = rows::all().into_iter().find(|s| s.row == row && !s.variant.contains("p=0.1"));
    found.ok_or_else(|| format!("no strategy plays {row}"))
}

fn rules(lax: Lax) -> Rules {
    Rules::default().with_shared_verdicts().with_lax(lax)
}

/// The control's row pays by the report's criterion in the group that lacks the precaution.
fn pays(missing: &Missing, options: &Options) -> Result<Control, String> {
    let nodes = missing.nodes.unwrap_or(options.nodes);
    let f = Quorum::largest_f(nodes);
    let mut frame = Frame::new(nodes, f, Mode::QuasiSync, options.rotations)?;
    frame.rules = rules(missing.lax);
    frame.lists = missing.lists;
    frame.convicts = missing.convicts;
    frame.command_len = missing.command_len;
    let seeds = options.seeds_max.min(SEEDS);
    let options = Options { seeds, seeds_max: seeds, ..options.clone() };
    let ground = Ground::of(frame, &options)?;
    let strategy = strategy(missing.row)?;
    let found = ground.try_all(std::slice::from_ref(&strategy), &options, |_, _| {})?;
    let finding = found.first().ok_or("no finding")?;
    let resolved = resolved(missing, &strategy, &options)?;
    let worst = finding.lower > finding.eps;
    let strict = finding.strictly_positive();
    let seen = format!(
        "difference {:.2} [{:.2}, {:.2}], eps {:.2}; strictly positive against {} of {} behaviours ({} with the resolved rules); standing lost in {:.0} %",
        finding.difference,
        finding.lower,
        finding.upper,
        finding.eps,
        strict.len(),
        options.foes.len(),
        resolved,
        100.0 * finding.lost
    );
    let name = format!("{}; {}", missing.name, missing.row);
    Ok(Control { name, seen, flagged: worst || strict.len() > resolved })
}

/// Behaviours against which the same row is strictly positive with the resolved rules.
fn resolved(missing: &Missing, strategy: &Strategy, options: &Options) -> Result<usize, String> {
    let nodes = missing.nodes.unwrap_or(options.nodes);
    let f = Quorum::largest_f(nodes);
    let mut frame = Frame::new(nodes, f, Mode::QuasiSync, options.rotations)?;
    frame.command_len = missing.command_len;
    let ground = Ground::of(frame, options)?;
    let found = ground.try_all(std::slice::from_ref(strategy), options, |_, _| {})?;
    Ok(found.first().map_or(0, |finding| finding.strictly_positive().len()))
}

/// The control breaks agreement or termination in the simulator.
fn harms(name: &str, rules: RuleSet, options: &Options) -> Result<Control, String> {
    let control = controls::all().into_iter().find(|control| control.setting.rules == rules);
    let control = control.ok_or_else(|| format!("no control breaks {}", rules.name()))?;
    let verdict = controls::check(&control, 2_000, options.jobs)?;
    Ok(Control { name: name.into(), seen: verdict.to_string(), flagged: verdict.is_good() })
}

/// Fines without a cap: what Byzantine members can make a member that follows pay for is no longer
/// covered by the benefit (C1). With the cap the same proposals are refused.
fn unlimited(options: &Options) -> Result<Control, String> {
    let f = Quorum::largest_f(options.nodes);
    let foe = Foe::FineUnlimited;
    let seeds = options.seeds_max.min(6);
    let options = Options { seeds, seeds_max: seeds, foes: vec![foe], ..options.clone() };
    let mut costs = Vec::new();
    let mut worst = 0.0;
    for lax in [Lax { unlimited_untimely: true, ..Lax::default() }, Lax::default()] {
        let mut frame = Frame::new(options.nodes, f, Mode::QuasiSync, options.rotations)?;
        frame.rules = rules(lax);
        let ground = Ground::of(frame, &options)?;
        worst = ground.premises.worst_rotation(&Prices::FULL);
        let samples = ground.follow.values().flatten();
        costs.push(mean(samples.map(|s| s.full.cost)) / options.rotations.max(1) as f64);
    }
    let [without, with] = costs[..] else { return Err("two groups were tried".into()) };
    let seen = format!(
        "following costs {without:.0} units a rotation, {with:.0} with the cap; the benefit covers a worst rotation of {worst:.0}"
    );
    let flagged = without > worst && with <= worst;
    Ok(Control { name: "untimely marks without a cap; UN-D3".into(), seen, flagged })
}

/// All controls.
pub fn all(options: &Options) -> Result<Vec<Control>, String> {
    let mut found = incentives(options)?;
    found.push(unlimited(options)?);
    found.push(harms(
        "signatures without the instance (S must fail)",
        RuleSet::UnsignedInstance,
        options,
    )?);
    found.push(harms(
        "a proof does not start a turn (L must fail)",
        RuleSet::NoStartOnPol,
        options,
    )?);
    Ok(found)
}

/// The controls in which a row must pay.
pub fn incentives(options: &Options) -> Result<Vec<Control>, String> {
    missing().iter().map(|missing| pays(missing, options)).collect()
}
