//! The equilibrium test (specification 10.3): paired seeds, both criteria, bounds.
//!
//! Guarantees: (1) each strategy is tried on the same samples as following; (2) the number of samples
//! doubles from [`Options::seeds`] to [`Options::seeds_max`] and a row that had occasions stops as soon as it is decided, by
//! bounds that hold for all rows and all these looks together (`statistics`); (3) a row that is not
//! decided at the cap is [`Verdict::Undecided`], with which the experiment does not pass.

use super::assertions::Premises;
use super::frame::Frame;
use super::hostile::Foe;
use super::meter::Prices;
use super::rows::{Consequence, Strategy};
use super::statistics::{Bootstrap, LEVEL, RESAMPLES, RESAMPLES_SHARED, mean};
use super::trial::{self, Worth};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use types::{Mode, Quorum};

/// What the caller chooses.
#[derive(Debug, Clone)]
pub struct Options {
    /// Members.
    pub nodes: usize,
    /// Rotations of the horizon.
    pub rotations: u64,
    /// Seeds against each Byzantine behaviour, at first.
    pub seeds: u64,
    /// Seeds against each Byzantine behaviour, at most.
    pub seeds_max: u64,
    /// The first seed.
    pub from: u64,
    /// Threads.
    pub jobs: usize,
    /// Byzantine behaviours.
    pub foes: Vec<Foe>,
    /// Rows that are judged together.
    pub family: usize,
}

impl Options {
    /// How often a row may be judged: after each doubling of its samples.
    pub fn looks(&self) -> u64 {
        let doublings = (self.seeds_max / self.seeds.max(1)).max(1).ilog2();
        let exact = self.seeds << doublings >= self.seeds_max;
        u64::from(doublings) + if exact { 1 } else { 2 }
    }

    /// The level of one judgement.
    pub fn level(&self) -> f64 {
        LEVEL / (self.family.max(1) as f64 * self.looks() as f64)
    }
}

/// `eps`, as a share of what following costs.
pub const EPS: f64 = 0.005;
/// `V_cont` in rotations.
const CONTINUATION_ROTATIONS: f64 = 1_000.0;
/// A duty that is open for so much longer than when following counts as a bubble, ms.
const BUBBLE_MS: u64 = 40_000;

/// One sample of a strategy or of following.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// With the prices of 10.1.
    pub full: Worth,
    /// With verification for free.
    pub paper: Worth,
    /// How often the protocol was left.
    pub acted: u64,
    /// No two members that follow decided differently.
    pub safe: bool,
    /// The members that follow decided in time and owe each other nothing.
    pub live: bool,
    owed_longest_ms: u64,
    listed: bool,
    proven: bool,
    dropped: u64,
    own_null: u64,
    penance: u64,
}

/// All samples of one strategy: for each Byzantine behaviour, seed by seed.
pub type Samples = BTreeMap<Foe, Vec<Sample>>;

/// A group in one mode, and what following is worth in it.
pub struct Ground {
    /// The group.
    pub frame: Frame,
    /// Its figures.
    pub premises: Premises,
    /// Following.
    pub follow: Samples,
    /// `V_cont`.
    pub continuation: f64,
}

/// What was found about a strategy against one Byzantine behaviour.
#[derive(Debug, Clone)]
pub struct Against {
    /// The behaviour.
    pub foe: Foe,
    /// Mean difference to following.
    pub mean: f64,
    /// Share of the runs in which the strategy acted.
    pub acted: f64,
    /// The same with free verification.
    pub mean_paper: f64,
    /// One-sided bounds, for all behaviours together.
    pub lower: f64,
    /// One-sided bounds, for all behaviours together.
    pub upper: f64,
    /// `eps` here.
    pub eps: f64,
}

/// How a strategy fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The upper bound is at most `eps`.
    DoesNotPay,
    /// The samples do not separate it from `eps`: more are needed.
    Undecided,
    /// The lower bound is above `eps`.
    Pays,
}

