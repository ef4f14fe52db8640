//! The commands of level 1 in the log (specification 5.1, 6.1 to 6.3).
//!
//! Assumes: the proposal that carries a command is signed by its proposer. Guarantees: the codes are disjoint from those
//! of other layers ([`Command::is_mine`]), and a command has one encoding.

use crate::cert::{Cert, DenialCert};
use crate::layout::{Blob, Code};
use crate::request::{Aid, Work};
use crate::statement::{ResponseCore, ResultShare, WorkOrder};
use types::limits::{FOREIGN_RESULT_MAX, HOPS_MAX, VOW_PART_LEN};
use types::{Decode, DecodeError, Encode, GroupId, Hash, Reader, Signed, Slot, Stamp, Writer};

/// The first byte of this layer's commands lies from here ...
pub const CODE_FIRST: u8 = 32;
/// ... to here.
pub const CODE_LAST: u8 = 47;

crate::layout::layout! {
    /// A credible threat: "by then I shall have asked this of that member and shown its answer" (paper 6.3).
    Vow {
        /// Digest of the work that will be asked for.
        root: Hash,
        /// Who will be asked.
        target: Slot,
        /// State machine time by which it is settled.
        due: Stamp,
        /// Bytes of the encoded work.
        request_len: crate::layout::Cap,
        /// Longest fields of the answer.
        fields_cap: crate::layout::Cap,
        /// Longest body of the answer.
        body_cap: crate::layout::Cap,
    }
}

/// What settles a vow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// The target's answer.
    Answer(Box<Signed<ResponseCore>>),
    /// It was assigned, and `f + 1` members waited in vain.
    Denied(Box<DenialCert>),
}

/// A command. A closed list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Have a member do this.
    Assign(Work),
    /// Have another machine do this.
    AssignMachine {
        /// The work.
        work: Work,
        /// Hops that it may take.
        ttl: Code,
    },
    /// Threaten credibly.
    Vow(Vow),
    /// Keep a vow.
    Fulfil {
        /// Which.
        vow: Aid,
        /// With what.
        with: Settlement,
    },
    /// Pay for a vow that could not be kept: the next part of the default message.
    VowDefault {
        /// Which.
        vow: Aid,
        /// Which part, counted from 0.
        part: u16,
        /// A keyed stream that cannot be compressed.
        pad: Blob<VOW_PART_LEN>,
    },
    /// Another machine asks for this.
    ForeignAssign {
        /// The other machine.
        origin: GroupId,
        /// What it ordered.
        order: Box<Cert<WorkOrder>>,
        /// The work, as it was first asked for.
        work: Work,
        /// The machine whose members' accounts the requester belongs to.
        home: GroupId,
    },
    /// Another machine did this for us.
    ForeignResult {
        /// The other machine.
        machine: GroupId,
        /// What it certifies.
        cert: Box<Cert<ResultShare>>,
        /// The result.
        result: Blob<FOREIGN_RESULT_MAX>,
    },
}

impl Command {
    /// Whether bytes in a proposal are meant for this layer.
    pub fn is_mine(bytes: &[u8]) -> bool {
        bytes.first().is_some_and(|code| (CODE_FIRST..=CODE_LAST).contains(code))
    }

    /// What they say; none if they are another layer's.
    pub fn read(bytes: &[u8]) -> Option<Result<Self, DecodeError>> {
        Self::is_mine(bytes).then(|| Self::from_bytes(bytes))
    }
}

impl Encode for Settlement {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Answer(core) => {
                out.u8(0);
                out.put(&**core);
            }
            Self::Denied(cert) => {
                out.u8(1);
                out.put(&**cert);
            }
        }
    }
}

impl Decode for Settlement {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => Ok(Self::Answer(Box::new(input.get()?))),
            1 => Ok(Self::Denied(Box::new(input.get()?))),
            _ => Err(DecodeError::Malformed("settlement of a vow")),
        }
    }
}

impl Encode for Command {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Assign(work) => {
                out.u8(CODE_FIRST);
                out.put(work);
            }
            Self::AssignMachine { work, ttl } => {
                out.u8(CODE_FIRST + 1);
                out.put(work);
                out.put(ttl);
            }
            Self::Vow(vow) => {
                out.u8(CODE_FIRST + 2);
                out.put(vow);
            }
            Self::Fulfil { vow, with } => {
                out.u8(CODE_FIRST + 3);
                out.put(vow);
                out.put(with);
            }
            Self::VowDefault { vow, part, pad } => {
                out.u8(CODE_FIRST + 4);
                out.put(vow);
                out.u16(*part);
                out.put(pad);
            }
            Self::ForeignAssign { origin, order, work, home } => {
                out.u8(CODE_FIRST + 5);
                out.put(origin);
                out.put(&**order);
                out.put(work);
                out.put(home);
            }
            Self::ForeignResult { machine, cert, result } => {
                out.u8(CODE_FIRST + 6);
                out.put(machine);
                out.put(&**cert);
                out.put(result);
            }
        }
    }
}

impl Decode for Command {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u8()?.wrapping_sub(CODE_FIRST) {
            0 => Ok(Self::Assign(input.get()?)),
            1 => match (input.get()?, input.get()?) {
                (work, Code(ttl @ 1..=HOPS_MAX)) => {
                    Ok(Self::AssignMachine { work, ttl: Code(ttl) })
                }
                _ => Err(DecodeError::Malformed("hops")),
            },
            2 => Ok(Self::Vow(input.get()?)),
            3 => Ok(Self::Fulfil { vow: input.get()?, with: input.get()? }),
            4 => Ok(Self::VowDefault { vow: input.get()?, part: input.u16()?, pad: input.get()? }),
            5 => Ok(Self::ForeignAssign {
                origin: input.get()?,
                order: Box::new(input.get()?),
                work: input.get()?,
                home: input.get()?,
            }),
            6 => Ok(Self::ForeignResult {
                machine: input.get()?,
                cert: Box::new(input.get()?),
                result: input.get()?,
            }),
            _ => Err(DecodeError::Malformed("command of work")),
        }
    }
}
