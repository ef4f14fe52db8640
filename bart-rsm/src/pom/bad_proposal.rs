//! TR10: a proposal whose stamp is not above that of an earlier decided one of the same signer
//! (specification 5.1, 5.2, 8.2).
//!
//! Against whom: a member proposes with a stamp above its latest decided one in the log before the
//! instance, whatever its clock says. It is a sender at most once in a window of instances, so its
//! earlier proposal was decided and applied when it signed the later one. A proposal that was not
//! decided binds nobody, hence the certificate.

use super::{Judge, PomError};
use crate::message::{DecisionCert, Value};
use crate::proposal::Proposal;
use types::Decode;

pub(super) fn check(
    judge: &mut Judge,
    late: &Value,
    decided: &Value,
    cert: &DecisionCert,
) -> Result<&'static str, PomError> {
    judge.own_value(late)?;
    judge.own_value(decided)?;
    let place = judge.place(decided.statement.header.inst);
    if late.statement.header.inst <= place.inst {
        return Err(PomError::NotProven("the decided proposal is not the earlier one"));
    }
    if cert.value != judge.value_digest(&decided.statement) {
        return Err(PomError::OtherAttachment("the decision certificate"));
    }
    if !judge.verifier.decision(place, cert) {
        return Err(PomError::NotProven("the earlier proposal is not shown to be decided"));
    }
    match stamps(late, decided) {
        Some((new, old)) if new <= old => Ok("stamps of decided proposals grow"),
        Some(_) => Err(PomError::NotProven("the later stamp is above the earlier one")),
        None => Err(PomError::NotProven("a proposal cannot be decoded, which is another kind")),
    }
}

fn stamps(late: &Value, decided: &Value) -> Option<(types::Stamp, types::Stamp)> {
    let late = Proposal::from_bytes(&late.body).ok()?;
    let decided = Proposal::from_bytes(&decided.body).ok()?;
    Some((late.stamp, decided.stamp))
}