/// What was found about a strategy.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The strategy.
    pub strategy: Strategy,
    /// Pairs of runs.
    pub pairs: u64,
    /// `min_Z mean_w U(D) - min_Z mean_w U(follow)`.
    pub difference: f64,
    /// The same with free verification.
    pub difference_paper: f64,
    /// One-sided bounds of the difference, for all rows together.
    pub lower: f64,
    /// One-sided bounds of the difference, for all rows together.
    pub upper: f64,
    /// `eps`: a share of the cost of following in the worst case.
    pub eps: f64,
    /// By the report's criterion.
    pub verdict: Verdict,
    /// Against each behaviour: the strict criterion.
    pub against: Vec<Against>,
    /// Share of the runs in which it acted that showed each consequence.
    pub consequences: BTreeMap<Consequence, f64>,
    /// Share of the runs in which it acted at all.
    pub acted: f64,
    /// Share of the runs in which the members that follow finished in time.
    pub live: f64,
    /// Share of the runs in which it lost its standing.
    pub lost: f64,
    /// Whether no run showed a disagreement.
    pub safe: bool,
    /// Whether the members that follow finished in every run without a Byzantine member.
    pub live_alone: bool,
    /// What did not match section 9, in words.
    pub mismatches: Vec<String>,
}

impl Finding {
    /// Runs in which it acted.
    fn acting(&self) -> f64 {
        self.acted * self.pairs as f64
    }

    /// Behaviours against which it is better than following by more than `eps`, surely.
    pub fn strictly_positive(&self) -> Vec<&Against> {
        self.against.iter().filter(|a| a.lower > a.eps).collect()
    }
}

/// Runs jobs on threads; results in the order of the jobs.
pub fn in_parallel<J: Sync, R: Send>(
    jobs: &[J],
    threads: usize,
    work: impl Fn(&J) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let (results, arrived) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, 64) {
            let (results, next, work) = (results.clone(), &next, &work);
            scope.spawn(move || {
                while let Some((index, job)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, jobs.get(i)?)))
                {
                    if results.send((index, work(job))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(results);
        let sorted: BTreeMap<usize, R> = arrived.into_iter().collect();
        sorted.into_values().collect()
    })
}

impl Ground {
    /// A group with following played on `options.seeds_max` samples of each behaviour.
    pub fn new(options: &Options, mode: Mode) -> Result<Self, String> {
        let f = Quorum::largest_f(options.nodes);
        Self::of(Frame::new(options.nodes, f, mode, options.rotations)?, options)
    }

    /// The same for a frame that was changed.
    pub fn of(frame: Frame, options: &Options) -> Result<Self, String> {
        let premises = frame.premises();
        let mut ground = Self { frame, premises, follow: Samples::new(), continuation: 0.0 };
        let wanted: Vec<_> =
            options.foes.iter().map(|foe| (None, *foe, 0..options.seeds_max)).collect();
        let played = ground.play(&wanted, options)?;
        for (foe, samples) in options.foes.iter().zip(played) {
            ground.follow.insert(*foe, samples);
        }
        let rotations = options.rotations.max(1) as f64;
        let all = ground.follow.values().flatten();
        let each = mean(all.map(|sample| sample.full.utility(0.0))) / rotations;
        ground.continuation = CONTINUATION_ROTATIONS * each;
        Ok(ground)
    }

    fn sample(&self, strategy: Option<&Strategy>, foe: Foe, seed: u64) -> Result<Sample, String> {
        let run = trial::play(&self.frame, strategy, foe, seed)?;
        let worth = |prices| Worth::of(&self.frame, &self.premises, prices, foe, &run);
        Ok(Sample {
            full: worth(&Prices::FULL),
            paper: worth(&Prices::PAPER),
            acted: run.acted,
            safe: run.safe,
            live: run.live,
            owed_longest_ms: run.owed_longest_ms,
            listed: !run.listed_by.is_empty(),
            proven: run.proven.is_some(),
            dropped: run.dropped + run.blamed_by.len() as u64,
            own_null: run.own_null,
            penance: run.penance,
        })
    }

    /// What one sample of a strategy gained over following, standing included.
    pub fn gain(
        &self,
        strategy: &Strategy,
        foe: Foe,
        seed: u64,
        options: &Options,
    ) -> Result<f64, String> {
        let sample = self.sample(Some(strategy), foe, options.from + seed)?;
        let follow = self.follow.get(&foe).and_then(|all| all.get(seed as usize));
        let follow = follow.ok_or("following was not played on this sample")?;
        let value = |s: &Sample| s.full.utility(self.continuation);
        Ok(value(&sample) - value(follow))
    }

    /// Plays many samples, on all threads.
    #[allow(clippy::type_complexity)] // Who, against whom, which seeds.
    fn play(
        &self,
        wanted: &[(Option<&Strategy>, Foe, std::ops::Range<u64>)],
        options: &Options,
    ) -> Result<Vec<Vec<Sample>>, String> {
        let mut jobs: Vec<_> = wanted
            .iter()
            .enumerate()
            .flat_map(|(index, (who, foe, seeds))| {
                seeds.clone().map(move |seed| (index, *who, *foe, seed))
            })
            .collect();
        // Runs of one sample have much in common, and what was verified once is remembered.
        jobs.sort_by_key(|(index, _, foe, seed)| (*seed, *foe, *index));
        let played = in_parallel(&jobs, options.jobs, |(_, who, foe, seed)| {
            self.sample(*who, *foe, options.from + seed)
        });
        let mut all = vec![Vec::new(); wanted.len()];
        for ((index, ..), sample) in jobs.iter().zip(played) {
            all[*index].push(sample?);
        }
        Ok(all)
    }

