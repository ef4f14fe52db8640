//! Monte Carlo of the three broadcasts at sizes of thousands: how often a property is violated against the epsilon
//! that the sizes were computed for, and what a member sends.
//!
//! Source: thesis chapter 4, algorithms 6 to 9; `ledger::params` computes the sizes under test.
//!
//! Assumes (section 4.2, assumption 5): the adversary chose its members before the samples were drawn and does not
//! know them. It does know who delivered what, moves after it, and decides what each honest member sees first.
//!
//! A broadcast's outcome does not depend on the order of messages once the samples and what each member
//! first saw are given, so that one run is a few counts over the samples (`model.rs`) instead of millions of
//! messages. The tests play the very steps of `ledger::broadcast::sampled` on the same samples and compare who
//! delivers and how many messages are sent.
//!
//! | property | what the adversary does | violated when |
//! | --- | --- | --- |
//! | validity | its members are silent | an honest owner's message misses an honest member |
//! | consistency | shows one message to member after member until somebody delivers it from its echo layer, the other to the rest; supports both everywhere | two honest members deliver two messages |
//! | totality | shows its message to member after member until somebody delivers it with all its help, then helps nobody | somebody delivers, and not all do |

mod certified;
pub mod command;
mod model;
mod report;
mod samples;
#[cfg(test)]
mod tests;
