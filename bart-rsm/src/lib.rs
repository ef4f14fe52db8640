//! A replicated state machine that Byzantine, altruistic and rational members run together.
//!
//! Source: specification sections 3 to 5; paper sections 4 and 5, figures 11 and 12.
//! Purpose: every command that a member submits is executed by all, in one order, with up to `f` of
//! `n >= 3f + 2` members Byzantine and all others selfish.
//!
//! Assumes: (1) the runner carries out effects in order, and what follows a `Persist` only when it is
//! durable; (2) links authenticate the peer's slot and are reliable while up; (3) `Now::mono` never
//! runs backwards; (4) at most `f` members are Byzantine.
//!
//! Guarantees, cited by tests:
//! 1. *Agreement*: no two honest members decide differently; a violation raises an [`Alarm`].
//! 2. *Integrity*: what is decided was signed by the instance's sender, or is NULL.
//! 3. *Termination*: once messages arrive in time, every instance decides.
//! 4. *Sign once*: one (instance, turn, kind) never gets two digests, across restarts too.
//! 5. *No residual duty*: between honest members every duty is discharged in the end.
//! 6. *Bounded*: parking, residence, queue and verdicts have fixed limits; a peer that is away costs
//!    nothing but disk.
//!
//! What convicts somebody before a third party is in [`pom`].
//!
//! Where to start reading: [`Core`] in `core.rs`, then `duties.rs` (who may send what), then the
//! steps in the order of a turn: `turn`, `sender`, `set_turn`, `read`, `agree`, `write`,
//! `show_quorum`, `decide`.

mod agree;
mod batch;
mod checkpoint;
mod closed_upto;
mod config;
mod core;
pub mod costs;
mod decide;
mod duties;
mod effect;
mod epoch;
mod gc;
mod inst;
mod machine;
pub mod message;
mod outline;
mod parking;
mod peer;
mod penance;
mod pipeline;
pub mod pom;
pub mod proposal;
mod read;
mod record;
mod repeat;
mod residence;
mod resume;
mod roles;
mod schedule;
mod selfish;
mod sender;
mod set_turn;
mod show_quorum;
mod sign_once;
mod tamper;
mod time;
mod timeout;
mod turn;
mod untimely;
mod verify;
mod write;

pub use crate::core::Core;
pub use checkpoint::Checkpoint;
pub use config::{Config, ConfigError, Now, Params, Rules};
pub use effect::{Alarm, Duty, Effect, Fault, Input, Refusal, Stats, Step};
pub use machine::Machine;
pub use message::Message;
pub use outline::Outline;
pub use proposal::{Accusation, Proposal};
pub use record::{Record, RecordKey};
pub use residence::{REPLAYED, RestoreError};
pub use selfish::{Lax, Selfish, Slant};
#[cfg(feature = "broken-rules")]
pub use tamper::Compose;

#[cfg(test)]
mod tests;