    /// Tries strategies until each is decided or the cap is reached.
    pub fn try_all(
        &self,
        strategies: &[Strategy],
        options: &Options,
        mut told: impl FnMut(usize, usize),
    ) -> Result<Vec<Finding>, String> {
        let mut samples: Vec<Samples> = vec![Samples::new(); strategies.len()];
        let mut findings: BTreeMap<usize, Finding> = BTreeMap::new();
        let mut open: Vec<usize> = (0..strategies.len()).collect();
        let (mut from, mut upto) = (0, options.seeds.min(options.seeds_max));
        while !open.is_empty() {
            told(open.len(), upto as usize);
            let wanted: Vec<_> = open
                .iter()
                .flat_map(|index| {
                    let foes = options.foes.iter();
                    foes.map(move |foe| (Some(&strategies[*index]), *foe, from..upto))
                })
                .collect();
            let mut played = self.play(&wanted, options)?.into_iter();
            for index in &open {
                for foe in &options.foes {
                    let more = played.next().unwrap_or_default();
                    samples[*index].entry(*foe).or_default().extend(more);
                }
            }
            let judged = in_parallel(&open, options.jobs, |index| {
                (*index, self.judge(&strategies[*index], &samples[*index], options.level()))
            });
            findings.extend(judged);
            if upto >= options.seeds_max {
                break;
            }
            // Who hardly ever had an occasion was hardly tried.
            open.retain(|index| {
                let finding = &findings[index];
                finding.verdict == Verdict::Undecided || finding.acting() < ACTING_MIN
            });
            (from, upto) = (upto, (upto * 2).min(options.seeds_max));
        }
        Ok(findings.into_values().collect())
    }

    /// Judges one strategy by its samples.
    fn judge(&self, strategy: &Strategy, samples: &Samples, level: f64) -> Finding {
        let v_cont = self.continuation;
        let count = samples.values().map(Vec::len).min().unwrap_or(0);
        let value = |s: &Sample| s.full.utility(v_cont);
        // [behaviour][seed]: following, deviating.
        let table: Vec<[Vec<f64>; 2]> = samples
            .iter()
            .map(|(foe, own)| {
                let follow = self.follow.get(foe).map(|all| all.iter().take(count).map(value));
                let own = own.iter().take(count).map(value).collect();
                [follow.into_iter().flatten().collect(), own]
            })
            .collect();
        let worst = |rows: &[[Vec<f64>; 2]], indices: &[usize]| {
            let low = |which: usize| {
                rows.iter()
                    .map(|row| mean(indices.iter().map(|i| row[which][*i])))
                    .fold(f64::INFINITY, f64::min)
            };
            low(1) - low(0)
        };
        let all: Vec<usize> = (0..count).collect();
        let boot = Bootstrap::new(count, RESAMPLES_SHARED, 1, |indices| worst(&table, indices));
        let eps = EPS * self.worst_follow(samples, count);
        let (lower, upper) = (boot.lower(level), boot.upper(level));
        let against = self.against(samples, count);
        let paper = {
            let low = |samples: &Samples| {
                let means = samples
                    .values()
                    .map(|all| mean(all.iter().take(count).map(|s| s.paper.utility(v_cont))));
                means.fold(f64::INFINITY, f64::min)
            };
            let follow = self.follow.iter().filter(|(foe, _)| samples.contains_key(foe));
            low(samples) - low(&follow.map(|(foe, all)| (*foe, all.clone())).collect())
        };
        let runs: Vec<&Sample> = samples.values().flatten().collect();
        let share = |which: &dyn Fn(&Sample) -> bool| {
            mean(runs.iter().map(|s| f64::from(u8::from(which(s)))))
        };
        let mut finding = Finding {
            strategy: strategy.clone(),
            pairs: runs.len() as u64,
            difference: worst(&table, &all),
            difference_paper: paper,
            lower,
            upper,
            eps,
            verdict: match () {
                () if upper <= eps => Verdict::DoesNotPay,
                () if lower > eps => Verdict::Pays,
                () => Verdict::Undecided,
            },
            against,
            consequences: self.consequences(samples),
            acted: share(&|s| s.acted > 0),
            live: share(&|s| s.live),
            lost: share(&|s| !s.full.standing),
            safe: runs.iter().all(|s| s.safe),
            live_alone: samples.get(&Foe::Absent).is_none_or(|all| all.iter().all(|s| s.live)),
            mismatches: Vec::new(),
        };
        finding.mismatches = mismatches(&finding);
        finding
    }

