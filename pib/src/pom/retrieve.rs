//! PB1 and PB2: what a storer signed when a chunk was asked for (specification 7.3).

use super::{Judge, PomError};
use crate::check::{confirms_another, deny_is_valid};
use crate::error::Fault;
use crate::objects::{Receipt, RetrieveConfirm, RetrieveDeny};
use types::{Hash, Kind, Signed, Unverified, Verified};

/// The storer's receipt that an answer speaks about. An earlier identity of the same slot may have
/// signed it: a linked identity answers for what it took over only under its own name.
fn receipt(
    judge: &Judge<'_>,
    receipt: &Signed<Receipt>,
    cited: Hash,
) -> Result<Verified<Signed<Receipt>>, PomError> {
    let (slot, ident) = (receipt.header.slot, receipt.header.ident);
    if (slot, ident) != judge.accused {
        return Err(PomError::OtherSigner(Kind::Receipt));
    }
    let receipt = Receipt::verify(Unverified::new(receipt.clone()), judge.roster)
        .map_err(|_| PomError::BadSignature { slot, kind: Kind::Receipt })?;
    match cited == Receipt::cite(&receipt) {
        true => Ok(receipt),
        false => Err(PomError::NotProven("the answer speaks about another receipt")),
    }
}

pub(super) fn wrong_chunk(
    judge: &Judge<'_>,
    confirm: &Signed<RetrieveConfirm>,
    receipted: &Signed<Receipt>,
) -> Result<&'static str, PomError> {
    let confirm = judge.own(confirm)?;
    let receipt = receipt(judge, receipted, confirm.payload.receipt)?;
    match confirms_another(&confirm, &receipt) {
        true => Ok("a chunk that is returned has the digest and size that were receipted"),
        false => Err(PomError::NotProven("the answer names the chunk that was receipted")),
    }
}

pub(super) fn bad_deny(
    judge: &Judge<'_>,
    deny: &Signed<RetrieveDeny>,
    receipted: &Signed<Receipt>,
) -> Result<&'static str, PomError> {
    let deny = judge.own(deny)?;
    let receipt = receipt(judge, receipted, deny.payload.receipt)?;
    match deny_is_valid(judge.rules, judge.roster, &deny, &receipt) {
        Ok(false) => {
            Ok("a chunk is refused only when its lease is over or a newer one took its place")
        }
        Ok(true) => Err(PomError::NotProven("the refusal is legal")),
        Err(Fault::Unverifiable) => {
            Err(PomError::NotProven("whether the reason holds is not in these objects"))
        }
        Err(_) => Err(PomError::NotProven("the refusal is no answer")),
    }
}
