//! What a member of a ledger is told by the state machine, writes down, and sends.

use crate::accounts::Owner;
use crate::broadcast::quorum;
use crate::checkpoint::{Checkpoint, Cut};
use crate::fetch;
use crate::ids::{Account, Amount};
use crate::transfer::Order;
use types::{Decode, DecodeError, Encode, Hash, Reader, Slot, Writer};

/// What the state machine decides about a ledger, in the order of its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An account, with credits that did not exist before.
    Open {
        /// Its number.
        account: Account,
        /// Who may debit it.
        owner: Owner,
        /// What is in it.
        credits: Amount,
    },
    /// Credits that did not exist before.
    Mint {
        /// For whom.
        account: Account,
        /// How many.
        credits: Amount,
    },
    /// A member vouches for the balances at a cut.
    Vote {
        /// The member that submitted it.
        member: Slot,
        /// The cut.
        cut: Cut,
        /// [`Checkpoint::root`].
        root: Hash,
    },
}

/// What a member writes down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// An order of its own, before it is broadcast.
    Issued(Order),
    /// The broadcast's.
    Broadcast(quorum::Record),
    /// What the state machine decided.
    Event(Event),
    /// A checkpoint that the state machine vouches for took the place of what lies before it.
    Checkpoint(Checkpoint),
    /// A cut that took effect in the log, with the root of its balances, before this member reached it.
    Due(Cut, Hash),
}

/// What members of a ledger send each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The broadcast's.
    Broadcast(quorum::Message),
    /// About checkpoints.
    Checkpoint(fetch::Message),
}

impl Encode for Event {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Open { account, owner, credits } => {
                out.u8(0);
                out.put(account);
                out.put(owner);
                out.put(credits);
            }
            Self::Mint { account, credits } => {
                out.u8(1);
                out.put(account);
                out.put(credits);
            }
            Self::Vote { member, cut, root } => {
                out.u8(2);
                out.put(member);
                out.put(cut);
                out.put(root);
            }
        }
    }
}

impl Decode for Event {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u8()? {
            0 => Self::Open { account: input.get()?, owner: input.get()?, credits: input.get()? },
            1 => Self::Mint { account: input.get()?, credits: input.get()? },
            2 => Self::Vote { member: input.get()?, cut: input.get()?, root: input.get()? },
            _ => return Err(DecodeError::Malformed("ledger event")),
        })
    }
}

impl Encode for Record {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Issued(order) => {
                out.u8(0);
                out.put(order);
            }
            Self::Broadcast(record) => {
                out.u8(1);
                out.put(record);
            }
            Self::Event(event) => {
                out.u8(2);
                out.put(event);
            }
            Self::Checkpoint(checkpoint) => {
                out.u8(3);
                out.put(checkpoint);
            }
            Self::Due(cut, root) => {
                out.u8(4);
                out.put(cut);
                out.put(root);
            }
        }
    }
}

impl Decode for Record {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u8()? {
            0 => Self::Issued(input.get()?),
            1 => Self::Broadcast(input.get()?),
            2 => Self::Event(input.get()?),
            3 => Self::Checkpoint(input.get()?),
            4 => Self::Due(input.get()?, input.get()?),
            _ => return Err(DecodeError::Malformed("ledger record")),
        })
    }
}

impl Encode for Message {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Broadcast(message) => {
                out.u8(0);
                out.put(message);
            }
            Self::Checkpoint(message) => {
                out.u8(1);
                out.put(message);
            }
        }
    }
}

impl Decode for Message {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u8()? {
            0 => Self::Broadcast(input.get()?),
            1 => Self::Checkpoint(input.get()?),
            _ => return Err(DecodeError::Malformed("ledger message")),
        })
    }
}
