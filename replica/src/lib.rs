//! A member of a replicated state machine, running: the pure core of `bart-rsm`, the links of `net`, a
//! disk, a clock, and an [`Application`] that executes what the group decides.
//!
//! Source: specification section 5 and 4.6; paper sections 4 and 5.
//!
//! Five or more members that do not trust each other get one log: what any of them submits is executed by
//! all, in one order, with up to `f` of `n >= 3f + 2` members Byzantine and the others selfish.
//!
//! ```
//! use replica::types::SecretKey;
//! use replica::{Application, BadSnapshot, Entry, Group, Listen, MemberConfig, Params, open};
//!
//! /// Remembers the longest command and who sent it.
//! #[derive(Default)]
//! struct Longest(Vec<u8>);
//!
//! impl Application for Longest {
//!     type Answer = bool;
//!     fn apply(&mut self, entry: Entry<'_>) -> bool {
//!         let longer = entry.command.len() > self.0.len();
//!         if longer {
//!             self.0 = entry.command.to_vec();
//!         }
//!         longer
//!     }
//!     fn snapshot(&self) -> Vec<u8> {
//!         self.0.clone()
//!     }
//!     fn restore(&mut self, snapshot: &[u8]) -> Result<(), BadSnapshot> {
//!         self.0 = snapshot.to_vec();
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! // In the field each member has its own machine, key and folder; all have the same `Group`.
//! let keys: Vec<SecretKey> = (1..=5).map(|seed| SecretKey::from_seed(&[seed; 32])).collect();
//! let sockets: Vec<_> =
//!     keys.iter().map(|_| std::net::TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
//! let address = |at: usize| sockets[at].local_addr().map(|address| vec![address.to_string()]);
//! let group = (0..5).map(|at| Ok((keys[at].public(), address(at)?)));
//! let group = Group::new("longest", group.collect::<std::io::Result<_>>()?)?;
//! let mut members = Vec::new();
//! for (at, (key, socket)) in keys.into_iter().zip(sockets).enumerate() {
//!     let data = folder.path().join(at.to_string());
//!     std::fs::create_dir(&data)?;
//!     let listen = Listen::Socket(socket);
//!     let config = MemberConfig { group: group.clone(), key, listen, data, params: Params::default() };
//!     members.push(open(config, Longest::default())?);
//! }
//! assert!(members[0].submit("a word").await?.answer);
//! assert!(!members[3].submit("word").await?.answer);
//! assert_eq!(members[3].read(|app| app.0.len()), 6);
//! # Ok(())
//! # }
//! ```
//!
//! `examples/counter.rs` and `examples/leases.rs` are whole programs.
//!
//! | file | job |
//! | --- | --- |
//! | `app.rs`, `once.rs` | what a replicated service is; executing repeated commands once |
//! | `member.rs` | a whole member from a few values |
//! | `handle.rs` | starting, submitting, reading, counting |
//! | `driver.rs` | the loop: inputs, commit, effects |
//! | `restore.rs` | coming back from the disk |
//! | `store.rs`, `file_store.rs` | what is needed of a disk, and a store that has it |
//! | `work.rs` | level 1: work that members must answer |
//! | `clock.rs` | the only place that reads the clocks |
//!
//! The driver has a thread of its own, so that neither signature checks here nor work elsewhere delays the
//! other. One pass takes what has arrived (a bounded number of inputs), steps the core for each, commits all
//! records in one transaction together with the application state they lead to, and then carries out
//! the remaining effects in order. While the disk works on one pass, the next one is stepped.
//!
//! Assumes: the disk keeps what a sync returned for; one member per key and store.
//! Guarantees: (1) nothing is sent or answered before what it rests on is durable; (2) a kill at any moment
//! loses no answered command; (3) every member executes the same commands in the same order.
//! Bounds: the queue of submissions, the inputs of a pass; everything else by the core and the links.

mod app;
mod clock;
mod driver;
mod error;
mod file_store;
mod handle;
mod member;
mod once;
mod restore;
mod store;
mod work;

pub use app::{Application, BadSnapshot, Entry};
pub use bart_rsm::Params;
/// Who takes part, and why that changed.
pub use bart_rsm::{Cause, Change, Reform, StandingChange};
/// For those who run another core on this runner.
pub use bart_rsm::{Config, Machine, Record};
pub use clock::Clock;
pub use error::Error;
pub use file_store::FileStore;
pub use handle::{Decided, Ended, Parts, Replica, Stats, SubmitError, Times, start, start_with};
pub use member::{Group, Member, MemberConfig, open, open_with};
pub use net::Listen;
pub use once::{Executed, Numbered, Once, WINDOW};
pub use store::{Space, Store, StoreError, Write};
/// Ids, keys, the canonical encoding, limits.
pub use types;
pub use work::{Legal, WorkEvent, WorkParts};
/// Level 1: what is asked for and answered.
pub use work_assign;
