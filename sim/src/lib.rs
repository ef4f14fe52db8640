//! Deterministic simulation of a whole group from a seed (specification sections 3.13, 9 and 11).
//!
//! The code under test is the core of `bart-rsm`, unchanged; this crate is the second of its two
//! runners (`node` is the other). A seed decides who is faulty, what the faulty do, how the network
//! and the machines behave; checkers outside the core watch what leaves the honest members.
//!
//! Guarantees, cited by tests:
//! 1. *Deterministic*: a scenario has one trace, whatever else runs on the machine.
//! 2. *Durable before sent*: a crash loses exactly what the core was allowed to lose.
//! 3. *Bounded*: every run ends, in virtual time and in events.
//! 4. *Powerful*: each of [`controls::all`] is caught (`controls`).
//! 5. *Exhaustive in the small*: one instance of two turns is explored in every interleaving ([`explore`]).
//!
//! Where to start reading: [`scenario`], [`plan`], [`world`], [`check`], [`adversary`], [`rows`].

pub mod adversary;
pub mod app;
pub mod broadcast;
pub mod campaign;
pub mod check;
pub mod clock;
pub mod controls;
pub mod crash_points;
pub mod deviation;
pub mod disk;
pub mod explore;
pub mod figures;
pub mod group;
pub mod guarantees;
pub mod ledger;
pub mod memory;
pub mod network;
pub mod plan;
pub mod rng;
pub mod rows;
pub mod scenario;
pub mod seat;
pub mod trace;
pub mod view;
pub mod world;

pub use check::{Stop, Violation};
pub use scenario::{Choice, CrashPoint, RuleSet, Scenario, Trouble};
pub use world::Outcome;

/// Plays one scenario. An error means that the scenario itself makes no sense.
pub fn run_seed(scenario: &Scenario) -> Result<Outcome, String> {
    Ok(world::World::new(scenario)?.run())
}
