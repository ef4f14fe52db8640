//! Every parameter and rule that a group or a member may set, as plain validated data.
//!
//! Source: section 1 of the specification (parameters), paper section 4 (model).
//! Assumes: nothing but its inputs; this crate is pure. The present moment, where an expiry is
//! judged, is an argument.
//!
//! Guarantees, cited by tests:
//! 1. *Valid*: a [`GroupPolicy`], [`Genesis`] or [`MemberConfig`] that exists obeys every relation
//!    between its fields; there is no way to build one that does not.
//! 2. *Canonical*: policy and genesis have one encoding each, and the group id is its hash.
//! 3. *Attributable*: a [`JoinRequest`] is signed by the member's first identity, a [`Ticket`] by
//!    the group's authority; neither can be changed in transit.
//! 4. *Explained*: a refused file or line says which key or part, in which line, and what to do.
//!
//! Bounds: names, addresses, identities and members as in `types::limits`; a text line of at most
//! [`text_line::LINE_LEN_MAX`] characters.

pub mod genesis;
pub mod group;
mod group_toml;
pub mod human;
pub mod join_request;
pub mod member;
mod refuse;
mod roster_file;
pub mod text_line;
pub mod ticket;

pub use genesis::{Founder, Genesis, GenesisError};
pub use group::{GroupPolicy, Sizes, Storage, Timing, Work};
pub use join_request::JoinRequest;
pub use member::{BackupDefaults, Limits, MemberConfig};
pub use refuse::ConfigError;
pub use roster_file::RosterFile;
pub use text_line::CredentialError;
pub use ticket::Ticket;

/// The group id under which statements are signed that precede any group: join requests, tickets.
pub fn founding_group() -> types::GroupId {
    types::GroupId(types::Hash::tagged("pib founding", b"statements made before a group exists"))
}

/// The header of such a statement: slot, epoch, instance and turn are 0.
pub(crate) fn founding_header(kind: types::Kind) -> types::Header {
    types::Header {
        kind,
        epoch: types::Epoch(0),
        inst: types::Instance(0),
        turn: types::Turn(0),
        slot: types::Slot(0),
        ident: types::Ident(0),
    }
}
