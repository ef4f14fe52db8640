//! The daemon: the one runner that carries out what the pure cores ask for.
//!
//! | module | job |
//! | --- | --- |
//! | [`daemon`] | starts and stops everything, in an order that loses nothing |
//! | `rsm` | the application on the replicated log, and its disk: the glue to `replica` |
//! | `storer` | answers other members' stores and retrieves |
//! | `objects` | stores and fetches this member's own objects |
//! | `work` | work that the group assigns: performed, followed, delivered |
//! | `upkeep` | what happens by the clock: renewals, tombstones, expired chunks |
//! | `store` | promises (redb), chunk bodies (files), what can be rebuilt (sled) |
//! | [`proofs`] | judges proofs of misbehavior of every family |
//! | `actor` | a member that lies, for demonstrations |
//! | `api`, [`client`], [`wire`] | the local API: server, client, and the JSON they share |
//!
//! Assumes: the disk keeps what `fsync` returned for. Guarantees: (1) nothing is sent before what
//! it promises is durable; (2) a kill at any moment loses no acknowledged chunk and no decided command;
//! (3) memory is bounded whatever the object sizes.

mod actor;
mod api;
pub mod client;
pub mod daemon;
mod error;
mod objects;
pub mod proofs;
mod rsm;
mod store;
mod storer;
mod upkeep;
pub mod wire;
mod work;

pub use actor::{Acting, Answering, Outbound, Silence};
pub use client::{Client, ClientError};
pub use daemon::{DaemonConfig, run};
pub use error::NodeError;
pub use store::bodies::FREE_RESERVE_BYTES;
pub use wire::{MemberStatus, ObjectEntry, ProofEntry, RsmStats, Status, Witnessed};
