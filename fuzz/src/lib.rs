//! Fuzz targets: every decoder of foreign bytes, and the step function with structured inputs.
//!
//! Guarantees, asserted for every input: (1) no panic; (2) what decodes encodes to the very same
//! bytes, so every value has one encoding; (3) a decoder allocates at most [`bound`] bytes for its
//! input, over its whole run; (4) under any script of `step` honest members agree, sign nothing
//! twice, raise no alarm, blame nobody honest, and park within their bounds.
//!
//! `cargo xtask fuzz` runs all targets with libFuzzer's coverage guidance; the crate's test replays the
//! corpus and a fixed number of mutations with any toolchain. Where to start reading: [`TARGETS`].

mod credits;
mod decode;
mod mutate;
mod script;
mod step;
mod work;

pub use mutate::Mutations;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

/// One target.
pub struct Target {
    /// Its name, and that of its folder in the corpus.
    pub name: &'static str,
    /// Whether its allocations are bounded by its input.
    pub decoder: bool,
    /// Runs one input; panics where a guarantee fails.
    pub run: fn(&[u8]),
    /// Inputs from which to start, besides the corpus.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Bytes that a decoder may allocate for an input: some for each byte, and some in any case (a list
/// makes room for at most 64 items before it reads them; an error has a text).
pub fn bound(input: usize) -> usize {
    64 * input + 256 * 1024
}

/// Counts what is allocated; nothing else changes.
#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Runs one input, and checks what a decoder allocated for it.
pub fn run_bounded(target: &Target, input: &[u8]) {
    let region = Region::new(COUNTED);
    (target.run)(input);
    let allocated = region.change().bytes_allocated;
    assert!(
        !target.decoder || allocated <= bound(input.len()),
        "{} allocated {allocated} bytes for {}",
        target.name,
        input.len()
    );
}

/// Every target.
pub const TARGETS: &[Target] = &[
    decode::MESSAGE,
    decode::PROPOSAL,
    decode::RECORD_KEY,
    decode::RECORDS,
    decode::POM,
    decode::STORE_INFO,
    decode::RECEIPT,
    decode::STORE_REJECT,
    decode::RETRIEVE_REQUEST,
    decode::RETRIEVE_CONFIRM,
    decode::RETRIEVE_DENY,
    decode::COMMAND,
    decode::STATE,
    decode::BULK_REQUEST,
    decode::BULK_RESPONSE,
    decode::HELLO,
    decode::FRAMES,
    work::WORK_COMMAND,
    work::WORK_MESSAGE,
    work::WORK_STATE,
    work::WORK_POM,
    work::WORK_RECORD_KEY,
    credits::LEDGER_MESSAGE,
    credits::LEDGER_SAMPLED,
    credits::LEDGER_ORDER,
    credits::LEDGER_RECORD,
    credits::LEDGER_CHECKPOINT,
    credits::LEDGER_POM,
    credits::LEDGER_MEMBER,
    decode::GENESIS,
    decode::TICKET,
    decode::JOIN_REQUEST,
    decode::GROUP_TOML,
    decode::MEMBER_TOML,
    step::STEP,
];

/// The target of a name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
