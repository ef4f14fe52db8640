//! What a sender proposes, and when others may acknowledge it (specification 5.1).
//!
//! Guarantees: (1) every field has its fixed place and every vector one length, so no choice is
//! cheaper; (2) the format predicate reads nothing but the bytes and the log prefix.
//! Bounds: `V_MAX` bytes, [`COMMANDS_MAX`] commands.

use crate::order::{ORDER_LEN_MAX, ORDERS_MAX};
use crate::time::LogState;
use types::limits::{COMMAND_LEN_MAX, COMMANDS_MAX, MEMBERS_MAX, PROPOSAL_LEN_MAX, UNTIMELY_MAX};
use types::{Decode, DecodeError, Encode, Hash, Instance, Reader, Slot, Stamp, Turn, Writer};

/// One entry of the accusation vector, of fixed size (specification 5.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accusation {
    /// 0: nobody is accused; 1: a duty is overdue; 2: a malformed message.
    pub reason: u8,
    /// Instance of the oldest overdue duty.
    pub inst: Instance,
    /// Its turn.
    pub turn: Turn,
    /// Code of the kind that is owed.
    pub kind: u8,
    /// Digest of the malformed message.
    pub message: Hash,
}

/// Bytes of an encoded [`Accusation`].
const ACCUSATION_LEN: usize = 1 + 8 + 4 + 1 + 32;

/// A sender's proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The sender's clock, later than in its previous decided proposal.
    pub stamp: Stamp,
    /// Untimely marks, one entry a slot (3.8).
    pub untimely: Vec<u8>,
    /// Accusations, one entry a slot (5.6).
    pub accuse: Vec<Accusation>,
    /// All instances below this are closed with everybody (5.5).
    pub closed_upto: Instance,
    /// Latest own checkpoint: instance and digest (5.5).
    pub checkpoint: (Instance, Hash),
    /// Audit report, if one is due (7.6).
    pub audit: Option<Vec<u8>>,
    /// The batch.
    pub commands: Vec<Vec<u8>>,
    /// What the state machine itself executes, encoded ([`crate::Order`]).
    pub orders: Vec<Vec<u8>>,
}

/// Bytes of an encoded proposal without commands and audit report.
pub fn fixed_len(slots: usize) -> usize {
    8 + (4 + slots) + (4 + slots * ACCUSATION_LEN) + 8 + 40 + 1 + 4 + 4
}

impl Proposal {
    /// A proposal with neutral vectors.
    pub fn plain(slots: usize, stamp: Stamp, commands: Vec<Vec<u8>>) -> Self {
        Self {
            stamp,
            untimely: vec![0; slots],
            accuse: vec![Accusation::default(); slots],
            closed_upto: Instance(0),
            checkpoint: (Instance(0), Hash::ZERO),
            audit: None,
            commands,
            orders: Vec::new(),
        }
    }

    /// Whether it carries nothing that anybody waits for.
    pub fn is_idle(&self) -> bool {
        self.commands.is_empty() && self.orders.is_empty()
    }

    /// The format predicate without the log: lengths, caps, own entries (issues AG-D6, UN-D3).
    pub fn check_form(&self, sender: Slot, slots: usize) -> Result<(), &'static str> {
        let own = usize::from(sender.0);
        if self.untimely.len() != slots || self.accuse.len() != slots {
            return Err("vector length");
        }
        if self.untimely.iter().any(|count| *count > UNTIMELY_MAX) {
            return Err("untimely above the cap");
        }
        if self.untimely.get(own) != Some(&0) {
            return Err("own untimely entry");
        }
        if self.accuse.get(own) != Some(&Accusation::default()) {
            return Err("own accusation entry");
        }
        let blank = Accusation::default();
        if self.accuse.iter().any(|entry| match entry.reason {
            0 => *entry != blank,
            1 => entry.message != Hash::ZERO,
            2 => false,
            _ => true,
        }) {
            return Err("accusation form");
        }
        if self.commands.iter().any(Vec::is_empty) {
            return Err("empty command");
        }
        if self.orders.iter().any(Vec::is_empty) {
            return Err("empty order");
        }
        Ok(())
    }

    /// The part of the predicate that reads the log prefix before the instance.
    pub(crate) fn check_prefix(&self, sender: Slot, log: &LogState) -> Result<(), &'static str> {
        if self.stamp <= log.stamp_of(sender) { Err("stamp not increasing") } else { Ok(()) }
    }
}

impl Encode for Accusation {
    fn encode(&self, out: &mut Writer) {
        out.u8(self.reason);
        out.put(&self.inst);
        out.put(&self.turn);
        out.u8(self.kind);
        out.put(&self.message);
    }
}

impl Decode for Accusation {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            reason: input.u8()?,
            inst: input.get()?,
            turn: input.get()?,
            kind: input.u8()?,
            message: input.get()?,
        })
    }
}

impl Encode for Proposal {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.stamp);
        out.bytes(&self.untimely);
        out.list(&self.accuse);
        out.put(&self.closed_upto);
        out.put(&self.checkpoint.0);
        out.put(&self.checkpoint.1);
        match &self.audit {
            None => out.u8(0),
            Some(report) => {
                out.u8(1);
                out.bytes(report);
            }
        }
        out.count(self.commands.len());
        for command in &self.commands {
            out.bytes(command);
        }
        out.count(self.orders.len());
        for order in &self.orders {
            out.bytes(order);
        }
    }
}

impl Decode for Proposal {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let stamp = input.get()?;
        let untimely = input.bytes("untimely", MEMBERS_MAX)?.to_vec();
        let accuse = input.list("accuse", MEMBERS_MAX)?;
        let closed_upto = input.get()?;
        let checkpoint = (input.get()?, input.get()?);
        let audit = match input.u8()? {
            0 => None,
            1 => Some(input.bytes("audit report", PROPOSAL_LEN_MAX)?.to_vec()),
            _ => return Err(DecodeError::Malformed("audit report")),
        };
        let count = input.count("commands", COMMANDS_MAX)?;
        let mut commands = Vec::with_capacity(count.min(input.remaining()));
        for _ in 0..count {
            commands.push(input.bytes("command", COMMAND_LEN_MAX)?.to_vec());
        }
        let count = input.count("orders", ORDERS_MAX)?;
        let mut orders = Vec::with_capacity(count.min(input.remaining()));
        for _ in 0..count {
            orders.push(input.bytes("order", ORDER_LEN_MAX)?.to_vec());
        }
        Ok(Self { stamp, untimely, accuse, closed_upto, checkpoint, audit, commands, orders })
    }
}
