//! A scenario: what the caller chooses. Everything else follows from the seed (see `plan`).

use crate::adversary;
use bart_rsm::Rules;
use std::fmt;
use types::{Mode, Quorum, QuorumError, Slot};

/// Which faulty behaviour a run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// One named strategy.
    Named(&'static str),
    /// Every strategy in turn, seed by seed.
    All,
    /// Each faulty member draws several behaviours at random (the default).
    Mix,
}

impl Choice {
    /// Reads `all`, `mix` or the name of a strategy.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            "mix" => Ok(Self::Mix),
            name => match adversary::find(name) {
                Some(found) => Ok(Self::Named(found.name)),
                None => Err(format!("no adversary is named {name:?}; `sim list` shows them")),
            },
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Named(name) => name,
            Self::All => "all",
            Self::Mix => "mix",
        })
    }
}

/// How the network and the machines misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Delays only.
    Calm,
    /// Whatever the seed says: late stabilisation, loss, partitions, absences, crashes, full disks,
    /// clocks that drift and jump.
    Seeded,
    /// As seeded, without full disks and wrong clocks: what recorded seeds were found with.
    Recorded,
    /// Delays of up to 40 s until a late stabilisation, and nothing else: the setting in which the
    /// reference model found its failures (specification 3.13).
    Asynchronous,
    /// The first sender is cut off for minutes when it has shown its write quorum to one member: that
    /// one has decided, and the others go from turn to turn without it (specification 3.5, decision 5).
    SenderCut,
}

impl fmt::Display for Trouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Calm => "calm",
            Self::Seeded => "seeded",
            Self::Recorded => "recorded",
            Self::Asynchronous => "asynchronous",
            Self::SenderCut => "sender-cut",
        })
    }
}

impl Trouble {
    /// Every kind of trouble.
    pub const ALL: [Self; 5] =
        [Self::Calm, Self::Seeded, Self::Recorded, Self::Asynchronous, Self::SenderCut];

    /// The trouble of a name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|trouble| trouble.to_string() == text);
        found.ok_or_else(|| format!("no such trouble: {text:?}"))
    }
}

/// A crash of one honest member at one point of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrashPoint {
    /// Who.
    pub slot: Slot,
    /// Before which of its effects, the first being 1. The moment between a sync and the effect that
    /// waited for it counts as one.
    pub effect: u64,
    /// Whether what was written and not synced survives.
    pub keep: bool,
}

impl CrashPoint {
    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no crash point; one is 2:17:lost or 2:17:kept");
        let parts: Vec<&str> = text.split(':').collect();
        let [slot, effect, keep] = parts[..] else { return Err(wrong()) };
        let slot = Slot(slot.parse().map_err(|_| wrong())?);
        let effect = effect.parse().map_err(|_| wrong())?;
        match keep {
            "kept" => Ok(Self { slot, effect, keep: true }),
            "lost" => Ok(Self { slot, effect, keep: false }),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for CrashPoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keep = if self.keep { "kept" } else { "lost" };
        write!(out, "{}:{}:{keep}", self.slot.0, self.effect)
    }
}

/// Which rules the honest members follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleSet {
    /// The rules of the specification.
    Resolved,
    /// Signatures do not name the instance (issue T1).
    UnsignedInstance,
    /// A proof of election does not start a turn (issue T11).
    NoStartOnPol,
    /// An expected set-turn always blocks (issue T13).
    SetTurnBlocks,
    /// A leader does not count its own vote (issue T8).
    LeaderNotCounted,
    /// Quorums have one member less, so that two of them need not intersect (section 3.2).
    ShortQuorums,
    /// A set-turn is demanded of members that were shown no proof of its turn (decision 5). No control:
    /// here decisions travel by CATCHUP before the situation arises, and no seed has caught it yet.
    PrivateProof,
    /// Quorums of `ceil((n + f + 1) / 2)`, and leaders that stop at `n - f - 1` write-acks (T9, T10).
    LargeQuorum,
    /// The report as it is printed.
    LiteralReading,
}

impl RuleSet {
    /// The rules that must be caught.
    pub const BROKEN: [Self; 7] = [
        Self::UnsignedInstance,
        Self::NoStartOnPol,
        Self::SetTurnBlocks,
        Self::LeaderNotCounted,
        Self::ShortQuorums,
        Self::LargeQuorum,
        Self::LiteralReading,
    ];

