//! Storage credits: asset transfer without consensus, and with it where an account is shared.
//!
//! Source: chapters 2 to 4 of "Scaling Byzantine fault tolerance" (Seredinschi's thesis).
//! Purpose: members pay each other for storage; nobody spends what it has not, and nobody spends twice.
//!
//! Assumes: (1) the runner carries out effects in order, and what follows a `Persist` only when it is
//! durable; (2) links authenticate the peer; (3) fewer than a third of a committee is Byzantine.

pub mod broadcast;
pub mod committee;
pub mod ids;
pub mod params;

pub use committee::{Committee, CommitteeError};
pub use ids::{Account, Amount, Place, Seq};
