//! How the simulator looks at messages: what was signed, what was proposed, and the paper's words.
//!
//! This is the only module that knows the layout of messages besides the adversaries.

use bart_rsm::Proposal;
use bart_rsm::message::{
    DecisionCert, Message, Padded, ReadEntry, Signers, TURN_NONE, WriteQuorum,
};
use types::{Decode, DecodeError, Encode, Hash, Header, Kind, Signed, Slot, Turn};

/// Every kind of message of the state machine.
pub const KINDS: &[Kind] = &[
    Kind::SetTurn,
    Kind::Read,
    Kind::ReadAck,
    Kind::Agree,
    Kind::AgreeAck,
    Kind::Write,
    Kind::WriteAck,
    Kind::ShowQuorum,
    Kind::ShowDecision,
    Kind::ReportDecision,
    Kind::Penance,
    Kind::Resume,
    Kind::Catchup,
    Kind::Wake,
    Kind::Ping,
    Kind::Pong,
];

/// A statement that its author signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    /// Kind, epoch, instance, turn, signer.
    pub header: Header,
    /// Digest of the signed payload.
    pub payload: Hash,
}

/// The bytes on the wire.
pub fn encode(message: &Message) -> Vec<u8> {
    message.to_bytes()
}

/// Reads bytes from the wire.
pub fn decode(bytes: &[u8]) -> Result<Message, DecodeError> {
    Message::from_bytes(bytes)
}

/// The bytes that members agree on.
pub fn proposal_bytes(proposal: &Proposal) -> Vec<u8> {
    proposal.to_bytes()
}

/// The commands of a proposal.
pub fn commands(proposal: &Proposal) -> impl Iterator<Item = &[u8]> {
    proposal.commands.iter().map(|command| command.as_ref())
}

/// Instance and body, if a message is its author's own proposal.
pub fn own_proposal(author: Slot, message: &Message) -> Option<(u64, &[u8])> {
    match message {
        Message::Agree(agree) if agree.core.header.slot == author => {
            Some((agree.core.header.inst.0, &agree.value.body))
        }
        _ => None,
    }
}

fn statement<T: Encode>(signed: &Signed<T>) -> Statement {
    Statement { header: signed.header, payload: Hash::of(&signed.payload.to_bytes()) }
}

/// What the author of a message states in it under its own signature.
pub fn own_statements(author: Slot, message: &Message) -> Vec<Statement> {
    let mut found = match message {
        Message::SetTurn(m) => vec![statement(&m.core)],
        Message::Read(m) => vec![statement(&m.core)],
        Message::ReadAck(m) => vec![statement(&m.core)],
        Message::Agree(m) => vec![statement(&m.core), statement(&m.value.statement)],
        Message::AgreeLater(m) => vec![statement(&m.core)],
        Message::AgreeAck(m) => vec![statement(&m.core)],
        Message::Write(m) => vec![statement(&m.core)],
        Message::WriteAck(m) => vec![statement(&m.core)],
        Message::ShowQuorum(m) => vec![statement(&m.core)],
        Message::ShowDecision(m) => vec![statement(&m.core)],
        Message::ReportDecision(m) => vec![statement(&m.core)],
        Message::Penance(m) => vec![statement(&m.core)],
        Message::Wake(m) => vec![statement(&m.core)],
        Message::Resume(_) | Message::Catchup(_) | Message::Ping(_) | Message::Pong(_) => {
            Vec::new()
        }
    };
    found.retain(|statement| statement.header.slot == author);
    found
}

/// The decision certificate that a message carries or amounts to.
pub fn decision(message: &Message) -> Option<DecisionCert> {
    match message {
        Message::ShowQuorum(m) => m.acks.decision(m.core.header.turn, m.core.payload.value),
        Message::ShowDecision(m) => Some((*m.cert).clone()),
        Message::ReportDecision(m) => Some((*m.cert).clone()),
        Message::Catchup(m) => Some((*m.cert).clone()),
        _ => None,
    }
}

fn name(value: &Hash) -> String {
    let mut text = value.to_hex();
    text.truncate(8);
    text
}

fn signers<T: bart_rsm::message::cert::Entry>(vector: &Signers<T>) -> String {
    let slots: Vec<String> = vector.slots().iter().map(|slot| slot.0.to_string()).collect();
    format!("{{{}}}", slots.join(","))
}

fn read_quorum(entries: &Signers<ReadEntry>) -> String {
    let parts = entries.iter().map(|(slot, entry)| match entry.val_turn {
        TURN_NONE => format!("{}:none", slot.0),
        Turn(turn) => format!("{}:{}@{turn}", slot.0, name(&entry.value)),
    });
    parts.collect::<Vec<_>>().join(" ")
}

fn write_quorum(quorum: &WriteQuorum) -> String {
    let parts =
        quorum.signers.iter().map(|(slot, entry)| format!("{}:{}", slot.0, entry.max_turn.0));
    parts.collect::<Vec<_>>().join(" ")
}

fn padded(body: &Padded) -> String {
    format!("{} of {} bytes", body.body().len(), body.block_len())
}

/// A message in the paper's words.
pub fn describe(message: &Message) -> String {
    let (inst, turn) = (message.inst().0, message.turn().0);
    let what = match message {
        Message::SetTurn(_) => "set-turn".to_owned(),
        Message::Read(m) => format!("read, POL of {}", signers(&m.pol.signers)),
        Message::ReadAck(m) => match m.core.payload.val_turn {
            TURN_NONE => format!("read-ack: accepted nothing ({})", padded(&m.body)),
            Turn(val) => format!(
                "read-ack: accepted {} in turn {val} ({})",
                name(&m.core.payload.value),
                padded(&m.body)
            ),
        },
        Message::Agree(m) => {
            format!("agree on {} ({} bytes)", name(&m.core.payload.value), m.value.body.len())
        }
        Message::AgreeLater(m) => format!(
            "agree on {} as read from [{}]",
            name(&m.core.payload.value),
            read_quorum(&m.reads.signers)
        ),
        Message::AgreeAck(m) => format!("agree-ack of {}", name(&m.core.payload.value)),
        Message::Write(m) => format!(
            "write {}, agreed to by {}",
            name(&m.core.payload.value),
            signers(&m.cert.signers)
        ),
        Message::WriteAck(m) => format!(
            "write-ack of {}, max-pol {}",
            name(&m.core.payload.value),
            m.core.payload.max_turn.0
        ),
        Message::ShowQuorum(m) => format!(
            "show-quorum for {}, max-pols [{}]",
            name(&m.core.payload.value),
            write_quorum(&m.acks)
        ),
        Message::ShowDecision(m) => {
            format!("show-decision {} of turn {}", name(&m.cert.value), m.cert.turn.0)
        }
        Message::ReportDecision(m) => {
            format!("report-decision {} of turn {}", name(&m.cert.value), m.cert.turn.0)
        }
        Message::Penance(m) => format!("penance of {} bytes", m.pad.len()),
        Message::Resume(m) => {
            format!("resume: undecided from {}, owed from {}", m.undecided.0, m.frontier.0)
        }
        Message::Catchup(m) => {
            format!("catchup: {} was decided in turn {}", name(&m.cert.value), m.cert.turn.0)
        }
        Message::Wake(_) => "wake".to_owned(),
        Message::Ping(m) => {
            format!("ping: undecided from {}, owed from {}", m.undecided.0, m.frontier.0)
        }
        Message::Pong(m) => {
            format!("pong: undecided from {}, owed from {}", m.undecided.0, m.frontier.0)
        }
    };
    format!("[instance {inst} turn {turn}] {what}")
}
