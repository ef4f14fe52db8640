//! What faulty members do: one strategy a file.
//!
//! A faulty member holds its key and one or more complete engines ("seats") of the code under
//! test. A [`Strategy`] sees what its engines want to send and what arrives, and may drop, alter,
//! delay and duplicate, and sign anything in its own name. All faulty members of a run share a
//! [`Board`]: what one has seen or holds, all have.

use crate::rng::Random;
use bart_rsm::Compose;
use bart_rsm::message::Message;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{
    Epoch, Header, Ident, Instance, Kind, Roster, SecretKey, Signed, SignedPayload, Slot, Turn,
};

mod absent;
mod amnesia;
mod deaf;
mod delay;
mod double_vote;
mod early_set_turn;
mod equivocate;
mod failing_quorum;
mod favour_null;
mod flood;
mod follow;
mod forced_value;
mod garbage;
mod held_proof;
mod inflated_read;
mod invented_proof;
mod lazy_ack;
mod lonely_read;
mod lying_read;
mod mix;
mod proposals;
mod repeat;
mod replay;
mod selective_read;
mod selective_show_quorum;
mod selective_silence;
mod set_turn_early;
mod set_turn_free_ride;
mod set_turn_wrong;
mod short_pad;
mod short_quorum;
mod silent;
mod slow;
mod split;
mod stale_max_pol;
mod two_answers;
mod two_proofs;
mod wake_spam;
mod withhold;
mod wrong_ack;
mod wrong_body;
mod wrong_report;
mod wrong_turn_proof;

/// A message on its way out of a faulty member.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// To whom.
    pub to: Slot,
    /// What.
    pub content: Content,
    /// Held back for so long before it enters the network.
    pub delay_ms: u64,
}

/// A message, or bytes that may be none.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)] // Short-lived; moved once or twice.
pub enum Content {
    /// A message as its author made it.
    Message(Message),
    /// Raw bytes.
    Bytes(Vec<u8>),
}

impl Outgoing {
    /// A message that leaves at once.
    pub fn now(to: Slot, message: Message) -> Self {
        Self { to, content: Content::Message(message), delay_ms: 0 }
    }

    /// What kind of message it is, if it is one.
    pub fn kind(&self) -> Option<Kind> {
        match &self.content {
            Content::Message(message) => Some(message.kind()),
            Content::Bytes(_) => None,
        }
    }
}

/// What a strategy asks of the machine it runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Remember the disk of seat 0 as it is now.
    SaveDisk,
    /// Stop, put the remembered disk back, and start again.
    RollBack,
}

/// What all faulty members of a run share.
pub struct Board {
    /// Virtual time.
    pub now_ms: u64,
    /// The adversary's randomness.
    pub rng: Random,
    /// The group.
    pub roster: Arc<Roster>,
    /// Keys of the faulty members.
    pub keys: BTreeMap<Slot, SecretKey>,
    /// Base timeout of the group.
    pub t0_min_ms: u64,
    /// Old messages worth keeping, oldest first.
    pub kept: Vec<Message>,
    /// Messages that do not come from an engine.
    pub post: Vec<(Slot, Outgoing)>,
    /// What is asked of the machines.
    pub requests: Vec<(Slot, Request)>,
    /// Highest instance seen.
    pub instance: u64,
    /// Largest encoded proposal.
    pub v_max: usize,
}

/// Messages that a board keeps at most.
const KEPT_MAX: usize = 4_000;

impl Board {
    /// Keeps a message for later misuse.
    pub fn keep(&mut self, message: &Message) {
        if self.kept.len() < KEPT_MAX {
            self.kept.push(message.clone());
        }
    }

    /// The group's quorum size.
    pub fn q(&self) -> usize {
        self.roster.quorum().size()
    }

    /// The sender of an instance, when all members are live.
    pub fn sender(&self, inst: u64) -> Slot {
        Slot((inst % self.roster.slots() as u64) as u16)
    }

    /// The leader of a turn above 0 (issue T28).
    pub fn leader(&self, inst: u64, turn: u32) -> Slot {
        let n = self.roster.slots() as u64;
        Slot(((inst % n + 1 + u64::from(turn) % (n - 1)) % n) as u16)
    }

    /// The header of a statement in a faulty member's name.
    pub fn header(&self, me: Slot, kind: Kind, inst: u64, turn: u32) -> Header {
        Header {
            kind,
            epoch: Epoch(0),
            inst: Instance(inst),
            turn: Turn(turn),
            slot: me,
            ident: Ident(0),
        }
    }

    /// Signs a statement under a header, in a faulty member's name. None for a member that is not
    /// faulty: the adversary has no other key.
    pub fn sign<T: SignedPayload>(&self, header: Header, payload: T) -> Option<Signed<T>> {
        let key = self.keys.get(&header.slot)?;
        Some(Signed::new(key, &self.roster.group(), header, payload).into_inner())
    }

    /// Members that follow the protocol.
    pub fn honest(&self) -> Vec<Slot> {
        self.roster.all().filter(|slot| !self.keys.contains_key(slot)).collect()
    }

