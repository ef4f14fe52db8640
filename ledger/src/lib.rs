//! Storage credits: asset transfer without consensus, and with it where an account is shared.
//!
//! Source: chapters 2 to 4 of "Scaling Byzantine fault tolerance" (Seredinschi's thesis).
//! Purpose: members pay each other for storage; nobody spends what it has not, and nobody spends twice.
//!
//! Assumes: (1) the runner carries out effects in order, and what follows a `Persist` only when it is
//! durable; (2) links authenticate the peer; (3) fewer than a third of a committee is Byzantine.
//!
//! Nothing in the product drives this crate yet; `sim` does.

pub mod accounts;
pub mod broadcast;
pub mod checkpoint;
pub mod committee;
pub mod fetch;
pub mod gate;
pub mod ids;
pub mod member;
pub mod params;
pub mod pom;
mod record;
mod restart;
pub mod shared;
pub mod spec;
pub mod state;
pub mod transfer;
pub mod wallet;

pub use accounts::Owner;
pub use checkpoint::{Checkpoint, Cut, CutError, Endorsements};
pub use committee::{Committee, CommitteeError, Seal};
pub use gate::Gate;
pub use ids::{Account, Amount, Place, Seq};
pub use member::{Event, Member, Message, Record};
pub use spec::AssetTransfer;
pub use state::{Ledger, OpenError, Verdict, Wait};
pub use transfer::{Order, Payment, Transfer};
pub use wallet::{IssueError, Wallet};

#[cfg(test)]
mod tests;
