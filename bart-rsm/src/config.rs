//! What a core is started with, checked once.

use crate::costs::Costs;
use crate::message::pad::BLOCK_MAX;
use crate::proposal;
use crate::selfish::{Lax, Selfish};
use std::sync::Arc;
use types::limits::{MESSAGE_OVERHEAD_MAX, PROPOSAL_LEN_DEFAULT, PROPOSAL_LEN_MAX, UNTIMELY_MAX};
use types::{Ident, Millis, PublicKey, Quorum, Roster, Slot, Stamp};

/// Everything that a core needs to know about its group and place in it.
#[derive(Debug, Clone)]
pub struct Config {
    /// The members.
    pub roster: Arc<Roster>,
    /// Our place among them.
    pub slot: Slot,
    /// The linked identity that we sign with; must be the slot's active one.
    pub ident: Ident,
    /// Timing and sizes, equal in the whole group where marked.
    pub params: Params,
    /// The resolved rules, or a broken variant for negative controls.
    pub rules: Rules,
}

/// Timing and sizes (specification section 1). "Group" marks what all members must share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params {
    /// Group. Largest encoded proposal, bytes; read-acks and later agrees are padded to it. 64 KiB.
    pub v_max: usize,
    /// Group. Base turn timeout, ms. 10 s. Too small costs extra turns, never safety.
    pub t0_min_ms: u64,
    /// Group. Upper bound of the adaptive base timeout, ms. 10 min.
    pub t0_max_ms: u64,
    /// Group. First idle pace, ms. 1 s.
    pub idle_first_ms: u64,
    /// Group. Slowest idle pace, ms. 60 s.
    pub idle_max_ms: u64,
    /// Give-up bound of a link, ms: first repetition, and rate of answers to RESUME. 30 s.
    pub gamma_ms: u64,
    /// Group. Instances that run at the same time: 1, or up to half of the members (5.4).
    pub pipeline: u64,
    /// Group. Instances from one checkpoint to the next. 1000. Below two rotations none gets stable.
    pub ckpt_every: u64,
    /// Slowest repetition, ms. 10 min.
    pub resend_max_ms: u64,
    /// Group. Chance, in thousandths, that a late set-turn costs a unit of penance: `p_det * p_dec` of specification C2.
    /// 250. A smaller figure makes the fee larger.
    pub fine_per_mille: u32,
    /// Group. Who may evict and reinstate members; nobody by default.
    pub authority: Option<PublicKey>,
    /// Group. Whether a proof of misbehavior in the log expels whom it convicts. True. Otherwise proofs are
    /// files for people.
    pub expel: bool,
    /// Group. Bytes of one unit of penance, instead of the fee that follows from C2. Only for tests and controls: a smaller
    /// fee makes lateness pay.
    pub late_fee: Option<usize>,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            v_max: PROPOSAL_LEN_DEFAULT,
            t0_min_ms: 10_000,
            t0_max_ms: 600_000,
            idle_first_ms: 1_000,
            idle_max_ms: 60_000,
            gamma_ms: 30_000,
            pipeline: 1,
            ckpt_every: 1_000,
            resend_max_ms: 600_000,
            fine_per_mille: 250,
            authority: None,
            expel: true,
            late_fee: None,
        }
    }
}

/// The resolved rules of specification 3.13. Anything but the default exists only for the
/// simulator's negative controls, under the feature `broken-rules`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    sign_instance: bool,
    start_on_pol: bool,
    set_turn_always_blocks: bool,
    leader_counts_itself: bool,
    demand_on_private_proof: bool,
    large_quorum: bool,
    literal: bool,
    share_verdicts: bool,
    short_quorums: bool,
    selfish: Selfish,
    lax: Lax,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            sign_instance: true,
            start_on_pol: true,
            set_turn_always_blocks: false,
            leader_counts_itself: true,
            demand_on_private_proof: false,
            large_quorum: false,
            literal: false,
            share_verdicts: false,
            short_quorums: false,
            selfish: Selfish::default(),
            lax: Lax::default(),
        }
    }
}

impl Rules {
    /// Signatures cover the instance, and write-acks name their value (decisions 1 and 7).
    pub fn sign_instance(&self) -> bool {
        self.sign_instance
    }

    /// A proof of leadership starts the turn at whoever sees it (decision 4).
    pub fn start_on_pol(&self) -> bool {
        self.start_on_pol
    }

    /// A missing set-turn is a duty even if nobody asked for it (the variant that decision 5 refuses).
    pub fn set_turn_always_blocks(&self) -> bool {
        self.set_turn_always_blocks
    }

    /// A leader is an acceptor towards itself (decision 3).
    pub fn leader_counts_itself(&self) -> bool {
        self.leader_counts_itself
    }

    /// The one quorum size (decision 2). Broken: one less, so that two quorums may share nobody; or
    /// that of a population that includes the sender, which the live members cannot fill at
    /// n = 3f + 2.
    pub fn quorum_size(&self, quorum: &Quorum) -> usize {
        let size = quorum.size() - usize::from(self.short_quorums);
        if self.large_quorum { (quorum.n() + quorum.f() + 1).div_ceil(2) } else { size }
    }

    /// A missing set-turn is a duty as soon as we know a proof of its turn or a later one, although
    /// the peer was shown none (the first resolution of decision 5).
    pub(crate) fn demand_on_private_proof(&self) -> bool {
        self.demand_on_private_proof
    }

    /// Write-acks with which a leader stops waiting: never fewer than a quorum, but the printed rule
    /// says `n - f - 1` (issue T10).
    pub(crate) fn enough_write_acks(&self, quorum: &Quorum) -> usize {
        let enough = quorum.enough_write_acks();
        if self.large_quorum { enough } else { enough.max(quorum.size()) }
    }