    /// What following costs where it is worth least.
    fn worst_follow(&self, samples: &Samples, count: usize) -> f64 {
        let tried = self.follow.iter().filter(|(foe, _)| samples.contains_key(foe));
        let worst = tried.map(|(_, all)| all).min_by(|a, b| {
            let worth = |all: &[Sample]| mean(all.iter().take(count).map(|s| s.full.utility(0.0)));
            worth(a).total_cmp(&worth(b))
        });
        worst.map_or(0.0, |all| mean(all.iter().take(count).map(|s| s.full.cost)))
    }

    fn against(&self, samples: &Samples, count: usize) -> Vec<Against> {
        let mut found = Vec::new();
        for (foe, own) in samples {
            let Some(follow) = self.follow.get(foe) else { continue };
            let pairs = || follow.iter().zip(own).take(count);
            let v_cont = self.continuation;
            let differences: Vec<f64> = pairs()
                .map(|(follow, own)| own.full.utility(v_cont) - follow.full.utility(v_cont))
                .collect();
            let paper = pairs()
                .map(|(follow, own)| own.paper.utility(v_cont) - follow.paper.utility(v_cont));
            let boot = Bootstrap::new(count, RESAMPLES, 2, |indices| {
                mean(indices.iter().map(|i| differences[*i]))
            });
            let level = LEVEL / samples.len() as f64;
            found.push(Against {
                foe: *foe,
                mean: mean(differences.iter().copied()),
                mean_paper: mean(paper),
                acted: mean(own.iter().take(count).map(|s| f64::from(u8::from(s.acted > 0)))),
                lower: boot.lower(level),
                upper: boot.upper(level),
                eps: EPS * mean(follow.iter().take(count).map(|s| s.full.cost)),
            });
        }
        found
    }

    /// Share of the runs with an act that showed each consequence more than following does.
    fn consequences(&self, samples: &Samples) -> BTreeMap<Consequence, f64> {
        let mut counts: BTreeMap<Consequence, f64> = BTreeMap::new();
        let mut runs = 0.0;
        for (foe, own) in samples {
            let Some(follow) = self.follow.get(foe) else { continue };
            for (follow, own) in follow.iter().zip(own).filter(|(_, own)| own.acted > 0) {
                runs += 1.0;
                let waited = own.owed_longest_ms > follow.owed_longest_ms + BUBBLE_MS;
                let shown = [
                    (Consequence::Bubble, own.listed || waited),
                    (Consequence::Penance, own.penance > follow.penance),
                    (Consequence::Drop, own.dropped > follow.dropped),
                    (Consequence::Null, own.own_null > follow.own_null),
                    (Consequence::Pom, own.proven),
                ];
                for (consequence, shown) in shown {
                    *counts.entry(consequence).or_default() += f64::from(u8::from(shown));
                }
            }
        }
        counts.values_mut().for_each(|count| *count /= f64::max(runs, 1.0));
        counts
    }
}

/// Pairs in which a strategy must have had an occasion.
const OCCASIONS: u64 = 200;
/// Runs in which a strategy acted, after which its consequence must have been seen.
const ACTING_MIN: f64 = 10.0;

/// What a finding says that section 9 does not.
fn mismatches(finding: &Finding) -> Vec<String> {
    let mut found = Vec::new();
    let strategy = &finding.strategy;
    let acting = finding.acting();
    if acting == 0.0 && finding.pairs >= OCCASIONS {
        found.push("never had an occasion".to_owned());
    }
    if !finding.safe {
        found.push("members that follow decided differently".to_owned());
    }
    if !finding.live_alone {
        found.push("members that follow did not finish although nobody else deviated".to_owned());
    }
    for (consequence, share) in &finding.consequences {
        let (must, may) = (strategy.must.contains(consequence), strategy.may.contains(consequence));
        if must && *share == 0.0 && acting >= ACTING_MIN {
            found.push(format!("{} is expected and never followed", consequence.name()));
        }
        if !must && !may && *share > 0.0 {
            found.push(format!("{} followed and is not expected", consequence.name()));
        }
    }
    found
}
