//! When an answer is one: the rule of well-formedness (specification 6.1, issues P17, W12).
//!
//! Guarantees: (1) a core alone is judged by the target's signature, the name of the work, the kind, and the lengths;
//! (2) where a body is due it must be the one that is signed for, and for a batch each of its answers is judged in turn;
//! (3) whatever is not well-formed is no answer: it convicts nobody and charges nobody.

use crate::cert::Rosters;
use crate::layout::Body;
use crate::request::{KIND_BATCH, Request, Work};
use crate::statement::ResponseCore;
use bart_rsm::message::SlotSet;
use types::{Decode, Encode, GroupId, Hash, Reader, Roster, Signed, Slot, Writer};

type Core = Signed<ResponseCore>;

/// One answer of a batch, as its body carries it.
pub(crate) type Item = (Core, Body);

/// Judges the core of an answer to some work.
pub(crate) fn core(
    rosters: &Rosters,
    group: GroupId,
    work: &Work,
    target: Slot,
    core: &Core,
) -> Result<(), &'static str> {
    if core.header.slot != target {
        return Err("signed by another member");
    }
    let said = &core.payload;
    if said.request != work.root(group) {
        return Err("an answer to another request");
    }
    let legal = match work.requests() {
        [only] => only.kinds.allows(said.kind.0),
        _ => said.kind.0 == KIND_BATCH,
    };
    if !legal {
        return Err("a kind of answer that the request does not allow");
    }
    if said.fields.0.len() > work.fields_cap() || said.body_len.0 > work.body_cap() as u64 {
        return Err("longer than the request allows");
    }
    if (said.body_len.0 == 0) != (said.body == Hash::ZERO) {
        return Err("a body of no length, or a length without a body");
    }
    rosters.outside(core).map(|_| ()).ok_or("the signature does not verify")
}

/// Judges a body against a core that was judged.
pub(crate) fn body(
    rosters: &Rosters,
    group: GroupId,
    work: &Work,
    target: Slot,
    core: &Core,
    body: &Body,
) -> Result<(), &'static str> {
    if body.0.len() as u64 != core.payload.body_len.0 {
        return Err("a body of another length than signed for");
    }
    if body.0.is_empty() {
        return Ok(());
    }
    if Hash::of(&body.0) != core.payload.body {
        return Err("another body than signed for");
    }
    if work.is_batch() {
        let items = items(work, body).ok_or("a batch of answers that does not decode")?;
        for (request, (core, body)) in work.requests().iter().zip(&items) {
            item(rosters, group, request, target, core, body)?;
        }
    }
    Ok(())
}

/// Judges the answer to one request.
pub(crate) fn item(
    rosters: &Rosters,
    group: GroupId,
    request: &Request,
    target: Slot,
    core: &Core,
    body: &Body,
) -> Result<(), &'static str> {
    let alone = Work::new(vec![request.clone()]).map_err(|_| "a request that cannot be")?;
    self::core(rosters, group, &alone, target, core)?;
    self::body(rosters, group, &alone, target, core, body)
}

/// The answers in the body of a batch, one a request.
pub(crate) fn items(work: &Work, body: &Body) -> Option<Vec<Item>> {
    let mut input = Reader::new(&body.0);
    let count = input.count("answers", work.requests().len()).ok()?;
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        let core = Core::decode(&mut input).ok()?;
        items.push((core, input.get().ok()?));
    }
    input.finish().ok()?;
    (count == work.requests().len()).then_some(items)
}

/// The body of a batch.
pub(crate) fn bundle<'a>(items: impl ExactSizeIterator<Item = (&'a Core, &'a Body)>) -> Body {
    let mut out = Writer::new();
    out.count(items.len());
    for (core, body) in items {
        out.put(core);
        out.put(body);
    }
    Body::new(&out.finish())
}

/// Witnesses that get the body: the first `count` live members but target and requester in an order that
/// follows from the assignment's digest (issue W6).
pub fn designated(
    roster: &Roster,
    aid: crate::Aid,
    target: Slot,
    requester: Slot,
    count: usize,
) -> SlotSet {
    let lot = aid.lot(roster.group());
    let mut order: Vec<(Hash, Slot)> = roster
        .live()
        .filter(|slot| *slot != target && *slot != requester)
        .map(|slot| (Hash::tagged("lot", &[lot.to_bytes(), slot.to_bytes()].concat()), slot))
        .collect();
    order.sort_unstable();
    order.into_iter().take(count).map(|(_, slot)| slot).collect()
}
