//! What owners and storers sign (specification 7.1), one file each.
//!
//! All of them stand outside the log: epoch, instance and turn of the header are 0, and owner or
//! storer and linked identity are the header's slot and ident. Stamps are the signer's.

mod receipt;
mod reject;
mod retrieve;
mod store_info;

pub use receipt::Receipt;
pub use reject::{RejectReason, StoreReject};
pub use retrieve::{DenyReason, Part, RetrieveConfirm, RetrieveDeny, RetrieveRequest};
pub(crate) use store_info::supersedes;
pub use store_info::{Op, StoreInfo};

use types::{Epoch, Header, Ident, Instance, Kind, Slot, Turn};

/// The header of a statement outside the log. [`types::Signed::new`] sets the kind.
pub(crate) fn header(slot: Slot, ident: Ident) -> Header {
    Header { kind: Kind::StoreInfo, epoch: Epoch(0), inst: Instance(0), turn: Turn(0), slot, ident }
}
