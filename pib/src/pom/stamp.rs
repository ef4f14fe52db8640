//! PB9: two statements with one stamp (specification 7.1, issue P18).
//!
//! The two lanes of an identity never meet and no stamp is given out twice (`stamp.rs` of this crate),
//! so whatever the kinds of the two statements are, an honest member did not sign both.

use super::{Judge, PomError};
use crate::evidence::Statement;
use types::{Encode, Header, Signed, SignedPayload, Stamp};

struct Said {
    /// Header and payload: what is signed. Signatures are never compared.
    content: Vec<u8>,
    stamp: Stamp,
}

pub(super) fn reused(
    judge: &Judge<'_>,
    one: &Statement,
    other: &Statement,
) -> Result<&'static str, PomError> {
    if one.place() == other.place() && other.to_bytes() <= one.to_bytes() {
        return Err(PomError::NotCanonical("the smaller of two alike comes first"));
    }
    if other.place() < one.place() {
        return Err(PomError::NotCanonical("objects stand in the order of the catalogue"));
    }
    let (one, other) = (said(judge, one)?, said(judge, other)?);
    if one.stamp != other.stamp {
        return Err(PomError::NotProven("the stamps differ"));
    }
    match one.content == other.content {
        true => Err(PomError::NotProven("both say the same")),
        false => Ok("a member gives no stamp twice"),
    }
}

fn said(judge: &Judge<'_>, statement: &Statement) -> Result<Said, PomError> {
    fn take<P: SignedPayload + Clone>(
        judge: &Judge<'_>,
        signed: &Signed<P>,
        stamp: Stamp,
    ) -> Result<Said, PomError> {
        let signed = judge.own(signed)?;
        let header: &Header = &signed.header;
        Ok(Said { content: [header.to_bytes(), signed.payload.to_bytes()].concat(), stamp })
    }
    match statement {
        Statement::Info(info) => take(judge, info, info.payload.stamp),
        Statement::Receipt(receipt) => take(judge, receipt, receipt.payload.stamp),
        Statement::Reject(reject) => take(judge, reject, reject.payload.stamp),
        Statement::Confirm(confirm) => take(judge, confirm, confirm.payload.stamp),
        Statement::Deny(deny) => take(judge, deny, deny.payload.stamp),
    }
}
