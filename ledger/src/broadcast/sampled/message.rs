//! What the members of a sampled broadcast send each other, and write down.
//!
//! A payload carries its owner's signature, which [`crate::broadcast::Admit`] checks; whoever passes it on
//! is known from the link, so an echo needs only the payload's digest.

use crate::broadcast::{PAYLOAD_LEN_MAX, Payload};
use crate::ids::Place;
use types::{Decode, DecodeError, Encode, Hash, Reader, Writer};

/// What a subscriber wants to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wants {
    /// Gossip (algorithm 6, line 14).
    pub gossip: bool,
    /// Echoes (algorithm 8, line 19).
    pub echo: bool,
    /// Readiness (algorithm 9, lines 21 and 22).
    pub ready: bool,
}

/// A message between members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The sender has the receiver in some of its samples.
    Subscribe {
        /// Of which instance.
        place: Place,
        /// Which.
        wants: Wants,
    },
    /// A payload on its way through the group.
    Gossip {
        /// Where.
        place: Place,
        /// What.
        payload: Payload,
    },
    /// The sender will deliver no other payload from its echo layer.
    Echo {
        /// Where.
        place: Place,
        /// [`crate::broadcast::payload_digest`].
        digest: Hash,
    },
    /// The sender is ready to deliver.
    Ready {
        /// Where.
        place: Place,
        /// What.
        payload: Payload,
    },
}

/// What a member writes down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Before its echo leaves.
    Echoed(Place, Payload),
    /// Before it says that it is ready, after its own echo layer delivered.
    Own(Place, Payload),
    /// Before it says that it is ready, infected by others.
    Infected(Place, Payload),
    /// Before it is delivered.
    Delivered(Place, Payload),
}

impl Encode for Wants {
    fn encode(&self, out: &mut Writer) {
        out.u8(u8::from(self.gossip) | u8::from(self.echo) << 1 | u8::from(self.ready) << 2);
    }
}

impl Decode for Wants {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bits = input.u8()?;
        if bits == 0 || bits > 7 {
            return Err(DecodeError::Malformed("what a subscriber wants"));
        }
        Ok(Self { gossip: bits & 1 != 0, echo: bits & 2 != 0, ready: bits & 4 != 0 })
    }
}

fn put(out: &mut Writer, tag: u8, place: Place, payload: &Payload) {
    out.u8(tag);
    out.put(&place);
    out.bytes(payload);
}

fn get(input: &mut Reader<'_>) -> Result<(Place, Payload), DecodeError> {
    Ok((input.get()?, input.bytes("payload", PAYLOAD_LEN_MAX)?.into()))
}

impl Encode for Message {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Subscribe { place, wants } => {
                out.u8(0);
                out.put(place);
                out.put(wants);
            }
            Self::Gossip { place, payload } => put(out, 1, *place, payload),
            Self::Echo { place, digest } => {
                out.u8(2);
                out.put(place);
                out.put(digest);
            }
            Self::Ready { place, payload } => put(out, 3, *place, payload),
        }
    }
}

impl Decode for Message {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => Ok(Self::Subscribe { place: input.get()?, wants: input.get()? }),
            1 => get(input).map(|(place, payload)| Self::Gossip { place, payload }),
            2 => Ok(Self::Echo { place: input.get()?, digest: input.get()? }),
            3 => get(input).map(|(place, payload)| Self::Ready { place, payload }),
            _ => Err(DecodeError::Malformed("sampled broadcast message")),
        }
    }
}

impl Encode for Record {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Echoed(place, payload) => put(out, 0, *place, payload),
            Self::Own(place, payload) => put(out, 1, *place, payload),
            Self::Infected(place, payload) => put(out, 2, *place, payload),
            Self::Delivered(place, payload) => put(out, 3, *place, payload),
        }
    }
}

impl Decode for Record {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let tag = input.u8()?;
        let (place, payload) = get(input)?;
        match tag {
            0 => Ok(Self::Echoed(place, payload)),
            1 => Ok(Self::Own(place, payload)),
            2 => Ok(Self::Infected(place, payload)),
            3 => Ok(Self::Delivered(place, payload)),
            _ => Err(DecodeError::Malformed("sampled broadcast record")),
        }
    }
}
