//! Secure broadcast: one trait, and what its implementations have in common.
//!
//! Source: section 3.3 (definition of secure broadcast) and chapter 4 of the thesis.
//! Assumes: the runner carries out effects in order, and those after a [`Effect::Persist`] only when
//! the record is durable; links authenticate the peer and are reliable while up; at most `f` of the
//! committee are Byzantine.
//!
//! Guarantees, cited by tests:
//! 1. *Integrity*: an honest member delivers at most one message for a [`Place`], and if the account's
//!    owner is honest, only what it broadcast.
//! 2. *Agreement*: if an honest member delivers a message, every honest member does, in the end.
//! 3. *Validity*: what an honest owner broadcasts, every honest member delivers, in the end.
//! 4. *Account order*: an honest member delivers an account's messages in the order 1, 2, 3, ...
//!    With one owner this is the thesis's source order.
//!
//! The sampled stack guarantees them with probability at least `1 - epsilon` each; the quorum ones always,
//! but for agreement where certificates are gossiped to few members.

pub mod quorum;
pub mod sampled;

use crate::ids::{Account, Place};
use std::sync::Arc;
use types::{Hash, Millis, Slot};

/// Bytes of one payload.
pub const PAYLOAD_LEN_MAX: usize = 16 * 1024;

/// What is broadcast: bytes that only the [`Admit`] of the layer above understands. Shared, because one
/// payload goes to many.
pub type Payload = Arc<[u8]>;

/// The name of a payload at its place. Everything that is said about a payload names this.
pub fn payload_digest(place: Place, payload: &[u8]) -> Hash {
    use types::Encode as _;
    let mut bytes = place.to_bytes();
    bytes.extend_from_slice(payload);
    Hash::tagged("ledger payload", &bytes)
}

/// One broadcast protocol at one member: a pure step function.
pub trait Broadcast {
    /// What its members send each other.
    type Message: Clone + types::Encode + types::Decode;
    /// What it makes durable, and is given back after a restart.
    type Record: Clone + types::Encode + types::Decode;

    /// Begins, or goes on after a restart: repeats what may not have been sent.
    fn start(&mut self, now: Millis) -> Step<Self::Message, Self::Record>;

    /// Takes one input.
    fn handle(
        &mut self,
        now: Millis,
        input: Input<Self::Message>,
    ) -> Step<Self::Message, Self::Record>;

    /// When it wants [`Input::Wake`], if nothing else happens first.
    fn next_wakeup(&self) -> Option<Millis>;
}

/// What happens to a member.
#[derive(Debug, Clone)]
pub enum Input<M> {
    /// The layer above broadcasts. The caller has made the payload durable, and never broadcasts
    /// another one for the place.
    Broadcast {
        /// Where.
        place: Place,
        /// What.
        payload: Payload,
    },
    /// A message from a peer, over a link that authenticates it.
    Message {
        /// The peer.
        from: Slot,
        /// What it sent; nothing in it has been checked.
        message: M,
    },
    /// The link to a peer is up, for the first time or again.
    LinkUp(Slot),
    /// The time asked for has come.
    Wake,
}

/// What the runner carries out, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect<M, R> {
    /// Make durable before any effect that follows.
    Persist(R),
    /// Send one message to each of these peers; none of them is this member.
    Send {
        /// The peers.
        to: Vec<Slot>,
        /// The message.
        message: M,
    },
    /// Hand a message up: the next of its account.
    Deliver {
        /// Where.
        place: Place,
        /// What.
        payload: Payload,
    },
    /// Signed objects that convict somebody.
    Evidence(Evidence),
}

/// What a broadcast shows to a third party, as bytes that the layer above turns into proofs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// Two admitted payloads for one place: their issuer signed both.
    TwoPayloads {
        /// The place.
        place: Place,
        /// One.
        first: Payload,
        /// The other.
        second: Payload,
    },
    /// Two signed echoes of one witness for one place, naming different payloads.
    TwoEchoes {
        /// The witness.
        witness: Slot,
        /// The encoded `Signed` statements.
        first: Vec<u8>,
        /// The other.
        second: Vec<u8>,
    },
}

/// A peer did something wrong that nobody could prove to a third party.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Which peer.
    pub peer: Slot,
    /// What.
    pub what: &'static str,
}

/// What one call yields.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Step<M, R> {
    /// To be carried out in order.
    pub effects: Vec<Effect<M, R>>,
    /// For logs and metrics.
    pub faults: Vec<Fault>,
}

impl<M, R> Default for Step<M, R> {
    fn default() -> Self {
        Self { effects: Vec::new(), faults: Vec::new() }
    }
}

impl<M, R> Step<M, R> {
    /// Sends one message to some peers, unless there are none.
    pub fn send(&mut self, to: Vec<Slot>, message: M) {
        if !to.is_empty() {
            self.effects.push(Effect::Send { to, message });
        }
    }

    /// Notes a fault.
    pub fn fault(&mut self, peer: Slot, what: &'static str) {
        self.faults.push(Fault { peer, what });
    }

    /// Appends what another call yielded.
    pub fn extend(&mut self, other: Self) {
        self.effects.extend(other.effects);
        self.faults.extend(other.faults);
    }
}

/// Why a payload is not what its account's owner said. The words go to logs and to the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub &'static str);

/// Whether bytes are what the owner of an account broadcast: the one question that a broadcast asks of
/// the layer above. The answer depends on nothing but the arguments and the accounts that were opened,
/// so that honest members agree about it.
pub trait Admit {
    /// Checks form, place and the owner's (or the owners' quorum's) signature.
    fn admit(&self, place: Place, payload: &[u8]) -> Result<(), Refused>;

    /// As [`Admit::admit`], for what a quorum vouched for already: earlier identities of the owner count too.
    fn admit_certified(&self, place: Place, payload: &[u8]) -> Result<(), Refused> {
        self.admit(place, payload)
    }

    /// The name of an admitted payload: two payloads of one name say the same, whoever signed. Owners of a shared
    /// account may each put together another quorum of signatures for one transfer.
    fn name(&self, place: Place, payload: &[u8]) -> Hash {
        payload_digest(place, payload)
    }

    /// Whether the account is known here. Who speaks of one that is not may be ahead of this member.
    fn is_open(&self, account: Account) -> bool {
        let _ = account;
        true
    }

    /// Whether the layer above can take the message of this place now. What it cannot take is not
    /// delivered yet; once it is delivered it is never lost. Turns true when earlier messages were dealt with.
    fn room(&self, place: Place) -> bool {
        let _ = place;
        true
    }

    /// Whether a member runs the account's broadcast and may start one.
    /// A shared account may be run by each of several.
    fn may_start(&self, place: Place, member: Slot) -> bool;

    /// Whether a witness may vouch for an admitted payload now: whether its own state could apply it. The
    /// answer differs from member to member and from time to time; it turns true in the end for what an
    /// honest owner broadcasts.
    fn ready(&self, place: Place, payload: &[u8]) -> bool {
        let _ = (place, payload);
        true
    }
}
