//! Which answers are legal (specification 7.2, 7.3): pure functions over the roster, the rules and
//! the signed objects, to be called on any thread.
//!
//! Guarantees:
//! 1. A verdict of [`Outcome::Evidence`] rests on statements that the accused signed and on rules
//!    without local state, so that anybody with the roster reaches the same verdict. The checker's
//!    own clock only ever turns an answer into no answer.
//! 2. No honest storer's answer yields evidence.

use crate::error::Fault;
use crate::evidence::{Evidence, EvidenceKind, Statement};
use crate::objects::{
    DenyReason, Op, Part, Receipt, RejectReason, RetrieveConfirm, RetrieveDeny, StoreInfo,
    StoreReject, supersedes,
};
use crate::rules::Rules;
use crate::slice;
use crate::wire::Response;
use bytes::Bytes;
use std::collections::BTreeSet;
use types::{Hash, Roster, Signed, Stamp, Unverified, Verified};

/// What an answer amounts to: `Good`, legally refused, proof against its signer, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<G, R> {
    /// What was asked for.
    Good(G),
    /// A legal refusal.
    Refused(R),
    /// The answer breaks a rule and is itself the proof.
    Evidence(Box<Evidence>),
    /// Not an answer: ask again, or somebody else.
    NoAnswer(Fault),
}

/// Result of a request to store: the receipt, or the reject with its valid reason.
pub type StoreOutcome = Outcome<Verified<Signed<Receipt>>, Verified<Signed<StoreReject>>>;
/// Result of a request to retrieve: the body that matches the receipt, or the valid deny.
pub type RetrieveOutcome = Outcome<Bytes, Verified<Signed<RetrieveDeny>>>;

/// Checks the answer to `info`, which we signed and sent to the storer it names.
pub fn check_store(
    rules: &Rules,
    roster: &Roster,
    now: Stamp,
    info: &Signed<StoreInfo>,
    response: Response,
) -> StoreOutcome {
    let result = match response {
        Response::Receipt(receipt) => check_receipt(rules, roster, now, info, receipt),
        Response::Reject(reject) => check_reject(rules, roster, now, info, reject),
        Response::Unavailable(why) => Err(why.into()),
        Response::Confirm(_) | Response::Deny(_) => Err(Fault::WrongKind),
    };
    result.unwrap_or_else(Outcome::NoAnswer)
}

fn check_receipt(
    rules: &Rules,
    roster: &Roster,
    now: Stamp,
    info: &Signed<StoreInfo>,
    receipt: Unverified<Signed<Receipt>>,
) -> Result<StoreOutcome, Fault> {
    let receipt = Receipt::verify(receipt, roster)?;
    if receipt.payload.info.digest() != info.digest() {
        return Err(Fault::WrongSubject);
    }
    not_from_the_future(rules, receipt.payload.stamp, now)?;
    Ok(Outcome::Good(receipt))
}

fn check_reject(
    rules: &Rules,
    roster: &Roster,
    now: Stamp,
    info: &Signed<StoreInfo>,
    reject: Unverified<Signed<StoreReject>>,
) -> Result<StoreOutcome, Fault> {
    let reject = reject.verify_outside_log(roster)?;
    let (expected, got) = (info.payload.storer, reject.header.slot);
    if expected != got {
        return Err(Fault::WrongSigner { expected, got });
    }
    if reject.payload.info.digest() != info.digest() {
        return Err(Fault::WrongSubject);
    }
    not_from_the_future(rules, reject.payload.stamp, now)?;
    Ok(match reject_is_valid(rules, roster, &reject) {
        Ok(()) => Outcome::Refused(reject),
        Err(RejectFlaw::UnknownSigner) => return Err(Fault::Unverifiable),
        Err(_) => Outcome::Evidence(Box::new(bad_reject(&reject))),
    })
}

