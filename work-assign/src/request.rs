//! What is asked for: one request or a batch, and the names of assignments (specification 6.1, C.9).
//!
//! Guarantees: (1) the name of a request covers the group, who asks whom, what kinds of answer are legal and how
//! long they may be, so that an answer to one request is never one to another; (2) a request ends at `expires`
//! in state machine time, so the response cache need not remember it for ever. Bounds: [`WORK_BATCH_MAX`]
//! requests, [`WORK_LEN_MAX`] bytes, answers of [`WORK_CAP_MAX`] bytes.

use crate::layout::{Blob, Cap, layout};
use types::limits::{WORK_BATCH_MAX, WORK_CAP_MAX, WORK_FIELDS_MAX, WORK_LEN_MAX};
use types::{
    Decode, DecodeError, Encode, GroupId, Hash, Instance, Kind, Reader, Slot, Stamp, Turn, Writer,
};

/// The kind of answer that stands for the answers to a whole batch.
pub const KIND_BATCH: u8 = 0;
/// The largest kind of answer that a request can allow.
pub const KIND_MAX: u8 = 31;

/// The name of an assignment in its group: where in the log its command stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Aid {
    /// The instance.
    pub inst: Instance,
    /// The command's place in the proposal.
    pub index: u32,
}

impl Aid {
    /// The place under which statements about it are signed: the index stands in the turn's field.
    pub fn turn(self) -> Turn {
        Turn(self.index)
    }

    /// The assignment that a signed header is about.
    pub fn of(header: &types::Header) -> Self {
        Self { inst: header.inst, index: header.turn.0 }
    }

    /// A digest that differs from assignment to assignment and that nobody can choose after the others know it.
    pub fn lot(self, group: GroupId) -> Hash {
        Hash::tagged("assignment", &[group.0.to_bytes(), self.to_bytes()].concat())
    }
}

impl Encode for Aid {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.inst);
        out.u32(self.index);
    }
}

impl Decode for Aid {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { inst: input.get()?, index: input.u32()? })
    }
}

/// Who is to do the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum To {
    /// A member of the group in which it is assigned.
    Member(Slot),
    /// Another state machine.
    Machine(GroupId),
}

impl Encode for To {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Member(slot) => {
                out.u8(0);
                out.put(slot);
            }
            Self::Machine(group) => {
                out.u8(1);
                out.put(group);
            }
        }
    }
}

impl Decode for To {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => Ok(Self::Member(input.get()?)),
            1 => Ok(Self::Machine(input.get()?)),
            _ => Err(DecodeError::Malformed("target of work")),
        }
    }
}

/// Which kinds of answer a request allows: a bit each, of kinds 1 to [`KIND_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Kinds(pub u32);

impl Kinds {
    /// Exactly these kinds.
    pub fn of(kinds: &[u8]) -> Self {
        Self(kinds.iter().filter(|kind| **kind <= KIND_MAX).fold(0, |set, kind| set | 1 << kind))
    }

    /// Whether a kind is among them.
    pub fn allows(self, kind: u8) -> bool {
        kind <= KIND_MAX && self.0 & (1 << kind) != 0
    }
}

impl Encode for Kinds {
    fn encode(&self, out: &mut Writer) {
        out.u32(self.0);
    }
}

impl Decode for Kinds {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.u32()?))
    }
}

layout! {
    /// One request.
    Request {
        /// Who asks.
        requester: Slot,
        /// Who is to do it.
        to: To,
        /// Which kinds of answer are legal.
        kinds: Kinds,
        /// The longest fields of an answer, bytes.
        fields_cap: Cap,
        /// The longest body, bytes.
        body_cap: Cap,
        /// State machine time after which it can no longer be asked.
        expires: Stamp,
        /// What is asked, for the application. Whoever may ask the same twice puts something unique in.
        payload: Blob<WORK_LEN_MAX>,
    }
}

impl Request {
    /// Its name in a group.
    pub fn hash(&self, group: GroupId) -> Hash {
        Hash::tagged("work request", &[group.0.to_bytes(), self.to_bytes()].concat())
    }

    fn caps(&self) -> (usize, usize) {
        (self.fields_cap.0 as usize, self.body_cap.0 as usize)
    }
}

