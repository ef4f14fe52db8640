//! Storing and retrieving with accountable storers: level 2 of PIB, the direct path.
//!
//! Source: paper section 7; specification 7.1 to 7.4 (objects, store, retrieve, clock) and 8.2
//! (rows PB1 to PB4 and PB9). This crate is pure: time comes in as a [`types::Stamp`] of the
//! local wall clock, records and files go out as data, and nothing here reads a clock, a file, a
//! socket or randomness.
//!
//! An object (a pack, an index, a snapshot of the layer above) becomes `x` chunks of which any
//! `x - f` give it back ([`chunk`]). The owner ([`owner`]) promises each chunk to one storer with
//! a signed [`StoreInfo`]; the storer ([`storer`]) answers with a signed [`Receipt`] or with a
//! [`StoreReject`] that proves why not. Every answer is checked by a pure function ([`check`])
//! whose result keeps three things apart: a legal answer, evidence that convicts its signer, and
//! what is no answer at all.
//!
//! Assumes: one roster per group; clocks within `skew`; the runner keeps the order of a step's
//! effects and writes the records of one step in one transaction.
//!
//! Guarantees, cited by tests:
//! 1. *Reserved first*: the owner's pending and held bytes never exceed its quota, and a
//!    reservation is among the records that precede the signed statement it covers.
//! 2. *One statement per stamp*: one identity never signs two different statements with one
//!    stamp, also across a crash; a request sent again is byte-identical.
//! 3. *One answer*: a storer that receipted a statement never rejects it, and the other way round;
//!    an answer given again is byte-identical.
//! 4. *Durable before signed*: a receipt exists only after the chunk was written, and leaves only
//!    behind its record.
//! 5. *No accidental confession*: what a storer cannot serve it answers unsigned.
//! 6. *Any x - f*: an object is rebuilt from any `x - f` of its chunks, and fewer fail cleanly.
//!
//! Deviations: `StoreRequest` has no signature of its own, so that `BadRequest` is a legal refusal
//! but no proof against the owner (PB15 needs the assigned path); names of owner and identity in
//! a statement are those of its signed header; `Recovering` and `NotClaimed` are decoded, but
//! count as no answer until the log holds what they refer to.

pub mod assigned;
pub mod check;
pub mod chunk;
pub mod code;
mod error;
pub mod evidence;
pub mod keys;
pub mod label;
pub mod objects;
pub mod owner;
pub mod pom;
pub mod record;
pub mod rsm;
pub mod rules;
pub mod slice;
pub mod stamp;
pub mod storer;
pub mod wire;

pub use check::{Outcome, RetrieveOutcome, StoreOutcome, check_retrieve, check_store};
pub use chunk::{Chunk, ChunkId, Maker, ObjectKey, ObjectKind};
pub use code::Code;
pub use error::{Error, Fault};
pub use evidence::{Evidence, EvidenceKind, Statement};
pub use keys::Secrets;
pub use objects::{
    DenyReason, Op, Part, Receipt, RejectReason, RetrieveConfirm, RetrieveDeny, RetrieveRequest,
    StoreInfo, StoreReject,
};
pub use owner::{
    Applied, Candidate, ChunkRef, ChunkSet, Errand, ErrandStep, Owner, OwnerConfig, OwnerStep,
    PutPlan, Standing, Target, Totals,
};
pub use pom::{Conviction, Pom, PomError};
pub use record::Record;
pub use rsm::{Command, State, Witness};
pub use rules::Rules;
pub use stamp::{Lane, StampSource};
pub use storer::{FileName, RetrieveStep, Storer, StorerConfig, StorerStep, Ticket};
pub use wire::{Request, Response, Unavailable};

#[cfg(test)]
mod testing;
#[cfg(test)]
mod vectors;
