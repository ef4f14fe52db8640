//! What is explored: the group, who is faulty, and how far a run may go.

use crate::scenario::RuleSet;
use bart_rsm::{Config, Params};
use std::fmt;
use std::sync::Arc;
use types::{
    Epoch, GroupId, Hash, Ident, Instance, Member, Mode, Roster, SecretKey, Slot, Standing,
};

/// Members of the explored group: the smallest that tolerates a faulty one.
pub const NODES: usize = 5;
/// The one instance that is explored; its sender is slot 0.
pub const INSTANCE: Instance = Instance(0);
/// Base timeout; only the order of a member's own timers matters.
const T0_MS: u64 = 1_000;
/// Longer than any clock that is reached: nothing is ever repeated.
const NEVER_MS: u64 = 1 << 40;

/// Which member is faulty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Nobody.
    None,
    /// The sender.
    Sender,
    /// The leader of turn 1.
    Leader,
    /// An acceptor that leads no explored turn.
    Acceptor,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::None, Self::Sender, Self::Leader, Self::Acceptor];

    /// The role of a name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|role| role.to_string() == text);
        found.ok_or_else(|| format!("no role is named {text:?}: none, sender, leader, acceptor"))
    }

    /// The faulty slot. Leaders of turns 1, 2, 3, 4 of instance 0 are slots 2, 3, 4, 1.
    pub fn slot(self) -> Option<Slot> {
        match self {
            Self::None => None,
            Self::Sender => Some(Slot(0)),
            Self::Leader => Some(Slot(2)),
            Self::Acceptor => Some(Slot(1)),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::None => "none",
            Self::Sender => "sender",
            Self::Leader => "leader",
            Self::Acceptor => "acceptor",
        })
    }
}

/// One exploration.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Turns of the instance, turn 0 included. Messages of later turns are never delivered.
    pub turns: u32,
    /// Who is faulty.
    pub faulty: Role,
    /// Rules of the honest members.
    pub rules: RuleSet,
    /// Distinguish every bit of every core's state: no symmetry, no interchangeable certificates.
    pub exact: bool,
    /// New states after which the search gives up.
    pub states_max: u64,
    /// One in so many states is kept, to compare what follows it with what follows the states that
    /// are taken for the same; 0: none.
    pub audit: u64,
}

impl Setting {
    /// The default: two turns.
    pub fn new(faulty: Role) -> Self {
        let rules = RuleSet::Resolved;
        Self { turns: 2, faulty, rules, exact: false, states_max: u64::MAX, audit: 0 }
    }

    /// Members that follow the protocol.
    pub fn honest(&self) -> impl Iterator<Item = Slot> + use<> {
        let faulty = self.faulty.slot();
        (0..NODES as u16).map(Slot).filter(move |slot| Some(*slot) != faulty)
    }

    /// The leader of a turn of the explored instance.
    pub fn leader(&self, turn: u32) -> Slot {
        match turn {
            0 => Slot(0),
            _ => Slot(1 + (turn % (NODES as u32 - 1)) as u16),
        }
    }

    /// Ways to exchange members in equal roles, the identity first: honest acceptors that lead no
    /// explored turn.
    pub fn exchanges(&self) -> Vec<[u8; NODES]> {
        let same: [u8; NODES] = std::array::from_fn(|slot| slot as u8);
        let leads = |slot| (0..self.turns).any(|turn| self.leader(turn) == slot);
        let equal: Vec<u8> =
            self.honest().filter(|slot| !leads(*slot)).map(|slot| slot.0 as u8).collect();
        if self.exact {
            return vec![same];
        }
        let mut found = vec![same];
        // All orders of at most three members, by exchanging pairs until nothing is new.
        let mut next = 0;
        while let Some(known) = found.get(next).copied() {
            next += 1;
            for (at, a) in equal.iter().enumerate() {
                for b in &equal[at + 1..] {
                    let mut other = known;
                    other.swap(usize::from(*a), usize::from(*b));
                    if !found.contains(&other) {
                        found.push(other);
                    }
                }
            }
        }
        found
    }

    /// The group.
    pub fn roster(&self) -> Arc<Roster> {
        let members = (0..NODES as u16)
            .map(|slot| Member {
                identities: vec![key(Slot(slot)).public()],
                active: Ident(0),
                standing: Standing::Live,
            })
            .collect();
        let group = GroupId(Hash::tagged("explored group", &[]));
        let roster = Roster::new(group, Epoch(0), 1, Mode::QuasiSync, members);
        Arc::new(roster.expect("five members tolerate one faulty"))
    }

    /// A member's configuration.
    pub fn config(&self, roster: &Arc<Roster>, slot: Slot) -> Config {
        let params = Params {
            v_max: crate::group::V_MAX,
            t0_min_ms: T0_MS,
            t0_max_ms: T0_MS * 8,
            gamma_ms: NEVER_MS,
            resend_max_ms: NEVER_MS,
            expel: false,
            ..Params::default()
        };
        let rules = self.rules.rules().with_shared_verdicts();
        Config { roster: Arc::clone(roster), slot, ident: Ident(0), params, rules }
    }

    /// The command that repeats this exploration.
    pub fn command(&self) -> String {
        let mut text = format!(
            "cargo run --release -p sim -- explore --turns {} --byzantine {}",
            self.turns, self.faulty
        );
        if self.rules != RuleSet::Resolved {
            text += &format!(" --rules {}", self.rules.name());
        }
        if self.exact {
            text += " --exact";
        }
        text
    }
}

/// A member's signing key.
pub fn key(slot: Slot) -> SecretKey {
    SecretKey::from_seed(Hash::tagged("explored key", &slot.0.to_le_bytes()).as_bytes())
}
