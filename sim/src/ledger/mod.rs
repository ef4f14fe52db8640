//! A whole ledger from a seed: members, a network, disks that lose what was not synced, and an adversary.
//!
//! Source: thesis sections 3.2 (what correct means) and 3.3. The code under test is [`ledger::Member`], unchanged.
//!
//! | piece | file |
//! | --- | --- |
//! | virtual time, network, log of decisions | `world.rs` |
//! | one member with its disk: durable before sent, crash, restart, compaction | `seat.rs` |
//! | what faulty members do | `adversary.rs` |
//! | what must hold at every step | `check.rs` |
//! | what must hold of the history: definition 1 | `history.rs` |
//! | many seeds, the command, controls | `campaign.rs`, `command.rs` |
//!
//! Guarantees: 1. one seed, one run; 2. an effect that leaves a member is carried out only when what was written before
//! it is durable; 3. a run ends: payments, attacks and virtual time are bounded.

mod adversary;
mod campaign;
mod check;
pub mod command;
mod history;
mod seat;
#[cfg(test)]
mod tests;
mod world;

pub use check::Violation;

/// What honest members, or the runner beneath them, do wrong in a negative control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// Nothing.
    Sound,
    /// One more member is faulty than the group tolerates.
    TooManyFaulty,
    /// A restart does not find the own order that was written before it was broadcast.
    LostOrders,
    /// A restart does not find the echoes that were written before they left.
    LostEchoes,
    /// Messages leave before what they rest on is durable.
    EarlySend,
    /// A member that is behind a cut is never sent the checkpoint.
    NoCheckpoints,
}

impl Rules {
    /// The broken ones.
    pub const CONTROLS: [Self; 5] = [
        Self::TooManyFaulty,
        Self::LostOrders,
        Self::LostEchoes,
        Self::EarlySend,
        Self::NoCheckpoints,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::TooManyFaulty => "too-many-faulty",
            Self::LostOrders => "lost-orders",
            Self::LostEchoes => "lost-echoes",
            Self::EarlySend => "early-send",
            Self::NoCheckpoints => "no-checkpoints",
        }
    }

    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let all = [Self::Sound].into_iter().chain(Self::CONTROLS);
        let names =
            || [Self::Sound].into_iter().chain(Self::CONTROLS).map(Self::name).collect::<Vec<_>>();
        all.into_iter()
            .find(|rules| rules.name() == text)
            .ok_or_else(|| format!("no such rules; there are {}", names().join(", ")))
    }
}

/// One run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    /// Members, at least 4.
    pub nodes: usize,
    /// The seed.
    pub seed: u64,
    /// Broken for a control.
    pub rules: Rules,
}

impl Scenario {
    /// The one command that plays it again.
    pub fn replay(&self) -> String {
        let Self { nodes, seed, rules } = self;
        let rules = match rules {
            Rules::Sound => String::new(),
            broken => format!(" --rules {}", broken.name()),
        };
        format!(
            "cargo run --release -p sim -- ledger --nodes {nodes} --from {seed} --seeds 1{rules}"
        )
    }

    /// Byzantine members that the group tolerates.
    pub fn tolerated(&self) -> usize {
        (self.nodes - 1) / 3
    }
}

/// What came of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What was wrong.
    pub violations: Vec<Violation>,
    /// Transfers of honest accounts that applied.
    pub transfers: u64,
    /// Those of faulty accounts.
    pub faulty_transfers: u64,
    /// Transfers that honest members refused to issue.
    pub failed: u64,
    /// Reads.
    pub reads: u64,
    /// Crashes of honest members.
    pub crashes: u64,
    /// Checkpoints that a member settled.
    pub settled: u64,
    /// Checkpoints that a member fetched.
    pub adopted: u64,
    /// Messages that arrived.
    pub messages: u64,
    /// Members that a proof convicts.
    pub convicted: u64,
    /// A digest of everything that left honest members, in order.
    pub trace: u64,
}

/// Plays one seed.
pub fn run_seed(scenario: &Scenario) -> Outcome {
    world::World::new(*scenario).run()
}
