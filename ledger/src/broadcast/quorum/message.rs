//! What the members of a quorum broadcast send each other, and write down.

use crate::broadcast::{PAYLOAD_LEN_MAX, Payload};
use crate::committee::{COMMITTEE_MAX, Seal};
use crate::ids::{Account, Place, Seq};
use crate::state::ACCOUNTS_MAX;
use types::{Decode, DecodeError, Encode, Hash, Kind, Reader, Signed, SignedPayload, Writer};

/// A witness saw this payload at its place, and will never say so of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EchoStatement {
    /// The place.
    pub place: Place,
    /// [`crate::broadcast::Admit::name`] of the payload.
    pub digest: Hash,
}

/// A payload with the echoes of a quorum: whoever holds it can convince everybody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    /// Where.
    pub place: Place,
    /// What.
    pub payload: Payload,
    /// Who signed [`EchoStatement`], in order.
    pub echoes: Vec<Seal>,
}

/// A message between members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// An owner, or somebody who has waited long for the outcome, shows a payload.
    Init {
        /// Where.
        place: Place,
        /// What.
        payload: Payload,
    },
    /// A witness answers an owner.
    Echo(Signed<EchoStatement>),
    /// The outcome.
    Certified(Certified),
    /// What the sender has delivered of each account; whoever has more sends it.
    Status(Vec<(Account, Seq)>),
}

/// What a member writes down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Before its echo leaves.
    Echoed {
        /// Where.
        place: Place,
        /// What.
        payload: Payload,
    },
    /// Before it is delivered.
    Delivered(Certified),
}

fn put_payload(out: &mut Writer, place: Place, payload: &Payload) {
    out.put(&place);
    out.bytes(payload);
}

fn get_payload(input: &mut Reader<'_>) -> Result<(Place, Payload), DecodeError> {
    Ok((input.get()?, input.bytes("payload", PAYLOAD_LEN_MAX)?.into()))
}

impl Encode for EchoStatement {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.place);
        out.put(&self.digest);
    }
}

impl Decode for EchoStatement {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { place: input.get()?, digest: input.get()? })
    }
}

impl SignedPayload for EchoStatement {
    const KIND: Kind = Kind::Echo;
}

impl Encode for Certified {
    fn encode(&self, out: &mut Writer) {
        put_payload(out, self.place, &self.payload);
        out.list(&self.echoes);
    }
}

impl Decode for Certified {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (place, payload) = get_payload(input)?;
        Ok(Self { place, payload, echoes: input.list("echoes", COMMITTEE_MAX)? })
    }
}

impl Encode for Message {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Init { place, payload } => {
                out.u8(0);
                put_payload(out, *place, payload);
            }
            Self::Echo(echo) => {
                out.u8(1);
                out.put(echo);
            }
            Self::Certified(certified) => {
                out.u8(2);
                out.put(certified);
            }
            Self::Status(seqs) => {
                out.u8(3);
                out.count(seqs.len());
                for (account, seq) in seqs {
                    out.put(account);
                    out.put(seq);
                }
            }
        }
    }
}

impl Decode for Message {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u8()? {
            0 => {
                let (place, payload) = get_payload(input)?;
                Self::Init { place, payload }
            }
            1 => Self::Echo(input.get()?),
            2 => Self::Certified(input.get()?),
            3 => {
                let places = input.list::<Place>("status", ACCOUNTS_MAX)?;
                Self::Status(places.into_iter().map(|place| (place.account, place.seq)).collect())
            }
            _ => return Err(DecodeError::Malformed("broadcast message")),
        })
    }
}

impl Encode for Record {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Echoed { place, payload } => {
                out.u8(0);
                put_payload(out, *place, payload);
            }
            Self::Delivered(certified) => {
                out.u8(1);
                out.put(certified);
            }
        }
    }
}

impl Decode for Record {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => {
                let (place, payload) = get_payload(input)?;
                Ok(Self::Echoed { place, payload })
            }
            1 => Ok(Self::Delivered(input.get()?)),
            _ => Err(DecodeError::Malformed("broadcast record")),
        }
    }
}
