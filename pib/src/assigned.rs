//! Stores and retrieves that the group makes a member answer: what they look like as assigned work
//! (specification 6.1, 7.2, 7.3).
//!
//! A request's payload is the frame of the bulk lane. A chunk of at most [`INLINE_MAX`] bytes goes with it; a larger one
//! keeps being sent over the direct link, and a storer that does not get it says so. The answer's fields are the
//! frame of the bulk lane's answer, the body is the chunk or slice.
//!
//! Guarantees: (1) [`is_legal`] is a pure function of request, roster, rules and log time, so that all members judge a
//! proposal alike; (2) to every legal request an honest storer that kept its promises has a legal answer: nobody is
//! convicted over a request that cannot be answered. Bounds: those of `work_assign`, and [`WHOLE_MAX`].

use crate::objects::{Op, Part, Receipt, RetrieveRequest, StoreInfo};
use crate::rules::Rules;
use crate::slice;
use crate::wire::{Request, Response, Unavailable};
use bytes::Bytes;
use types::limits::WORK_FIELDS_MAX;
use types::{Hash, Roster, Signed, Slot, Stamp, Unverified, Verified};
use work_assign::{Answer, Blob, Cap, Kinds, To, Work};

/// The answer is what the storer signs on the direct path: receipt, reject, confirm, deny.
pub const KIND_SIGNED: u8 = 1;
/// The storer cannot: the chunk has not come, or the store breaks a rule that binds nobody. Legal for stores only: what
/// is receipted must come back.
pub const KIND_UNABLE: u8 = 2;
/// Chunks of at most so many bytes go into the log with their request.
pub const INLINE_MAX: usize = 4 * 1024;
/// Chunks of at most so many bytes are assigned whole; of larger ones a slice, which shows whether they are there.
pub const WHOLE_MAX: u64 = 256 * 1024;

type Ask = work_assign::Request;

fn caps(kinds: &[u8], fields: usize, body: usize) -> (Kinds, Cap, Cap) {
    (Kinds::of(kinds), Cap(fields as u32), Cap(body as u32))
}

/// What the answer to a frame may be.
fn shape(request: &Request) -> (Kinds, Cap, Cap) {
    match request {
        Request::Store(_) => caps(&[KIND_SIGNED, KIND_UNABLE], WORK_FIELDS_MAX, 0),
        Request::Retrieve(request) => {
            let body = match request.peek().payload.part {
                Part::Whole => request.peek().payload.receipt.payload.info.payload.size.0 as usize,
                Part::Slice { .. } => slice::PROOF_LEN_MAX,
            };
            caps(&[KIND_SIGNED], WORK_FIELDS_MAX, body)
        }
    }
}

fn work(from: Slot, to: Slot, request: &Request, body: &[u8], expires: Stamp) -> Option<Work> {
    let (kinds, fields_cap, body_cap) = shape(request);
    let mut payload = request.head();
    payload.extend_from_slice(body);
    let (to, payload) = (To::Member(to), Blob(payload));
    let ask = Ask { requester: from, to, kinds, fields_cap, body_cap, expires, payload };
    Work::new(vec![ask]).ok()
}

/// A store for its storer, to be asked for until `expires` in log time.
pub fn store(info: &Verified<Signed<StoreInfo>>, body: &Bytes, expires: Stamp) -> Option<Work> {
    let inline = if body.len() <= INLINE_MAX { &body[..] } else { &[] };
    work(info.header.slot, info.payload.storer, &Request::store(info), inline, expires)
}

/// A retrieve for the storer that promised the chunk. None if the chunk is too large to be assigned whole.
pub fn retrieve(request: &Verified<Signed<RetrieveRequest>>, expires: Stamp) -> Option<Work> {
    let info = &request.payload.receipt.payload.info.payload;
    if request.payload.part == Part::Whole && info.size.0 > WHOLE_MAX {
        return None;
    }
    work(request.header.slot, info.storer, &Request::retrieve(request), &[], expires)
}

/// The frame of an assigned request.
pub fn read(ask: &Ask) -> Option<(Request, Bytes)> {
    Request::decode(&Bytes::from(ask.payload.0.clone())).ok()
}

/// Whether an honest member can always answer this, so that a proposal with it may be acknowledged at log time `tau`.
pub fn is_legal(roster: &Roster, rules: &Rules, tau: Stamp, ask: &Ask) -> bool {
    let To::Member(target) = ask.to else { return false };
    let Some((request, body)) = read(ask) else { return false };
    if shape(&request) != (ask.kinds, ask.fields_cap, ask.body_cap) || ask.requester == target {
        return false;
    }
    match request {
        Request::Store(info) => {
            let Ok(info) = info.verify_outside_log(roster) else { return false };
            let said = &info.payload;
            let whole = body.len() as u64 == said.size.0 && Hash::of(&body) == said.hash;
            info.header.slot == ask.requester
                && said.storer == target
                && (body.is_empty() || (said.op == Op::Put && whole && body.len() <= INLINE_MAX))
        }
        Request::Retrieve(request) => {
            let Ok(request) = request.verify_outside_log(roster) else { return false };
            let receipt = Unverified::new(request.payload.receipt.clone());
            let Ok(receipt) = Receipt::verify(receipt, roster) else { return false };
            let (info, part) = (&receipt.payload.info, request.payload.part);
            let size = info.payload.size.0;
            let fits = match part {
                Part::Whole => size <= WHOLE_MAX,
                Part::Slice { start } => slice::is_start(start, size),
            };
            // A stamp that lies in nobody's future: clocks differ from the log's time by half of the bound each.
            let latest = tau.0.saturating_add(rules.skew_ms / 2);
            let active = roster.member(target).map(|member| member.active);
            request.header.slot == ask.requester
                && info.header.slot == ask.requester
                && receipt.header.slot == target
                && active == Some(receipt.header.ident)
                && request.payload.stamp.0 <= latest
                && fits
        }
    }
}

/// A storer's answer as the answer to a request. None if it must not be one: whoever promised a chunk and has it not
/// has no legal answer.
pub fn answer(ask: &Ask, response: &Response, body: &Bytes) -> Option<Answer> {
    let head = response.head();
    let signed = !matches!(response, Response::Unavailable(_));
    let fits = head.len() <= ask.fields_cap.0 as usize && body.len() <= ask.body_cap.0 as usize;
    if signed && fits {
        return Some(Answer { kind: KIND_SIGNED, fields: head, body: body.to_vec() });
    }
    if !ask.kinds.allows(KIND_UNABLE) {
        return None;
    }
    // A proof of fullness that cites too many chunks for the log is said without the proof.
    let fields = match signed {
        true => Response::Unavailable(Unavailable::NoSpace).head(),
        false => head,
    };
    Some(Answer { kind: KIND_UNABLE, fields, body: Vec::new() })
}

#[cfg(test)]
mod tests;
