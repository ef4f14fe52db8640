//! PB3 and PB4: what a storer signed when it was asked to store (specification 7.2).

use super::{Judge, PomError};
use crate::check::{self, RejectFlaw, reject_is_valid};
use crate::objects::{Receipt, StoreReject};
use types::{Encode, Signed};

pub(super) fn bad_reject(
    judge: &Judge<'_>,
    reject: &Signed<StoreReject>,
) -> Result<&'static str, PomError> {
    let reject = judge.own(reject)?;
    match reject_is_valid(judge.rules, judge.roster, &reject) {
        Err(RejectFlaw::UnknownSigner) => {
            Err(PomError::NotProven("it cites a member that this roster does not know"))
        }
        Err(flaw) => Ok(flaw.words()),
        Ok(()) => Err(PomError::NotProven("the refusal is legal")),
    }
}

const ONE_ANSWER: &str =
    "one statement is either accepted or refused, and citing it is accepting it";
const NOT_ONE: PomError = PomError::NotProven("the two answers are about different statements");

pub(super) fn accept_and_reject(
    judge: &Judge<'_>,
    receipt: &Signed<Receipt>,
    reject: &Signed<StoreReject>,
) -> Result<&'static str, PomError> {
    let (receipt, reject) = (judge.own(receipt)?, judge.own(reject)?);
    check::accept_and_reject(&receipt, &reject).map(|_| ONE_ANSWER).ok_or(NOT_ONE)
}

/// Which of two rejects cites does not follow from their order in the file.
pub(super) fn cites_what_it_refused(
    judge: &Judge<'_>,
    one: &Signed<StoreReject>,
    other: &Signed<StoreReject>,
) -> Result<&'static str, PomError> {
    if other.to_bytes() <= one.to_bytes() {
        return Err(PomError::NotCanonical("the smaller of two alike comes first"));
    }
    let (one, other) = (judge.own(one)?, judge.own(other)?);
    let found = check::cites_what_it_refused(&one, &other)
        .or_else(|| check::cites_what_it_refused(&other, &one));
    found.map(|_| ONE_ANSWER).ok_or(NOT_ONE)
}
