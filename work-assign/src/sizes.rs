//! How long each message and command is, and how long what replaces it must be (specification 6.1 size rules,
//! 6.3 default message, 10.2 C5 to C7).
//!
//! Guarantees: (1) all forwarded answers to one request have one length, whatever they say; (2) a denial costs its
//! author more than receiving, acknowledging and forwarding the longest answer; (3) the default message costs a
//! requester more than the whole slow path. All three count the real frames, not only caps: with the bare formulas of
//! 6.1 and 6.3 a request whose answer is a small core would be cheaper to deny than to forward.

use crate::request::Work;
use types::limits::VOW_PART_LEN;

/// Header and signature of a signed statement.
const SIGNED: usize = 21 + 64;
/// Tag of a message and the name of an assignment.
const FRAME: usize = 1 + 12;
const LEN: usize = 4;

/// A signed core with fields of a length.
pub const fn core_len(fields: usize) -> usize {
    SIGNED + 32 + 1 + 32 + 8 + 8 + LEN + fields
}

/// What a target sends to somebody: core and, if designated, the longest body.
pub fn response_len(fields: usize, body: usize) -> usize {
    FRAME + 1 + core_len(fields) + LEN + body
}

/// An acknowledgement.
pub const ACK_LEN: usize = 1 + SIGNED + 32 + 32 + 8;
/// "Received", which ends a witness's part.
pub const RECEIVED_LEN: usize = FRAME + 1;

/// A forwarded answer without its pad, of empty fields and body.
const WITNESS_BASE: usize = 1 + SIGNED + 2 + 32 + 32 + core_len(0) + LEN + LEN;
/// A denial without its pad.
const DENIAL_BASE: usize = 1 + SIGNED + 2 + 2 + 32 + 8 + LEN;
/// By how much a denial is dearer than the dearest way to avoid it, bytes.
const DENIAL_MARGIN: usize = 64;

/// A forwarded answer, whatever it says; `body` only where it is designated to carry one.
pub fn witness_len(work: &Work, designated: bool) -> usize {
    WITNESS_BASE + work.fields_cap() + if designated { work.body_cap() } else { 0 }
}

/// Bytes of pad that bring a forwarded answer to its one length.
pub fn witness_pad(work: &Work, designated: bool, fields: usize, body: usize) -> usize {
    let room = work.fields_cap() + if designated { work.body_cap() } else { 0 };
    room.saturating_sub(fields + body)
}

fn received(rx_per_mille: u64, len: usize) -> usize {
    ((len as u64).saturating_mul(rx_per_mille)).div_ceil(1000) as usize
}

/// A denial: `(1 + c_rx / c_tx)` times the longest answer and more, for designated witnesses and others alike.
pub fn denial_len(work: &Work, rx_per_mille: u64) -> usize {
    let got = response_len(work.fields_cap(), work.body_cap());
    let least = witness_len(work, true) + received(rx_per_mille, got) + ACK_LEN + DENIAL_MARGIN;
    // Never less than the specification's formula, which counts long fields twice.
    least.max(work.cap() + received(rx_per_mille, work.cap()) + core_len(work.fields_cap()))
}

/// Bytes of pad in a denial.
pub fn denial_pad(work: &Work, rx_per_mille: u64) -> usize {
    denial_len(work, rx_per_mille) - DENIAL_BASE
}

/// The same for the work of another machine, which every witness of the result forwards.
pub fn foreign_len(work: &Work, certificate: usize) -> usize {
    FRAME + certificate + LEN + work.fields_cap()
}

/// Sizes of a vow's work, as the vow states them: the requests are not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VowSizes {
    /// Bytes of the requests.
    pub request: usize,
    /// Longest fields.
    pub fields: usize,
    /// Longest body.
    pub body: usize,
}

/// A command that assigns work of this length.
pub fn assign_len(work: usize) -> usize {
    1 + work
}

/// The longest command that fulfils a vow with an answer.
pub fn fulfil_len(fields: usize) -> usize {
    1 + 12 + 1 + core_len(fields)
}

/// What the slow path costs the requester at most, in bytes sent: the assignment and the fulfilment to everybody,
/// and all answers received and acknowledged.
pub fn slow_path(sizes: VowSizes, n: usize, bodies: usize, rx_per_mille: u64) -> usize {
    let others = n.saturating_sub(1);
    let VowSizes { request, fields, body } = sizes;
    let sent = others * (assign_len(request) + fulfil_len(fields));
    let witnesses = others.saturating_sub(1);
    let carried = bodies.min(witnesses) + 1;
    let got = witnesses * (WITNESS_BASE + fields) + response_len(fields, 0) + carried * body;
    sent + received(rx_per_mille, got) + ACK_LEN + witnesses * RECEIVED_LEN
}

/// Bytes of the default message of a vow, all parts together: sent to `n - 1` members it costs more than the slow
/// path (6.3), and never less than the specification's own formula.
pub fn default_pad(sizes: VowSizes, n: usize, bodies: usize, rx_per_mille: u64) -> usize {
    let others = n.saturating_sub(1).max(1);
    slow_path(sizes, n, bodies, rx_per_mille).div_ceil(others) + 256
}

/// Parts of a default message.
pub fn default_parts(pad: usize) -> usize {
    pad.div_ceil(VOW_PART_LEN).max(1)
}

/// Bytes of one part, counted from 0.
pub fn part_len(pad: usize, part: usize) -> usize {
    pad.saturating_sub(part * VOW_PART_LEN).min(VOW_PART_LEN)
}

/// The smallest request for which the direct path under a vow pays its requester: below it, Assign or a batch is
/// cheaper (6.3, C7). What the vow puts into the log is sent `n - 1` times, and saves sending the request so often.
pub fn fast_path_pays_from(vow: usize, fulfil: usize, n: usize) -> usize {
    let (all, saved) = (n.saturating_sub(1), n.saturating_sub(2).max(1));
    ((vow + fulfil) * all).div_ceil(saved)
}
