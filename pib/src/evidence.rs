//! Evidence: signed statements that convict their signer (specification 8.2), as a checker finds them.
//! The file that anybody can verify is in [`crate::pom`]; adjudication, with its effects on the roster,
//! belongs to the state machine.

use crate::objects::{Receipt, RetrieveConfirm, RetrieveDeny, StoreInfo, StoreReject};
use types::{Decode, DecodeError, Encode, Ident, Reader, Signed, Slot, Writer};

/// The rows of the catalogue that this crate finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum EvidenceKind {
    /// PB1: a confirm core whose hash or size is not that of the StoreInfo.
    WrongChunk = 1,
    /// PB2: a deny without a valid reason.
    BadDeny = 2,
    /// PB3: a reject that breaks the rules of 7.2.
    BadReject = 3,
    /// PB4: a receipt and a reject for one StoreInfo.
    AcceptAndReject = 4,
    /// PB9: two different statements of one signer with one stamp.
    StampReuse = 9,
}

/// Any statement that can be an exhibit. A closed list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// An owner's StoreInfo.
    Info(Signed<StoreInfo>),
    /// A storer's receipt.
    Receipt(Signed<Receipt>),
    /// A storer's reject.
    Reject(Signed<StoreReject>),
    /// A storer's confirm core.
    Confirm(Signed<RetrieveConfirm>),
    /// A storer's deny.
    Deny(Signed<RetrieveDeny>),
}

impl Statement {
    /// The place of its kind in the order in which exhibits stand.
    pub fn place(&self) -> u8 {
        match self {
            Self::Info(_) => 0,
            Self::Receipt(_) => 1,
            Self::Reject(_) => 2,
            Self::Confirm(_) => 3,
            Self::Deny(_) => 4,
        }
    }
}

/// Whom the objects convict, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Which rule was broken.
    pub kind: EvidenceKind,
    /// The slot that signed.
    pub accused: Slot,
    /// The linked identity that signed.
    pub ident: Ident,
    /// The exhibits, in the order of the catalogue.
    pub objects: Vec<Statement>,
}

/// Exhibits of one piece of evidence.
pub const EVIDENCE_OBJECTS_MAX: usize = 4;

impl Encode for Statement {
    fn encode(&self, out: &mut Writer) {
        out.u8(self.place());
        match self {
            Self::Info(info) => out.put(info),
            Self::Receipt(receipt) => out.put(receipt),
            Self::Reject(reject) => out.put(reject),
            Self::Confirm(confirm) => out.put(confirm),
            Self::Deny(deny) => out.put(deny),
        }
    }
}

impl Decode for Statement {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u8()? {
            0 => Self::Info(input.get()?),
            1 => Self::Receipt(input.get()?),
            2 => Self::Reject(input.get()?),
            3 => Self::Confirm(input.get()?),
            4 => Self::Deny(input.get()?),
            _ => return Err(DecodeError::Malformed("kind of exhibit")),
        })
    }
}
