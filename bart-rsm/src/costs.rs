//! What messages cost, and the inequalities that make following the protocol pay (specification 3.10, 10.2: C1 to C4,
//! C8, C9; paper sections 5.1.3 and 5.1.4, requirements (a) and (b) of theorem 6).
//!
//! Assumes: a message costs by its bytes; receiving costs half of sending ([`Prices`]).
//! Guarantees: (1) every number comes from the encoders that make the messages, so a change of form cannot leave a pad or
//! a fee behind; (2) answering `q - 1` set-turns with SHOW_DECISION costs at least a full turn (C4); (3) a unit of penance
//! costs more than lateness can save, at the assumed chance of being fined (C2).

use crate::config::Params;
use crate::message::*;
use types::{
    Encode, Epoch, GroupId, Hash, Header, Ident, Instance, Kind, Quorum, Signature, Signed,
    SignedPayload, Size, Slot, Turn,
};

/// Bytes of the messages of a turn, without framing. Those with alternatives have one size for all of them, which
/// [`Params::check_incentives`] asserts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// SET_TURN.
    pub set_turn: usize,
    /// READ.
    pub read: usize,
    /// READ_ACK, whatever was accepted.
    pub read_ack: usize,
    /// AGREE of turn 0 around an empty body; its body comes on top.
    pub agree_first: usize,
    /// AGREE of a later turn, whatever its value.
    pub agree: usize,
    /// AGREE_ACK.
    pub agree_ack: usize,
    /// WRITE.
    pub write: usize,
    /// WRITE_ACK, whatever the latest turn.
    pub write_ack: usize,
    /// SHOW_QUORUM, success or failure.
    pub show_quorum: usize,
    /// SHOW_DECISION with its balance pad.
    pub show_decision: usize,
    /// REPORT_DECISION.
    pub report: usize,
    /// PENANCE of one unit.
    pub penance: usize,
}

/// What a group pays for balance: computed once from its parameters and quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Costs {
    /// Message sizes.
    pub sizes: Sizes,
    /// Bytes of body and pad in SHOW_DECISION (3.10).
    pub show_block: usize,
    /// Bytes of one unit of penance for each recipient (C2).
    pub late_fee: usize,
}

/// Prices of a byte, as parts of each other (specification 10.1; `c_sig`, `c_ver` and storage do not enter C1 to C4).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    /// Sending a byte.
    pub tx: f64,
    /// Receiving a byte.
    pub rx: f64,
}

impl Default for Prices {
    fn default() -> Self {
        Self { tx: 1.0, rx: 0.5 }
    }
}

/// The quantities behind C1 to C4, in units of [`Prices`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Incentives {
    /// C1: most that one rotation can cost a member that follows: `f` silent senders with `f + 1` turns each, `f` of
    /// these led by it, and penance at the cap. The benefit of an own proposal must exceed it.
    pub worst_rotation: f64,
    /// The cost of a rotation in which nothing goes wrong and all proposals are empty.
    pub calm_rotation: f64,
    /// C2, left: what being late is expected to cost.
    pub late_cost: f64,
    /// C2, right: what being late can save, a whole turn as an acceptor.
    pub late_gain: f64,
    /// C3: bytes of a READ_ACK beyond `V_MAX`.
    pub read_ack_overhead: usize,
    /// C4: what answering `q - 1` set-turns with SHOW_DECISION costs.
    pub show_decisions: f64,
    /// C4: what leading a turn costs.
    pub led_turn: f64,
}

/// An inequality that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Imbalance {
    /// C2.
    #[error("C2: lateness costs {cost} and can save {gain}; raise late_fee")]
    Lateness {
        /// Expected fine.
        cost: f64,
        /// Saving.
        gain: f64,
    },
    /// C3, C8.
    #[error("C8: the alternatives of {kind:?} have {one} and {other} bytes")]
    Alternatives {
        /// The message.
        kind: Kind,
        /// Bytes of one alternative.
        one: usize,
        /// Bytes of another.
        other: usize,
    },
    /// C4.
    #[error("C4: show-decisions cost {shows}, the turn that they replace {turn}")]
    ShowDecision {
        /// `q - 1` of them.
        shows: f64,
        /// The turn.
        turn: f64,
    },
}

