//! A member of a replicated state machine, running: the pure core of `bart-rsm`, the links of `net`, a
//! disk, a clock, and an [`Application`] that executes what the group decides.
//!
//! Source: specification section 5 and 4.6; paper sections 4 and 5.
//!
//! | file | job |
//! | --- | --- |
//! | `app.rs` | what a replicated service is |
//! | `handle.rs` | starting, submitting, reading, counting |
//! | `driver.rs` | the loop: inputs, commit, effects |
//! | `restore.rs` | coming back from the disk |
//! | `store.rs`, `file_store.rs` | what is needed of a disk, and a store that has it |
//! | `clock.rs` | the only place that reads the clocks |
//!
//! The driver has a thread of its own, so that neither signature checks here nor work elsewhere delays the
//! other. One pass takes what has arrived (a bounded number of inputs), steps the core for each, commits all
//! records in one transaction together with the application state they lead to, and then carries out
//! the remaining effects in order.
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
mod restore;
mod store;

pub use app::{Application, BadSnapshot, Entry};
pub use clock::Clock;
pub use error::Error;
pub use file_store::FileStore;
pub use handle::{Decided, Ended, Parts, Replica, Stats, SubmitError, start};
pub use store::{Space, Store, StoreError, Write};
