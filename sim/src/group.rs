//! The group of a run: keys, roster, and each member's configuration.

use crate::plan::Plan;
use crate::scenario::Scenario;
use bart_rsm::{Config, Params};
use std::sync::Arc;
use types::{Epoch, GroupId, Hash, Ident, Member, Roster, SecretKey, Slot, Standing};

/// Largest encoded proposal in simulations: small, so that padding does not dominate the run time.
pub const V_MAX: usize = types::limits::PROPOSAL_LEN_MIN;

/// Keys and roster.
pub struct Group {
    /// Who is in the group.
    pub roster: Arc<Roster>,
    params: Params,
    rules: bart_rsm::Rules,
}

impl Group {
    /// The group of a scenario.
    pub fn new(scenario: &Scenario, plan: &Plan) -> Result<Self, String> {
        let quorum = scenario.quorum().map_err(|error| error.to_string())?;
        let members = (0..scenario.nodes)
            .map(|slot| Member {
                identities: vec![secret_key(Slot(slot as u16)).public()],
                active: Ident(0),
                standing: Standing::Live,
            })
            .collect();
        let group =
            GroupId(Hash::tagged("simulated group", &(scenario.nodes as u64).to_le_bytes()));
        let roster = Roster::new(group, Epoch(0), quorum.f(), quorum.mode(), members)
            .map_err(|error| error.to_string())?;
        let default = Params::default();
        let params = Params {
            v_max: V_MAX,
            ckpt_every: plan.checkpoint_every.unwrap_or(default.ckpt_every),
            t0_min_ms: plan.t0_min_ms,
            t0_max_ms: plan.t0_min_ms * 8,
            idle_first_ms: 5_000,
            idle_max_ms: 60_000,
            gamma_ms: plan.gamma_ms,
            resend_max_ms: plan.resend_max_ms,
            pipeline: scenario.pipeline,
            expel: plan.expel,
            ..default
        };
        Ok(Self { roster: Arc::new(roster), params, rules: scenario.core_rules() })
    }

    /// A member's signing key.
    pub fn key(&self, slot: Slot) -> SecretKey {
        secret_key(slot)
    }

    /// A member's configuration.
    pub fn config(&self, slot: Slot) -> Config {
        Config {
            roster: self.roster.clone(),
            slot,
            ident: Ident(0),
            params: self.params.clone(),
            rules: self.rules,
        }
    }
}

fn secret_key(slot: Slot) -> SecretKey {
    SecretKey::from_seed(Hash::tagged("simulated key", &slot.0.to_le_bytes()).as_bytes())
}