    /// The report as it is printed: READ waits for its addressee's set-turn, whoever decided starts
    /// no turn, nobody helps who fell behind, reports are no duty.
    pub(crate) fn literal(&self) -> bool {
        self.literal
    }

    /// Cores of one thread verify a signature once between them. The verdict is the same, as it
    /// follows from the bytes; a simulation of a whole group is several times faster.
    pub fn share_verdicts(&self) -> bool {
        self.share_verdicts
    }

    /// What this member changes inside itself; nothing, unless it deviates.
    pub fn selfish(&self) -> &Selfish {
        &self.selfish
    }

    /// Which precautions against selfish members are missing; none, outside negative controls.
    pub fn lax(&self) -> &Lax {
        &self.lax
    }
}

#[cfg(feature = "broken-rules")]
impl Rules {
    /// Signatures as printed in the report: without the instance, write-acks without the value.
    pub fn without_instance_in_signatures(self) -> Self {
        Self { sign_instance: false, ..self }
    }

    /// Turns start by timers and failed quorums only.
    pub fn without_start_on_pol(self) -> Self {
        Self { start_on_pol: false, ..self }
    }

    /// Every expected set-turn blocks.
    pub fn with_set_turn_always_blocking(self) -> Self {
        Self { set_turn_always_blocks: true, ..self }
    }

    /// Set-turns are demanded of peers that were shown no proof.
    pub fn with_demand_on_private_proof(self) -> Self {
        Self { demand_on_private_proof: true, ..self }
    }

    /// Quorums of `ceil((n + f + 1) / 2)`, with the printed rule of stopping at `n - f - 1`.
    pub fn with_large_quorum(self) -> Self {
        Self { large_quorum: true, ..self }
    }

    /// The literal reading of specification 3.13.
    pub fn literally(self) -> Self {
        Self { literal: true, start_on_pol: false, ..self }
    }

    /// For simulations: see [`Rules::share_verdicts`].
    pub fn with_shared_verdicts(self) -> Self {
        Self { share_verdicts: true, ..self }
    }

    /// Quorums that need not intersect.
    pub fn with_short_quorums(self) -> Self {
        Self { short_quorums: true, ..self }
    }

    /// A member that deviates inside itself.
    pub fn with_selfish(self, selfish: Selfish) -> Self {
        Self { selfish, ..self }
    }

    /// A group without some precaution against selfish members.
    pub fn with_lax(self, lax: Lax) -> Self {
        Self { lax, ..self }
    }

    /// Leaders do not vote.
    pub fn without_leader_vote(self) -> Self {
        Self { leader_counts_itself: false, ..self }
    }
}

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Monotonic, for timers; never leaves the machine.
    pub mono: Millis,
    /// Wall clock, for the stamp of our proposals.
    pub wall: Stamp,
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The slot is not a live member, or the identity is not its active one.
    #[error("{0} with {1} is not a live member's active identity in this roster")]
    NotAMember(Slot, Ident),
    /// The key is not the one that the roster names.
    #[error("the signing key does not belong to {0} with {1}")]
    WrongKey(Slot, Ident),
    /// A parameter is out of range.
    #[error("parameter {0} is out of range: {1}")]
    Parameter(&'static str, &'static str),
}

impl Config {
    /// Refuses parameters that would break a bound or a rule.
    pub(crate) fn check(&self, key: &types::SecretKey) -> Result<(), ConfigError> {
        let (slot, ident) = (self.slot, self.ident);
        let member = self.roster.member(slot).filter(|_| self.roster.is_live(slot));
        if member.is_none_or(|member| member.active != ident) {
            return Err(ConfigError::NotAMember(slot, ident));
        }
        if self.roster.identity_key(slot, ident) != Some(&key.public()) {
            return Err(ConfigError::WrongKey(slot, ident));
        }
        let p = &self.params;
        let bad = |name, why| Err(ConfigError::Parameter(name, why));
        if p.pipeline == 0 || (p.pipeline > 1 && p.pipeline > self.roster.slots() as u64 / 2) {
            return bad("pipeline", "must be 1, or at most half of the members");
        }
        if p.v_max > PROPOSAL_LEN_MAX || p.v_max < proposal::fixed_len(self.roster.slots()) + 256 {
            return bad("v_max", "too large, or too small for the fixed vectors and one command");
        }
        if !(1..=1_000).contains(&p.fine_per_mille) {
            return bad("fine_per_mille", "must be between 1 and 1000");
        }
        let costs = self.costs(self.roster.quorum());
        if costs.show_block + MESSAGE_OVERHEAD_MAX > BLOCK_MAX {
            return bad("v_max", "a SHOW_DECISION would not fit into one control frame");
        }
        if costs.late_fee * usize::from(UNTIMELY_MAX) + MESSAGE_OVERHEAD_MAX > BLOCK_MAX {
            return bad("late_fee", "a PENANCE would not fit into one control frame");
        }
        if p.t0_min_ms == 0 || p.t0_min_ms > p.t0_max_ms {
            return bad("t0_min_ms", "must be positive and at most t0_max_ms");
        }
        if p.idle_first_ms > p.idle_max_ms {
            return bad("idle_first_ms", "must be at most idle_max_ms");
        }
        if p.ckpt_every < 2 * self.roster.slots() as u64 {
            return bad("ckpt_every", "must be at least two rotations");
        }
        if p.gamma_ms == 0 || p.gamma_ms > p.resend_max_ms {
            return bad("gamma_ms", "must be positive and at most resend_max_ms");
        }
        Ok(())
    }

    /// Sizes, pads and fees that follow from the parameters for a roster of this size.
    pub(crate) fn costs(&self, quorum: Quorum) -> Costs {
        Costs::new(&self.params, quorum)
    }
}
