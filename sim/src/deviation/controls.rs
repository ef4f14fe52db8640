//! Negative controls: groups that lack one precaution, which the experiment must flag (10.3).
//!
//! Guarantees: an experiment that finds nothing here has no power, and the report says so. "No slice
//! challenge" is level 2.

use super::experiment::{Against, Finding, Ground, Options, Verdict};
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
    /// Whether it was found profitable or harmful; none where the rule that it lacks is not built.
    pub flagged: Option<bool>,
}

/// A precaution left out and the row that abuses it.
struct Missing {
    name: &'static str,
    /// Row and parameters.
    strategy: &'static str,
    lax: Lax,
    lists: bool,
    convicts: bool,
    /// Commands of a proposal and bytes of each.
    commands: (usize, usize),
    /// Members, and the Byzantine ones among them that are tolerated.
    group: Option<(usize, usize)>,
    /// Whether some samples of the network have an outage.
    outages: bool,
    /// Behaviours; none means all.
    foes: &'static [Foe],
    /// Whether only those behaviours count against which the row has occasions.
    where_it_acts: bool,
}

/// Seeds against each behaviour.
const SEEDS: u64 = 30;
/// A row has occasions against a behaviour if it acts in this share of the samples.
const OCCASIONS: f64 = 0.5;

fn missing() -> Vec<Missing> {
    let lax = Lax::default();
    let base = Missing {
        name: "",
        strategy: "",
        lax,
        lists: true,
        convicts: true,
        commands: (1, 256),
        group: None,
        outages: true,
        foes: &[],
        where_it_acts: false,
    };
    vec![
        Missing {
            name: "hasBubble as printed: reports are no duty",
            strategy: "RP-N1 p=1",
            lax: Lax { printed_has_bubble: true, ..lax },
            // A report is small: it would drown in `eps` where each rotation has turns above 0.
            foes: &[Foe::Absent, Foe::Follow],
            ..base
        },
        // Each member that is not served is one less for the quorum of one's own proposals. An outage on
        // top is one too many at n = 3f+4, so the outages are left out. The member that is not served is a
        // distant one in the rotation: the next one could not enter its own instance for lack of the
        // decision, and the deviator would pay for the turns that follow.
        Missing {
            name: "q = ceil((n+f)/2) at n = 3f+4 without listing, no outages",
            strategy: "MQ-5 sends nothing to a distant one lenient",
            lists: false,
            group: Some((7, 1)),
            outages: false,
            // A Byzantine member that is silent towards the deviator leaves it exactly a quorum, and chance
            // decides about its proposals: 13 behaviours with 30 seeds do not separate that from eps.
            foes: &[Foe::Absent, Foe::Follow],
            ..base
        },
        // The lie saves the body, so bodies are large here; and somebody must have read for it to be told.
        Missing {
            name: "read-acks are not padded, and a lie is no proof; large proposals",
            strategy: "RA-D1 p=1",
            lax: Lax { unpadded_read_acks: true, ..lax },
            convicts: false,
            commands: (7, 8_000),
            where_it_acts: true,
            ..base
        },
    ]
}

fn strategy(name: &str) -> Result<Strategy, String> {
    let found = rows::all().into_iter().find(|s| s.name() == name);
    found.ok_or_else(|| format!("no strategy is named {name}"))
}

fn rules(lax: Lax) -> Rules {
    Rules::default().with_shared_verdicts().with_lax(lax)
}

/// A group with or without the precaution.
fn frame(missing: &Missing, options: &Options, lacks: bool) -> Result<Frame, String> {
    let (nodes, f) = missing.group.unwrap_or((options.nodes, Quorum::largest_f(options.nodes)));
    let mut frame = Frame::new(nodes, f, Mode::QuasiSync, options.rotations)?;
    (frame.commands, frame.command_len) = missing.commands;
    frame.outages = missing.outages;
    if lacks {
        frame.rules = rules(missing.lax);
        frame.lists = missing.lists;
        frame.convicts = missing.convicts;
    }
    Ok(frame)
}

/// The control's row pays in the group that lacks the precaution, and not in the one that has it. Both are
/// judged by the criterion of the experiment, the least over the behaviours that count.
fn pays(missing: &Missing, options: &Options) -> Result<Control, String> {
    let seeds = options.seeds_max.min(SEEDS);
    let mut options = Options { seeds, seeds_max: seeds, family: 1, ..options.clone() };
    if !missing.foes.is_empty() {
        options.foes = missing.foes.to_vec();
    }
    let strategy = strategy(missing.strategy)?;
    let find = |lacks, options: &Options| -> Result<Finding, String> {
        let ground = Ground::of(frame(missing, options, lacks)?, options)?;
        let found = ground.try_all(std::slice::from_ref(&strategy), options, |_, _| {})?;
        found.into_iter().next().ok_or_else(|| "no finding".to_owned())
    };
    let mut without = find(true, &options)?;
    if missing.where_it_acts {
        let acts = |a: &&Against| a.acted >= OCCASIONS;
        options.foes = without.against.iter().filter(acts).map(|a| a.foe).collect();
        if !options.foes.is_empty() {
            without = find(true, &options)?;
        }
    }
    let with = find(false, &options)?;
    let tell = |f: &Finding| {
        format!(
            "{:.2} [{:.2}, {:.2}], eps {:.2}, strictly positive against {} of {}, standing lost in {:.0} %",
            f.difference,
            f.lower,
            f.upper,
            f.eps,
            f.strictly_positive().len(),
            f.against.len(),
            100.0 * f.lost
        )
    };
    let foes: Vec<&str> = options.foes.iter().map(|foe| foe.name()).collect();
    let seen = format!(
        "against {}, {seeds} seeds each: without it {}; with it {}",
        foes.join(" "),
        tell(&without),
        tell(&with)
    );
    let name = format!("{}; {}", missing.name, missing.strategy);
    let flagged = without.verdict == Verdict::Pays && with.verdict == Verdict::DoesNotPay;
    Ok(Control { name, seen, flagged: Some(flagged) })
}

/// The control breaks agreement or termination in the simulator.
fn harms(name: &str, rules: RuleSet, options: &Options) -> Result<Control, String> {
    let control = controls::all().into_iter().find(|control| control.setting.rules == rules);
    let control = control.ok_or_else(|| format!("no control breaks {}", rules.name()))?;
    let verdict = controls::check(&control, 2_000, options.jobs)?;
    Ok(Control { name: name.into(), seen: verdict.to_string(), flagged: Some(verdict.is_good()) })
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
    let flagged = Some(without > worst && with <= worst);
    Ok(Control { name: "untimely marks without a cap; UN-D3".into(), seen, flagged })
}

/// All controls.
pub fn all(options: &Options) -> Result<Vec<Control>, String> {
    let mut found = incentives(options)?;
    found.push(unlimited(options)?);
    // The rule that this control lacks is not there to be left out.
    found.push(Control {
        name: "no discharge at n = 3f+4; BL-D1".into(),
        seen: rows::LISTING.into(),
        flagged: None,
    });
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

/// The first of them, which needs the fewest runs.
pub fn cheapest(options: &Options) -> Result<Vec<Control>, String> {
    missing().iter().take(1).map(|missing| pays(missing, options)).collect()
}
