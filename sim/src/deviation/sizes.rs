//! Sizes of all messages and of their alternatives, measured with the real encoders.
//!
//! Guarantees: no figure is a constant of this file; each is the length of an encoded message.

use bart_rsm::message::*;
use std::sync::Arc;
use types::{
    Encode, Epoch, GroupId, Hash, Header, Ident, Instance, Kind, Signature, Signed, SignedPayload,
    Size, Slot, Turn,
};

/// What a group's messages weigh, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// SET_TURN.
    pub set_turn: usize,
    /// READ.
    pub read: usize,
    /// READ_ACK with a value.
    pub read_ack: usize,
    /// READ_ACK without one.
    pub read_ack_none: usize,
    /// AGREE of turn 0 with the experiment's proposal.
    pub agree_first: usize,
    /// AGREE of a later turn with a value.
    pub agree: usize,
    /// AGREE of a later turn for NULL.
    pub agree_null: usize,
    /// AGREE_ACK.
    pub agree_ack: usize,
    /// WRITE.
    pub write: usize,
    /// WRITE_ACK with a proof of leadership.
    pub write_ack: usize,
    /// WRITE_ACK that knows none.
    pub write_ack_null: usize,
    /// SHOW_QUORUM of a success.
    pub show_quorum: usize,
    /// SHOW_QUORUM of a failure.
    pub show_quorum_failed: usize,
    /// SHOW_DECISION with a value.
    pub show_decision: usize,
    /// SHOW_DECISION of NULL.
    pub show_decision_null: usize,
    /// REPORT_DECISION.
    pub report: usize,
    /// One unit of penance.
    pub penance: usize,
}

fn signed<T: SignedPayload>(payload: T) -> Signed<T> {
    let header = Header {
        kind: T::KIND,
        epoch: Epoch(0),
        inst: Instance(1),
        turn: Turn(u32::from(T::KIND != Kind::Value)),
        slot: Slot(0),
        ident: Ident(0),
    };
    Signed { header, payload, signature: Signature([1; 64]) }
}

fn padded(body: &[u8], total: usize) -> Padded {
    let group = GroupId(Hash::ZERO);
    let (inst, turn, kind) = (Instance(1), Turn(1), Kind::ReadAck);
    Padded::new(body, total, &PadKey { group, inst, turn, kind, from: Slot(0), to: Slot(1) })
}

/// Vectors of a quorum, and blank ones.
struct Vectors {
    q: usize,
}

impl Vectors {
    fn signers<T: Clone>(&self, entry: T) -> impl Iterator<Item = (Slot, T)> {
        (0..self.q as u16).map(move |slot| (Slot(slot), entry.clone()))
    }

    fn pol(&self) -> Arc<Pol> {
        let signers = Signers::new(self.signers(Signature([1; 64])));
        Arc::new(Pol { turn: Turn(1), signers })
    }

    fn agree_cert(&self) -> Arc<AgreeCert> {
        let signers = Signers::new(self.signers(Signature([1; 64])));
        Arc::new(AgreeCert { turn: Turn(1), value: Hash::ZERO, agree: Hash::ZERO, signers })
    }

    fn reads(&self) -> Arc<ReadQuorum> {
        let signature = Signature([1; 64]);
        let entry = ReadEntry { val_turn: Turn(0), value: Hash::ZERO, cert: Hash::ZERO, signature };
        Arc::new(ReadQuorum { read: Hash::ZERO, signers: Signers::new(self.signers(entry)) })
    }

    fn writes(&self) -> Arc<WriteQuorum> {
        let entry =
            WriteEntry { max_turn: Turn(1), max_pol: Hash::ZERO, signature: Signature([1; 64]) };
        Arc::new(WriteQuorum { write: Hash::ZERO, signers: Signers::new(self.signers(entry)) })
    }

    fn decision(&self) -> Arc<DecisionCert> {
        let entry = DecisionEntry { max_pol: Hash::ZERO, signature: Signature([1; 64]) };
        let signers = Signers::new(self.signers(entry));
        Arc::new(DecisionCert { turn: Turn(1), value: Hash::ZERO, write: Hash::ZERO, signers })
    }
}

