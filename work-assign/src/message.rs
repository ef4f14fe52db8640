//! Every message of lane W (specification 6).
//!
//! Assumes: the link authenticates the author's slot. Guarantees: one encoding a message; forwarded answers of one
//! request have one length and denials a longer one, checked by the receiver (`pad.rs`). Bounds: a message fits a frame
//! of the control link.

use crate::cert::Cert;
use crate::layout::{Blob, Body, Code};
use crate::request::{Aid, Request};
use crate::statement::*;
use types::limits::{FOREIGN_RESULT_MAX, WORK_BATCH_MAX};
use types::{Decode, DecodeError, Encode, GroupId, Hash, Reader, Signed, Writer};

/// What a peer confirms that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Got {
    /// A witness's word: the answer or the denial.
    Word,
    /// A signature for another machine.
    Order,
    /// A share of a result.
    Share,
    /// Another machine's result.
    Foreign,
    /// A target's answer, to an assignment that has ended for the author.
    Answer,
}

/// One message between two members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A target answers, in an assignment or (without one) directly.
    Response {
        /// The assignment.
        aid: Option<Aid>,
        /// The answer.
        core: Box<Signed<ResponseCore>>,
        /// Its body, where the addressee is to have it.
        body: Body,
    },
    /// The answer was taken over.
    Ack(Signed<WorkAck>),
    /// A witness forwards an answer.
    Witness {
        /// The witness's word.
        word: Signed<WitnessStatement>,
        /// The answer.
        core: Box<Signed<ResponseCore>>,
        /// Its body, if the witness is designated.
        body: Body,
        /// Brings all answers to one length.
        pad: Body,
    },
    /// A witness waited in vain.
    NoEvidence {
        /// The witness's word.
        word: Signed<NoEvidence>,
        /// Makes it dearer than forwarding.
        pad: Body,
    },
    /// The addressee need not repeat something.
    Got(Got, Aid),
    /// A requester asks directly, under a vow.
    Direct {
        /// The vow.
        vow: Aid,
        /// The names of all requests of its work.
        leaves: Vec<Hash>,
        /// This one.
        request: Box<Request>,
    },
    /// A requester asks for the answer that stands for the whole batch of a vow.
    Close {
        /// The vow.
        vow: Aid,
        /// The names of all requests of its work.
        leaves: Vec<Hash>,
    },
    /// A member of the overlap gets a signature for the other machine.
    Order(Signed<WorkOrder>),
    /// A member of the overlap gets a share of a result.
    Share(Signed<ResultShare>),
    /// A member of the overlap brings the other machine's result.
    Foreign {
        /// Our assignment.
        aid: Aid,
        /// The other machine.
        machine: GroupId,
        /// What it certifies.
        cert: Box<Cert<ResultShare>>,
        /// The result.
        result: Blob<FOREIGN_RESULT_MAX>,
    },
    /// A witness forwards another machine's result.
    ForeignWitness {
        /// The witness's word.
        word: Signed<WitnessStatement>,
        /// The other machine.
        machine: GroupId,
        /// What it certifies.
        cert: Box<Cert<ResultShare>>,
        /// The result.
        result: Blob<FOREIGN_RESULT_MAX>,
        /// Brings all results to one length.
        pad: Body,
    },
    /// A member certifies another's account, because a proposal broke a rule.
    Account(Signed<AccountShare>),
}

impl Encode for Got {
    fn encode(&self, out: &mut Writer) {
        out.u8(*self as u8);
    }
}

impl Decode for Got {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => Ok(Self::Word),
            1 => Ok(Self::Order),
            2 => Ok(Self::Share),
            3 => Ok(Self::Foreign),
            4 => Ok(Self::Answer),
            _ => Err(DecodeError::Malformed("what was received")),
        }
    }
}

impl Message {
    fn code(&self) -> Code {
        Code(match self {
            Self::Response { .. } => 1,
            Self::Ack(_) => 2,
            Self::Witness { .. } => 3,
            Self::NoEvidence { .. } => 4,
            Self::Got(..) => 5,
            Self::Direct { .. } => 6,
            Self::Close { .. } => 7,
            Self::Order(_) => 8,
            Self::Share(_) => 9,
            Self::Foreign { .. } => 10,
            Self::ForeignWitness { .. } => 11,
            Self::Account(_) => 12,
        })
    }
}

impl Encode for Message {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.code());
        match self {
            Self::Response { aid, core, body } => {
                out.put(aid);
                out.put(&**core);
                out.put(body);
            }
            Self::Ack(ack) => out.put(ack),
            Self::Witness { word, core, body, pad } => {
                out.put(word);
                out.put(&**core);
                out.put(body);
                out.put(pad);
            }
            Self::NoEvidence { word, pad } => {
                out.put(word);
                out.put(pad);
            }
            Self::Got(what, aid) => {
                out.put(what);
                out.put(aid);
            }
            Self::Direct { vow, leaves, request } => {
                out.put(vow);
                out.list(leaves);
                out.put(&**request);
            }
            Self::Close { vow, leaves } => {
                out.put(vow);
                out.list(leaves);
            }
            Self::Order(share) => out.put(share),
            Self::Share(share) => out.put(share),
            Self::Foreign { aid, machine, cert, result } => {
                out.put(aid);
                out.put(machine);
                out.put(&**cert);
                out.put(result);
            }
            Self::ForeignWitness { word, machine, cert, result, pad } => {
                out.put(word);
                out.put(machine);
                out.put(&**cert);
                out.put(result);
                out.put(pad);
            }
            Self::Account(share) => out.put(share),
        }
    }
}

impl Decode for Message {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u8()? {
            1 => Self::Response {
                aid: input.get()?,
                core: Box::new(input.get()?),
                body: input.get()?,
            },
            2 => Self::Ack(input.get()?),
            3 => Self::Witness {
                word: input.get()?,
                core: Box::new(input.get()?),
                body: input.get()?,
                pad: input.get()?,
            },
            4 => Self::NoEvidence { word: input.get()?, pad: input.get()? },
            5 => Self::Got(input.get()?, input.get()?),
            6 => Self::Direct {
                vow: input.get()?,
                leaves: input.list("names of requests", WORK_BATCH_MAX)?,
                request: Box::new(input.get()?),
            },
            7 => Self::Close {
                vow: input.get()?,
                leaves: input.list("names of requests", WORK_BATCH_MAX)?,
            },
            8 => Self::Order(input.get()?),
            9 => Self::Share(input.get()?),
            10 => Self::Foreign {
                aid: input.get()?,
                machine: input.get()?,
                cert: Box::new(input.get()?),
                result: input.get()?,
            },
            11 => Self::ForeignWitness {
                word: input.get()?,
                machine: input.get()?,
                cert: Box::new(input.get()?),
                result: input.get()?,
                pad: input.get()?,
            },
            12 => Self::Account(input.get()?),
            _ => return Err(DecodeError::Malformed("message of work")),
        })
    }
}

/// The stream that pads what a member sends to another about an assignment.
pub fn pad(
    group: GroupId,
    aid: Aid,
    kind: types::Kind,
    (from, to): (types::Slot, types::Slot),
    len: usize,
) -> Body {
    let key = bart_rsm::message::PadKey { group, inst: aid.inst, turn: aid.turn(), kind, from, to };
    let mut bytes = vec![0; len];
    key.fill(&mut bytes);
    Body::new(&bytes)
}
