//! The group of an experiment: keys, roster, parameters, and the figures that follow from them.

use super::assertions::Premises;
use super::sizes::Sizes;
use bart_rsm::costs::Costs;
use bart_rsm::{Config, Params, Proposal, Rules};
use std::sync::Arc;
use types::{
    Encode as _, Epoch, GroupId, Hash, Ident, Member, Mode, Quorum, Roster, SecretKey, Slot, Stamp,
    Standing,
};

/// Bytes of a command, by default.
const COMMAND_LEN: usize = 256;

/// What all runs of an experiment share.
#[derive(Clone)]
pub struct Frame {
    /// The group.
    pub roster: Arc<Roster>,
    /// The members' keys.
    pub keys: Vec<SecretKey>,
    /// Timing and sizes.
    pub params: Params,
    /// The rules of the members that follow.
    pub rules: Rules,
    /// Instances that count.
    pub horizon: u64,
    /// A duty that is open for longer than this at the end gets its debtor listed.
    pub max_response_ms: u64,
    /// Commands in each proposal.
    pub commands: usize,
    /// Bytes of each.
    pub command_len: usize,
    /// Whether whoever keeps others waiting is listed; without, nobody loses its standing for it.
    pub lists: bool,
    /// Whether a proof of misbehavior costs anything.
    pub convicts: bool,
    /// Whether some samples of the network have an outage.
    pub outages: bool,
}

impl Frame {
    /// A group of `n` that tolerates `f`, with the default parameters, for so many rotations.
    pub fn new(n: usize, f: usize, mode: Mode, rotations: u64) -> Result<Self, String> {
        let keys: Vec<SecretKey> = (0..n as u16)
            .map(|slot| Hash::tagged("experiment key", &slot.to_le_bytes()))
            .map(|seed| SecretKey::from_seed(seed.as_bytes()))
            .collect();
        let member = |key: &SecretKey| Member {
            identities: vec![key.public()],
            active: Ident(0),
            standing: Standing::Live,
        };
        let group = GroupId(Hash::tagged("experiment group", &(n as u64).to_le_bytes()));
        let members = keys.iter().map(member).collect();
        let roster = Roster::new(group, Epoch(0), f, mode, members).map_err(|e| e.to_string())?;
        Ok(Self {
            roster: Arc::new(roster),
            keys,
            // After the horizon the group idles as slowly as it may: nobody measures it any more.
            params: Params { idle_first_ms: 60_000, expel: false, ..Params::default() },
            rules: Rules::default().with_shared_verdicts(),
            horizon: rotations * n as u64,
            max_response_ms: 150_000,
            lists: true,
            convicts: true,
            outages: true,
            commands: 1,
            command_len: COMMAND_LEN,
        })
    }

    /// A member's configuration under these rules.
    pub fn config(&self, slot: Slot, rules: Rules) -> Config {
        Config {
            roster: Arc::clone(&self.roster),
            slot,
            ident: Ident(0),
            params: self.params.clone(),
            rules,
        }
    }

    /// The figures that the inequalities of 10.2 speak of.
    pub fn premises(&self) -> Premises {
        let quorum = self.roster.quorum();
        let (n, f, q) = (quorum.n(), quorum.f(), quorum.size());
        let v_max = self.params.v_max;
        let commands = vec![vec![0; self.command_len]; self.commands];
        let body = Proposal::plain(n, Stamp(1), commands).to_bytes().len();
        let costs = Costs::new(&self.params, quorum);
        let sizes = Sizes::measure(q, v_max, body, costs.show_block, costs.late_fee);
        Premises { n, f, q, v_max, late_fee: costs.late_fee, sizes }
    }
}

/// The figures of a default group.
pub fn premises(n: usize) -> Result<Premises, String> {
    Ok(Frame::new(n, Quorum::largest_f(n), Mode::QuasiSync, 1)?.premises())
}
