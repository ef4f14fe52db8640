//! Every interleaving of one instance, with the real cores (specification 3.11, 3.13, 11).
//!
//! Five members, one of them faulty or none, one instance of a few turns. All links are up;
//! messages are delivered in any order, timers fire at any time, each at most as often as the turns
//! allow; the faulty member does anything from a finite menu (`adversary`) to each honest member at
//! any moment. In every state: agreement, integrity, nothing signed twice, at most one certified value
//! a turn, later certified values equal to a decided one, no alarm, no blame for honest members. Where
//! nothing is under way: who has not decided has a timer, and once all decided no honest member owes
//! another anything.
//!
//! Assumes: cores are pure functions of state and input. Leaves out: loss, crashes, RESUME (nothing is
//! lost), instances after the first, turns after the last one.
//! Reductions: members in equal roles are exchanged; certificates of one statement stand for each
//! other, whoever signed them (`--exact` does without both, `--audit` compares what follows states
//! that are taken for the same).

mod adversary;
mod known;
mod name;
mod property;
mod search;
mod setting;
mod system;

pub use search::{Found, Search};
pub use setting::{Role, Setting};
pub use system::System;

/// Explores a setting.
pub fn explore(setting: &Setting, tell: &mut dyn FnMut(&Found)) -> Result<Found, String> {
    Search::new(System::new(setting)).run(tell)
}