    /// Everybody but `me`.
    pub fn others(&self, me: Slot) -> Vec<Slot> {
        self.roster.all().filter(|slot| *slot != me).collect()
    }

    /// Sends a message in a faulty member's name.
    pub fn send(&mut self, me: Slot, outgoing: Outgoing) {
        self.post.push((me, outgoing));
    }
}

/// The behaviour of one faulty member.
pub trait Strategy {
    /// How many engines run under the member's key, each with a disk of its own.
    fn seats(&self) -> usize {
        1
    }

    /// What alters the proposals of its engines, if anything does.
    fn compose(&self) -> Option<Compose> {
        None
    }

    /// Whether a seat talks with a peer.
    fn serves(&self, _seat: usize, _peer: Slot) -> bool {
        true
    }

    /// Before anything else.
    fn start(&mut self, _board: &mut Board, _me: Slot) {}

    /// An engine wants to send; what is returned is sent.
    fn outgoing(&mut self, _board: &mut Board, _me: Slot, out: Vec<Outgoing>) -> Vec<Outgoing> {
        out
    }

    /// A message arrives; false keeps it from the engine.
    fn incoming(&mut self, _board: &mut Board, _me: Slot, _from: Slot, _message: &Message) -> bool {
        true
    }

    /// About once per base timeout.
    fn tick(&mut self, _board: &mut Board, _me: Slot) {}
}

/// A strategy by name.
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What it does, with the rows of the deviation catalogue (specification section 9).
    pub what: &'static str,
    /// Makes the strategy of one faulty member.
    pub make: fn(&mut Board, Slot) -> Box<dyn Strategy>,
}

/// The random mixture.
pub const MIX: &str = "mixture";

/// The mixture of the strategies that there were first. It never changes, so that a recorded seed
/// keeps its meaning.
pub const FIRST_MIX: &str = "first-mixture";

/// Every strategy, in the order of the catalogue's rows.
pub const ALL: &[Entry] = &[
    follow::ENTRY,
    silent::ENTRY,
    selective_silence::ENTRY,
    slow::ENTRY,
    withhold::SET_TURN_ONE,
    withhold::SET_TURN,
    withhold::READ,
    withhold::READ_ACK,
    withhold::PROPOSAL,
    withhold::OMIT,
    withhold::AGREE,
    withhold::AGREE_ACK,
    withhold::WRITE,
    withhold::WRITE_SOME,
    withhold::WRITE_ACK,
    withhold::SHOW_QUORUM,
    withhold::SHOW_DECISION,
    withhold::REPORT,
    withhold::PENANCE,
    withhold::CATCHUP,
    withhold::SHUN,
    delay::SET_TURN,
    delay::READ,
    delay::READ_ACK,
    delay::PROPOSAL,
    delay::LATE_PROPOSAL,
    delay::AGREE,
    delay::AGREE_ACK,
    delay::WRITE,
    delay::WRITE_ACK,
    delay::SHOW_QUORUM,
    delay::SHOW_DECISION,
    delay::REPORT,
    delay::PENANCE,
    set_turn_early::ENTRY,
    set_turn_free_ride::AFTER_POL,
    set_turn_free_ride::IF_ELECTED,
    set_turn_wrong::ENTRY,
    early_set_turn::ENTRY,
    split::ENTRY,
    selective_read::ENTRY,
    lonely_read::ENTRY,
    lonely_read::HIDDEN,
    two_proofs::ENTRY,
    wrong_turn_proof::ENTRY,
    held_proof::ENTRY,
    lying_read::ENTRY,
    inflated_read::ENTRY,
    two_answers::ENTRY,
    short_pad::ENTRY,
    wrong_body::ENTRY,
    equivocate::ENTRY,
    double_vote::ENTRY,
    forced_value::ENTRY,
    favour_null::ENTRY,
    lazy_ack::ENTRY,
    wrong_ack::ENTRY,
    stale_max_pol::ENTRY,
    invented_proof::ENTRY,
    selective_show_quorum::ENTRY,
    failing_quorum::ENTRY,
    short_quorum::ENTRY,
    replay::ENTRY,
    wrong_report::ENTRY,
    proposals::WRONG_VECTORS,
    proposals::WRONG_ENCODING,
    proposals::FAILING_COMMANDS,
    proposals::NO_FINES,
    proposals::FINE_ALL,
    proposals::FINE_ONE,
    proposals::WRONG_FINES,
    proposals::LIST_ONE,
    proposals::LIST_ALL,
    proposals::NO_LISTING,
    proposals::WRONG_CLOSED,
    proposals::WRONG_CHECKPOINT,
    proposals::WILD_STAMPS,
    repeat::ENTRY,
    absent::ENTRY,
    deaf::ENTRY,
    flood::ENTRY,
    garbage::ENTRY,
    amnesia::ENTRY,
    wake_spam::ENTRY,
    mix::ENTRY,
    mix::FIRST,
];

/// The strategy of this name.
pub fn find(name: &str) -> Option<&'static Entry> {
    ALL.iter().find(|entry| entry.name == name)
}
