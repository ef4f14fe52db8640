//! Names: numbers that two messages or states share if they may stand for each other.

use bart_rsm::message::Message;
use std::collections::BTreeMap;
use types::{Hash, SignedPayload};

/// Names of the outcomes of the explored instance; other digests have larger names.
pub const NOTHING: u64 = 0;
/// The sender's value, or the first of two.
pub const VALUE_A: u64 = 1;
/// The second value of a faulty sender.
pub const VALUE_B: u64 = 2;
/// NULL.
pub const NULL: u64 = 3;

/// Mixes a sequence of numbers into one (the finaliser of splitmix64, which is a bijection).
pub fn mix(parts: &[u64]) -> u64 {
    let mut name = 0x9e37_79b9_7f4a_7c15;
    for part in parts {
        name = scramble(name ^ scramble(part.wrapping_add(0x9e37_79b9_7f4a_7c15)));
    }
    name
}

fn scramble(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The first bytes of a digest.
pub fn short(hash: &Hash) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|at| hash.0[at]))
}

/// What digests stand for.
#[derive(Debug, Default)]
pub struct Names(BTreeMap<Hash, u64>);

impl Names {
    /// Gives a digest a name.
    pub fn give(&mut self, digest: Hash, name: u64) {
        self.0.insert(digest, name);
    }

    /// The name of a digest; of an unknown one its own first bytes, which is merely less general.
    pub fn of(&self, digest: &Hash) -> u64 {
        if *digest == Hash::ZERO {
            return NOTHING;
        }
        self.0.get(digest).copied().unwrap_or_else(|| short(digest))
    }

    fn statement<P: SignedPayload>(&mut self, core: &types::Signed<P>, name: u64) {
        self.give(core.digest(), name);
    }

    /// The name of a message, without who signed the vectors in it. Statements that others answer
    /// take the message's name.
    pub fn message(&mut self, message: &Message) -> u64 {
        let head = [message.kind() as u64, u64::from(message.turn().0)];
        let rest = match message {
            Message::SetTurn(_) | Message::Read(_) => vec![],
            Message::ReadAck(m) => {
                let said = &m.core.payload;
                vec![u64::from(said.val_turn.0), self.of(&said.value), self.of(&said.read)]
            }
            Message::Agree(m) => vec![self.of(&m.core.payload.value)],
            Message::AgreeLater(m) => vec![self.of(&m.core.payload.value)],
            Message::AgreeAck(m) => {
                vec![self.of(&m.core.payload.value), self.of(&m.core.payload.agree)]
            }
            Message::Write(m) => {
                vec![self.of(&m.core.payload.value), self.of(&m.core.payload.agree)]
            }
            Message::WriteAck(m) => {
                let said = &m.core.payload;
                vec![self.of(&said.value), u64::from(said.max_turn.0), self.of(&said.write)]
            }
            Message::ShowQuorum(m) => {
                vec![self.of(&m.core.payload.value), u64::from(m.acks.max_turn().0)]
            }
            Message::ShowDecision(m) => vec![self.of(&m.cert.value), u64::from(m.cert.turn.0)],
            Message::ReportDecision(m) => vec![self.of(&m.cert.value), u64::from(m.cert.turn.0)],
            Message::Catchup(m) => vec![self.of(&m.cert.value), u64::from(m.cert.turn.0)],
            Message::Penance(_)
            | Message::Resume(_)
            | Message::Ping(_)
            | Message::Pong(_)
            | Message::Wake(_) => vec![],
        };
        let name = mix(&[&head[..], &rest].concat());
        match message {
            Message::Read(m) => self.statement(&m.core, name),
            Message::Agree(m) => self.statement(&m.core, name),
            Message::AgreeLater(m) => self.statement(&m.core, name),
            Message::Write(m) => self.statement(&m.core, name),
            _ => {}
        }
        name
    }
}