fn signed<P: SignedPayload>(payload: P) -> Signed<P> {
    let header = Header {
        kind: P::KIND,
        epoch: Epoch(0),
        inst: Instance(0),
        turn: Turn(1),
        slot: Slot(0),
        ident: Ident(0),
    };
    Signed { header, payload, signature: Signature([0; 64]) }
}

/// Messages with nothing true in them, for their length.
struct Sample {
    q: usize,
    v_max: usize,
}

impl Sample {
    fn padded(&self, body: &[u8], total: usize, kind: Kind) -> Padded {
        let (from, to) = (Slot(0), Slot(1));
        let key =
            PadKey { group: GroupId(Hash::ZERO), inst: Instance(0), turn: Turn(1), kind, from, to };
        Padded::new(body, total, &key)
    }

    fn voters(&self) -> impl Iterator<Item = Slot> {
        (1..=self.q as u16).map(Slot)
    }

    fn value(&self) -> Signed<ValueStatement> {
        signed(ValueStatement { body: Hash::ZERO, len: Size(0) })
    }

    fn pol(&self, null: bool) -> Pol {
        let turn = Turn(2);
        let signers = Signers::new(self.voters().map(|slot| (slot, Signature([1; 64]))));
        if null { Pol::null(self.q) } else { Pol { turn, signers } }
    }

    fn agree_cert(&self, blank: bool) -> AgreeCert {
        let signers = Signers::new(self.voters().map(|slot| (slot, Signature([1; 64]))));
        match blank {
            true => AgreeCert::blank(self.q),
            false => AgreeCert { turn: Turn(0), value: Hash::ZERO, agree: Hash::ZERO, signers },
        }
    }

    fn set_turn(&self) -> usize {
        SetTurn { core: signed(SetTurnStatement {}) }.to_bytes().len()
    }

    fn read(&self) -> usize {
        let core = signed(ReadStatement { pol: Hash::ZERO });
        Read { core, pol: self.pol(false).into() }.to_bytes().len()
    }

    fn read_ack(&self, none: bool) -> usize {
        let (value, cert, read) = (Hash::ZERO, Hash::ZERO, Hash::ZERO);
        let val_turn = if none { TURN_NONE } else { Turn(0) };
        let core = signed(ReadAckStatement { val_turn, value, cert, read });
        let body = vec![7; if none { 0 } else { self.v_max }];
        let body = self.padded(&body, self.v_max, Kind::ReadAck);
        let statement = (!none).then(|| self.value());
        ReadAck { core, cert: self.agree_cert(none).into(), statement, body }.to_bytes().len()
    }

    fn agree_first(&self) -> usize {
        let core = signed(AgreeStatement { value: Hash::ZERO, reads: Hash::ZERO });
        let value = Value { statement: self.value(), body: Vec::new().into() };
        Agree { core, value: value.into() }.to_bytes().len()
    }

    fn agree(&self, null: bool) -> usize {
        let core = signed(AgreeStatement { value: Hash::ZERO, reads: Hash::ZERO });
        let entry = |slot: Slot| {
            let val_turn = if null { TURN_NONE } else { Turn(u32::from(slot.0)) };
            let (value, cert, signature) = (Hash::ZERO, Hash::ZERO, Signature([1; 64]));
            (slot, ReadEntry { val_turn, value, cert, signature })
        };
        let reads =
            ReadQuorum { read: Hash::ZERO, signers: Signers::new(self.voters().map(entry)) };
        let body = vec![7; if null { 0 } else { self.v_max }];
        let body = self.padded(&body, self.v_max, Kind::Agree);
        let statement = (!null).then(|| self.value());
        let cert = self.agree_cert(null).into();
        AgreeLater { core, reads: reads.into(), cert, statement, body }.to_bytes().len()
    }

