//! A bandit over {send, skip, delay, alternative content} for each kind of message: a guard against a
//! list of deviations that forgot one (specification 10.3).
//!
//! Guarantees: it learns on some samples and is judged on others. It is small on purpose; that it finds
//! the negative controls is a test. Bounds: `PULLS` runs in each of `STAGES` stages.

use super::alter;
use super::experiment::{Finding, Ground, Options};
use super::play::{Act, Place, Play, Rule, Victim};
use super::rows::{Column, Consequence, Strategy};
use bart_rsm::Selfish;
use types::{Kind, Mode};

/// Runs in one stage.
const PULLS: usize = 320;
/// Messages that the learned policy may treat in its own way.
const STAGES: usize = 2;
/// Rewards are cut off here: how much is lost by being excluded teaches nothing more.
const REWARD_MAX: f64 = 20.0;

/// The kinds that a bandit plays with; a slice each, as rules want them.
const KINDS: [&[Kind]; 12] = [
    &[Kind::SetTurn],
    &[Kind::Read],
    &[Kind::ReadAck],
    &[Kind::Agree],
    &[Kind::AgreeAck],
    &[Kind::Write],
    &[Kind::WriteAck],
    &[Kind::ShowQuorum],
    &[Kind::ShowDecision],
    &[Kind::ReportDecision],
    &[Kind::Penance],
    &[Kind::Catchup],
];

struct Arm {
    rule: Rule,
    name: String,
    pulls: f64,
    sum: f64,
}

fn arms() -> Vec<Arm> {
    let acts =
        [(Act::Skip, "skip"), (Act::Delay(2_000), "delay"), (Act::Alter(alter::cheapest), "alter")];
    let arm = |kinds: &'static [Kind], act, name: &str| Arm {
        rule: Rule { kinds, place: Place::Any, victim: Victim::All, act, per_mille: 1000 },
        name: format!("{name} {:?}", kinds[0]),
        pulls: 0.0,
        sum: 0.0,
    };
    KINDS.iter().flat_map(|kinds| acts.map(|(act, name)| arm(kinds, act, name))).collect()
}

fn strategy(play: Play, variant: String) -> Strategy {
    Strategy {
        row: "learned".into(),
        variant,
        step: "any",
        column: Column::Different,
        play,
        selfish: Selfish { lenient: true, ..Selfish::default() },
        mode: Mode::QuasiSync,
        must: Vec::new(),
        may: vec![
            Consequence::Bubble,
            Consequence::Penance,
            Consequence::Drop,
            Consequence::Null,
            Consequence::Pom,
        ],
        unbuilt: None,
    }
}

/// UCB1: the arm whose mean may still be the best.
fn next(arms: &[Arm], total: f64) -> usize {
    let bound = |arm: &Arm| match arm.pulls {
        0.0 => f64::INFINITY,
        pulls => arm.sum / pulls + REWARD_MAX * (2.0 * f64::ln(total) / pulls).sqrt() / 4.0,
    };
    let best = (0..arms.len()).max_by(|a, b| bound(&arms[*a]).total_cmp(&bound(&arms[*b])));
    best.unwrap_or(0)
}

/// Learns a policy, message by message; without any gain it follows.
pub fn learn(ground: &Ground, options: &Options) -> Result<Strategy, String> {
    let mut play = Play::default();
    let mut names = Vec::new();
    for stage in 0..STAGES {
        let mut arms = arms();
        for pull in 0..PULLS {
            let choice = next(&arms, pull as f64 + 1.0);
            let foe = options.foes[(pull * 7 + stage) % options.foes.len()];
            let tried = Play::one(arms[choice].rule).and(&play);
            let seed = (pull as u64 * 5) % options.seeds_max;
            let gain = ground.gain(&strategy(tried, String::new()), foe, seed, options)?;
            arms[choice].pulls += 1.0;
            arms[choice].sum += gain.clamp(-REWARD_MAX, REWARD_MAX);
        }
        let mean = |arm: &Arm| if arm.pulls < 4.0 { f64::MIN } else { arm.sum / arm.pulls };
        let best = arms.iter().max_by(|a, b| mean(a).total_cmp(&mean(b)));
        match best.filter(|arm| mean(arm) > 0.0) {
            Some(arm) => {
                play = Play::one(arm.rule).and(&play);
                names.push(arm.name.clone());
            }
            None => break,
        }
    }
    let variant = if names.is_empty() { "to follow".into() } else { names.join(", ") };
    Ok(strategy(play, variant))
}

/// Judges a learned policy on samples that it did not learn from.
pub fn judge(learned: &Strategy, options: &Options) -> Result<Finding, String> {
    let options = Options { from: options.from + options.seeds_max, ..options.clone() };
    let ground = Ground::new(&options, learned.mode)?;
    let found = ground.try_all(std::slice::from_ref(learned), &options, |_, _| {})?;
    let mut finding = found.into_iter().next().ok_or("a strategy has a finding")?;
    // Following never acts, and that is no contradiction.
    finding.mismatches.retain(|what| !what.starts_with("never had"));
    Ok(finding)
}
