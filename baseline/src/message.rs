//! Messages, and the certificates that they carry.

use std::sync::Arc;
use types::limits::{COMMAND_LEN_MAX, COMMANDS_MAX, MEMBERS_MAX, PROPOSAL_LEN_MAX};
use types::{
    Decode, DecodeError, Encode, Hash, Instance, Kind, Reader, Signature, Signed, SignedPayload,
    Slot, Turn, Writer,
};

/// The view that stands for "no lock".
pub(crate) const NO_VIEW: Turn = Turn(u32::MAX);

macro_rules! names_a_value {
    ($($(#[$doc:meta])* $name:ident $kind:ident;)*) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name(pub Hash);
        impl Encode for $name {
            fn encode(&self, out: &mut Writer) { out.put(&self.0); }
        }
        impl Decode for $name {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> { Ok(Self(input.get()?)) }
        }
        impl SignedPayload for $name { const KIND: Kind = Kind::$kind; }
    )* };
}

// The group id of all signatures is not that of the real log, so that kinds can be shared.
names_a_value! {
    /// The leader puts a value forward.
    Proposed Value;
    /// A member saw no other value in this view.
    Voted AgreeAck;
    /// A member is locked on the value.
    Committing WriteAck;
}

/// A member leaves for a view, and what it is locked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaving {
    pub(crate) lock_view: Turn,
    pub(crate) lock: Hash,
}

impl Encode for Leaving {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.lock_view);
        out.put(&self.lock);
    }
}

impl Decode for Leaving {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { lock_view: input.get()?, lock: input.get()? })
    }
}

impl SignedPayload for Leaving {
    const KIND: Kind = Kind::SetTurn;
}

/// A quorum said the same about one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cert {
    pub(crate) inst: Instance,
    pub(crate) view: Turn,
    pub(crate) value: Hash,
    pub(crate) votes: Vec<(Slot, Signature)>,
}

impl Encode for Cert {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.inst);
        out.put(&self.view);
        out.put(&self.value);
        out.count(self.votes.len());
        for (slot, signature) in &self.votes {
            out.put(slot);
            out.put(signature);
        }
    }
}

impl Decode for Cert {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (inst, view, value) = (input.get()?, input.get()?, input.get()?);
        let count = input.count("votes", MEMBERS_MAX)?;
        let votes = (0..count).map(|_| Ok((input.get()?, input.get()?)));
        Ok(Self { inst, view, value, votes: votes.collect::<Result<_, DecodeError>>()? })
    }
}

/// A command and who submitted it. Numbers of one origin rise; a repetition is not executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub(crate) origin: Slot,
    pub(crate) number: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Encode for Command {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.origin);
        out.u64(self.number);
        out.bytes(&self.bytes);
    }
}

impl Decode for Command {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (origin, number) = (input.get()?, input.u64()?);
        Ok(Self { origin, number, bytes: input.bytes("command", COMMAND_LEN_MAX)?.to_vec() })
    }
}

/// Encodes a batch as the body of a proposal.
pub(crate) fn body_of(commands: &[Command]) -> Arc<[u8]> {
    let mut out = Writer::new();
    out.list(commands);
    out.finish().into()
}

pub(crate) fn commands_of(body: &[u8]) -> Result<Vec<Command>, DecodeError> {
    let mut input = Reader::new(body);
    let commands = input.list("commands", COMMANDS_MAX)?;
    input.finish()?;
    Ok(commands)
}

/// What members say to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Commands for whoever leads.
    Forward(Vec<Command>),
    /// Leader to all: this is the value of the instance.
    Propose(Signed<Proposed>, Arc<[u8]>),
    /// To the leader: I saw no other one.
    Vote(Signed<Voted>),
    /// Leader to all: a quorum saw no other one.
    Lock(Cert),
    /// To the leader: I am locked on it.
    Commit(Signed<Committing>),
    /// Leader to all, and to whoever lags: a quorum is locked on it. With the body where it may be missing.
    Decide(Cert, Option<Arc<[u8]>>),
    /// To all: I leave for a later view, locked on this.
    ViewChange(Signed<Leaving>, Option<(Cert, Arc<[u8]>)>),
    /// The new leader to all: a quorum left for my view, and this is the latest lock among them.
    NewView(Vec<Signed<Leaving>>, Option<Cert>),
    /// What was decided from this instance on? What established this view?
    Fetch(Instance, Turn),
}

fn get_body(input: &mut Reader<'_>) -> Result<Arc<[u8]>, DecodeError> {
    Ok(input.bytes("body", PROPOSAL_LEN_MAX)?.into())
}

impl Encode for Message {
    fn encode(&self, out: &mut Writer) {
        match self {
            Message::Forward(commands) => {
                out.u8(1);
                out.list(commands);
            }
            Message::Propose(core, body) => {
                out.u8(2);
                out.put(core);
                out.bytes(body);
            }
            Message::Vote(core) => {
                out.u8(3);
                out.put(core);
            }
            Message::Lock(cert) => {
                out.u8(4);
                out.put(cert);
            }
            Message::Commit(core) => {
                out.u8(5);
                out.put(core);
            }
            Message::Decide(cert, body) => {
                out.u8(6 + u8::from(body.is_some()));
                out.put(cert);
                body.iter().for_each(|body| out.bytes(body));
            }
            Message::ViewChange(core, lock) => {
                out.u8(8 + u8::from(lock.is_some()));
                out.put(core);
                lock.iter().for_each(|(cert, body)| {
                    out.put(cert);
                    out.bytes(body);
                });
            }
            Message::NewView(changes, lock) => {
                out.u8(10);
                out.list(changes);
                out.put(lock);
            }
            Message::Fetch(inst, view) => {
                out.u8(11);
                out.put(inst);
                out.put(view);
            }
        }
    }
}

impl Decode for Message {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u8()? {
            1 => Message::Forward(input.list("commands", COMMANDS_MAX)?),
            2 => Message::Propose(input.get()?, get_body(input)?),
            3 => Message::Vote(input.get()?),
            4 => Message::Lock(input.get()?),
            5 => Message::Commit(input.get()?),
            6 => Message::Decide(input.get()?, None),
            7 => Message::Decide(input.get()?, Some(get_body(input)?)),
            8 => Message::ViewChange(input.get()?, None),
            9 => Message::ViewChange(input.get()?, Some((input.get()?, get_body(input)?))),
            10 => Message::NewView(input.list("view changes", MEMBERS_MAX)?, input.get()?),
            11 => Message::Fetch(input.get()?, input.get()?),
            _ => return Err(DecodeError::Malformed("message")),
        })
    }
}