    fn agree_ack(&self) -> usize {
        let core = signed(AgreeAckStatement { value: Hash::ZERO, agree: Hash::ZERO });
        AgreeAck { core }.to_bytes().len()
    }

    fn write(&self) -> usize {
        let (value, agree, cert) = (Hash::ZERO, Hash::ZERO, Hash::ZERO);
        let core = signed(WriteStatement { value, agree, cert });
        Write { core, cert: self.agree_cert(false).into() }.to_bytes().len()
    }

    fn write_ack(&self, later: bool) -> usize {
        let (value, max_pol, write) = (Hash::ZERO, Hash::ZERO, Hash::ZERO);
        let pol = self.pol(!later);
        let core = signed(WriteAckStatement { value, max_turn: pol.turn, max_pol, write });
        WriteAck { core, max_pol: pol.into() }.to_bytes().len()
    }

    fn acks(&self, turn: Turn) -> WriteQuorum {
        let entry = |slot: Slot| {
            let (max_pol, signature) = (Hash::ZERO, Signature([1; 64]));
            (slot, WriteEntry { max_turn: turn, max_pol, signature })
        };
        WriteQuorum { write: Hash::ZERO, signers: Signers::new(self.voters().map(entry)) }
    }

    fn show_quorum(&self, good: bool) -> usize {
        let core = signed(ShowQuorumStatement { value: Hash::ZERO, acks: Hash::ZERO });
        let acks = self.acks(Turn(if good { 1 } else { 2 }));
        ShowQuorum { core, acks: acks.into(), pol: self.pol(good).into() }.to_bytes().len()
    }

    fn decision(&self) -> DecisionCert {
        let acks = self.acks(Turn(0));
        acks.decision(Turn(0), Hash::ZERO).unwrap_or_else(|| unreachable!("all of one turn"))
    }

    fn show_decision(&self, null: bool, block: usize) -> usize {
        let core = signed(ShowDecisionStatement { value: Hash::ZERO, cert: Hash::ZERO });
        let body = vec![7; if null { 0 } else { self.v_max }];
        let body = self.padded(&body, block, Kind::ShowDecision);
        let statement = (!null).then(|| self.value());
        ShowDecision { core, cert: self.decision().into(), statement, body }.to_bytes().len()
    }

    fn report(&self) -> usize {
        let core = signed(ReportStatement { value: Hash::ZERO, cert: Hash::ZERO });
        ReportDecision { core, cert: self.decision().into() }.to_bytes().len()
    }

    fn penance(&self, pad: usize) -> usize {
        let core = signed(PenanceStatement { count: Turn(1) });
        Penance { core, pad: vec![0; pad].into() }.to_bytes().len()
    }

    /// Messages with a choice, and the bytes of either alternative.
    fn alternatives(&self, block: usize) -> [(Kind, usize, usize); 5] {
        [
            (Kind::ReadAck, self.read_ack(true), self.read_ack(false)),
            (Kind::Agree, self.agree(true), self.agree(false)),
            (Kind::WriteAck, self.write_ack(false), self.write_ack(true)),
            (Kind::ShowQuorum, self.show_quorum(true), self.show_quorum(false)),
            (Kind::ShowDecision, self.show_decision(true, block), self.show_decision(false, block)),
        ]
    }
}

