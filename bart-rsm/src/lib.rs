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
//! To use it: the crate `replica` runs a core on real links and a disk for any application, and its examples
//! are whole programs. This crate has no effects; whoever drives it feeds [`Input`]s, carries out
//! [`Effect`]s in order, and wakes it at [`Core::next_wakeup`]:
//!
//! ```
//! use bart_rsm::{Config, Core, Effect, Input, Now, Params, Rules};
//! use types::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let keys: Vec<SecretKey> = (1..=5).map(|seed| SecretKey::from_seed(&[seed; 32])).collect();
//! let member = |key: &SecretKey| Member {
//!     identities: vec![key.public()],
//!     active: Ident(0),
//!     standing: Standing::Live,
//! };
//! let (group, members) = (GroupId(Hash::of(b"docs")), keys.iter().map(member).collect());
//! let roster = Roster::new(group, Epoch(0), 1, Mode::QuasiSync, members)?.into();
//! let (params, rules) = (Params::default(), Rules::default());
//! let config = Config { roster, slot: Slot(0), ident: Ident(0), params, rules };
//! let mut core = Core::new(config, keys[0].clone())?;
//!
//! let now = Now { mono: Millis(0), wall: Stamp(1_700_000_000_000) };
//! let mut effects = core.start(now).effects;
//! effects.extend(core.handle(now, Input::LinkUp(Slot(1))).effects);
//! // Member 0 is the first sender: what it signs is recorded before it is sent.
//! let record = effects.iter().position(|effect| matches!(effect, Effect::Persist(_)));
//! let send = effects.iter().position(|effect| matches!(effect, Effect::Send { .. }));
//! assert!(record.is_some() && record < send);
//! # Ok(())
//! # }
//! ```
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
mod layer;
mod machine;
pub mod message;
pub mod order;
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
mod standing;
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
pub use layer::{Layer, LayerDecided};
pub use machine::Machine;
pub use message::Message;
pub use order::{Change, Order, Reform};
pub use outline::Outline;
pub use proposal::{Accusation, Proposal};
pub use record::{Record, RecordKey};
pub use residence::{REPLAYED, RestoreError};
pub use selfish::{Lax, Selfish, Slant};
pub use standing::{BARRED_ROTATIONS, Cause, StandingChange};
#[cfg(feature = "broken-rules")]
pub use tamper::Compose;

#[cfg(test)]
mod tests;
