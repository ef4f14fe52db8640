//! Work that selfish members do for each other, with their state machine as the witness: level 1 of PIB.
//!
//! Source: paper section 6, appendix E, figures 13 and 14; specification sections 6, 5.1, 5.7, 8.2 (WR, VW, QT), C.9.
//! Purpose: a service above it defines requests and answers; this crate sees to it that a selfish member answers what it
//! is asked, that who does not is found out, and that asking has a limit. It knows nothing of backup.
//!
//! Assumes: (1) the log below delivers decided instances in order, equal at all members; (2) links authenticate peers and
//! repeat nothing by themselves; (3) the runner makes a step's records durable before anything else of it; (4) at most
//! `f` members of a machine are Byzantine; (5) for class T only: honest members answer within `max_response`.
//!
//! Guarantees, cited by tests:
//! 1. *Answered or shown*: work that is assigned to a member is answered to its requester, or `f + 1` members state that
//!    they waited in vain; a member that fulfils its duties is never in the second case.
//! 2. *One answer*: a request has one answer for ever, on every path and across restarts, byte by byte.
//! 3. *Truth is cheaper*: forwarding an answer costs a witness less than denying it, whatever the answer says.
//! 4. *Credible threats*: a vow is kept or paid for, and paying is dearer than keeping; an honest member can always do one.
//! 5. *Exact quotas*: nobody but a member itself changes what it may still ask for.
//! 6. *Machines*: work for another machine is executed there once if one common member is honest, and neither orders nor
//!    results can be invented by all the others.
//! 7. *Proofs*: what convicts is checked by anybody with the roster ([`pom`]); no honest member is ever convicted.
//!
//! How a service uses it: feed every decided instance to [`Core::handle`], let the format predicate of the log ask
//! [`State::check`], put [`Core::carry`] in front of each of one's own proposals, and answer [`Effect::Perform`].
//!
//! ```
//! use std::sync::Arc;
//! use types::*;
//! use work_assign::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let keys: Vec<SecretKey> = (1..=5).map(|seed| SecretKey::from_seed(&[seed; 32])).collect();
//! # let member = |key: &SecretKey| Member { identities: vec![key.public()], active: Ident(0), standing: Standing::Live };
//! # let members = keys.iter().map(member).collect();
//! let group = GroupId(Hash::of(b"docs"));
//! let roster = Arc::new(Roster::new(group, Epoch(0), 1, Mode::QuasiSync, members)?);
//! let core = |slot: u16| {
//!     let params = Params::default();
//!     let links = Links::default();
//!     let config = Config { roster: Arc::clone(&roster), slot: Slot(slot), ident: Ident(0), params, links };
//!     Core::new(config, keys[usize::from(slot)].clone())
//! };
//! let (mut asker, mut worker) = (core(0)?, core(1)?);
//! let now = bart_rsm::Now { mono: Millis(0), wall: Stamp(1_000) };
//!
//! // Member 0 wants member 1 to do something, with the group as witness.
//! let request = Request {
//!     requester: Slot(0),
//!     to: To::Member(Slot(1)),
//!     kinds: Kinds::of(&[1]),
//!     fields_cap: Cap(64),
//!     body_cap: Cap(0),
//!     expires: Stamp(2_000_000),
//!     payload: Blob(b"what is six times seven?".to_vec()),
//! };
//! let work = Work::new(vec![request.clone()])?;
//! let step = asker.handle(now, Input::Local(Local::Assign(work)));
//! let Some(Effect::Submit(command)) = step.effects.last().cloned() else { panic!() };
//!
//! // The log decides the command, at all members.
//! let decided = Decided {
//!     inst: Instance(0),
//!     epoch: Epoch(0),
//!     sender: Slot(0),
//!     tau_prefix: Stamp(1_000),
//!     tau: Stamp(1_000),
//!     commands: vec![command],
//! };
//! let _ = asker.handle(now, Input::Decided(decided.clone()));
//! let step = worker.handle(now, Input::Decided(decided));
//! let asked = step.effects.iter().find_map(|effect| match effect {
//!     Effect::Perform(name, request) => Some((*name, request.payload.0.clone())),
//!     _ => None,
//! });
//! let Some((name, payload)) = asked else { panic!() };
//! assert_eq!(payload, b"what is six times seven?");
//!
//! // The worker's answer goes to every member; the asker's copy completes the request.
//! let answer = Answer { kind: 1, fields: b"42".to_vec(), body: Vec::new() };
//! let step = worker.handle(now, Input::Performed(name, answer));
//! assert!(matches!(step.effects[0], Effect::Persist(_)), "durable before it leaves");
//! for effect in step.effects {
//!     if let Effect::Send(Slot(0), message) = effect {
//!         let step = asker.handle(now, Input::Message(Slot(1), message));
//!         let got = step.effects.iter().any(|effect| matches!(effect,
//!             Effect::Deliver(_, _, Outcome::Answer(answer)) if answer.core.payload.fields.0 == b"42"));
//!         assert!(got);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Where to start reading: [`Core`] in `core.rs`, then the roles `target`, `witness`, `requester`; then `state.rs` (what
//! the log knows), `direct.rs` (vows), `abroad.rs` and `hosted.rs` (other machines). Deviations from the sources are in the
//! project's list.

mod abroad;
mod account;
mod carry;
mod case;
pub mod cert;
mod command;
mod core;
mod courier;
mod direct;
mod effect;
mod fast;
mod hosted;
pub mod judge;
mod layout;
mod message;
mod params;
pub mod pom;
mod quota;
mod record;
mod request;
mod requester;
mod restore;
pub mod role;
mod signer;
pub mod sizes;
mod state;
mod state_form;
pub mod statement;
mod target;
mod uptime;
mod vow;
mod witness;

pub use crate::core::{Config, ConfigError, Core};
pub use account::{Link, LinkError, Links, View};
pub use command::{CODE_FIRST, CODE_LAST, Command, Settlement, Vow};
pub use effect::{Answer, Crossing, Duty, Effect, Fault, Input, Local, Outcome, Refusal, Step};
pub use fast::Graph;
pub use layout::{Blob, Body, BySlot, Cap, Code, Count, Flag};
pub use message::{Got, Message, pad};
pub use params::{Bodies, Params, ParamsError};
pub use quota::{Account, Charge};
pub use record::{Key, Record, RestoreError};
pub use request::{Aid, KIND_BATCH, KIND_MAX, Kinds, Request, To, Work, WorkError, root};
pub use state::{Context, Decided, Event, Fate, FormFlaw, State};
pub use vow::Pending;

#[cfg(test)]
mod tests;