impl Costs {
    /// The sizes, pads and fees of a group.
    pub fn new(params: &Params, quorum: Quorum) -> Self {
        let (n, q) = (quorum.n(), quorum.size());
        let sample = Sample { q, v_max: params.v_max };
        let mut sizes = Sizes {
            set_turn: sample.set_turn(),
            read: sample.read(),
            read_ack: sample.read_ack(true),
            agree_first: sample.agree_first(),
            agree: sample.agree(true),
            agree_ack: sample.agree_ack(),
            write: sample.write(),
            write_ack: sample.write_ack(false),
            show_quorum: sample.show_quorum(true),
            show_decision: sample.show_decision(true, params.v_max),
            report: sample.report(),
            penance: 0,
        };
        // 3.10, receiving counted half.
        let turn = n.saturating_sub(2) * (2 * sizes.led() + sizes.answered()) / 2;
        let each = turn.div_ceil(q.saturating_sub(1).max(1));
        let pad = each.saturating_sub(sizes.show_decision);
        sizes.show_decision += pad;
        let late_fee = params.late_fee.unwrap_or_else(|| late_fee(params, &sizes, n));
        sizes.penance = sample.penance(late_fee);
        Self { sizes, show_block: params.v_max + pad, late_fee }
    }
}

impl Sizes {
    /// What a leader sends one member in a turn.
    fn led(&self) -> usize {
        self.read + self.agree + self.write + self.show_quorum
    }

    /// What a member sends the leader in a turn.
    fn answered(&self) -> usize {
        self.set_turn + self.read_ack + self.agree_ack + self.write_ack
    }
}

/// C2: the smallest fee at which being late costs more than a whole turn as an acceptor, receiving counted half.
fn late_fee(params: &Params, sizes: &Sizes, n: usize) -> usize {
    let gain = 2 * sizes.answered() + sizes.led();
    let recipients = n.saturating_sub(2).max(1);
    let chance = params.fine_per_mille.max(1) as usize;
    gain * 1_000 / (2 * recipients * chance) + 1
}

impl Params {
    /// Checks C2, C3, C4 and C8 for a group and returns the quantities behind them and C1. C9 holds by the construction of
    /// [`Quorum`]. To be called before any experiment, with its prices.
    pub fn check_incentives(
        &self,
        quorum: Quorum,
        prices: &Prices,
    ) -> Result<Incentives, Imbalance> {
        let costs = Costs::new(self, quorum);
        let sizes = &costs.sizes;
        let (n, f, q) = (quorum.n(), quorum.f(), quorum.size());
        let sample = Sample { q, v_max: self.v_max };
        for (kind, one, other) in sample.alternatives(costs.show_block) {
            if one != other {
                return Err(Imbalance::Alternatives { kind, one, other });
            }
        }
        let cost =
            |sent: usize, received: usize| sent as f64 * prices.tx + received as f64 * prices.rx;
        let others = n.saturating_sub(2);
        let units = f * others * usize::from(types::limits::UNTIMELY_MAX);
        let empty = sizes.agree_first + crate::proposal::fixed_len(n);
        let sender = empty + sizes.write + sizes.show_quorum;
        let acceptor = sizes.agree_ack + sizes.write_ack + sizes.report;
        let calm_rotation = (n - 1) as f64 * (cost(sender, acceptor) + cost(acceptor, sender));
        let follow = cost(sizes.answered(), sizes.led());
        let led_turn = others as f64 * cost(sizes.led(), sizes.answered());
        let chance = f64::from(self.fine_per_mille) / 1_000.0;
        let incentives = Incentives {
            worst_rotation: calm_rotation
                + f as f64 * led_turn
                + (f * f) as f64 * follow
                + cost(units * sizes.penance, units * sizes.penance),
            calm_rotation,
            late_cost: chance * cost(others * costs.late_fee, 0),
            late_gain: follow,
            read_ack_overhead: sizes.read_ack - self.v_max,
            show_decisions: cost(q.saturating_sub(1).max(1) * sizes.show_decision, 0),
            led_turn,
        };
        if others > 0 && incentives.late_cost <= incentives.late_gain {
            let (cost, gain) = (incentives.late_cost, incentives.late_gain);
            return Err(Imbalance::Lateness { cost, gain });
        }
        if incentives.show_decisions < led_turn {
            let (shows, turn) = (incentives.show_decisions, led_turn);
            return Err(Imbalance::ShowDecision { shows, turn });
        }
        Ok(incentives)
    }
}
