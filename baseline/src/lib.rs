//! A yardstick, not a product: a replicated log without incentives, run by the same runner as `bart-rsm`
//! over the same links, disk and signatures, so that the price of incentive compatibility is a number.
//!
//! After PBFT (Castro, Liskov, OSDI 1999) with quorum certificates sent through the leader: one fixed
//! leader orders everybody's commands, an instance is PROPOSE, VOTE, LOCK(certificate), COMMIT,
//! DECIDE(certificate), and the leader changes only when commands wait too long. Nothing is sent while
//! there are no commands; nothing is padded, nobody owes a message, nobody is gated.
//!
//! Assumes: as `bart-rsm`, but at most `f` members are faulty and *all others follow the protocol*.
//! Guarantees: (1) agreement: two members never decide differently, whatever `f` members do; (2) after a
//! leader crashes the next one goes on, with what may have been decided; (3) what a vote promises is
//! recorded before the vote leaves.
//! Bounds: [`QUEUE_BYTES_MAX`] of commands held, [`KEEP`] decided instances for members that lag.
//!
//! What it leaves out, always in its own favour: forwarded commands are not signed, so a Byzantine
//! leader could invent some in another's name; a member that restarts does not come back, and one
//! that lags more than [`KEEP`] instances stays behind; what a Byzantine member could make others
//! store or send is bounded, but not by duties. One instance runs at a time, as in `bart-rsm` with W = 1.
//!
//! | file | job |
//! | --- | --- |
//! | `message.rs` | messages and certificates |
//! | `core.rs` | the normal case |
//! | `view.rs` | replacing the leader; members that lag |

mod core;
mod message;
mod view;

pub use crate::core::{Baseline, KEEP, QUEUE_BYTES_MAX};
pub use message::Message;

#[cfg(test)]
mod tests;