    /// Name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Resolved => "resolved",
            Self::UnsignedInstance => "unsigned-instance",
            Self::NoStartOnPol => "no-start-on-pol",
            Self::SetTurnBlocks => "set-turn-blocks",
            Self::LeaderNotCounted => "leader-not-counted",
            Self::ShortQuorums => "short-quorums",
            Self::PrivateProof => "private-proof",
            Self::LargeQuorum => "large-quorum",
            Self::LiteralReading => "literal-reading",
        }
    }

    /// The rule set of a name.
    pub fn parse(text: &str) -> Result<Self, String> {
        [Self::Resolved, Self::PrivateProof]
            .into_iter()
            .chain(Self::BROKEN)
            .find(|rules| rules.name() == text)
            .ok_or_else(|| format!("no rule set is named {text:?}"))
    }

    /// The switches of the core.
    pub fn rules(self) -> Rules {
        let resolved = Rules::default();
        match self {
            Self::Resolved => resolved,
            Self::UnsignedInstance => resolved.without_instance_in_signatures(),
            Self::NoStartOnPol => resolved.without_start_on_pol(),
            Self::SetTurnBlocks => resolved.with_set_turn_always_blocking(),
            Self::LeaderNotCounted => resolved.without_leader_vote(),
            Self::ShortQuorums => resolved.with_short_quorums(),
            Self::PrivateProof => resolved.with_demand_on_private_proof(),
            Self::LargeQuorum => resolved.with_large_quorum(),
            Self::LiteralReading => resolved.literally(),
        }
    }
}

/// What a caller chooses about one run.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Members.
    pub nodes: usize,
    /// Faulty members; `None`: as many as `nodes` tolerate, in one seed of eight none.
    pub faulty: Option<usize>,
    /// What the faulty members do.
    pub adversary: Choice,
    /// What else goes wrong.
    pub trouble: Trouble,
    /// Instances that every honest member must decide.
    pub instances: u64,
    /// Rules of the honest members.
    pub rules: RuleSet,
    /// Instances that run at the same time.
    pub pipeline: u64,
    /// Whether every member verifies every signature itself, instead of once for all members.
    pub separate_crypto: bool,
    /// A crash besides those of the seed.
    pub crash_point: Option<CrashPoint>,
    /// The seed.
    pub seed: u64,
    /// Whether to keep the story.
    pub told: bool,
}

impl Scenario {
    /// The default scenario of a group size and seed.
    pub fn new(nodes: usize, seed: u64) -> Self {
        Self {
            nodes,
            faulty: None,
            adversary: Choice::Mix,
            trouble: Trouble::Seeded,
            instances: 6,
            rules: RuleSet::Resolved,
            pipeline: 1,
            separate_crypto: false,
            crash_point: None,
            seed,
            told: false,
        }
    }

    /// The switches of the core.
    pub fn core_rules(&self) -> Rules {
        let rules = self.rules.rules();
        if self.separate_crypto { rules } else { rules.with_shared_verdicts() }
    }

    /// The group's n, f and q.
    pub fn quorum(&self) -> Result<Quorum, QuorumError> {
        Quorum::new(self.nodes, Quorum::largest_f(self.nodes), Mode::QuasiSync)
    }

    /// Whether the numbers fit together, in words for the caller.
    pub fn validate(&self) -> Result<(), String> {
        if self.nodes < 2 {
            return Err("a group has at least 2 members".into());
        }
        let quorum = self.quorum().map_err(|error| error.to_string())?;
        if let Some(faulty) = self.faulty.filter(|faulty| *faulty > quorum.f()) {
            let (n, f) = (quorum.n(), quorum.f());
            return Err(format!("{n} members tolerate {f} faulty ones, not {faulty}"));
        }
        if self.pipeline == 0 || (self.pipeline > 1 && self.pipeline > self.nodes as u64 / 2) {
            return Err("the pipeline holds 1 instance, or up to half as many as members".into());
        }
        if self.instances == 0 || self.instances > 100_000 {
            return Err("between 1 and 100000 instances".into());
        }
        Ok(())
    }

    /// The one command that shows this run again.
    pub fn replay_command(&self) -> String {
        let mut command = format!(
            "cargo run --release -p sim -- replay --nodes {} --seed {} --adversary {} --instances {}",
            self.nodes, self.seed, self.adversary, self.instances
        );
        if let Some(faulty) = self.faulty {
            command += &format!(" --faulty {faulty}");
        }
        if self.trouble != Trouble::Seeded {
            command += &format!(" --trouble {}", self.trouble);
        }
        if self.pipeline != 1 {
            command += &format!(" --pipeline {}", self.pipeline);
        }
        if self.rules != RuleSet::Resolved {
            command += &format!(" --rules {}", self.rules.name());
        }
        if let Some(point) = self.crash_point {
            command += &format!(" --crash-at {point}");
        }
        command + " --trace"
    }
}
