//! What goes into a core and what comes out of it, as data.

use crate::message::Message;
use crate::order::Reform;
use crate::pom::Pom;
use crate::proposal::Proposal;
use crate::record::{Record, RecordKey};
use crate::standing::StandingChange;
use std::sync::Arc;
use types::{Hash, Instance, Kind, Roster, Signed, Slot, Stamp, Turn};

/// One thing that happened.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)] // Short-lived and moved once; a box would cost an allocation a message.
pub enum Input<M = Message> {
    /// A message arrived on the authenticated link of `from`.
    Message {
        /// The link's owner.
        from: Slot,
        /// What arrived.
        message: M,
    },
    /// A link can carry messages from now on. All links count as down at the start.
    LinkUp(Slot),
    /// A link broke; what was sent may be lost.
    LinkDown(Slot),
    /// The time that `next_wakeup` named has come.
    Tick,
    /// A command for the log.
    Submit {
        /// The caller's name for it.
        ticket: u64,
        /// At most `COMMAND_LEN_MAX` bytes.
        command: Vec<u8>,
    },
    /// A proof that somebody else found, or that was kept before a restart: it is proposed if it still has
    /// an effect.
    Proof(Box<Pom>),
    /// The authority's word, for the log.
    Reform {
        /// The caller's name for it.
        ticket: u64,
        /// What the authority signed.
        reform: Signed<Reform>,
    },
    /// The answer to [`Effect::Digest`].
    Digest {
        /// The instance that was asked for.
        inst: Instance,
        /// Names the application's state after exactly this instance.
        state: Hash,
    },
    /// The answer to [`Effect::Load`].
    Loaded(Record),
    /// The answer to [`Effect::Load`] for a record that is not there.
    LoadMissing(RecordKey),
}

/// What the runner must do, in order, and what a peer did wrong.
#[must_use]
#[derive(Debug)]
pub struct Step<M = Message> {
    /// To carry out in order.
    pub effects: Vec<Effect<M>>,
    /// What peers did wrong; for statistics and lists, never a proof by itself.
    pub faults: Vec<(Slot, Fault)>,
}

impl<M> Default for Step<M> {
    fn default() -> Self {
        Self { effects: Vec::new(), faults: Vec::new() }
    }
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant)] // As for `Input`.
pub enum Effect<M = Message> {
    /// Must be durable before any later effect of this or of later steps is carried out.
    Persist(Record),
    /// Instances `from..to` with their bodies are not needed any more. May be applied lazily and in
    /// part, but not before the records that precede it.
    Erase {
        /// The first instance to erase.
        from: Instance,
        /// The first one to keep.
        to: Instance,
    },
    /// To be answered with [`Input::Loaded`] or [`Input::LoadMissing`].
    Load(RecordKey),
    /// Hand to the link of `to`.
    Send {
        /// The addressee.
        to: Slot,
        /// The message.
        message: M,
    },
    /// Execute what was decided. After a restart the last [`REPLAYED`](crate::REPLAYED) instances are
    /// applied again; the application skips what it has.
    Apply {
        /// The place in the log.
        inst: Instance,
        /// Whose proposal slot this was.
        sender: Slot,
        /// The decided proposal, or none for NULL.
        proposal: Option<Arc<Proposal>>,
        /// State machine time after this instance (specification 5.2).
        tau: Stamp,
    },
    /// Name the application's state after this instance, the one applied last; to be answered with
    /// [`Input::Digest`]. An application that is further already, after a restart, does not answer.
    Digest {
        /// The instance.
        inst: Instance,
    },
    /// A submitted command is decided. Follows on its instance's `Apply`.
    Committed {
        /// The caller's name for it.
        ticket: u64,
        /// Where.
        inst: Instance,
        /// Its place among the commands of the instance.
        index: usize,
    },
    /// A reform is executed.
    Reformed {
        /// The caller's name for it.
        ticket: u64,
        /// Where.
        inst: Instance,
    },
    /// The log changed who takes part. Follows on the `Apply` of the instance that changed it; after a
    /// restart it comes once, without changes, if the newest roster is not the founding one.
    Roster {
        /// The first instance in which it holds.
        first: Instance,
        /// Who takes part from then on.
        roster: Arc<Roster>,
        /// What changed, and why.
        changes: Vec<StandingChange>,
    },
    /// A submitted command or reform is not accepted.
    Refused {
        /// The caller's name for it.
        ticket: u64,
        /// Why.
        reason: Refusal,
    },
    /// A member signed what convicts it before anybody. Kept by the runner; it may come again after a
    /// restart.
    Evidence(Box<Pom>),
    /// A safety violation was seen; the core signs nothing any more.
    Alarm(Alarm),
}