/// Which rule of 7.2 a StoreReject breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RejectFlaw {
    /// The refused StoreInfo names another storer.
    #[error("the refused statement is addressed to somebody else")]
    NotAddressed,
    /// A cited or refused StoreInfo does not verify.
    #[error("a cited statement does not verify")]
    Forged,
    /// A cited or refused StoreInfo is from a member that this roster does not know. That proves
    /// nothing: it may have been admitted since.
    #[error("a cited statement is from a member that the roster does not know")]
    UnknownSigner,
    /// A cited StoreInfo names another storer.
    #[error("a cited statement names another storer")]
    OtherStorer,
    /// A cited StoreInfo was signed by the storer itself.
    #[error("a cited statement is the storer's own")]
    SelfOwned,
    /// A tombstone occupies nothing.
    #[error("a cited statement is a tombstone")]
    Tombstone,
    /// Two cited StoreInfos, or a cited and the refused one, speak about one chunk.
    #[error("cited statements supersede each other")]
    Superseded,
    /// The lease of a cited StoreInfo was over.
    #[error("the lease of a cited statement was over")]
    LeaseOver,
    /// The cited chunks leave room.
    #[error("the cited chunks leave room")]
    NotFull,
    /// The body digest cited is the right one, or there was no body to be wrong.
    #[error("nothing was wrong with the request")]
    NotBad,
}

impl RejectFlaw {
    /// The rule that was broken.
    pub fn words(self) -> &'static str {
        match self {
            Self::NotAddressed => "a storer refuses only what is addressed to it",
            Self::UnknownSigner => "a storer cites only members of its group",
            Self::Forged => "a storer refuses and cites only genuine statements",
            Self::OtherStorer => "a proof of fullness cites only what the storer itself holds",
            Self::SelfOwned => "a storer's own statements fill nothing",
            Self::Tombstone => "a withdrawn chunk fills nothing",
            Self::Superseded => "a chunk is counted once",
            Self::LeaseOver => "a chunk whose lease is over fills nothing",
            Self::NotFull => "a storer refuses only what does not fit into what it contributes",
            Self::NotBad => "a body that has the right digest is no reason to refuse",
        }
    }
}

/// The rules of 7.2, for whoever holds the reject and the roster.
pub fn reject_is_valid(
    rules: &Rules,
    roster: &Roster,
    reject: &Verified<Signed<StoreReject>>,
) -> Result<(), RejectFlaw> {
    let StoreReject { info, reason, stamp } = &reject.payload;
    if info.payload.storer != reject.header.slot {
        return Err(RejectFlaw::NotAddressed);
    }
    genuine(roster, info)?;
    match reason {
        RejectReason::BadRequest { body } => match info.payload.op {
            Op::Put if *body != info.payload.hash => Ok(()),
            _ => Err(RejectFlaw::NotBad),
        },
        RejectReason::Full { proof } => {
            let cited = cited_bytes(rules, roster, reject, proof, *stamp)?;
            match rules.exceeds(reject.header.ident, cited, info.payload.size) {
                true => Ok(()),
                false => Err(RejectFlaw::NotFull),
            }
        }
    }
}

/// Sum of the sizes of a proof of fullness whose items all may be cited. The cheap rules come
/// first, so that a long proof that fails them costs no signature checks.
fn cited_bytes(
    rules: &Rules,
    roster: &Roster,
    reject: &Signed<StoreReject>,
    proof: &[Signed<StoreInfo>],
    stamp: Stamp,
) -> Result<u128, RejectFlaw> {
    let refused = &reject.payload.info;
    let mut seen = BTreeSet::from([(refused.header.slot, refused.payload.name)]);
    let mut bytes = 0u128;
    for info in proof {
        if info.payload.storer != reject.header.slot {
            return Err(RejectFlaw::OtherStorer);
        }
        // A member does not store on itself; otherwise it could mint its own fullness.
        if info.header.slot == reject.header.slot {
            return Err(RejectFlaw::SelfOwned);
        }
        if info.payload.op == Op::Tombstone {
            return Err(RejectFlaw::Tombstone);
        }
        // One storer, so owner and name say which chunk; of two, one supersedes the other.
        if !seen.insert((info.header.slot, info.payload.name)) {
            return Err(RejectFlaw::Superseded);
        }
        if rules.is_over(info.payload.stamp, stamp) {
            return Err(RejectFlaw::LeaseOver);
        }
        bytes += u128::from(info.payload.size.0);
    }
    proof.iter().try_for_each(|info| genuine(roster, info))?;
    Ok(bytes)
}

