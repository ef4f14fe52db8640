//! TR11: an accusation about a place that the accuser itself had declared closed
//! (specification 5.5, 5.6, 8.2).
//!
//! Against whom: `closed_upto` says that below it nothing is open with anybody whom the same proposal
//! does not list. Whoever signs it never lists a duty below it afterwards. So a proof needs the
//! later proposal to be later in the log and by stamp, and the earlier one not to list the target:
//! a listing that was there when the place was closed around it may stay.

use super::{Judge, PomError};
use crate::message::Value;
use crate::proposal::{Accusation, Proposal};
use types::{Decode, Slot};

/// [`Accusation::reason`] of a duty that is overdue; the other reason names no place.
const OVERDUE: u8 = 1;

pub(super) fn check(
    judge: &mut Judge,
    listing: &Value,
    closing: &Value,
    target: Slot,
) -> Result<&'static str, PomError> {
    judge.own_value(listing)?;
    judge.own_value(closing)?;
    if listing.statement.header.inst <= closing.statement.header.inst {
        return Err(PomError::NotProven("the listing is not in a later instance"));
    }
    let (Ok(later), Ok(earlier)) =
        (Proposal::from_bytes(&listing.body), Proposal::from_bytes(&closing.body))
    else {
        return Err(PomError::NotProven("a proposal cannot be decoded, which is another kind"));
    };
    if later.stamp <= earlier.stamp {
        return Err(PomError::NotProven("the listing does not have a later stamp"));
    }
    let at = usize::from(target.0);
    let (Some(entry), Some(before)) = (later.accuse.get(at), earlier.accuse.get(at)) else {
        return Err(PomError::NotProven("there is no such entry"));
    };
    if entry.reason != OVERDUE {
        return Err(PomError::NotProven("the later proposal lists no overdue duty of this slot"));
    }
    if *before != Accusation::default() {
        return Err(PomError::NotProven("the slot was listed when the place was declared closed"));
    }
    if entry.inst >= earlier.closed_upto {
        return Err(PomError::NotProven("the place had not been declared closed"));
    }
    Ok("what was declared closed is not listed")
}
