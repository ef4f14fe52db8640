//! A member that says what its core did not: a test actor, never a member of a real group.
//!
//! Everything else (disk, links, storing for others) is a member's, so that a group with one behaves
//! like any group of which one member is Byzantine.

use bart_rsm::message::Message;
use bart_rsm::{Core, Effect, Input, Machine, Now, Record, Stats, Step};
use bytes::Bytes;
use types::{Millis, SecretKey, Slot};

/// What becomes of a message before it leaves, by addressee.
pub type Outbound = Box<dyn FnMut(Slot, Message) -> Message + Send>;

/// What becomes of an answer to a store or a retrieve, with its body, before it leaves.
pub type Answering = Box<dyn Fn(pib::Response, Bytes) -> (pib::Response, Bytes) + Send + Sync>;

/// The lies of a test actor; none for a member.
#[derive(Default)]
pub struct Acting {
    /// In the state machine.
    pub messages: Option<Outbound>,
    /// As a storer.
    pub answers: Option<Answering>,
    /// What it does not answer as a storer at all.
    pub silence: Silence,
}

/// Which stores and retrieves a test actor does not answer. Its part in the log is a member's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Silence {
    /// It answers all.
    #[default]
    Never,
    /// Those on the direct path: it answers only what the group assigns.
    Direct,
    /// All, whoever asks.
    Always,
}

/// A core whose messages are changed as they leave.
pub(crate) struct Actor {
    core: Core,
    outbound: Outbound,
}

impl Actor {
    pub(crate) fn new(
        config: bart_rsm::Config,
        key: SecretKey,
        records: Vec<Record>,
        outbound: Outbound,
    ) -> Result<Self, replica::Error> {
        let core = match records.is_empty() {
            true => Core::new(config, key).map_err(|error| error.to_string()),
            false => Core::restore(config, key, records).map_err(|error| error.to_string()),
        };
        Ok(Self { core: core.map_err(replica::Error::Config)?, outbound })
    }

    fn twist(&mut self, mut step: Step) -> Step {
        let change = |effect| match effect {
            Effect::Send { to, message } => {
                Effect::Send { to, message: (self.outbound)(to, message) }
            }
            other => other,
        };
        step.effects = std::mem::take(&mut step.effects).into_iter().map(change).collect();
        step
    }
}

impl Machine for Actor {
    type Message = Message;

    fn start(&mut self, now: Now) -> Step {
        let step = self.core.start(now);
        self.twist(step)
    }

    fn handle(&mut self, now: Now, input: Input) -> Step {
        let step = self.core.handle(now, input);
        self.twist(step)
    }

    fn next_wakeup(&self) -> Option<Millis> {
        self.core.next_wakeup()
    }

    fn stats(&self) -> Stats {
        self.core.stats()
    }
}
