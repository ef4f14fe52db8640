//! Durable records: what must survive a crash so that no promise is broken (specification 4.6, 5.7).
//!
//! Guarantees: (1) all records of one step are written in one transaction before anything of the step leaves; (2) a
//! member that starts from its records and the state at [`Key::Applied`] or earlier says nothing different from what it
//! said before. Bounds: one record an entry of `role.rs`.

use crate::request::Aid;
use types::{Decode, DecodeError, Encode, GroupId, Hash, Reader, Slot, Writer};

/// The name of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The first instance whose assignments we have not taken up.
    Applied,
    /// A mark above all stamps that we gave.
    Stamp,
    /// Counted time of a peer.
    Uptime(Slot),
    /// An answer of ours, by the name of the request.
    Answer(Hash),
    /// Target's entry.
    Serving(Aid),
    /// Witness's entry.
    Watched(Aid),
    /// Requester's entry.
    Asked(Aid),
    /// Our vow, by the name of its work.
    Vow(Hash),
    /// Work for another machine.
    Abroad(Aid),
    /// What we carry for it.
    Courier(Aid),
    /// An order to bring in.
    Bringing(GroupId, Aid),
    /// Work of another machine.
    Hosted(Aid),
}

/// A record; without a value it is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub key: Key,
    /// Its value.
    pub value: Option<Vec<u8>>,
}

/// A record cannot be read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// Its bytes are damaged.
    #[error(
        "the record {0:?} is damaged: {1}; treat the disk as lost and go on under the next identity"
    )]
    Damaged(Key, DecodeError),
    /// The parameters or links do not fit.
    #[error(transparent)]
    Config(#[from] crate::core::ConfigError),
}

impl Encode for Key {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Applied => out.u8(0),
            Self::Stamp => out.u8(1),
            Self::Uptime(slot) => {
                out.u8(2);
                out.put(slot);
            }
            Self::Answer(hash) | Self::Vow(hash) => {
                out.u8(if matches!(self, Self::Answer(_)) { 3 } else { 7 });
                out.put(hash);
            }
            Self::Serving(aid) => tagged(out, 4, aid),
            Self::Watched(aid) => tagged(out, 5, aid),
            Self::Asked(aid) => tagged(out, 6, aid),
            Self::Abroad(aid) => tagged(out, 8, aid),
            Self::Courier(aid) => tagged(out, 9, aid),
            Self::Bringing(group, aid) => {
                out.u8(10);
                out.put(group);
                out.put(aid);
            }
            Self::Hosted(aid) => tagged(out, 11, aid),
        }
    }
}

fn tagged(out: &mut Writer, tag: u8, aid: &Aid) {
    out.u8(tag);
    out.put(aid);
}

impl Decode for Key {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u8()? {
            0 => Self::Applied,
            1 => Self::Stamp,
            2 => Self::Uptime(input.get()?),
            3 => Self::Answer(input.get()?),
            4 => Self::Serving(input.get()?),
            5 => Self::Watched(input.get()?),
            6 => Self::Asked(input.get()?),
            7 => Self::Vow(input.get()?),
            8 => Self::Abroad(input.get()?),
            9 => Self::Courier(input.get()?),
            10 => Self::Bringing(input.get()?, input.get()?),
            11 => Self::Hosted(input.get()?),
            _ => return Err(DecodeError::Malformed("record of work")),
        })
    }
}