fn genuine(roster: &Roster, info: &Signed<StoreInfo>) -> Result<(), RejectFlaw> {
    if roster.identity_key(info.header.slot, info.header.ident).is_none() {
        return Err(RejectFlaw::UnknownSigner);
    }
    let verified = Unverified::new(info.clone()).verify_outside_log(roster);
    verified.map(|_| ()).map_err(|_| RejectFlaw::Forged)
}

/// PB3.
fn bad_reject(reject: &Verified<Signed<StoreReject>>) -> Evidence {
    Evidence {
        kind: EvidenceKind::BadReject,
        accused: reject.header.slot,
        ident: reject.header.ident,
        objects: vec![Statement::Reject((**reject).clone())],
    }
}

/// PB4: whether a receipt and a reject of one storer identity contradict each other: the reject
/// refuses what the receipt accepts. Citing in a proof is accepting, hence two rejects can
/// contradict each other as well ([`cites_what_it_refused`]).
pub fn accept_and_reject(
    receipt: &Verified<Signed<Receipt>>,
    reject: &Verified<Signed<StoreReject>>,
) -> Option<Evidence> {
    let same_signer =
        (receipt.header.slot, receipt.header.ident) == (reject.header.slot, reject.header.ident);
    let same_info = receipt.payload.info.digest() == reject.payload.info.digest();
    (same_signer && same_info).then(|| Evidence {
        kind: EvidenceKind::AcceptAndReject,
        accused: reject.header.slot,
        ident: reject.header.ident,
        objects: vec![
            Statement::Receipt((**receipt).clone()),
            Statement::Reject((**reject).clone()),
        ],
    })
}

/// PB4 with a citation in the place of the receipt (decision 19).
pub fn cites_what_it_refused(
    refused: &Verified<Signed<StoreReject>>,
    citing: &Verified<Signed<StoreReject>>,
) -> Option<Evidence> {
    let same_signer =
        (refused.header.slot, refused.header.ident) == (citing.header.slot, citing.header.ident);
    let RejectReason::Full { proof } = &citing.payload.reason else { return None };
    let digest = refused.payload.info.digest();
    (same_signer && proof.iter().any(|info| info.digest() == digest)).then(|| Evidence {
        kind: EvidenceKind::AcceptAndReject,
        accused: citing.header.slot,
        ident: citing.header.ident,
        objects: vec![
            Statement::Reject((**refused).clone()),
            Statement::Reject((**citing).clone()),
        ],
    })
}

/// PB9: two StoreInfos of one identity with one stamp that say different things.
pub fn stamp_reuse(
    one: &Verified<Signed<StoreInfo>>,
    other: &Verified<Signed<StoreInfo>>,
) -> Option<Evidence> {
    let same = one.header == other.header && one.payload.stamp == other.payload.stamp;
    (same && one.payload != other.payload).then(|| Evidence {
        kind: EvidenceKind::StampReuse,
        accused: one.header.slot,
        ident: one.header.ident,
        objects: vec![Statement::Info((**one).clone()), Statement::Info((**other).clone())],
    })
}

/// Checks the answer to a request for the chunk of `receipt`, or a part of it, with the body that came
/// with it. What is good is the chunk's body, or the slice without its path.
pub fn check_retrieve(
    rules: &Rules,
    roster: &Roster,
    now: Stamp,
    receipt: &Verified<Signed<Receipt>>,
    part: Part,
    response: Response,
    body: Bytes,
) -> RetrieveOutcome {
    let result = match response {
        Response::Confirm(confirm) => {
            check_confirm(rules, roster, now, receipt, confirm, (part, body))
        }
        Response::Deny(deny) => check_deny(rules, roster, now, receipt, deny),
        Response::Unavailable(why) => Err(why.into()),
        Response::Receipt(_) | Response::Reject(_) => Err(Fault::WrongKind),
    };
    result.unwrap_or_else(Outcome::NoAnswer)
}