impl Sizes {
    /// Measures the messages of a group with quorums of `q`, proposals of `body` bytes of at most
    /// `v_max`, SHOW_DECISION blocks of `show_block` bytes and penance units of `late_fee`.
    pub fn measure(
        q: usize,
        v_max: usize,
        body: usize,
        show_block: usize,
        late_fee: usize,
    ) -> Self {
        let vectors = Vectors { q };
        let size = |message: Message| message.to_bytes().len();
        let zero = Hash::ZERO;
        let bytes = vec![7; body];
        let statement = Some(signed(ValueStatement { body: zero, len: Size(body as u64) }));
        let value =
            Value { statement: statement.clone().expect("just made"), body: bytes[..].into() };
        let read_ack = |statement, cert, body: &[u8]| {
            let core =
                signed(ReadAckStatement { val_turn: Turn(0), value: zero, cert: zero, read: zero });
            size(Message::ReadAck(ReadAck { core, cert, statement, body: padded(body, v_max) }))
        };
        let agree = |statement, cert, body: &[u8]| {
            let core = signed(AgreeStatement { value: zero, reads: zero });
            let (reads, body) = (vectors.reads(), padded(body, v_max));
            size(Message::AgreeLater(AgreeLater { core, reads, cert, statement, body }))
        };
        let write_ack = |max_pol| {
            let core = signed(WriteAckStatement {
                value: zero,
                max_turn: Turn(1),
                max_pol: zero,
                write: zero,
            });
            size(Message::WriteAck(WriteAck { core, max_pol }))
        };
        let show = |pol| {
            let core = signed(ShowQuorumStatement { value: zero, acks: zero });
            size(Message::ShowQuorum(ShowQuorum { core, acks: vectors.writes(), pol }))
        };
        let show_decision = |statement, body: &[u8]| {
            let core = signed(ShowDecisionStatement { value: zero, cert: zero });
            let (cert, body) = (vectors.decision(), padded(body, show_block));
            size(Message::ShowDecision(ShowDecision { core, cert, statement, body }))
        };
        let first = Agree {
            core: signed(AgreeStatement { value: zero, reads: zero }),
            value: Arc::new(value),
        };
        let (blank, null) = (Arc::new(AgreeCert::blank(q)), Arc::new(Pol::null(q)));
        Self {
            set_turn: size(Message::SetTurn(SetTurn { core: signed(SetTurnStatement {}) })),
            read: size(Message::Read(Read {
                core: signed(ReadStatement { pol: zero }),
                pol: vectors.pol(),
            })),
            read_ack: read_ack(statement.clone(), vectors.agree_cert(), &bytes),
            read_ack_none: read_ack(None, Arc::clone(&blank), &[]),
            agree_first: size(Message::Agree(first)),
            agree: agree(statement.clone(), vectors.agree_cert(), &bytes),
            agree_null: agree(None, blank, &[]),
            agree_ack: size(Message::AgreeAck(AgreeAck {
                core: signed(AgreeAckStatement { value: zero, agree: zero }),
            })),
            write: size(Message::Write(Write {
                core: signed(WriteStatement { value: zero, agree: zero, cert: zero }),
                cert: vectors.agree_cert(),
            })),
            write_ack: write_ack(vectors.pol()),
            write_ack_null: write_ack(Arc::clone(&null)),
            show_quorum: show(null),
            show_quorum_failed: show(vectors.pol()),
            show_decision: show_decision(statement, &bytes),
            show_decision_null: show_decision(None, &[]),
            report: size(Message::ReportDecision(ReportDecision {
                core: signed(ReportStatement { value: zero, cert: zero }),
                cert: vectors.decision(),
            })),
            penance: size(Message::Penance(Penance {
                core: signed(PenanceStatement { count: Turn(1) }),
                pad: vec![0; late_fee].into(),
            })),
        }
    }

    /// What the leader of one turn above 0 sends to each member, and receives from it.
    pub fn turn(&self) -> (usize, usize) {
        let sent = self.read + self.agree + self.write + self.show_quorum;
        (sent, self.set_turn + self.read_ack + self.agree_ack + self.write_ack)
    }

    /// What the sender sends to each member in turn 0, and receives from it, reports included.
    pub fn turn_0(&self) -> (usize, usize) {
        let sent = self.agree_first + self.write + self.show_quorum;
        (sent, self.agree_ack + self.write_ack + self.report)
    }
}