/// Why a command is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too long for a proposal.
    #[error("the command has {len} bytes, more than the limit of {max}")]
    TooLong {
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The queue is full; try again after some commits.
    #[error("the queue of commands is full")]
    QueueFull,
    /// Nobody can change who takes part in this group.
    #[error("this group has no authority that could change who takes part")]
    NoAuthority,
    /// Somebody else signed the reform, or for another group.
    #[error("the authority of this group did not sign that")]
    NotTheAuthority,
    /// A reform with this or a later stamp was executed.
    #[error("the authority has since said something else; sign it again")]
    Overtaken,
    /// The reform is about a slot that the roster does not have.
    #[error("the roster has no such member")]
    NoSuchMember,
}

/// More than `f` members broke the protocol, or this member's disk lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Alarm {
    /// Two valid certificates decide differently.
    #[error("{0} was decided twice, differently")]
    TwoDecisions(Instance),
    /// We were about to sign a second statement for one key.
    #[error("a second {kind:?} statement for {inst} {turn} was about to be signed")]
    SecondStatement {
        /// The instance.
        inst: Instance,
        /// The turn.
        turn: Turn,
        /// The kind.
        kind: Kind,
    },
    /// More than `f` members have the same state after an instance, and ours is another one.
    #[error("after {0} our state differs from the group's; restore it from a sound copy")]
    OtherState(Instance),
    /// A record that was made durable is gone or does not decode.
    #[error("the durable record of {0} is lost or damaged")]
    RecordLost(Instance),
}

/// What a peer did wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A signature does not verify, or its header is not the peer's.
    #[error("a signature or header is wrong in {0:?}")]
    BadSignature(Kind),
    /// A form, length or vector is wrong.
    #[error("{0:?} is malformed: {1}")]
    Malformed(Kind, &'static str),
    /// The message fits no expectation of this place.
    #[error("{0:?} was not expected")]
    Unexpected(Kind),
    /// The parking budget is used up, or the place is too far ahead.
    #[error("{0:?} could not be parked")]
    NotParked(Kind),
    /// Too many requests for repetition.
    #[error("RESUME came too often")]
    TooOften,
}

impl Fault {
    /// Whether no honest member can cause it. The others also come from repetitions after a
    /// restart or a broken link: they are dropped and bounded, and blame nobody.
    pub fn is_misbehavior(&self) -> bool {
        match self {
            Self::BadSignature(_) | Self::Malformed(..) => true,
            Self::Unexpected(_) | Self::NotParked(_) | Self::TooOften => false,
        }
    }
}

/// An outstanding duty of a peer towards us (specification 3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duty {
    /// O1: the sender has not shown the outcome of turn 0.
    SenderTurn,
    /// O2, O5: an answer to our last step of a turn is missing.
    Answer(Turn),
    /// O3: a report of the decision is missing.
    Report,
    /// O4: a leader has not finished the turn that we started.
    LeaderTurn(Turn),
    /// O5: a set-turn is missing although the peer was shown the proof.
    SetTurn(Turn),
    /// O6: a fined member has not paid.
    Penance,
}

/// Counts that bound memory and work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Instances held in memory.
    pub instances: usize,
    /// Messages waiting for their gate.
    pub parked_messages: usize,
    /// Their bytes.
    pub parked_bytes: usize,
    /// Messages dropped because they could not be parked.
    pub parked_dropped: u64,
    /// Commands waiting for a proposal.
    pub queued_commands: usize,
    /// Signatures verified (cache hits not counted).
    pub verifications: u64,
    /// Signatures made.
    pub signatures: u64,
    /// Records being loaded.
    pub loads: usize,
}