fn check_confirm(
    rules: &Rules,
    roster: &Roster,
    now: Stamp,
    receipt: &Verified<Signed<Receipt>>,
    confirm: Unverified<Signed<RetrieveConfirm>>,
    (part, body): (Part, Bytes),
) -> Result<RetrieveOutcome, Fault> {
    let confirm = confirm.verify_outside_log(roster)?;
    answers_for(receipt, confirm.header.slot, confirm.payload.receipt)?;
    not_from_the_future(rules, confirm.payload.stamp, now)?;
    let info = &receipt.payload.info.payload;
    if confirms_another(&confirm, receipt) {
        return Ok(Outcome::Evidence(Box::new(Evidence {
            kind: EvidenceKind::WrongChunk,
            accused: confirm.header.slot,
            ident: confirm.header.ident,
            objects: vec![
                Statement::Confirm((*confirm).clone()),
                Statement::Receipt((**receipt).clone()),
            ],
        })));
    }
    // The body is not signed, only its digest: a wrong one is no answer (issue P17).
    match part {
        Part::Whole if body.len() as u64 == info.size.0 && Hash::of(&body) == info.hash => {
            Ok(Outcome::Good(body))
        }
        Part::Whole => Err(Fault::WrongBody),
        Part::Slice { start } => slice::check(info.hash, info.size.0, start, &body)
            .map(|bytes| Outcome::Good(bytes.into()))
            .ok_or(Fault::WrongBody),
    }
}

fn check_deny(
    rules: &Rules,
    roster: &Roster,
    now: Stamp,
    receipt: &Verified<Signed<Receipt>>,
    deny: Unverified<Signed<RetrieveDeny>>,
) -> Result<RetrieveOutcome, Fault> {
    let deny = deny.verify_outside_log(roster)?;
    answers_for(receipt, deny.header.slot, deny.payload.receipt)?;
    not_from_the_future(rules, deny.payload.stamp, now)?;
    if deny_is_valid(rules, roster, &deny, receipt)? {
        return Ok(Outcome::Refused(deny));
    }
    Ok(Outcome::Evidence(Box::new(Evidence {
        kind: EvidenceKind::BadDeny,
        accused: deny.header.slot,
        ident: deny.header.ident,
        objects: vec![Statement::Deny((*deny).clone()), Statement::Receipt((**receipt).clone())],
    })))
}

/// PB1: whether a confirm core names another chunk than the receipt that it speaks about.
pub(crate) fn confirms_another(
    confirm: &Signed<RetrieveConfirm>,
    receipt: &Verified<Signed<Receipt>>,
) -> bool {
    let info = &receipt.payload.info.payload;
    (confirm.payload.hash, confirm.payload.size) != (info.hash, info.size)
}

/// PB2: whether a deny of this receipt gives a valid reason; an error if that is not in the objects.
pub(crate) fn deny_is_valid(
    rules: &Rules,
    roster: &Roster,
    deny: &Signed<RetrieveDeny>,
    receipt: &Verified<Signed<Receipt>>,
) -> Result<bool, Fault> {
    let info = &receipt.payload.info;
    match &deny.payload.reason {
        DenyReason::Expired => Ok(rules.is_over(info.payload.stamp, deny.payload.stamp)),
        DenyReason::Superseded(newer) => Ok(supersedes(newer, info)
            && Unverified::new((**newer).clone()).verify_outside_log(roster).is_ok()),
        DenyReason::Recovering { .. } | DenyReason::NotClaimed { .. } => Err(Fault::Unverifiable),
    }
}

/// The storer line of the receipt speaks about this receipt.
fn answers_for(receipt: &Signed<Receipt>, got: types::Slot, cited: Hash) -> Result<(), Fault> {
    let expected = receipt.header.slot;
    if expected != got {
        return Err(Fault::WrongSigner { expected, got });
    }
    if cited != Receipt::cite(receipt) {
        return Err(Fault::WrongSubject);
    }
    Ok(())
}

fn not_from_the_future(rules: &Rules, stamp: Stamp, now: Stamp) -> Result<(), Fault> {
    match rules.too_far_ahead(stamp, now) {
        Some(ahead_ms) => Err(Fault::FutureStamp { ahead_ms }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