/// Why work cannot be assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WorkError {
    /// No request, or too many.
    #[error("an assignment has 1 to {WORK_BATCH_MAX} requests, not {0}")]
    Count(usize),
    /// Too many bytes.
    #[error("the requests have {0} bytes, more than {WORK_LEN_MAX}")]
    TooLong(usize),
    /// Too large answers.
    #[error("answers of up to {0} bytes are asked for, more than {WORK_CAP_MAX}; ask in slices")]
    CapTooLarge(usize),
    /// Requests of one batch differ in who asks whom.
    #[error("the requests of one assignment have one requester and one target")]
    Mixed,
    /// Two requests of one batch are the same.
    #[error("a batch asks twice for the same")]
    Twice,
    /// No kind of answer is legal, or the one that stands for batches.
    #[error("a request allows some of the answer kinds 1 to {KIND_MAX}")]
    Kinds,
    /// A batch for a machine.
    #[error("work for a machine is one request without a body, of at most 4 KiB of answer")]
    Machine,
}

/// The requests of one assignment or vow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    requests: Vec<Request>,
}

impl Work {
    /// Checks sizes and that the requests belong together.
    pub fn new(requests: Vec<Request>) -> Result<Self, WorkError> {
        let count = requests.len();
        let Some(first) = requests.first().filter(|_| count <= WORK_BATCH_MAX) else {
            return Err(WorkError::Count(count));
        };
        if requests.iter().any(|one| (one.requester, one.to) != (first.requester, first.to)) {
            return Err(WorkError::Mixed);
        }
        if requests.iter().any(|one| one.kinds.0 & !1 == 0 || one.kinds.0 & 1 != 0) {
            return Err(WorkError::Kinds);
        }
        let distinct: std::collections::BTreeSet<_> =
            requests.iter().map(Encode::to_bytes).collect();
        if distinct.len() != count {
            return Err(WorkError::Twice);
        }
        let one_small = count == 1
            && first.caps().1 == 0
            && first.caps().0 <= types::limits::FOREIGN_RESULT_MAX;
        if matches!(first.to, To::Machine(_)) && !one_small {
            return Err(WorkError::Machine);
        }
        let work = Self { requests };
        let len = work.to_bytes().len();
        if len > WORK_LEN_MAX {
            return Err(WorkError::TooLong(len));
        }
        if work.requests.iter().any(|one| one.caps().0 > WORK_FIELDS_MAX)
            || work.requests.iter().any(|one| one.caps().1 > WORK_CAP_MAX)
            || work.cap() > WORK_CAP_MAX
        {
            return Err(WorkError::CapTooLarge(work.cap()));
        }
        Ok(work)
    }

    /// The requests.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// Who asks.
    pub fn requester(&self) -> Slot {
        self.requests[0].requester
    }

    /// Who is to do it.
    pub fn to(&self) -> To {
        self.requests[0].to
    }

    /// Whether there are several requests.
    pub fn is_batch(&self) -> bool {
        self.requests.len() > 1
    }

    /// The names of the requests, in order.
    pub fn leaves(&self, group: GroupId) -> Vec<Hash> {
        self.requests.iter().map(|request| request.hash(group)).collect()
    }

    /// `u`: the name of the whole.
    pub fn root(&self, group: GroupId) -> Hash {
        root(&self.leaves(group))
    }

    /// When the first of the requests ends.
    pub fn expires(&self) -> Stamp {
        self.requests.iter().map(|request| request.expires).min().unwrap_or_default()
    }

    /// The longest fields of the answer's core.
    pub fn fields_cap(&self) -> usize {
        if self.is_batch() { 0 } else { self.requests[0].caps().0 }
    }

    /// The longest body: for a batch, the cores and bodies of its answers.
    pub fn body_cap(&self) -> usize {
        if !self.is_batch() {
            return self.requests[0].caps().1;
        }
        let each = |one: &Request| crate::sizes::core_len(one.caps().0) + 8 + one.caps().1;
        4 + self.requests.iter().map(each).sum::<usize>()
    }

    /// The longest answer, without its frame: what the requester's quota is charged.
    pub fn cap(&self) -> usize {
        self.fields_cap() + self.body_cap()
    }
}

/// The name of a batch; that of a single request is its own.
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [only] => *only,
        all => {
            let mut out = Writer::new();
            out.list(all);
            Hash::tagged("work batch", &out.finish())
        }
    }
}

impl Encode for Work {
    fn encode(&self, out: &mut Writer) {
        out.list(&self.requests);
    }
}

impl Decode for Work {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let requests = input.list("requests", WORK_BATCH_MAX)?;
        Self::new(requests).map_err(|_| DecodeError::Malformed("work"))
    }
}

/// A signed header without a place in the log: statements that outlive epochs.
pub(crate) fn outside(kind: Kind, slot: Slot, ident: types::Ident) -> types::Header {
    let (epoch, inst, turn) = (types::Epoch(0), Instance(0), Turn(0));
    types::Header { kind, epoch, inst, turn, slot, ident }
}
